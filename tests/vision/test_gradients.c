/*
 * test_gradients.c - the encoders and the mixer, written once for inference, run with the tape: every parameter's gradient is
 * compared with central differences, at the reference level and at the best one.
 */
#include "support/weights.h"

#include "vision/clip.h"
#include "vision/convnext.h"
#include "vision/dinov2.h"
#include "vision/mixer.h"
#include "vision/qformer.h"

enum { VIEWS = 2, SIDE = 8 };

static struct ctx context;
static struct arena arena;

static void begin(const char *level)
{
    const struct backend *b;
    struct err e = { 0 };

    assert_int_equal(cpu_backend(level, &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&context, b, &arena, 2, &e), STATUS_OK);
}

static void end(struct weights *w)
{
    weights_free(w);
    ctx_free(&context);
    arena_free(&arena);
}

struct encoder_case {
    struct clip clip;
    struct convnext convnext;
    struct dinov2 dinov2;
    struct qformer qformer;
    struct views views;
    int side;
};

static struct tensor *run_clip(struct ctx *c, void *user)
{
    struct encoder_case *x = user;

    return clip_encode(c, &x->clip, &x->views);
}

static struct tensor *run_dinov2(struct ctx *c, void *user)
{
    struct encoder_case *x = user;

    return dinov2_encode(c, &x->dinov2, &x->views);
}

static struct tensor *run_qformer(struct ctx *c, void *user)
{
    struct encoder_case *x = user;

    return qformer_encode(c, &x->qformer, &x->views);
}

static struct tensor *run_convnext(struct ctx *c, void *user)
{
    struct encoder_case *x = user;

    return mixer_spread(c, convnext_encode(c, &x->convnext, &x->views), VIEWS, x->side / 32, 4);
}

static struct views input(struct weights *w, int side)
{
    return (struct views){ weights_input(w, VIEWS, 3 * side * side), VIEWS, side };
}

static void check_clip(const char *level)
{
    struct clip_config k = { SIDE, 4, 12, 2, 3, 20, ACT_GELU_QUICK };
    struct weights w = { .seed = 1, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct encoder_case x = { 0 };
    struct err e = { 0 };

    begin(level);
    assert_int_equal(clip_init(&x.clip, &k, &w.arena, &e), STATUS_OK);
    clip_params(&x.clip, &v);
    x.views = input(&w, SIDE);
    weights_check_gradients(&context, &w, run_clip, &x, 1e-2);
    end(&w);
}

static void check_dinov2(const char *level)
{
    struct dinov2_config k = { SIDE, 4, 20, 12, 2, 2, 16 };
    struct weights w = { .seed = 2, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct encoder_case x = { 0 };
    struct err e = { 0 };

    begin(level);
    assert_int_equal(dinov2_init(&x.dinov2, &k, &w.arena, &e), STATUS_OK);
    dinov2_params(&x.dinov2, &v);
    x.views = input(&w, SIDE);
    weights_check_gradients(&context, &w, run_dinov2, &x, 1e-2);
    end(&w);
}

static void check_qformer(const char *level)
{
    struct qformer_config k = { SIDE, 4, 18, 2, 3, 20, 3, 12, 3, 2, 16, 2 };
    struct weights w = { .seed = 3, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct encoder_case x = { 0 };
    struct err e = { 0 };

    begin(level);
    assert_int_equal(qformer_init(&x.qformer, &k, &w.arena, &e), STATUS_OK);
    qformer_params(&x.qformer, &v);
    x.views = input(&w, SIDE);
    weights_check_gradients(&context, &w, run_qformer, &x, 1e-2);
    end(&w);
}

static void check_convnext(const char *level)
{
    struct convnext_config k = { 64, { 1, 1, 2, 1 }, { 4, 6, 8, 10 } };
    struct weights w = { .seed = 4, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct encoder_case x = { .side = 64 };
    struct err e = { 0 };

    begin(level);
    assert_int_equal(convnext_init(&x.convnext, &k, &w.arena, &e), STATUS_OK);
    convnext_params(&x.convnext, &v);
    x.views = input(&w, 64);
    weights_check_gradients(&context, &w, run_convnext, &x, 2e-2);
    end(&w);
}

struct mixer_case {
    struct mixer mixer;
    struct features features;
};

static struct tensor *run_mixer(struct ctx *c, void *user)
{
    struct mixer_case *x = user;

    return mixer_mix(c, &x->mixer, &x->features, 1, VIEWS);
}

static void check_mixer(const char *level)
{
    struct mixer_config k = { 2, 12, 5 + 6 + 7, 3, 8, true };
    struct weights w = { .seed = 5, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct mixer_case x;

    begin(level);
    mixer_init(&x.mixer, &k);
    mixer_params(&x.mixer, &v);
    x.features = (struct features){ weights_input(&w, VIEWS * 5, 5), weights_input(&w, VIEWS * 5, 6),
                                    weights_input(&w, VIEWS * 5, 7), weights_input(&w, VIEWS * 3, 8) };
    weights_check_gradients(&context, &w, run_mixer, &x, 1e-2);
    end(&w);
}

#define FOR_LEVELS(check)                                                                                    \
    static void test_##check(void **state)                                                                   \
    {                                                                                                        \
        (void)state;                                                                                         \
        check_##check("ref");                                                                                \
        check_##check("auto");                                                                               \
    }
FOR_LEVELS(clip)
FOR_LEVELS(dinov2)
FOR_LEVELS(qformer)
FOR_LEVELS(convnext)
FOR_LEVELS(mixer)

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_clip), cmocka_unit_test(test_dinov2),
                                        cmocka_unit_test(test_qformer), cmocka_unit_test(test_convnext),
                                        cmocka_unit_test(test_mixer) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
