/*
 * runner.c - see runner.h.
 *
 * A worker is a session of the batch. It takes the next image and asks all questions about it, one after the other, so an image is encoded
 * and its rows are computed once. When no image is left that nobody has taken, a worker that is out of questions helps with the image that has most
 * left: it finds the image's rows in the model's memory, once their owner has computed them. Where that turns out to be too
 * small for them, nobody helps any more: encoding an image again takes longer than waiting.
 */
#include "eval/runner.h"

#include "eval/image_queue.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_DEFAULT = 8, AHEAD_DEFAULT = 2 };

/* Questions that share an image; one alone where there is no image. */
struct group {
    const struct job *const *jobs; /* [n] in the caller's order */
    size_t n, asked;
    sphinx_image *image; /* while there is something left to ask; NULL also where there is none */
    bool known;          /* an answer has come, so the image's rows are in memory */
};

struct worker {
    struct runner *runner;
    sphinx_session *session;
    struct group *group;   /* whose image the session looks at; NULL: none yet */
    const struct job *job; /* being answered; NULL: idle */
    bool helped;           /* its job is the first that it asks in a group of another */
};

struct runner {
    const struct runner_options *options;
    runner_take take;
    void *user;
    struct runner_totals *totals;
    const struct job **jobs; /* all, group after group */
    struct group *groups;    /* [n_groups] those of this rank */
    size_t n_groups, next;   /* next: the first that nobody has taken */
    struct image_source *sources;
    struct image_queue *images; /* of the groups that have one */
    struct worker *workers;     /* [n_workers] */
    size_t n_workers, busy;
    sphinx_batch *batch;
    bool alone; /* helping does not pay */
};

/* ---- groups ----------------------------------------------------------------------------------------------------- */

struct item {
    const struct job *job;
    size_t place, group; /* in the caller's list: its own, and that of the first job with the same image */
};

static const char *image_of(const struct job *job)
{
    return job->image != NULL ? job->image : "";
}

static int by_image(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = strcmp(image_of(x->job), image_of(y->job));

    if (order != 0) return order;
    return x->place < y->place ? -1 : x->place > y->place;
}

static int by_group(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* In the order in which images first appear, those with the same image together. */
static void sort_items(struct item *items, size_t n)
{
    qsort(items, n, sizeof *items, by_image);
    for (size_t i = 0; i < n; i++) {
        bool same = i > 0 && image_of(items[i].job)[0] != '\0' &&
                    strcmp(image_of(items[i].job), image_of(items[i - 1].job)) == 0;

        items[i].group = same ? items[i - 1].group : items[i].place;
    }
    qsort(items, n, sizeof *items, by_group);
}

/* Shares the groups out: this rank's go to r. */
static void divide(struct runner *r, const struct item *items, size_t n)
{
    size_t rank = (size_t)r->options->rank, ranks = r->options->ranks > 0 ? (size_t)r->options->ranks : 1;
    size_t n_images = 0, end;

    for (size_t i = 0, number = 0; i < n; i = end, number++) {
        for (end = i; end < n && items[end].group == items[i].group; end++) r->jobs[end] = items[end].job;
        if (number % ranks != rank) continue;
        r->groups[r->n_groups++] = (struct group){ .jobs = r->jobs + i, .n = end - i };
        r->totals->n_jobs += end - i;
        if (image_of(items[i].job)[0] == '\0') continue;
        r->sources[n_images++] =
            (struct image_source){ items[i].job->image, items[i].job->image_data, items[i].job->image_size };
    }
    r->totals->n_images = n_images;
}

static enum status group_jobs(struct runner *r, const struct job *jobs, size_t n, struct err *e)
{
    struct item *items = malloc((n + 1) * sizeof *items);

    r->jobs = malloc((n + 1) * sizeof *r->jobs);
    r->groups = malloc((n + 1) * sizeof *r->groups);
    r->sources = malloc((n + 1) * sizeof *r->sources);
    if (items == NULL || r->jobs == NULL || r->groups == NULL || r->sources == NULL) {
        free(items);
        return err_no_memory(e, "list of questions");
    }
    for (size_t i = 0; i < n; i++) items[i] = (struct item){ &jobs[i], i, 0 };
    sort_items(items, n);
    divide(r, items, n);
    free(items);
    return STATUS_OK;
}

/* ---- what becomes of a question --------------------------------------------------------------------------------- */

static bool cancelled(const struct runner *r)
{
    return r->options->cancel != NULL && atomic_load_explicit(r->options->cancel, memory_order_relaxed);
}

static enum status from_public(const sphinx_error *error, struct err *e)
{
    return err_set(e, (enum status)error->code, "%s", error->text);
}

/* A question without an answer, if the reason lies in the question or its image; anything else would befall the next one, too. */
static enum status give_up(struct runner *r, const struct job *job, const sphinx_error *why, struct err *e)
{
    if (why->code == SPHINX_NO_MEMORY || why->code == SPHINX_CANCELLED || why->code == SPHINX_NUMERIC)
        return from_public(why, e);
    r->totals->n_failed++;
    return r->take(r->user, job, NULL, why, e);
}

static enum status give_up_group(struct runner *r, struct group *g, const sphinx_error *why, struct err *e)
{
    enum status st = STATUS_OK;

    sphinx_image_close(g->image);
    g->image = NULL;
    for (; g->asked < g->n && st == STATUS_OK; g->asked++) st = give_up(r, g->jobs[g->asked], why, e);
    return st;
}

/* ---- workers ---------------------------------------------------------------------------------------------------- */

static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct worker *w = user;
    const sphinx_report *report = &w->runner->options->session.report;

    if (report->progress != NULL) report->progress(report->user, stage, done, total);
    if (cancelled(w->runner) && w->session != NULL) sphinx_session_cancel(w->session);
}

static void on_warning(void *user, const char *text)
{
    const struct worker *w = user;
    const sphinx_report *report = &w->runner->options->session.report;

    if (report->warn != NULL) report->warn(report->user, text);
}

/* The session looks at the group's image. */
static enum status look_at(struct worker *w, struct group *g, sphinx_error *why)
{
    double began = clock_seconds();
    enum status st = STATUS_OK;

    w->group = g;
    if (g->image != NULL)
        st = (enum status)sphinx_session_image(w->session, g->image, why);
    else
        sphinx_session_image_clear(w->session);
    w->runner->totals->seconds_encode += clock_seconds() - began;
    return st;
}

/* Takes the next group; *found is false where its image is not read yet and there is other work. */
static enum status take_group(struct worker *w, bool *found, struct err *e)
{
    struct runner *r = w->runner;
    struct group *g = &r->groups[r->next];
    bool sees = image_of(g->jobs[0])[0] != '\0';
    sphinx_error why = { 0 };

    if (sees) {
        double began = clock_seconds();

        *found = image_queue_next(r->images, r->busy == 0, &g->image, &why);
        r->totals->seconds_waiting += clock_seconds() - began;
    }
    if (!*found) return STATUS_OK;
    r->next++;
    if ((sees && g->image == NULL) || look_at(w, g, &why) != STATUS_OK) return give_up_group(r, g, &why, e);
    return STATUS_OK;
}

/* The group with most questions left to ask that one may help with; NULL: there is none. */
static struct group *find_group(const struct runner *r)
{
    struct group *best = NULL;

    for (size_t i = 0; i < r->n_workers && !r->alone; i++) {
        struct group *g = r->workers[i].group;

        if (g == NULL || !g->known || g->asked == g->n) continue;
        if (best == NULL || g->n - g->asked > best->n - best->asked) best = g;
    }
    return best;
}

static enum status ask(struct worker *w, struct err *e)
{
    struct runner *r = w->runner;
    struct group *g = w->group;
    const struct job *job = g->jobs[g->asked++];
    sphinx_ask_options o = r->options->ask;
    sphinx_error why = { 0 };

    o.max_tokens = job->max_tokens;
    o.answer_prefix = job->answer_prefix;
    sphinx_session_clear(w->session);
    if (g->asked == g->n) {
        sphinx_image_close(g->image);
        g->image = NULL;
    }
    if (sphinx_batch_add(r->batch, w->session, job->prompt, &o, &why) != SPHINX_OK)
        return give_up(r, job, &why, e);
    w->job = job;
    r->busy++;
    return STATUS_OK;
}

/* Gives an idle worker something to do, if there is something; *found says so. */
static enum status employ(struct worker *w, bool *found, struct err *e)
{
    struct runner *r = w->runner;
    sphinx_error why = { 0 };
    struct group *g;

    *found = true;
    w->helped = false;
    if (w->group != NULL && w->group->asked < w->group->n) return ask(w, e);
    if (r->next < r->n_groups) return take_group(w, found, e);
    g = find_group(r);
    *found = g != NULL;
    if (g == NULL) return STATUS_OK;
    if (look_at(w, g, &why) != STATUS_OK) return from_public(&why, e);
    w->helped = true;
    return ask(w, e);
}

static enum status employ_all(struct runner *r, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < r->n_workers && st == STATUS_OK; i++) {
        struct worker *w = &r->workers[i];
        bool found = true;

        while (st == STATUS_OK && w->job == NULL && found && !cancelled(r)) st = employ(w, &found, e);
    }
    return st;
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

static struct worker *worker_of(const struct runner *r, const sphinx_session *session)
{
    size_t i = 0;

    while (r->workers[i].session != session) i++;
    return &r->workers[i];
}

static enum status take_answers(struct runner *r, struct err *e)
{
    enum status st = STATUS_OK;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error why;

    while (st == STATUS_OK && sphinx_batch_take(r->batch, &session, &answer, &why)) {
        struct worker *w = worker_of(r, session);
        const struct job *job = w->job;

        w->job = NULL;
        r->busy--;
        if (answer == NULL) {
            st = give_up(r, job, &why, e);
            continue;
        }
        w->group->known = true;
        if (w->helped && answer->image_tokens > 0 && answer->cached_tokens == 0) r->alone = true;
        r->totals->n_answers++;
        st = answer->finish == SPHINX_FINISH_CANCELLED ? err_set(e, STATUS_CANCELLED, "cancelled")
                                                       : r->take(r->user, job, answer, NULL, e);
        sphinx_answer_free(answer);
    }
    return st;
}

static enum status open_workers(struct runner *r, sphinx_model *model, struct err *e)
{
    sphinx_session_options o = r->options->session;
    size_t most = r->options->batch > 0 ? (size_t)r->options->batch : BATCH_DEFAULT;
    sphinx_error error = { 0 };

    if (most > r->totals->n_jobs) most = r->totals->n_jobs;
    r->workers = calloc(most + 1, sizeof *r->workers);
    if (r->workers == NULL) return err_no_memory(e, "sessions");
    o.independent = true;
    for (; r->n_workers < most; r->n_workers++) {
        struct worker *w = &r->workers[r->n_workers];

        w->runner = r;
        o.report = (sphinx_report){ .progress = on_progress, .warn = on_warning, .user = w };
        if (sphinx_session_open(&w->session, model, &o, &error) != SPHINX_OK) return from_public(&error, e);
    }
    if (sphinx_batch_open(&r->batch, model, o.threads, &error) != SPHINX_OK) return from_public(&error, e);
    return STATUS_OK;
}

static void close_all(struct runner *r)
{
    sphinx_batch_close(r->batch);
    for (size_t i = 0; i < r->n_workers; i++) sphinx_session_close(r->workers[i].session);
    image_queue_close(r->images);
    for (size_t i = 0; i < r->n_groups; i++) sphinx_image_close(r->groups[i].image);
    free(r->workers);
    free(r->sources);
    free(r->groups);
    free(r->jobs);
}

static enum status work(struct runner *r, struct err *e)
{
    enum status st = STATUS_OK;

    for (;;) {
        double began;

        st = employ_all(r, e);
        if (st == STATUS_OK && cancelled(r)) st = err_set(e, STATUS_CANCELLED, "cancelled");
        if (st != STATUS_OK || r->busy == 0) return st;
        began = clock_seconds();
        sphinx_batch_step(r->batch);
        r->totals->seconds_steps += clock_seconds() - began;
        st = take_answers(r, e);
        if (st != STATUS_OK) return st;
    }
}

enum status runner_run(sphinx_model *model, const struct job *jobs, size_t n, const struct runner_options *o,
                       runner_take take, void *user, struct runner_totals *totals, struct err *e)
{
    struct runner r = { .options = o, .take = take, .user = user, .totals = totals };
    double began = clock_seconds();
    enum status st;

    *totals = (struct runner_totals){ 0 };
    st = group_jobs(&r, jobs, n, e);
    if (st == STATUS_OK && totals->n_jobs > 0) st = open_workers(&r, model, e);
    if (st == STATUS_OK && totals->n_images > 0)
        st = image_queue_open(&r.images, r.sources, totals->n_images,
                              o->images_ahead > 0 ? o->images_ahead : AHEAD_DEFAULT, &o->session, e);
    if (st == STATUS_OK) st = work(&r, e);
    close_all(&r);
    totals->seconds = clock_seconds() - began;
    return st;
}
