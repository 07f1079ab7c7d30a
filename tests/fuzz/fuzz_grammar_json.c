/*
 * fuzz_grammar_json.c - any bytes as a JSON schema: refused with a reason, or a grammar that is well-formed, though it may be too large or endless.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar.h"
#include "text/grammar_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    struct grammar g;
    char *text;

    if (grammar_from_schema((const char *)data, size, &text, &e) != STATUS_OK) {
        assert(e.text[0] != '\0' && text == NULL);
        return 0;
    }
    if (grammar_parse(&g, text, strlen(text), NULL, 0, &e) == STATUS_OK)
        grammar_free(&g);
    else
        assert(strstr(e.text, "column ") == NULL); /* nothing that is wrong about its text */
    free(text);
    return 0;
}
