/*
 * fuzz_log.c - any bytes as a log of answers: refused with a reason, or entries all of which can be read, one an index, in their order.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "eval/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_answers a;
    struct err e = { 0 };
    volatile size_t total = 0; /* so that everything is read */

    if (log_read_memory(&a, "x.jsonl", (const char *)data, size, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return 0;
    }
    assert(a.n == 0 || a.header != NULL);
    for (size_t i = 0; i < a.n; i++) {
        const struct log_entry *entry = &a.entry[i];

        assert(i == 0 || a.entry[i - 1].index < entry->index);
        assert(entry->answer != NULL || entry->error != NULL);
        assert(log_find(&a, entry->index) == entry);
        total = total + length(entry->id) + length(entry->image) + length(entry->question) +
                length(entry->prompt) + length(entry->answer) + length(entry->error) + length(entry->finish) +
                length(entry->taken);
        for (size_t j = 0; j < entry->n_tokens; j++) total = total + (size_t)entry->tokens[j];
    }
    log_answers_free(&a);
    return 0;
}
