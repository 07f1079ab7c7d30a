#!/bin/sh
# test_eval_killed.sh SPHINX JSON_VALUE - a run that is killed twenty times, whatever it is doing, and each time goes on, ends with the
# answers and the scores of one that nobody disturbed.
# shellcheck disable=SC2086,SC2013 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/benchmark.sh
. tests/cli/benchmark.sh
# shellcheck source=tests/cli/kills.sh
. tests/cli/kills.sh

data=$tmp/data
make_benchmark "$data" 800 8
common="eval -m $tiny/llama_ens --data $data --task $data/mine.json -t 1 --json"
runs 0 $common -o "$tmp/whole"
cp "$tmp/out" "$tmp/want"

attempt() {
    exec "$sphinx" $common -o "$tmp/parts"
}
ended() {
    cmp -s "$tmp/out" "$tmp/want" || failed "other scores after $killed kills"
    rm -rf "$tmp/parts"
}
kills 20 400
runs 0 $common -o "$tmp/parts"
cmp -s "$tmp/out" "$tmp/want" || failed "other scores"
answers "$tmp/whole/answers.jsonl" >"$tmp/a"
answers "$tmp/parts/answers.jsonl" >"$tmp/b"
cmp -s "$tmp/a" "$tmp/b" || failed "other answers, or some twice"
echo "$killed runs were killed"
finish
