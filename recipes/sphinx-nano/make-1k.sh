#!/bin/sh
# make-1k.sh SPHINX OUT [THREADS] - sphinx-nano-1k: the model that make.sh left in OUT learns to read pictures of twice the side in five views, the
# whole and its quarters. OUT/sphinx-nano-1k.gguf is the model, OUT/scores-1k.md its scores, beside OUT/scores-1k-one-view.md: those of
# sphinx-nano about the same pictures. What is there already is not made again, and an interrupted run goes on. Needs jq.
#
#   data ── stage 10 of sphinx-nano ── five views ── quantised
#
# RANKS=2 make-1k.sh SPHINX OUT 1: two processes of one thread share each step; needs mpirun.
set -eu
# shellcheck source=recipes/sphinx-nano/steps.sh
. "$(dirname "$0")/steps.sh"
side=224

# scored MODEL NAME: OUT/NAME.md
scored() {
    "$sphinx" eval -m "$1" --data "$out/test-large" --task "$out/test-large/benchmarks.json" --sample 500 -s 1 -o "$out/answers-$2" --json \
        -t "$threads" >"$out/$2.json"
    jq -r -f "$here/table.jq" "$out/$2.json" >"$out/$2.md"
}

drawn large --size $side --count 12000 --turns 8 -s 8
drawn large-compared --size $side --count 4000 --turns 12 -s 10 --scenes objects,people \
    --tasks lesson,find,pick,relate,list,det,det_all,vqa,statement,choice,rec
drawn test-large --size $side --count 4000 --split test -s 9
joined large-told "large mix image_text 0.5 apart" "large-compared mix image_text 0.25 apart"

trained stage-1k stage-1k "$(newest stage10)" large-told --set "llama_config=$here/config-1k.json"

[ -e "$out/sphinx-nano-1k.gguf" ] || "$sphinx" convert "$result" "$out/sphinx-nano-1k.gguf" --type q8_0
scored "$out/sphinx-nano-1k.gguf" scores-1k
scored "$out/sphinx-nano.gguf" scores-1k-one-view
echo "made: $out/sphinx-nano-1k.gguf, its scores in $out/scores-1k.md"
