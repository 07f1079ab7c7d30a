/* optimizer.c - see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>

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
        size_t n = (x->n + PIECE - 1) / PIECE;

        for (size_t first = 0; first < n; first += PIECES) {
            size_t count = n - first < PIECES ? n - first : PIECES;
            double part[PIECES];

#pragma omp parallel for num_threads(count > 1 ? threads : 1) schedule(static)
            for (size_t k = 0; k < count; k++) {
                size_t at = (first + k) * PIECE;

                part[k] = square_sum(x->grad + at, x->n - at < PIECE ? x->n - at : PIECE);
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
    float *restrict w = x->master + first, *restrict m = x->mean + first, *restrict v = x->square + first;
    const float *restrict g = x->grad + first;
    float keep = x->decays ? u->keep : 1;

    for (size_t i = 0; i < n; i++) {
        float gi = g[i] * u->scale;

        m[i] = u->beta1 * m[i] + u->rest1 * gi;
        v[i] = u->beta2 * v[i] + u->rest2 * gi * gi;
        w[i] = keep * w[i] - u->rate * m[i] / (sqrtf(v[i]) * u->square_scale + u->epsilon);
    }
}

bool optimizer_step(struct optimizer *o, struct trainees *t, double lr, int threads, double *norm)
{
    struct update u = { .scale = 1,
                        .keep = (float)(1 - lr * o->weight_decay),
                        .beta1 = (float)o->beta1,
                        .beta2 = (float)o->beta2,
                        .rest1 = (float)(1 - o->beta1),
                        .rest2 = (float)(1 - o->beta2),
                        .epsilon = (float)o->epsilon };

    *norm = gradient_norm(t, threads);
    if (!isfinite(*norm)) {
        o->skipped++;
        o->skipped_in_a_row++;
        return false;
    }
    o->skipped_in_a_row = 0;
    o->steps++;
    u.rate = (float)(lr / (1 - pow(o->beta1, (double)o->steps)));
    u.square_scale = (float)(1 / sqrt(1 - pow(o->beta2, (double)o->steps)));
    if (o->clip > 0) u.scale = (float)fmin(1, o->clip / (*norm + 1e-6));
    for (size_t i = 0; i < t->n; i++) {
        struct trainee *x = &t->item[i];
        size_t n = (x->n + PIECE - 1) / PIECE;

#pragma omp parallel for num_threads(n > 1 ? threads : 1) schedule(static)
        for (size_t k = 0; k < n; k++)
            update_some(&u, x, k * PIECE, x->n - k * PIECE < PIECE ? x->n - k * PIECE : PIECE);
    }
    trainees_round(t, threads);
    return true;
}

double schedule_lr(const struct schedule *s, double step)
{
    const double pi = 3.14159265358979323846;

    if (step < s->warmup) return s->lr * step / s->warmup;
    if (step >= s->total) return s->lr_min;
    return s->lr_min +
           (s->lr - s->lr_min) * 0.5 * (1 + cos(pi * (step - s->warmup) / (s->total - s->warmup)));
}
