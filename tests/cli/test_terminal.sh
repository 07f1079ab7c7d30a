#!/bin/sh
# test_terminal.sh SPHINX JSON_VALUE - sphinx chat on a terminal: prompts, editing, history, Ctrl-C. Needs script(1) to make a
# terminal; skipped without it.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    echo "skipped: there is no script(1) that makes terminals"
    exit 77
fi

# keys CODE ARGUMENTS: types what the function `typed` prints, in its own time. exec: a shell in between would die of Ctrl-C.
keys() {
    want_code=$1
    typed | TERM=vt100 script -qec "exec $sphinx chat -m $tiny/llama_ens --temp 0 -n 10 $2" /dev/null >"$tmp/screen" 2>&1
    code=$?
    [ "$code" = "$want_code" ] || {
        failed "exit code $code, not $want_code"
        show "$tmp/screen"
    }
}

answer=$("$sphinx" run -m $tiny/llama_ens -p hello --temp 0 -n 10)

# Ctrl-A goes to the beginning of the line; Ctrl-P fetches it again; Ctrl-D leaves.
typed() {
    sleep 2
    printf 'ello\001h\n'
    sleep 2
    printf '/undo\n'
    sleep 1
    printf '\020\020\n'
    sleep 2
    printf '/save %s\n' "$tmp/saved.json"
    sleep 1
    printf '\004'
    sleep 1
}
keys 0 ""
contains "$tmp/screen" "SPHINX listens"
contains "$tmp/screen" "> "
same "the line was edited and remembered" "$("$json_value" "$tmp/saved.json" conversations 0 value)" hello
same "and answered" "$("$json_value" "$tmp/saved.json" conversations 1 value)" "$answer"

# Ctrl-C drops the line; twice it ends the program.
typed() {
    sleep 2
    printf 'nothing\003'
    sleep 1
    printf 'hello\n'
    sleep 2
    printf '\003'
    sleep 1
    printf '\003'
    sleep 1
}
keys 130 ""
contains "$tmp/screen" "Ctrl-C again, or Ctrl-D, leaves"
contains "$tmp/screen" "$answer"

# Ctrl-C during an answer ends it; the conversation goes on.
typed() {
    sleep 2
    printf 'Go\n'
    sleep 2
    printf '\003'
    sleep 2
    printf '/save %s\n' "$tmp/cut.json"
    sleep 1
    printf '/quit\n'
    sleep 1
}
keys 0 "--ignore-eos -n 900000 -c 900000"
same "the answer that was stopped is kept" "$("$json_value" "$tmp/cut.json" conversations 1 from)" gpt
finish
