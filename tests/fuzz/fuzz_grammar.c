/*
 * fuzz_grammar.c - any bytes as a grammar, and what stands behind the first NUL as a text put to it: refused with a reason, or followed; what may
 * go on with a byte may go on with it again, and a text never comes back from the dead.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "text/grammar_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void follow(const struct grammar *g, const uint8_t *text, size_t size)
{
    struct grammar_walk w;
    struct grammar_state s, next, again;
    struct walk_loops loops;
    struct err e = { 0 };
    enum status st = walk_init(&w, g, &e);

    if (st == STATUS_OK) st = walk_start(&w, &s, &e);
    for (size_t i = 0; i < size && st == STATUS_OK && s.set != WALK_DEAD; i++) {
        st = walk_byte(&w, &s, text[i], &next, &e);
        if (st == STATUS_OK) st = walk_byte(&w, &s, text[i], &again, &e);
        if (st != STATUS_OK) break;
        assert(next.set == again.set && next.left == again.left && next.code == again.code);
        assert(!walk_is_over(&w, &next) || walk_is_complete(&w, &next) || walk_is_ending(&w, &next));
        if (next.left == 0 && next.set != WALK_DEAD) st = walk_find_loops(&w, next.set, &loops, &e);
        s = again;
        if (st == STATUS_OK) st = walk_settle(&w, &s, &e);
    }
    assert(st == STATUS_OK || e.text[0] != '\0');
    walk_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ends[] = { "\n###" };
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t n = nul != NULL ? (size_t)(nul - data) : size;
    struct grammar g;
    struct err e = { 0 };

    if (grammar_parse(&g, (const char *)data, n, ends, 1, &e) != STATUS_OK) {
        assert(e.text[0] != '\0' && g.elements == NULL);
        return 0;
    }
    follow(&g, data + (nul != NULL ? n + 1 : n), nul != NULL ? size - n - 1 : 0);
    grammar_free(&g);
    return 0;
}
