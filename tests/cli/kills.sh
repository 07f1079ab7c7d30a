# kills.sh - sourced by tests of what survives kill -9, behind lib.sh.
# shellcheck shell=sh disable=SC2154,SC2086 # tmp is of lib.sh; numbers

# kills WANTED LONGEST: starts `attempt` and kills it after at most LONGEST milliseconds, until WANTED were killed; in tries that are bounded.
# How long a run takes differs from machine to machine: for one that ended before its time `ended` is called, which looks at what it
# left and throws it away, and the next ones are killed sooner. `attempt` ends in exec, so that the kill hits the program.
kills() {
    wanted=$1 longest=$2 killed=0 tries=0
    while [ $killed -lt "$wanted" ] && [ $tries -lt $((10 * wanted)) ]; do
        tries=$((tries + 1))
        attempt >"$tmp/out" 2>"$tmp/err" &
        pid=$!
        sleep "$(awk -v seed="$$$tries" -v ms=$longest 'BEGIN { srand(seed); printf "%.3f", (0.1 + 0.9 * rand()) * ms / 1000 }')"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        case $? in
        137) killed=$((killed + 1)) ;;
        0)
            ended
            longest=$((longest * 3 / 4 + 1))
            ;;
        *)
            failed "a run that went on ended badly: $(cat "$tmp/err")"
            break
            ;;
        esac
    done
    [ $killed -eq "$wanted" ] || failed "only $killed of $tries runs were there to be killed"
}
