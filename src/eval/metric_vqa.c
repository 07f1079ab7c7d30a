/*
 * metric_vqa.c - VQA soft accuracy (Antol et al. 2015): an answer is right as far as three of ten people gave it.
 *
 *   answer ── vqa_prediction ─┐
 *   references ── punctuation ┴─ for each reference i: min(1, others that equal the answer / 3) ── mean
 *
 * The references lose their punctuation only where they are not all the same, and nothing else, as in the evaluator; the answer always goes
 * through everything, as upstream does it (the public evaluator at times looks at the references first). "Others" are the
 * entries of the file that differ from i as a whole (record.answer_same).
 *
 * With one reference, as unified annotation files have, no three people can agree: then the answer must equal it, both with everything
 * done to them, and the figure says so in its name.
 */
#include "eval/answer_text.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"
#include "eval/vqa_normal.h"

#include <math.h>
#include <string.h>

static bool all_the_same(const struct record *r)
{
    for (size_t i = 1; i < r->n_answers; i++)
        if (strcmp(r->answers[i], r->answers[0]) != 0) return false;
    return true;
}

static size_t entry_of(const struct record *r, size_t i)
{
    return r->answer_same != NULL ? r->answer_same[i] : i;
}

/* match [n_answers]: whether the reference equals the answer. */
static double soft_accuracy(const struct record *r, const bool *match)
{
    size_t n = r->n_answers, thirds = 0;

    for (size_t i = 0; i < n; i++) {
        size_t agree = 0;

        for (size_t j = 0; j < n; j++)
            if (match[j] && entry_of(r, j) != entry_of(r, i)) agree++;
        thirds += agree < 3 ? agree : 3;
    }
    return n > 0 ? (double)thirds / 3 / (double)n : 0;
}

static enum status no_memory(struct err *e)
{
    return err_no_memory(e, "the score of an answer");
}

static enum status judge_one_reference(struct verdict *v, const struct record *r, const char *clean,
                                       struct arena *a, struct err *e)
{
    const char *reference = vqa_prediction(r->answers[0], a);

    if (reference == NULL) return no_memory(e);
    if (v->malformed) /* nothing is left of it: then only the very same text is right */
        v->score = strcmp(clean, r->answers[0]) == 0;
    else
        v->score = strcmp(v->taken, reference) == 0;
    return STATUS_OK;
}

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    const char *prediction = clean != NULL ? vqa_prediction(clean, a) : NULL;
    struct arena_mark mark = arena_mark(a);
    bool *match = arena_calloc(a, r->n_answers + 1, sizeof *match), same = all_the_same(r);

    (void)b;
    if (match == NULL || prediction == NULL) return no_memory(e);
    *v = (struct verdict){ .malformed = prediction[0] == '\0', .taken = prediction };
    if (r->n_answers == 1) return judge_one_reference(v, r, clean, a, e);
    for (size_t i = 0; i < r->n_answers; i++) {
        const char *reference = same ? r->answers[i] : vqa_punctuation(r->answers[i], a);

        if (reference == NULL) return no_memory(e);
        match[i] = strcmp(prediction, reference) == 0;
    }
    v->score = soft_accuracy(r, match);
    arena_reset(a, mark);
    return STATUS_OK;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s;
    bool one = n > 0;

    for (size_t i = 0; i < n; i++) one = one && answered[i].record->n_answers == 1;
    sum_begin(&s, f, answered, n, a, e);
    return sum_usual(&s, one ? "accuracy (one reference)" : "accuracy", b);
}

const struct metric metric_vqa = { .name = "vqa", .unit = "%", .judge = judge, .sum_up = sum_up };
