/*
 * fuzz_image_cache.c - any bytes as an entry of the image cache: refused with a reason, or words that are all finite.
 */
#include <assert.h>
#include <math.h>
#include <stdint.h>

#include "model/image_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS = 3, WIDTH = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct digest key = { { 1, 2, 3 } };
    float words[WORDS * WIDTH];
    struct err e = { 0 };

    if (image_cache_parse(data, size, "x.safetensors", &key, words, WORDS, WIDTH, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return 0;
    }
    for (int i = 0; i < WORDS * WIDTH; i++) assert(isfinite(words[i]));
    return 0;
}
