#!/bin/sh
# test_train_killed.sh SPHINX JSON_VALUE - a run that is killed many times, whatever it is doing, or interrupted, and each time resumed,
# ends with the weights, the moments and the log of one that nobody disturbed, byte for byte.
# shellcheck disable=SC2086 # the options are many words
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh
# shellcheck source=tests/cli/kills.sh
. tests/cli/kills.sh
export ASAN_OPTIONS=detect_leaks=0 # of fontconfig

runs 0 synth "$tmp/data" --count 12 --size 64 -q
cat >"$tmp/c.yaml" <<END
model: $(pwd)/$tiny/llama_ens
data_config: data/meta.yaml
output_dir: $tmp/whole
batch_size: 1
accum_iter: 2
epochs: 0.3
save_every: 3
lr: 1.0e-3
max_words: 300
END
train="train $tmp/c.yaml -t 1"
runs 0 $train
last=$(basename "$tmp/whole"/epoch*-iter?? | tail -n 1)
[ -d "$tmp/whole/$last" ] || failed "no last checkpoint: $(ls "$tmp/whole")"

# A log without what depends on the clock.
log() {
    sed 's/,"seconds[a-z_]*":[-+.0-9e]*//g' "$1/log.jsonl"
}

compare() {
    for file in consolidated.00-of-01.model.pth training.state config.json; do
        cmp -s "$tmp/whole/$last/$file" "$1/$last/$file" || failed "$2: another $file"
    done
    log "$tmp/whole" >"$tmp/a"
    log "$1" >"$tmp/b"
    cmp -s "$tmp/a" "$tmp/b" || failed "$2: another log"
    left=$(find "$1" -name '*.tmp-*')
    [ -z "$left" ] || failed "$2: left behind: $left"
}

attempt() {
    resume=
    [ -e "$tmp/parts/log.jsonl" ] && resume="--resume $tmp/parts"
    exec "$sphinx" $train -o "$tmp/parts" $resume
}
ended() {
    compare "$tmp/parts" "after $killed kills"
    rm -rf "$tmp/parts"
}
kills 8 250
resume=
[ -e "$tmp/parts/log.jsonl" ] && resume="--resume $tmp/parts"
runs 0 $train -o "$tmp/parts" $resume
compare "$tmp/parts" "at the end"

# Ctrl-C once the first line of the log is there: the step is finished and saved.
"$sphinx" $train -o "$tmp/stopped" 2>"$tmp/err" &
pid=$!
while kill -0 $pid 2>/dev/null && [ ! -s "$tmp/stopped/log.jsonl" ]; do sleep 0.01; done
kill -INT $pid
wait $pid
code=$?
if [ $code -eq 130 ]; then
    steps=$(wc -l <"$tmp/stopped/log.jsonl")
    contains "$tmp/err" "stopped after step $((steps)) of "
    runs 0 $train -o "$tmp/stopped" --resume "$tmp/stopped"
    contains "$tmp/err" "going on after step $((steps))"
elif [ $code -ne 0 ]; then # 0: it was faster
    failed "interrupted: exit code $code: $(cat "$tmp/err")"
fi
compare "$tmp/stopped" "interrupted"
finish
