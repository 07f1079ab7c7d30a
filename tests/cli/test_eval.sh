#!/bin/sh
# test_eval.sh SPHINX JSON_VALUE - benchmarks put to a tiny model: what is printed and kept, going on, what is refused, what is missing.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/benchmark.sh
. tests/cli/benchmark.sh

data=$tmp/data
out=$tmp/out.dir
make_benchmark "$data" 30 6
common="eval -m $tiny/llama_ens --data $data --task $data/mine.json"

# ---- a run
runs 0 $common -o "$out"
contains "$tmp/out" "A benchmark of mine"
contains "$tmp/out" "50.00"
same_bytes "nothing to say" "$tmp/err" ""
same "lines" "$(wc -l <"$out/answers.jsonl" | tr -d ' ')" 31
head -n 1 "$out/answers.jsonl" >"$tmp/header"
same "benchmark" "$("$json_value" "$tmp/header" benchmark)" mine
same "records" "$("$json_value" "$tmp/header" records)" 30
same "temperature" "$("$json_value" "$tmp/header" settings temp)" 0.0
sed -n 2p "$out/answers.jsonl" >"$tmp/line"
same "the question as it was put" "$("$json_value" "$tmp/line" prompt)" \
    "What is thing 0?${nl}Answer the question using a single word or phrase."
same "tokens" "$("$json_value" "$tmp/line" tokens | tr ',' '\n' | wc -l | tr -d ' ')" 6
answers "$out/answers.jsonl" >"$tmp/want"

# ---- the same command again asks nothing
cp "$out/answers.jsonl" "$tmp/before"
runs 0 $common -o "$out" --json
contains "$tmp/err" "mine: 30 of 30 questions had an answer already"
cmp -s "$out/answers.jsonl" "$tmp/before" || failed "the log changed"
same "answers" "$("$json_value" "$tmp/out" benchmarks 0 answers)" 30
same "published" "$("$json_value" "$tmp/out" benchmarks 0 published 0 value)" 50.0
runs 0 $common -o "$out" -q --report "$tmp/page.html"
same_bytes "quiet" "$tmp/err" ""
contains "$tmp/page.html" "A benchmark of mine"

# ---- the same answers, however they are come by
for options in "--batch-size 1 -t 1" "--batch-size 3 -t 2" "--batch-size 40 --prefix-cache 0"; do
    rm -rf "$tmp/other"
    runs 0 $common -o "$tmp/other" $options
    answers "$tmp/other/answers.jsonl" | cmp -s - "$tmp/want" || failed "other answers with $options"
done
rm -rf "$tmp/other"
runs 0 $common -o "$tmp/other" --limit 7
same "limited" "$(wc -l <"$tmp/other/answers.jsonl" | tr -d ' ')" 8
runs 0 $common -o "$tmp/other" --sample 28 --seed 5
contains "$tmp/err" "of 28 questions had an answer already"
head -c -20 "$tmp/other/answers.jsonl" >"$tmp/cut" # as a killed process leaves it
cp "$tmp/cut" "$tmp/other/answers.jsonl"
runs 0 $common -o "$tmp/other"
answers "$tmp/other/answers.jsonl" | cmp -s - "$tmp/want" || failed "other answers by and by"

# ---- what does not go on
fails 1 "$out/answers.jsonl: holds answers of another run: its settings.without was 0 and is 1 now (another folder begins anew; \
--force goes on with this one)" $common -o "$out" --without clip
runs 1 eval -m $tiny/llama_ens_light --data "$data" --task "$data/mine.json" -o "$out"
contains "$tmp/err" "its model.identity was"
runs 0 $common -o "$out" --temp 1 --force --limit 3
same "the header is new" "$(head -n 1 "$out/answers.jsonl" | grep -c '"temp":1.0')" 1
sed 's/max_tokens": 6/max_tokens": 7/' "$data/mine.json" >"$tmp/longer.json"
runs 1 eval -m $tiny/llama_ens --data "$data" --task "$tmp/longer.json" -o "$tmp/other"
contains "$tmp/err" "its max_tokens was 6 and is 7 now"

# ---- images that are not there
rm "$data/images/1.ppm" "$data/images/3.ppm"
rm -rf "$tmp/other"
runs 1 $common -o "$tmp/other"
contains "$tmp/err" "warning: image not found: $data/data/images/1.ppm"
contains "$tmp/err" "warning: image not found: $data/data/images/3.ppm"
contains "$tmp/err" "12 questions have no answer and count as wrong: of 12 the image was not found"
same "noted once" "$(grep -c 'image not found' "$tmp/other/answers.jsonl")" 12
runs 1 $common -o "$tmp/other"
same "still noted once" "$(grep -c 'image not found' "$tmp/other/answers.jsonl")" 12
printf 'P6\n9 9\n255\nbroken' >"$data/images/1.ppm"
cp "$data/images/0.ppm" "$data/images/3.ppm"
runs 1 $common -o "$tmp/other"
contains "$tmp/err" "6 questions have no answer and count as wrong: of 0 the image was not found"
make_benchmark "$data" 30 6
runs 0 $common -o "$tmp/other"
same "all are there in the end" "$(grep -c '"answer":' "$tmp/other/answers.jsonl")" 30

# ---- several benchmarks, each in a folder of its own
sed 's/"mine": {/"yours": {/; s/of mine/of yours/' "$data/mine.json" >"$data/yours.json"
rm -rf "$tmp/other"
runs 0 $common --task "$data/yours.json" -o "$tmp/other/deep" --limit 5
contains "$tmp/out" "A benchmark of mine"
contains "$tmp/out" "A benchmark of yours"
same "a folder each" "$(ls "$tmp/other/deep")" "mine${nl}yours"

# ---- lists and texts
runs 0 eval --list --task "$data/mine.json,refcoco_val" --data "$data"
contains "$tmp/out" "mine                           30       30        5  exact        A benchmark of mine"
contains "$tmp/out" "refcoco_val                     -        -        -  box"
printf 'The red circle stands left of the blue square.' >"$tmp/text"
runs 0 eval -m $tiny/llama_ens --text "$tmp/text" --json
same "tokens of a text" "$("$json_value" "$tmp/out" windows)" 1
runs 0 eval -m $tiny/llama_ens --text "$tmp/text" -i $scene
contains "$tmp/out" "perplexity"

# ---- what is wrong
runs 2 eval -m $tiny/llama_ens
contains "$tmp/err" "which benchmarks? --task NAME; --list shows them"
fails 1 "there is no benchmark 'mme2' (see: sphinx eval --list)" eval -m $tiny/llama_ens --task mme2
runs 1 eval -m $tiny/llama_ens --task "$tmp/none.json"
contains "$tmp/err" "$tmp/none.json: cannot open"
runs 1 $common -o "$scene"
contains "$tmp/err" "$scene"
if [ -w /dev/full ]; then
    mkdir "$tmp/full"
    runs 0 $common -o "$tmp/full" --limit 1
    (
        ulimit -f 4 # blocks of 512 bytes: as if the disk had no more
        trap '' XFSZ
        "$sphinx" $common -o "$tmp/full" >"$tmp/out" 2>"$tmp/err"
        echo $? >"$tmp/code"
    )
    same "a full disk" "$(cat "$tmp/code")" 1
    contains "$tmp/err" "sphinx: $tmp/full/answers.jsonl: cannot write: "
    runs 0 $common -o "$tmp/full"
    answers "$tmp/full/answers.jsonl" | cmp -s - "$tmp/want" || failed "other answers after a full disk"
fi

# ---- Ctrl-C: what is done is kept
make_benchmark "$data" 2000 6
rm -rf "$tmp/other"
"$sphinx" $common -o "$tmp/other" -t 1 >"$tmp/out" 2>"$tmp/err" &
pid=$!
while ! grep -q '"answer"' "$tmp/other/answers.jsonl" 2>/dev/null && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -INT $pid
wait $pid
same "interrupted" $? 130
contains "$tmp/err" "and the same command goes on"
kept=$(grep -c '"answer"' "$tmp/other/answers.jsonl")
[ "$kept" -ge 1 ] || failed "nothing was kept"
runs 0 $common -o "$tmp/other" --limit 1
same "nothing is lost" "$(grep -c '"answer"' "$tmp/other/answers.jsonl")" "$kept"
finish
