#!/bin/sh
# test_bench.sh SPHINX JSON_VALUE - sphinx bench measures every part there is, and counts its work. How long anything takes is not tested.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# positive FIELD...: a value of the report is a number above zero
positive() {
    value=$("$json_value" "$tmp/out" "$@") || failed "no value $*"
    awk -v x="$value" 'BEGIN { exit !(x + 0 > 0) }' || failed "$* is $value"
}

# parts NAME...: the report has these parts, in this order, and no more
parts() {
    i=0
    for want in "$@"; do
        same "part $i" "$("$json_value" "$tmp/out" parts $i name)" "$want"
        positive parts $i seconds
        positive parts $i flop
        positive parts $i bytes
        positive parts $i fraction
        i=$((i + 1))
    done
    "$json_value" "$tmp/out" parts $i >/dev/null 2>&1 && failed "a part too many: $("$json_value" "$tmp/out" parts $i)"
}

runs 0 bench -m $tiny/llama_ens --json --runs 1 --tokens 3 --sequences 2 -q
parts clip convnext dinov2 qformer image "prefill $(($("$sphinx" bench -m $tiny/llama_ens --runs 1 --tokens 0 -q |
    sed -n 's/^prefill \([0-9]*\).*/\1/p')))" decode "decode x2" "check 1" "check 2"
positive limits read
positive limits f32
positive parts 6 tokens_per_second
positive resident_bytes
# Two sequences at once read the weights once: twice the arithmetic, fewer than twice the bytes.
awk -v a="$("$json_value" "$tmp/out" parts 6 bytes)" -v b="$("$json_value" "$tmp/out" parts 7 bytes)" 'BEGIN { exit !(b < 2 * a) }' ||
    failed "decoding two sequences reads twice the bytes of one"

runs 0 bench -m $tiny/llama_ens --json --runs 1 --prefill 5,9 --tokens 2 --sequences 1 --no-image -ctk f32
parts "prefill 5" "prefill 9" decode "check 1"
# Arithmetic grows with the positions: nearly in proportion, attention a little more.
awk -v a="$("$json_value" "$tmp/out" parts 0 flop)" -v b="$("$json_value" "$tmp/out" parts 1 flop)" \
    'BEGIN { exit !(b > 1.5 * a && b < 2.5 * a) }' || failed "the work of 9 positions is not about 9/5 of that of 5"

# Checking four guesses: one step of five positions, where decoding took six of one.
runs 0 bench -m $tiny/llama_ens --json --runs 1 --prefill 5 --tokens 6 --sequences 1 --no-image
parts "prefill 5" decode "check 1" "check 2" "check 4"
positive parts 4 cost
awk -v a="$("$json_value" "$tmp/out" parts 1 flop)" -v b="$("$json_value" "$tmp/out" parts 4 flop)" \
    'BEGIN { exit !(b > 0.7 * a && b < 0.95 * a) }' || failed "the work of checking is not about 5/6 of that of decoding"

runs 0 bench -m $tiny/llama_ens --runs 1 --tokens 2
contains "$tmp/out" "first token"
contains "$tmp/out" "of the"
fails 1 "4097 positions and 2 tokens behind 4097 do not fit the context of 4096" bench -m $tiny/llama_ens --prefill 4097 --tokens 2
finish
