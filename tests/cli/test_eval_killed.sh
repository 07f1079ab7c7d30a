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

killed=0
for delay in $(awk -v seed="$$" 'BEGIN { srand(seed); for (i = 0; i < 20; i++) printf "%.3f ", 0.03 + 0.3 * rand() }'); do
    "$sphinx" $common -o "$tmp/parts" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    sleep "$delay"
    kill -9 $pid 2>/dev/null && killed=$((killed + 1))
    wait $pid 2>/dev/null
done
[ $killed -ge 10 ] || failed "only $killed of 20 runs were there to be killed"
runs 0 $common -o "$tmp/parts"
cmp -s "$tmp/out" "$tmp/want" || failed "other scores"
answers "$tmp/whole/answers.jsonl" >"$tmp/a"
answers "$tmp/parts/answers.jsonl" >"$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || failed "other answers, or some twice"
echo "$killed runs were killed"
finish
