#!/bin/sh
# test_eval_ranks.sh SPHINX JSON_VALUE - two processes share out a benchmark and a list: the same answers and scores as one.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/benchmark.sh
. tests/cli/benchmark.sh

if ! command -v mpirun >/dev/null 2>&1; then
    echo "skipped: there is no mpirun"
    exit 77
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_plm_rsh_agent=sh
export ASAN_OPTIONS=detect_leaks=0 # of the MPI library

data=$tmp/data
make_benchmark "$data" 30 6
common="eval -m $tiny/llama_ens --data $data --task $data/mine.json -t 1"
mpirun -np 2 "$sphinx" $common -o "$tmp/two" --json >"$tmp/out" 2>"$tmp/err"
code=$?
if grep -q "was built without MPI" "$tmp/err"; then
    echo "skipped: the program was built without MPI"
    exit 77
fi
same "two processes" "$code" 0
[ "$code" = 0 ] || show "$tmp/err"
cp "$tmp/out" "$tmp/scores"
runs 0 $common -o "$tmp/one" --json
cmp -s "$tmp/out" "$tmp/scores" || failed "other scores with two"
answers "$tmp/one/answers.jsonl" >"$tmp/want"
answers "$tmp/two/answers.jsonl" | cmp -s - "$tmp/want" || failed "other answers with two"
same "one file in the end" "$(ls "$tmp/two")" answers.jsonl

# One begins, two go on, killed; one ends it.
runs 0 $common -o "$tmp/both" --limit 11
mpirun -np 2 "$sphinx" $common -o "$tmp/both" >"$tmp/out" 2>"$tmp/err" &
pid=$!
sleep 0.6
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
sleep 0.5 # until what it had started is gone, too
runs 0 $common -o "$tmp/both"
answers "$tmp/both/answers.jsonl" | cmp -s - "$tmp/want" || failed "other answers by turns"
same "no file is left over" "$(ls "$tmp/both")" answers.jsonl

# What one of them meets, both end with.
mpirun -np 2 "$sphinx" $common -o "$tmp/both" --without clip >"$tmp/out" 2>"$tmp/err" &&
    failed "other settings were accepted"
same "told once" "$(grep -c 'its settings.without was 0' "$tmp/err")" 1

for i in 0 1 2 3 4 0 1; do echo "$data/images/$i.ppm"; done >"$tmp/list"
runs 0 batch -m $tiny/llama_ens -p "$question" -n 5 "$tmp/list" -o "$tmp/one.jsonl"
mpirun -np 2 "$sphinx" batch -m $tiny/llama_ens -t 1 -p "$question" -n 5 "$tmp/list" -o "$tmp/two.jsonl" 2>"$tmp/err"
said() {
    sed 's/.*"line":\([0-9]*\).*"answer":\("[^"]*"\).*/\1 \2/' "$1" | sort
}
same "a list" "$(said "$tmp/two.jsonl")" "$(said "$tmp/one.jsonl")"
finish
