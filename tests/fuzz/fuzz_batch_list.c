/*
 * fuzz_batch_list.c - any bytes as a list of questions: refused with a reason, or items all of which can be read, each with a question.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/batch_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(const char *data, size_t size, const char *prompt)
{
    struct batch_list l;
    struct err e = { 0 };
    volatile size_t total = 0; /* so that everything is read */

    if (batch_list_read(&l, "x", data, size, prompt, &e) != STATUS_OK) {
        assert(e.text[0] != '\0' && l.n == 0);
        return;
    }
    assert(l.n > 0);
    for (size_t i = 0; i < l.n; i++) {
        const struct batch_item *item = &l.items[i];

        total = total + strlen(item->prompt) + (item->image != NULL ? strlen(item->image) : 0) +
                (item->id != NULL ? strlen(item->id) : 0);
        assert(item->line > 0 && (item->image == NULL || item->image[0] != '\0'));
    }
    batch_list_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* of exactly this size but for the byte that malloc(0) would lack */

    assert(copy != NULL);
    memcpy(copy, data, size);
    read_list(copy, size, NULL);
    read_list(copy, size, "What is this?");
    free(copy);
    return 0;
}
