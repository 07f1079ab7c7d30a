/* test_policy.c - which type a weight gets, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/policy.h"

static struct param matrix(const char *name, int64_t rows, int64_t columns)
{
    return (struct param){
        .name = name, .kind = PARAM_MATRIX, .experts = 1, .n_dims = 2, .dim = { rows, columns }
    };
}

static struct param vector(const char *name, int64_t n)
{
    return (struct param){ .name = name, .kind = PARAM_VECTOR, .experts = 1, .n_dims = 1, .dim = { n } };
}

static enum dtype chosen(enum dtype asked, struct param p)
{
    struct policy k = { .type = asked };
    enum dtype wanted;

    return policy_choose(&k, &p, DTYPE_BF16, &wanted);
}

static void test_classes(void **state)
{
    struct param p = matrix("layers.3.attention.wq.weight", 256, 256);

    (void)state;
    assert_int_equal(policy_class(&p), TENSOR_CLASS_ATTENTION);
    p = matrix("layers.3.feed_forward.w2", 2048, 256);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_FFN);
    p = matrix("layers.3.feed_forward.gate.weight", 8, 256);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_SMALL);
    p = matrix("qformer.qformer.encoder.layer.0.attention.attention.query.weight", 768, 768);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_QFORMER);
    p = matrix("qformer_proj.0.weight", 256, 768);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_MIXER);
    p = vector("visual_proj.0.bias", 256);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_SMALL);
    p = matrix("image_encoder.blocks.0.attn.qkv.weight", 192, 64);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_SAM);
    p = matrix("image_encoder.blocks.0.attn.rel_pos_h", 27, 64);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_SMALL);
    p = matrix("mask_decoder.iou_prediction_head.layers.0.weight", 256, 256);
    assert_int_equal(policy_class(&p), TENSOR_CLASS_SMALL);
    assert_string_equal(tensor_class_names[TENSOR_CLASS_TOK_EMBEDDINGS], "tok_embeddings");
}

static void test_types(void **state)
{
    struct param attention = matrix("layers.0.attention.wo.weight", 512, 512),
                 output = matrix("output.weight", 512, 512),
                 encoder = matrix("clip.visual.transformer.resblocks.0.mlp.c_fc.weight", 512, 512),
                 norm = vector("norm.weight", 512),
                 router = matrix("layers.0.feed_forward.gate.weight", 8, 512);

    (void)state;
    assert_int_equal(chosen(DTYPE_Q4_0, attention), DTYPE_Q4_0);
    assert_int_equal(chosen(DTYPE_Q4_0, output), DTYPE_Q6_K);
    assert_int_equal(chosen(DTYPE_Q4_K, output), DTYPE_Q6_K);
    assert_int_equal(chosen(DTYPE_Q8_0, output), DTYPE_Q8_0);
    assert_int_equal(chosen(DTYPE_Q4_K, encoder), DTYPE_Q8_0);
    assert_int_equal(chosen(DTYPE_Q6_K, encoder), DTYPE_Q8_0);
    assert_int_equal(chosen(DTYPE_F16, encoder), DTYPE_F16);
    assert_int_equal(chosen(DTYPE_Q8_0, norm), DTYPE_F32);
    assert_int_equal(chosen(DTYPE_BF16, norm), DTYPE_F32);
    assert_int_equal(chosen(DTYPE_Q8_0, router), DTYPE_F32);
}

/* Rows that do not fill blocks. */
static void test_fallbacks(void **state)
{
    struct param convolution = { .name = "openclip_convnext_xxl.stages.1.downsample.1.weight",
                                 .kind = PARAM_MATRIX,
                                 .experts = 1,
                                 .n_dims = 4,
                                 .dim = { 64, 32, 2, 32 } };

    (void)state;
    assert_int_equal(chosen(DTYPE_Q4_K, matrix("layers.0.attention.wo.weight", 96, 96)), DTYPE_Q4_0);
    assert_int_equal(chosen(DTYPE_Q6_K, matrix("layers.0.attention.wo.weight", 96, 96)), DTYPE_Q8_0);
    assert_int_equal(chosen(DTYPE_Q4_0, matrix("output.weight", 96, 96)), DTYPE_Q8_0);
    assert_int_equal(chosen(DTYPE_Q4_K, matrix("layers.0.attention.wo.weight", 96, 80)), DTYPE_F16);
    assert_int_equal(chosen(DTYPE_Q8_0, convolution), DTYPE_F16);
    assert_int_equal(chosen(DTYPE_BF16, convolution), DTYPE_BF16);
}

static void test_rules(void **state)
{
    struct policy_rule rules[3];
    struct policy k = { .type = DTYPE_Q4_0, .rules = rules, .n_rules = 3 };
    struct param wq = matrix("layers.0.attention.wq.weight", 256, 256),
                 deep = matrix("layers.1.attention.wq.weight", 256, 96),
                 norm = vector("layers.1.ffn_norm.weight", 256);
    enum dtype wanted;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(policy_rule_parse(&rules[0], "layers.*=q6_k", &e), STATUS_OK);
    assert_int_equal(policy_rule_parse(&rules[1], "layers.0.*=f16", &e), STATUS_OK);
    assert_int_equal(policy_rule_parse(&rules[2], "*.w1.*=q8_0", &e), STATUS_OK);
    assert_int_equal(policy_choose(&k, &wq, DTYPE_BF16, &wanted), DTYPE_F16);
    assert_int_equal(policy_choose(&k, &deep, DTYPE_BF16, &wanted), DTYPE_Q8_0);
    assert_int_equal(wanted, DTYPE_Q6_K);
    assert_int_equal(policy_choose(&k, &norm, DTYPE_BF16, &wanted), DTYPE_F32);
    assert_int_equal(policy_all_used(&k, &e), STATUS_BAD_ARGUMENT);
    assert_non_null(strstr(e.text, "\"*.w1.*\" matches no matrix"));
    k.n_rules = 2;
    assert_int_equal(policy_all_used(&k, NULL), STATUS_OK);

    k.keep = true;
    assert_int_equal(policy_choose(&k, &norm, DTYPE_BF16, &wanted), DTYPE_BF16);
    k = (struct policy){ .uniform = true, .type = DTYPE_F16 };
    assert_int_equal(policy_choose(&k, &norm, DTYPE_BF16, &wanted), DTYPE_F16);
    for (size_t i = 0; i < 4; i++) {
        static const char *const bad[] = { "layers", "=q8_0", "layers=q9", "layers=i32" };

        err_clear(&e);
        assert_int_equal(policy_rule_parse(&rules[0], bad[i], &e), STATUS_BAD_ARGUMENT);
        assert_true(e.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_classes), cmocka_unit_test(test_types),
                                        cmocka_unit_test(test_fallbacks), cmocka_unit_test(test_rules) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
