#!/bin/sh
# test_train_ranks.sh SPHINX JSON_VALUE - two processes learn from halves of each step: what one learns from all of it; a run of theirs goes
# on to the last bit, or with one process; what one of them meets, both end with.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

if ! command -v mpirun >/dev/null 2>&1; then
    echo "skipped: there is no mpirun"
    exit 77
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm_rsh_agent=sh
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig and the MPI library

runs 0 synth "$tmp/data" --count 12 --size 64 -q
cat >"$tmp/c.yaml" <<END
model: $(pwd)/$tiny/llama_ens
data_config: data/meta.yaml
validation: data/meta.yaml
validation_items: 6
batch_size: 2
accum_iter: 1
max_steps: 6
save_every: 4
keep: 0
lr: 1.0e-3
clip_grad: 1
max_words: 300
precision: tf32
END
train="train $tmp/c.yaml -t 1"
two() {
    mpirun -np 2 "$sphinx" $train "$@" >"$tmp/out" 2>"$tmp/err"
}

two -o "$tmp/two"
code=$?
if grep -q "was built without MPI" "$tmp/err"; then
    echo "skipped: the program was built without MPI"
    exit 77
fi
same "two processes" "$code" 0
[ "$code" = 0 ] || show "$tmp/err"
same "told once" "$(grep -c 'learn from' "$tmp/err")" 1
runs 0 $train -o "$tmp/one" --set accum_iter=2

# Numbers of each line, one a line, without what depends on the clock: equal to the fifth digit or so.
numbers() {
    sed 's/,"seconds[a-z_]*":[-+.0-9e]*//g' "$1" | tr -c '0-9.e\n-' ' ' | tr -s ' ' '\n' | grep '^[-0-9]'
}
near() {
    numbers "$2" >"$tmp/a"
    numbers "$3" >"$tmp/b"
    same "$1: lines" "$(wc -l <"$tmp/a" | tr -d ' ')" "$(wc -l <"$tmp/b" | tr -d ' ')"
    paste -d ' ' "$tmp/a" "$tmp/b" | awk '
        { d = $1 - $2; s = $1 < 0 ? -$1 : $1; if (!(d < 1e-4 * s + 1e-9 && -d < 1e-4 * s + 1e-9)) exit 1; n++ }
        END { if (n < 50) exit 1 }' || failed "$1: another log"
}
near "two and one" "$tmp/one/log.jsonl" "$tmp/two/log.jsonl"

# To be continued, by two to the last bit, and by one.
cp -r "$tmp/two" "$tmp/parts"
rm -r "$tmp/parts/epoch0-iter5"
cp -r "$tmp/parts" "$tmp/alone"
two --resume "$tmp/parts" -o "$tmp/parts" || show "$tmp/err"
for file in consolidated.00-of-01.model.pth training.state; do
    cmp -s "$tmp/two/epoch0-iter5/$file" "$tmp/parts/epoch0-iter5/$file" || failed "resumed: another $file"
done
runs 0 $train --resume "$tmp/alone" -o "$tmp/alone" --set accum_iter=2
near "one goes on" "$tmp/two/log.jsonl" "$tmp/alone/log.jsonl"
runs 1 $train --resume "$tmp/parts" -o "$tmp/parts"
contains "$tmp/err" "accum_iter 2, not 1"

# A failure of both, told once; of one, by which the other ends.
two -o "$tmp/two"
same "a run of that name: exit code" "$?" 1
same "told once" "$(grep -c 'holds a run already' "$tmp/err")" 1
# One of them interrupted: both stop behind the same step, with a checkpoint.
cat >"$tmp/rank" <<END
#!/bin/sh
echo \$\$ >>"$tmp/pids"
exec "\$@"
END
chmod +x "$tmp/rank"
mpirun -np 2 "$tmp/rank" "$sphinx" $train --set max_steps=100000 --set epochs=100000 --set save_every=0 --set validation=~ -o "$tmp/long" \
    >"$tmp/out" 2>"$tmp/err" &
pid=$!
tries=0
until [ -s "$tmp/long/log.jsonl" ] || [ $tries = 200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -INT "$(tail -n 1 "$tmp/pids")"
wait $pid
same "interrupted: exit code" "$?" 130
contains "$tmp/err" "stopped after step"
[ -n "$(find "$tmp/long" -name "epoch*")" ] || failed "interrupted: no checkpoint"

for image in "$tmp/data"/images/*; do
    echo no >"$image"
    break
done
two -o "$tmp/bad" && failed "an image that does not open was accepted"
contains "$tmp/err" "$(basename "$image")"
finish
