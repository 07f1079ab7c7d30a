/* measure.c - see measure.h. */
#include "model/measure.h"

#include "model/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RUNS_MAX = 101,
    CHECK_SHARE = 8, /* so many steps that decode for one that checks: those take longer */
};

struct measuring {
    struct measure *out;
    const struct measure_options *o;
    const struct network *network;
    struct ctx ctx;
    struct arena arena;
    enum cpu_level level;
    enum dtype weights[COMPONENT_COUNT]; /* the type that most of a component's bytes have */
    unsigned char *memory;               /* for the bandwidth */
    struct work work;
    struct kv_cache kv;
    double seconds_step; /* of decoding one token */
    uint32_t random;
    /* The encoders of the run that is going on. */
    double encoder_seconds[ENCODER_COUNT];
    struct work encoder_work[ENCODER_COUNT], seen;
};

static uint32_t draw(struct measuring *g)
{
    g->random = g->random * 1664525u + 1013904223u;
    return g->random >> 8;
}

/* ---- limits ---------------------------------------------------------------------------------------------------- */

static void look_at_limits(struct measuring *g)
{
    for (enum limit i = 0; i < LIMIT_COUNT; i++) {
        double found = limit_measure(i, g->level, g->ctx.exec.threads, g->memory, clock_seconds);

        if (found > g->out->limits[i]) g->out->limits[i] = found;
    }
}

/* Where products with such weights are computed at best. */
static enum limit arithmetic_limit(const struct measuring *g, enum dtype weights)
{
    if (weights == DTYPE_F32 || g->ctx.exec.precise) return LIMIT_F32;
    if (g->out->limits[LIMIT_MATRIX] > 0) return LIMIT_MATRIX;
    return dtype_info(weights)->block_elements > 1 && g->out->limits[LIMIT_INT8] > 0 ? LIMIT_INT8 : LIMIT_F32;
}

static void judge(const struct measuring *g, struct measure_part *p, enum dtype weights)
{
    enum limit arithmetic = arithmetic_limit(g, weights);
    double compute = p->work.flop / g->out->limits[arithmetic],
           read = p->work.bytes / g->out->limits[LIMIT_READ];

    p->limit = compute > read ? arithmetic : LIMIT_READ;
    p->fraction = p->seconds > 0 ? (compute > read ? compute : read) / p->seconds : 0;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Takes the median of the runs' times [n], which it sorts. */
static struct measure_part *add_part(struct measuring *g, enum measure_kind kind, const char *name,
                                     double *times, int n, struct work work, double tokens)
{
    struct measure *m = g->out;
    struct measure_part *p = &m->parts[m->n_parts];

    if (m->n_parts == MEASURE_PARTS_MAX) return NULL;
    qsort(times, (size_t)n, sizeof *times, compare_doubles);
    *p = (struct measure_part){
        .kind = kind, .seconds = times[n / 2], .least = times[0], .most = times[n - 1]
    };
    snprintf(p->name, sizeof p->name, "%s", name);
    p->work = work;
    p->tokens = tokens;
    m->n_parts++;
    return p;
}

/* The most that is resident while parts run, without the memory of the yardstick. */
static void look_at_memory(struct measuring *g)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long long pages = 0;
    uint64_t bytes;

    if (f == NULL) return;
    if (fscanf(f, "%*u %llu", &pages) != 1) pages = 0;
    fclose(f);
    bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    bytes -= bytes < LIMIT_MEMORY_BYTES ? bytes : LIMIT_MEMORY_BYTES;
    if (bytes > g->out->resident_bytes) g->out->resident_bytes = bytes;
}

static void finish_part(struct measuring *g, struct measure_part *p, enum dtype weights)
{
    if (p == NULL) return;
    judge(g, p, weights);
    look_at_memory(g);
    if (g->o->done != NULL) g->o->done(g->o->user, g->out, g->out->n_parts - 1);
}

static void begin_run(struct measuring *g)
{
    arena_reset(&g->arena, (struct arena_mark){ NULL, 0, 0 });
    g->work = g->seen = (struct work){ 0 };
}

/* ---- encoders ---------------------------------------------------------------------------------------------------- */

/* Called behind each encoder: what was counted since the last one is its work. */
static void observe_encoder(void *user, const char *name, const struct tensor *x)
{
    struct measuring *g = user;

    (void)x;
    for (int i = 0; i < ENCODER_COUNT; i++) {
        if (strcmp(name, encoder_names[i]) != 0) continue;
        g->encoder_work[i] = (struct work){ g->work.flop - g->seen.flop, g->work.bytes - g->seen.bytes };
        g->seen = g->work;
    }
}

static enum component component_of(enum encoder encoder)
{
    static const enum component components[ENCODER_COUNT] = { [ENCODER_CLIP] = COMPONENT_CLIP,
                                                              [ENCODER_CONVNEXT] = COMPONENT_CONVNEXT,
                                                              [ENCODER_DINOV2] = COMPONENT_DINOV2,
                                                              [ENCODER_QFORMER] = COMPONENT_QFORMER };

    return components[encoder];
}

static bool measure_image(struct measuring *g)
{
    size_t side = (size_t)g->network->config.views.image_size;
    float *planes = malloc(3 * side * side * sizeof *planes);
    double times[ENCODER_COUNT + 1][RUNS_MAX];
    int runs = g->o->runs;

    if (planes == NULL) {
        err_no_memory(&g->ctx.err, "image");
        return false;
    }
    for (size_t i = 0; i < 3 * side * side; i++) planes[i] = (float)draw(g) * 0x1p-22f - 2; /* -2 .. 2 */
    g->ctx.observer = observe_encoder;
    g->ctx.observer_user = g;
    for (int r = -1; r < runs && g->ctx.err.code == STATUS_OK; r++) {
        double start = clock_seconds();

        begin_run(g);
        encode_image(&g->ctx, g->network, planes, 0, g->encoder_seconds);
        if (r < 0) continue;
        times[ENCODER_COUNT][r] = clock_seconds() - start;
        for (int i = 0; i < ENCODER_COUNT; i++) times[i][r] = g->encoder_seconds[i];
    }
    g->ctx.observer = NULL;
    free(planes);
    if (g->ctx.err.code != STATUS_OK) return false;
    look_at_limits(g);
    for (int i = 0; i < ENCODER_COUNT; i++) {
        if ((g->network->config.variant->encoders >> i & 1) == 0) continue;
        finish_part(g, add_part(g, MEASURE_ENCODER, encoder_names[i], times[i], runs, g->encoder_work[i], 0),
                    g->weights[component_of((enum encoder)i)]);
    }
    finish_part(g, add_part(g, MEASURE_IMAGE, "image", times[ENCODER_COUNT], runs, g->work, 0),
                g->weights[COMPONENT_DINOV2]);
    return true;
}

/* ---- language ---------------------------------------------------------------------------------------------------- */

/* One step: T positions from `position` on of each of `sequences` sequences, which own `room` rows of the cache each. Logits of all
 * positions, or of the last one alone. */
static bool step(struct measuring *g, int sequences, int64_t room, int64_t position, int64_t T, bool last)
{
    struct ctx *c = &g->ctx;
    const struct llama *llama = &g->network->llama;
    size_t n = (size_t)(sequences * T);
    int32_t *ids = ctx_alloc(c, n, sizeof *ids), *at = ctx_alloc(c, n, sizeof *at),
            *row = ctx_alloc(c, n, sizeof *row), *first = ctx_alloc(c, n, sizeof *first);
    struct llama_batch b = { .T = (int64_t)n, .position = at, .cache_row = row, .first = first };
    struct tensor *h;

    if (ids == NULL || at == NULL || row == NULL || first == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        int64_t sequence = (int64_t)i / T, t = (int64_t)i % T;

        ids[i] = (int32_t)(draw(g) % (uint32_t)llama->config.vocab);
        at[i] = (int32_t)(position + t);
        first[i] = (int32_t)(sequence * room);
        row[i] = first[i] + at[i];
    }
    h = llama_forward(c, llama, llama_embed(c, llama, ids, b.T), &b, &g->kv);
    if (h == NULL) return false;
    llama_logits(c, llama, last ? rows(c, h, b.T - 1, 1) : h);
    return c->err.code == STATUS_OK;
}

static bool measure_prefill(struct measuring *g, int T)
{
    double times[RUNS_MAX];
    char name[32];

    snprintf(name, sizeof name, "prefill %d", T);
    for (int r = -1; r < g->o->runs; r++) {
        double start = clock_seconds();

        begin_run(g);
        if (!step(g, 1, T, 0, T, true)) return false;
        if (r >= 0) times[r] = clock_seconds() - start;
    }
    look_at_limits(g);
    finish_part(g, add_part(g, MEASURE_PREFILL, name, times, g->o->runs, g->work, T),
                g->weights[COMPONENT_LLAMA]);
    return true;
}

/* Some steps behind `position` positions, whose keys and values are whatever the cache holds: T tokens of each of `sequences`, which own
 * `room` rows of the cache each. Each step goes on where the last began plus one. */
static struct measure_part *measure_steps(struct measuring *g, const char *name, int steps, int sequences,
                                          int64_t room, int64_t position, int64_t T)
{
    struct work work = { 0 };
    double times[RUNS_MAX];

    for (int r = -1; r < g->o->runs; r++) {
        double start = clock_seconds();

        work = (struct work){ 0 };
        for (int i = 0; i < (r < 0 ? 1 : steps); i++) {
            begin_run(g);
            if (!step(g, sequences, room, position + i, T, false)) return NULL;
            work.flop += g->work.flop;
            work.bytes += g->work.bytes;
        }
        if (r >= 0) times[r] = clock_seconds() - start;
    }
    look_at_limits(g);
    return add_part(g, T > 1 ? MEASURE_CHECK : MEASURE_DECODE, name, times, g->o->runs, work,
                    (double)(steps * sequences * T));
}

/* o->tokens steps of `sequences` at once. */
static bool measure_decode(struct measuring *g, int sequences, int64_t position)
{
    struct measure_part *p;
    char name[32];

    snprintf(name, sizeof name, sequences > 1 ? "decode x%d" : "decode", sequences);
    p = measure_steps(g, name, g->o->tokens, sequences, position + g->o->tokens, position, 1);
    if (p != NULL && sequences == 1) g->seconds_step = p->seconds / g->o->tokens;
    finish_part(g, p, g->weights[COMPONENT_LLAMA]);
    return p != NULL;
}

/* Of a sequence that guesses its next tokens, as far as the room of decoding goes. */
static bool measure_check(struct measuring *g, int guesses, int64_t position)
{
    int steps = (g->o->tokens + CHECK_SHARE - 1) / CHECK_SHARE;
    struct measure_part *p;
    char name[32];

    if (steps + guesses > g->o->tokens) return true;
    snprintf(name, sizeof name, "check %d", guesses);
    p = measure_steps(g, name, steps, 1, position + g->o->tokens, position, 1 + guesses);
    if (p != NULL && g->seconds_step > 0) p->cost = p->seconds / steps / g->seconds_step;
    finish_part(g, p, g->weights[COMPONENT_LLAMA]);
    return p != NULL;
}

static bool measure_language(struct measuring *g)
{
    static const int guesses[] = { 1, 2, 4, 8 };
    int64_t position = g->o->n_prompts > 0 ? g->o->prompts[g->o->n_prompts - 1] : 1;

    for (int i = 0; i < g->o->n_prompts; i++) {
        if (!measure_prefill(g, g->o->prompts[i])) return false;
    }
    if (g->o->tokens == 0) return true;
    if (!measure_decode(g, 1, position)) return false;
    if (g->o->sequences > 1 && !measure_decode(g, g->o->sequences, position)) return false;
    for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++) {
        if (!measure_check(g, guesses[i], position)) return false;
    }
    return true;
}

/* The cache for the longest of it all, filled with zeros as fresh memory is. */
static enum status open_cache(struct measuring *g, int context, struct err *e)
{
    const struct measure_options *o = g->o;
    int64_t sequences = o->tokens > 0 && o->sequences > 1 ? o->sequences : 1, longest = 1;
    int64_t last = o->n_prompts > 0 ? o->prompts[o->n_prompts - 1] : 1;

    for (int i = 0; i < o->n_prompts; i++) longest = o->prompts[i] > longest ? o->prompts[i] : longest;
    if (longest > context || last + o->tokens > context) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%lld positions and %d tokens behind %lld do not fit the context of %d",
                       (long long)longest, o->tokens, (long long)last, context);
    }
    if (sequences * (last + o->tokens) > longest) longest = sequences * (last + o->tokens);
    return kv_init(&g->kv, &g->network->config.llama, 1, longest, o->kv_type, e);
}

/* ---- all ------------------------------------------------------------------------------------------------------------- */

struct census {
    uint64_t bytes[DTYPE_COUNT], all;
};

static void count_bytes(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct census *x = v->user;

    for (int i = 0; slot != NULL && i < p->experts; i++) {
        uint64_t bytes =
            dtype_bytes(slot[i].dtype, (size_t)(tensor_rows(&slot[i]) * tensor_columns(&slot[i])));

        x->bytes[slot[i].dtype] += bytes;
        x->all += bytes;
    }
}

static void take_census(struct measuring *g)
{
    struct network *n = (struct network *)(uintptr_t)g->network; /* visits only; changes nothing */

    for (enum component i = 0; i < COMPONENT_COUNT; i++) {
        struct census x = { 0 };
        struct param_visitor v = { .visit = count_bytes, .user = &x };

        if (!network_has(n, i) || (i != COMPONENT_LLAMA && !n->sees)) continue;
        network_component_params(n, i, &v);
        for (enum dtype t = 0; t < DTYPE_COUNT; t++) {
            if (x.bytes[t] > x.bytes[g->weights[i]]) g->weights[i] = t;
        }
        g->out->weight_bytes += x.all;
    }
}

static enum status open_measuring(struct measuring *g, const struct sphinx_model *m, struct err *e)
{
    enum status st = ctx_init(&g->ctx, m->backend, &g->arena, m->threads, e);

    if (st != STATUS_OK) return st;
    g->ctx.exec.precise = m->precise;
    g->ctx.report = g->o->report;
    g->ctx.work = &g->work;
    g->level = cpu_level_of(m->backend);
    g->network = &m->network;
    g->memory = aligned_alloc(64, LIMIT_MEMORY_BYTES);
    if (g->memory == NULL) return err_no_memory(e, "the memory that is read for its bandwidth");
    memset(g->memory, 1, LIMIT_MEMORY_BYTES);
    take_census(g);
    return open_cache(g, m->context, e);
}

enum status measure_model(struct measure *out, const struct sphinx_model *m, const struct measure_options *o,
                          struct err *e)
{
    struct measuring g = { .out = out, .o = o, .random = 1 };
    enum status st;

    memset(out, 0, sizeof *out);
    if (o->runs < 1 || o->runs > RUNS_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT, "%d runs: there may be 1 to %d", o->runs, RUNS_MAX);
    out->seconds_load = m->seconds_load;
    st = open_measuring(&g, m, e);
    if (st == STATUS_OK) {
        look_at_limits(&g);
        if ((o->no_image || !m->network.sees || measure_image(&g)) && measure_language(&g))
            look_at_limits(&g);
        st = g.ctx.err.code;
        if (st != STATUS_OK) err_set(e, st, "%s", g.ctx.err.text);
    }
    kv_free(&g.kv);
    arena_free(&g.arena);
    free(g.memory);
    ctx_free(&g.ctx);
    return st;
}
