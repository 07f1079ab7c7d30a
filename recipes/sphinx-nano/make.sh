#!/bin/sh
# make.sh SPHINX OUT [THREADS] - sphinx-nano from nothing: draws what it learns from, makes its vocabulary, trains it in three stages and puts
# held-out questions to it. OUT/sphinx-nano.gguf is the model, OUT/scores.json its scores. What is there already is not made again, and
# a stage that was interrupted goes on: run it again. Needs jq and spm_train (Debian: jq, sentencepiece).
#
#   data ── vocabulary ── random weights ── stage 0 ── stage 1, photos ─┬─ stage 1, drawings ── mix ── stage 2 ── quantised
#                                                                       └───────────────────────┘
set -eu
sphinx=${1:?usage: make.sh SPHINX OUT [THREADS]}
out=${2:?usage: make.sh SPHINX OUT [THREADS]}
threads=${3:-0}
here=$(dirname "$0")
mkdir -p "$out"

# drawn NAME OPTIONS...: a data set
drawn() {
    name=$1
    shift
    [ -d "$out/$name" ] || "$sphinx" synth "$out/$name" "$@"
}

# trained NAME RECIPE BASE DATA: a run, or what is left of it; its newest checkpoint is then $result
trained() {
    run=$out/$1
    set -- "$here/$2.yaml" --set "model=$3" --set "data_config=$out/$4/meta.yaml" -o "$run" -t "$threads"
    [ ! -e "$run/log.jsonl" ] || set -- "$@" --resume "$run"
    "$sphinx" train "$@"
    result=$(find "$run" -mindepth 1 -maxdepth 1 -name 'epoch*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
}

drawn words --count 20000 --turns 5 -s 1
drawn mix --count 60000 --turns 5 -s 2
drawn photos --count 8000 --turns 3 -s 3 --domain photo --tasks caption,long_caption,grounded_caption
drawn drawings --count 8000 --turns 3 -s 3 --domain vector --tasks caption,long_caption,grounded_caption
drawn all --count 30000 --turns 4 -s 4
drawn test --count 14000 --split test -s 5

[ -e "$out/nano.model" ] || "$here/vocabulary.sh" "$out/words/annotations/mix.json" "$out/nano"
[ -d "$out/random" ] ||
    "$sphinx" init "$out/random" --to-train --llama-type llama_ens --config "$here/config.json" --tokenizer "$out/nano.model" --type f32 -s 1

trained stage0 stage0 "$out/random" mix
trained stage1-photos stage1 "$result" photos
photos=$result
trained stage1-drawings stage1 "$photos" drawings
[ -d "$out/stage1" ] || "$sphinx" mix "$photos" "$result" --beta 0.5 -o "$out/stage1"
trained stage2 stage2 "$out/stage1" all

[ -e "$out/sphinx-nano.gguf" ] || "$sphinx" convert "$result" "$out/sphinx-nano.gguf" --type q8_0
"$sphinx" eval -m "$out/sphinx-nano.gguf" --data "$out/test" --task "$out/test/benchmarks.json" --sample 2000 -s 1 \
    -o "$out/answers" --json -t "$threads" >"$out/scores.json"
echo "made: $out/sphinx-nano.gguf, its scores in $out/scores.json"
