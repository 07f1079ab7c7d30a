#!/bin/sh
# vocabulary.sh ANNOTATIONS OUT - the vocabulary of sphinx-nano, OUT.model, from the texts that it is to learn (SentencePiece: BPE, 1152 pieces,
# bytes for what they lack). What the texts say again and again word for word is a piece each (phrases.txt), and so is each
# coordinate of two decimals: an image and a question are then some hundred tokens, and a box is eight.
# Needs spm_train (Debian: sentencepiece) and jq.
set -eu
here=$(dirname "$0")
# The trainer writes the names of its files into the vocabulary: these are the same everywhere.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat "$here/phrases.txt" >"$work/pieces"
LC_ALL=C seq -f '%.2f' 0 0.01 1 >>"$work/pieces"
jq -r '.[].conversations[].value' "$1" | head -n 1000000 >"$work/texts"
(
    cd "$work"
    spm_train --input=texts --model_prefix=vocabulary --model_type=bpe --vocab_size=1152 --byte_fallback=true --character_coverage=1.0 \
        --split_digits=true --normalization_rule_name=identity --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
        --user_defined_symbols_file=pieces --max_sentence_length=20000 --minloglevel=2
)
mv "$work/vocabulary.model" "$2.model"
mv "$work/vocabulary.vocab" "$2.vocab"
