/* evaluation.c - see evaluation.h: a log and its dataset, joined, judged and summed up. */
#include "eval/evaluation.h"

#include "eval/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked of an evaluation ---------------------------------------------------------------------------- */

const char *evaluation_name(const struct evaluation *v)
{
    return v->label != NULL ? v->label : v->dataset.benchmark->title;
}

double evaluation_credit(const struct answered *a)
{
    double score = isfinite(a->verdict.score) ? a->verdict.score : 0;

    return a->record->has_box ? score >= 0.5 : score;
}

double evaluation_published(const struct evaluation *v, size_t figure, const char *model)
{
    const struct benchmark *b = v->dataset.benchmark;
    const char *part = v->figures.item[figure].name;

    for (size_t i = 0; i < b->n_published; i++) {
        const struct published *p = &b->published[i];

        if (strcmp(p->model, model) != 0) continue;
        if ((figure == 0 && p->part[0] == '\0') || strcmp(p->part, part) == 0) return p->value;
    }
    return NAN;
}

static bool is_among(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0) return true;
    return false;
}

size_t evaluation_models(const struct evaluation *v, size_t n, const char **models, size_t n_max)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct benchmark *b = v[i].dataset.benchmark;

        for (size_t k = 0; k < b->n_published && found < n_max; k++)
            if (!is_among(b->published[k].model, models, found)) models[found++] = b->published[k].model;
    }
    return found;
}

/* ---- the log and its benchmark --------------------------------------------------------------------------------- */

static enum status find_benchmark(const struct benchmark **b, const struct evaluation *v,
                                  const struct benchmark_table *tables, size_t n, const char *directory,
                                  struct err *e)
{
    const char *name = json_string_value(json_object_get(v->log.header, "benchmark"));

    *b = NULL;
    if (v->log.header == NULL)
        return err_set(e, STATUS_NOT_FOUND, "%s: holds no answers of an evaluation", directory);
    for (size_t i = 0; i < n && name != NULL && *b == NULL; i++) *b = benchmark_find(&tables[i], name);
    if (*b != NULL) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT,
                   "%s: its answers are to the benchmark '%.100s', which is not known", directory,
                   name != NULL ? name : "");
}

static enum status check_dataset(const struct evaluation *v, const char *directory, struct err *e)
{
    const char *asked = json_string_value(json_object_get(v->log.header, "dataset"));
    char text[DIGEST_TEXT_MAX];

    digest_hex(&v->dataset.digest, text);
    if (asked != NULL && strcmp(asked, text) == 0) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT,
                   "%s: its answers are to other questions than those of %s now (digest %.12s, found %.12s)",
                   directory, v->dataset.benchmark->name, asked != NULL ? asked : "", text);
}

/* ---- later copies ---------------------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a, *y = *(const struct record *const *)b;
    int order = strcmp(x->image, y->image);

    if (order == 0) order = strcmp(x->question, y->question);
    if (order == 0) order = strcmp(x->id, y->id);
    if (order != 0) return order;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* copy [dataset.n]: true where an earlier record has the same image, question and id. */
static enum status mark_copies(bool *copy, const struct dataset *d, struct err *e)
{
    const struct record **r = calloc(d->n > 0 ? d->n : 1, sizeof *r);

    if (r == NULL) return err_no_memory(e, "an evaluation");
    for (size_t i = 0; i < d->n; i++) r[i] = &d->records[i];
    qsort(r, d->n, sizeof *r, compare_records);
    for (size_t i = 1; i < d->n; i++)
        copy[r[i]->index] = strcmp(r[i]->image, r[i - 1]->image) == 0 &&
                            strcmp(r[i]->question, r[i - 1]->question) == 0 &&
                            strcmp(r[i]->id, r[i - 1]->id) == 0;
    free(r);
    return STATUS_OK;
}

/* ---- judging --------------------------------------------------------------------------------------------------- */

static enum status judge_entry(struct evaluation *v, const struct log_entry *entry, struct err *e)
{
    const struct benchmark *b = v->dataset.benchmark;
    const struct record *r = &v->dataset.records[entry->index];
    struct answered *a = &v->answered[v->n];

    *a = (struct answered){ .record = r, .answer = entry->answer != NULL ? entry->answer : "" };
    a->verdict.taken = "";
    v->entry[v->n++] = entry;
    if (entry->error == NULL) return b->metric->judge(&a->verdict, b, r, a->answer, &v->arena, e);
    if (strncmp(entry->error, TRIAL_ERROR_MISSING, sizeof TRIAL_ERROR_MISSING - 1) == 0)
        v->n_missing++;
    else
        v->n_failed++;
    return STATUS_OK;
}

static enum status judge_all(struct evaluation *v, const char *directory, const bool *copy, struct err *e)
{
    enum status st = STATUS_OK;

    v->answered = arena_calloc(&v->arena, v->log.n + 1, sizeof *v->answered);
    v->entry = arena_calloc(&v->arena, v->log.n + 1, sizeof *v->entry);
    if (v->answered == NULL || v->entry == NULL) return err_no_memory(e, "an evaluation");
    for (size_t i = 0; i < v->log.n && st == STATUS_OK; i++) {
        const struct log_entry *entry = &v->log.entry[i];

        if (entry->index < 0 || (size_t)entry->index >= v->dataset.n)
            return err_set(e, STATUS_BAD_FORMAT, "%s: has an answer to question %lld, where there are %zu",
                           directory, (long long)entry->index, v->dataset.n);
        if (!copy[entry->index]) st = judge_entry(v, entry, e);
    }
    if (st != STATUS_OK) return st;
    return v->dataset.benchmark->metric->sum_up(&v->figures, v->dataset.benchmark, v->answered, v->n,
                                                &v->arena, e);
}

enum status evaluation_open_any(struct evaluation *v, const struct benchmark_table *tables, size_t n,
                                const char *directory, const char *data, bool dedup, struct err *e)
{
    const struct benchmark *b = NULL;
    bool *copy = NULL;
    enum status st;

    *v = (struct evaluation){ 0 };
    st = log_read(&v->log, directory, e);
    if (st == STATUS_OK) st = find_benchmark(&b, v, tables, n, directory, e);
    if (st == STATUS_OK) st = dataset_read(&v->dataset, b, data, e);
    if (st == STATUS_OK) st = check_dataset(v, directory, e);
    if (st == STATUS_OK && (copy = arena_calloc(&v->arena, v->dataset.n + 1, sizeof *copy)) == NULL)
        st = err_no_memory(e, "an evaluation");
    if (st == STATUS_OK && dedup) st = mark_copies(copy, &v->dataset, e);
    if (st == STATUS_OK) st = judge_all(v, directory, copy, e);
    if (st != STATUS_OK) evaluation_close(v);
    return st;
}

enum status evaluation_open(struct evaluation *v, const struct benchmark_table *t, const char *directory,
                            const char *data, bool dedup, struct err *e)
{
    return evaluation_open_any(v, t, 1, directory, data, dedup, e);
}

void evaluation_close(struct evaluation *v)
{
    log_answers_free(&v->log);
    dataset_free(&v->dataset);
    arena_free(&v->arena);
    *v = (struct evaluation){ 0 };
}
