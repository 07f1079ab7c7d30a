#!/bin/sh
# test_grammar.sh SPHINX JSON_VALUE - --grammar on the bundled model, and with --json-schema on random weights: what the answers look like, whatever
# the draw, and what cannot be followed.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

model=models/sphinx-nano.gguf
picture=examples/pictures/rings.jpg
caption='Describe the image concisely. Include the bounding box for each mentioned object.'
where='Please provide the bounding box coordinate of the region this sentence describes: orange ring.'
printf '%s\t%s\n' $picture "$caption" $picture "$where" >"$tmp/list.tsv"
value() {
    "$json_value" "$tmp/answer" "$@"
}

# ---- boxes and points: every answer that came to its end is nothing else, and all of it is understood
number='(0\.[0-9]{2,3}|1\.000?)'
phrase='<p>[^]<>[]+</p> ?'
box="$number,$number,$number,$number"
point="$number,$number"
boxes="($phrase)?\\[$box(;$box)*\\]"
points="$phrase\\[$point(;$point)*\\]"
finished=0
check_preset() { # PRESET PATTERN PART ARGUMENT...
    preset=$1 pattern=$2 part=$3
    shift 3
    runs 0 batch -q -m $model "$tmp/list.tsv" --grammar "$preset" -n 80 "$@"
    same "$preset $*: answers" "$(wc -l <"$tmp/out" | tr -d ' ')" 2
    while IFS= read -r answer; do
        printf '%s\n' "$answer" >"$tmp/answer"
        [ "$(value finish_reason)" = stop ] || continue
        finished=$((finished + 1))
        text=$(value answer)
        printf '%s\n' "$text" | grep -Eqx "$pattern([,;.]? ?$pattern)*" || failed "$preset $*: $text"
        same "$preset $*: parts of $text" "$(value "$preset" | grep -o '"square"' | wc -l)" \
            "$(printf '%s\n' "$text" | sed 's,<p>[^<]*</p>,,g' | grep -Eo "[[;]$part" | wc -l)"
        same "$preset $*: malformed parts of $text" "$(value malformed)" 0
    done <"$tmp/out"
}
check_preset boxes "$boxes" "$box" --temp 0
check_preset boxes "$boxes" "$box" --temp 2 --top-p 1 --seed 2
check_preset points "$points" "$point" --temp 1 --seed 3
[ $finished -ge 3 ] || failed "only $finished of 6 answers came to their ends"

# ---- a grammar from a file, and a JSON schema
says() { # WANTED ARGUMENT...
    want=$1
    shift
    runs 0 run -m $tiny/llama_ens -p "$question" --temp 1.5 --top-p 1 --seed 5 "$@"
    grep -Eqx "$want" "$tmp/out" || failed "$*: $(cat "$tmp/out")"
    same "$*: lines" "$(wc -l <"$tmp/out" | tr -d ' ')" 1
}
cat >"$tmp/list.gbnf" <<'END'
# three colours
root   ::= colour (", " colour){2} "."
colour ::= "red" | "gr" [ae] "y" | "blue"
         | "größer"
END
colour='(red|gr[ae]y|blue|größer)'
says "$colour, $colour, $colour\\." --grammar-file "$tmp/list.gbnf"
says 'ja|nein' --grammar 'root ::= "ja" | "nein"'
schema='{"type": "object", "properties": {"shape": {"enum": ["ring", "star"]}, "filled": {"type": "boolean"}, "n": {"type": "integer"}},
    "required": ["shape", "filled"], "additionalProperties": false}'
object='\{"shape": ?"(ring|star)", ?"filled": ?(true|false)(, ?"n": ?-?(0|[1-9][0-9]*))?\}'
says "$object" --json-schema "$schema"
printf '%s\n' "$schema" >"$tmp/schema.json"
says "$object" --json-schema-file "$tmp/schema.json"
"$json_value" "$tmp/out" shape >/dev/null || failed "not JSON: $(cat "$tmp/out")"

# ---- what cannot be followed
refuses() {
    sentence=$1
    shift
    fails 1 "$sentence" run -m $tiny/llama_ens -p hi "$@"
}
printf 'root ::= a\n\na = "x"\n' >"$tmp/bad.gbnf"
refuses "the grammar, line 3, column 3: behind the name of a rule ::= is missing" --grammar-file "$tmp/bad.gbnf"
refuses "the grammar, line 2: 'list' is left-recursive: it leads to itself before a character is read; write x ::= y (\",\" y)* instead of x ::= x \",\" y | y" \
    --grammar 'root ::= "[" list "]"
list ::= list "," "x" | "x"'
refuses "the grammar, line 1, column 10: there is no rule of this name" --grammar 'root ::= box'
refuses "the JSON schema: 'minimum' cannot be kept to" --json-schema '{"type": "integer", "minimum": 3}'
refuses "an answer follows a grammar or a JSON schema, not both" --grammar boxes --json-schema '{}'
refuses "a grammar says where the answer ends: ignore_eos does not go with it" --grammar boxes --ignore-eos
refuses "$tmp/none: cannot open: No such file or directory" --grammar-file "$tmp/none"
printf 'a\000b' >"$tmp/nul"
refuses "$tmp/nul: not a text, or no memory for it" --json-schema-file "$tmp/nul"
runs 2 run -m $tiny/llama_ens -p hi --grammar boxes --grammar-file "$tmp/list.gbnf"
contains "$tmp/err" "--grammar-file: another option says already what answers must look like"
finish
