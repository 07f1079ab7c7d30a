#!/bin/sh
# make.sh SPHINX OUT [THREADS] - sphinx-nano from nothing: draws what it learns from, makes its vocabulary, trains it in eleven stages and puts
# held-out questions to it. OUT/sphinx-nano.gguf is the model, OUT/scores.md its scores. What is there already is not made again, and
# a stage that was interrupted goes on: run it again. Needs jq and spm_train (Debian: jq, sentencepiece).
# RANKS=2 make.sh SPHINX OUT 1: two processes of one thread share each step, which is faster than one of two threads; needs mpirun.
#
#   data ── vocabulary ── random weights ── stage 0 ── stage 1, photos ─┬─ stage 1, drawings ── mix ── stage 2, all tasks
#                                                                       └───────────────────────┘
#   ── stage 3, lessons ── stage 4, all tasks ─┬─ stage 5, lessons in finding ─┬─ mix ── stage 6, all tasks
#                                              └─ stage 5, lessons in choices ─┘
#   ── stage 7, lessons in relations ── stage 8, all tasks ── stage 9, lessons in listing ── stage 10, all tasks ── quantised
set -eu
# shellcheck source=recipes/sphinx-nano/steps.sh
. "$(dirname "$0")/steps.sh"

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
drawn finding --count 14000 --turns 14 -s 21 --patches --scenes objects,people --tasks lesson,find
drawn picking --count 12000 --turns 8 -s 22 --patches --scenes objects,people --tasks pick,choice
drawn more-later --count 20000 --turns 12 -s 24 --patches
drawn main-later --count 25000 --turns 12 -s 25 --patches --tasks vqa,rec,ocr,det,det_all,pose,caption,grounded_caption,text_detection
drawn texts-later --count 10000 --turns 6 -s 26 --patches --tasks ocr,text_detection
drawn compared-later --count 25000 --turns 16 -s 28 --patches --scenes objects,people --tasks lesson,find,pick,vqa,statement,choice,rec
drawn relating --count 9000 --turns 14 -s 23 --patches --scenes objects,people --tasks relate,statement
drawn more-last --count 20000 --turns 12 -s 34 --patches
drawn main-last --count 14000 --turns 12 -s 35 --patches --tasks vqa,rec,ocr,det,det_all,pose,caption,grounded_caption,text_detection,chart
drawn compared-last --count 14000 --turns 16 -s 38 --patches --scenes objects,people \
    --tasks lesson,find,pick,relate,vqa,statement,choice,rec
drawn listing-all --count 9000 --turns 12 -s 41 --patches --scenes objects,people --tasks list,det_all
drawn listing-some --count 9000 --turns 12 -s 42 --patches --scenes objects,people --tasks list
drawn more-end --count 20000 --turns 12 -s 44 --patches
drawn main-end --count 14000 --turns 12 -s 45 --patches --tasks vqa,rec,ocr,det,det_all,pose,caption,grounded_caption,text_detection,chart
drawn compared-end --count 14000 --turns 16 -s 48 --patches --scenes objects,people \
    --tasks lesson,find,pick,relate,list,det,det_all,vqa,statement,choice,rec
drawn test --count 14000 --split test -s 5
# Of one picture many questions, each as if it was asked alone: else they tell each other's answers. Some stay conversations.
joined begin "talk mix image_text 1 apart" "reading mix image_text 2 apart" "pages ocr page 1 together"
joined photos-told "photos mix image_text 1 apart"
joined drawings-told "drawings mix image_text 1 apart"
joined end "all mix image_text 0.85 apart" "all mix image_text 0.15 together" "reading mix image_text 1 apart"
joined first-lessons "lessons mix image_text 1 apart"
joined finding-lessons "finding mix image_text 1 apart"
joined picking-lessons "picking mix image_text 1 apart"
joined relating-lessons "relating mix image_text 1 apart"
joined tasks "more mix image_text 0.09 apart" "more mix image_text 0.01 together" "main mix image_text 0.3 apart" "texts mix image_text 0.3 apart" \
    "compared mix image_text 0.3 apart"
joined tasks-later "more-later mix image_text 0.13 apart" "more-later mix image_text 0.015 together" "main-later mix image_text 0.2 apart" \
    "texts-later mix image_text 0.4 apart" "compared-later mix image_text 0.25 apart"
joined tasks-last "more-last mix image_text 0.13 apart" "more-last mix image_text 0.01 together" "main-last mix image_text 0.17 apart" \
    "texts-later mix image_text 0.1 apart" "compared-last mix image_text 0.17 apart"
joined listing-all-lessons "listing-all mix image_text 1 apart"
joined listing-some-lessons "listing-some mix image_text 1 apart"
joined tasks-end "more-end mix image_text 0.13 apart" "more-end mix image_text 0.01 together" "main-end mix image_text 0.17 apart" \
    "texts-later mix image_text 0.1 apart" "compared-end mix image_text 0.25 apart"

[ -e "$out/nano.model" ] || "$here/vocabulary.sh" "$out/words/annotations/mix.json" "$out/nano"
[ -d "$out/random" ] ||
    "$sphinx" init "$out/random" --to-train --llama-type llama_ens --config "$here/config.json" --tokenizer "$out/nano.model" --type f32 -s 1

trained stage0 stage0 "$out/random" begin
trained stage1-photos stage1 "$result" photos-told
photos=$result
trained stage1-drawings stage1 "$photos" drawings-told
[ -d "$out/stage1" ] || "$sphinx" mix "$photos" "$result" --beta 0.5 -o "$out/stage1"
trained stage2 stage2 "$out/stage1" end
trained stage3 lessons "$result" first-lessons --set max_steps=400
trained stage4 tasks "$result" tasks --set max_steps=1400
tasks=$result
trained stage5-finding lessons "$tasks" finding-lessons --set max_steps=748
finding=$result
trained stage5-picking lessons "$tasks" picking-lessons --set max_steps=400
# What each of the two learned, added to what both began with.
[ -d "$out/stage5" ] || "$sphinx" mix "$finding:1" "$result:1" "$tasks:-1" -o "$out/stage5"
trained stage6 tasks "$out/stage5" tasks-later --set max_steps=940
trained stage7 lessons "$result" relating-lessons --set max_steps=451
trained stage8 tasks "$result" tasks-last --set max_steps=720
trained stage9-all lessons "$result" listing-all-lessons --set max_steps=572
trained stage9-some lessons "$result" listing-some-lessons --set max_steps=540
trained stage10 tasks "$result" tasks-end --set max_steps=720

[ -e "$out/sphinx-nano.gguf" ] || "$sphinx" convert "$result" "$out/sphinx-nano.gguf" --type q8_0
"$sphinx" eval -m "$out/sphinx-nano.gguf" --data "$out/test" --task "$out/test/benchmarks.json" --sample 2000 -s 1 \
    -o "$out/answers" --json -t "$threads" >"$out/scores.json"
jq -r -f "$here/table.jq" "$out/scores.json" >"$out/scores.md"
echo "made: $out/sphinx-nano.gguf, its scores in $out/scores.md"
