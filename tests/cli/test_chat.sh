#!/bin/sh
# test_chat.sh SPHINX JSON_VALUE - sphinx chat through a pipe: turns, commands, and what they say.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens
chat() {
    code=$1
    shift
    runs "$code" chat -m $model --temp 0 -n 10 "$@"
}

"$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 10 >"$tmp/first"
first=$(cat "$tmp/first")

# A second turn goes on from the first; undone, the first question is asked anew.
printf '%s\nAnd where is it?\n/save %s\n/undo\n/undo\n/undo\n%s\n' "$question" "$tmp/two.json" "$question" >"$tmp/in"
chat 0 -i $scene
second=$(sed -n 2p "$tmp/out")
same "first turn" "$(sed -n 1p "$tmp/out")" "$first"
same "after two undos" "$(sed -n 3p "$tmp/out")" "$first"
same "answers" "$(wc -l <"$tmp/out" | tr -d ' ')" 3
same_bytes "what is said beside" "$tmp/err" "sphinx: saved as $tmp/two.json
sphinx: undone; questions left: 1
sphinx: undone; questions left: 0
sphinx: there is nothing to undo
"
value() {
    "$json_value" "$tmp/two.json" "$@"
}
same "saved model" "$(value model)" SPHINX
same "saved image" "$(value image)" $scene
same "saved question" "$(value conversations 0 value)" "$question"
same "saved answer" "$(value conversations 1 value)" "$first"
same "saved second question" "$(value conversations 2 value)" "And where is it?"
same "saved second answer" "$(value conversations 3 value)" "$second"
same "saved speakers" "$(value conversations 0 from) $(value conversations 1 from)" "human gpt"

# The second turn is what asking it without the first is not.
printf 'And where is it?\n' >"$tmp/in"
chat 0 -i $scene
[ "$(cat "$tmp/out")" = "$second" ] && failed "the second turn does not know of the first"

# An image may come later, go, and be replaced; each begins anew.
printf '/image %s\n%s\n/image\n%s\n/image "%s"\n/clear\n%s\n/save %s\n' $scene "$question" "$question" $scene \
    "$question" "$tmp/talk.txt" >"$tmp/in"
chat 1
contains "$tmp/err" "\"$scene\""
printf '/image %s\n%s\n/image\n%s\n/image %s\n%s\n/clear\n%s\n/save %s\n' $scene "$question" "$question" $scene \
    "$question" "$question" "$tmp/talk.txt" >"$tmp/in"
chat 0
text=$("$sphinx" run -m $model -p "$question" --temp 0 -n 10)
same_bytes "images" "$tmp/out" "$first$nl$text$nl$first$nl$first$nl"
same_bytes "saved as text" "$tmp/talk.txt" "Image: $scene${nl}Human: $question${nl}Assistant: $first$nl"

# /retry takes the next seed, and replaces the answer.
printf '%s\n/retry\n/save %s\n/draw %s\n/retry now\n' "$question" "$tmp/two.json" "$tmp/drawn.png" >"$tmp/in"
runs 1 chat -m $model -i $scene --temp 2 --top-p 1 -n 10 -s 3
"$sphinx" run -m $model -i $scene -p "$question" --temp 2 --top-p 1 -n 10 -s 3 >"$tmp/seeds"
"$sphinx" run -m $model -i $scene -p "$question" --temp 2 --top-p 1 -n 10 -s 4 >>"$tmp/seeds"
cmp -s "$tmp/out" "$tmp/seeds" || failed "/retry does not take the next seed"
same "saved after a retry" "$(value conversations | tr '{' '\n' | grep -c from)" 2
contains "$tmp/err" "sphinx: drawn as $tmp/drawn.png: boxes: 0, points: 0"
contains "$tmp/err" "sphinx: /retry takes no argument ('now' given)"
same "a PNG" "$(head -c 4 "$tmp/drawn.png" | tr -d '\211')" PNG

# Questions of several lines, of a slash, of nothing; /quit ends it all.
printf 'a\\\nb\n\n   \n//c\n/save %s\n/quit\nnever\n' "$tmp/two.json" >"$tmp/in"
chat 0
same "a question of two lines" "$(value conversations 0 value)" "a${nl}b"
same "a question of a slash" "$(value conversations 2 value)" "/c"
same "no more questions" "$(value conversations | tr '{' '\n' | grep -c from)" 4
contains "$tmp/err" "saved as"

# Things that fail are said, the conversation goes on, and the exit code remembers.
printf '/image %s\n/sav x\n/frobnicate\n/save\n/save %s/none/x\n/draw %s\n/undo 3\n\377\nhi\n' "$tmp/none.png" "$tmp" \
    "$tmp/drawn.png" >"$tmp/in"
chat 1
same "goes on" "$(cat "$tmp/out")" "$("$sphinx" run -m $model -p hi --temp 0 -n 10)"
sed "s|$tmp|TMP|g" "$tmp/err" >"$tmp/said"
for sentence in "TMP/none.png: cannot open: No such file or directory" "there is no command /sav; did you mean /save?" \
    "there is no command /frobnicate; /help lists them" "/save needs the name of a file" \
    "there is no answer to draw yet" "/undo takes no argument ('3' given)" \
    "the question is not UTF-8: byte 0 (0xff) belongs to no character"; do
    contains "$tmp/said" "sphinx: $sentence"
done
same "each once" "$(wc -l <"$tmp/said" | tr -d ' ')" 8
printf 'hi\n/draw %s\n' "$tmp/none.png" >"$tmp/in"
chat 1
[ -e "$tmp/none.png" ] && failed "/draw without an image wrote a file"

printf '/help\n' >"$tmp/in"
chat 0
for command in image undo retry clear save draw help quit; do contains "$tmp/out" "/$command "; done

# A conversation longer than the context loses its oldest turns, and says so.
awk 'BEGIN { for (i = 0; i < 12; i++) print "Tell me about the red square, please, number " i "." }' >"$tmp/in"
runs 0 chat -m $model --temp 0 -n 10 -c 250
same "answers in a small context" "$(wc -l <"$tmp/out" | tr -d ' ')" 12

fails 1 "$tmp/none.png: cannot open: No such file or directory" chat -m $model -i "$tmp/none.png"
if [ -c /dev/full ]; then
    "$sphinx" chat -m $model -n 5 <"$tmp/in" >/dev/full 2>"$tmp/err"
    same "a full disk" $? 1
fi
finish
