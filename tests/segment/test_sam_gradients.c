/*
 * test_sam_gradients.c - the way back through all of SAM: prompts, given masks, decoder, image encoder with windows and without, against
 * differences.
 */
#include "segment/sam.h"
#include "support/weights.h"

enum { LAYERS = 2 };

/* Where a ReLU turns within the step, differences see another slope than the tape; of this seed's weights none does that matters. */
enum { SEED = 11 };

static const struct sam_config config = { .patch = 4,
                                          .grid = 4,
                                          .window = 3,
                                          .width = 16,
                                          .layers = LAYERS,
                                          .heads = 2,
                                          .ffn = 24,
                                          .dim = 32,
                                          .mask_hidden = { 4, 8 },
                                          .decoder_layers = 2,
                                          .decoder_ffn = 24,
                                          .cross_width = 8,
                                          .masks = 3,
                                          .iou_width = 12 };

struct example {
    struct sam sam;
    struct tensor *pixels, *mask; /* mask NULL: none is given */
    const struct sam_prompt *prompt;
};

/* All logits, then what they are expected to be worth. */
static struct tensor *forward(struct ctx *c, void *user)
{
    struct example *u = user;
    struct tensor *parts[2];
    struct sam_masks m =
        sam_decode(c, &u->sam, sam_image_encode(c, &u->sam, u->pixels), sam_image_code(c, &u->sam),
                   sam_prompt_tokens(c, &u->sam, u->prompt), sam_prompt_dense(c, &u->sam, u->mask), true);

    if (m.logits == NULL || m.iou == NULL) return NULL;
    parts[0] = reshape(c, m.logits, 1);
    parts[1] = m.iou;
    return concat_columns(c, parts, 2);
}

/* The places' frequencies are drawn once and never learned. */
static void forget_constant(struct weights *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (strstr(w->list[i].name, "gaussian") == NULL) continue;
        memmove(&w->list[i], &w->list[i + 1], (w->n - i - 1) * sizeof *w->list);
        w->n--;
    }
}

static void check(const struct sam_prompt *prompt, bool has_mask)
{
    static const bool windowed[LAYERS] = { true, false };
    struct example u = { .prompt = prompt };
    struct weights w = { .seed = SEED, .step = 5e-3f, .ranks = 1 };
    struct param_visitor v = weights_visitor(&w);
    struct arena arena = { 0 };
    const struct backend *b;
    struct err e = { 0 };
    struct ctx c;

    assert_int_equal(cpu_backend("auto", &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&c, b, &arena, 1, &e), STATUS_OK);
    assert_int_equal(sam_init(&u.sam, &config, windowed, &w.arena, &e), STATUS_OK);
    sam_params(&u.sam, &v);
    forget_constant(&w);
    u.pixels = weights_input(&w, 1, (int64_t)3 * config.patch * config.grid * config.patch * config.grid);
    if (has_mask) u.mask = weights_input(&w, 1, (int64_t)16 * config.grid * config.grid);
    weights_check_gradients(&c, &w, forward, &u, 2e-2);
    weights_free(&w);
    ctx_free(&c);
    arena_free(&arena);
}

static void test_box(void **state)
{
    const struct sam_prompt box = { .has_box = true, .x1 = 3, .y1 = 2, .x2 = 14, .y2 = 17 };

    (void)state;
    check(&box, false);
}

static void test_points_and_mask(void **state)
{
    const struct sam_point points[] = { { 5, 4, true }, { 12, 9, false } };
    const struct sam_prompt prompt = { .points = points, .n_points = 2 };

    (void)state;
    check(&prompt, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_box), cmocka_unit_test(test_points_and_mask) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
