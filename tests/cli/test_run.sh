#!/bin/sh
# test_run.sh SPHINX JSON_VALUE - sphinx run: answers, the ways in and out, and everything that can be wrong with them.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens
greedy() {
    expect 0 "$want$nl" "" run --temp 0 -n 24 "$@"
}

# ---- answers, whichever way the question and the image come in
want=$(golden llama_ens)
greedy -m $model -i $scene -p "$question"
greedy --model=$model --image=$scene --prompt="$question"
greedy --pretrained_path $model -i $scene -p "$question" --max_gen_len 24 --top_p 0.5 --temperature 0
greedy -m $model -i $scene -p "$question" -t 1
greedy -m $model -i $scene -p "$question" -t 3 --cpu portable
greedy -m $model -i $scene -p "$question" -c 200 --precise
greedy -m $tiny/llama_ens-2shards -i $scene -p "$question"
greedy -m $tiny/llama_ens-safetensors -i $scene -p "$question"
printf '%s\n' "$question" >"$tmp/question"
greedy -m $model -i $scene -f "$tmp/question"
printf '%s\r\n' "$question" >"$tmp/in"
greedy -m $model -i $scene -p -
greedy -m $model -i $scene -f -
cp $scene "$tmp/in"
greedy -m $model -i - -p "$question"
: >"$tmp/in"
for variant in llama_ens5 llama_ens10 llama_ens5p2 llama_ens_light llama_ens5_light mixtral_sparse_ens mixtral_sparse_ens5 \
    llama_ens-rope_scaling; do
    want=$(golden $variant)
    greedy -m $tiny/$variant -i $scene -p "$question"
done
# Weights of 16 bits, computed as the reference does: in float32.
for variant in llama_ens-bf16 llama_ens-f16; do
    want=$(golden $variant)
    greedy -m $tiny/$variant -i $scene -p "$question" --precise -ctk f32
done
want=$(golden llama_ens-text)
greedy -m $model -p "$question"
want=$(golden llama_ens-diff)
greedy -m $tiny/llama-meta,$tiny/llama_ens-diff -i $scene -p "$question"
greedy -m $tiny/llama-meta -m $tiny/llama_ens-diff -i $scene -p "$question"

# ---- options that change the answer do
base=$("$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 24)
for change in "--without clip,qformer" "--without convnext" "--system Hello." "--temp 2" "--repeat-penalty 3" "--clip-exact-gelu"; do
    # shellcheck disable=SC2086 # two words
    other=$("$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 24 $change)
    # GELU and QuickGELU are near: that the option is taken is all that can be asked of it.
    [ -n "$other" ] || failed "$change: no answer"
    [ "$change" = "--clip-exact-gelu" ] || [ "$other" != "$base" ] || failed "$change changes nothing"
done
runs 0 run -m $model -p "$question" --temp 1 -s 7 -n 24
cp "$tmp/out" "$tmp/seed7"
runs 0 run -m $model -p "$question" --temp 1 -s 7 -n 24 -t 2
cmp -s "$tmp/out" "$tmp/seed7" || failed "the same seed gives another answer"
runs 0 run -m $model -p "$question" --temp 1 -s 8 -n 24
cmp -s "$tmp/out" "$tmp/seed7" && failed "another seed gives the same answer"
runs 0 run -m $model -p "$question" --temp 1 -s -1 -n 2 -v
contains "$tmp/err" "sphinx: seed "
contains "$tmp/err" "prefill"
contains "$tmp/err" "SPHINX (llama_ens)"

# ---- a stop text ends the answer before it
stop=$(printf '%s' "$base" | cut -c 5-7)
expect 0 "$(printf '%s' "$base" | cut -c 1-4 | sed 's/ *$//')$nl" "" run -m $model -i $scene -p "$question" --temp 0 -n 24 \
    --stop "no such text" --stop "$stop"

# ---- JSON
runs 0 run -m $model -i $scene -p "$question" --temp 0 -n 24 --json
value() {
    "$json_value" "$tmp/out" "$@"
}
same "one line of JSON" "$(wc -l <"$tmp/out" | tr -d ' ')" 1
same "JSON text" "$(value text)" "$(golden llama_ens)"
same "JSON finish_reason" "$(value finish_reason)" length
same "JSON image_tokens" "$(value image_tokens)" 22
same "JSON boxes" "$(value boxes)" "[]"
same "JSON points" "$(value points)" "[]"
same "JSON tokens" "$(value tokens | tr ',' '\n' | wc -l | tr -d ' ')" 24
same "JSON logprobs" "$(value logprobs | tr ',' '\n' | wc -l | tr -d ' ')" 24
for stage in load encode clip convnext dinov2 qformer prefill decode; do
    [ -n "$(value timings $stage)" ] || failed "JSON: no timing of $stage"
done
same "nothing but JSON" "$(wc -c <"$tmp/err" | tr -d ' ')" 0

# ---- drawing
runs 0 run -m $model -i $scene -p "$question" --temp 0 -n 4 --draw "$tmp/drawn.png"
same "a PNG" "$(head -c 4 "$tmp/drawn.png" | tr -d '\211')" PNG
same "of the image's size" "$(dd if="$tmp/drawn.png" bs=1 skip=16 count=8 2>/dev/null | od -An -tx1)" \
    "$(dd if=$scene bs=1 skip=16 count=8 2>/dev/null | od -An -tx1)"
fails 1 "--draw $tmp/none/drawn.png: there is no folder $tmp/none/" run -m $model -i $scene -p hi --draw "$tmp/none/drawn.png"
runs 0 run -m $model -i $scene -p "$question" --temp 0 -n 4 --attention "$tmp/map.png"
same "a PNG" "$(head -c 4 "$tmp/map.png" | tr -d '\211')" PNG
answered=$(cut -c 1-2 <"$tmp/out")
runs 0 run -m $model -i $scene -p "$question" --temp 0 -n 4 --attention "$tmp/word.png" --attention-word "$answered"
cmp -s "$tmp/map.png" "$tmp/word.png" && failed "--attention-word changes nothing"
expect 1 "$(cat "$tmp/out")$nl" "sphinx: --attention-word: \"no such word\" is not in the answer$nl" run -m $model -i $scene \
    -p "$question" --temp 0 -n 4 --attention "$tmp/map.png" --attention-word "no such word"
fails 1 "--draw $tmp: is a directory" run -m $model -i $scene -p hi --draw "$tmp"

# ---- models
fails 1 "$tmp/none: no such file or folder" run -m "$tmp/none" -p hi
fails 1 "unknown variant \"llama_big\": known are llama_ens, llama_ens5, mixtral_sparse_ens, mixtral_sparse_ens5, llama_ens_light, llama_ens5_light, llama_ens10, llama_ens5p2, llama_ens_peft, llama_qformerv2_peft, llama_peft" \
    run -m $model --llama-type llama_big -p hi
runs 1 run -m $model --tokenizer $scene -p hi
contains "$tmp/err" "$scene"
mkdir "$tmp/lfs"
cp $model/*.json "$tmp/lfs"
cp tests/data/tokenizer.model "$tmp/lfs"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n' >"$tmp/lfs/consolidated.00-of-01.model.pth"
runs 1 run -m "$tmp/lfs" -p hi
contains "$tmp/err" "git-lfs"
head -c 1000 $model/consolidated.00-of-01.model.pth >"$tmp/lfs/consolidated.00-of-01.model.pth"
runs 1 run -m "$tmp/lfs" -p hi
same "one sentence" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
: >"$tmp/lfs/consolidated.00-of-01.model.pth"
runs 1 run -m "$tmp/lfs" -p hi
contains "$tmp/err" "empty"

# The bundled model, found from where the program is; and $SPHINX_MODEL before it.
mkdir "$tmp/bin" "$tmp/models"
cp "$sphinx" "$tmp/bin/sphinx"
"$sphinx" convert $model "$tmp/models/sphinx-nano.gguf" --type f32 -q
for quiet in "" -q; do
    # shellcheck disable=SC2086 # empty or one word
    "$tmp/bin/sphinx" run -p "$question" --temp 0 -n 24 $quiet >"$tmp/out" 2>"$tmp/err" || failed "no bundled model"
    same "the bundled model answers" "$(cat "$tmp/out")" "$(golden llama_ens-text)"
    note="sphinx: no model named: sphinx-nano answers, a small one that knows drawings and pictures like those of make demo$nl"
    [ -z "$quiet" ] || note=""
    same_bytes "note on the bundled model" "$tmp/err" "$note"
done
SPHINX_MODEL=$tiny/llama_ens_light "$tmp/bin/sphinx" run -i $scene -p "$question" --temp 0 -n 24 >"$tmp/out" 2>"$tmp/err"
same "SPHINX_MODEL" "$(cat "$tmp/out")" "$(golden llama_ens_light)"
same_bytes "SPHINX_MODEL is somebody's choice" "$tmp/err" ""

# ---- questions and images
fails 1 "the question is empty" run -m $model -p ""
fails 1 "the question is empty" run -m $model -f -
fails 1 "the question is not UTF-8: byte 1 (0xff) belongs to no character" run -m $model -p "$(printf 'a\377b')"
fails 1 "$tmp/none: cannot open: No such file or directory" run -m $model -f "$tmp/none"
printf 'a\000b' >"$tmp/nul"
fails 1 "$tmp/nul: a question holds no NUL characters" run -m $model -f "$tmp/nul"
fails 1 "$tmp/none.png: cannot open: No such file or directory" run -m $model -i "$tmp/none.png" -p hi
head -c 300 $scene >"$tmp/cut.png"
for image in "$tmp/nul" "$tmp/cut.png" /dev/null; do
    runs 1 run -m $model -i "$image" -p hi
    contains "$tmp/err" "sphinx: $image"
    same "one sentence on $image" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
done
runs 1 run -m $model -i $scene -p hi --pixels-max 100
contains "$tmp/err" "100"
runs 1 run -m $tiny/llama-meta --llama-type llama_ens --config $model/config.json -i $scene -p hi
same "one sentence on a model without encoders" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "%d ", i }' >"$tmp/long"
runs 1 run -m $model -f "$tmp/long" -c 300
same "one sentence on a long question" "$(wc -l <"$tmp/err" | tr -d ' ')" 1

# ---- standard output that cannot take it
if [ -c /dev/full ]; then
    for option in "" --json; do
        # shellcheck disable=SC2086 # empty or one word
        "$sphinx" run -m $model -p hi -n 8 $option >/dev/full 2>"$tmp/err"
        same "a full disk $option" $? 1
        same "" "$(cat "$tmp/err")" "sphinx: cannot write standard output: No space left on device"
    done
    "$sphinx" help >/dev/full 2>"$tmp/err"
    same "help on a full disk" $? 1
fi
"$sphinx" run -m $model -i $scene -p hi -n 8 --draw "$tmp/closed.png" >&- 2>"$tmp/err"
same "standard output closed" $? 1
same "" "$(cat "$tmp/err")" "sphinx: cannot write standard output: Bad file descriptor"
"$sphinx" run -m $model -p hi -n 200000 -c 200000 --ignore-eos 2>"$tmp/err" | head -c 20 >"$tmp/out"
same "the reader of standard output left" "$(wc -c <"$tmp/out" | tr -d ' ')" 20
same_bytes "quietly" "$tmp/err" ""
finish
