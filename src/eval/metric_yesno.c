/*
 * metric_yesno.c - benchmarks of yes or no.
 *
 *   mme    (Fu et al. 2023) two questions an image. Of a category: acc, the share of right answers; acc+, the share of images with both
 *          right; its points are 100 acc + 100 acc+. Perception and cognition are sums over their categories.
 *   pope   (Li et al. 2023) is there such an object? Three ways of choosing objects that are not there (splits); precision, recall and
 *          F1 of "yes", and how often it is said. The figures without a split are means over splits.
 *
 * What counts as yes is what each set's own script says. MME: "yes" or "no", or else the first of "yes", "no" within the answer's first four
 * characters, so that "not sure" is no; anything else is malformed and wrong. POPE: no if one of the words "No", "no", "not" is in the first
 * sentence, else yes; without any such word and without "yes" the answer is counted as malformed, but still as yes.
 *
 * In a part of MME an image counts for acc+ by the questions that were asked. A record without an answer (no image) is wrong: in POPE the
 * opposite of the truth. F1 is 2 TP / (2 TP + FP + FN).
 */
#include "core/file.h"
#include "eval/answer_text.h"
#include "eval/metric_file.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the record says: 'y', 'n', '\0' something else. */
static char truth_of(const struct record *r)
{
    const char *answer = r->n_answers > 0 ? r->answers[0] : "";

    return strcasecmp(answer, "yes") == 0 ? 'y' : strcasecmp(answer, "no") == 0 ? 'n' : '\0';
}

static void verdict_of(struct verdict *v, const struct record *r, char said, bool malformed)
{
    *v = (struct verdict){ .score = said != '\0' && said == truth_of(r),
                           .malformed = malformed,
                           .taken = said == 'y'   ? "yes"
                                    : said == 'n' ? "no"
                                                  : "" };
}

/* ---- MME: an answer -------------------------------------------------------------------------------------------- */

static enum status judge_mme(struct verdict *v, const struct benchmark *b, const struct record *r,
                             const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    char *small = clean != NULL ? ans_lower(clean, a) : NULL;
    size_t bytes = 0;
    char said;

    (void)b;
    if (small == NULL) return err_no_memory(e, "the score of an answer");
    for (int i = 0; i < 4 && small[bytes] != '\0'; i++) do
            bytes++;
        while (((unsigned char)small[bytes] & 0xc0) == 0x80);
    small[bytes] = '\0';
    said = strstr(small, "yes") != NULL ? 'y' : strstr(small, "no") != NULL ? 'n' : '\0';
    verdict_of(v, r, said, said == '\0');
    return STATUS_OK;
}

/* ---- MME: all of them ------------------------------------------------------------------------------------------ */

enum { MME_PARTS = 3 }; /* perception, cognition, both */

static const char *const cognition[] = { "commonsense_reasoning", "numerical_calculation", "text_translation",
                                         "code_reasoning" };
static const char *const perception[] = { "existence", "count", "position", "color",   "posters",
                                          "celebrity", "scene", "landmark", "artwork", "OCR" };

static bool is_among(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(name, list[i]) == 0) return true;
    return false;
}

/* An image with its questions. */
struct pair {
    uint32_t category;
    uint32_t n, n_right;
};

struct mme {
    struct pair *pair; /* [n], ordered by category */
    size_t n, n_categories;
    const char **category;
    double *acc, *acc_plus; /* [n_categories] work memory of points() */
};

/* figure: MME_PARTS sums, then the points of each category. */
static void points(void *user, const uint32_t *count, double *figure)
{
    struct mme *m = user;
    size_t at = 0;

    for (int i = 0; i < MME_PARTS; i++) figure[i] = NAN;
    for (size_t c = 0; c < m->n_categories; c++) {
        double n = 0, right = 0, pairs = 0, whole = 0, sum;

        for (; at < m->n && m->pair[at].category == c; at++) {
            n += (double)count[at] * m->pair[at].n;
            right += (double)count[at] * m->pair[at].n_right;
            pairs += count[at];
            if (m->pair[at].n == m->pair[at].n_right) whole += count[at];
        }
        m->acc[c] = 100 * right / n;
        m->acc_plus[c] = 100 * whole / pairs;
        sum = figure[MME_PARTS + c] = m->acc[c] + m->acc_plus[c];
        for (int i = 0; i < MME_PARTS; i++) {
            bool thinks = is_among(m->category[c], cognition, sizeof cognition / sizeof *cognition);
            bool sees = is_among(m->category[c], perception, sizeof perception / sizeof *perception);

            if ((i == 0 && sees) || (i == 1 && thinks) || (i == 2 && (sees || thinks)))
                figure[i] = isnan(figure[i]) ? sum : figure[i] + sum;
        }
    }
}

/* Divides the answers by category and, within it, by group. */
static enum status pairs_make(struct mme *m, struct sum *s, uint32_t **stratum, uint32_t **one)
{
    const char **key = arena_calloc(s->arena, s->n + 1, sizeof *key), *last = NULL;
    struct division *d;
    enum status st;

    for (size_t i = 0; i < s->n && key != NULL; i++) {
        const struct record *r = s->answered[i].record;
        const char *category = r->category != NULL ? r->category : "";

        key[i] = r->group != NULL ? arena_printf(s->arena, "%s\n%s", category, r->group)
                                  : arena_printf(s->arena, "%s\n\n%zu", category, i);
        if (key[i] == NULL) key = NULL;
    }
    if (key == NULL) return err_no_memory(s->err, "the categories of MME");
    st = sum_divide(s, key, s->n, &d, &m->n);
    if (st != STATUS_OK) return st;
    m->pair = arena_calloc(s->arena, m->n + 1, sizeof *m->pair);
    m->category = arena_calloc(s->arena, m->n + 1, sizeof *m->category);
    m->acc = arena_calloc(s->arena, m->n + 1, sizeof *m->acc);
    m->acc_plus = arena_calloc(s->arena, m->n + 1, sizeof *m->acc_plus);
    *stratum = arena_calloc(s->arena, m->n + 1, sizeof **stratum);
    *one = arena_calloc(s->arena, m->n + 1, sizeof **one);
    if (m->pair == NULL || m->category == NULL || m->acc == NULL || m->acc_plus == NULL || *stratum == NULL ||
        *one == NULL)
        return err_no_memory(s->err, "the categories of MME");
    for (size_t i = 0; i < m->n; i++) {
        const struct answered *first = &s->answered[d[i].index[0]];
        const char *category = first->record->category != NULL ? first->record->category : "";

        if (last == NULL || strcmp(last, category) != 0) m->category[m->n_categories++] = last = category;
        m->pair[i] = (struct pair){ .category = (uint32_t)m->n_categories - 1, .n = (uint32_t)d[i].n };
        for (size_t j = 0; j < d[i].n; j++)
            if (s->answered[d[i].index[j]].verdict.score == 1) m->pair[i].n_right++;
        (*stratum)[i] = m->pair[i].category;
        (*one)[i] = 1;
    }
    return STATUS_OK;
}

/* "PREFIX: category" with its number of questions or images. */
static enum status category_figure(struct sum *s, const struct mme *m, const char *prefix, size_t c,
                                   double value, struct interval range, bool images)
{
    const char *name = arena_printf(s->arena, "%s: %s", prefix, m->category[c]);
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        if (m->pair[i].category == c) n += images ? 1 : m->pair[i].n;
    if (name == NULL) return err_no_memory(s->err, "the categories of MME");
    if (isnan(range.low)) {
        range = interval_share(value / 100 * (double)n, n);
        range = (struct interval){ 100 * range.low, 100 * range.high };
    }
    return sum_figure(s, name, value, range, n);
}

static enum status sum_up_mme(struct figures *f, const struct benchmark *b, const struct answered *answered,
                              size_t n, struct arena *a, struct err *e)
{
    static const char *const parts[MME_PARTS] = { "perception", "cognition", "both" };
    static const struct interval none = { NAN, NAN };
    struct mme m = { 0 };
    struct sum s;
    uint32_t *stratum = NULL, *one = NULL;
    double *value;
    struct interval *range;
    enum status st;

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    st = pairs_make(&m, &s, &stratum, &one);
    if (st != STATUS_OK) return st;
    value = arena_calloc(a, MME_PARTS + m.n_categories, sizeof *value);
    range = arena_calloc(a, MME_PARTS + m.n_categories, sizeof *range);
    if (value == NULL || range == NULL) return err_no_memory(e, "the categories of MME");
    st = interval_bootstrap(range, MME_PARTS + m.n_categories, m.n, stratum, INTERVAL_RESAMPLES, points, &m,
                            a, e);
    points(&m, one, value); /* after the resamples: leaves acc and acc+ of the answers as they are */
    for (size_t i = 0; i < MME_PARTS && st == STATUS_OK; i++)
        st = sum_figure(&s, parts[i], value[i], range[i], n);
    for (size_t c = 0; c < m.n_categories && st == STATUS_OK; c++) {
        st = category_figure(&s, &m, "category", c, value[MME_PARTS + c], range[MME_PARTS + c], false);
        if (st == STATUS_OK) st = category_figure(&s, &m, "acc", c, m.acc[c], none, false);
        if (st == STATUS_OK) st = category_figure(&s, &m, "acc+", c, m.acc_plus[c], none, true);
    }
    return st;
}

/* ---- MME: files for its own script ----------------------------------------------------------------------------- */

struct line {
    const struct answered *answered;
    long long id;
    size_t place;
};

static int compare_lines(const void *pa, const void *pb)
{
    const struct line *a = pa, *b = pb;

    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    return (a->place > b->place) - (a->place < b->place);
}

/* Tabs and line feeds part the columns and lines: they become spaces. */
static enum status put_column(struct file_writer *w, const char *text, char after, struct arena *a,
                              struct err *e)
{
    char *column = arena_printf(a, "%s%c", text, after);
    size_t n = strlen(text);

    if (column == NULL) return err_no_memory(e, "a line of MME's files");
    for (size_t i = 0; i < n; i++)
        if (column[i] == '\t' || column[i] == '\n' || column[i] == '\r') column[i] = ' ';
    return file_writer_put(w, column, n + 1, e);
}

static enum status save_category(const struct division *d, const struct answered *answered,
                                 const char *directory, struct arena *a, struct err *e)
{
    struct line *line = arena_calloc(a, d->n, sizeof *line);
    const char *path = metric_file_name(directory, arena_printf(a, "%s.txt", d->key), a);
    struct file_writer w = { 0 };
    enum status st;

    if (line == NULL || path == NULL) return err_no_memory(e, "MME's files");
    for (size_t i = 0; i < d->n; i++) {
        const struct answered *x = &answered[d->index[i]];

        line[i] = (struct line){ x, strtoll(x->record->id, NULL, 10), i };
    }
    qsort(line, d->n, sizeof *line, compare_lines);
    st = file_writer_open(&w, path, e);
    for (size_t i = 0; i < d->n && st == STATUS_OK; i++) {
        const struct record *r = line[i].answered->record;
        const char *clean = ans_clean(line[i].answered->answer, a);

        if (clean == NULL) st = err_no_memory(e, "MME's files");
        if (st == STATUS_OK) st = put_column(&w, r->image, '\t', a, e);
        if (st == STATUS_OK) st = put_column(&w, r->question, '\t', a, e);
        if (st == STATUS_OK) st = put_column(&w, r->n_answers > 0 ? r->answers[0] : "", '\t', a, e);
        if (st == STATUS_OK) st = put_column(&w, clean, '\n', a, e);
    }
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    if (st != STATUS_OK) file_writer_abort(&w);
    return st;
}

static enum status save_mme(const struct benchmark *b, const struct answered *answered, size_t n,
                            const char *directory, struct err *e)
{
    struct arena a = { 0 };
    struct figures f;
    struct division *d;
    struct sum s;
    size_t n_categories = 0;
    enum status st;

    (void)b;
    sum_begin(&s, &f, answered, n, &a, e);
    st = sum_divide_records(&s, offsetof(struct record, category), &d, &n_categories);
    for (size_t i = 0; i < n_categories && st == STATUS_OK; i++)
        st = save_category(&d[i], answered, directory, &a, e);
    arena_free(&a);
    return st;
}

/* ---- POPE ------------------------------------------------------------------------------------------------------ */

static bool word_is(const char *word, size_t n, const char *s)
{
    return strncmp(word, s, n) == 0 && s[n] == '\0';
}

static enum status judge_pope(struct verdict *v, const struct benchmark *b, const struct record *r,
                              const char *answer, struct arena *a, struct err *e)
{
    char *clean = ans_clean(answer, a);
    const char *text;
    bool no = false, yes = false;

    (void)b;
    if (clean == NULL) return err_no_memory(e, "the score of an answer");
    clean[strcspn(clean, ".")] = '\0';
    text = ans_without(clean, ",", a);
    if (text == NULL) return err_no_memory(e, "the score of an answer");
    for (size_t n; *text != '\0'; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        no = no || word_is(text, n, "No") || word_is(text, n, "no") || word_is(text, n, "not");
        yes = yes || word_is(text, n, "Yes") || word_is(text, n, "yes");
    }
    verdict_of(v, r, no ? 'n' : 'y', !no && !yes);
    return STATUS_OK;
}

enum { POPE_FIGURES = 5 };

static const char *const pope_names[POPE_FIGURES] = { "F1", "accuracy", "precision", "recall", "yes ratio" };

struct pope {
    const struct division *split; /* [n_splits], over `said` and `truth`, which are ordered by split */
    size_t n_splits;
    const bool *said, *truth; /* whether yes */
};

/* figure: POPE_FIGURES means over splits, then those of each split. */
static void pope_figures(void *user, const uint32_t *count, double *figure)
{
    const struct pope *p = user;

    for (int k = 0; k < POPE_FIGURES; k++) figure[k] = 0;
    for (size_t i = 0; i < p->n_splits; i++) {
        double seen[2][2] = { { 0 } }, *own = figure + POPE_FIGURES * (i + 1);
        double tp, fp, fn, n;

        for (size_t j = 0; j < p->split[i].n; j++) {
            size_t x = p->split[i].index[j];

            seen[p->said[x]][p->truth[x]] += count[x];
        }
        tp = seen[1][1], fp = seen[1][0], fn = seen[0][1], n = tp + fp + fn + seen[0][0];
        own[0] = 100 * 2 * tp / (2 * tp + fp + fn);
        own[1] = 100 * (tp + seen[0][0]) / n;
        own[2] = 100 * tp / (tp + fp);
        own[3] = 100 * tp / (tp + fn);
        own[4] = 100 * (tp + fp) / n;
        for (int k = 0; k < POPE_FIGURES; k++) figure[k] += own[k] / (double)p->n_splits;
    }
}

/* Orders the answers by split. */
static enum status pope_make(struct pope *p, struct sum *s, uint32_t **stratum, uint32_t **one)
{
    const char **key = arena_calloc(s->arena, s->n + 1, sizeof *key);
    bool *said = arena_calloc(s->arena, s->n + 1, sizeof *said), *truth = arena_calloc(s->arena, s->n + 1, 1);
    size_t *index = arena_calloc(s->arena, s->n + 1, sizeof *index), m = 0;
    struct division *d;
    enum status st;

    *stratum = arena_calloc(s->arena, s->n + 1, sizeof **stratum);
    *one = arena_calloc(s->arena, s->n + 1, sizeof **one);
    if (key == NULL || said == NULL || truth == NULL || index == NULL || *stratum == NULL || *one == NULL)
        return err_no_memory(s->err, "the splits of POPE");
    for (size_t i = 0; i < s->n; i++)
        key[i] = s->answered[i].record->category != NULL ? s->answered[i].record->category : "";
    st = sum_divide(s, key, s->n, &d, &p->n_splits);
    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < p->n_splits; i++) {
        for (size_t j = 0; j < d[i].n; j++, m++) {
            const struct answered *x = &s->answered[d[i].index[j]];

            index[m] = m;
            truth[m] = truth_of(x->record) == 'y';
            said[m] = x->verdict.score == 1 ? truth[m] : !truth[m];
            (*stratum)[m] = (uint32_t)i;
            (*one)[m] = 1;
        }
        d[i].index = index + m - d[i].n;
    }
    *p = (struct pope){ .split = d, .n_splits = p->n_splits, .said = said, .truth = truth };
    return STATUS_OK;
}

static enum status sum_up_pope(struct figures *f, const struct benchmark *b, const struct answered *answered,
                               size_t n, struct arena *a, struct err *e)
{
    struct pope p = { 0 };
    struct sum s;
    uint32_t *stratum = NULL, *one = NULL;
    struct interval *range;
    double *value;
    enum status st;

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    st = pope_make(&p, &s, &stratum, &one);
    if (st != STATUS_OK) return st;
    value = arena_calloc(a, POPE_FIGURES * (p.n_splits + 1), sizeof *value);
    range = arena_calloc(a, POPE_FIGURES * (p.n_splits + 1), sizeof *range);
    if (value == NULL || range == NULL) return err_no_memory(e, "the splits of POPE");
    pope_figures(&p, one, value);
    st = interval_bootstrap(range, POPE_FIGURES * (p.n_splits + 1), n, stratum, INTERVAL_RESAMPLES,
                            pope_figures, &p, a, e);
    for (size_t k = 0; k < POPE_FIGURES && st == STATUS_OK; k++)
        st = sum_figure(&s, pope_names[k], n > 0 ? value[k] : NAN, range[k], n);
    for (size_t i = 0; i < p.n_splits; i++) {
        for (size_t k = 0; k < POPE_FIGURES && st == STATUS_OK; k++) {
            size_t at = POPE_FIGURES * (i + 1) + k;
            const char *name = arena_printf(a, "%s: %s", pope_names[k], p.split[i].key);

            if (name == NULL) return err_no_memory(e, "the splits of POPE");
            st = sum_figure(&s, name, value[at], range[at], p.split[i].n);
        }
    }
    return st;
}

const struct metric metric_mme = {
    .name = "mme", .unit = "points", .judge = judge_mme, .sum_up = sum_up_mme, .save = save_mme
};
const struct metric metric_pope = { .name = "pope", .unit = "%", .judge = judge_pope, .sum_up = sum_up_pope };
