#!/bin/sh
# test_convert.sh SPHINX JSON_VALUE - sphinx convert: round trips through all formats, types, patterns, and what it refuses.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

answer() {
    "$sphinx" run -m "$1" -i $scene -p "$question" --temp 0 -n 12
}

# Names and types, and with a second argument only those of one part.
types() {
    "$sphinx" inspect "$1" --tensors | awk -v part="${2:-}" 'NF >= 4 && $4 ~ /^\[/ && (part == "" || $1 == part) { print $3, $2 }'
}

# Round trips: upstream's folder -> one file -> safetensors -> upstream's folder, equal to the last bit.
for model in llama_ens-2shards llama_ens5_light mixtral_sparse_ens-2shards llama_ens-bf16; do
    shards=1
    case $model in *2shards) shards=2 ;; esac
    runs 0 convert $tiny/$model "$tmp/a.gguf" -q
    runs 0 convert "$tmp/a.gguf" "$tmp/b" --safetensors -q
    runs 0 convert "$tmp/b" "$tmp/c" --shards $shards -q
    runs 0 convert "$tmp/c" "$tmp/d.gguf" -q
    cmp "$tmp/a.gguf" "$tmp/d.gguf" || failed "$model: the round trip changes something"
    want=$(answer $tiny/$model)
    for again in a.gguf b c; do same "$model, $again: answer" "$(answer "$tmp/$again")" "$want"; done
    same "$model: files" "$(cd "$tmp/c" && echo *.pth)" "$(cd $tiny/$model && echo *.pth)"
    cmp $tiny/$model/config.json "$tmp/c/config.json" || failed "$model: another config.json"
    cmp $tiny/$model/tokenizer.model "$tmp/c/tokenizer.model" || failed "$model: another tokenizer.model"
    rm -rf "$tmp/a.gguf" "$tmp/b" "$tmp/c" "$tmp/d.gguf"
done

# Base and difference become one; Meta's files get encoders; the answer stays.
runs 0 convert $tiny/llama-meta $tiny/llama_ens-diff "$tmp/whole.gguf" -q
same "base and difference: answer" "$(answer "$tmp/whole.gguf")" "$(answer "$tiny/llama-meta,$tiny/llama_ens-diff")"

# A model whose rows fill the blocks of all types but where they cannot.
cat >"$tmp/config.json" <<END
{"dim": 256, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "multiple_of": 160, "norm_eps": 1e-5,
 "vision": {"image_size": 64, "view_size": 32,
  "clip": {"patch_size": 8, "width": 64, "layers": 1, "heads": 2, "mlp_width": 128},
  "convnext": {"image_size": 64, "depths": [1, 1, 1, 1], "dims": [32, 32, 64, 64]},
  "dinov2": {"patch_size": 8, "pretrain_size": 32, "width": 64, "layers": 1, "heads": 2, "ffn_width": 96},
  "qformer": {"patch_size": 8, "vision_width": 64, "vision_layers": 1, "vision_heads": 2, "vision_mlp_width": 128,
              "queries": 4, "width": 64, "layers": 2, "heads": 2, "mlp_width": 128, "cross_every": 2}}}
END
runs 0 init "$tmp/model" --llama-type llama_ens --config "$tmp/config.json" --tokenizer tests/data/tokenizer.model --type bf16 -q
want=$(answer "$tmp/model")
for type in f32 f16 bf16; do
    runs 0 convert "$tmp/model" "$tmp/$type.gguf" --type $type -q
    same "$type: answer" "$(answer "$tmp/$type.gguf")" "$want"
    runs 0 convert "$tmp/model" "$tmp/$type" --type $type -q
    same "$type folder: types" "$(types "$tmp/$type" | awk '{ print $2 }' | sort -u)" $type
done
for type in q8_0 q6_K q4_K q4_0; do
    runs 0 convert "$tmp/model" "$tmp/$type.gguf" --type $type
    contains "$tmp/err" "written: $tmp/$type.gguf"
    contains "$tmp/err" "rows that do not fill the blocks of their type"
    types "$tmp/$type.gguf" >"$tmp/types"
    contains "$tmp/types" "layers.1.attention.wo.weight $type"
    contains "$tmp/types" "layers.1.feed_forward.w1.weight $type"
    contains "$tmp/types" "layers.1.attention_norm.weight f32"
    contains "$tmp/types" "clip.visual.transformer.resblocks.0.mlp.c_fc.weight q8_0"
    contains "$tmp/types" "clip.visual.conv1.weight f16"
    contains "$tmp/types" "openclip_convnext_xxl.stages.1.downsample.1.weight f16"
    contains "$tmp/types" "visual_proj.0.weight q8_0"
    case $type in q4_?) vocabulary=q6_K ;; *) vocabulary=$type ;; esac
    contains "$tmp/types" "output.weight $vocabulary"
    contains "$tmp/types" "tok_embeddings.weight $vocabulary"
    case $type in q4_K) narrow=q4_0 ;; q6_K) narrow=q8_0 ;; *) narrow=$type ;; esac
    contains "$tmp/types" "layers.1.feed_forward.w2.weight $narrow" # rows of 800
    runs 0 inspect "$tmp/$type.gguf" --check -q
    answer "$tmp/$type.gguf" >/dev/null || failed "$type: no answer"
done
runs 0 convert "$tmp/model" "$tmp/again.gguf" --type q4_k -q -t 3
cmp "$tmp/q4_K.gguf" "$tmp/again.gguf" || failed "the spelling of the type or the number of threads changes the file"

# Patterns: the last that matches counts, a quantised one leaves small weights alone.
runs 0 convert "$tmp/model" "$tmp/p.gguf" --type q4_0 --tensor-type 'layers.*=q8_0' --tensor-type 'layers.1.*wq*=f16' \
    --tensor-type norm.weight=bf16 -q
types "$tmp/p.gguf" llama >"$tmp/types"
contains "$tmp/types" "layers.0.attention.wq.weight q8_0"
contains "$tmp/types" "layers.1.attention.wq.weight f16"
contains "$tmp/types" "layers.1.ffn_norm.weight f32"
grep -qx "norm.weight bf16" "$tmp/types" || failed "a pattern without stars"
fails 1 "the pattern \"layer.*\" matches no matrix of this model" convert "$tmp/model" "$tmp/no.gguf" --tensor-type 'layer.*=q8_0'
runs 2 convert "$tmp/model" "$tmp/no.gguf" --tensor-type 'layers.*'
contains "$tmp/err" "is no PATTERN=TYPE"
runs 2 convert "$tmp/model" "$tmp/no.gguf" --tensor-type 'layers.*=q3'
contains "$tmp/err" "there is no type"

# Without --type a few weights may change, the others do not.
runs 0 convert "$tmp/model" "$tmp/k.gguf" --tensor-type output.weight=f32 -q
same "types kept" "$(types "$tmp/k.gguf" | awk '{ print $2 }' | sort | uniq -c | sort -n | awk '{ print $2 }' | tr '\n' ' ')" "f32 bf16 "

# The language model alone: another architecture, nothing of the encoders, the same answers.
runs 0 convert "$tmp/model" "$tmp/text.gguf" --text-only -q
same "text alone: components" "$(types "$tmp/text.gguf" | grep -vc '^layers\|^norm\|^output\|^tok_emb')" 0
text() {
    "$sphinx" run -m "$1" -p "$question" --temp 0 -n 12
}
same "text alone: answer" "$(text "$tmp/text.gguf")" "$(text "$tmp/model")"
runs 0 convert "$tmp/model" "$tmp/text" --llm-only -q
same "text alone, folder: answer" "$(text "$tmp/text")" "$(text "$tmp/model")"
runs 0 convert "$tmp/text" "$tmp/text2.gguf" -q
cmp "$tmp/text.gguf" "$tmp/text2.gguf" || failed "a language model alone is another file by another way"

# From quantised weights: to a folder only with a type that it can hold.
runs 1 convert "$tmp/q4_0.gguf" "$tmp/folder"
contains "$tmp/err" "files cannot hold: choose --type f16, bf16 or f32"
runs 0 convert "$tmp/q4_0.gguf" "$tmp/folder" --type f32 -q
same "quantised, then as f32: answer" "$(answer "$tmp/folder")" "$(answer "$tmp/q4_0.gguf")"
runs 0 convert "$tmp/q8_0.gguf" "$tmp/twice.gguf" --type q4_0
contains "$tmp/err" "quantised before"
runs 0 convert "$tmp/q4_0.gguf" "$tmp/copy.gguf"
cmp "$tmp/q4_0.gguf" "$tmp/copy.gguf" || failed "a copy of a quantised file is another file"

# What is refused, and what stays as it was.
runs 2 convert "$tmp/model"
runs 2 convert "$tmp/model" "$tmp/no.pth"
contains "$tmp/err" "OUT is a folder"
runs 2 convert "$tmp/model" "$tmp/no.gguf" --safetensors
runs 2 convert "$tmp/model" "$tmp/no.gguf" --shards 2
runs 2 convert "$tmp/model" "$tmp/no" --shards 2 --safetensors
fails 1 "$tmp/model: the folder holds something already: remove it or name another" convert "$tmp/q4_0.gguf" "$tmp/model" --type f16
runs 1 convert "$tmp/model" "$tmp/no" --shards 7
contains "$tmp/err" "7 shards do not divide"
sed 's/"n_layers": [0-9]*/"n_layers": 9/' $tiny/llama_ens/config.json >"$tmp/deep.json"
runs 1 convert $tiny/llama_ens "$tmp/no.gguf" --config "$tmp/deep.json"
contains "$tmp/err" "not complete: "
mkdir "$tmp/broken"
cp "$tmp/model"/* "$tmp/broken"
head -c 100000 "$tmp/model"/*.pth >"$tmp/broken/consolidated.00-of-01.model.pth"
cp "$tmp/q4_0.gguf" "$tmp/old.gguf"
runs 1 convert "$tmp/broken" "$tmp/old.gguf"
cmp "$tmp/q4_0.gguf" "$tmp/old.gguf" || failed "a failure touches the old file"
[ -e "$tmp/no" ] || [ -e "$tmp/no.gguf" ] && failed "a failure leaves something behind"

# A full disk: the old file stays, nothing else remains. The limit on file sizes is the nearest thing without a disk of our own.
(
    ulimit -f 200
    trap '' XFSZ
    "$sphinx" convert "$tmp/model" "$tmp/old.gguf" --type f32 2>"$tmp/err"
)
code=$?
same "disk full: exit code" $code 1
contains "$tmp/err" "old.gguf"
cmp "$tmp/q4_0.gguf" "$tmp/old.gguf" || failed "a full disk harms the old file"
same "nothing is left behind" "$(find "$tmp" -name '*.tmp-*' | wc -l | tr -d ' ')" 0
finish
