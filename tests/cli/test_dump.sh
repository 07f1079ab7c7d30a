#!/bin/sh
# test_dump.sh SPHINX JSON_VALUE - sphinx dump: which tensors, of which shapes, in a file that is replaced whole or not at all.
# Their numbers are compared with the reference's in tests/model/.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens5
# The header of a safetensors file is JSON behind eight bytes of length.
header() {
    length=$(od -An -tu4 -N4 "$1" | tr -d ' ')
    dd if="$1" bs=1 skip=8 count="$length" 2>/dev/null >"$tmp/header"
}
shape() {
    "$json_value" "$tmp/header" "$1" shape
}

expect 0 "" "" dump -m $model -i $scene -p "$question" -o "$tmp/a.safetensors"
header "$tmp/a.safetensors"
same views "$(shape views)" "[5,3,28,28]"
same image_tokens "$(shape image_tokens)" "[110,32]"
same logits "$(shape logits)" "[512]"
same "type of prompt_ids" "$("$json_value" "$tmp/header" prompt_ids dtype)" I64
for name in clip convnext dinov2 qformer; do
    case $(shape $name) in "[5,"*) ;; *) failed "$name is not there" ;; esac
done
runs 0 run -m $model -i $scene -p "$question" -n 1 --json
same "length of the prompt" "$(shape prompt_ids)" "[$("$json_value" "$tmp/out" prompt_tokens)]"

# The same bytes again; more names with --all; fewer without an image, or in a light variant.
cp "$tmp/a.safetensors" "$tmp/b.safetensors"
runs 0 dump -m $model -i $scene -p "$question" -o "$tmp/b.safetensors" -t 1
cmp -s "$tmp/a.safetensors" "$tmp/b.safetensors" || failed "a second dump differs"
runs 0 dump -m $model -i $scene -p "$question" -o "$tmp/b.safetensors" --all
[ "$(wc -c <"$tmp/b.safetensors")" -gt "$(wc -c <"$tmp/a.safetensors")" ] || failed "--all adds nothing"
runs 0 dump -m $model -p "$question" -o "$tmp/b.safetensors"
header "$tmp/b.safetensors"
"$json_value" "$tmp/header" views >"$tmp/out" 2>&1 && failed "views without an image"
runs 0 dump -m $tiny/llama_ens_light -i $scene -p "$question" -o "$tmp/b.safetensors"
header "$tmp/b.safetensors"
"$json_value" "$tmp/header" clip >"$tmp/out" 2>&1 && failed "clip in a light variant"

# What fails leaves the old file as it is.
cp "$tmp/a.safetensors" "$tmp/b.safetensors"
runs 1 dump -m $model -i "$tmp/none.png" -p "$question" -o "$tmp/b.safetensors"
cmp -s "$tmp/a.safetensors" "$tmp/b.safetensors" || failed "a failed dump changed the file"
fails 1 "--output $tmp/none/x: there is no folder $tmp/none/" dump -m $model -p hi -o "$tmp/none/x"
same "nothing is left behind" "$(find "$tmp" -name '*.safetensors*' | wc -l | tr -d ' ')" 2
finish
