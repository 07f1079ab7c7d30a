/*
 * convert.c - see convert.h. First the plan: every tensor's place, name and type, so that what cannot be done is said before anything
 * is written. Then the rows.
 */
#include "model/convert.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/adapter_file.h"
#include "store/gguf_names.h"

enum {
    RUN_BYTES = 16 << 20, /* rows that are converted at a time */
    TEAM_MIN = 1 << 16,   /* numbers for which waking threads pays */
    GATHER = 256,         /* columns that are transposed at a time: whole blocks of every type */
};

/* How one tensor is made. written_tensor, its twin, says where it goes. */
struct planned {
    char *name; /* in the checkpoint */
    struct param param;
    struct ckpt_rule rule;
    bool joined;     /* from separate biases (load.h) */
    bool made;       /* a bias that adapters have and the model has not: 0 before them */
    bool transposed; /* each expert's matrix is turned: upstream's w2 to that of llama.cpp, or back */
};

struct conversion {
    const struct load_options *in;
    const struct convert_options *o;
    enum model_format format;
    struct network network;
    struct checkpoint *checkpoint;
    struct adapters *adapters;    /* NULL: none */
    bool makes_biases;            /* the adapters have some, the model has none */
    struct adapter_change change; /* of the tensor whose turn it is, if it changes */
    bool changes;
    struct written_tensor *tensors;
    struct planned *plans;
    size_t n, capacity, n_missing;
    char missing[LOAD_NAME_MAX]; /* the first */
    struct convert_result *result;
    struct model_writer *writer;
    unsigned char *run; /* [RUN_BYTES, or one row] */
    float *rows;        /* [threads][columns], or for transposing [F][GATHER] and then those */
    size_t run_bytes, rows_count;
    struct arena arena;
    struct err err;
};

/* ---- the plan ----------------------------------------------------------------------------------------------- */

static bool grow(struct conversion *c)
{
    size_t capacity = c->capacity == 0 ? 1024 : 2 * c->capacity;
    struct written_tensor *tensors = realloc(c->tensors, capacity * sizeof *tensors);
    struct planned *plans;

    if (tensors != NULL) c->tensors = tensors;
    plans = realloc(c->plans, capacity * sizeof *plans);
    if (plans != NULL) c->plans = plans;
    if (tensors != NULL && plans != NULL) c->capacity = capacity;
    return tensors != NULL && plans != NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);

    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* Turns an experts' w2 that lies the other way round than the format has it: its name in *name, its shape in t. */
static void place_turned(struct conversion *c, const struct param *p, struct planned *plan,
                         struct written_tensor *t, const char **name)
{
    static const char upstream[] = ".feed_forward.w2", turned[] = ".feed_forward.w2_turned";
    bool want = c->format == MODEL_GGUF_LLAMA;
    const char *from = want ? upstream : turned;

    plan->transposed = ends_with(p->name, from);
    if (!plan->transposed) return;
    *name = arena_printf(&c->arena, "%.*s%s", (int)(strlen(p->name) - strlen(from)), p->name,
                         want ? turned : upstream);
    t->split = SPLIT_EXPERTS;
    t->dim[0] = p->experts * p->dim[1];
    t->dim[1] = p->dim[0] / p->experts;
}

/* The name and shape that the format wants. */
static void place(struct conversion *c, const struct param *p, struct planned *plan, struct written_tensor *t)
{
    char name[LOAD_NAME_MAX];
    const char *upstream = p->name;

    t->split = p->split;
    t->experts = p->experts;
    t->n_dims = p->n_dims;
    memcpy(t->dim, p->dim, sizeof t->dim);
    place_turned(c, p, plan, t, &upstream);
    if (upstream == NULL) return;
    if (c->format == MODEL_TORCH || c->format == MODEL_SAFETENSORS) {
        t->name = arena_printf(&c->arena, "llma.%s", upstream);
        return;
    }
    t->split = SPLIT_NONE;
    t->experts = 1;
    if (!gguf_name_from_upstream(upstream, name, sizeof name))
        err_set(&c->err, STATUS_UNSUPPORTED, "%s: the name is too long", p->name);
    if (gguf_name_is_experts(name)) {
        t->n_dims = 3;
        t->dim[2] = t->dim[1];
        t->dim[1] = t->dim[0] / p->experts;
        t->dim[0] = p->experts;
    }
    t->name = arena_strdup(&c->arena, name);
}

/* The type that the format and the policy want for a tensor that is stored as `stored`. */
static void choose(struct conversion *c, const struct planned *plan, struct written_tensor *t,
                   enum dtype stored)
{
    struct param p = plan->param;
    enum dtype wanted;

    if (plan->transposed) { /* rows are those of the result */
        p.dim[0] = p.experts * plan->param.dim[1];
        p.dim[1] = plan->param.dim[0] / p.experts;
    }
    t->dtype = policy_choose(c->o->policy, &p, stored == DTYPE_F64 ? DTYPE_F32 : stored, &wanted);
    /* llama.cpp multiplies norms in float32 only. */
    if (c->format == MODEL_GGUF_LLAMA && p.kind == PARAM_VECTOR) t->dtype = wanted = DTYPE_F32;
    if (t->dtype != wanted) c->result->n_fallbacks++;
    if (policy_is_quantised(t->dtype) && policy_is_quantised(stored) && t->dtype != stored)
        c->result->n_requantised++;
    if (policy_is_quantised(t->dtype) && (c->format == MODEL_TORCH || c->format == MODEL_SAFETENSORS)) {
        err_set(
            &c->err, STATUS_BAD_ARGUMENT,
            "%s would be %s, which .pth and safetensors files cannot hold: choose --type f16, bf16 or f32, "
            "or a name that ends in .gguf",
            p.name, dtype_info(t->dtype)->name);
    }
}

/* Where a tensor comes from: *stored is its type there. False: nowhere. */
static bool find_source(struct conversion *c, struct planned *plan, enum dtype *stored)
{
    const struct ckpt_entry *entry = ckpt_find(c->checkpoint, plan->name);
    char parts[2][LOAD_NAME_MAX];
    struct tensor t;

    plan->joined = load_separate_biases(c->checkpoint, plan->name, parts);
    if (plan->joined) entry = ckpt_find(c->checkpoint, parts[0]);
    plan->made = entry == NULL && c->makes_biases && ends_with(plan->name, ".bias") &&
                 strncmp(plan->name, "layers.", 7) == 0;
    if (plan->made) return true;
    if (entry == NULL) return false;
    *stored = entry->shard[0]->dtype;
    /* A difference is added when asked for: that has time until the tensor's turn. */
    if (plan->joined || entry->n_diffs > 0) return true;
    if (ckpt_tensor(c->checkpoint, plan->name, &plan->rule, 0, 1, &t, &c->err) == STATUS_OK)
        *stored = t.dtype;
    ckpt_forget(c->checkpoint, plan->name);
    return true;
}

static void plan_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct conversion *c = v->user;
    bool folder = c->format == MODEL_TORCH || c->format == MODEL_SAFETENSORS;
    enum dtype stored = DTYPE_F32;
    struct planned *plan;
    struct written_tensor *t;

    if (c->err.code != STATUS_OK) return;
    if (slot == NULL && !(folder && ckpt_in_all(c->checkpoint, p->name))) return;
    if (c->n == c->capacity && !grow(c)) {
        err_no_memory(&c->err, "list of tensors");
        return;
    }
    plan = &c->plans[c->n];
    t = &c->tensors[c->n];
    *t = (struct written_tensor){ .n_dims = 0 };
    *plan =
        (struct planned){ .name = arena_strdup(&c->arena, p->name), .param = *p, .rule = ckpt_param_rule(p) };
    plan->param.name = plan->name;
    if (plan->name == NULL) {
        err_no_memory(&c->err, "list of tensors");
        return;
    }
    if (!find_source(c, plan, &stored)) {
        if (c->n_missing++ == 0) snprintf(c->missing, sizeof c->missing, "%s", p->name);
        return;
    }
    place(c, p, plan, t);
    choose(c, plan, t, stored);
    if (t->name == NULL) err_no_memory(&c->err, "list of tensors");
    c->n++;
}

/* Finds where adapters belong, before anything is planned: they may bring biases. */
static enum status place_adapters(struct conversion *c, struct err *e)
{
    bool biased = c->network.config.bias_tuning;
    enum status st;

    if (c->in->n_adapters == 0) return STATUS_OK;
    st = adapters_open(&c->adapters, c->in->adapters, c->in->n_adapters, e);
    if (st == STATUS_OK) st = adapters_place(c->adapters, &c->network, e);
    c->makes_biases = !biased && c->network.config.bias_tuning;
    return st;
}

static enum status plan_all(struct conversion *c, struct err *e)
{
    struct param_visitor v = { .visit = plan_one, .user = c };
    enum status st;

    c->network.sees = load_sees(c->network.config.variant, c->checkpoint) && !c->o->text_only;
    c->format = c->o->format;
    if (c->format == MODEL_GGUF && !c->network.sees) c->format = MODEL_GGUF_LLAMA;
    st = place_adapters(c, e);
    if (st != STATUS_OK) return st;
    if (c->format == MODEL_GGUF_LLAMA && (c->network.config.bias_tuning || c->network.config.lora_rank > 0)) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: llama.cpp's kind of GGUF has no room for a layer's %s: write a folder", c->o->out,
                       c->network.config.bias_tuning ? "biases" : "adapters");
    }
    c->o->policy->uniform = c->format == MODEL_TORCH || c->format == MODEL_SAFETENSORS;
    network_params(&c->network, &v);
    if (c->err.code != STATUS_OK) return err_set(e, c->err.code, "%s", c->err.text);
    if (c->n_missing > 0) {
        return err_set(e, STATUS_NOT_FOUND,
                       "%s: not complete: %zu tensors of a %s are missing, the first is %s",
                       c->in->paths[c->in->n_paths - 1], c->n_missing, c->network.config.variant->llama_type,
                       c->missing);
    }
    for (size_t i = 0; i < c->n; i++) c->result->n_of_type[c->tensors[i].dtype]++;
    c->result->n_tensors = c->n;
    return policy_all_used(c->o->policy, e);
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

/* Rows first .. first+count-1 of `from`, in type `to`. Returns the first row that does not fit, or -1. */
static int64_t convert_rows(struct conversion *c, const struct tensor *from, int64_t first, int64_t count,
                            enum dtype to)
{
    int64_t n = tensor_columns(from), bad = INT64_MAX;
    size_t row_bytes = dtype_bytes(to, (size_t)n);
    int threads = count * n < TEAM_MIN ? 1 : c->o->threads;

#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad)
    for (int64_t i = 0; i < count; i++) {
        unsigned char *out = c->run + (size_t)i * row_bytes;
        float *x = c->rows + (int64_t)omp_get_thread_num() * n;

        if (from->dtype == to && !c->changes) {
            const void *row = tensor_row(from, first + i, 0, n, out);

            if (row != out) memcpy(out, row, row_bytes);
            continue;
        }
        tensor_row_f32(from, first + i, 0, n, x);
        if (c->changes) adapter_change_row(&c->change, first + i, n, x);
        if (!dtype_holds(to, x, (size_t)n) && first + i < bad) bad = first + i;
        dtype_info(to)->from_f32(out, x, (size_t)n);
    }
    return bad == INT64_MAX ? -1 : bad;
}

/* Columns first .. first+count-1 of the expert whose `width` rows begin at first_row, each as a row. Otherwise as convert_rows. */
static int64_t convert_columns(struct conversion *c, const struct tensor *from, int64_t first_row,
                               int64_t width, int64_t first, int64_t count, enum dtype to)
{
    float *block = c->rows, *scratch = block + width * GATHER;
    size_t row_bytes = dtype_bytes(to, (size_t)width);
    int64_t bad = INT64_MAX;

#pragma omp parallel for num_threads(c->o->threads) schedule(static)
    for (int64_t f = 0; f < width; f++) tensor_row_f32(from, first_row + f, first, count, block + f * GATHER);
#pragma omp parallel for num_threads(c->o->threads) schedule(static) reduction(min : bad)
    for (int64_t i = 0; i < count; i++) {
        float *x = scratch + (int64_t)omp_get_thread_num() * width;

        for (int64_t f = 0; f < width; f++) x[f] = block[f * GATHER + i];
        if (!dtype_holds(to, x, (size_t)width) && first + i < bad) bad = first + i;
        dtype_info(to)->from_f32(c->run + (size_t)i * row_bytes, x, (size_t)width);
    }
    return bad == INT64_MAX ? -1 : bad;
}

static enum status put(struct conversion *c, const struct planned *plan, enum dtype to, int64_t n_rows,
                       int64_t bad, struct err *e)
{
    enum status st;

    if (bad >= 0) {
        return err_set(
            e, STATUS_NUMERIC,
            "%s, row %lld: holds a number that is not finite or above %d, which %s cannot hold: convert "
            "to f32 or bf16, or only this one with --tensor-type %s=bf16",
            plan->name, (long long)bad, DTYPE_F16_MAX, dtype_info(to)->name, plan->name);
    }
    if (report_cancelled(c->in->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
    st = model_writer_rows(c->writer, c->run, n_rows, e);
    report_progress(c->in->report, "convert", model_writer_done(c->writer), model_writer_total(c->writer));
    return st;
}

/* Room for a run of rows of `columns` numbers in type `to`, at least `rows_min`; *count: how many rows fit. */
static enum status make_room(struct conversion *c, int64_t columns, size_t row_bytes, int64_t rows_min,
                             size_t gather, int64_t *count, struct err *e)
{
    size_t rows_count = gather + (size_t)c->o->threads * (size_t)columns, bytes;

    *count = (int64_t)(RUN_BYTES / row_bytes);
    if (*count < rows_min) *count = rows_min;
    bytes = (size_t)*count * row_bytes;
    if (bytes > c->run_bytes) {
        free(c->run);
        c->run = malloc(bytes);
        c->run_bytes = c->run != NULL ? bytes : 0;
    }
    if (rows_count > c->rows_count) {
        free(c->rows);
        c->rows = malloc(rows_count * sizeof *c->rows);
        c->rows_count = c->rows != NULL ? rows_count : 0;
    }
    return c->run != NULL && c->rows != NULL ? STATUS_OK : err_no_memory(e, "rows");
}

static enum status write_rows(struct conversion *c, const struct planned *plan, const struct tensor *from,
                              enum dtype to, struct err *e)
{
    int64_t n = tensor_columns(from), n_rows = tensor_rows(from), step;
    enum status st = make_room(c, n, dtype_bytes(to, (size_t)n), 1, 0, &step, e);

    for (int64_t first = 0; first < n_rows && st == STATUS_OK; first += step) {
        int64_t count = n_rows - first < step ? n_rows - first : step;

        st = put(c, plan, to, count, convert_rows(c, from, first, count, to), e);
    }
    return st;
}

static enum status write_transposed(struct conversion *c, const struct planned *plan,
                                    const struct tensor *from, enum dtype to, struct err *e)
{
    int64_t experts = plan->param.experts, width = plan->param.dim[0] / experts, n = plan->param.dim[1], room;
    enum status st =
        make_room(c, width, dtype_bytes(to, (size_t)width), GATHER, (size_t)width * GATHER, &room, e);

    for (int64_t x = 0; x < experts; x++) {
        for (int64_t first = 0; first < n && st == STATUS_OK; first += GATHER) {
            int64_t count = n - first < GATHER ? n - first : GATHER;

            st = put(c, plan, to, count, convert_columns(c, from, x * width, width, first, count, to), e);
        }
    }
    return st;
}

/* A tensor as the checkpoint has it, and what becomes of it. */
static enum status read_one(struct conversion *c, const struct planned *plan, struct arena *scratch,
                            struct tensor *from, struct err *e)
{
    enum status st = STATUS_OK;

    if (plan->made) {
        *from = tensor_matrix(DTYPE_F32, arena_calloc(scratch, (size_t)plan->param.dim[0], sizeof(float)), 1,
                              plan->param.dim[0]);
        if (from->data == NULL) st = err_no_memory(e, plan->name);
    } else if (plan->joined) {
        st = load_join_biases(c->checkpoint, &plan->param, scratch, from, e);
    } else {
        st = ckpt_tensor(c->checkpoint, plan->name, &plan->rule, 0, 1, from, e);
    }
    if (st != STATUS_OK || c->adapters == NULL) return st;
    adapters_meet_base(c->adapters, plan->name, from);
    c->changes = adapters_change(c->adapters, plan->name, scratch, &c->change, &c->err);
    c->result->n_adapted += c->changes;
    return c->err.code == STATUS_OK ? STATUS_OK : err_set(e, c->err.code, "%s", c->err.text);
}

static enum status write_one(struct conversion *c, size_t i, struct err *e)
{
    const struct planned *plan = &c->plans[i];
    struct arena scratch = { 0 };
    struct tensor from;
    enum status st = read_one(c, plan, &scratch, &from, e);

    if (st == STATUS_OK) {
        st = plan->transposed ? write_transposed(c, plan, &from, c->tensors[i].dtype, e)
                              : write_rows(c, plan, &from, c->tensors[i].dtype, e);
    }
    if (ckpt_differs(c->checkpoint, plan->name)) {
        c->result->n_mixed++;
        c->result->n_encoder += policy_is_encoder(plan->name);
    }
    ckpt_forget(c->checkpoint, plan->name);
    arena_free(&scratch);
    return st;
}

/* ---- all of it ---------------------------------------------------------------------------------------------- */

/* The type of most matrices, which is that of the first layer's query. */
static enum dtype main_type(const struct conversion *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (policy_class(&c->plans[i].param) == TENSOR_CLASS_ATTENTION) return c->tensors[i].dtype;
    }
    return DTYPE_F32;
}

static enum status write_all(struct conversion *c, const struct model_description *about, struct err *e)
{
    struct model_writer_options o = { .path = c->o->out,
                                      .format = c->format,
                                      .shards = c->o->shards,
                                      .type = main_type(c),
                                      .difference = c->o->mix.delta,
                                      .description = *about };
    enum status st = model_writer_open(&c->writer, &o, c->tensors, c->n, e);

    if (st != STATUS_OK) return st;
    c->result->bytes = model_writer_total(c->writer);
    ckpt_advise(c->checkpoint, FILE_ACCESS_RUNS);
    for (size_t i = 0; i < c->n && st == STATUS_OK; i++) st = write_one(c, i, e);
    if (st == STATUS_OK && !c->o->text_only) load_warn_extra(&c->network, c->checkpoint, c->in->report);
    if (st == STATUS_OK && c->adapters != NULL) st = adapters_judge_base(c->adapters, e);
    if (st == STATUS_OK) return model_writer_commit(c->writer, e);
    model_writer_abort(c->writer);
    return st;
}

enum status convert_model(const struct load_options *in, const struct convert_options *o,
                          struct convert_result *r, struct err *e)
{
    struct conversion c = { .in = in, .o = o, .result = r };
    struct tokenizer *tokenizer = NULL;
    struct model_config config;
    char *json = NULL, *name = NULL;
    enum status st;
    size_t size = 0;

    assert(o->threads >= 1);
    memset(r, 0, sizeof *r);
    st = ckpt_open_mixed(&c.checkpoint, in->paths, in->n_paths, &o->mix, in->report, e);
    if (st == STATUS_OK) st = load_config(&config, &tokenizer, in, c.checkpoint, e);
    if (st == STATUS_OK) st = load_config_text(&json, &size, &name, in, c.checkpoint, e);
    if (st == STATUS_OK) st = network_init(&c.network, &config, e);
    if (st == STATUS_OK) st = plan_all(&c, e);
    if (st == STATUS_OK) {
        struct model_description about = {
            .config = &c.network.config, .tokenizer = tokenizer, .config_json = json, .config_size = size
        };

        st = write_all(&c, &about, e);
    }
    network_free(&c.network);
    adapters_close(c.adapters);
    ckpt_close(c.checkpoint);
    tok_close(tokenizer);
    free(json);
    free(name);
    free(c.tensors);
    free(c.plans);
    free(c.run);
    free(c.rows);
    arena_free(&c.arena);
    return st;
}
