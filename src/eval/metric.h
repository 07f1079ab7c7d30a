/*
 * metric.h - how answers become figures. A metric is a pair of functions: one looks at one answer, as soon as it is there; the other, at
 * the end or for a running score, sums up what the first said of all of them.
 *
 *   record, answer ── judge ── verdict ─┐
 *   record, answer ── judge ── verdict ─┴─ sum_up ── figures
 *
 * A malformed answer (no box where one was asked for, no letter) is scored as the benchmark's official script scores it, mostly as
 * wrong, and counted beside the score. Values are in the unit that papers print: per cent but for MME's points.
 *
 * Each stands in a file of its own, metric_<family>.c, which says what exactly it computes and where that differs from upstream.
 *
 *   name         what it reads of a record                                    figures, the main one first
 *   vqa          answers (all ten), answer_same, category, kind               accuracy, "category: X", "kind: X"
 *   exact        answers (any of them)                                        accuracy, "category: X"
 *   relaxed      answers[0], category                                         accuracy, "category: X"
 *   anls         answers (any of them)                                        ANLS, "category: X"
 *   math         answers[0], and answers[1] the same as a number              accuracy, "category: X"
 *   box          box, width, height, category (a split)                       accuracy, mean IoU, "category: X"
 *   mme          answers[0] yes or no, category, group (an image's pair)      perception, cognition, both, "category: X", "acc: X", "acc+: X"
 *   pope         answers[0] yes or no, category (a split)                     F1, accuracy, precision, recall, yes ratio; "F1: X", ...
 *   choice       answers[0] a letter or a choice's text, choices, category,   accuracy (of groups where there are groups), single
 *                kind, group (the rotations of a question)                    questions, "category: X", "kind: X"
 *   mmmu         as choice, or an open question: answers (any of them)        accuracy, "category: X"
 *   detection    objects, width, height                                       AP, AP50, AP75, AP small, AP medium, AP large, AR, "category: X"
 *   pose         objects, width, height                                       AP, AP50, AP75, PCK, AP medium, AP large, AR, "joint: X"
 *   class        answers (the class's names)                                  accuracy, equal
 *   mention      answers (any of them): a caption that is a list            F1 of the things, "category: X"
 *   mmvet        answers[0], kind (capabilities, separated by commas)         score, "capability: X", "capabilities: X,Y"; unparsed reviews
 *   llava_bench  answers[0] the reference, context, category                  relative score, "category: X"; unparsed reviews
 *   saved        answers, category                                            one without a value: answers are written for an outside scorer
 *
 * Options of an entry that metrics know (all may be absent):
 *   "upstream_quirks": bool         relaxed: the error is relative to the prediction
 *   "mean_of_categories": bool      exact, relaxed, anls, choice: the main figure is the mean of the categories' (ChartQA)
 *   "judgements": "FILE"            mmvet, llava_bench: what the outside judge said (metric_judge.c has the formats)
 *   "judge": {...}                  mmvet, llava_bench: how it is asked, as in the benchmark's table: model, temperature, instruction, ...
 */
#ifndef SPHINX_EVAL_METRIC_H
#define SPHINX_EVAL_METRIC_H

#include "eval/record.h"

/* What was made of one answer. Goes into the log as it is. */
struct verdict {
    double score;      /* 0 .. 1: how right it is, what the browser of answers sorts by */
    bool malformed;    /* not of the form that was asked for */
    bool pending;      /* only an outside judge can say: score means nothing yet */
    const char *taken; /* what was read out of the answer: "B", "yes", "0.1,0.2,0.3,0.4"; "" nothing */
};

struct figure {
    const char *name; /* "accuracy", "perception", "refcoco_testA", "category: color" */
    double value;     /* NaN: nothing to compute it from */
    double low, high; /* 95 % confidence interval; NaN where there is none */
    size_t n;         /* answers (or groups) that it is made of */
};

struct figures {
    struct figure *item; /* [n], the first is the benchmark's main figure */
    size_t n;
    size_t n_answers, n_malformed, n_pending;
};

/* One answered record. Whoever misses an image answers "" with an empty verdict: wrong. */
struct answered {
    const struct record *record;
    const char *answer;
    struct verdict verdict;
};

struct metric {
    const char *name;
    const char *unit; /* "%", "points" */
    /* Never fails on any answer; NO_MEMORY only. Texts from arena a. */
    enum status (*judge)(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e);
    /* answered [n] in the order of records, any subset of the dataset. Figures from arena a. */
    enum status (*sum_up)(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e);
    /* Checks an entry's options when the table is read: BAD_FORMAT names the key. NULL: it knows none. */
    enum status (*check)(const json_t *options, struct err *e);
    /* Official formats for outside scorers (MME's text files, MMMU's JSON, judges' input): writes them below `directory`, which is there. NULL:
     * none. */
    enum status (*save)(const struct benchmark *b, const struct answered *answered, size_t n,
                        const char *directory, struct err *e);
};

/* NULL if there is none of that name. metric_at: for lists, NULL at the end. */
const struct metric *metric_find(const char *name);
const struct metric *metric_at(size_t i);

#endif
