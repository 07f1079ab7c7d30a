#!/bin/sh
# test_serve.sh SPHINX JSON_VALUE - the server as a process: how it is begun, what it says, and how it ends. What it answers is in tests/serve.
# shellcheck source=tests/cli/lib.sh
. tests/cli/lib.sh

# begin OPTIONS...: the server, when it listens; $server is its process
begin() {
    : >"$tmp/err" # before the shell gets to it: what is read below is not of the last server
    "$sphinx" serve -m $tiny/llama_ens --port 0 "$@" >"$tmp/out" 2>"$tmp/err" &
    server=$!
    tries=0
    until grep -q ' at http' "$tmp/err"; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then
            failed "the server did not begin: $(cat "$tmp/err")"
            return
        fi
        sleep 0.05
    done
}

# ends SIGNAL: it ends by that, with code 0
ends() {
    kill -"$1" $server
    code=0
    wait $server || code=$?
    [ $code -eq 0 ] || failed "SIG$1 ended the server with code $code: $(cat "$tmp/err")"
}

begin
grep -q '^sphinx: llama_ens at http://127.0.0.1:[1-9][0-9]*$' "$tmp/err" || failed "said: $(cat "$tmp/err")"
ends TERM
begin --host 0.0.0.0 --alias it
grep -q '^sphinx: it at http://0.0.0.0:' "$tmp/err" || failed "said: $(cat "$tmp/err")"
grep -q 'warning: other machines can use this server' "$tmp/err" || failed "no warning: $(cat "$tmp/err")"
ends INT

# The environment, where the command line says nothing.
SPHINX_ARG_HOST=127.0.0.2 SPHINX_ARG_ALIAS=no begin --alias=yes
grep -q '^sphinx: yes at http://127.0.0.2:' "$tmp/err" || failed "said: $(cat "$tmp/err")"
ends TERM
(
    export SPHINX_ARG_PORT=x
    fails 2 "serve: SPHINX_ARG_PORT: 'x' is not a whole number from 0 to 65535 (see: sphinx help serve)" serve
    export SPHINX_ARG_PORT=0 SPHINX_ARG_PRECISE=perhaps
    fails 2 "serve: SPHINX_ARG_PRECISE: 'perhaps' is neither 1 true on enabled nor 0 false off disabled (see: sphinx help serve)" serve
)

printf ' \n\n' >"$tmp/keys"
fails 1 "$tmp/keys: there is no key in it" serve -m $tiny/llama_ens --api-key-file "$tmp/keys"
fails 1 "$tmp/none: cannot open: No such file or directory" serve -m $tiny/llama_ens --api-key-file "$tmp/none"
fails 1 "TLS needs both a certificate and a key" serve -m $tiny/llama_ens --port 0 --ssl-key-file "$tmp/keys"
finish
