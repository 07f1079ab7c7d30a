#!/bin/sh
# test_usage.sh SPHINX JSON_VALUE - what a wrong command line is told: exit code 2 and one sentence that names the mistake.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# usage COMMAND SENTENCE ARGUMENT...
usage() {
    command=$1 sentence=$2
    shift 2
    fails 2 "$command: $sentence (see: sphinx help $command)" "$command" "$@"
}

fails 2 "no command given (see: sphinx help)"
fails 2 "unknown command 'rnu'; did you mean 'run'? (see: sphinx help)" rnu
fails 2 "unknown command 'tokenise'; did you mean 'tokenize'? (see: sphinx help)" tokenise
fails 2 "unknown command 'frobnicate' (see: sphinx help)" frobnicate
fails 2 "unknown command '--modle' (see: sphinx help)" --modle
fails 2 "unknown command 'chatt'; did you mean 'chat'? (see: sphinx help)" help chatt

usage run "unknown option '--tmep'; did you mean '--temp'?" --tmep 0
usage run "unknown option '--temprature'; did you mean '--temperature'?" --temprature=0
usage run "unknown option '--xyzzy'" --xyzzy
usage run "unknown option '--bos'" --bos
usage chat "unknown option '--prompt'" --prompt hi
usage run "-n needs a value, N" -p hi -n
usage run "-p needs a value, TEXT, but the option '-n' follows (if that is the value, write -p=-n)" -p -n 5
usage run "--json takes no value ('yes' given)" -p hi --json=yes
usage run "'hello' is one argument too many; the question is given with --prompt" hello
usage tokenize "'hello' is one argument too many" hello
usage init "OUT is missing"
usage init "'b' is one argument too many" a b
usage init "--llama-type TYPE is missing: which variant is it to be?" "$tmp/model"
usage init "--safetensors writes one file; --shards 2 does not go with it" "$tmp/model" --llama-type llama_ens \
    --safetensors --shards 2
usage run "a question is missing: --prompt TEXT or --file FILE"
usage run "--prompt and --file are two questions; give one" -p hi -f "$scene"
usage run "--image and the question cannot both come from standard input" -p - -i -
usage run "--draw needs an image to draw on: --image FILE" -p hi --draw "$tmp/out.png"
usage run "--attention needs an image to draw on: --image FILE" -p hi --attention "$tmp/out.png"
usage run "--attention-word is of --attention FILE" -i $scene -p hi --attention-word x
usage run "-ctk f16 and -ctv f32: keys and values share one type" -p hi -ctk f16 -ctv f32
usage run "--cpu: 'sse2' is none of: auto portable avx2 avx512 avx512vnni amx" -p hi --cpu sse2
usage run "--without: 'clip,sam' is not a comma list of: clip convnext dinov2 qformer view0 view1 view2 view3 view4 view5 view6 view7 view8 view9" -p hi --without clip,sam
usage run "--without: 'con' is not a comma list of: clip convnext dinov2 qformer view0 view1 view2 view3 view4 view5 view6 view7 view8 view9" -p hi --without con
usage init "--type: 'q4_0' is none of: bf16 f16 f32" "$tmp/model" --type q4_0
usage init "--shards: '0' is not a whole number from 1 to 99" "$tmp/model" --shards 0
usage run "-n: '-2' is not a whole number from -1 to 1000000000" -p hi -n -2
usage run "-n: '12x' is not a whole number from -1 to 1000000000" -p hi -n 12x
usage run "-n: '' is not a whole number from -1 to 1000000000" -p hi -n ''
usage run "-t: '99999999999999999999' is not a whole number from 0 to 4096" -p hi -t 99999999999999999999
usage run "--temp: 'nan' is not a number from 0 to 100" -p hi --temp nan
usage run "--temp: '-0.1' is not a number from 0 to 100" -p hi --temp -0.1
usage run "--top-p: '1.5' is not a number from 0 to 1" -p hi --top-p 1.5
usage run "--repeat-penalty: '0' is not a number from 0.01 to 100" -p hi --repeat-penalty 0
usage run "-s: '-2' is not a whole number from 0 to 18446744073709551615, or -1" -p hi -s -2
usage run "-s: '18446744073709551616' is not a whole number from 0 to 18446744073709551615, or -1" -p hi \
    -s 18446744073709551616
usage run "--image is given twice, as 'a.png' and 'b.png'" -p hi -i a.png --image b.png
usage dump "--output FILE is missing" -p hi
usage inspect "'b': name the models with -m or as arguments, not both" -m a b
usage chat "--image -: standard input is where the questions come from" -i -

usage bench "--prefill 'a': numbers of positions, separated by commas" -m $tiny/llama_ens --prefill a
usage bench "--prefill '3,': numbers of positions, separated by commas" -m $tiny/llama_ens --prefill 3,
usage bench "--prefill '0': numbers of positions, separated by commas" -m $tiny/llama_ens --prefill 0

# What steers a terminal does not get into a message.
fails 2 "unknown command 'a?[31mb c' (see: sphinx help)" "$(printf 'a\033[31mb\nc')"

runs 0 --version
same "--version" "$(cat "$tmp/out")" "$("$sphinx" run --version)"
runs 0 --help
cp "$tmp/out" "$tmp/help"
runs 0 help
same "--help and help" "$(cat "$tmp/out")" "$(cat "$tmp/help")"
for command in run chat tokenize inspect dump init convert bench help; do
    runs 0 help "$command"
    cp "$tmp/out" "$tmp/help"
    runs 0 "$command" --help
    same "$command --help" "$(cat "$tmp/out")" "$(cat "$tmp/help")"
    [ "$(awk 'length > 100' "$tmp/help")" = "" ] || failed "help $command: lines of more than 100 characters"
done
runs 0 help run
contains "$tmp/out" "512)"
finish
