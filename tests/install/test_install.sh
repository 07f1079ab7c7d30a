#!/bin/sh
# test_install.sh BUILD PREFIX LIBDIR CMAKE CC - a user's way with an installed library: install below a scratch root, compile the
# example with the flags that pkg-config gives, against the shared library and against the archive, and run both.
set -eu
build=$1 prefix=$2 libdir=$3 cmake=$4 cc=$5
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() {
    echo "install: $*" >&2
    exit 1
}

DESTDIR=$root "$cmake" --install "$build" >"$root/log" || fail "$(cat "$root/log")"
at=$root$prefix
for file in bin/sphinx include/sphinx.h "$libdir/libsphinx.so" "$libdir/libsphinx.a" "$libdir/pkgconfig/sphinx.pc" \
    share/man/man1/sphinx.1 share/bash-completion/completions/sphinx share/doc/sphinx/LICENSE; do
    [ -s "$at/$file" ] || fail "$file is missing"
done
for model in sphinx-nano sphinx-nano-1k sphinx-sam-nano; do
    [ -s "$at/share/sphinx/models/$model.gguf" ] || fail "the bundled $model is missing"
done

# The library gives away nothing but sphinx.h's names.
nm -D --defined-only "$at/$libdir/libsphinx.so" | awk '{ print $3 }' | grep -v '^sphinx_' &&
    fail "libsphinx.so exports the names above"

export PKG_CONFIG_PATH="$at/$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root" LD_LIBRARY_PATH="$at/$libdir"
# shellcheck disable=SC2046 # flags are many words
$cc -std=c17 examples/ask.c $(pkg-config --cflags --libs sphinx) -o "$root/ask_shared"
# shellcheck disable=SC2046
$cc -std=c17 examples/ask.c $(pkg-config --cflags --libs --static sphinx | sed 's/-lsphinx/-l:libsphinx.a/') \
    -o "$root/ask_static"
ldd "$root/ask_static" | grep libsphinx && fail "the archive was not linked"
for program in ask_shared ask_static; do
    "$cmake" -DGOLDEN=llama_ens -P tests/examples/begins_with_golden.cmake -- "$root/$program" \
        tests/data/tiny/llama_ens tests/data/images/scene.png "What is in the image?"
done

# The installed program finds the bundled model from where it stands.
"$at/bin/sphinx" run -i tests/data/images/scene.png -p "What is in the image?" --temp 0 -n 4 >"$root/answer" ||
    fail "the installed program does not answer"
[ -s "$root/answer" ] || fail "the installed program answers nothing"
