#!/bin/sh
# test_demo.sh SPHINX JSON_VALUE - the bundled models' answers about the bundled pictures are true: the words are those of the list, which
# sphinx synth wrote with the pictures, and coordinates are near.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
tab=$(printf '\t')
near=0.03

# numbers TEXT: its coordinates, a line each.   words TEXT: what is left without them.
numbers() {
    printf '%s\n' "$1" | grep -o '[01]\.[0-9][0-9]'
}
words() {
    printf '%s\n' "$1" | sed 's/[01]\.[0-9][0-9]/N/g'
}

# Asks a model the questions that come in.
check() {
    asked=0
    while IFS=$tab read -r picture question answer; do
        question=$(printf '%b' "$question")
        runs 0 run -q -m "models/$1.gguf" -i "examples/pictures/$picture" -p "$question" --temp 0
        got=$(cat "$tmp/out")
        same "$1: $picture: $question" "$(words "$got")" "$(words "$answer")"
        numbers "$got" >"$tmp/got"
        numbers "$answer" >"$tmp/want"
        paste "$tmp/got" "$tmp/want" | awk -v near=$near '{ d = $1 - $2; if (d > near || d < -near) bad = 1 } END { exit bad }' ||
            failed "$1: $picture: $question: coordinates are further than $near away: $got"
        asked=$((asked + 1))
    done
    [ $asked -ge "$2" ] || failed "there are only $asked questions for $1"
}

check sphinx-nano 5 <examples/pictures/questions.tsv
grep '^pe' examples/pictures/questions.tsv >"$tmp/people"
check sphinx-nano-1k 4 <"$tmp/people"
finish
