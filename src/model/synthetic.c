/*
 * synthetic.c - see synthetic.h.
 *
 * The number at row r, column c of a tensor depends on the seed, the tensor's name, r and c alone, not on how the tensor is split:
 * value = table[(start(seed, name, r) + c) mod TABLE], a table of uniform numbers that is scaled per tensor. So a row is a
 * copy out of the table, and the disk sets the pace. Matrices get a standard deviation of 1 / sqrt(columns), so that
 * activations neither die nor explode; norm weights are 1, biases and adapters' B 0, LayerScale 0.1. Encoders that learn from scratch in a few
 * thousand steps want positions and LayerScale of 0.5 instead: with small ones it takes long until anything is found where it is.
 */
#include "model/synthetic.h"

#include "core/file.h"
#include "core/mix64.h"
#include "model/model_writer.h"
#include "model/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TABLE = 1 << 20, VOCAB_DEFAULT = 32000 };

struct synthetic {
    const struct synthetic_options *o;
    struct written_tensor *tensors;
    enum param_kind *kinds; /* of each */
    size_t n, capacity;
    float *table;       /* uniform, variance 1 */
    unsigned char *row; /* one row in the dtype */
    float *row_f32;
    size_t row_elements; /* what they have room for */
    struct arena arena;
    struct err err;
};

/* ---- what there is to write ---------------------------------------------------------------------------------- */

static bool grow(struct synthetic *s)
{
    size_t capacity = s->capacity == 0 ? 1024 : 2 * s->capacity;
    struct written_tensor *tensors = realloc(s->tensors, capacity * sizeof *tensors);
    enum param_kind *kinds;

    if (tensors != NULL) s->tensors = tensors;
    kinds = realloc(s->kinds, capacity * sizeof *kinds);
    if (kinds != NULL) s->kinds = kinds;
    if (tensors != NULL && kinds != NULL) s->capacity = capacity;
    return tensors != NULL && kinds != NULL;
}

static void list_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct synthetic *s = v->user;
    struct written_tensor *t;
    size_t width = p->n_dims > 0 ? (size_t)p->dim[p->n_dims - 1] : 1;

    /* Upstream's unused tensors have the released sizes: beside a small model they would be most of the file. */
    if (slot == NULL && s->o->config_path != NULL) return;
    if (s->n == s->capacity && !grow(s)) {
        err_no_memory(&s->err, "list of tensors");
        return;
    }
    s->kinds[s->n] = p->kind;
    t = &s->tensors[s->n++];
    *t = (struct written_tensor){ .name = arena_printf(&s->arena, "llma.%s", p->name),
                                  .dtype = s->o->dtype,
                                  .split = p->split,
                                  .experts = p->experts,
                                  .n_dims = p->n_dims };
    memcpy(t->dim, p->dim, sizeof t->dim);
    if (t->name == NULL) err_no_memory(&s->err, "list of tensors");
    if (width > s->row_elements) s->row_elements = width;
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

enum fill { FILL_RANDOM, FILL_ONE, FILL_ZERO, FILL_LAYER_SCALE };

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static enum fill fill_of(const struct written_tensor *t)
{
    const char *name = t->name;

    if (ends_with(name, ".gamma") || ends_with(name, ".gamma_1")) return FILL_LAYER_SCALE;
    if (ends_with(name, "bias") || ends_with(name, ".lora_b.weight")) return FILL_ZERO;
    if (t->n_dims == 1 && ends_with(name, ".weight")) return FILL_ONE; /* norms */
    return FILL_RANDOM;
}

/* Standard deviation of a random tensor: matrices keep the size of what goes through them. */
static float deviation(const struct synthetic *s, const struct written_tensor *t, enum param_kind kind)
{
    int64_t fan_in = 1;

    if (kind == PARAM_VECTOR && t->n_dims != 4)
        return s->o->to_train ? 0.5f : 0.02f; /* tokens and positions */
    if (strstr(t->name, "tok_embeddings") != NULL) return 1.0f;
    for (int i = 1; i < t->n_dims; i++) fan_in *= t->dim[i];
    return 1.0f / sqrtf((float)fan_in);
}

/* Row r of a tensor, `width` numbers, in the dtype. */
static void make_row(struct synthetic *s, enum fill fill, float scale, uint64_t hash, int64_t r, size_t width)
{
    size_t start = (size_t)(mix64(hash ^ (uint64_t)r) % TABLE);

    for (size_t i = 0; i < width; i++) {
        s->row_f32[i] = fill == FILL_ONE           ? 1
                        : fill == FILL_LAYER_SCALE ? (s->o->to_train ? 0.5f : 0.1f)
                                                   : scale * s->table[(start + i) % TABLE];
    }
    dtype_info(s->o->dtype)->from_f32(s->row, s->row_f32, width);
}

static enum status write_tensor(struct synthetic *s, size_t index, struct model_writer *w, struct err *e)
{
    const struct written_tensor *t = &s->tensors[index];
    enum fill fill = fill_of(t);
    float scale = fill == FILL_RANDOM ? deviation(s, t, s->kinds[index]) : 0;
    size_t width = t->n_dims > 0 ? (size_t)t->dim[t->n_dims - 1] : 1;
    uint64_t hash = mix64_text(s->o->seed, t->name);
    enum status st = STATUS_OK;
    int64_t n_rows = 1;

    for (int i = 0; i + 1 < t->n_dims; i++) n_rows *= t->dim[i];
    for (int64_t r = 0; r < n_rows && st == STATUS_OK; r++) {
        make_row(s, fill, scale, hash, r, width);
        st = model_writer_rows(w, s->row, 1, e);
    }
    return st;
}

static enum status write_all(struct synthetic *s, struct model_writer *w, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < s->n && st == STATUS_OK; i++) {
        if (report_cancelled(s->o->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
        st = write_tensor(s, i, w, e);
        report_progress(s->o->report, "write", model_writer_done(w), model_writer_total(w));
    }
    return st;
}

static enum status make_table(struct synthetic *s, struct err *e)
{
    s->table = malloc(TABLE * sizeof *s->table);
    s->row_f32 = malloc(s->row_elements * sizeof *s->row_f32);
    s->row = malloc(s->row_elements * sizeof *s->row_f32);
    if (s->table == NULL || s->row == NULL || s->row_f32 == NULL) return err_no_memory(e, "random numbers");
    for (size_t i = 0; i < TABLE; i++) {
        double u = (double)(mix64(s->o->seed ^ mix64(i)) >> 11) * 0x1p-53;

        s->table[i] = (float)((2 * u - 1) * sqrt(3.0)); /* variance 1 */
    }
    return STATUS_OK;
}

static enum status write_model(struct synthetic *s, const char *folder, struct network *n,
                               const struct model_description *about, struct err *e)
{
    struct param_visitor v = { .visit = list_one, .user = s };
    struct model_writer_options o = { .path = folder,
                                      .format = s->o->safetensors ? MODEL_SAFETENSORS : MODEL_TORCH,
                                      .shards = s->o->shards,
                                      .type = s->o->dtype,
                                      .description = *about };
    struct model_writer *w = NULL;
    enum status st;

    network_params(n, &v);
    if (s->err.code != STATUS_OK) return err_set(e, s->err.code, "%s", s->err.text);
    st = make_table(s, e);
    if (st == STATUS_OK) st = model_writer_open(&w, &o, s->tensors, s->n, e);
    if (st == STATUS_OK) st = write_all(s, w, e);
    if (st == STATUS_OK) return model_writer_commit(w, e);
    model_writer_abort(w);
    return st;
}

static enum status check_options(const struct synthetic_options *o, const struct variant **variant,
                                 struct err *e)
{
    char text[256];

    *variant = variant_find(o->llama_type);
    if (*variant == NULL) {
        return err_set(e, STATUS_BAD_ARGUMENT, "unknown variant \"%.60s\": known are %s", o->llama_type,
                       variant_list(text, sizeof text));
    }
    if (o->shards < 1 || o->shards > 99)
        return err_set(e, STATUS_BAD_ARGUMENT, "the number of shards may be 1 to 99");
    if (o->safetensors && o->shards != 1)
        return err_set(e, STATUS_BAD_ARGUMENT, "safetensors are written as one file");
    if (o->dtype != DTYPE_F32 && o->dtype != DTYPE_F16 && o->dtype != DTYPE_BF16) {
        return err_set(e, STATUS_BAD_ARGUMENT, "weights may be f32, f16 or bf16");
    }
    return STATUS_OK;
}

enum status synthetic_write(const char *folder, const struct synthetic_options *o, struct err *e)
{
    struct synthetic s = { .o = o };
    const struct variant *variant;
    struct tokenizer *t = NULL;
    struct model_config config;
    struct network n = { 0 };
    unsigned char *json = NULL;
    size_t size = 0;
    enum status st;

    st = check_options(o, &variant, e);
    if (st == STATUS_OK && o->tokenizer_path != NULL) st = tok_open(&t, o->tokenizer_path, e);
    if (st == STATUS_OK && o->config_path != NULL) st = file_read(o->config_path, 1 << 20, &json, &size, e);
    if (st == STATUS_OK) {
        st = config_parse(&config, variant, (const char *)json, size,
                          o->config_path != NULL ? o->config_path : "built-in configuration",
                          t != NULL ? tok_vocab_size(t) : VOCAB_DEFAULT, o->report, e);
    }
    if (st == STATUS_OK) st = network_init(&n, &config, e);
    if (st == STATUS_OK) {
        struct model_description about = {
            .config = &config, .tokenizer = t, .config_json = (const char *)json, .config_size = size
        };

        st = write_model(&s, folder, &n, &about, e);
    }
    network_free(&n);
    tok_close(t);
    free(json);
    free(s.tensors);
    free(s.kinds);
    free(s.table);
    free(s.row);
    free(s.row_f32);
    arena_free(&s.arena);
    return st;
}
