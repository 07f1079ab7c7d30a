/*
 * fuzz_prompt_cache.c - any bytes as a prompt cache: refused with a reason, or a conversation all of which can be read. What
 * the checksum refuses is read all the same, or no change to an input would ever get past it.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "model/cache_file.h"
#include "model/prompt_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAYERS = 2, WIDTH = 4, WORDS = 2 };

static const struct prompt_setting setting = {
    .model = { { 7 } },
    .level = "ref",
    .kv_type = DTYPE_F16,
    .n_layers = LAYERS,
    .vocab = 10,
    .kv_width = WIDTH,
    .context = 16,
    .n_words = WORDS,
    .width = WIDTH,
};

/* Reads all that the content promises. */
static uint64_t sum(const struct prompt_content *c)
{
    size_t n_rows = c->n_ids > 0 ? c->n_ids + (c->has_image ? WORDS : 0) : 0;
    uint64_t total = strlen(c->system);

    for (size_t i = 0; i < c->n_turns; i++)
        total += strlen(c->turns[i].question) + strlen(c->turns[i].answer);
    for (size_t i = 0; i < c->n_ids * sizeof(int32_t); i++) total += ((const uint8_t *)c->ids)[i];
    for (int i = 0; i < 2 * LAYERS && n_rows > 0; i++) {
        for (size_t j = 0; j < n_rows * WIDTH * 2; j++) total += ((const uint8_t *)c->rows[i])[j];
    }
    if (!c->has_image) return total;
    for (size_t i = 0; i < (size_t)c->image_width * (size_t)c->image_height * 3; i++) total += c->pixels[i];
    for (size_t i = 0; i < sizeof(float) * WORDS * WIDTH; i++) total += ((const uint8_t *)c->words)[i];
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prompt_cache p = { 0 };
    struct err e = { 0 };
    volatile uint64_t total; /* so that everything is read */

    if (cache_file_open_memory(&p.file, data, size, "x.cache", "sphinx prompt cache 1", &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        err_clear(&e);
        if (safetensors_open_memory(&p.file, data, size, "x.cache", &e) != STATUS_OK) return 0;
    }
    if (prompt_cache_read(&p, &setting, &e) == STATUS_OK) {
        total = sum(&p.content);
        (void)total;
    } else {
        assert(e.text[0] != '\0');
    }
    prompt_cache_close(&p);
    return 0;
}
