/*
 * test_sam.c - SAM of tiny random weights against what the public package computes with them (tools/reference/sam.py): every step, then
 * whole masks of a picture; and files that are no SAM.
 */
#include "segment/segment.h"
#include "store/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DATA    "tests/data/sam/"
#define PICTURE "tests/data/images/scene.png"

/* Of the largest number, or of 1. Float32 sums in another order come to 2e-6. The decoder divides by the deviation of a cell's 8 channels, and where
 * these are nearly equal rounding becomes a hundred times larger: at level ref as at the others, and in PyTorch. */
static double tolerance(const char *name)
{
    const char *end = strchr(name, '.');

    if (end == NULL || strcmp(end, ".tokens") == 0 || strcmp(end, ".dense") == 0 ||
        strncmp(name, "block", 5) == 0)
        return 1e-5;
    return 3e-4;
}

struct fixture {
    struct segmenter s;
    struct safetensors_file want;
    struct image picture;
    int n_seen; /* intermediates that were compared */
    const char *level;
};

static void compare(struct fixture *f, const char *name, const float *got, size_t n)
{
    const struct raw_tensor *t = safetensors_find(&f->want, name);
    const float *want;
    double largest = 1, worst = 0;
    size_t n_want;

    if (t == NULL) fail_msg("there is no golden %s", name);
    assert_true(shape_elements(t->dim, t->n_dims, &n_want));
    assert_int_equal(n, n_want);
    want = t->data;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]) / largest;

        if (!(d <= tolerance(name)))
            fail_msg("%s %s: at %zu got %.9g, want %.9g", f->level, name, i, (double)got[i], (double)want[i]);
        worst = fmax(worst, d);
    }
    f->n_seen++;
    print_message("%s %-14s within %.1e\n", f->level, name, worst);
}

static void compare_tensor(struct fixture *f, const char *name, const struct tensor *got)
{
    if (got == NULL) fail_msg("%s: %s", name, f->s.c.err.text);
    assert_true(tensor_rows(got) <= 1 || got->stride == tensor_columns(got));
    compare(f, name, tensor_f32(got), (size_t)(tensor_rows(got) * tensor_columns(got)));
}

static void on_observed(void *user, const char *name, const struct tensor *x)
{
    compare_tensor(user, name + strlen("sam."), x);
}

static void open_fixture(struct fixture *f, const char *level, const char *golden)
{
    struct segment_options o = { .cpu = level, .threads = 2, .pictures = 2 };
    struct err e = { 0 };
    char path[128];

    memset(f, 0, sizeof *f);
    f->level = level;
    snprintf(path, sizeof path, DATA "%s.safetensors", golden);
    if (segment_open(&f->s, DATA "tiny.pth", &o, &e) != STATUS_OK) {
        if (e.code == STATUS_UNSUPPORTED) skip();
        fail_msg("%s", e.text);
    }
    assert_int_equal(safetensors_open(&f->want, path, &e), STATUS_OK);
}

static void close_fixture(struct fixture *f)
{
    segment_close(&f->s);
    safetensors_close(&f->want);
    img_free(&f->picture);
}

/* In the order of the cases of sam.py. */
static const struct prompt_case {
    const char *name;
    struct sam_prompt prompt;
    int masks;
} cases[] = {
    { "box", { .has_box = true, .x1 = 20, .y1 = 15, .x2 = 70, .y2 = 60 }, 4 },
    { "wide", { .has_box = true, .x1 = 90.5f, .y1 = 70.25f, .x2 = 30, .y2 = 10 }, 1 },
    { "outside", { .has_box = true, .x1 = -30, .y1 = 40, .x2 = 400, .y2 = 41 }, 1 },
    { "points",
      { .points = (const struct sam_point[]){ { 40, 30, true }, { 100, 20, false } }, .n_points = 2 },
      1 },
    { "both",
      { .points = (const struct sam_point[]){ { 40, 30, true } },
        .n_points = 1,
        .has_box = true,
        .x1 = 20,
        .y1 = 15,
        .x2 = 70,
        .y2 = 60 },
      1 },
};

/* The prompt in pixels of the square, which shows the 131 x 94 picture as 160 x 115. */
static struct sam_prompt in_square(const struct sam_prompt *p, struct sam_point *points)
{
    const double across = 160.0 / 131, down = 115.0 / 94;
    struct sam_prompt q = *p;

    for (size_t i = 0; i < p->n_points; i++) {
        points[i] = p->points[i];
        points[i].x = (float)((double)points[i].x * across);
        points[i].y = (float)((double)points[i].y * down);
    }
    q.points = points;
    q.x1 = (float)((double)q.x1 * across);
    q.x2 = (float)((double)q.x2 * across);
    q.y1 = (float)((double)q.y1 * down);
    q.y2 = (float)((double)q.y2 * down);
    return q;
}

static void compare_case(struct fixture *f, const char *name, struct tensor *tokens, struct tensor *dense,
                         int n_masks)
{
    struct sam_masks masks =
        sam_decode(&f->s.c, &f->s.file.sam, (struct tensor *)(uintptr_t)&f->s.picture->embedding, &f->s.code,
                   tokens, dense, n_masks > 1);
    char key[64];

    snprintf(key, sizeof key, "%s.logits", name);
    if (safetensors_find(&f->want, key) != NULL) compare_tensor(f, key, masks.logits);
    snprintf(key, sizeof key, "%s.iou", name);
    compare(f, key, tensor_f32(masks.iou), (size_t)n_masks);
}

static void every_step_is_the_package_s(void **state)
{
    const struct raw_tensor *logits;
    struct tensor mask, *tokens, *dense = NULL;
    struct sam_point points[2];
    struct sam_prompt prompt;
    struct fixture f;
    struct err e = { 0 };
    char key[64];

    open_fixture(&f, *state, "scene");
    f.s.c.observer = on_observed;
    f.s.c.observer_user = &f;
    assert_int_equal(img_read(&f.picture, PICTURE, NULL, &e), STATUS_OK);
    assert_int_equal(segment_picture(&f.s, &f.picture, &e), STATUS_OK);
    assert_int_equal(f.n_seen, 3); /* two blocks and the embedding */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prompt = in_square(&cases[i].prompt, points);
        tokens = sam_prompt_tokens(&f.s.c, &f.s.file.sam, &prompt);
        snprintf(key, sizeof key, "%s.tokens", cases[i].name);
        compare_tensor(&f, key, tokens);
        compare_case(&f, cases[i].name, tokens, sam_prompt_dense(&f.s.c, &f.s.file.sam, NULL),
                     cases[i].masks);
    }
    logits = safetensors_find(&f.want, "box.logits");
    mask = tensor_matrix(DTYPE_F32, (void *)(uintptr_t)logits->data, 1, logits->dim[1] * logits->dim[2]);
    dense = sam_prompt_dense(&f.s.c, &f.s.file.sam, &mask);
    compare_tensor(&f, "mask.dense", dense);
    prompt = in_square(&cases[0].prompt, points);
    compare_case(&f, "mask", sam_prompt_tokens(&f.s.c, &f.s.file.sam, &prompt), dense, 1);
    assert_int_equal(f.n_seen, 3 + 5 + 1 + 6 + 3); /* tokens, the dense prompt, what is expected, logits */
    close_fixture(&f);
}

/* From the picture's pixels to a mask of its size, twice: nothing of the first is left in the second. */
static void a_mask_has_the_picture_s_size(void **state)
{
    const struct raw_tensor *want;
    struct fixture f;
    struct err e = { 0 };
    float *logits, iou = NAN;

    open_fixture(&f, *state, "scene");
    assert_int_equal(img_read(&f.picture, PICTURE, NULL, &e), STATUS_OK);
    assert_int_equal(segment_picture(&f.s, &f.picture, &e), STATUS_OK);
    want = safetensors_find(&f.want, "box.full");
    assert_int_equal(want->dim[1], f.picture.height);
    assert_int_equal(want->dim[2], f.picture.width);
    logits = malloc((size_t)(f.picture.width * f.picture.height) * sizeof *logits);
    assert_non_null(logits);
    for (int i = 1; i >= 0; i--)
        assert_int_equal(segment_mask(&f.s, &cases[i].prompt, logits, &iou, &e), STATUS_OK);
    compare(&f, "box.full", logits, (size_t)(f.picture.width * f.picture.height));
    assert_true(fabsf(iou - ((const float *)safetensors_find(&f.want, "box.iou")->data)[0]) < 1e-4f);
    free(logits);
    close_fixture(&f);
}

/* sam.py's tall(): upright, and made smaller. */
static void a_tall_picture_is_made_smaller(void **state)
{
    struct fixture f;
    struct err e = { 0 };
    float *logits, iou = NAN;

    open_fixture(&f, *state, "tall");
    assert_int_equal(img_init(&f.picture, 97, 301, &e), STATUS_OK);
    for (int y = 0; y < 301; y++)
        for (int x = 0; x < 97; x++)
            for (int c = 0; c < 3; c++)
                f.picture.rgb[(y * 97 + x) * 3 + c] = (unsigned char)(x * 7 + y * 3 + c * 50 + x * y / 40);
    assert_int_equal(segment_picture(&f.s, &f.picture, &e), STATUS_OK);
    compare_tensor(&f, "embedding", &f.s.picture->embedding);
    logits = malloc((size_t)(97 * 301) * sizeof *logits);
    assert_int_equal(segment_mask(&f.s, &cases[0].prompt, logits, &iou, &e), STATUS_OK);
    assert_true(fabsf(iou - ((const float *)safetensors_find(&f.want, "box.iou")->data)[0]) < 1e-4f);
    free(logits);
    close_fixture(&f);
}

/* Every picture and prompt has an answer of numbers, or a sentence. */
static void odd_pictures_and_prompts(void **state)
{
    static const int sizes[][2] = { { 1, 1 }, { 700, 1 }, { 1, 700 }, { 160, 160 }, { 4000, 3 } };
    static const struct sam_prompt empty = { .has_box = true, .x1 = 3, .y1 = 3, .x2 = 3, .y2 = 3 };
    struct sam_prompt none = { .has_box = false }, endless = empty, far = empty;
    struct fixture f;
    struct err e = { 0 };

    endless.x2 = INFINITY;
    far.y1 = 1e30f;
    open_fixture(&f, *state, "scene");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = (size_t)sizes[i][0] * (size_t)sizes[i][1];
        float *logits = malloc(n * sizeof *logits), iou = NAN;
        struct image im = { 0 };

        assert_int_equal(img_init(&im, sizes[i][0], sizes[i][1], &e), STATUS_OK);
        assert_int_equal(segment_picture(&f.s, &im, &e), STATUS_OK);
        assert_int_equal(segment_mask(&f.s, &empty, logits, &iou, &e), STATUS_OK);
        for (size_t j = 0; j < n; j++) assert_true(isfinite(logits[j]));
        assert_true(isfinite(iou));
        free(logits);
        img_free(&im);
    }
    assert_int_equal(segment_mask(&f.s, &none, NULL, NULL, &e), STATUS_BAD_ARGUMENT);
    err_clear(&e);
    assert_int_equal(segment_mask(&f.s, &endless, NULL, NULL, &e), STATUS_BAD_ARGUMENT);
    err_clear(&e);
    assert_int_equal(segment_mask(&f.s, &far, NULL, NULL, &e), STATUS_BAD_ARGUMENT);
    close_fixture(&f);
}

static void count_blocks(void *user, const char *name, const struct tensor *x)
{
    (void)x;
    *(int *)user += strncmp(name, "sam.block.", 10) == 0;
}

/* Of two places the one that was wanted less lately is given to a third picture. */
static void pictures_are_looked_at_once(void **state)
{
    static const struct {
        int picture, blocks; /* that are computed, of two */
    } turns[] = { { 0, 2 }, { 0, 0 }, { 1, 2 }, { 0, 0 }, { 2, 2 }, { 0, 0 }, { 1, 2 } };
    struct image im[3] = { { 0 } };
    struct fixture f;
    struct err e = { 0 };
    float mask[3 * 4];

    open_fixture(&f, *state, "scene");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(img_init(&im[i], 3, 4, &e), STATUS_OK);
        im[i].rgb[7] = (unsigned char)i;
    }
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        int blocks = 0;

        f.s.c.observer = count_blocks;
        f.s.c.observer_user = &blocks;
        assert_int_equal(segment_picture(&f.s, &im[turns[i].picture], &e), STATUS_OK);
        assert_int_equal(blocks, turns[i].blocks);
        assert_int_equal(segment_mask(&f.s, &cases[0].prompt, mask, NULL, &e), STATUS_OK);
    }
    for (int i = 0; i < 3; i++) img_free(&im[i]);
    close_fixture(&f);
}

/* A weight that is no number is told of, and does not become a mask. */
static void what_is_no_number_is_no_mask(void **state)
{
    struct fixture f;
    struct err e = { 0 };
    float mask[3 * 4];

    open_fixture(&f, *state, "scene");
    assert_int_equal(img_init(&f.picture, 3, 4, &e), STATUS_OK);
    assert_int_equal(segment_picture(&f.s, &f.picture, &e), STATUS_OK);
    tensor_f32(&f.s.picture->embedding)[5] = NAN;
    assert_int_equal(segment_mask(&f.s, &cases[0].prompt, mask, NULL, &e), STATUS_NUMERIC);
    close_fixture(&f);
}

static void files_that_are_no_sam(void **state)
{
    struct sam_file f;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(sam_open(&f, "tests/data/sam/tall.safetensors", NULL, &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.text, "image_encoder.pos_embed"));
    assert_null(f.checkpoint);
    err_clear(&e);
    assert_int_equal(sam_open(&f, PICTURE, NULL, &e), STATUS_BAD_FORMAT);
    err_clear(&e);
    assert_int_equal(sam_open(&f, "tests/data/sam/none.pth", NULL, &e), STATUS_NOT_FOUND);
    err_clear(&e);
    assert_int_equal(sam_open(&f, "tests/data/sam/expanded.pth", NULL, &e), STATUS_UNSUPPORTED);
    assert_non_null(strstr(e.text, "only 4 bytes are stored"));
    sam_close(&f);
}

#define EACH_LEVEL(test)                                                                                     \
    { #test " (ref)", test, NULL, NULL, "ref" }, { #test " (portable)", test, NULL, NULL, "portable" },      \
    {                                                                                                        \
#test " (best)", test, NULL, NULL, "auto"                                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_LEVEL(every_step_is_the_package_s),
        { "a_mask_has_the_picture_s_size", a_mask_has_the_picture_s_size, NULL, NULL, "auto" },
        { "a_tall_picture_is_made_smaller", a_tall_picture_is_made_smaller, NULL, NULL, "auto" },
        { "odd_pictures_and_prompts", odd_pictures_and_prompts, NULL, NULL, "auto" },
        { "pictures_are_looked_at_once", pictures_are_looked_at_once, NULL, NULL, "auto" },
        { "what_is_no_number_is_no_mask", what_is_no_number_is_no_mask, NULL, NULL, "auto" },
        cmocka_unit_test(files_that_are_no_sam),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
