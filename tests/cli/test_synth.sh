#!/bin/sh
# test_synth.sh SPHINX JSON_VALUE - sphinx synth: the same files however they are made, splits for evaluation, and what it refuses.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig

# The same bytes on one thread and on three; a few scenes are the first of many.
runs 0 synth "$tmp/one" --count 40 -s 3 -t 1
contains "$tmp/err" "written: $tmp/one: 40 scenes"
contains "$tmp/out" "grounded_caption"
runs 0 synth "$tmp/three" --count 40 -s 3 -t 3 -q
same_bytes "synth -q: standard output" "$tmp/out" ""
diff -r "$tmp/one" "$tmp/three" >/dev/null || failed "one thread and three write different files"
runs 0 synth "$tmp/few" --count 9 -s 3 -t 2 -q
for image in "$tmp"/few/images/*; do
    cmp -s "$image" "$tmp/one/images/${image##*/}" || failed "${image##*/} depends on how many scenes are drawn"
done
runs 0 synth "$tmp/other" --count 40 -s 4 -q
cmp -s "$tmp/one/annotations/vqa.json" "$tmp/other/annotations/vqa.json" && failed "another seed, the same questions"
[ "$(find "$tmp/one/images" -name '*.png' | wc -l)" -eq 20 ] || failed "--domain both: not every other image is a drawing"
[ "$(find "$tmp/one/images" -name '*.jpg' | wc -l)" -eq 20 ] || failed "--domain both: not every other image is a photo"
[ -e "$tmp/one/eval" ] && failed "the split train has files for evaluation"

# What is written is what training reads.
same "image" "$("$json_value" "$tmp/one/annotations/caption.json" 0 image)" 000000.png
same "question" "$("$json_value" "$tmp/one/annotations/caption.json" 0 conversations 0 value)" \
    "Provide a one-sentence caption for the provided image."
contains "$tmp/one/meta.yaml" "  - path: 'annotations/caption.json'"

# One domain, one task, another size.
runs 0 synth "$tmp/photos" --count 5 --domain photo --tasks caption,t2i --size 160 -q
same "files" "$(cd "$tmp/photos" && find . -type f | sort | tr '\n' ' ')" \
    "./annotations/caption.json ./annotations/t2i.json ./images/000000.jpg ./images/000001.jpg ./images/000002.jpg ./images/000003.jpg ./images/000004.jpg ./meta.yaml "
contains "$tmp/photos/annotations/t2i.json" "photo"

# The held-out split is a set of benchmarks: each is read, none lacks a file.
runs 0 synth "$tmp/test" --count 60 --split test --domain vector -q
runs 0 eval --list --task "$tmp/test/benchmarks.json" --data "$tmp/test"
cp "$tmp/out" "$tmp/list"
for task in vqa choice statement rec reg relation ocr text_detection det det_all pose chart caption long_caption grounded_caption t2i; do
    contains "$tmp/list" "synth_$task "
done
runs 0 synth "$tmp/short" --count 20 --split val --tasks vqa,choice,rec -q
runs 0 eval -m $tiny/llama_ens --task "$tmp/short/benchmarks.json" --data "$tmp/short" --limit 1 -o "$tmp/answers" -q

# What it refuses; nothing is left behind.
usage=' (see: sphinx help synth)'
expect 1 "" "sphinx: $tmp/one: the folder holds something already: remove it or name another$nl" synth "$tmp/one"
runs 2 synth
runs 2 synth "$tmp/no" --count 0
runs 2 synth "$tmp/no" --size 20
runs 2 synth "$tmp/no" --domain oil
runs 2 synth "$tmp/no" --tasks vqa,cooking
contains "$tmp/err" "cooking"
contains "$tmp/err" "$usage"
expect 1 "" "sphinx: $tmp/none/no: cannot make the folder: No such file or directory$nl" synth "$tmp/none/no"
if [ -e /dev/full ] && [ "$(id -u)" != 0 ]; then
    mkdir "$tmp/closed" && chmod 500 "$tmp/closed"
    runs 1 synth "$tmp/closed/no"
fi
left=$(find "$tmp" -name 'no*' -o -name '*.tmp-*')
[ -z "$left" ] || failed "left behind: $left"
finish
