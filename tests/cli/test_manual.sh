#!/bin/sh
# test_manual.sh SPHINX JSON_VALUE - the manual page and the bash completion know what the program knows, and no more.
# shellcheck disable=SC2013 # words are meant, not lines
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

manual=docs/sphinx.1
"$sphinx" help --list >"$tmp/list"

# mdoc spells --ctx-size as "Fl Fl ctx-size" and -c as "Fl c".
awk 'NF > 1 { print $2 }' "$tmp/list" | sed 's/^--/Fl Fl /; s/^-/Fl /' | sort -u >"$tmp/known"
grep -o 'Fl Fl [a-z][-a-z_0-9]*\|Fl [a-z][-a-z_0-9]*' "$manual" | grep -v '^Fl Fl name$' | sort -u >"$tmp/written"
comm -23 "$tmp/known" "$tmp/written" >"$tmp/missing"
comm -13 "$tmp/known" "$tmp/written" >"$tmp/stale"
[ -s "$tmp/known" ] || failed "help --list is empty"
[ -s "$tmp/missing" ] && failed "$manual lacks: $(tr '\n' ';' <"$tmp/missing")"
[ -s "$tmp/stale" ] && failed "$manual has what the program has not: $(tr '\n' ';' <"$tmp/stale")"
for command in $(awk 'NF == 1' "$tmp/list"); do
    grep -q "^\.It Ic $command$\|^\.Ic.*\b$command\b" "$manual" || failed "$manual lacks the command $command"
done
printf '/help\n' | "$sphinx" chat -m $tiny/llama_ens >"$tmp/chat"
for command in $(awk '/^\// { print $1 }' "$tmp/chat"); do
    grep -q "^\.It Ic $command" "$manual" || failed "$manual lacks the chat command $command"
done
"$sphinx" run -m $tiny/llama_ens -p hi -n 2 --json >"$tmp/json"
for field in $(grep -o '"[a-z_0-9]*":' "$tmp/json" | tr -d '":' | sort -u); do
    grep -q "\b$field\b" "$manual" || failed "$manual lacks the JSON field $field"
done
for problem in $(if command -v man >/dev/null 2>&1; then man --warnings -l "$manual" 2>&1 >/dev/null; fi); do
    failed "man says: $problem"
done

# completed WANTED WORD...: the words before the cursor, the last one unfinished
if command -v bash >/dev/null 2>&1; then
    completed() {
        want=$1
        shift
        bash -c '. scripts/completion.bash
            program=$1; shift
            COMP_WORDS=("$program" "$@"); COMP_CWORD=$#
            _sphinx
            printf "%s\n" "${COMPREPLY[@]}"' bash "$sphinx" "$@" >"$tmp/words"
        grep -qxF -- "$want" "$tmp/words" || failed "completing $*: no '$want' among: $(tr '\n' ' ' <"$tmp/words")"
    }
    completed run ru
    completed tokenize ""
    completed inspect help ins
    completed --temp run --te
    completed --repeat-penalty chat -m x --repeat-p
    completed avx2 run --cpu a
    completed tests/data/images run -i tests/data/im
    completed tests/data/tiny/llama_ens inspect tests/data/tiny/llama_e
    completed tests/data run -m tests/da
    completed tests/data/gguf/llama.gguf run -m tests/data/gguf/l
    for command in $(awk 'NF == 1' "$tmp/list"); do
        for option in $(awk -v c="$command" '$1 == c && NF > 1 { print $2 }' "$tmp/list"); do
            case $command in run | help) completed "$option" "$command" "$option" ;; esac
        done
    done
fi
finish
