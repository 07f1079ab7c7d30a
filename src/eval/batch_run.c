/* batch_run.c - see batch_run.h. */
#include "eval/batch_run.h"

#include "core/digest.h"
#include "text/journal.h"

#include <stdlib.h>
#include <string.h>

/* A question, as the file has it: how many lines with an answer, and without one. */
struct seen {
    struct digest key;
    size_t answers, failures;
};

struct batch {
    const struct batch_list *list;
    const struct batch_options *options;
    struct batch_totals *totals;
    char run[17]; /* see "run" */
    struct seen *seen;
    size_t n_seen, capacity;
    struct job *jobs; /* [n_jobs] their index is the item's place in the list */
    size_t n_jobs;
    struct journal journal;
    struct batch_progress progress;
    double began;
};

/* ---- what was answered before ----------------------------------------------------------------------------------- */

static void add_text(struct digest_maker *m, const char *text)
{
    digest_number(m, text != NULL);
    if (text != NULL) digest_text(m, text);
}

/* Of the texts as they come out of the file. */
static void key_of(struct digest *key, const char *id, const char *image, const char *prompt)
{
    struct digest_maker m;

    digest_begin(&m);
    add_text(&m, id);
    add_text(&m, image);
    add_text(&m, prompt);
    digest_end(&m, key);
}

static int by_key(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return memcmp(x->key.byte, y->key.byte, DIGEST_BYTES);
}

static const char *text_at(const struct journal_line *line, const char *key)
{
    return json_string_value(json_object_get(line->object, key));
}

static enum status take_line(void *user, const struct journal_line *line, struct err *e)
{
    struct batch *b = user;
    const char *prompt = text_at(line, "prompt"), *run = text_at(line, "run");
    struct seen seen = { 0 };

    seen.answers = text_at(line, "answer") != NULL;
    seen.failures = text_at(line, "error") != NULL;
    if (prompt == NULL || run == NULL || seen.answers + seen.failures == 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: line %zu was not written by sphinx batch", line->file,
                       line->number);
    if (strcmp(run, b->run) != 0 && !b->options->force)
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "%s: line %zu was answered by another model or with other settings (another file begins "
            "anew; --force goes on with this one)",
            line->file, line->number);
    if (b->n_seen == b->capacity) {
        size_t capacity = b->capacity == 0 ? 256 : 2 * b->capacity;
        struct seen *larger = realloc(b->seen, capacity * sizeof *larger);

        if (larger == NULL) return err_no_memory(e, line->file);
        b->seen = larger;
        b->capacity = capacity;
    }
    key_of(&seen.key, text_at(line, "id"), text_at(line, "image"), prompt);
    b->seen[b->n_seen++] = seen;
    return STATUS_OK;
}

/* Sorts, and adds up equal ones. */
static void settle_seen(struct batch *b)
{
    size_t n = 0;

    if (b->n_seen == 0) return;
    qsort(b->seen, b->n_seen, sizeof *b->seen, by_key);
    for (size_t i = 0; i < b->n_seen; i++) {
        if (n > 0 && by_key(&b->seen[n - 1], &b->seen[i]) == 0) {
            b->seen[n - 1].answers += b->seen[i].answers;
            b->seen[n - 1].failures += b->seen[i].failures;
        } else {
            b->seen[n++] = b->seen[i];
        }
    }
    b->n_seen = n;
}

static struct seen *find_seen(const struct batch *b, const struct batch_item *item)
{
    json_t *id = item->id != NULL ? journal_text(item->id) : NULL;
    json_t *image = item->image != NULL ? journal_text(item->image) : NULL,
           *prompt = journal_text(item->prompt);
    struct seen wanted;

    key_of(&wanted.key, json_string_value(id), json_string_value(image), json_string_value(prompt));
    json_decref(id);
    json_decref(image);
    json_decref(prompt);
    return b->n_seen > 0 ? bsearch(&wanted, b->seen, b->n_seen, sizeof wanted, by_key) : NULL;
}

/* Of a question that is in the list several times, as many are left out as have an answer. */
static enum status make_jobs(struct batch *b, struct err *e)
{
    const struct batch_list *l = b->list;

    b->jobs = malloc((l->n + 1) * sizeof *b->jobs);
    if (b->jobs == NULL) return err_no_memory(e, "list of questions");
    for (size_t i = 0; i < l->n; i++) {
        struct seen *seen = find_seen(b, &l->items[i]);

        if (seen != NULL && seen->answers > 0) {
            seen->answers--;
            b->totals->n_known++;
            continue;
        }
        b->jobs[b->n_jobs++] = (struct job){ .index = (int64_t)i,
                                             .image = l->items[i].image,
                                             .prompt = l->items[i].prompt,
                                             .max_tokens = b->options->max_tokens };
    }
    b->progress.done = b->totals->n_known;
    return STATUS_OK;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* What the answer's own JSON has, but for the text, which is called answer here. */
static bool add_answer(json_t *o, const sphinx_answer *answer)
{
    char *text = sphinx_answer_json(answer);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL, *said = json_object_get(all, "text");
    bool ok = said != NULL && json_object_set(o, "answer", said) == 0 && json_object_del(all, "text") == 0 &&
              json_object_update(o, all) == 0;

    json_decref(all);
    sphinx_free(text);
    return ok;
}

static json_t *make_line(const struct batch *b, const struct batch_item *item, const sphinx_answer *answer,
                         const sphinx_error *why)
{
    json_t *o = json_object();
    bool ok = json_object_set_new(o, "line", json_integer((json_int_t)item->line)) == 0;

    if (item->id != NULL) ok = ok && json_object_set_new(o, "id", journal_text(item->id)) == 0;
    if (item->image != NULL) ok = ok && json_object_set_new(o, "image", journal_text(item->image)) == 0;
    ok = ok && json_object_set_new(o, "prompt", journal_text(item->prompt)) == 0;
    if (answer == NULL) ok = ok && json_object_set_new(o, "error", journal_text(why->text)) == 0;
    if (answer != NULL) ok = ok && add_answer(o, answer);
    ok = ok && json_object_set_new(o, "run", json_string(b->run)) == 0;
    if (ok) return o;
    json_decref(o);
    return NULL;
}

static enum status on_answer(void *user, const struct job *job, const sphinx_answer *answer,
                             const sphinx_error *why, struct err *e)
{
    struct batch *b = user;
    const struct batch_item *item = &b->list->items[job->index];
    const struct batch_options *o = b->options;
    struct seen *seen = find_seen(b, item);
    bool told = answer == NULL && seen != NULL && seen->failures > 0; /* it failed before, too */
    json_t *line = make_line(b, item, answer, why);
    enum status st = line != NULL ? STATUS_OK : err_no_memory(e, "answer");

    if (st == STATUS_OK && o->output != NULL && !told) st = journal_append(&b->journal, line, e);
    if (st == STATUS_OK && o->line != NULL) o->line(o->user, line);
    json_decref(line);
    if (st != STATUS_OK) return st;
    if (answer != NULL)
        b->totals->n_asked++;
    else
        b->totals->n_failed++;
    b->progress.done++;
    b->progress.asked++;
    b->progress.total = b->totals->n_known + b->totals->runner.n_jobs;
    b->progress.seconds = clock_seconds() - b->began;
    if (o->progress != NULL) o->progress(o->user, &b->progress);
    return STATUS_OK;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

/* The first 16 digits of a digest of model and settings. */
static enum status name_run(struct batch *b, const sphinx_model *model, struct err *e)
{
    char *settings = json_dumps(b->options->settings, JSON_COMPACT | JSON_SORT_KEYS);
    char identity[DIGEST_TEXT_MAX], hex[DIGEST_TEXT_MAX];
    struct digest_maker m;
    struct digest d;

    if (settings == NULL) return err_no_memory(e, "settings");
    sphinx_model_identity(model, identity);
    digest_begin(&m);
    digest_text(&m, identity);
    digest_text(&m, settings);
    digest_number(&m, b->options->max_tokens);
    digest_end(&m, &d);
    free(settings);
    memcpy(b->run, digest_hex(&d, hex), sizeof b->run - 1);
    return STATUS_OK;
}

/* What there is, before anybody writes; then opens it to write. */
static enum status open_file(struct batch *b, struct err *e)
{
    const struct ranks *ranks = b->options->ranks;
    const char *output = b->options->output;
    char *path = output != NULL ? journal_path(output, ranks->rank) : NULL;
    enum status st = output == NULL || path != NULL ? STATUS_OK : err_no_memory(e, output);

    if (st == STATUS_OK && output != NULL && ranks->rank == 0) st = journal_merge(output, false, e);
    st = ranks_agree(ranks, st, e);
    if (st == STATUS_OK && output != NULL) st = journal_read_all(output, take_line, b, e);
    settle_seen(b);
    st = ranks_agree(ranks, st, e);
    if (st == STATUS_OK && output != NULL) st = journal_open(&b->journal, path, e);
    free(path);
    return ranks_agree(ranks, st, e);
}

static enum status ask_all(struct batch *b, sphinx_model *model, struct err *e)
{
    struct runner_options o = b->options->runner;

    o.rank = b->options->ranks->rank;
    o.ranks = b->options->ranks->count;
    b->began = clock_seconds();
    return runner_run(model, b->jobs, b->n_jobs, &o, on_answer, b, &b->totals->runner, e);
}

/* What the ranks wrote comes together when none has its file open any more. */
static enum status close_file(struct batch *b, enum status st, struct err *e)
{
    const struct ranks *ranks = b->options->ranks;
    enum status closing = journal_close(&b->journal, e);

    if (st == STATUS_OK) st = closing;
    st = ranks_agree(ranks, st, e);
    if (b->options->output != NULL && ranks->rank == 0) {
        struct err merging = { 0 };

        closing = journal_merge(b->options->output, false, &merging);
        if (st == STATUS_OK && closing != STATUS_OK) st = err_set(e, closing, "%s", merging.text);
    }
    return ranks_agree(ranks, st, e);
}

enum status batch_run(sphinx_model *model, const struct batch_list *l, const struct batch_options *o,
                      struct batch_totals *totals, struct err *e)
{
    struct batch b = { .list = l, .options = o, .totals = totals };
    double n[2];
    enum status st;

    *totals = (struct batch_totals){ 0 };
    st = ranks_agree(o->ranks, name_run(&b, model, e), e);
    if (st == STATUS_OK) {
        st = open_file(&b, e);
        if (st == STATUS_OK) st = make_jobs(&b, e);
        if (st == STATUS_OK) st = ask_all(&b, model, e);
        st = close_file(&b, st, e);
    }
    n[0] = (double)totals->n_asked;
    n[1] = (double)totals->n_failed;
    ranks_sum(o->ranks, n, 2);
    totals->n_asked = (size_t)n[0];
    totals->n_failed = (size_t)n[1];
    free(b.seen);
    free(b.jobs);
    return st;
}
