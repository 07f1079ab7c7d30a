/*
 * test_mask_run.c - a segmenter learns where a few squares are: the loss falls and the masks come to be the true ones; a run that was stopped
 * goes on as it would have; its checkpoint is a SAM; and configurations that make no sense.
 */
#include "support/scratch.h"

#include <math.h>

#include "image/mask_rle.h"
#include "segment/sam_load.h"
#include "segment/sam_random.h"
#include "store/safetensors.h"
#include "train/mask_run.h"

enum { SIDE = 32, PICTURES = 4, STEPS = 120, SEEN_MAX = 128 };

static struct scratch scratch;

struct heard {
    double loss[SEEN_MAX], norm[SEEN_MAX];
    size_t n;
    struct validation_result first, last;
    size_t n_validated;
    char saved[600];
};

static void hear_step(void *user, const struct step_result *r)
{
    struct heard *h = user;

    assert_true(h->n < SEEN_MAX && r->n_items == 2 && r->n_targets == 2);
    h->loss[h->n] = r->loss;
    h->norm[h->n++] = r->grad_norm;
}

static void hear_validated(void *user, const struct validation_result *r)
{
    struct heard *h = user;

    if (h->n_validated++ == 0) h->first = *r;
    h->last = *r;
}

static void hear_saved(void *user, const char *folder)
{
    struct heard *h = user;

    snprintf(h->saved, sizeof h->saved, "%s", folder);
}

/* ---- the data: bright squares of 12 pixels on black ---------------------------------------------------------- */

static void draw_picture(FILE *images, FILE *masks, int i)
{
    int left = 4 + 8 * (i % 2), top = 4 + 8 * (i / 2);
    float logits[SIDE * SIDE];
    struct image im;
    struct err e = { 0 };
    char name[32], *counts;
    size_t area;

    assert_int_equal(img_init(&im, SIDE, SIDE, &e), STATUS_OK);
    for (int at = 0; at < SIDE * SIDE; at++) {
        int x = at % SIDE - left, y = at / SIDE - top;
        bool inside = x >= 0 && x < 12 && y >= 0 && y < 12;

        logits[at] = inside ? 1 : -1;
        for (int c = 0; c < 3; c++) im.rgb[3 * at + c] = inside ? 250 : 10;
    }
    snprintf(name, sizeof name, "%d.png", i);
    assert_int_equal(img_png_write(&im, scratch_path(&scratch, name), &e), STATUS_OK);
    assert_int_equal(mask_rle_text(logits, SIDE, SIDE, &counts, &area, &e), STATUS_OK);
    fprintf(images, "%s{\"id\": %d, \"file_name\": \"%s\", \"width\": %d, \"height\": %d}", i > 0 ? "," : "",
            i, name, SIDE, SIDE);
    fprintf(masks, "%s{\"image_id\": %d, \"bbox\": [%d, %d, 12, 12], \"segmentation\": {\"size\": [%d, %d], ",
            i > 0 ? "," : "", i, left, top, SIDE, SIDE);
    fprintf(masks, "\"counts\": \"");
    for (const char *c = counts; *c != '\0'; c++) fprintf(masks, "%s%c", *c == '\\' ? "\\" : "", *c);
    fprintf(masks, "\"}}");
    free(counts);
    img_free(&im);
}

static void write_data(void)
{
    char *images = NULL, *masks = NULL;
    size_t n_images, n_masks;
    FILE *a = open_memstream(&images, &n_images), *b = open_memstream(&masks, &n_masks), *f;
    struct sam_config k;
    struct err e = { 0 };

    for (int i = 0; i < PICTURES; i++) draw_picture(a, b, i);
    fclose(a);
    fclose(b);
    f = fopen(scratch_path(&scratch, "m.json"), "wb");
    assert_non_null(f);
    fprintf(f, "{\"images\": [%s], \"annotations\": [%s]}", images, masks);
    fclose(f);
    free(images);
    free(masks);
    f = fopen(scratch_path(&scratch, "c.yaml"), "wb");
    assert_non_null(f);
    fprintf(f,
            "segmenter: sam.pth\nMETA:\n  - path: m.json\nvalidation: %s\nbatch_size: 2\naccum_iter: 1\n"
            "epochs: 60\nprecision: f32\nlr: 2.0e-3\nwarmup_steps: 4\nclip_grad: 1\nvalidate_every: "
            "12\nkeep: 0\n",
            scratch_path(&scratch, "c.yaml"));
    fclose(f);
    assert_int_equal(sam_random_config(&k, "32,32,2,32", &e), STATUS_OK);
    assert_int_equal(sam_random_write(scratch_path(&scratch, "sam.pth"), &k, 3, &e), STATUS_OK);
}

/* ---- runs ---------------------------------------------------------------------------------------------------- */

static void run(struct heard *h, const char *output, const char *set, const char *resume)
{
    struct trainer_options o = { .threads = 1, .cpu = "auto", .resume = resume };
    struct train_listener l = {
        .step = hear_step, .validated = hear_validated, .saved = hear_saved, .user = h
    };
    char out[600];
    const char *overrides[] = { out, set };
    struct train_config c;
    struct trainer *t;
    struct err e = { 0 };

    memset(h, 0, sizeof *h);
    snprintf(out, sizeof out, "output_dir=%s", scratch_path(&scratch, output));
    if (train_config_read(&c, scratch_path(&scratch, "c.yaml"), overrides, set != NULL ? 2 : 1, &e) !=
        STATUS_OK)
        fail_msg("%s", e.text);
    if (trainer_open(&t, &c, &o, &l, &e) != STATUS_OK || trainer_run(t, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    assert_int_equal(trainer_info(t).n_items, PICTURES);
    trainer_close(t);
    train_config_free(&c);
}

static void compare_files(const char *a, const char *b)
{
    struct file_map x, y;
    struct err e = { 0 };

    assert_int_equal(file_map_open(&x, a, &e), STATUS_OK);
    assert_int_equal(file_map_open(&y, b, &e), STATUS_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_map_close(&x);
    file_map_close(&y);
}

static void test_learns(void **state)
{
    struct heard whole, rest;
    struct sam_file sam;
    struct err e = { 0 };

    (void)state;
    run(&whole, "whole", "save_interval=30", NULL);
    assert_int_equal(whole.n, STEPS);
    assert_int_equal(whole.n_validated, STEPS / 12);
    assert_true(whole.last.n_masks == PICTURES && whole.last.n_items == PICTURES);
    print_message("loss %.3g to %.3g, IoU %.3g to %.3g\n", whole.first.loss, whole.last.loss, whole.first.iou,
                  whole.last.iou);
    assert_true(whole.last.loss < 0.5 * whole.first.loss);
    assert_true(whole.last.iou > 0.6 && whole.last.iou <= 1);
    assert_int_equal(sam_open(&sam, scratch_path(&scratch, "whole/epoch59/" MASK_RUN_NAME), NULL, &e),
                     STATUS_OK);
    sam_close(&sam);
    run(&rest, "rest", NULL, scratch_path(&scratch, "whole/epoch29"));
    assert_int_equal(rest.n, STEPS / 2);
    for (size_t i = 0; i < rest.n; i++) {
        assert_true(rest.loss[i] == whole.loss[STEPS / 2 + i]);
        assert_true(rest.norm[i] == whole.norm[STEPS / 2 + i]);
    }
    compare_files(scratch_path(&scratch, "whole/epoch59/" MASK_RUN_NAME),
                  scratch_path(&scratch, "rest/epoch59/" MASK_RUN_NAME));
}

static void test_refused(void **state)
{
    static const char *const cases[][2] = { { "precision=bf16", "precision: f32" },
                                            { "model=x", "both say what to train" },
                                            { "lora_rank=4", "for models, not" },
                                            { "mix={a: 1}", "for models, not" } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *overrides[] = { "output_dir=o", cases[i][0] };
        struct train_config c;
        struct err e = { 0 };

        assert_int_equal(train_config_read(&c, scratch_path(&scratch, "c.yaml"), overrides, 2, &e),
                         STATUS_BAD_FORMAT);
        assert_non_null(strstr(e.text, cases[i][1]));
    }
}

static void test_sizes(void **state)
{
    static const char *const texts[] = { "",
                                         "256",
                                         "256,96,4",
                                         "256,96,4,64,",
                                         "250,96,4,64",
                                         "256,90,4,64",
                                         "256,96,0,64",
                                         "256,96,4,60",
                                         "4096,96,4,64",
                                         "-16,96,4,64",
                                         "256,96,4,64x",
                                         "99999999999,96,4,64" };
    struct sam_config k;
    struct err e = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(sam_random_config(&k, texts[i], &e), STATUS_BAD_ARGUMENT);
    assert_int_equal(sam_random_config(&k, "1024,768,12,256", &e), STATUS_OK);
    assert_true(k.grid == 64 && k.window == 14 && k.ffn == 3072 && k.decoder_ffn == 2048 &&
                k.cross_width == 128);
}

static int begin(void **state)
{
    (void)state;
    scratch_open(&scratch);
    write_data();
    return 0;
}

static int end(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_learns), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_sizes) };

    return cmocka_run_group_tests(tests, begin, end);
}
