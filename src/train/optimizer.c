/* optimizer.c - see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one thread sums at a time, and how many such sums wait to be added in order. */
enum { PIECE = 1 << 14, PIECES = 256, LANES = 8 };

struct optimizer optimizer_default(void)
{
    return (struct optimizer){ .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8 };
}

/* Sum of squares, in lanes, so that additions need not wait for each other. */
static double square_sum(const float *x, size_t n)
{
    double sum[LANES] = { 0 }, all = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) sum[j] += (double)x[i + j] * (double)x[i + j];
    for (; i < n; i++) sum[0] += (double)x[i] * (double)x[i];
    for (int j = 0; j < LANES; j++) all += sum[j];
    return all;
}

double gradient_norm(const struct trainees *t, int threads)
{
    double sum = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct trainee *x = &t->item[i];
        const float *grad = x->grad + x->own;
        size_t n = (x->n_own + PIECE - 1) / PIECE;

        for (size_t first = 0; first < n; first += PIECES) {
            size_t count = n - first < PIECES ? n - first : PIECES;
            double part[PIECES];

#pragma omp parallel for num_threads(count > 1 ? threads : 1) schedule(static)
            for (size_t k = 0; k < count; k++) {
                size_t at = (first + k) * PIECE;

                part[k] = square_sum(grad + at, x->n_own - at < PIECE ? x->n_own - at : PIECE);
            }
            for (size_t k = 0; k < count; k++) sum += part[k];
        }
    }
    return sqrt(sum);
}

struct update {
    float scale;        /* of the gradient: clipping */
    float keep;         /* 1 - lr wd */
    float beta1, beta2; /* and one minus each, which float32 would round otherwise */
    float rest1, rest2;
    float rate;         /* lr / (1 - beta1^t) */
    float square_scale; /* 1 / sqrt(1 - beta2^t) */
    float epsilon;
};

static void update_some(const struct update *u, struct trainee *x, size_t first, size_t n)
{
    float *restrict w = x->master + x->own + first, *restrict m = x->mean + first,
                    *restrict v = x->square + first;
    const float *restrict g = x->grad + x->own + first;
    float keep = x->decays ? u->keep : 1;

    for (size_t i = 0; i < n; i++) {
        float gi = g[i] * u->scale;

        m[i] = u->beta1 * m[i] + u->rest1 * gi;
        v[i] = u->beta2 * v[i] + u->rest2 * gi * gi;
        w[i] = keep * w[i] - u->rate * m[i] / (sqrtf(v[i]) * u->square_scale + u->epsilon);
    }
}

/* The norm from those of the ranks' shares. */
static enum status norm_of_all(const struct trainees *t, double *norm, struct err *e)
{
    enum { FLOATS = sizeof(double) / sizeof(float) }; /* what is gathered is copied, bit by bit */
    float own[FLOATS], *all = malloc(trainees_ranks(t) * sizeof *norm);
    double sum = 0;
    enum status st = all != NULL ? STATUS_OK : err_no_memory(e, "the ranks' norms");

    memcpy(own, norm, sizeof *norm);
    if (st == STATUS_OK) st = t->comm->all_gather(t->comm, all, own, FLOATS, e);
    for (size_t r = 0; st == STATUS_OK && r < trainees_ranks(t); r++) {
        double part;

        memcpy(&part, all + r * FLOATS, sizeof part);
        sum += part * part;
    }
    *norm = sqrt(sum);
    free(all);
    return st;
}

/* Each rank gets the sums of its shares, and all get the norm. */
static enum status reduce(const struct trainees *t, int threads, double *norm, struct err *e)
{
    bool several = trainees_ranks(t) > 1;
    enum status st = STATUS_OK;

    for (size_t i = 0; several && i < t->n && st == STATUS_OK; i++)
        st = t->comm->reduce_scatter(t->comm, t->item[i].grad, t->item[i].share, e);
    if (st != STATUS_OK) return st;
    *norm = gradient_norm(t, threads);
    return several ? norm_of_all(t, norm, e) : STATUS_OK;
}

static void update_shares(const struct update *u, struct trainees *t, int threads)
{
    for (size_t i = 0; i < t->n; i++) {
        struct trainee *x = &t->item[i];
        size_t n = (x->n_own + PIECE - 1) / PIECE;

#pragma omp parallel for num_threads(n > 1 ? threads : 1) schedule(static)
        for (size_t k = 0; k < n; k++)
            update_some(u, x, k * PIECE, x->n_own - k * PIECE < PIECE ? x->n_own - k * PIECE : PIECE);
    }
}

/* Every rank gets the shares that the others have updated. */
static enum status share_masters(const struct trainees *t, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; trainees_ranks(t) > 1 && i < t->n && st == STATUS_OK; i++) {
        const struct trainee *x = &t->item[i];

        st = t->comm->all_gather(t->comm, x->master, x->master + x->own, x->share, e);
    }
    return st;
}

enum status optimizer_step(struct optimizer *o, struct trainees *t, double lr, int threads, double *norm,
                           struct err *e)
{
    struct update u = { .scale = 1,
                        .keep = (float)(1 - lr * o->weight_decay),
                        .beta1 = (float)o->beta1,
                        .beta2 = (float)o->beta2,
                        .rest1 = (float)(1 - o->beta1),
                        .rest2 = (float)(1 - o->beta2),
                        .epsilon = (float)o->epsilon };
    enum status st = reduce(t, threads, norm, e);

    if (st != STATUS_OK) return st;
    if (!isfinite(*norm)) {
        o->skipped++;
        o->skipped_in_a_row++;
        return STATUS_OK;
    }
    o->skipped_in_a_row = 0;
    o->steps++;
    u.rate = (float)(lr / (1 - pow(o->beta1, (double)o->steps)));
    u.square_scale = (float)(1 / sqrt(1 - pow(o->beta2, (double)o->steps)));
    if (o->clip > 0) u.scale = (float)fmin(1, o->clip / (*norm + 1e-6));
    update_shares(&u, t, threads);
    st = share_masters(t, e);
    if (st == STATUS_OK) trainees_round(t, threads);
    return st;
}

double schedule_lr(const struct schedule *s, double step)
{
    const double pi = 3.14159265358979323846;

    if (step < s->warmup) return s->lr * step / s->warmup;
    if (step >= s->total) return s->lr_min;
    return s->lr_min +
           (s->lr - s->lr_min) * 0.5 * (1 + cos(pi * (step - s->warmup) / (s->total - s->warmup)));
}
