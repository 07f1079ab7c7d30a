#!/bin/sh
# test_inspect.sh SPHINX JSON_VALUE - sphinx inspect on whole, partial and damaged models; sphinx init makes some of them.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

value() {
    "$json_value" "$tmp/out" "$@"
}

# ---- whole ones
for model in llama_ens llama_ens-2shards llama_ens-bf16 llama_ens-safetensors llama_ens5 llama_ens5p2 llama_ens10 llama_ens_light \
    llama_ens_light-safetensors mixtral_sparse_ens mixtral_sparse_ens-2shards mixtral_sparse_ens5; do
    runs 0 inspect $tiny/$model
    same "$model: complete" "$(tail -n 1 "$tmp/out")" "complete: yes"
    same_bytes "$model: nothing to complain of" "$tmp/err" ""
    grep -q '^missing\|^misshapen\|^extra' "$tmp/out" && failed "$model: has troubles"
done
runs 0 inspect $tiny/llama-meta $tiny/llama_ens-diff
runs 0 inspect -m $tiny/llama-meta -m $tiny/llama_ens-diff --json
same "paths" "$(value paths 0 format) $(value paths 1 format)" "$("$sphinx" inspect -m $tiny/llama-meta,$tiny/llama_ens-diff |
    awk '/^path/ { sub(", shards.*", ""); sub(".*: ", ""); printf "%s%s", n++ ? " " : "", $0 }')"
same "several paths are complete" "$(value complete)" true

runs 0 inspect $tiny/mixtral_sparse_ens-2shards --json
same "llama_type" "$(value llama_type)" mixtral_sparse_ens
same "shards" "$(value paths 0 shards)" 2
same "experts" "$(value config n_experts)" 4
same "image words" "$(value config image_words)" 22
same "types" "$(value components 0 types)" '["f32"]'
same "components" "$(for i in 0 1 2 3 4 5; do value components $i name; done | tr '\n' ' ')" \
    "clip convnext dinov2 qformer mixer llama "
runs 0 inspect $tiny/llama_ens --json --tensors
same "every tensor is listed" "$(value tensors | tr '{' '\n' | grep -c name)" \
    "$("$sphinx" inspect $tiny/llama_ens | awk '$1 == "all" { print $2 }')"
runs 0 inspect $tiny/llama_ens --tensors
contains "$tmp/out" "llama     f32  layers.0.attention.wq.weight [32, 32]"

# ---- a GGUF file says more of itself
runs 0 inspect tests/data/gguf/sphinx.gguf
contains "$tmp/out" "path: tests/data/gguf/sphinx.gguf: gguf, shards 1"
contains "$tmp/out" "f16             234                          208216"
contains "$tmp/out" 'sphinx.llama_type                        string "llama_ens"'
same "complete" "$(tail -n 1 "$tmp/out")" "complete: yes"
runs 0 inspect tests/data/gguf/llama.gguf --json --check
same "types" "$(value types 0 type) $(value types 0 tensors) $(value types 0 bytes)" "f32 21 201344"
same "format" "$(value paths 0 format)" gguf
same "keys" "$(value paths 0 keys 0 key) $(value paths 0 keys 0 kind) $(value paths 0 keys 0 value)" 'general.architecture string "llama"'
runs 1 inspect tests/data/gguf/kinds.gguf
same "" "$(cat "$tmp/err")" \
    "sphinx: tests/data/gguf/kinds.gguf: holds a model of the architecture kinds; supported are sphinx and llama"

# ---- a light model is a full one with parts missing, and the other way round
light=$tiny/llama_ens_light
full=$tiny/llama_ens
runs 1 inspect $light --llama-type llama_ens --config $full/config.json
same "" "$(cat "$tmp/err")" "sphinx: $light: the model is not complete"
contains "$tmp/out" "missing: clip.visual.conv1.weight [16, 3, 7, 7]"
contains "$tmp/out" "more (--tensors shows all)"
contains "$tmp/out" "misshapen: "
grep '^misshapen: ' "$tmp/out" | grep 'visual_proj.0.weight' | grep '\[32, 44\]' | grep -q '\[32, 60\]' ||
    failed "a misshapen tensor is not named with both shapes"
same "complete" "$(tail -n 1 "$tmp/out")" "complete: no"
runs 1 inspect $light --llama-type llama_ens --config $full/config.json --json
same "complete" "$(value complete)" false
runs 1 inspect $light --llama-type llama_ens --config $full/config.json --tensors
contains "$tmp/out" "missing: qformer.query_tokens"

# ---- a language model alone
runs 0 inspect $tiny/llama-meta --llama-type llama_ens --tokenizer tests/data/tokenizer.model
contains "$tmp/out" "images: none"
grep -q '^clip' "$tmp/out" && failed "a language model has no clip"

# ---- damage
mkdir "$tmp/model"
cp $full/*.json "$tmp/model"
cp tests/data/tokenizer.model "$tmp/model"
weights=$tmp/model/consolidated.00-of-01.model.pth
cp $full/consolidated.00-of-01.model.pth "$weights"
runs 0 inspect "$tmp/model" --check
same "" "$(cat "$tmp/err")" "sphinx: checked: every byte and every number is sound"
size=$(wc -c <"$weights")
printf '\377\377\377\377' | dd of="$weights" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
runs 0 inspect "$tmp/model" # names and shapes are still there
runs 1 inspect "$tmp/model" --check
same "one sentence" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
head -c $((size / 2)) $full/consolidated.00-of-01.model.pth >"$weights"
runs 1 inspect "$tmp/model"
contains "$tmp/err" "consolidated.00-of-01.model.pth"
rm "$weights"
runs 1 inspect "$tmp/model"
same "one sentence" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
cp $full/consolidated.00-of-01.model.pth "$weights"
printf '{"llama_type": "llama_ens", ' >"$tmp/model/meta.json"
runs 1 inspect "$tmp/model"
contains "$tmp/err" "meta.json"
rm "$weights"

# A number that is none, in a format without checksums.
cp $tiny/llama_ens-safetensors/*.json "$tmp/model"
cp $tiny/llama_ens-safetensors/model.safetensors "$tmp/model"
size=$(wc -c <"$tmp/model/model.safetensors")
printf '\000\000\300\177' | dd of="$tmp/model/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
runs 0 inspect "$tmp/model"
runs 1 inspect "$tmp/model" --check
contains "$tmp/err" "not a finite number"

# ---- init: every variant, type, number of shards
for type in llama_ens llama_ens5 llama_ens5_light mixtral_sparse_ens; do
    rm -rf "$tmp/made"
    expect 0 "" "sphinx: written: $tmp/made$nl" init "$tmp/made" --llama-type $type --config $tiny/$type/config.json \
        --tokenizer tests/data/tokenizer.model --type f16 --seed 5
    runs 0 inspect "$tmp/made" --check -q
    contains "$tmp/out" "  f16"
done
make() {
    runs 0 init "$tmp/$1" --llama-type llama_ens --config $full/config.json --tokenizer tests/data/tokenizer.model --type f32 -q \
        --seed "$2" --shards "$3"
    "$sphinx" run -m "$tmp/$1" -i $scene -p "$question" --temp 0 -n 16
}
one=$(make one 1 1)
same "two shards answer as one" "$(make two 1 2)" "$one"
same "shards" "$(find "$tmp/two" -name 'consolidated.0?-of-02.model.pth' | wc -l | tr -d ' ')" 2
[ "$(make other 2 1)" = "$one" ] && failed "another seed gives the same weights"
runs 1 init "$tmp/three" --llama-type llama_ens --config $full/config.json --tokenizer tests/data/tokenizer.model --shards 3
contains "$tmp/err" "3 shards do not divide"
runs 1 init "$scene/x" --llama-type llama_ens --config $full/config.json
same "one sentence" "$(wc -l <"$tmp/err" | tr -d ' ')" 1
runs 0 init "$tmp/st" --llama-type llama_ens_light --config $light/config.json --tokenizer tests/data/tokenizer.model --safetensors -q
runs 0 inspect "$tmp/st" --check -q
finish
