#!/bin/sh
# make-1k.sh SPHINX OUT [THREADS] - sphinx-nano-1k: the model that make.sh left in OUT learns to read pictures of twice the side in five views, the
# whole and its quarters. OUT/sphinx-nano-1k.gguf is the model, OUT/scores-1k.md its scores, beside OUT/scores-1k-one-view.md: those of
# sphinx-nano about the same pictures. What is there already is not made again, and an interrupted run goes on. Needs jq.
#
#   data ── stage 2 of sphinx-nano ── five views ── quantised
set -eu
sphinx=${1:?usage: make-1k.sh SPHINX OUT [THREADS]}
out=${2:?usage: make-1k.sh SPHINX OUT [THREADS]}
threads=${3:-0}
here=$(dirname "$0")
side=224

# newest RUN: its last checkpoint
newest() {
    find "$out/$1/" -mindepth 1 -maxdepth 1 -name 'epoch*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-
}

# drawn NAME OPTIONS...: a data set
drawn() {
    name=$1
    shift
    [ -d "$out/$name" ] || "$sphinx" synth "$out/$name" --size $side "$@"
}

# scored MODEL NAME: OUT/NAME.md
scored() {
    "$sphinx" eval -m "$1" --data "$out/test-large" --task "$out/test-large/benchmarks.json" --sample 500 -s 1 -o "$out/answers-$2" --json \
        -t "$threads" >"$out/$2.json"
    jq -r -f "$here/table.jq" "$out/$2.json" >"$out/$2.md"
}

drawn large --count 12000 --turns 8 -s 8
drawn test-large --count 4000 --split test -s 9
printf "META:\n  - {path: '../large/annotations/mix.json', type: image_text, root: '../large/images/', turns: apart}\n" >"$out/large/meta.yaml"

set -- "$here/stage-1k.yaml" --set "model=$(newest stage2)" --set "llama_config=$here/config-1k.json" \
    --set "data_config=$out/large/meta.yaml" -o "$out/stage-1k" -t "$threads"
[ ! -e "$out/stage-1k/log.jsonl" ] || set -- "$@" --resume "$out/stage-1k"
"$sphinx" train "$@"

[ -e "$out/sphinx-nano-1k.gguf" ] || "$sphinx" convert "$(newest stage-1k)" "$out/sphinx-nano-1k.gguf" --type q8_0
scored "$out/sphinx-nano-1k.gguf" scores-1k
scored "$out/sphinx-nano.gguf" scores-1k-one-view
echo "made: $out/sphinx-nano-1k.gguf, its scores in $out/scores-1k.md"
