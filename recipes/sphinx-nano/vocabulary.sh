#!/bin/sh
# vocabulary.sh ANNOTATIONS OUT - the vocabulary of sphinx-nano, OUT.model, from the texts that it is to learn (SentencePiece: BPE, 1152 pieces,
# bytes for what they lack). What the texts say again and again word for word is a piece each (phrases.txt), and so is each
# coordinate of two decimals: an image and a question are then some hundred tokens, and a box is eight.
# Needs spm_train (Debian: sentencepiece) and jq.
set -eu
here=$(dirname "$0")
pieces=$(mktemp)
texts=$(mktemp)
trap 'rm -f "$pieces" "$texts"' EXIT

cat "$here/phrases.txt" >"$pieces"
LC_ALL=C seq -f '%.2f' 0 0.01 1 >>"$pieces"
jq -r '.[].conversations[].value' "$1" | head -n 1000000 >"$texts"
spm_train --input="$texts" --model_prefix="$2" --model_type=bpe --vocab_size=1152 --byte_fallback=true --character_coverage=1.0 \
    --split_digits=true --normalization_rule_name=identity --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --user_defined_symbols_file="$pieces" --max_sentence_length=20000 --minloglevel=2
