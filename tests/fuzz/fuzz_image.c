/*
 * fuzz_image.c - any bytes through the image decoders, upright and turned by EXIF. The pixel limit keeps a
 * run short; what is decoded also goes through the transform, whose table sizes depend on it.
 */
#include <stdint.h>

#include "image/image.h"
#include "image/transform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct img_options options = { .pixels_max = 1 << 16,
                                   .apply_exif = true,
                                   .permit_damage = (size & 1) != 0 };
    struct err e = { 0 };
    struct image im, square;

    if (img_decode(&im, data, size, "fuzz", &options, &e) != STATUS_OK) {
        if (e.text[0] == 0) __builtin_trap(); /* every refusal gives its reason */
        return 0;
    }
    if (img_transform(&square, &im, IMG_TRANSFORM_PADDED_RESIZE, 16, &e) != STATUS_OK) __builtin_trap();
    img_free(&square);
    img_free(&im);
    return 0;
}
