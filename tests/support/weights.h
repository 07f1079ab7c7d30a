/*
 * weights.h - random weights with gradients for any network, through its param visitor; and the check of all its gradients at once.
 *
 * For each parameter tensor w a random direction d is drawn; the derivative of the loss along d, by central differences, must be the
 * tape's <dw, d>. The loss is sum(y * r) with fixed random r, so it is linear in the output and its gradient there is r.
 */
#ifndef TESTS_SUPPORT_WEIGHTS_H
#define TESTS_SUPPORT_WEIGHTS_H

#include "backend/cpu/cpu.h"
#include "tensor/params.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct weights {
    struct arena arena;
    uint64_t seed;
    float step;      /* of the differences, for networks that are far from straight; 0: 1e-2 */
    int rank, ranks; /* of a split model: each rank keeps its slice of the same full weights */
    struct named_weight {
        char name[160];
        struct tensor *t;
    } list[1024];
    size_t n;
};

static inline float weights_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 33) / (double)(1u << 31) * 2 - 1);
}

/* The full tensor from the seed and its name, then this rank's part of it. */
static inline void weights_fill(struct weights *w, const struct param *p, struct tensor *slot)
{
    int64_t full_rows = 1,
            full_columns = p->n_dims > 1 && p->kind == PARAM_MATRIX ? 1 : p->dim[p->n_dims - 1];
    int64_t first_row = 0, n_rows, first_column = 0, n_columns;
    uint64_t state = w->seed;
    struct adapter *adapter = slot->adapter;
    float scale;

    for (const char *c = p->name; *c != '\0'; c++) state = state * 31 + (unsigned char)*c;
    if (p->kind == PARAM_MATRIX && p->n_dims > 1) {
        full_rows = p->dim[0];
        for (int i = 1; i < p->n_dims; i++) full_columns *= p->dim[i];
    } else {
        for (int i = 0; i + 1 < p->n_dims; i++) full_rows *= p->dim[i];
    }
    n_rows = full_rows;
    n_columns = full_columns;
    if (p->split == SPLIT_ROWS && p->n_dims == 1) {
        n_columns /= w->ranks, first_column = w->rank * n_columns;
    } else if (p->split == SPLIT_ROWS)
        n_rows /= w->ranks, first_row = w->rank * n_rows;
    if (p->split == SPLIT_COLUMNS) n_columns /= w->ranks, first_column = w->rank * n_columns;
    scale = p->kind == PARAM_MATRIX ? sqrtf(3.0f / (float)full_columns) : 0.5f;
    *slot = tensor_matrix(DTYPE_F32, arena_calloc(&w->arena, (size_t)(n_rows * n_columns), sizeof(float)),
                          n_rows, n_columns);
    slot->grad = arena_calloc(&w->arena, (size_t)(n_rows * n_columns), sizeof(float));
    slot->adapter = adapter;
    if (p->kind == PARAM_VECTOR) {
        slot->n_dims = p->n_dims;
        for (int i = 0; i < p->n_dims; i++) slot->dim[i] = p->dim[i];
        slot->dim[p->n_dims - 1] = n_columns;
    }
    for (int64_t r = 0; r < full_rows; r++) {
        for (int64_t c = 0; c < full_columns; c++) {
            float x = scale * weights_random(&state) + (p->kind == PARAM_VECTOR && p->n_dims == 1 ? 0.7f : 0);
            int64_t i = r - first_row, j = c - first_column;

            if (i >= 0 && i < n_rows && j >= 0 && j < n_columns) tensor_f32(slot)[i * n_columns + j] = x;
        }
    }
    assert_true(w->n < sizeof w->list / sizeof *w->list);
    snprintf(w->list[w->n].name, sizeof w->list[w->n].name, "%s", p->name);
    w->list[w->n++].t = slot;
}

static inline void weights_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct weights *w = v->user;
    char name[160];

    if (slot == NULL) return;
    if (p->split != SPLIT_EXPERTS) {
        weights_fill(w, p, slot);
        return;
    }
    for (int e = 0; e < p->experts; e++) { /* each expert's rows are split */
        struct param one = { .name = name,
                             .kind = PARAM_MATRIX,
                             .split = SPLIT_ROWS,
                             .experts = 1,
                             .n_dims = 2,
                             .dim = { p->dim[0] / p->experts, p->dim[1] } };

        snprintf(name, sizeof name, "%.140s[%d]", p->name, e);
        weights_fill(w, &one, &slot[e]);
    }
}

/* Gives the matrix that slot is to become an adapter, whose parts are filled behind it. Rank 0: only a bias. */
static inline void weights_adapt(struct weights *w, struct tensor *slot, int64_t rank, bool bias)
{
    slot->adapter = arena_calloc(&w->arena, 1, sizeof *slot->adapter);
    assert_non_null(slot->adapter);
    if (rank > 0) slot->adapter->a = slot->adapter->b = tensor_matrix(DTYPE_F32, NULL, rank, 1);
    slot->adapter->bias.n_dims = bias;
}

/* A visitor that fills slots. */
static inline struct param_visitor weights_visitor(struct weights *w)
{
    return (struct param_visitor){ .visit = weights_visit, .user = w };
}

static inline struct tensor *weights_input(struct weights *w, int64_t n_rows, int64_t n_columns)
{
    int64_t dim[] = { n_rows, n_columns };
    struct param p = { .name = "input", .kind = PARAM_VECTOR, .n_dims = 2, .dim = { dim[0], dim[1] } };
    struct tensor *t = arena_calloc(&w->arena, 1, sizeof *t);

    weights_fill(w, &p, t);
    return t;
}

typedef struct tensor *(*forward_function)(struct ctx *c, void *user);

/* sum(y * r) over this network's output. */
static inline double weights_loss(struct ctx *c, forward_function forward, void *user, bool backward)
{
    struct arena_mark mark = arena_mark(c->arena);
    struct tape tape = { NULL };
    struct tensor *y;
    uint64_t state = 12345;
    double loss = 0;

    c->tape = &tape;
    y = forward(c, user);
    if (y == NULL) fail_msg("forward: %s", c->err.text);
    for (int64_t t = 0; t < tensor_rows(y); t++) {
        for (int64_t i = 0; i < tensor_columns(y); i++) {
            float r = weights_random(&state);

            loss += (double)r * (double)tensor_f32(y)[t * y->stride + i];
            if (backward) y->grad[t * y->stride + i] = r;
        }
    }
    if (backward) tape_backward(c);
    assert_int_equal(c->err.code, STATUS_OK);
    c->tape = NULL;
    arena_reset(c->arena, mark);
    return loss;
}

/* Checks every tensor of w. `tolerance` is relative to the larger of the two derivatives and of the network's typical one: float32
 * differences cannot see a derivative that is small against the loss's own rounding. */
static inline void weights_check_gradients(struct ctx *c, struct weights *w, forward_function forward,
                                           void *user, double tolerance)
{
    const float step = w->step > 0 ? w->step : 1e-2f;
    double loss = weights_loss(c, forward, user, true), floor_ = 2e-6 * (1 + fabs(loss)) / (double)step;

    for (size_t i = 0; i < w->n; i++) {
        struct tensor *t = w->list[i].t;
        size_t n = (size_t)(tensor_rows(t) * tensor_columns(t));
        float *direction = arena_alloc(&w->arena, n * sizeof *direction),
              *saved = arena_alloc(&w->arena, n * sizeof *saved);
        double tape = 0, norm = 0, up, down, difference, error;
        uint64_t state = i + 99;

        memcpy(saved, t->data, n * sizeof *saved);
        for (size_t j = 0; j < n; j++) {
            direction[j] = weights_random(&state);
            norm += (double)direction[j] * (double)direction[j];
        }
        for (size_t j = 0; j < n; j++) {
            direction[j] /= (float)sqrt(norm);
            tape += (double)t->grad[j] * (double)direction[j];
        }
        for (size_t j = 0; j < n; j++) tensor_f32(t)[j] = saved[j] + step * direction[j];
        up = weights_loss(c, forward, user, false);
        for (size_t j = 0; j < n; j++) tensor_f32(t)[j] = saved[j] - step * direction[j];
        down = weights_loss(c, forward, user, false);
        memcpy(t->data, saved, n * sizeof *saved);
        difference = (up - down) / (2 * (double)step);
        error = fabs(difference - tape) - floor_;
        if (!(error <= tolerance * fmax(fabs(difference), fabs(tape)))) {
            fail_msg("%s: the tape says %g, differences say %g", w->list[i].name, tape, difference);
        }
    }
    print_message("%zu tensors, gradients agree with central differences within %g\n", w->n, tolerance);
}

static inline void weights_free(struct weights *w)
{
    arena_free(&w->arena);
    memset(w, 0, sizeof *w);
}

#endif
