#!/bin/sh
# make.sh SPHINX OUT [THREADS] - sphinx-nano from nothing: draws what it learns from, makes its vocabulary, trains it in five stages and puts
# held-out questions to it. OUT/sphinx-nano.gguf is the model, OUT/scores.md its scores. What is there already is not made again, and
# a stage that was interrupted goes on: run it again. Needs jq and spm_train (Debian: jq, sentencepiece).
#
#   data ── vocabulary ── random weights ── stage 0 ── stage 1, photos ─┬─ stage 1, drawings ── mix ── stage 2 ── stage 3 ── stage 4 ── quantised
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

# joined NAME "DRAWN ANNOTATIONS TYPE RATIO TURNS"...: several of them as one
joined() {
    folder=$out/$1
    shift
    mkdir -p "$folder"
    echo "META:" >"$folder/meta.yaml"
    for part in "$@"; do
        # shellcheck disable=SC2086 # five words
        set -- $part
        printf "  - {path: '../%s/annotations/%s.json', type: %s, root: '../%s/images/', ratio: %s, turns: %s}\n" "$1" "$2" "$3" "$1" "$4" "$5"
    done >>"$folder/meta.yaml"
}

drawn words --count 12000 --turns 5 -s 1
drawn talk --count 30000 --turns 4 -s 2 --patches
drawn reading --count 40000 --turns 4 -s 6 --patches --tasks ocr,text_detection
drawn pages --count 60000 -s 7 --patches --scenes page --tasks ocr
drawn photos --count 8000 --turns 3 -s 3 --domain photo --tasks caption,long_caption,grounded_caption
drawn drawings --count 8000 --turns 3 -s 3 --domain vector --tasks caption,long_caption,grounded_caption
drawn all --count 48000 --turns 12 -s 4 --patches
drawn lessons --count 8000 --turns 10 -s 19 --scenes objects,people --tasks lesson
drawn compared --count 25000 --turns 16 -s 18 --scenes objects,people --tasks lesson,vqa,statement
drawn more --count 40000 --turns 12 -s 14 --patches
drawn main --count 30000 --turns 12 -s 15 --patches --tasks vqa,rec,ocr,det,det_all,pose,caption,grounded_caption,text_detection
drawn texts --count 30000 --turns 6 -s 16 --patches --tasks ocr,text_detection
drawn test --count 14000 --split test -s 5
# Of one picture many questions, each as if it was asked alone: else they tell each other's answers. Some stay conversations.
joined begin "talk mix image_text 1 apart" "reading mix image_text 2 apart" "pages ocr page 1 together"
joined photos-told "photos mix image_text 1 apart"
joined drawings-told "drawings mix image_text 1 apart"
joined end "all mix image_text 0.85 apart" "all mix image_text 0.15 together" "reading mix image_text 1 apart"
joined first-lessons "lessons mix image_text 1 apart"
joined last "more mix image_text 0.09 apart" "more mix image_text 0.01 together" "main mix image_text 0.3 apart" "texts mix image_text 0.3 apart" \
    "compared mix image_text 0.3 apart"

[ -e "$out/nano.model" ] || "$here/vocabulary.sh" "$out/words/annotations/mix.json" "$out/nano"
[ -d "$out/random" ] ||
    "$sphinx" init "$out/random" --to-train --llama-type llama_ens --config "$here/config.json" --tokenizer "$out/nano.model" --type f32 -s 1

trained stage0 stage0 "$out/random" begin
trained stage1-photos stage1 "$result" photos-told
photos=$result
trained stage1-drawings stage1 "$photos" drawings-told
[ -d "$out/stage1" ] || "$sphinx" mix "$photos" "$result" --beta 0.5 -o "$out/stage1"
trained stage2 stage2 "$out/stage1" end
trained stage3 stage3 "$result" first-lessons
trained stage4 stage4 "$result" last

[ -e "$out/sphinx-nano.gguf" ] || "$sphinx" convert "$result" "$out/sphinx-nano.gguf" --type q8_0
"$sphinx" eval -m "$out/sphinx-nano.gguf" --data "$out/test" --task "$out/test/benchmarks.json" --sample 2000 -s 1 \
    -o "$out/answers" --json -t "$threads" >"$out/scores.json"
jq -r -f "$here/table.jq" "$out/scores.json" >"$out/scores.md"
echo "made: $out/sphinx-nano.gguf, its scores in $out/scores.md"
