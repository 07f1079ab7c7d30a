#!/bin/sh
# test_tokenize.sh SPHINX JSON_VALUE - sphinx tokenize against the reference's pairs of text and ids, and the way back.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens

# Lines "E<tab>text<tab>ids" of the golden file; those without escapes, and the first of each length, are enough here. U+2581 in a
# text is a space on the way back.
grep '^E' tests/data/tokenizer_golden.txt | grep -v '\\\|▁' | awk -F '\t' 'NF == 3 && !seen[length($2)]++' >"$tmp/pairs"
while IFS='	' read -r _ text ids; do
    printf '%s' "$text" >"$tmp/in"
    # read drops blanks around a field's ends no more than tab allows: texts of blanks alone stay out
    expect 0 "$ids$nl" "" tokenize -m $model
    cp "$tmp/out" "$tmp/in"
    expect 0 "$text" "" tokenize -m $model --decode
done <"$tmp/pairs"
[ "$(wc -l <"$tmp/pairs")" -gt 10 ] || failed "hardly a pair in tests/data/tokenizer_golden.txt"

printf 'the red square\n' >"$tmp/in"
runs 0 tokenize -m $model
plain=$(cat "$tmp/out")
expect 0 "1 $plain$nl" "" tokenize -m $model --bos
printf '[%s]' "$plain" | tr ' ' ',' >"$tmp/in"
expect 0 "the red square$nl" "" tokenize -m $model --decode

: >"$tmp/in"
expect 0 "$nl" "" tokenize -m $model
expect 0 "1$nl" "" tokenize -m $model --bos
expect 0 "" "" tokenize -m $model --decode

printf '1 x 3' >"$tmp/in"
fails 1 "standard input: 'x' at byte 2 is not a token id" tokenize -m $model --decode
printf '1 -3' >"$tmp/in"
fails 1 "standard input: '-3' at byte 2 is not a token id" tokenize -m $model --decode
printf '99999999999' >"$tmp/in"
fails 1 "standard input: '99999999999' at byte 0 is not a token id" tokenize -m $model --decode
printf '5 \0006' >"$tmp/in"
fails 1 "standard input: the NUL at byte 2 is not a token id" tokenize -m $model --decode
printf '511 512' >"$tmp/in"
runs 1 tokenize -m $model --decode
contains "$tmp/err" "512"
printf 'ab\377' >"$tmp/in"
runs 1 tokenize -m $model
contains "$tmp/err" "not UTF-8"
finish
