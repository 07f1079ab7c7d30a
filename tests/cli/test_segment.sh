#!/bin/sh
# test_segment.sh SPHINX JSON_VALUE - masks of boxes and points, as text, JSON and PNG; and what is said of wrong arguments.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

sam=tests/data/sam/tiny.pth
picture=tests/data/images/scene.png

runs 0 segment --sam $sam -i $picture --box 20,15,70,60
grep -q '^mask 1: [0-9]* pixels, expected IoU ' "$tmp/out" || failed "no mask is listed"
runs 0 segment --sam $sam -i $picture --box 20,15,70,60 --box 90.5,70.25,30,10 --mask-out "$tmp/masks.png" --json
[ -s "$tmp/masks-1.png" ] && [ -s "$tmp/masks-2.png" ] || failed "there are not two files of masks"
[ ! -e "$tmp/masks.png" ] || failed "there is a third file"
contains "$tmp/out" '"size": [94, 131]'
contains "$tmp/out" '"file": "'
runs 0 segment --sam $sam -i $picture --point 40,30 --point 100,20,0 --mask-out "$tmp/mask.png"
[ -s "$tmp/mask.png" ] || failed "there is no file of the mask"

# In other types, as one file; and over the image that an answer is about.
runs 0 convert $sam "$tmp/sam.gguf" --type q8_0
contains "$tmp/err" "written: $tmp/sam.gguf"
runs 0 segment --sam "$tmp/sam.gguf" -i $picture --box 20,15,70,60
runs 0 run -q -m models/sphinx-nano.gguf -i examples/pictures/person.png -p 'Detect all people shown in the image.' --temp 0 \
    --sam $sam --masks "$tmp/over.png"
[ -s "$tmp/over.png" ] || failed "there is no picture with masks"
expect 2 "" "sphinx: convert: '$tmp/folder': a SAM becomes one file, whose name ends in .gguf (see: sphinx help convert)$nl" \
    convert $sam "$tmp/folder"
expect 2 "" "sphinx: run: --sam is of --masks FILE (see: sphinx help run)$nl" run -p hi -i $picture --sam $sam
fails 1 "$picture: not a ZIP archive: it does not start with PK" run -p hi -i $picture --sam $picture --masks "$tmp/over.png" -m $tiny/llama_ens

# The bundled one, found from where the program is: a person, whose limbs leave most of their box free.
mkdir "$tmp/bin" "$tmp/models"
cp "$sphinx" "$tmp/bin/sphinx"
own=$sphinx
sphinx=$tmp/bin/sphinx
fails 2 "segment: --sam FILE is missing (see: sphinx help segment)" segment -i examples/pictures/person.png --box 44,57,191,228
cp models/sphinx-nano.gguf models/sphinx-sam-nano.gguf "$tmp/models"
runs 0 segment -i examples/pictures/person.png --box 44,57,191,228
same_bytes "note on the bundled segmenter" "$tmp/err" "sphinx: no --sam named: sphinx-sam-nano cuts out, which knows drawn scenes only$nl"
area=$(sed -n 's/^mask 1: \([0-9]*\) pixels, .*/\1/p' "$tmp/out")
[ "${area:-0}" -gt 6500 ] && [ "$area" -lt 8500 ] || failed "a person of 7728 pixels has ${area:-none}"
runs 0 run -q -i examples/pictures/person.png -p 'Detect all people shown in the image.' --temp 0 --masks "$tmp/bundled.png"
[ -s "$tmp/bundled.png" ] || failed "there is no picture with the bundled segmenter's masks"
sphinx=$own

# From nothing: scenes with masks, random weights, a few steps.
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig
runs 0 synth "$tmp/scenes" --count 4 --masks --tasks vqa --scenes objects --size 64 -q
contains "$tmp/scenes/annotations/masks.json" '"segmentation": {"size": ['
runs 0 init "$tmp/random.pth" --segmenter 64,32,1,32 -s 1
cat >"$tmp/sam.yaml" <<EOF
segmenter: random.pth
META:
  - {path: scenes/annotations/masks.json, root: scenes/images/}
validation: $tmp/sam.yaml
batch_size: 2
accum_iter: 1
warmup_steps: 1
precision: f32
EOF
runs 0 train "$tmp/sam.yaml" -o "$tmp/run" -t 1
contains "$tmp/err" "after step 2: validation loss "
contains "$tmp/err" "(IoU "
contains "$tmp/run/log.jsonl" '"iou":'
unset ASAN_OPTIONS
runs 0 segment --sam "$tmp/run/epoch0/sam.pth" -i "$tmp/scenes/images/000000.png" --box 5,5,40,40
runs 1 init "$tmp/none.pth" --segmenter 256,96
contains "$tmp/err" '"256,96": no size of a segmenter: want SIDE,WIDTH,LAYERS,DIM such as 256,96,4,64'

# usage SENTENCE ARGUMENT...
usage() {
    sentence=$1
    shift
    expect 2 "" "sphinx: segment: $sentence (see: sphinx help segment)$nl" segment "$@"
}
usage "--image FILE is missing" --sam $sam --box 1,2,3,4
usage "--box or --point is missing" --sam $sam -i $picture
usage "--box '1,2,3': X1,Y1,X2,Y2 in pixels" --sam $sam -i $picture --box 1,2,3
usage "--box '1,2,3,4,5': X1,Y1,X2,Y2 in pixels" --sam $sam -i $picture --box 1,2,3,4,5
usage "--point '1': X,Y in pixels, or X,Y,0 for what is not meant" --sam $sam -i $picture --point 1
usage "--point goes with one --box, or with none" --sam $sam -i $picture --box 1,2,3,4 --box 1,2,3,4 --point 1,2
expect 1 "" "sphinx: a mask's box and points are numbers of pixels, up to a million$nl" segment --sam $sam -i $picture --box 1,2,nan,4
finish
