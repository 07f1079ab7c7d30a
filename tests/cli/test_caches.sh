#!/bin/sh
# test_caches.sh SPHINX JSON_VALUE - --image-cache and --prompt-cache: what a second run does not compute again, and what it says of
# files that do not fit.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens
run() { # CODE ARGUMENT...
    code=$1
    shift
    runs "$code" run --temp 0 -n 12 --json "$@"
}
value() {
    "$json_value" "$tmp/out" "$@"
}
answer=$("$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 12)

# ---- images
images=$tmp/images
run 0 -m $model -i $scene -p "$question" --image-cache "$images"
same "the first run" "$(value image_cached)" false
contains "$tmp/out" '"encode"'
for format in llama_ens llama_ens-2shards llama_ens-safetensors; do
    run 0 -m $tiny/$format -i $scene -p "$question" --image-cache "$images"
    same "$format: a later run" "$(value image_cached)" true
    same "$format: the answer" "$(value text)" "$answer"
    contains "$tmp/out" '"image_cache"'
    grep -q '"encode"\|"clip"' "$tmp/out" && failed "$format: something was encoded"
done
run 0 -m $tiny/llama_ens-bf16 -i $scene -p "$question" --image-cache "$images"
same "another model" "$(value image_cached)" false
run 0 -m $model -i $scene -p "$question" --image-cache "$images" --cpu portable
run 0 -m $model -i $scene -p "$question" --image-cache "$images" --cpu portable --precise
same "other settings" "$(value image_cached)" false

# Damage is one warning, and repaired.
rm -rf "$images"
run 0 -m $model -i $scene -p "$question" --image-cache "$images"
entry=$(ls "$images"/*.safetensors)
head -c 1000 "$entry" >"$tmp/cut"
cp "$tmp/cut" "$entry"
run 0 -m $model -i $scene -p "$question" --image-cache "$images"
same "a damaged entry" "$(value image_cached) $(value text)" "false $answer"
same "warnings" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
contains "$tmp/err" "sphinx: warning: image cache: $entry: is truncated"
run 0 -m $model -i $scene -p "$question" --image-cache "$images"
same "repaired" "$(value image_cached)" true
same_bytes "nothing to say" "$tmp/err" ""
cp "$tmp/cut" "$tmp/file"
run 0 -m $model -i $scene -p "$question" --image-cache "$tmp/file"
same "warnings about the folder" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
contains "$tmp/err" "images are not kept"
run 0 -m $model -i $scene -p "$question" --image-cache "$images" --image-cache-size 100
run 2 -m $model -i $scene -p "$question" --image-cache-size 100
contains "$tmp/err" "--image-cache DIR"

# ---- prompts
talk=$tmp/talk
run 0 -m $model -i $scene -p "$question" --prompt-cache "$talk"
same "the first run" "$(value cached_tokens)" 0
positions=$(($(value image_tokens) + $(value prompt_tokens)))
run 0 -m $model -i $scene -p "$question" --prompt-cache "$talk"
same "the same question" "$(value cached_tokens)" $((positions - 1))
same "its answer" "$(value text)" "$answer"
grep -q '"encode"' "$tmp/out" && failed "encoded again"
run 0 -m $model -p "$question" --prompt-cache "$talk" --draw "$tmp/drawn.png"
same "the file's image" "$(value cached_tokens) $(value text)" "$((positions - 1)) $answer"
same "a PNG" "$(head -c 4 "$tmp/drawn.png" | tr -d '\211')" PNG
cp $scene "$tmp/in"
run 0 -m $model -i - -p "And where is it?" --prompt-cache "$talk"
[ "$(value cached_tokens)" -gt "$(value image_tokens)" ] || failed "another question begins anew"
: >"$tmp/in"

# A conversation goes on where it was left, and is saved as it goes.
"$sphinx" run -m $model -i $scene -p "$question" --temp 0 -n 12 --prompt-cache "$talk" >"$tmp/first"
printf 'And where is it?\n/save %s\n' "$tmp/saved.json" >"$tmp/in"
runs 0 chat -m $model --temp 0 -n 12 --prompt-cache "$talk"
cp "$tmp/out" "$tmp/second"
contains "$tmp/err" "questions so far, as saved: 1"
same "both turns" "$("$json_value" "$tmp/saved.json" conversations 2 value)" "And where is it?"
printf '%s\nAnd where is it?\n' "$question" >"$tmp/in"
runs 0 chat -m $model -i $scene --temp 0 -n 12
same "as in one go" "$(cat "$tmp/out")" "$(cat "$tmp/first" "$tmp/second")"
printf '/undo\n/undo\n/undo\n' >"$tmp/in"
runs 0 chat -m $model -i $scene --prompt-cache "$talk" --prompt-cache-ro
contains "$tmp/err" "questions so far, as saved: 2"
contains "$tmp/err" "undone; questions left: 0"
runs 0 chat -m $model --prompt-cache "$talk"
: >"$tmp/in"
runs 0 chat -m $model --prompt-cache "$talk" # the undone ones are gone from the file, too
grep -q "questions so far" "$tmp/err" && failed "undone questions were saved"

# What does not fit: a question about a given image is computed anew, everything else is refused, and nothing foreign is overwritten.
cp "$talk" "$tmp/kept"
fails 1 "$talk: is a prompt cache of another model" chat -m $tiny/llama_ens5 --prompt-cache "$talk"
fails 1 "$talk: is a prompt cache of another model" run -m $tiny/llama_ens5 -p hi --prompt-cache "$talk"
fails 1 "$talk: is a prompt cache of a key/value cache in f32, this session has f16" chat -m $model -ctk f16 \
    --prompt-cache "$talk"
run 0 -m $tiny/llama_ens5 -i $scene -p "$question" --prompt-cache "$talk" --prompt-cache-ro
same_bytes "the warning" "$tmp/err" "sphinx: warning: $talk: is a prompt cache of another model; all is computed anew$nl"
cmp -s "$talk" "$tmp/kept" || failed "--prompt-cache-ro wrote"
head -c 5000 "$talk" >"$tmp/cut"
runs 1 run -m $model -i $scene -p hi --prompt-cache "$tmp/cut"
contains "$tmp/err" "is truncated"
cp $scene "$tmp/scene.png"
fails 1 "$tmp/scene.png: not a safetensors file: it does not start with a JSON header" run -m $model -i $scene -p hi \
    --prompt-cache "$tmp/scene.png"
cmp -s $scene "$tmp/scene.png" || failed "a picture was overwritten"
run 0 -m $tiny/llama_ens5 -i $scene -p "$question" --prompt-cache "$talk"
run 0 -m $tiny/llama_ens5 -i $scene -p "$question" --prompt-cache "$talk"
[ "$(value cached_tokens)" -gt 0 ] || failed "the file was not replaced"
fails 1 "--prompt-cache $tmp/none/talk: there is no folder $tmp/none/" run -m $model -p hi --prompt-cache "$tmp/none/talk"
fails 1 "$tmp/none: cannot open: No such file or directory" run -m $model -p hi --prompt-cache "$tmp/none" \
    --prompt-cache-ro
runs 2 run -m $model -p hi --prompt-cache-ro
contains "$tmp/err" "--prompt-cache FILE"

# ---- in memory: images that come back
printf '/image %s\n%s\n/image\n/image %s\n%s\n' $scene "$question" $scene "$question" >"$tmp/in"
for bytes in 0 1000000000; do
    runs 0 chat -m $model --temp 0 -n 12 -v --prefix-cache $bytes
    same "both answers" "$(cat "$tmp/out")" "$answer$nl$answer"
    encoded=$(grep -c ' encode ' "$tmp/err")
    same "images encoded with $bytes bytes" "$encoded" "$([ $bytes = 0 ] && echo 2 || echo 1)"
done
finish
