#!/bin/sh
# test_eval_killed.sh SPHINX JSON_VALUE - a run that is killed twenty times, whatever it is doing, and each time goes on, ends with the
# answers and the scores of one that nobody disturbed.
# shellcheck disable=SC2086,SC2013 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/benchmark.sh
. tests/cli/benchmark.sh

data=$tmp/data
make_benchmark "$data" 800 8
common="eval -m $tiny/llama_ens --data $data --task $data/mine.json -t 1 --json"
runs 0 $common -o "$tmp/whole"
cp "$tmp/out" "$tmp/want"

# How long a run takes differs from machine to machine: one that ended before its time is looked at, thrown away, and the next
# ones are killed sooner.
killed=0
longest=400 # milliseconds
tries=0
while [ $killed -lt 20 ] && [ $tries -lt 200 ]; do
    tries=$((tries + 1))
    "$sphinx" $common -o "$tmp/parts" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    sleep "$(awk -v seed="$$$tries" -v ms=$longest 'BEGIN { srand(seed); printf "%.3f", (0.1 + 0.9 * rand()) * ms / 1000 }')"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    case $? in
    137) killed=$((killed + 1)) ;;
    0)
        cmp -s "$tmp/out" "$tmp/want" || failed "other scores after $killed kills"
        rm -rf "$tmp/parts"
        longest=$((longest * 3 / 4 + 1))
        ;;
    *)
        failed "a run that went on ended badly: $(cat "$tmp/err")"
        break
        ;;
    esac
done
[ $killed -eq 20 ] || failed "only $killed of $tries runs were there to be killed"
runs 0 $common -o "$tmp/parts"
cmp -s "$tmp/out" "$tmp/want" || failed "other scores"
answers "$tmp/whole/answers.jsonl" >"$tmp/a"
answers "$tmp/parts/answers.jsonl" >"$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || failed "other answers, or some twice"
echo "$killed runs were killed"
finish
