/*
 * cmd_tokenize.c - standard input to token ids, and back.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "core/file.h"

enum { INPUT_SIZE_MAX = 1 << 30 };

static int encode(struct setup *u, const char *text, size_t size)
{
    sphinx_error error = { 0 };
    int32_t *ids = NULL;
    size_t n_ids = 0;

    if (sphinx_tokenize(u->model, text, size, u->settings->bos, &ids, &n_ids, &error) != SPHINX_OK)
        return setup_failed(u, &error);
    for (size_t i = 0; i < n_ids; i++) output_printf("%s%" PRId32, i > 0 ? " " : "", ids[i]);
    output_printf("\n");
    sphinx_free(ids);
    return CODE_OK;
}

/* Ids are numbers with white space or, as JSON has them, commas and brackets between. text ends in NUL. */
static int ids_parse(const char *text, size_t size, int32_t *ids, size_t *n_ids)
{
    static const char between[] = " \t\r\n,[]";
    const char *p = text;

    *n_ids = 0;
    for (;;) {
        size_t n;
        char *end;
        long id;

        p += strspn(p, between);
        n = strcspn(p, between);
        if (n == 0) break;
        id = strtol(p, &end, 10);
        if (end != p + n || !isdigit((unsigned char)*p) || n > 9)
            return fail("standard input: '%.*s' at byte %zu is not a token id", n > 40 ? 40 : (int)n, p,
                        (size_t)(p - text));
        ids[(*n_ids)++] = (int32_t)id;
        p = end;
    }
    if ((size_t)(p - text) != size)
        return fail("standard input: the NUL at byte %zu is not a token id", (size_t)(p - text));
    return CODE_OK;
}

static int decode(struct setup *u, const char *input, size_t size)
{
    int32_t *ids = malloc((size / 2 + 1) * sizeof *ids);
    sphinx_error error = { 0 };
    char *text = NULL;
    size_t n_ids, n_text = 0;
    int code;

    if (ids == NULL) return fail("out of memory for %zu bytes of ids", size);
    code = ids_parse(input, size, ids, &n_ids);
    if (code == CODE_OK && sphinx_detokenize(u->model, ids, n_ids, &text, &n_text, &error) != SPHINX_OK)
        code = setup_failed(u, &error);
    if (code == CODE_OK) output_text(text, n_text);
    sphinx_free(text);
    free(ids);
    return code;
}

int cmd_tokenize(struct settings *s)
{
    struct setup u = { 0 };
    struct err e = { 0 };
    unsigned char *input = NULL;
    size_t size = 0;
    int code = setup_model(&u, s);

    if (code == CODE_OK && file_read("-", INPUT_SIZE_MAX, &input, &size, &e) != STATUS_OK)
        code = fail("%s", e.text);
    if (code == CODE_OK) code = s->decode ? decode(&u, (char *)input, size) : encode(&u, (char *)input, size);
    free(input);
    setup_close(&u);
    return code;
}
