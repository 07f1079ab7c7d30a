/*
 * fuzz_sam.c - SAM checkpoints of any sizes, some of whose tensors have other shapes than they should: refused with a reason, or a picture
 * and a prompt get through all of it.
 *
 *   bytes 0..15: the sizes; then three a change: which tensor, which dimension, its length
 */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "segment/segment.h"
#include "support/sam_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZES = 16, LAYERS_MAX = 4, BYTES_MAX = 4 << 20 };

struct changes {
    const uint8_t *data;
    size_t size, at;
    uint64_t bytes; /* of the file so far */
};

static void change(struct tensor_spec *s, void *user)
{
    struct changes *c = user;
    size_t elements = 0;

    for (size_t i = 0; i + 2 < c->size; i += 3) {
        if (c->data[i] == c->at % 256) s->dim[c->data[i + 1] % s->n_dims] = c->data[i + 2];
    }
    c->at++;
    if (!shape_elements(s->dim, s->n_dims, &elements)) elements = BYTES_MAX;
    c->bytes += elements * sizeof(float);
}

static struct sam_config config_of(const uint8_t *x)
{
    return (struct sam_config){ .patch = 1 + x[0] % 8,
                                .grid = 1 + x[1] % 9,
                                .window = 1 + x[2] % 9,
                                .width = x[3] % 48,
                                .layers = x[4] % LAYERS_MAX,
                                .heads = 1 + x[5] % 8,
                                .ffn = x[6] % 64,
                                .dim = 4 * (x[7] % 16),
                                .mask_hidden = { x[8] % 8, x[9] % 8 },
                                .decoder_layers = x[10] % LAYERS_MAX,
                                .decoder_ffn = x[11] % 64,
                                .cross_width = 4 * (x[12] % 16),
                                .masks = x[13] % SAM_MASKS_MAX,
                                .iou_width = x[14] % 64 };
}

static bool write_file(const char *path, const uint8_t *data, size_t size)
{
    struct sam_file_list *l = calloc(1, sizeof *l);
    struct changes c = { .data = data + SIZES, .size = size - SIZES };
    struct sam_config config = config_of(data);
    bool windowed[LAYERS_MAX], ok = false;

    for (int i = 0; i < LAYERS_MAX; i++) windowed[i] = (data[SIZES - 1] >> i & 1) != 0;
    if (l == NULL) return false;
    l->change = change;
    l->user = &c;
    ok = sam_file_write(path, l, &config, windowed, NULL) == STATUS_OK && c.bytes < BYTES_MAX;
    free(l);
    return ok;
}

static void use(const char *path)
{
    struct segment_options o = { .cpu = "auto", .threads = 1, .pictures = 1 };
    struct sam_point points[] = { { 1, 1, true }, { 4, 2, false } };
    struct sam_prompt prompt = { .points = points, .n_points = 2, .has_box = true, .x2 = 5, .y2 = 3 };
    struct image im = { 0 };
    struct segmenter s;
    struct err e = { 0 };
    float logits[5 * 3];

    if (segment_open(&s, path, &o, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return;
    }
    if (img_init(&im, 5, 3, &e) == STATUS_OK && segment_picture(&s, &im, &e) == STATUS_OK) {
        enum status st = segment_mask(&s, &prompt, logits, NULL, &e);

        assert(st == STATUS_OK || st == STATUS_NUMERIC);
    }
    img_free(&im);
    segment_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = getenv("TMPDIR");
    char path[512];
    int fd;

    if (size < SIZES) return 0;
    snprintf(path, sizeof path, "%s/fuzz-sam-XXXXXX.safetensors", folder != NULL ? folder : P_tmpdir);
    fd = mkstemps(path, (int)strlen(".safetensors"));
    if (fd < 0) return 0;
    close(fd);
    if (write_file(path, data, size)) use(path);
    unlink(path);
    return 0;
}
