/* test_apart.c - a sample of several parts is learned from as the samples of each part alone, of the same image. */
#include "train/tiny_model.h"

enum { PARTS = 3, SHARED = 4 };

/* Parts as ids in a row, and what each is alone. Lengths differ; the last has ids behind its last target. */
struct parts {
    int32_t ids[2 * 64], alone_ids[PARTS][2 * 32];
    size_t begin[PARTS + 1];
    struct sample together, alone[PARTS];
};

static void parts_make(struct parts *p, int vocab)
{
    const size_t own[PARTS] = { 5, 9, 6 }, unlearned[PARTS] = { 0, 0, 2 };
    size_t n = SHARED;

    *p = (struct parts){ .together = { .part = p->begin, .n_parts = PARTS, .n_shared = SHARED } };
    for (size_t k = 0; k < PARTS; k++) n += own[k];
    p->together.n = n;
    p->together.ids = p->ids;
    p->together.labels = p->ids + n;
    for (size_t i = 0; i < n; i++) p->ids[i] = (int32_t)(1 + (i * 37 + 11) % (size_t)(vocab - 1));
    for (size_t k = 0, at = SHARED; k < PARTS; at += own[k], k++) {
        struct sample *s = &p->alone[k];

        for (size_t i = 2; i < own[k] - unlearned[k]; i++) p->together.labels[at + i] = p->ids[at + i];
        p->begin[k + 1] = at + own[k];
        *s = (struct sample){ .ids = p->alone_ids[k], .n = SHARED + own[k] };
        s->labels = s->ids + s->n;
        memcpy(s->ids, p->ids, SHARED * sizeof *s->ids);
        memcpy(s->ids + SHARED, p->ids + at, own[k] * sizeof *s->ids);
        memcpy(s->labels + SHARED, p->together.labels + at, own[k] * sizeof *s->ids);
    }
}

/* To rounding, of the largest gradient of each weight. */
static void check_close(const struct tiny_model *m, float *const *want)
{
    double sum = 0;

    for (size_t i = 0; i < m->trainees.n; i++) {
        const struct trainee *x = &m->trainees.item[i];
        double largest = 0;

        for (size_t j = 0; j < x->n; j++) largest = fmax(largest, fabs((double)want[i][j]));
        for (size_t j = 0; j < x->n; j++)
            if (!(fabs((double)x->grad[j] - (double)want[i][j]) <= 2e-5 * largest + 1e-7))
                fail_msg("%s[%zu]: %g, apart %g", x->name, j, (double)x->grad[j], (double)want[i][j]);
        sum += largest;
    }
    assert_true(sum > 1);
}

static void check_apart(const char *variant, const struct trainee_rule *rule, bool recompute, int threads)
{
    struct tiny_model m;
    struct parts p;
    struct train_loss loss, alone;
    struct train_item items[PARTS + 1];
    float **together;
    size_t with = 0;

    tiny_model_open(&m, variant, rule, false, "auto", threads);
    m.c.recompute = recompute;
    while (m.items[with].planes == NULL) with++;
    parts_make(&p, m.network.config.llama.vocab);
    items[0] = (struct train_item){ &p.together, m.items[with].planes, NULL };
    train_micro_batch(&m.c, &m.network, items, 1, 1, 0, &loss);
    assert_int_equal(m.c.err.code, STATUS_OK);
    together = calloc(m.trainees.n, sizeof *together);
    for (size_t i = 0; i < m.trainees.n; i++) {
        const struct trainee *x = &m.trainees.item[i];

        together[i] = malloc(x->n * sizeof(float));
        memcpy(together[i], x->grad, x->n * sizeof(float));
        memset(x->grad, 0, x->n * sizeof(float));
    }
    for (size_t k = 0; k < PARTS; k++)
        items[k] = (struct train_item){ &p.alone[k], m.items[with].planes, NULL };
    train_micro_batch(&m.c, &m.network, items, PARTS, 1, 0, &alone);
    assert_int_equal(m.c.err.code, STATUS_OK);
    assert_int_equal(loss.n_targets, alone.n_targets);
    assert_true(fabs(loss.answers - alone.answers) < 1e-6 * alone.answers);
    check_close(&m, together);
    for (size_t i = 0; i < m.trainees.n; i++) free(together[i]);
    free(together);
    tiny_model_close(&m);
}

static void test_apart(void **state)
{
    const struct trainee_rule all = { .encoders = true };

    (void)state;
    check_apart("llama_ens", &all, false, 1);
    check_apart("llama_ens", &all, true, 2);
}

/* Beside samples of one part. */
static void test_beside_others(void **state)
{
    struct tiny_model m;
    struct parts p;
    struct train_loss both, one, other;
    struct train_item items[2];
    double n;

    (void)state;
    tiny_model_open(&m, "llama_ens", NULL, false, "auto", 1);
    parts_make(&p, m.network.config.llama.vocab);
    items[0] = m.items[0];
    items[1] = (struct train_item){ &p.together, m.items[1].planes, NULL };
    train_micro_batch(&m.c, &m.network, items, 2, 0, 0, &both);
    train_micro_batch(&m.c, &m.network, items, 1, 0, 0, &one);
    train_micro_batch(&m.c, &m.network, items + 1, 1, 0, 0, &other);
    assert_int_equal(m.c.err.code, STATUS_OK);
    n = (double)(one.n_targets + other.n_targets);
    assert_int_equal(both.n_targets, one.n_targets + other.n_targets);
    assert_true(fabs(both.answers * n - one.answers * (double)one.n_targets -
                     other.answers * (double)other.n_targets) < 1e-5 * n);
    tiny_model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_beside_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
