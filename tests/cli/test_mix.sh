#!/bin/sh
# test_mix.sh SPHINX JSON_VALUE - sphinx mix: on disk and at load the same, weights of 1 and 0, patterns, differences, and what it refuses.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

a=$tiny/llama_ens
b=$tmp/b
runs 0 init "$b" --llama-type llama_ens --config $a/config.json --tokenizer $a/tokenizer.model --type f32 --shards 2 -s 7 -q

dump() {
    runs 0 dump -m "$1" -i $scene -p "$question" -o "$2" -q
}

# On disk and at load: every bit of the answer's intermediates is the same.
runs 0 mix $a "$b" --beta 0.3 -o "$tmp/mixed"
contains "$tmp/err" "tensors are mixtures"
contains "$tmp/err" "should have been equal"
dump "$tmp/mixed" "$tmp/disk.safetensors"
dump "$a:0.3,$b:0.7" "$tmp/load.safetensors"
cmp "$tmp/disk.safetensors" "$tmp/load.safetensors" || failed "mixed at load and on disk differ"
dump $a "$tmp/a.safetensors"
cmp -s "$tmp/a.safetensors" "$tmp/disk.safetensors" && failed "the mix is the first model"
runs 0 mix "$a:0.3" "$b:0.7" -t 1 -o "$tmp/mixed.gguf" -q
dump "$tmp/mixed.gguf" "$tmp/gguf.safetensors"
cmp "$tmp/disk.safetensors" "$tmp/gguf.safetensors" || failed "mixed into GGUF differs"

# Half and half without --beta, in either order the same; three models.
runs 0 mix $a "$b" -o "$tmp/ab.gguf" -q
runs 0 mix "$b" $a -o "$tmp/ba.gguf" -q
dump "$tmp/ab.gguf" "$tmp/ab.safetensors"
dump "$tmp/ba.gguf" "$tmp/ba.safetensors"
cmp "$tmp/ab.safetensors" "$tmp/ba.safetensors" || failed "halves depend on the order"
runs 0 mix $a:0.5 "$b:0.3" "$tmp/mixed:0.2" -o "$tmp/three.gguf" -q

# All of one: that one, to the last bit.
runs 0 convert $a "$tmp/a.gguf" -q
runs 0 convert "$b" "$tmp/b.gguf" -q
runs 0 mix $a "$b" --beta 1 -o "$tmp/one.gguf" -q
cmp "$tmp/a.gguf" "$tmp/one.gguf" || failed "--beta 1 is not the first model"
runs 0 mix $a "$b" --beta 0 -o "$tmp/zero.gguf" -q
cmp "$tmp/b.gguf" "$tmp/zero.gguf" || failed "--beta 0 is not the second model"
runs 0 mix $a $a --beta 0.3 -o "$tmp/same.gguf" -q
cmp "$tmp/a.gguf" "$tmp/same.gguf" || failed "a model mixed with itself changes"
runs 0 mix $a "$b" --beta 1 --tensor-beta '*=0' -o "$tmp/pattern.gguf" -q
cmp "$tmp/b.gguf" "$tmp/pattern.gguf" || failed "--tensor-beta is not heard"

# What was learned, apart: base and difference give the tuned model, as near as f16 is.
runs 0 mix "$b" $a --delta -o "$tmp/delta" -q
same "difference: files" "$(cd "$tmp/delta" && echo *.pth)" consolidated.00-of-01.model-diff.pth
same "base and difference: answer" "$("$sphinx" run -m "$a,$tmp/delta" -i $scene -p "$question" --temp 0 -n 8)" \
    "$("$sphinx" run -m "$b" -i $scene -p "$question" --temp 0 -n 8)"

# A difference on top of a mix, here of a model with itself, which changes no bit.
dump "$a,$tmp/delta" "$tmp/plain.safetensors"
dump "$a:0.5,$a:0.5,$tmp/delta" "$tmp/mixed.safetensors"
cmp "$tmp/plain.safetensors" "$tmp/mixed.safetensors" || failed "a difference is added otherwise to a mix"

# What it refuses; nothing is left behind.
usage=' (see: sphinx help mix)'
expect 2 "" "sphinx: mix: -o OUT is missing: where to write$usage$nl" mix $a "$b"
expect 2 "" "sphinx: mix: --beta is 'much', which is not a number$usage$nl" mix $a "$b" --beta much -o "$tmp/no"
expect 1 "" "sphinx: $b: the weights of what is mixed add up to 0.9, they must to 1$nl" mix $a:0.4 "$b:0.5" -o "$tmp/no"
expect 1 "" "sphinx: $a has a weight and $b has none: to be mixed, all must have one$nl" mix $a:0.4 "$b" -o "$tmp/no"
expect 1 "" "sphinx: x*: no tensor's name matches this pattern$nl" mix $a "$b" --tensor-beta 'x*=0.1' -o "$tmp/no"
runs 2 mix $a "$b" --tensor-beta 'x*=0.1,0.2,0.7' -o "$tmp/no"
contains "$tmp/err" "with a weight for each of the 2 models"
runs 1 mix $a $tiny/llama-meta -o "$tmp/no"
contains "$tmp/err" "do not have the same tensors"
runs 1 mix $a $tiny/llama_ens5 -o "$tmp/no"
runs 1 run -m "$a:0.5" -p "$question"
contains "$tmp/err" "add up to 0.5"
runs 1 run -m "$tmp/b.gguf:0.5,$tmp/nowhere:0.5" -p "$question"
contains "$tmp/err" "nowhere"
runs 0 convert "$b" "$tmp/q8.gguf" --type q8_0 -q
[ -e "$tmp/no" ] && failed "a refused mix left something behind"

finish
