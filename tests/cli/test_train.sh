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
runs 0 run -m "$tmp/run/epoch0-iter11" -i "$scene" -p hi -n 2
runs 0 inspect --check "$tmp/run/epoch0-iter11"
contains "$tmp/out" "bf16"

# Only what was trained, to be put on top of what it was trained from.
runs 0 train "$tmp/c.yaml" --set train=norm.weight --set only_save_trainable=true --set save_type=f32 -o "$tmp/norm"
contains "$tmp/err" "3.2e-05 million of the model's numbers learn"
runs 0 inspect "$model" "$tmp/norm/epoch0-iter11"

# What it refuses.
fails 1 "$tmp/run: holds a run already: name another folder" train "$tmp/c.yaml"
fails 1 "--set learn_rate: line 1: the key \"learn_rate\" is unknown (docs/train.md lists them)" train "$tmp/c.yaml" --set learn_rate=1
echo "bach_size: 3" >>"$tmp/c.yaml"
fails 1 "$tmp/c.yaml: line 10: the key \"bach_size\" is unknown; did you mean \"batch_size\"?" train "$tmp/c.yaml"
sed -i '$d' "$tmp/c.yaml"
runs 1 train "$tmp/c.yaml" -o "$tmp/no" --set model=none
runs 1 train "$tmp/c.yaml" -o "$tmp/no" --set max_words=80
contains "$tmp/err" "leave no room for text"
runs 1 train "$tmp/c.yaml" -o "$tmp/no" --set train=nothing.like.this
contains "$tmp/err" 'is named like "nothing.like.this"'
runs 1 train "$tmp/c.yaml" -o "$tmp/no" --set max_steps=1
contains "$tmp/err" "the warm-up of 1 steps is not shorter than the run of 1"
runs 2 train
left=$(find "$tmp" -name 'no' -o -name '*.tmp-*')
[ -z "$left" ] || failed "left behind: $left"
finish
