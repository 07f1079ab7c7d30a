/*
 * fuzz_mask_rle.c - any text as a mask's run lengths: refused with a reason, or a mask whose own text is read as the same mask.
 *
 *   bytes 0 and 1: height and width; the rest: the text
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/mask_rle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char mask[255 * 255], again[255 * 255];
    static float logits[255 * 255];
    struct err e = { 0 };
    size_t n, area, count = 0;
    char *text;

    if (size < 2 || data[0] == 0 || data[1] == 0) return 0;
    n = (size_t)data[0] * data[1];
    text = malloc(size - 1);
    if (text == NULL) return 0;
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    if (mask_rle_read(mask, data[1], data[0], text, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        free(text);
        return 0;
    }
    free(text);
    for (size_t i = 0; i < n; i++) {
        logits[i] = mask[i];
        count += mask[i];
    }
    if (mask_rle_text(logits, data[1], data[0], &text, &area, &e) != STATUS_OK) return 0;
    assert(area == count);
    assert(mask_rle_read(again, data[1], data[0], text, &e) == STATUS_OK);
    assert(memcmp(mask, again, n) == 0);
    free(text);
    return 0;
}
