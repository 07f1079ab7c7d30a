#!/bin/sh
# test_signals.sh SPHINX JSON_VALUE - Ctrl-C: the first stops the answer, which still ends well; work that writes files leaves none.
# shellcheck disable=SC2016 # conditions are expanded later
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens

# Starts sphinx with the arguments, waits for `$1` to be true, sends SIGINT, and gives the exit code in $code.
interrupt_when() {
    condition=$1
    shift
    : >"$tmp/out"
    "$sphinx" "$@" <"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    tries=0
    while ! eval "$condition" && [ $tries -lt 600 ] && kill -0 $pid 2>/dev/null; do
        sleep 0.05
        tries=$((tries + 1))
    done
    kill -INT $pid 2>/dev/null || failed "sphinx $*: ended before it was interrupted"
    began=$(date +%s)
    wait $pid
    code=$?
    [ $(($(date +%s) - began)) -le 10 ] || failed "sphinx $*: took long to stop"
}

endless="--ignore-eos -n 900000 -c 900000 --temp 1"
# shellcheck disable=SC2086 # many words
interrupt_when '[ -s "$tmp/out" ]' run -m $model -i $scene -p "$question" $endless
same "an interrupted answer" "$code" 130
same_bytes "says nothing" "$tmp/err" ""
same "ends its line" "$(tail -c 1 "$tmp/out" | od -An -tx1 | tr -d ' ')" 0a

# JSON comes whole, with what there is.
# shellcheck disable=SC2086
interrupt_when 'sleep 1' run -m $model -p "$question" --json $endless
same "an interrupted JSON answer" "$code" 130
same "finish_reason" "$("$json_value" "$tmp/out" finish_reason)" cancelled

# In a pipe nobody could go on.
printf 'Go\nnever\n' >"$tmp/in"
# shellcheck disable=SC2086
interrupt_when '[ -s "$tmp/out" ]' chat -m $model $endless
same "an interrupted chat" "$code" 130
same "its answers" "$(wc -l <"$tmp/out" | tr -d ' ')" 1

# A second one does not wait: sent while the first is being answered, it ends the program too.
: >"$tmp/in"
# shellcheck disable=SC2086
"$sphinx" run -m $model -p "$question" $endless >"$tmp/out" 2>"$tmp/err" &
pid=$!
while [ ! -s "$tmp/out" ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -STOP $pid
kill -INT $pid
kill -CONT $pid
kill -INT $pid 2>/dev/null
wait $pid
same "interrupted twice" $? 130

# Nothing half-written stays. (SPHINX-Tiny at full size has 6 GB, so that it is under way for long; where less is free it refuses.)
interrupt_when '[ -n "$(find "$tmp"/big* -type f 2>/dev/null)" ]' init "$tmp/big" --llama-type llama_ens_light -q
case $code in
130) same "weights that were left" "$(find "$tmp"/big* -name '*.pth*' 2>/dev/null | wc -l | tr -d ' ')" 0 ;;
1) contains "$tmp/err" "free" ;;
*) failed "an interrupted init: exit code $code" ;;
esac
finish
