/* run_state.c - see run_state.h. */
#include "train/run_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/safetensors.h"

#define FORMAT "1"

enum { FACTS_MAX = 32, FACT_SIZE = 80 };

/* key, value, ... as safetensors has them. */
struct facts {
    const char *pair[2 * FACTS_MAX];
    char value[FACTS_MAX][FACT_SIZE];
    size_t n;
};

static void fact(struct facts *f, const char *key, const char *value)
{
    snprintf(f->value[f->n], FACT_SIZE, "%s", value);
    f->pair[2 * f->n] = key;
    f->pair[2 * f->n + 1] = f->value[f->n];
    f->n++;
}

static void fact_number(struct facts *f, const char *key, uint64_t value)
{
    char text[FACT_SIZE];

    snprintf(text, sizeof text, "%" PRIu64, value);
    fact(f, key, text);
}

/* What must be the same for the run to go on as it would have. The first key that differs is named to the user. */
static void facts_of_run(const struct trainer *t, struct facts *f)
{
    const struct train_config *c = t->config;
    char hex[DIGEST_TEXT_MAX];

    fact(f, "format", FORMAT);
    fact(f, "model", digest_hex(&t->model_digest, hex));
    fact_number(f, "batch_size", c->batch_size);
    fact_number(f, "accum_iter", c->accum_iter * (size_t)t->ranks.count); /* of all ranks */
    fact_number(f, "seed", c->seed);
    fact_number(f, "max_words", c->max_words);
    fact(f, "precision", c->precision == TRAIN_BF16 ? "bf16" : "f32");
    fact_number(f, "without", t->network.without);
    fact_number(f, "trained weights", t->trainees.n);
    fact_number(f, "trained numbers", t->trainees.n_numbers);
    fact(f, "data", digest_hex(&t->data_digest, hex));
}

/* ---- writing ----------------------------------------------------------------------------------------------- */

/* The three tensors of a trainee. */
enum { PARTS = 3 };
static const char *const part_names[PARTS] = { "master", "mean", "square" };

static float *part_of(const struct trainee *x, int part)
{
    return part == 0 ? x->master : part == 1 ? x->mean : x->square;
}

uint64_t run_state_bytes(const struct trainer *t)
{
    return (uint64_t)t->trainees.n_numbers * PARTS * sizeof(float);
}

/* Room for the moments of any of the weights; NULL without memory. */
static float *room_for_one(const struct trainer *t)
{
    size_t most = 1;

    for (size_t i = 0; i < t->trainees.n; i++)
        if (t->trainees.item[i].share > most) most = t->trainees.item[i].share;
    return malloc(most * trainees_ranks(&t->trainees) * sizeof(float));
}

/* All ranks go through all of it, also when writing has failed. w NULL: on this rank nothing is written. */
static enum status put_all(const struct trainer *t, struct safetensors_writer *w, float *room, struct err *e)
{
    enum status st = STATUS_OK, gathered = STATUS_OK;

    for (size_t i = 0; i < t->trainees.n; i++) {
        const struct trainee *x = &t->trainees.item[i];

        for (int k = 0; k < PARTS && gathered == STATUS_OK; k++) {
            if (k > 0) gathered = trainee_moment_get(&t->trainees, x, part_of(x, k), room, e);
            if (st == STATUS_OK) st = gathered;
            if (st == STATUS_OK && w != NULL)
                st = safetensors_writer_put(w, k > 0 ? room : x->master, x->n * sizeof *room, e);
        }
    }
    return st;
}

static bool specs_make(const struct trainer *t, struct tensor_spec *specs, struct arena *a)
{
    for (size_t i = 0; i < t->trainees.n; i++) {
        const struct trainee *x = &t->trainees.item[i];

        for (int k = 0; k < PARTS; k++, specs++) {
            *specs = (struct tensor_spec){ .name = arena_printf(a, "%s/%s", part_names[k], x->name),
                                           .dtype = DTYPE_F32,
                                           .n_dims = x->n_dims };
            memcpy(specs->dim, x->dim, sizeof x->dim);
            if (specs->name == NULL) return false;
        }
    }
    return true;
}

enum status run_state_write(struct trainer *t, const char *folder, struct err *e)
{
    char *path = path_join(folder, RUN_STATE_NAME);
    struct safetensors_writer w = { 0 };
    struct arena a = { 0 };
    struct tensor_spec *specs = arena_calloc(&a, PARTS * t->trainees.n, sizeof *specs);
    float *room = room_for_one(t);
    struct facts f = { .n = 0 };
    enum status st = STATUS_OK;

    facts_of_run(t, &f);
    fact_number(&f, "step", t->position.step);
    fact_number(&f, "epoch", t->position.epoch);
    fact_number(&f, "epoch_step", t->position.epoch_step);
    fact_number(&f, "optimizer_steps", (uint64_t)t->optimizer.steps);
    fact_number(&f, "skipped", (uint64_t)t->optimizer.skipped);
    fact_number(&f, "skipped_in_a_row", (uint64_t)t->optimizer.skipped_in_a_row);
    if (path == NULL || specs == NULL || room == NULL || !specs_make(t, specs, &a))
        st = err_no_memory(e, "a checkpoint");
    if (st == STATUS_OK) st = safetensors_writer_open(&w, path, specs, PARTS * t->trainees.n, f.pair, f.n, e);
    if (st == STATUS_OK) {
        t->met = true;
        st = ranks_agree(&t->ranks, st, e);
    }
    if (st == STATUS_OK) st = put_all(t, &w, room, e);
    if (st == STATUS_OK) st = safetensors_writer_commit(&w, e);
    safetensors_writer_abort(&w);
    arena_free(&a);
    free(room);
    free(path);
    return st;
}

enum status run_state_join(const struct trainer *t, struct err *e)
{
    float *room = room_for_one(t);
    enum status st = room != NULL ? STATUS_OK : err_no_memory(e, "a checkpoint");

    st = ranks_agree(&t->ranks, st, e);
    if (st == STATUS_OK) st = put_all(t, NULL, room, e);
    free(room);
    return st;
}

/* ---- reading ----------------------------------------------------------------------------------------------- */

static enum status check_facts(const struct trainer *t, const struct safetensors_file *s, struct err *e)
{
    struct facts f = { .n = 0 };

    facts_of_run(t, &f);
    for (size_t i = 0; i < f.n; i++) {
        const char *key = f.pair[2 * i], *is = f.pair[2 * i + 1], *was = safetensors_metadata(s, key);

        if (was == NULL)
            return err_set(e, STATUS_BAD_FORMAT, "%s: is not the state of a run: it lacks \"%s\"", s->path,
                           key);
        if (strcmp(is, was) == 0) continue;
        if (strcmp(key, "model") == 0 || strcmp(key, "data") == 0)
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "%s: is the state of a run with another %s: it cannot go on with this one",
                           s->path, key);
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s: is the state of a run with %s %.60s, not %s: it cannot go on with this one",
                       s->path, key, was, is);
    }
    return STATUS_OK;
}

static enum status number_read(const struct safetensors_file *s, const char *key, uint64_t max, uint64_t *n,
                               struct err *e)
{
    const char *text = safetensors_metadata(s, key);
    char *end = NULL;

    errno = 0;
    if (text != NULL && text[0] >= '0' && text[0] <= '9') *n = strtoull(text, &end, 10);
    if (end != NULL && *end == '\0' && errno == 0 && *n <= max) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "%s: \"%s\" is no number of steps", s->path, key);
}

static enum status position_read(struct trainer *t, const struct safetensors_file *s, struct err *e)
{
    static const char *const key[] = { "step",    "epoch",           "epoch_step",
                                       "skipped", "optimizer_steps", "skipped_in_a_row" };
    uint64_t n[sizeof key / sizeof *key];
    enum status st = STATUS_OK;

    for (size_t i = 0; i < sizeof key / sizeof *key && st == STATUS_OK; i++)
        st = number_read(s, key[i], (uint64_t)1 << 53, &n[i], e);
    if (st != STATUS_OK) return st;
    t->position = (struct run_position){ .step = n[0], .epoch = n[1], .epoch_step = n[2] };
    t->optimizer.skipped = (int64_t)n[3];
    t->optimizer.steps = (int64_t)n[4];
    t->optimizer.skipped_in_a_row = (int64_t)n[5];
    return STATUS_OK;
}

static enum status part_read(struct trainee *x, int part, const struct safetensors_file *s, struct err *e)
{
    char name[256];
    const struct raw_tensor *raw;
    size_t n = 0;

    snprintf(name, sizeof name, "%s/%s", part_names[part], x->name);
    raw = safetensors_find(s, name);
    if (raw == NULL || raw->dtype != DTYPE_F32 || !shape_elements(raw->dim, raw->n_dims, &n) || n != x->n)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s: %s is %s: it is the state of a run that trains something else", s->path, name,
                       raw == NULL ? "missing" : "of another size");
    if (part == 0)
        memcpy(x->master, raw->data, n * sizeof(float));
    else
        trainee_moment_put(x, part_of(x, part), raw->data);
    return STATUS_OK;
}

enum status run_state_read(struct trainer *t, const char *folder, struct err *e)
{
    char *path = path_join(folder, RUN_STATE_NAME);
    struct safetensors_file s = { 0 };
    enum status st = path != NULL ? safetensors_open(&s, path, e) : err_no_memory(e, "a checkpoint");

    if (st == STATUS_OK) st = check_facts(t, &s, e);
    for (size_t i = 0; i < t->trainees.n && st == STATUS_OK; i++)
        for (int k = 0; k < PARTS && st == STATUS_OK; k++) st = part_read(&t->trainees.item[i], k, &s, e);
    if (st == STATUS_OK) st = position_read(t, &s, e);
    if (st == STATUS_OK) trainees_round(&t->trainees, t->options.threads);
    safetensors_close(&s);
    free(path);
    return st;
}
