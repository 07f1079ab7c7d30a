/*
 * grounding.h - finds the boxes and points in an answer.
 *
 *     <p>two cats</p> [0.50,0.60,0.70,0.80;0.11,0.12,0.13,0.14] near [0.2,0.3]
 *
 * is one region of two boxes with the phrase "two cats" and one bare region of a point. The grammar:
 *
 *     tagged  = "<p>" phrase "</p>" spaces list        the phrase has no line feed and no further tag
 *     bare    = list                                   outside of tagged ones
 *     list    = "[" part { ";" part } "]"              of digits, ".", ",", ";" and white space only
 *     part    = 2 numbers, a point x y, or 4, a box x1 y1 x2 y2
 *     number  = \d+(\.\d*)? | \.\d+
 *
 * Coordinates are fractions of the padded square, the square around the original image with side max(W, H); x
 * to the right, y down. A part with any other count of numbers, or with one above 1.05, is passed over; a
 * list of which no part is left is no region.
 *
 * Differences from upstream's demo (multi_turn_mm_box.py): regions come in reading order; whole numbers
 * count; a phrase starts at the last <p> before its </p>, upstream's may swallow an earlier tag; every bare
 * list has a color of its own. Colors are given as upstream does: from the last region to the first, tagged
 * ones before bare ones.
 */
#ifndef SPHINX_TEXT_GROUNDING_H
#define SPHINX_TEXT_GROUNDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "text/span.h"

enum {
    GROUND_COLOR_COUNT = 5,  /* red, blue, green, purple, orange */
    GROUND_JOINT_COUNT = 17, /* COCO's key points, from nose to right_ankle */
};

/* A box or a point. */
struct ground_part {
    unsigned n_values;      /* 4: box, 2: point */
    float values[4];        /* x1 <= x2, y1 <= y2: corners the wrong way round are swapped */
    struct span numbers[4]; /* where in the text each value stands */
    size_t region;          /* index of the region it belongs to */
};

struct ground_region {
    bool tagged;
    struct span phrase; /* in the text; empty for bare regions */
    struct span list;   /* in the text, with the brackets */
    struct span whole;  /* from <p>, or the bracket, to the bracket */
    size_t part_first, n_parts;
    unsigned color; /* 0 .. GROUND_COLOR_COUNT-1 */
};

struct ground_person {
    int32_t joints[GROUND_JOINT_COUNT]; /* index of the part, -1 where not seen */
};

/* Spans count bytes of the text that was parsed, which is not kept. */
struct grounding {
    struct ground_region *regions; /* in reading order */
    size_t n_regions;
    struct ground_part *parts; /* in reading order */
    size_t n_parts;
    struct ground_person *persons;
    size_t n_persons;
    size_t n_malformed; /* lists with a part that was passed over (empty parts beside others do not count) */

    /* private */
    size_t regions_capacity, parts_capacity, persons_capacity;
};

/* Parses any bytes, in time linear in size. Points whose phrase (spaces taken for underscores) is a joint's
 * name form persons: a name that the present person has already starts the next one, and the points of one
 * list belong to persons in succession. NO_MEMORY, or BAD_ARGUMENT above 1 GiB; then nothing is left to free.
 */
enum status grounding_parse(struct grounding *g, const char *text, size_t size, struct err *e);
void grounding_free(struct grounding *g); /* accepts a zeroed one */

/* How sure the model was of one box or point. */
struct ground_confidence {
    size_t n_tokens; /* tokens that wrote its numbers; 0: nothing is known and the rest is 0 */
    float joint;     /* product of their probabilities: the confidence */
    float mean;      /* their geometric mean, which does not depend on how many digits were written */
    float least;     /* the least of them */
};

/* spans [n_tokens] are the bytes of the parsed text that each token gave (stream_span: begin and end never go
 * back), logprobs [n_tokens] the logarithms of their probabilities. Counted is every token that shares a byte
 * with one of the part's numbers; separators and brackets are not. */
struct ground_confidence grounding_confidence(const struct ground_part *part, const struct span *spans,
                                              const float *logprobs, size_t n_tokens);

/* Writes boxes [n_boxes][4], n_boxes >= 1, as the model expects them in a question:
 * "[0.123,0.456,0.789,1.000]", more separated by ";". Values are held to 0..1 and have three decimals in any
 * locale. *text is malloc'ed, with NUL. BAD_ARGUMENT for NaN. */
enum status grounding_format(const float (*boxes)[4], size_t n_boxes, char **text, struct err *e);

#endif
