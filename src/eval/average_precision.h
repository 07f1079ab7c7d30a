/*
 * average_precision.h - average precision as COCO defines it and pycocotools computes it (COCOeval), for boxes and for joints: the two differ
 * in how alike a finding and a truth are, which the caller says.
 *
 *   ap_add, once for each image and category ── matched at 10 thresholds, in up to 3 or 4 ranges of area
 *   ap_precision, ap_mean_recall ── of a range, from all of them or from a resample of the images
 *
 * Matching: findings in the order of their confidence take the free truth that is most alike, above the threshold; a truth that does not count
 * (crowds, areas out of range) is taken only if no other will do, and such a finding counts neither way; so does one that found
 * nothing and is out of range itself. Precision is read at 101 recalls from its upper envelope.
 */
#ifndef SPHINX_EVAL_AVERAGE_PRECISION_H
#define SPHINX_EVAL_AVERAGE_PRECISION_H

#include "core/arena.h"
#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AP_THRESHOLDS = 10, AP_RECALLS = 101, AP_RANGES_MAX = 4 };

struct ap_range {
    double low, high; /* square pixels, both ends within */
};

struct ap_truth {
    double area;
    bool crowd;  /* may be found any number of times */
    bool ignore; /* counts neither way */
};

/* Findings in the order of confidence. */
struct ap_found {
    double confidence, area;
};

/* One finding of one range. */
struct ap_hit {
    double confidence;
    uint32_t image;
    uint32_t order;          /* in which they were added, which decides between equal confidences */
    uint16_t right, ignored; /* a bit a threshold */
};

struct ap_part {
    struct ap_hit *hit; /* [n_hits], by confidence once asked for */
    uint32_t *truths;   /* [n_truths] the image of each truth that counts */
    size_t n_hits, n_truths, hits_capacity, truths_capacity;
    bool sorted;
};

struct ap {
    const struct ap_range *range; /* [n_ranges] */
    size_t n_ranges, n_categories;
    struct ap_part *part; /* [n_categories][n_ranges] */
    struct arena *arena;
};

enum status ap_begin(struct ap *p, const struct ap_range *range, size_t n_ranges, size_t n_categories,
                     struct arena *a, struct err *e);

/* Images come in ascending order. alike [n_found][n_truths]: 0 .. 1. */
enum status ap_add(struct ap *p, size_t category, uint32_t image, const struct ap_truth *truth,
                   size_t n_truths, const struct ap_found *found, size_t n_found, const double *alike,
                   struct err *e);

/* The mean precision over recalls, for each threshold, into precision [AP_THRESHOLDS]. count: how often each image is in the sample; NULL: once.
 * false: the category has nothing to be found, and precision is as it was. */
bool ap_precision(struct ap *p, size_t category, size_t range, const uint32_t *count, double *precision);
/* In per cent, of the categories that have anything to be found; NaN: none. mean [3]: AP, AP50, AP75. */
void ap_mean_precision(struct ap *p, size_t range, const uint32_t *count, double *mean);
/* In per cent: the share that was found, over thresholds and categories. Of the first range. */
double ap_mean_recall(struct ap *p);

/* Where a finding went in the first range at the first threshold: for one image's score. */
struct ap_counts {
    size_t n_right, n_wrong, n_truths;
};
struct ap_counts ap_counts(const struct ap *p);

double ap_threshold(int i); /* 0.5, 0.55 .. 0.95 as numpy.linspace has them */

#endif
