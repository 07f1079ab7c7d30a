#!/bin/sh
# test_eval_grid.sh SPHINX JSON_VALUE - many settings in one table, and two runs compared: what is printed and kept, going on, what is refused.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/benchmark.sh
. tests/cli/benchmark.sh

data=$tmp/data
out=$tmp/grid.dir
make_benchmark "$data" 12 4
common="eval -m $tiny/llama_ens5 --data $data --task $data/mine.json"

# ---- a grid
cat >"$tmp/grid.json" <<END
{"settings": {"limit": 6}, "axes": {"without": ["", "clip,view0"], "cache-type-k": ["f32", "f16"]},
 "cells": [{"template": "{}", "limit": 4}]}
END
runs 0 $common --grid "$tmp/grid.json" -o "$out" --report "$tmp/grid.html" -q
contains "$tmp/out" "without clip,view0, cache-type-k f16"
same "lines" "$(wc -l <"$tmp/out" | tr -d ' ')" 8
same "folders" "$(ls "$out" | wc -l | tr -d ' ')" 5
contains "$tmp/grid.html" "limit 4, template {}"
runs 0 $common --grid "$tmp/grid.json" -o "$out" --json
contains "$tmp/err" "mine: 6 of 6 questions had an answer already"
contains "$tmp/err" "cell 5 of 5: limit 4, template {}"
same "settings" "$("$json_value" "$tmp/out" cells 3 settings without)" clip,view0
same "answers" "$("$json_value" "$tmp/out" cells 4 benchmarks 0 answers)" 4
# A cell is the run that its options alone would be.
runs 0 $common --limit 6 --without clip,view0 --cache-type-k f16 -o "$tmp/alone"
answers "$tmp/alone/answers.jsonl" >"$tmp/want"
answers "$out"/without-clip-view0-cache-type-k-f16-*/answers.jsonl | cmp -s - "$tmp/want" || failed "other answers in a grid"
answers "$out"/cache-type-k-f32-*/answers.jsonl | cmp -s - "$tmp/want" && failed "the same answers without encoders"

# ---- a file that is wrong says so before anything is asked
refused() {
    printf '%s' "$2" >"$tmp/bad.json"
    runs "$1" $common --grid "$tmp/bad.json" -o "$tmp/none"
    contains "$tmp/err" "$3"
    [ ! -e "$tmp/none" ] || failed "something was asked"
}
refused 1 '{"axis": {}}' 'unknown key "axis"'
refused 2 '{"axes": {"wihtout": ["clip"]}}' "unknown option '--wihtout'; did you mean '--without'?"
refused 2 '{"axes": {"limit": [1, "x"]}}' "'x' is not a whole number"
refused 2 '{"cells": [{"output": "elsewhere"}]}' "'output' is the same for all cells"

# ---- two runs
runs 0 $common -o "$tmp/a"
runs 0 $common -o "$tmp/b" --without clip,convnext,dinov2,qformer
runs 0 eval --compare "$tmp/a" "$tmp/b" --data "$data" --task "$data/mine.json" --report "$tmp/compare.html"
contains "$tmp/out" "A: $tmp/a"
contains "$tmp/out" "A benchmark"
contains "$tmp/compare.html" '"comparison":{'
runs 0 eval --compare "$tmp/a" "$tmp/a" --data "$data" --task "$data/mine.json" --json
same "itself" "$("$json_value" "$tmp/out" comparisons 0 test difference)" 0.0
fails 2 "eval: --compare wants two folders of answers, 1 given (see: sphinx help eval)" eval --compare "$tmp/a"
fails 1 "$tmp/nothing: holds no answers of an evaluation" eval --compare "$tmp/a" "$tmp/nothing" --task "$data/mine.json" --data "$data"
fails 1 "$tmp and $tmp/nothing hold no answers to the same benchmark" eval --compare "$tmp" "$tmp/nothing" --task "$data/mine.json"
sed -i 's/thing 3/thing three/' "$data/annotations/mine.json"
runs 1 eval --compare "$tmp/a" "$tmp/b" --data "$data" --task "$data/mine.json"
contains "$tmp/err" "its answers are to other questions than those of mine now"

finish
