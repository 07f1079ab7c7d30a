/* test_sam_convert.c - SAM in other types: which weights get which, and what that does to masks. */
#include "segment/sam_convert.h"
#include "segment/segment.h"
#include "support/sam_file.h"
#include "support/scratch.h"

#include <math.h>

/* Rows fill the blocks of q8_0 but for those of the convolutions. */
static const struct sam_config config = { .patch = 4,
                                          .grid = 8,
                                          .window = 5,
                                          .width = 64,
                                          .layers = 2,
                                          .heads = 2,
                                          .ffn = 128,
                                          .dim = 32,
                                          .mask_hidden = { 4, 16 },
                                          .decoder_layers = 2,
                                          .decoder_ffn = 32,
                                          .cross_width = 16,
                                          .masks = 4,
                                          .iou_width = 32 };
static const bool windowed[] = { true, false };

static void check(enum status st, const struct err *e)
{
    if (st != STATUS_OK) fail_msg("%s", e->text);
}

static void write_original(const char *path)
{
    struct sam_file_list *l = calloc(1, sizeof *l);
    struct err e = { 0 };

    check(sam_file_write(path, l, &config, windowed, &e), &e);
    free(l);
}

static void open_sam(struct segmenter *s, const char *path)
{
    struct segment_options o = { .threads = 1, .pictures = 1, .precise = true };
    struct image im = { 0 };
    struct err e = { 0 };

    check(segment_open(s, path, &o, &e), &e);
    check(img_read(&im, "tests/data/images/scene.png", NULL, &e), &e);
    check(segment_picture(s, &im, &e), &e);
    img_free(&im);
}

/* Root of the mean square of the difference, relative to `want`. */
static double error_of(const struct segmenter *got, const struct segmenter *want)
{
    const float *a = tensor_f32(&got->picture->embedding), *b = tensor_f32(&want->picture->embedding);
    double difference = 0, size = 0;

    for (int64_t i = 0; i < (int64_t)config.grid * config.grid * config.dim; i++) {
        difference += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(difference / size);
}

static void types_and_errors(void **state)
{
    static const struct {
        const char *type;
        enum dtype blocks, convolution;
        double error; /* of the embedding, at most: a few times what is found */
    } cases[] = { { "f32", DTYPE_F32, DTYPE_F32, 0 },
                  { "bf16", DTYPE_BF16, DTYPE_BF16, 5e-3 },
                  { "q8_0", DTYPE_Q8_0, DTYPE_F16, 1e-3 },
                  { "q4_0", DTYPE_Q8_0, DTYPE_F16, 1e-3 } };
    struct convert_result result;
    struct segmenter before, after;
    struct scratch folder;
    struct err e = { 0 };

    (void)state;
    scratch_open(&folder);
    write_original(scratch_path(&folder, "a.safetensors"));
    open_sam(&before, scratch_path(&folder, "a.safetensors"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *out = scratch_path(&folder, "b.gguf");
        struct policy policy = { .keep = false };
        double error;

        assert_true(policy_type(cases[i].type, &policy.type));
        check(sam_convert(scratch_path(&folder, "a.safetensors"), out, &policy, NULL, &result, &e), &e);
        assert_true(sam_is(out));
        open_sam(&after, out);
        assert_int_equal(after.file.sam.image.blocks[1].qkv.weight.dtype, cases[i].blocks);
        assert_int_equal(after.file.sam.image.patch_weight.dtype, cases[i].convolution);
        assert_int_equal(after.file.sam.image.blocks[0].rel_pos_h.dtype, DTYPE_F32);
        assert_int_equal(after.file.sam.decoder.layers[0].lin1.weight.dtype, DTYPE_F32);
        assert_int_equal(result.n_of_type[cases[i].blocks] > 0, true);
        error = error_of(&after, &before);
        print_message("%s: error %.2e\n", cases[i].type, error);
        if (!(error <= cases[i].error)) fail_msg("%s: error %.3g", cases[i].type, error);
        segment_close(&after);
    }
    segment_close(&before);
    scratch_close(&folder);
}

/* Without a type all stay as they are, through GGUF and its names and back in. */
static void types_stay(void **state)
{
    struct policy policy = { .keep = true };
    struct convert_result result;
    struct segmenter before, after;
    struct scratch folder;
    struct err e = { 0 };

    (void)state;
    scratch_open(&folder);
    check(sam_convert("tests/data/sam/tiny.pth", scratch_path(&folder, "a.gguf"), &policy, NULL, &result, &e),
          &e);
    check(sam_convert(scratch_path(&folder, "a.gguf"), scratch_path(&folder, "b.gguf"), &policy, NULL,
                      &result, &e),
          &e);
    open_sam(&before, "tests/data/sam/tiny.pth");
    open_sam(&after, scratch_path(&folder, "b.gguf"));
    assert_memory_equal(before.picture->embedding.data, after.picture->embedding.data,
                        (size_t)tensor_rows(&before.picture->embedding) * sizeof(float) * 32);
    segment_close(&before);
    segment_close(&after);
    scratch_close(&folder);
}

static void refusals(void **state)
{
    struct policy_rule rule;
    struct policy policy = { .keep = true, .rules = &rule, .n_rules = 1 };
    struct convert_result result;
    struct scratch folder;
    struct err e = { 0 };

    (void)state;
    scratch_open(&folder);
    assert_false(sam_is("tests/data/images/scene.png"));
    assert_false(sam_is("tests/data/sam/tall.safetensors"));
    check(policy_rule_parse(&rule, "no.such.*=f16", &e), &e);
    assert_int_equal(
        sam_convert("tests/data/sam/tiny.pth", scratch_path(&folder, "a.gguf"), &policy, NULL, &result, &e),
        STATUS_BAD_ARGUMENT);
    assert_false(file_exists(scratch_path(&folder, "a.gguf")));
    scratch_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(types_and_errors), cmocka_unit_test(types_stay),
                                        cmocka_unit_test(refusals) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
