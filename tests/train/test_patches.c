/* test_patches.c - what patches are to show, beside the answers: against the whole network done by hand, and by small differences. */
#include "train/tiny_model.h"

static double relative(double got, double want)
{
    return fabs(got - want) / fabs(want);
}

/* The loss of what patches show by the plain way: the whole network on one sample, rows picked by hand. */
static double patch_loss_plainly(struct tiny_model *m, const struct train_item *item)
{
    const struct sample *s = item->sample;
    struct ctx *c = &m->c;
    double seconds[ENCODER_COUNT], sum = 0;
    struct tensor *words = encode_image(c, &m->network, item->planes, 0, seconds), *h, *logits;
    int64_t n_words = tensor_rows(words), n = (int64_t)s->n + n_words, D = tensor_columns(words);
    struct tensor *text = llama_embed(c, &m->network.llama, s->ids, (int64_t)s->n);
    struct tensor *x = tensor_new(c, n, D, false);
    int grid = m->network.config.mixer.grid, factor = grid / s->shown_side;
    int32_t *position = ctx_alloc(c, (size_t)n, sizeof *position);
    int32_t *begin = ctx_alloc(c, (size_t)n, sizeof *begin);
    struct llama_batch batch = { .T = n, .position = position, .first = begin };
    int64_t V;

    memcpy(tensor_f32(x), tensor_f32(text), (size_t)D * sizeof(float));
    memcpy(tensor_f32(x) + D, tensor_f32(words), (size_t)(n_words * D) * sizeof(float));
    memcpy(tensor_f32(x) + (1 + n_words) * D, tensor_f32(text) + D, (s->n - 1) * (size_t)D * sizeof(float));
    for (int32_t i = 0; i < n; i++) {
        position[i] = i;
        begin[i] = 0;
    }
    h = llama_forward(c, &m->network.llama, x, &batch, NULL);
    logits = llama_logits(c, &m->network.llama, h);
    V = tensor_columns(logits);
    for (size_t i = 0; i < s->n_shown; i++) {
        for (int j = 0; j < factor * factor; j++) {
            int row = s->shown[i].cell / s->shown_side * factor + j / factor;
            int column = s->shown[i].cell % s->shown_side * factor + j % factor;
            /* <s>, start, 3 of the Q-Former, class */
            const float *y = tensor_f32(logits) + (1 + 1 + 3 + 1 + row * grid + column) * V;
            double all = 0;

            for (int64_t k = 0; k < V; k++) all += exp((double)y[k]);
            sum += log(all) - (double)y[s->shown[i].id];
        }
    }
    return sum / (double)(s->n_shown * (size_t)(factor * factor));
}

/* A grid of 2 x 2 over the model's of 4 x 4: the loss is the plain one's, its gradient that of small differences, and it leaves that of
 * the answers alone. */
static void test_patches(void **state)
{
    struct patch_word shown[] = { { 0, 7 }, { 1, 9 }, { 1, 11 }, { 3, 5 } };
    const struct trainee_rule rule = { .encoders = true };
    struct tiny_model m;
    struct train_loss loss, without;
    struct sample s;
    struct train_item item;
    size_t first = 0, n_checked = 0;

    (void)state;
    tiny_model_open(&m, "llama_ens", &rule, false, "auto", 1);
    while (m.items[first].planes == NULL) first++;
    s = m.samples[first];
    s.shown = shown;
    s.n_shown = 4;
    s.shown_side = 2;
    item = (struct train_item){ &s, m.items[first].planes, NULL };
    train_micro_batch(&m.c, &m.network, &item, 1, 0, 0, &without);
    assert_true(without.patches == 0 && without.n_shown == 0);
    train_micro_batch(&m.c, &m.network, &item, 1, 1, 0.5, &loss);
    assert_int_equal(m.c.err.code, STATUS_OK);
    assert_int_equal(loss.n_shown, 16);
    assert_true(loss.answers == without.answers);
    assert_true(relative(loss.patches, patch_loss_plainly(&m, &item)) < 1e-6);
    for (size_t i = 0; i < m.trainees.n; i += 7) {
        struct trainee *x = &m.trainees.item[i];
        const float kept = x->master[0], by = 1e-3f;
        double side[2], got;

        for (int k = 0; k < 2; k++) {
            x->master[0] = k == 0 ? kept + by : kept - by;
            train_micro_batch(&m.c, &m.network, &item, 1, 0, 1, &loss);
            side[k] = loss.answers + 0.5 * loss.patches;
        }
        x->master[0] = kept;
        got = (side[0] - side[1]) / (2 * (double)by);
        if (fabs(got - (double)x->grad[0]) > 1e-2 + 2e-2 * fabs(got))
            fail_msg("%s: gradient %g, by differences %g", x->name, (double)x->grad[0], got);
        n_checked += x->grad[0] != 0;
    }
    assert_true(n_checked > 10);
    tiny_model_close(&m);
}

static void test_patches_of_another_grid(void **state)
{
    struct patch_word shown = { 0, 7 };
    struct tiny_model m;
    struct train_loss loss;
    struct sample s;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    s = m.samples[0];
    s.shown = &shown;
    s.n_shown = 1;
    s.shown_side = 3;
    train_micro_batch(&m.c, &m.network, &(struct train_item){ &s, m.items[0].planes, NULL }, 1, 1, 1, &loss);
    assert_int_equal(m.c.err.code, STATUS_UNSUPPORTED);
    assert_non_null(strstr(m.c.err.text, "3 x 3"));
    tiny_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches),
        cmocka_unit_test(test_patches_of_another_grid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
