#!/bin/sh
# test_guess.sh SPHINX JSON_VALUE - --lookup and --draft: the same answers, told apart only by their counts, and what does not go.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=$tiny/llama_ens
ask() { # ARGUMENT...
    runs 0 run -m $model -i $scene -p "one two one two $question" -n 60 --ignore-eos --seed 4 --json "$@"
}
value() {
    "$json_value" "$tmp/out" "$@"
}

for temperature in 0 0.8; do
    ask --temp $temperature
    plain=$(value text)
    tokens=$(value tokens 59)
    same "without guesses" "$(value drafted_tokens) $(value accepted_tokens)" "0 0"
    for how in "--lookup 8" "--draft $model --draft-p-min 0" "-md $tiny/llama_ens_light --draft-max 3 --draft-p-min 0 --lookup 16" \
        "--model-draft $tiny/llama_ens-safetensors,$tiny/llama_ens-diff --draft-min 2 --draft-p-min 0" "-ub 40 --lookup 4"; do
        # shellcheck disable=SC2086 # words are meant
        ask --temp $temperature $how
        case $how in
        -ub*) ;; # a prompt in pieces is computed in other sums
        *)
            same "$how: the answer" "$(value text)" "$plain"
            same "$how: the last token" "$(value tokens 59)" "$tokens"
            ;;
        esac
        [ "$(value accepted_tokens)" -le "$(value drafted_tokens)" ] || failed "$how: more right than guessed"
    done
done
ask --temp 0.8 --draft $model --draft-p-min 0
[ "$(value drafted_tokens)" -gt 20 ] || failed "the draft hardly guessed: $(value drafted_tokens)"
runs 0 run -m $model -p hi -n 20 --ignore-eos --draft $model --draft-p-min 0 -v
contains "$tmp/err" "tokens were guessed"

runs 1 run -m $model -p hi --draft $tiny/no-such-model
contains "$tmp/err" "no such file or folder"
runs 2 run -m $model -p hi --lookup 17
runs 2 run -m $model -p hi --draft-p-min 1.5
runs 1 run -m $model -p hi -ub 20
contains "$tmp/err" "chunk is 20"
finish
