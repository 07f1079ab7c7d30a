#!/bin/sh
# test_batch.sh SPHINX JSON_VALUE - lists of questions to lines of answers: the formats, going on, what cannot be answered.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens
common="batch -m $model -n 6"
cp $scene "$tmp/a b.png"
jpeg=$tmp/other.ppm
awk 'BEGIN { print "P3\n8 8\n255"; for (i = 0; i < 192; i++) print i }' >"$jpeg"

# line N KEY: of the answers in $tmp/out, that to line N of the list
line() {
    grep "\"line\":$1," "$tmp/out" >"$tmp/line"
    shift
    "$json_value" "$tmp/line" "$@"
}

# ---- the same questions in every format
"$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 6 --json >"$tmp/alone"
printf '%s\n%s\n' "$tmp/a b.png" "$jpeg" >"$tmp/in"
runs 0 $common - -p "$question"
cp "$tmp/out" "$tmp/plain"
same "lines" "$(wc -l <"$tmp/out" | tr -d ' ')" 2
same "answer" "$(line 1 answer)" "$("$json_value" "$tmp/alone" text)"
same "tokens" "$(line 1 tokens)" "$("$json_value" "$tmp/alone" tokens)"
same "image" "$(line 1 image)" "$tmp/a b.png"
same "prompt" "$(line 1 prompt)" "$question"
same "boxes" "$(line 1 boxes)" "$("$json_value" "$tmp/alone" boxes)"
line 1 timings >/dev/null || failed "no timings"
said() {
    sed 's/.*"image":\("[^"]*"\).*"answer":\("[^"]*"\).*/\1 \2/' "$1" | sort
}
same_as_plain() {
    runs 0 $common "$tmp/list$1" -p "not asked"
    same "$1" "$(said "$tmp/out")" "$(said "$tmp/plain")"
}
printf 'id,image,prompt\n1,"%s","%s"\r\n2,%s,%s\n' "$tmp/a b.png" "$question" "$jpeg" "$question" >"$tmp/list.csv"
printf 'question\timage_path\n%s\t%s\n%s\t%s\n' "$question" "$tmp/a b.png" "$question" "$jpeg" >"$tmp/list.tsv"
printf '{"image": "%s", "prompt": "%s", "id": 7}\n\n{"prompt": "%s", "image": "%s"}\n' "$tmp/a b.png" "$question" \
    "$question" "$jpeg" >"$tmp/list.jsonl"
printf '%s\t%s\n%s\t%s' "$tmp/a b.png" "$question" "$jpeg" "$question" >"$tmp/list.txt"
same_as_plain .csv
same_as_plain .tsv
same_as_plain .txt
same_as_plain .jsonl
same "id" "$(line 1 id)" 7
printf '{"prompt": "hi"}\n' >"$tmp/in"
runs 0 $common -
same "without an image" "$(line 1 image_tokens)" 0

# ---- a file is gone on with
answers=$tmp/answers.jsonl
runs 0 $common "$tmp/list.txt" -o "$answers" --limit 1
same "one" "$(wc -l <"$answers" | tr -d ' ')" 1
printf '\n%s\t%s' $scene "Another?" >>"$tmp/list.txt"
printf '{"line": 3, "im' >>"$answers" # a line that was not finished
runs 0 $common "$tmp/list.txt" -o "$answers"
contains "$tmp/err" "1 questions had an answer already"
same "all" "$(grep -c '"answer"' "$answers")" 3
cp "$answers" "$tmp/before"
runs 0 $common "$tmp/list.txt" -o "$answers"
cmp -s "$answers" "$tmp/before" || failed "asked again"
runs 1 $common "$tmp/list.txt" -o "$answers" --temp 1
contains "$tmp/err" "$answers: line 1 was answered by another model or with other settings"
runs 1 batch -m $model -n 7 "$tmp/list.txt" -o "$answers"
cmp -s "$answers" "$tmp/before" || failed "written though refused"
runs 0 $common "$tmp/list.txt" -o "$answers" --temp 1 --force

# ---- what cannot be answered does not stop the others
printf '%s\n%s\n%s\n' $scene "$tmp/none.png" "$jpeg" >"$tmp/list.txt"
runs 1 $common "$tmp/list.txt" -p "$question" -o "$tmp/some.jsonl"
contains "$tmp/err" "1 questions have no answer"
same "the others" "$(grep -c '"answer"' "$tmp/some.jsonl")" 2
contains "$tmp/some.jsonl" "none.png: cannot open"
runs 1 $common "$tmp/list.txt" -p "$question" -o "$tmp/some.jsonl"
same "noted once" "$(grep -c '"error"' "$tmp/some.jsonl")" 1
cp $scene "$tmp/none.png"
runs 0 $common "$tmp/list.txt" -p "$question" -o "$tmp/some.jsonl"
same "all in the end" "$(grep -c '"answer"' "$tmp/some.jsonl")" 3

# ---- what is wrong
fails 1 "$tmp/list.txt: line 1: there is no question, and none for all" $common "$tmp/list.txt"
printf 'image,prompt\na.png\n' >"$tmp/list.csv"
runs 1 $common "$tmp/list.csv"
contains "$tmp/err" "$tmp/list.csv: line 2: "
runs 1 $common "$tmp/nothing" -p hi
contains "$tmp/err" "$tmp/nothing: cannot open"
: >"$tmp/empty"
fails 1 "$tmp/empty: the list is empty" $common "$tmp/empty" -p hi
runs 2 $common
contains "$tmp/err" "LIST is missing"
runs 2 $common - -p -
contains "$tmp/err" "cannot both come from standard input"
echo '{"a": 1}' >"$tmp/some.jsonl"
runs 1 $common "$tmp/list.txt" -p "$question" -o "$tmp/some.jsonl"
contains "$tmp/err" "line 1 was not written by sphinx batch"
finish
