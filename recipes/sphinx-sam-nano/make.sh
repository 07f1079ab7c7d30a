#!/bin/sh
# make.sh SPHINX OUT [THREADS] - a small SAM from nothing: draws scenes with the masks of what is in them, trains on these, and measures masks of
# held-out scenes. OUT/sphinx-sam-nano.gguf is the model, OUT/iou.txt the mean IoU of its masks from true boxes. What is there already is not made
# again, and a run that was interrupted goes on: run it again. Needs python3.
#
#   scenes, masks ── random weights ── training, validation ── quantised ── IoU
set -eu
sphinx=${1:?usage: make.sh SPHINX OUT [THREADS]}
out=${2:?usage: make.sh SPHINX OUT [THREADS]}
threads=${3:-0}
here=$(dirname "$0")
mkdir -p "$out"

# drawn NAME OPTIONS...: scenes with masks; of the questions, which are not learned here, only one kind
drawn() {
    name=$1
    shift
    [ -d "$out/$name" ] || "$sphinx" synth "$out/$name" --masks --tasks vqa --scenes objects,people --size 256 -t "$threads" "$@"
    printf "META:\n  - {path: 'annotations/masks.json', root: 'images/'}\n" >"$out/$name/masks.yaml"
}

drawn train --count 30000 --seed 1
drawn val --count 500 --seed 2 --split val
drawn test --count 120 --seed 9 --split test
[ -e "$out/random.pth" ] || "$sphinx" init "$out/random.pth" --segmenter 256,96,4,64 --seed 1

run=$out/run
set -- "$here/train.yaml" --set "segmenter=$out/random.pth" --set "data_config=$out/train/masks.yaml" \
    --set "validation=$out/val/masks.yaml" -o "$run" -t "$threads"
[ ! -e "$run/log.jsonl" ] || set -- "$@" --resume "$run"
"$sphinx" train "$@"
result=$(find "$run" -mindepth 1 -maxdepth 1 -name 'epoch*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)

[ -e "$out/sphinx-sam-nano.gguf" ] || "$sphinx" convert "$result/sam.pth" "$out/sphinx-sam-nano.gguf" --type q8_0
"$here/iou.py" "$sphinx" "$out/sphinx-sam-nano.gguf" "$out/test" | tee "$out/iou.txt"
