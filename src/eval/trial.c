/* trial.c - see trial.h. */
#include "eval/trial.h"

#include "core/mix64.h"

#include <stdlib.h>
#include <string.h>

enum { MISSING_NAMED = 10 };

struct trial {
    const struct dataset *dataset;
    const struct trial_options *options;
    struct trial_totals *totals;
    struct log_answers old;
    struct log_file *log;
    const struct record **chosen; /* [n_chosen] in the order of the dataset */
    struct job *jobs;             /* [n_jobs] */
    size_t n_jobs;
    struct trial_progress progress;
    size_t done_before;
    double sum, began; /* of the scores of those that are done */
    struct arena arena, scratch;
};

/* ---- which records ---------------------------------------------------------------------------------------------- */

struct drawn {
    uint64_t number;
    const struct record *record;
};

static int by_number(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;

    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return x->record->index < y->record->index ? -1 : 1;
}

static int by_place(const void *a, const void *b)
{
    const struct record *const *x = a, *const *y = b;

    return (*x)->index < (*y)->index ? -1 : 1;
}

/* The records with the smallest of numbers drawn for each. */
static enum status draw_sample(struct trial *t, size_t n, struct err *e)
{
    struct drawn *list = malloc((n + 1) * sizeof *list);

    if (list == NULL) return err_no_memory(e, "sample");
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &t->dataset->records[i];

        list[i] = (struct drawn){ mix64(mix64(t->options->sample_seed) + (uint64_t)r->index), r };
    }
    qsort(list, n, sizeof *list, by_number);
    for (size_t i = 0; i < t->totals->n_chosen; i++) t->chosen[i] = list[i].record;
    qsort(t->chosen, t->totals->n_chosen, sizeof *t->chosen, by_place);
    free(list);
    return STATUS_OK;
}

static enum status choose(struct trial *t, struct err *e)
{
    const struct trial_options *o = t->options;
    size_t n = t->dataset->n;

    if (o->limit > 0 && o->limit < n) n = o->limit;
    t->totals->n_chosen = o->sample > 0 && o->sample < n ? o->sample : n;
    t->chosen = malloc((t->totals->n_chosen + 1) * sizeof *t->chosen);
    if (t->chosen == NULL) return err_no_memory(e, "list of questions");
    if (t->totals->n_chosen < n) return draw_sample(t, n, e);
    for (size_t i = 0; i < n; i++) t->chosen[i] = &t->dataset->records[i];
    return STATUS_OK;
}

/* ---- the log ---------------------------------------------------------------------------------------------------- */

static json_t *make_header(const struct trial *t, const sphinx_model *model)
{
    const struct benchmark *b = t->dataset->benchmark;
    char dataset[DIGEST_TEXT_MAX], identity[DIGEST_TEXT_MAX];
    sphinx_model_info info;

    sphinx_model_get_info(model, &info);
    sphinx_model_identity(model, identity);
    digest_hex(&t->dataset->digest, dataset);
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:s, s:{s:s, s:s, s:s, s:s}, s:O}", "eval", 1,
                     "benchmark", b->name, "title", b->title, "prompt", b->prompt, "answer_prefix",
                     b->answer_prefix != NULL ? b->answer_prefix : "", "max_tokens", b->max_tokens, "metric",
                     b->metric->name, "records", (json_int_t)t->dataset->n, "dataset", dataset, "model",
                     "identity", identity, "name", info.name, "llama_type", info.llama_type, "cpu", info.cpu,
                     "settings", t->options->settings);
}

/* What there is, before anybody writes; then opens it to write. Each rank checks the header, for all must come to the same result. */
static enum status open_log(struct trial *t, const sphinx_model *model, struct err *e)
{
    const struct trial_options *o = t->options;
    json_t *header = make_header(t, model);
    enum status st = header != NULL ? STATUS_OK : err_no_memory(e, "log");

    if (st == STATUS_OK && o->ranks->rank == 0) st = log_merge(o->directory, e);
    st = ranks_agree(o->ranks, st, e);
    if (st == STATUS_OK) st = log_read(&t->old, o->directory, e);
    st = ranks_agree(o->ranks, st, e);
    if (st == STATUS_OK) st = log_open(&t->log, o->directory, o->ranks->rank, header, o->force, e);
    json_decref(header);
    return ranks_agree(o->ranks, st, e);
}

/* ---- jobs ------------------------------------------------------------------------------------------------------- */

static void count_done(struct trial *t, double score)
{
    t->progress.done++;
    t->sum += score;
    t->progress.right = t->sum / (double)t->progress.done;
}

static enum status note(struct trial *t, const struct record *r, const char *error, struct err *e)
{
    const struct log_entry *old = log_find(&t->old, r->index);
    struct log_entry entry = {
        .index = r->index, .id = r->id, .image = r->image, .question = r->question, .error = error
    };

    count_done(t, 0);
    return old == NULL || old->error == NULL || strcmp(old->error, error) != 0 ? log_append(t->log, &entry, e)
                                                                               : STATUS_OK;
}

static enum status missing(struct trial *t, const struct record *r, const char *wanted, const char **last,
                           size_t *images, struct err *e)
{
    const char *error = arena_printf(&t->arena, TRIAL_ERROR_MISSING "%s", wanted);

    if (error == NULL) return err_no_memory(e, "question");
    t->totals->n_missing++;
    if (*last == NULL || strcmp(*last, wanted) != 0) {
        if (*images < MISSING_NAMED) report_warn(t->options->report, "%s", error);
        ++*images;
        *last = wanted;
    }
    return note(t, r, error, e);
}

static enum status add_job(struct trial *t, const struct record *r, const char *path, struct err *e)
{
    const struct benchmark *b = t->dataset->benchmark;
    const char *prompt = record_prompt(b, r, &t->arena);

    if (r->image_data != NULL && path[0] == '\0')
        path = arena_printf(&t->arena, "the image of record %lld", (long long)r->index);
    if (prompt == NULL || path == NULL) return err_no_memory(e, "question");
    t->jobs[t->n_jobs++] = (struct job){ .index = r->index,
                                         .image = path,
                                         .image_data = r->image_data,
                                         .image_size = r->image_size,
                                         .prompt = prompt,
                                         .answer_prefix = b->answer_prefix,
                                         .max_tokens = b->max_tokens };
    return STATUS_OK;
}

/* What is left to ask. Images that are not there are rank 0's business. */
static enum status make_jobs(struct trial *t, struct err *e)
{
    const char *last = NULL, *image = NULL, *path = NULL, *wanted = NULL;
    bool speaks = t->options->ranks->rank == 0;
    size_t images = 0;
    enum status st = STATUS_OK;

    t->jobs = malloc((t->totals->n_chosen + 1) * sizeof *t->jobs);
    if (t->jobs == NULL) return err_no_memory(e, "list of questions");
    for (size_t i = 0; i < t->totals->n_chosen && st == STATUS_OK; i++) {
        const struct record *r = t->chosen[i];
        const struct log_entry *old = log_find(&t->old, r->index);
        bool is_file = r->image[0] != '\0' && r->image_data == NULL;

        if (old != NULL && old->answer != NULL) {
            t->totals->n_known++;
            if (speaks) count_done(t, old->score);
            continue;
        }
        if (is_file && (image == NULL || strcmp(image, r->image) != 0)) {
            path = record_image_path(r, t->options->data, &t->arena, &wanted);
            image = r->image;
            if (wanted == NULL) return err_no_memory(e, "question");
        }
        if (is_file && path == NULL)
            st = speaks ? missing(t, r, wanted, &last, &images, e) : STATUS_OK;
        else
            st = add_job(t, r, is_file ? path : r->image, e);
    }
    if (images > MISSING_NAMED)
        report_warn(t->options->report, "and %zu more images are not there", images - MISSING_NAMED);
    return st;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static double seconds_of(const sphinx_answer *answer, const char *stage)
{
    for (size_t i = 0; i < answer->n_timings; i++)
        if (strcmp(answer->timings[i].stage, stage) == 0) return answer->timings[i].seconds;
    return 0;
}

static enum status judge_and_log(struct trial *t, const struct job *job, const struct record *r,
                                 const sphinx_answer *answer, struct err *e)
{
    const struct benchmark *b = t->dataset->benchmark;
    struct arena_mark scope = arena_mark(&t->scratch);
    struct verdict v = { 0 };
    enum status st = b->metric->judge(&v, b, r, answer->text, &t->scratch, e);
    struct log_entry entry = { .index = r->index,
                               .id = r->id,
                               .image = r->image,
                               .question = r->question,
                               .prompt = job->prompt,
                               .answer = answer->text,
                               .tokens = answer->tokens,
                               .n_tokens = answer->n_tokens,
                               .finish = answer->finish == SPHINX_FINISH_LENGTH ? "length" : "stop",
                               .score = v.score,
                               .malformed = v.malformed,
                               .pending = v.pending,
                               .taken = v.taken,
                               .seconds_encode = seconds_of(answer, "encode"),
                               .seconds_prefill = seconds_of(answer, "prefill"),
                               .seconds_decode = seconds_of(answer, "decode"),
                               .prompt_tokens = answer->prompt_tokens,
                               .image_tokens = answer->image_tokens,
                               .cached_tokens = answer->cached_tokens };

    if (st == STATUS_OK) st = log_append(t->log, &entry, e);
    if (st == STATUS_OK) count_done(t, v.score);
    arena_reset(&t->scratch, scope);
    return st;
}

static enum status on_answer(void *user, const struct job *job, const sphinx_answer *answer,
                             const sphinx_error *why, struct err *e)
{
    struct trial *t = user;
    const struct record *r = &t->dataset->records[job->index];
    enum status st;

    if (answer != NULL) {
        st = judge_and_log(t, job, r, answer, e);
        t->totals->n_asked += st == STATUS_OK;
    } else {
        st = note(t, r, why->text, e);
        t->totals->n_failed++;
    }
    t->progress.asked++;
    t->progress.total = t->done_before + t->totals->runner.n_jobs;
    t->progress.seconds = clock_seconds() - t->began;
    if (t->options->progress != NULL) t->options->progress(t->options->user, &t->progress);
    return st;
}

static enum status ask_all(struct trial *t, sphinx_model *model, struct err *e)
{
    struct runner_options o = t->options->runner;

    o.rank = t->options->ranks->rank;
    o.ranks = t->options->ranks->count;
    t->done_before = t->progress.done;
    t->began = clock_seconds();
    return runner_run(model, t->jobs, t->n_jobs, &o, on_answer, t, &t->totals->runner, e);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static void add_up(const struct ranks *ranks, struct trial_totals *totals)
{
    double n[] = { (double)totals->n_asked, (double)totals->n_missing, (double)totals->n_failed };

    ranks_sum(ranks, n, 3);
    totals->n_asked = (size_t)n[0];
    totals->n_missing = (size_t)n[1];
    totals->n_failed = (size_t)n[2];
}

static void trial_free(struct trial *t)
{
    log_answers_free(&t->old);
    free(t->chosen);
    free(t->jobs);
    arena_free(&t->arena);
    arena_free(&t->scratch);
}

enum status trial_run(sphinx_model *model, const struct dataset *d, const struct trial_options *o,
                      struct trial_totals *totals, struct err *e)
{
    struct trial t = { .dataset = d, .options = o, .totals = totals };
    enum status st, closing;

    *totals = (struct trial_totals){ 0 };
    st = choose(&t, e);
    st = ranks_agree(o->ranks, st, e);
    if (st == STATUS_OK) {
        st = open_log(&t, model, e);
        if (st == STATUS_OK) st = make_jobs(&t, e);
        if (st == STATUS_OK) st = ask_all(&t, model, e);
        closing = log_close(t.log, e);
        if (st == STATUS_OK) st = closing;
        st = ranks_agree(o->ranks, st, e);
        if (o->ranks->rank == 0) {
            struct err merging = { 0 };

            closing = log_merge(o->directory, &merging);
            if (st == STATUS_OK && closing != STATUS_OK) st = err_set(e, closing, "%s", merging.text);
        }
        st = ranks_agree(o->ranks, st, e);
        add_up(o->ranks, totals);
    }
    trial_free(&t);
    return st;
}
