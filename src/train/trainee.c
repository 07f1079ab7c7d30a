/* trainee.c - see trainee.h. The network is walked twice: to count what is trained, and to take it over. */
#include "train/trainee.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>

#include "core/mix64.h"
#include "model/adapter.h"

struct walk {
    struct trainees *t;
    const struct trainee_rule *rule;
    void (*params)(struct walk *w, struct param_visitor *v); /* visits all of the network's */
    void *network;
    void (*other)(void *network, struct param_visitor *v); /* the same of a network that is not SPHINX */
    bool *only_used, *except_used;                         /* the patterns that matched */
    size_t at;                                             /* filled in; while item is NULL: counted */
    enum component component;
    char empty[160]; /* an adapter that was laid out and is not trained; "": none */
    struct err err;
};

static bool any_match(const char *const *patterns, size_t n, bool *used, const char *name)
{
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        if (fnmatch(patterns[i], name, 0) != 0) continue;
        used[i] = true;
        found = true;
    }
    return found;
}

static bool is_small_run(const struct trainee_rule *rule)
{
    return rule->lora_rank > 0 || rule->bias_tuning || rule->norm_tuning;
}

/* Upstream's key words. CLIP's norms are called ln_1, ... */
static bool is_norm(const char *name)
{
    return strstr(name, "norm") != NULL || strstr(name, "Norm") != NULL || strstr(name, ".ln_") != NULL;
}

/* Whether the kind of run trains such weights at all, before the patterns. */
static bool is_eligible(const struct walk *w, const char *name)
{
    const struct trainee_rule *rule = w->rule;
    bool adapter = strstr(name, ".lora_") != NULL;

    if (w->component < COMPONENT_MIXER && !rule->encoders) return adapter && is_small_run(rule);
    if (!is_small_run(rule) || adapter) return true;
    if (w->component == COMPONENT_MIXER) return false;
    return (rule->bias_tuning && strstr(name, "bias") != NULL) || (rule->norm_tuning && is_norm(name));
}

static bool is_trained(struct walk *w, const char *name)
{
    bool only;

    if (!is_eligible(w, name)) return false;
    only = any_match(w->rule->only, w->rule->n_only, w->only_used, name);

    if (any_match(w->rule->except, w->rule->n_except, w->except_used, name)) return false;
    return only || w->rule->n_only == 0;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static size_t numbers(const struct tensor *t)
{
    return (size_t)tensor_rows(t) * (size_t)tensor_columns(t);
}

/* Numbers of normal distribution (Box & Muller 1958) and standard deviation 0.02. Upstream cuts them at +-2, which is 100 times that. */
static void draw_normal(float *x, size_t n, uint64_t seed)
{
    const double tau = 6.28318530717958647692;

    for (size_t i = 0; i < n; i++) {
        double u = ((double)(mix64(seed + 2 * i) >> 11) + 0.5) * 0x1p-53;
        double v = (double)(mix64(seed + 2 * i + 1) >> 11) * 0x1p-53;

        x[i] = (float)(0.02 * sqrt(-2 * log(u)) * cos(tau * v));
    }
}

static bool is_empty(const struct tensor *slot)
{
    return slot->data == NULL && slot->pieces == NULL;
}

/* The slot's numbers into its part of the master, to which it then points. What was laid out empty begins with 0, or, A, with noise. */
static void take_over(struct trainee *x, struct tensor *slot, size_t first, uint64_t seed)
{
    int64_t n_rows = tensor_rows(slot), width = tensor_columns(slot);

    if (is_empty(slot)) {
        if (strstr(x->name, ".lora_a.") != NULL)
            draw_normal(x->master + first, numbers(slot), mix64_text(seed, x->name));
    } else {
        for (int64_t r = 0; r < n_rows; r++)
            tensor_row_f32(slot, r, 0, width, x->master + first + (size_t)(r * width));
    }
    slot->pieces = NULL;
    slot->stride = width;
    slot->grad = x->grad + first;
    slot->dtype = x->rounded != NULL ? DTYPE_BF16 : DTYPE_F32;
    slot->data = x->rounded != NULL ? (void *)(x->rounded + first) : x->master + first;
}

static bool allocate(struct trainees *t, struct trainee *x, const struct param *p)
{
    struct arena *a = &t->arena;
    size_t ranks = trainees_ranks(t), room;

    x->share = (x->n + ranks - 1) / ranks;
    room = ranks * x->share;
    x->own = (t->comm != NULL ? (size_t)t->comm->rank : 0) * x->share;
    if (x->own < x->n) x->n_own = x->n - x->own < x->share ? x->n - x->own : x->share;
    x->name = arena_strdup(a, p->name);
    x->master = arena_calloc(a, room, sizeof *x->master);
    x->grad = arena_calloc(a, room, sizeof *x->grad);
    x->mean = arena_calloc(a, x->share, sizeof *x->mean);
    x->square = arena_calloc(a, x->share, sizeof *x->square);
    if (t->bf16 && p->kind == PARAM_MATRIX) {
        x->rounded = arena_calloc(a, x->n, sizeof *x->rounded);
        if (x->rounded == NULL) return false;
    }
    return x->name != NULL && x->master != NULL && x->grad != NULL && x->mean != NULL && x->square != NULL;
}

static bool holds_plain_numbers(const struct param *p, const struct tensor *slot, struct err *e)
{
    if (dtype_info(slot->dtype)->block_elements == 1) return true;
    err_set(e, STATUS_UNSUPPORTED,
            "%s is %s: quantised weights cannot be trained: start from the model in f32, f16 or bf16",
            p->name, dtype_info(slot->dtype)->name);
    return false;
}

static void visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct walk *w = v->user;
    struct trainee *x;
    size_t first = 0;

    if (slot == NULL || w->err.code != STATUS_OK) return;
    if (!is_trained(w, p->name)) {
        if (is_empty(slot)) snprintf(w->empty, sizeof w->empty, "%s", p->name);
        return;
    }
    if (!holds_plain_numbers(p, slot, &w->err)) return;
    w->at++;
    if (w->t->item == NULL) return;
    x = &w->t->item[w->at - 1];
    x->slot = slot;
    x->n_slots = p->experts;
    x->n_dims = p->n_dims;
    memcpy(x->dim, p->dim, sizeof x->dim);
    for (int i = 0; i < x->n_slots; i++) x->n += numbers(&slot[i]);
    x->decays = !ends_in(p->name, ".bias") && !ends_in(p->name, "norm.weight");
    if (!allocate(w->t, x, p)) {
        err_no_memory(&w->err, "trained weights");
        return;
    }
    for (int i = 0; i < x->n_slots; i++) {
        take_over(x, &slot[i], first, w->rule->seed);
        first += numbers(&slot[i]);
    }
    w->t->n_numbers += x->n;
}

static void walk(struct walk *w)
{
    struct param_visitor v = { .visit = visit, .user = w };

    w->at = 0;
    w->params(w, &v);
}

/* Component by component: what a rule means depends on which it is. */
static void network_walk(struct walk *w, struct param_visitor *v)
{
    struct network *n = w->network;

    for (w->component = 0; w->component < COMPONENT_COUNT; w->component++) {
        if (network_has(n, w->component)) network_component_params(n, w->component, v);
    }
}

/* A pattern that matches nothing is a slip of the pen, and would train the wrong weights silently. */
static void check_used(struct walk *w, const char *const *patterns, const bool *used, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (used[i]) continue;
        err_set(&w->err, STATUS_BAD_ARGUMENT, "no weight%s is named like \"%.120s\"",
                w->rule->encoders ? "" : " (the encoders' do not count, they are frozen)", patterns[i]);
    }
}

/* Adapters and biases beside what is to be tuned, still empty. */
static enum status lay_out(struct network *n, const struct trainee_rule *rule, struct err *e)
{
    struct adapter_rule r =
        adapter_rule_default(n->config.variant, rule->lora_rank, rule->bias_tuning, rule->encoders);

    if (rule->lora_rank > 0 && n->config.lora_rank > 0 && rule->lora_rank != n->config.lora_rank) {
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "the checkpoint has adapters of rank %d, which are trained on; others, of rank %d, would "
            "need it merged first",
            n->config.lora_rank, rule->lora_rank);
    }
    if (rule->n_lora_targets > 0) {
        r.targets = rule->lora_targets;
        r.n_targets = rule->n_lora_targets;
        r.lenient = false;
    }
    return adapter_lay_out(n, &r, e);
}

static void check_filled(struct walk *w)
{
    if (w->empty[0] == '\0') return;
    err_set(&w->err, STATUS_BAD_ARGUMENT,
            "the patterns leave out %s, which is nothing before it is trained: say with the targets where "
            "adapters "
            "are to be",
            w->empty);
}

static enum status take_all(struct walk *w, bool bf16, const struct comm *comm, struct err *e)
{
    const struct trainee_rule *rule = w->rule;
    struct trainees *t = w->t;

    t->bf16 = bf16;
    t->comm = comm;
    w->only_used = arena_calloc(&t->arena, rule->n_only, sizeof *w->only_used);
    w->except_used = arena_calloc(&t->arena, rule->n_except, sizeof *w->except_used);
    if (w->only_used == NULL || w->except_used == NULL) err_no_memory(&w->err, "trained weights");
    if (w->err.code == STATUS_OK) {
        walk(w);
        check_used(w, rule->only, w->only_used, rule->n_only);
        check_used(w, rule->except, w->except_used, rule->n_except);
        check_filled(w);
    }
    if (w->err.code == STATUS_OK && w->at == 0)
        err_set(&w->err, STATUS_BAD_ARGUMENT, "the patterns leave no weight to be trained");
    if (w->err.code == STATUS_OK) {
        t->n = w->at;
        t->item = arena_calloc(&t->arena, t->n, sizeof *t->item);
        if (t->item == NULL) err_no_memory(&w->err, "trained weights");
    }
    if (w->err.code == STATUS_OK) walk(w);
    if (w->err.code != STATUS_OK) {
        trainees_free(t);
        return err_set(e, w->err.code, "%s", w->err.text);
    }
    trainees_round(t, 1);
    return STATUS_OK;
}

enum status trainees_init(struct trainees *t, struct network *n, const struct trainee_rule *rule, bool bf16,
                          const struct comm *comm, struct err *e)
{
    struct walk w = { .t = t, .rule = rule, .params = network_walk, .network = n };

    memset(t, 0, sizeof *t);
    if (is_small_run(rule) && lay_out(n, rule, &w.err) != STATUS_OK)
        return err_set(e, w.err.code, "%s", w.err.text);
    return take_all(&w, bf16, comm, e);
}

static void other_walk(struct walk *w, struct param_visitor *v)
{
    w->other(w->network, v);
}

enum status trainees_init_params(struct trainees *t, void (*params)(void *network, struct param_visitor *v),
                                 void *network, const struct trainee_rule *rule, bool bf16,
                                 const struct comm *comm, struct err *e)
{
    struct trainee_rule plain = { .only = rule->only,
                                  .n_only = rule->n_only,
                                  .except = rule->except,
                                  .n_except = rule->n_except,
                                  .encoders = true };
    struct walk w = { .t = t, .rule = &plain, .params = other_walk, .network = network, .other = params };

    memset(t, 0, sizeof *t);
    return take_all(&w, bf16, comm, e);
}

void trainees_free(struct trainees *t)
{
    arena_free(&t->arena);
    memset(t, 0, sizeof *t);
}

void trainees_zero_grad(struct trainees *t)
{
    for (size_t i = 0; i < t->n; i++) memset(t->item[i].grad, 0, t->item[i].n * sizeof *t->item[i].grad);
}

enum status trainee_moment_get(const struct trainees *t, const struct trainee *x, const float *moment,
                               float *out, struct err *e)
{
    if (trainees_ranks(t) > 1) return t->comm->all_gather(t->comm, out, moment, x->share, e);
    memcpy(out, moment, x->n * sizeof *out);
    return STATUS_OK;
}

void trainee_moment_put(const struct trainee *x, float *moment, const float *numbers)
{
    memcpy(moment, numbers + x->own, x->n_own * sizeof *moment);
}

void trainees_round(struct trainees *t, int threads)
{
    for (size_t i = 0; i < t->n; i++) {
        struct trainee *x = &t->item[i];

        if (x->rounded == NULL) continue;
#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t k = 0; k < x->n; k++) x->rounded[k] = f32_to_bf16(x->master[k]);
    }
}
