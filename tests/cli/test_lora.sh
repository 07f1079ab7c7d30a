#!/bin/sh
# test_lora.sh SPHINX JSON_VALUE - adapters: trained beside a quantised model, taken up again to the last bit, put on models, scaled, merged.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig

base=$tmp/base.gguf
runs 0 synth "$tmp/data" --count 8 --size 64 -q
runs 0 convert $tiny/llama_ens "$base" --type q8_0 -q
cat >"$tmp/c.yaml" <<END
model: $base
data_config: data/meta.yaml
output_dir: $tmp/run
lora_rank: 4
bias_tuning: true
norm_tuning: true
precision: f32
batch_size: 2
accum_iter: 1
max_steps: 4
save_every: 2
keep: 0
lr: 2.0e-2
warmup_steps: 1
max_words: 300
END

# What a run of adapters leaves: no model. Resumed, the same bytes.
runs 0 train "$tmp/c.yaml" -t 1
contains "$tmp/err" "of the model's numbers learn from "
same "files of a checkpoint" "$(cd "$tmp/run/epoch0-iter3" && echo *)" "adapter.safetensors training.state"
cp -r "$tmp/run" "$tmp/again"
rm -rf "$tmp/again/epoch0-iter3"
runs 0 train "$tmp/c.yaml" -t 1 -o "$tmp/again" --resume "$tmp/again/epoch0-iter1" -q
cmp "$tmp/run/epoch0-iter3/adapter.safetensors" "$tmp/again/epoch0-iter3/adapter.safetensors" || failed "resumed, it learned something else"
adapter=$tmp/run/epoch0-iter3

dump() { # dump OUT OPTION...: the logits behind a question
    out=$1
    shift
    runs 0 dump -i $scene -p "$question" -o "$out" -q "$@"
}

# On the model it was trained on, on what that was made from, folder or file; and not at all at scale 0.
dump "$tmp/base" -m "$base"
dump "$tmp/tuned" -m "$base" --lora "$adapter"
dump "$tmp/file" -m "$base" --lora "$adapter/adapter.safetensors:1.0"
dump "$tmp/none" -m "$base" --lora "$adapter:0"
cmp -s "$tmp/base" "$tmp/tuned" && failed "the adapter changes nothing"
cmp "$tmp/tuned" "$tmp/file" || failed "a folder and its file differ"
cmp "$tmp/base" "$tmp/none" || failed "scale 0 changes something"
runs 0 run -m $tiny/llama_ens --lora "$adapter" -i $scene -p hi -n 2
printf '{"image": "%s", "question": "hi"}\n' "$(pwd)/$scene" >"$tmp/list.jsonl"
runs 0 batch "$tmp/list.jsonl" -m "$base" --lora "$adapter" -o "$tmp/answers.jsonl" -n 2 -q

# Merged, it answers alike, and the model says that it has biases.
runs 0 run -m "$tiny/llama_ens" --lora "$adapter" -i $scene -p "$question" -n 12 --temp 0
cp "$tmp/out" "$tmp/with"
runs 0 convert $tiny/llama_ens "$tmp/merged.gguf" --lora "$adapter"
contains "$tmp/err" "29 tensors are changed by what was learned beside them"
runs 0 run -m "$tmp/merged.gguf" -i $scene -p "$question" -n 12 --temp 0
cmp "$tmp/out" "$tmp/with" || failed "merged, it answers something else"
runs 0 inspect --check "$tmp/merged.gguf"
runs 0 mix $tiny/llama_ens $tiny/llama_ens-f16 --lora "$adapter" -o "$tmp/mixed.gguf" -q

# What does not fit.
runs 0 init "$tmp/other" --llama-type llama_ens --config $tiny/llama_ens/config.json --tokenizer $tiny/llama_ens/tokenizer.model -q
fails 1 "$adapter/adapter.safetensors: the adapter was made for another base: its weights are not those of this model" \
    run -m "$tmp/other" --lora "$adapter" -p hi
fails 1 "$adapter/adapter.safetensors: layers.0.attention.wk.lora_b.weight is [32, 4], and to fit this model it would be [16, 4]" \
    run -m $tiny/llama_ens_light --lora "$adapter" -p hi
fails 1 "none: cannot open: No such file or directory" run -m "$base" --lora none -p hi
fails 1 "$adapter:inf: the scale is not a finite number" run -m "$base" --lora "$adapter:inf" -p hi
fails 2 "mix: --lora does not go with --delta: merge the adapter first (see: sphinx help mix)" \
    mix $tiny/llama_ens $tiny/llama_ens-f16 --delta --lora "$adapter" -o "$tmp/delta"
refused() { # refused WANT OPTION...
    want=$1
    shift
    runs 1 train "$tmp/c.yaml" -o "$tmp/no" "$@"
    contains "$tmp/err" "$want"
}
refused "nothing to adapt" --set lora_targets=layers.9.*
refused "tok_embeddings.weight" --set lora_targets=tok_embeddings.weight
refused "of no use without" --set "lora_targets='*'" --set lora_rank=0
refused "mm_stage1" --set trainable_mode=mm_stage1
refused "is the state of a run with trained numbers" --resume "$adapter" --set lora_rank=5
refused "quantised weights cannot be trained" --set lora_rank=0 --set bias_tuning=false --set norm_tuning=false
finish
