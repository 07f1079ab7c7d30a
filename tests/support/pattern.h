/*
 * pattern.h - test pictures from a formula, so that no large file need be kept. tools/reference/images.py
 * holds the same formula; the goldens it writes were made from it.
 */
#ifndef TESTS_SUPPORT_PATTERN_H
#define TESTS_SUPPORT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

static inline uint32_t pattern_hash(uint32_t x, uint32_t y, uint32_t c, uint32_t seed)
{
    uint32_t h = x * 374761393u + y * 668265263u + c * 2246822519u + seed * 3266489917u;

    h = (h ^ h >> 13) * 1274126177u;
    return h ^ h >> 16;
}

/* Seeds 0 mod 3 give noise, 1 smooth waves with folds, 2 blocks of black and white at full contrast. */
static inline void pattern_image(struct image *im, uint32_t seed)
{
    for (uint32_t y = 0; y < (uint32_t)im->height; y++) {
        for (uint32_t x = 0; x < (uint32_t)im->width; x++) {
            for (uint32_t c = 0; c < 3; c++) {
                uint32_t v;

                if (seed % 3 == 0)
                    v = pattern_hash(x, y, c, seed) & 255;
                else if (seed % 3 == 1)
                    v = (x * 7 + y * 3 + c * 50 + x * y / 16 + seed) & 255;
                else
                    v = pattern_hash(x / 5, y / 3, c, seed) >> 9 & 1 ? 255 : 0;
                im->rgb[((size_t)y * (size_t)im->width + x) * 3 + c] = (unsigned char)v;
            }
        }
    }
}

/* [planes, height, width], uniform in -2..2 and exact in float32. */
static inline void pattern_planes(float *out, int planes, int height, int width, uint32_t seed)
{
    for (uint32_t p = 0; p < (uint32_t)planes; p++) {
        for (uint32_t y = 0; y < (uint32_t)height; y++) {
            for (uint32_t x = 0; x < (uint32_t)width; x++) {
                *out++ = (float)(pattern_hash(x, y, p, seed) >> 8) / 4194304.0f - 2.0f;
            }
        }
    }
}

#endif
