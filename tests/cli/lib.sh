# lib.sh - what the tests of this folder share; sourced with the binary and json_value as arguments.
#
#     expect CODE OUT ERR ARGUMENT...   runs sphinx with $tmp/in as standard input: exit code, standard output and standard error must
#                                       be exactly these (write line ends as $nl)
#     runs CODE ARGUMENT...             the same for the exit code alone; output stays in $tmp/out and $tmp/err
#     same WHAT A B                     two texts are equal and not empty
#     contains FILE TEXT                the file has the text somewhere
#
# A failure is printed and counted; `finish` ends the test with what was counted.
set -u
sphinx=$1
json_value=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset SPHINX_MODEL
export LC_ALL=C

nl='
'
tiny=tests/data/tiny
scene=tests/data/images/scene.png
question='What is in the image?'
failures=0
: >"$tmp/in"

failed() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

show() {
    sed 's/^/    /' "$1" | head -n 20
}

runs() {
    want_code=$1
    shift
    "$sphinx" "$@" <"$tmp/in" >"$tmp/out" 2>"$tmp/err"
    code=$?
    [ "$code" = "$want_code" ] && return
    failed "sphinx $*: exit code $code, not $want_code"
    show "$tmp/err"
}

# same_bytes WHAT FILE TEXT: what a command wrote, line ends at the end included.
same_bytes() {
    printf '%s' "$3" | cmp -s - "$2" && return
    failed "$1"
    echo "  want:"
    printf '%s\n' "$3" | sed 's/^/    /'
    echo "  got:"
    show "$2"
}

expect() {
    want_code=$1 want_out=$2 want_err=$3
    shift 3
    runs "$want_code" "$@"
    same_bytes "sphinx $*: standard output" "$tmp/out" "$want_out"
    same_bytes "sphinx $*: standard error" "$tmp/err" "$want_err"
}

# One sentence on standard error, as for anything that fails.
fails() {
    want_code=$1 sentence=$2
    shift 2
    expect "$want_code" "" "sphinx: $sentence$nl" "$@"
}

same() {
    [ "$2" = "$3" ] && [ -n "$2" ] && return
    failed "$1: [$2] is not [$3]"
}

contains() {
    grep -qF -- "$2" "$1" && return
    failed "$1 does not contain: $2"
    show "$1"
}

# The reference's answer to the question of a golden: golden CASE [TURN]
golden() {
    "$json_value" tests/data/golden/texts.json goldens "$1" answers "${2:-0}"
}

finish() {
    [ "$failures" = 0 ] && exit 0
    echo "$failures failed"
    exit 1
}
