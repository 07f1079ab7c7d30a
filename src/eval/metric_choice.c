/*
 * metric_choice.c - multiple choice.
 *
 *   choice  MMBench (Liu et al. 2023), SEED-Bench (Li et al. 2023), IconQA and their like. An answer is the letter it begins with
 *           (answer_text.h), or else the one choice whose text it is; anything else is malformed and wrong: official scripts ask another
 *           model or draw at random. Records of a group are the same question with its choices rotated: "circular" counts it
 *           right when all are, and so do categories; "single questions" are the records one by one.
 *   mmmu    (Yue et al. 2024) the same, and open questions, whose reference is a text or a number: equal as texts, or as numbers of two
 *           decimals. Answers are also written as the official script wants them, {id: answer}; the id is the image's name without its
 *           ending, since the file's own are not unique.
 */
#include "core/file.h"
#include "eval/answer_text.h"
#include "eval/metric_file.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>
#include <string.h>

/* ---- an answer ------------------------------------------------------------------------------------------------- */

static size_t n_letters(const struct record *r)
{
    return r->n_choices > 0 && r->n_choices < EVAL_CHOICES_MAX ? r->n_choices : EVAL_CHOICES_MAX;
}

/* The letter of the one choice with this text; '\0': none or several, '\1': no memory. */
static char letter_of_text(const struct record *r, const char *text, struct arena *a)
{
    const char *want = ans_plain(text, a), *choice;
    char letter = '\0';

    for (size_t i = 0; i < r->n_choices && i < EVAL_CHOICES_MAX; i++) {
        choice = ans_plain(r->choices[i], a);
        if (want == NULL || choice == NULL) return '\1';
        if (strcmp(want, choice) != 0) continue;
        if (letter != '\0') return '\0';
        letter = (char)('A' + i);
    }
    return letter;
}

/* The letter that stands for the reference; '\0': an open question, '\1': no memory. */
static char letter_of_reference(const struct record *r, struct arena *a)
{
    const char *reference = r->n_answers > 0 ? r->answers[0] : "";

    if (reference[0] != '\0' && reference[1] == '\0' && ans_letter(reference, n_letters(r)) != '\0')
        return reference[0];
    return letter_of_text(r, reference, a);
}

static enum status judge_choice(struct verdict *v, const struct benchmark *b, const struct record *r,
                                const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    char *letter = arena_calloc(a, 2, 1), want = letter_of_reference(r, a);

    (void)b;
    if (clean == NULL || letter == NULL || want == '\1') return err_no_memory(e, "the score of an answer");
    letter[0] = ans_letter(clean, n_letters(r));
    if (letter[0] == '\0') letter[0] = letter_of_text(r, clean, a);
    if (letter[0] == '\1') return err_no_memory(e, "the score of an answer");
    *v = (struct verdict){ .score = letter[0] != '\0' && letter[0] == want,
                           .malformed = letter[0] == '\0',
                           .taken = letter };
    return STATUS_OK;
}

static bool open_right(const char *text, const char *reference)
{
    double p, t;

    if (!ans_number(text, strlen(text), &p) || !ans_number(reference, strlen(reference), &t)) return false;
    return rint(p * 100) == rint(t * 100);
}

static enum status judge_mmmu(struct verdict *v, const struct benchmark *b, const struct record *r,
                              const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a), *text = clean != NULL ? ans_plain(clean, a) : NULL;
    char letter = letter_of_reference(r, a);

    if (text == NULL || letter == '\1') return err_no_memory(e, "the score of an answer");
    if (letter != '\0') return judge_choice(v, b, r, answer, a, e);
    *v = (struct verdict){ .malformed = text[0] == '\0', .taken = clean };
    for (size_t i = 0; i < r->n_answers && v->score == 0; i++) {
        const char *reference = ans_plain(r->answers[i], a);

        if (reference == NULL) return err_no_memory(e, "the score of an answer");
        v->score = strcmp(text, reference) == 0 || open_right(clean, r->answers[i]);
    }
    return STATUS_OK;
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

/* One entry for each group, the first record's with the least score; those of no group as they are. */
static enum status groups_make(struct sum *s, struct answered **unit, size_t *n)
{
    struct division *d;
    size_t n_groups;
    enum status st = sum_divide_records(s, offsetof(struct record, group), &d, &n_groups);

    if (st != STATUS_OK) return st;
    *unit = arena_calloc(s->arena, s->n + 1, sizeof **unit);
    if (*unit == NULL) return err_no_memory(s->err, "the groups of a benchmark");
    *n = 0;
    for (size_t i = 0; i < n_groups; i++) {
        struct answered *u = &(*unit)[(*n)++];

        *u = s->answered[d[i].index[0]];
        for (size_t j = 1; j < d[i].n; j++)
            u->verdict.score = fmin(u->verdict.score, s->answered[d[i].index[j]].verdict.score);
    }
    for (size_t i = 0; i < s->n; i++)
        if (s->answered[i].record->group == NULL) (*unit)[(*n)++] = s->answered[i];
    return STATUS_OK;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s, all;
    struct answered *unit;
    double *score;
    bool grouped = false;
    enum status st;

    sum_begin(&all, f, answered, n, a, e);
    s = all;
    st = groups_make(&all, &unit, &s.n);
    if (st != STATUS_OK) return st;
    s.answered = unit;
    score = sum_scores(&all);
    if (score == NULL) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++) grouped = grouped || answered[i].record->group != NULL;
    st = sum_usual(&s, "accuracy", b);
    return st == STATUS_OK && grouped ? sum_mean(&s, "single questions", score, n, 100) : st;
}

static enum status check(const json_t *options, struct err *e)
{
    return option_check_bool(options, "mean_of_categories", e);
}

/* ---- MMMU's file ----------------------------------------------------------------------------------------------- */

static enum status save_mmmu(const struct benchmark *b, const struct answered *answered, size_t n,
                             const char *directory, struct err *e)
{
    struct arena a = { 0 };
    json_t *object = json_object();
    const char *path = metric_file_name(directory, "mmmu.json", &a);
    enum status st;

    (void)b;
    for (size_t i = 0; i < n && object != NULL; i++) {
        char *id = arena_strdup(&a, path_base(answered[i].record->image)), *dot = NULL;
        char *clean = ans_clean(answered[i].answer, &a);
        size_t length = clean != NULL ? strlen(clean) : 0;

        if (id != NULL) dot = strrchr(id, '.');
        if (dot != NULL) *dot = '\0';
        if (length > 0 && clean[length - 1] == '.') clean[length - 1] = '\0';
        if (id == NULL || clean == NULL || json_object_set_new(object, id, json_string(clean)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    st = path != NULL ? metric_file_json(path, object, e) : err_no_memory(e, "MMMU's file");
    arena_free(&a);
    return st;
}

const struct metric metric_choice = {
    .name = "choice", .unit = "%", .judge = judge_choice, .sum_up = sum_up, .check = check
};
const struct metric metric_mmmu = {
    .name = "mmmu", .unit = "%", .judge = judge_mmmu, .sum_up = sum_up, .check = check, .save = save_mmmu
};
