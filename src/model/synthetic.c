/*
 * synthetic.c - see synthetic.h.
 *
 * The number at row r, column c of a tensor depends on the seed, the tensor's name, r and c alone, not on how the tensor is split:
 * value = table[(start(seed, name, r) + c) mod TABLE], a table of uniform numbers that is scaled per tensor. So a row is a
 * copy out of the table, and the disk sets the pace. Matrices get a standard deviation of 1 / sqrt(columns), so that
 * activations neither die nor explode; norm weights are 1, biases 0, LayerScale 0.1.
 */
#include "model/synthetic.h"

#include "core/file.h"
#include "model/load.h"
#include "store/safetensors.h"
#include "store/torch_writer.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TABLE = 1 << 20, VOCAB_DEFAULT = 32000, TOKENIZER_SIZE_MAX = 64 << 20 };

struct listed {
    struct tensor_spec spec; /* the shape that a shard holds */
    struct param param;      /* the full shape; name borrowed from spec */
};

struct synthetic {
    const struct synthetic_options *o;
    struct listed *tensors;
    size_t n, capacity;
    float *table;       /* uniform, variance 1 */
    unsigned char *row; /* one row in the dtype */
    float *row_f32;
    size_t row_elements; /* what they have room for */
    struct arena arena;
    uint64_t done, total; /* bytes */
    struct err err;
};

static uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u; /* SplitMix64 (Steele, Lea, Flood 2014) */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t hash_name(uint64_t seed, const char *name)
{
    uint64_t h = seed;

    for (; *name != '\0'; name++) h = mix64(h ^ (unsigned char)*name);
    return h;
}

/* ---- what there is to write ---------------------------------------------------------------------------------- */

static void list_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct synthetic *s = v->user;
    struct listed *t;
    int split = p->split == SPLIT_COLUMNS ? 1 : 0;

    /* Upstream's unused tensors have the released sizes: beside a small model they would be most of the file. */
    if (slot == NULL && s->o->config_path != NULL) return;
    if (s->n == s->capacity) {
        s->capacity = s->capacity == 0 ? 1024 : 2 * s->capacity;
        t = realloc(s->tensors, s->capacity * sizeof *t);
        if (t == NULL) {
            err_no_memory(&s->err, "list of tensors");
            return;
        }
        s->tensors = t;
    }
    t = &s->tensors[s->n++];
    *t = (struct listed){ .param = *p };
    t->spec.name = arena_printf(&s->arena, "llma.%s", p->name);
    if (t->spec.name == NULL) err_no_memory(&s->err, "list of tensors");
    t->spec.dtype = s->o->dtype;
    t->spec.n_dims = p->n_dims;
    for (int i = 0; i < p->n_dims; i++) t->spec.dim[i] = p->dim[i];
    if (p->split == SPLIT_NONE) return;
    if (p->dim[split] / p->experts % s->o->shards != 0) {
        err_set(&s->err, STATUS_BAD_ARGUMENT, "%d shards do not divide %s, whose size is %lld", s->o->shards,
                p->name, (long long)(p->dim[split] / p->experts));
    }
    t->spec.dim[split] = p->dim[split] / s->o->shards;
}

static int64_t columns_of(const int64_t *dim, int n_dims)
{
    return n_dims > 0 ? dim[n_dims - 1] : 1;
}

static enum status list(struct synthetic *s, struct network *n, struct err *e)
{
    struct param_visitor v = { .visit = list_one, .user = s };

    network_params(n, &v);
    for (size_t i = 0; i < s->n && s->err.code == STATUS_OK; i++) {
        const struct listed *t = &s->tensors[i];
        size_t bytes = 0, width = (size_t)columns_of(t->param.dim, t->param.n_dims);

        if (!shape_bytes(t->spec.dtype, t->spec.dim, t->spec.n_dims, &bytes)) {
            err_set(&s->err, STATUS_BAD_ARGUMENT, "%s is too large", t->spec.name);
        }
        s->total += bytes * (uint64_t)s->o->shards;
        if (width > s->row_elements) s->row_elements = width;
    }
    return s->err.code == STATUS_OK ? STATUS_OK : err_set(e, s->err.code, "%s", s->err.text);
}

/* ---- numbers --------------------------------------------------------------------------------------------------- */

enum fill { FILL_RANDOM, FILL_ONE, FILL_ZERO, FILL_LAYER_SCALE };

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static enum fill fill_of(const struct listed *t)
{
    const char *name = t->spec.name;

    if (ends_with(name, ".gamma") || ends_with(name, ".gamma_1")) return FILL_LAYER_SCALE;
    if (ends_with(name, "bias")) return FILL_ZERO;
    if (t->param.n_dims == 1 && ends_with(name, ".weight")) return FILL_ONE; /* norms */
    return FILL_RANDOM;
}

/* Standard deviation of a random tensor: matrices keep the size of what goes through them. */
static float deviation(const struct listed *t)
{
    int64_t fan_in = 1;

    if (t->param.kind == PARAM_VECTOR && t->param.n_dims != 4) return 0.02f; /* tokens and positions */
    if (strstr(t->spec.name, "tok_embeddings") != NULL) return 1.0f;
    for (int i = 1; i < t->param.n_dims; i++) fan_in *= t->param.dim[i];
    return 1.0f / sqrtf((float)fan_in);
}

/* Columns first .. first+n-1 of full row r. */
static void make_row(struct synthetic *s, const struct listed *t, uint64_t hash, int64_t r, int64_t first,
                     int64_t n)
{
    enum fill fill = fill_of(t);
    float scale = fill == FILL_RANDOM ? deviation(t) : 0;
    size_t start = (size_t)(mix64(hash ^ (uint64_t)r) % TABLE);

    for (int64_t i = 0; i < n; i++) {
        s->row_f32[i] = fill == FILL_ONE           ? 1
                        : fill == FILL_LAYER_SCALE ? 0.1f
                                                   : scale * s->table[(start + (size_t)(first + i)) % TABLE];
    }
    dtype_info(t->spec.dtype)->from_f32(s->row, s->row_f32, (size_t)n);
}

typedef enum status (*put_function)(void *writer, const void *data, size_t size, struct err *e);

/* The rows of one shard's part of a tensor, in order. */
static enum status write_tensor(struct synthetic *s, const struct listed *t, int shard, put_function put,
                                void *writer, struct err *e)
{
    const struct param *p = &t->param;
    int64_t width = columns_of(t->spec.dim, t->spec.n_dims), n_rows = 1, rows_full = 1, first = 0;
    uint64_t hash = hash_name(s->o->seed, t->spec.name);
    int64_t part, block;
    enum status st = STATUS_OK;

    for (int i = 0; i + 1 < t->spec.n_dims; i++) n_rows *= t->spec.dim[i];
    for (int i = 0; i + 1 < p->n_dims; i++) rows_full *= p->dim[i];
    if (p->split == SPLIT_COLUMNS) first = shard * width;
    part = n_rows / p->experts;     /* rows of one expert (or all) in this shard, */
    block = rows_full / p->experts; /* and in the full tensor */
    for (int64_t i = 0; i < n_rows && st == STATUS_OK; i++) {
        int64_t offset = p->split == SPLIT_COLUMNS || p->split == SPLIT_NONE ? 0 : shard * part;

        make_row(s, t, hash, i / part * block + offset + i % part, first, width);
        st = put(writer, s->row, dtype_bytes(t->spec.dtype, (size_t)width), e);
    }
    return st;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static enum status put_torch(void *writer, const void *data, size_t size, struct err *e)
{
    return torch_writer_put(writer, data, size, e);
}

static enum status put_safetensors(void *writer, const void *data, size_t size, struct err *e)
{
    return safetensors_writer_put(writer, data, size, e);
}

static enum status write_all(struct synthetic *s, int shard, put_function put, void *writer, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; i < s->n && st == STATUS_OK; i++) {
        size_t bytes = 0;

        if (report_cancelled(s->o->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
        st = write_tensor(s, &s->tensors[i], shard, put, writer, e);
        shape_bytes(s->o->dtype, s->tensors[i].spec.dim, s->tensors[i].spec.n_dims, &bytes);
        s->done += bytes;
        report_progress(s->o->report, "write", s->done, s->total);
    }
    return st;
}

static enum status write_shard(struct synthetic *s, const char *folder, const struct tensor_spec *specs,
                               int shard, struct err *e)
{
    struct torch_writer torch = { 0 };
    struct safetensors_writer safetensors = { 0 };
    char name[64], *path;
    enum status st;

    snprintf(name, sizeof name, "consolidated.%02d-of-%02d.model.pth", shard, s->o->shards);
    path = path_join(folder, s->o->safetensors ? "model.safetensors" : name);
    if (path == NULL) return err_no_memory(e, folder);
    if (s->o->safetensors) {
        st = safetensors_writer_open(&safetensors, path, specs, s->n, NULL, 0, e);
        if (st == STATUS_OK) st = write_all(s, shard, put_safetensors, &safetensors, e);
        if (st == STATUS_OK) st = safetensors_writer_commit(&safetensors, e);
        safetensors_writer_abort(&safetensors);
    } else {
        st = torch_writer_open(&torch, path, specs, s->n, e);
        if (st == STATUS_OK) st = write_all(s, shard, put_torch, &torch, e);
        if (st == STATUS_OK) st = torch_writer_commit(&torch, e);
        torch_writer_abort(&torch);
    }
    free(path);
    return st;
}

static enum status write_text(const char *folder, const char *name, const void *data, size_t size,
                              struct err *e)
{
    struct file_writer w;
    char *path = path_join(folder, name);
    enum status st;

    if (path == NULL) return err_no_memory(e, folder);
    st = file_writer_open(&w, path, e);
    if (st == STATUS_OK) st = file_writer_put(&w, data, size, e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    free(path);
    return st;
}

/* ModelArgs of the released sizes. */
static char *released_config(const struct model_config *k)
{
    const struct llama_config *l = &k->llama;
    json_t *o = json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:n}", "dim", l->dim, "n_layers", l->n_layers,
                          "n_heads", l->n_heads, "n_kv_heads", l->n_kv_heads, "multiple_of", 256, "norm_eps",
                          1e-5, "rope_theta", (double)l->rope_theta, "rope_scaling");
    char *text;

    if (l->n_experts > 0) {
        json_object_set_new(o, "hidden_dim", json_integer(l->ffn_width));
        json_object_set_new(o, "moe",
                            json_pack("{s:i, s:i}", "num_experts_per_tok", l->n_experts_per_token,
                                      "num_experts", l->n_experts));
    }
    text = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(o);
    return text;
}

static enum status write_description(const struct synthetic *s, const char *folder,
                                     const struct model_config *k, const char *config, size_t config_size,
                                     struct err *e)
{
    char meta[128], *released = NULL;
    unsigned char *tokenizer = NULL;
    enum status st;
    size_t size;

    snprintf(meta, sizeof meta, "{\"llama_type\": \"%s\"}\n", s->o->llama_type);
    st = write_text(folder, "meta.json", meta, strlen(meta), e);
    if (st == STATUS_OK && config == NULL) {
        released = released_config(k);
        if (released == NULL) st = err_no_memory(e, "config.json");
        config = released;
        config_size = released != NULL ? strlen(released) : 0;
    }
    if (st == STATUS_OK) st = write_text(folder, "config.json", config, config_size, e);
    if (st == STATUS_OK && s->o->tokenizer_path != NULL) {
        st = file_read(s->o->tokenizer_path, TOKENIZER_SIZE_MAX, &tokenizer, &size, e);
        if (st == STATUS_OK) st = write_text(folder, "tokenizer.model", tokenizer, size, e);
    }
    free(released);
    free(tokenizer);
    return st;
}

static enum status check_space(const struct synthetic *s, const char *folder, struct err *e)
{
    uint64_t left;
    enum status st = file_space_left(folder, &left, e);

    if (st == STATUS_OK && left < s->total + (s->total >> 6)) {
        st = err_set(e, STATUS_IO, "%s: %.2f GB are needed, %.2f GB are free", folder, (double)s->total / 1e9,
                     (double)left / 1e9);
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

static enum status write_folder(struct synthetic *s, const char *folder, struct network *n,
                                const char *config, size_t config_size, struct err *e)
{
    struct tensor_spec *specs = NULL;
    enum status st = list(s, n, e);

    if (st == STATUS_OK && mkdir(folder, 0777) != 0 && errno != EEXIST) {
        st = err_set(e, STATUS_IO, "%s: cannot make the folder: %s", folder, strerror(errno));
    }
    if (st == STATUS_OK) st = check_space(s, folder, e);
    if (st == STATUS_OK) st = make_table(s, e);
    if (st == STATUS_OK) st = write_description(s, folder, &n->config, config, config_size, e);
    if (st == STATUS_OK) {
        specs = calloc(s->n, sizeof *specs);
        if (specs == NULL) st = err_no_memory(e, "list of tensors");
    }
    for (size_t i = 0; i < s->n && st == STATUS_OK; i++) specs[i] = s->tensors[i].spec;
    for (int shard = 0; shard < s->o->shards && st == STATUS_OK; shard++)
        st = write_shard(s, folder, specs, shard, e);
    free(specs);
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
    if (st == STATUS_OK) st = write_folder(&s, folder, &n, (const char *)json, size, e);
    network_free(&n);
    tok_close(t);
    free(json);
    free(s.tensors);
    free(s.table);
    free(s.row);
    free(s.row_f32);
    arena_free(&s.arena);
    return st;
}
