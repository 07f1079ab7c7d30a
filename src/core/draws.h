/*
 * draws.h - random numbers in streams. A stream is named by what it is for (of a drawn scene: seed, split, scene, attempt), not by what was
 * drawn before: so scene 7 is the same whether or not scenes 0 to 6 were drawn, on whatever thread.
 */
#ifndef SPHINX_CORE_DRAWS_H
#define SPHINX_CORE_DRAWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mix64.h"

struct draws {
    uint64_t key, n;
};

static inline struct draws draws_begin(uint64_t seed, uint64_t split, uint64_t index, uint64_t purpose)
{
    uint64_t key = mix64(mix64(mix64(mix64(seed) ^ split) ^ index) ^ purpose);

    return (struct draws){ .key = key };
}

static inline uint64_t draw_bits(struct draws *d)
{
    return mix64(d->key + d->n++);
}

/* 0 .. n-1, n >= 1. */
static inline unsigned draw_below(struct draws *d, size_t n)
{
    return (unsigned)((draw_bits(d) >> 32) * (uint64_t)n >> 32);
}

/* 0 <= x < 1. */
static inline double draw_unit(struct draws *d)
{
    return (double)(draw_bits(d) >> 11) * 0x1p-53;
}

static inline double draw_between(struct draws *d, double low, double high)
{
    return low + (high - low) * draw_unit(d);
}

static inline bool draw_chance(struct draws *d, double probability)
{
    return draw_unit(d) < probability;
}

/* An index with the given weights. */
static inline unsigned draw_weighted(struct draws *d, const double *weight, size_t n)
{
    double sum = 0, x;

    for (size_t i = 0; i < n; i++) sum += weight[i];
    x = sum * draw_unit(d);
    for (size_t i = 0; i + 1 < n; i++) {
        if (x < weight[i]) return (unsigned)i;
        x -= weight[i];
    }
    return (unsigned)n - 1;
}

/* 0 .. n-1 in a drawn order. */
static inline void draw_order(struct draws *d, unsigned *order, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = draw_below(d, i + 1);

        order[i] = order[j];
        order[j] = (unsigned)i;
    }
}

/* From here on other numbers for each branch. */
static inline void draw_branch(struct draws *d, uint64_t branch)
{
    d->key = mix64(d->key ^ (branch + 1));
}

#endif
