#!/bin/sh
# test_train.sh SPHINX JSON_VALUE - sphinx train: the same model on any number of threads, checkpoints that -m opens, and what it refuses.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig

runs 0 synth "$tmp/data" --count 12 --size 64 -q
model=$(pwd)/$tiny/llama_ens
cat >"$tmp/c.yaml" <<END
model: $model
data_config: data/meta.yaml
output_dir: $tmp/run
batch_size: 2
accum_iter: 2
max_steps: 6
lr: 1.0e-3
warmup_steps: 1
max_words: 300
END

# One thread and three, one loader and two; what a log and a checkpoint have.
runs 0 train "$tmp/c.yaml" -t 1
contains "$tmp/err" "written: $tmp/run/epoch0-iter11"
same "lines of the log" "$(wc -l <"$tmp/run/log.jsonl" | tr -d ' ')" 6
tail -n 1 "$tmp/run/log.jsonl" >"$tmp/line"
for key in step epoch loss lr grad_norm tokens seconds seconds_waiting; do contains "$tmp/line" "\"$key\":"; done
runs 0 train "$tmp/c.yaml" -t 3 --set num_workers=1 -o "$tmp/it's three" -q
same_bytes "train -q: standard error" "$tmp/err" ""
cmp -s "$tmp/run/epoch0-iter11/consolidated.00-of-01.model.pth" \
    "$tmp/it's three/epoch0-iter11/consolidated.00-of-01.model.pth" || failed "one thread and three learn differently"
same "points of the picture" "$(grep polyline "$tmp/run/loss.svg" | tr ' ' '\n' | grep -c '[0-9],[0-9]')" 6
runs 0 run -m "$tmp/run/epoch0-iter11" -i "$scene" -p hi -n 2
runs 0 inspect --check "$tmp/run/epoch0-iter11"
contains "$tmp/out" "bf16"

# Only what was trained, to be put on top of what it was trained from.
runs 0 train "$tmp/c.yaml" -t 1 --set train=norm.weight --set only_save_trainable=true --set save_type=f32 -o "$tmp/norm"
contains "$tmp/err" "sphinx: 32 of the model's numbers learn from "
runs 0 inspect "$model" "$tmp/norm/epoch0-iter11"

# Without an encoder it sees something else, from the first step on.
runs 0 train "$tmp/c.yaml" -t 1 --set 'without=[clip, qformer]' --set max_steps=2 -o "$tmp/half"
same "loss" "$(head -n 1 "$tmp/half/log.jsonl" | grep -c -F "$(head -n 1 "$tmp/run/log.jsonl" | grep -o '"loss":[0-9.]*')")" 0

# With numbers left out of the Q-Former: others than without, the same on any number of threads and when blocks are computed again.
for way in "false -t 1" "true -t 3"; do
    # shellcheck disable=SC2086 # two words
    runs 0 train "$tmp/c.yaml" -t ${way#* -t } --set "checkpointing=${way% -t *}" --set qformer_dropout=0.1 --set max_steps=2 -o "$tmp/${way% -t *}"
done
same "loss" "$(head -n 1 "$tmp/true/log.jsonl" | grep -c -F "$(head -n 1 "$tmp/run/log.jsonl" | grep -o '"loss":[0-9.]*')")" 0
cmp -s "$tmp/true/epoch0-iter3/training.state" "$tmp/false/epoch0-iter3/training.state" || failed "other numbers are left out"

# Patches that are asked what they show, on a grid that the model's refines; told in the log, and left alone where that is not wanted.
mkdir "$tmp/shown"
ln -s "$tmp/data/images" "$tmp/shown/images"
for i in 0 2 4 6; do
    printf '{"image": "00000%s.png", "patches": ["red", "", "blue ring", "none"], "conversations": [' $i
    printf '{"from": "human", "value": "What?"}, {"from": "gpt", "value": "a ring"}]}\n'
done >"$tmp/shown/some.jsonl"
echo "META: [{path: some.jsonl, root: images/}]" >"$tmp/shown/meta.yaml"
runs 0 train "$tmp/c.yaml" -t 1 --set "data_config=$tmp/shown/meta.yaml" --set max_steps=2 --set epochs=2 -o "$tmp/patches"
contains "$tmp/patches/log.jsonl" '"patch_loss":'
runs 0 train "$tmp/c.yaml" -t 1 --set "data_config=$tmp/shown/meta.yaml" --set max_steps=2 --set epochs=2 --set patch_loss=0 -o "$tmp/unasked"
same "steps that tell of patches" "$(grep -c patch_loss "$tmp/unasked/log.jsonl")" 0
fails 1 '"patches" of the data stand over the padded square: only with image_transform: padded_resize, or patch_loss: 0' \
    train "$tmp/c.yaml" -t 1 -q --set "data_config=$tmp/shown/meta.yaml" --set epochs=2 --set image_transform=resized_center_crop -o "$tmp/cropped"
runs 0 synth "$tmp/fine" --count 12 --size 64 --patches --turns 9 -q
runs 1 train "$tmp/c.yaml" -t 1 -q --set "data_config=$tmp/fine/meta.yaml" --set max_words=2000 -o "$tmp/coarse"
contains "$tmp/err" "8 x 8, and the model's of 4 x 4 is no refinement of it"

# What it refuses (the rest is in tests/train).
fails 1 "$tmp/run: holds a run already: go on with it (--resume $tmp/run), or name another folder" train "$tmp/c.yaml"
cp "$tmp/c.yaml" "$tmp/wrong.yaml"
echo "bach_size: 3" >>"$tmp/wrong.yaml"
fails 1 "$tmp/wrong.yaml: line 10: the key \"bach_size\" is unknown; did you mean \"batch_size\"?" train "$tmp/wrong.yaml"
runs 1 train "$tmp/c.yaml" -o "$tmp/no" --resume "$tmp/run" --set "model=$(pwd)/$tiny/llama_ens-bf16"
contains "$tmp/err" "$tmp/run/epoch0-iter11/training.state: is the state of a run with another model: it"
runs 2 train

# An item that cannot be learned from is named; others take its place if that is allowed.
turns='"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]'
for i in 1 2 3 4 5 6 7 8 9; do echo "{$turns}"; done >"$tmp/good.jsonl"
{ cat "$tmp/good.jsonl"; echo '{"conversations": [{"value": "Hi"}, {"value": "Ho, ho, ho"}]}'; } >"$tmp/bad.jsonl"
sed "s|^data_config:.*|META: [{path: bad.jsonl}]|; s|^batch_size.*|batch_size: 1|; s|^accum_iter.*|accum_iter: 1|; s|^max_steps.*|max_steps: 20|" \
    "$tmp/c.yaml" >"$tmp/bad.yaml"
runs 1 train "$tmp/bad.yaml" -t 1 -o "$tmp/no" --set epochs=2
contains "$tmp/err" "bad.jsonl, line 10: turn 1"
rm -rf "$tmp/no"
runs 0 train "$tmp/bad.yaml" -t 1 -o "$tmp/skipped" --skip-bad 0.2 --set epochs=2
contains "$tmp/err" "another item takes its place"
contains "$tmp/err" "1 items failed, others took their place"

# Several types in each step.
for i in 1 2 3 4; do echo "Line $i of a text"; done >"$tmp/lines.txt"
sed '/^data_config\|^accum_iter\|^batch_size\|^max_steps\|^warmup/d' "$tmp/c.yaml" >"$tmp/mix.yaml"
cat >>"$tmp/mix.yaml" <<END
META: [{path: good.jsonl, type: talk}, {path: lines.txt, type: text}]
mix: {talk: 2, text: 1}
batch_size: 1
END
runs 0 train "$tmp/mix.yaml" -t 1 -o "$tmp/mixed"
contains "$tmp/err" "learn from 13 items, 3 a step, in 4 steps (4 an epoch)"
left=$(find "$tmp" -name 'no' -o -name '*.tmp-*')
[ -z "$left" ] || failed "left behind: $left"
finish
