/* adapter_file.c - see adapter_file.h. */
#include "model/adapter_file.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/mix64.h"
#include "model/policy.h"
#include "store/safetensors.h"

enum { SAMPLES = 16, ADAPTERS_MAX = 64, NAME_MAX_BYTES = 192 };

/* Of numbers drawn anew the relative error is 1.4; of the coarsest quantised type, q4_0, some 0.1. */
static const double base_distance_max = 0.4;

static const char base_prefix[] = "base.", end_a[] = ".lora_a.weight", end_b[] = ".lora_b.weight";

struct adapter_source {
    struct safetensors_file file;
    float scale;
    bool *placed; /* [file.count] */
    double difference, size;
};

struct adapters {
    struct adapter_source *source; /* [n] */
    int n;
    struct arena arena;
};

/* ---- files --------------------------------------------------------------------------------------------------- */

/* "FILE:0.5" where there is no file of all of that name. */
static enum status split_scale(const char *name, char **path, float *scale, struct err *e)
{
    const char *colon = strrchr(name, ':');
    char *end = "";
    double x = 1;

    if (colon != NULL && colon > name && !file_exists(name)) x = strtod(colon + 1, &end);
    if (colon == NULL || end == colon + 1 || *end != '\0' || file_exists(name)) {
        colon = name + strlen(name);
        x = 1;
    }
    if (!isfinite(x) || !isfinite((float)x))
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: the scale is not a finite number", name);
    *scale = (float)x;
    *path = strndup(name, (size_t)(colon - name));
    if (*path != NULL && file_is_directory(*path)) {
        char *inside = path_join(*path, ADAPTER_FILE_NAME);

        free(*path);
        *path = inside;
    }
    return *path != NULL ? STATUS_OK : err_no_memory(e, name);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool is_sample(const char *name)
{
    return strncmp(name, base_prefix, strlen(base_prefix)) == 0;
}

static bool is_float(enum dtype t)
{
    return t == DTYPE_F32 || t == DTYPE_F16 || t == DTYPE_BF16;
}

/* n numbers of a tensor, which lie side by side in these files, at any address; `scale` times. out [n] */
static void numbers_of(const struct raw_tensor *t, size_t first, size_t n, float scale, float *out)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    float aligned[256];
    size_t count;

    for (size_t at = 0; at < n; at += count) {
        count = n - at < 256 ? n - at : 256;
        memcpy(aligned, (const char *)t->data + (first + at) * info->block_bytes, count * info->block_bytes);
        info->to_f32(out + at, aligned, count);
    }
    for (size_t i = 0; i < n && scale != 1; i++) out[i] *= scale;
}

static size_t count_of(const struct raw_tensor *t)
{
    size_t n = 0;

    return shape_elements(t->dim, t->n_dims, &n) ? n : 0;
}

static enum status check_tensor(const struct adapter_source *s, const struct raw_tensor *t, struct err *e)
{
    size_t n = count_of(t);

    if (!is_float(t->dtype))
        return err_set(e, STATUS_BAD_FORMAT, "%s: %.100s is %s: adapters are f32, f16 or bf16", s->file.path,
                       t->name, dtype_info(t->dtype)->name);
    for (size_t i = 0; i < n; i++) {
        float x;

        numbers_of(t, i, 1, 1, &x);
        if (!isfinite(x))
            return err_set(e, STATUS_BAD_FORMAT, "%s: %.100s holds a number that is not finite", s->file.path,
                           t->name);
    }
    return STATUS_OK;
}

static enum status source_open(struct adapters *x, struct adapter_source *s, const char *name, struct err *e)
{
    char *path = NULL;
    enum status st = split_scale(name, &path, &s->scale, e);

    if (st == STATUS_OK) st = safetensors_open(&s->file, path, e);
    free(path);
    for (size_t i = 0; i < s->file.count && st == STATUS_OK; i++)
        st = check_tensor(s, &s->file.tensors[i], e);
    if (st != STATUS_OK) return st;
    if (s->file.count == 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: an adapter without a tensor", s->file.path);
    s->placed = arena_calloc(&x->arena, s->file.count, sizeof *s->placed);
    return s->placed != NULL ? STATUS_OK : err_no_memory(e, "adapters");
}

enum status adapters_open(struct adapters **out, const char *const *names, int n, struct err *e)
{
    struct adapters *x = calloc(1, sizeof *x);
    enum status st = STATUS_OK;

    *out = NULL;
    if (x == NULL) return err_no_memory(e, "adapters");
    if (n > ADAPTERS_MAX)
        st = err_set(e, STATUS_BAD_ARGUMENT, "%d adapters are more than %d", n, ADAPTERS_MAX);
    if (st == STATUS_OK) x->source = arena_calloc(&x->arena, (size_t)n, sizeof *x->source);
    if (st == STATUS_OK && x->source == NULL) st = err_no_memory(e, "adapters");
    for (int i = 0; i < n && st == STATUS_OK; i++) {
        x->n = i + 1;
        st = source_open(x, &x->source[i], names[i], e);
    }
    if (st == STATUS_OK)
        *out = x;
    else
        adapters_close(x);
    return st;
}

void adapters_close(struct adapters *x)
{
    if (x == NULL) return;
    for (int i = 0; i < x->n; i++) safetensors_close(&x->source[i].file);
    arena_free(&x->arena);
    free(x);
}

/* ---- places -------------------------------------------------------------------------------------------------- */

struct placing {
    struct adapters *adapters;
    struct network *network;
    struct err err;
};

/* "x.weight" or "x_weight" with another end; false if it is neither. */
static bool part_name(const char *weight, const char *end, char *name)
{
    size_t n = strlen(weight), m = strlen(".weight");

    if (n < m || strcmp(weight + n - strlen("weight"), "weight") != 0) return false;
    return snprintf(name, NAME_MAX_BYTES, "%.*s%s", (int)(n - m), weight, end) < NAME_MAX_BYTES;
}

static const struct raw_tensor *find_part(const struct adapter_source *s, const char *weight, const char *end)
{
    char name[NAME_MAX_BYTES];

    return part_name(weight, end, name) ? safetensors_find(&s->file, name) : NULL;
}

static void place_tensor(struct adapter_source *s, const struct raw_tensor *t)
{
    s->placed[t - s->file.tensors] = true;
}

static void refuse_shape(struct placing *p, const struct adapter_source *s, const struct raw_tensor *t,
                         const int64_t *want, int n_dims)
{
    char found[SHAPE_TEXT_MAX], wanted[SHAPE_TEXT_MAX];

    err_set(&p->err, STATUS_BAD_FORMAT, "%s: %.100s is %s, and to fit this model it would be %s",
            s->file.path, t->name, shape_text(found, t->dim, t->n_dims), shape_text(wanted, want, n_dims));
}

static bool has_shape(const struct raw_tensor *t, const int64_t *want, int n_dims)
{
    if (t->n_dims != n_dims) return false;
    for (int i = 0; i < n_dims; i++) {
        if (t->dim[i] != want[i]) return false;
    }
    return true;
}

/* A and B of a matrix, which must be there both and have the same rank. */
static void place_product(struct placing *p, struct adapter_source *s, const struct param *of)
{
    const struct raw_tensor *a = find_part(s, of->name, end_a), *b = find_part(s, of->name, end_b);
    int64_t rank, inputs = 1, shape_a[2], shape_b[2];

    if (a == NULL && b == NULL) return;
    if (a == NULL || b == NULL) {
        err_set(&p->err, STATUS_BAD_FORMAT, "%s: %.100s is there without its other half, %s", s->file.path,
                a != NULL ? a->name : b->name, a != NULL ? end_b + 1 : end_a + 1);
        return;
    }
    for (int i = 1; i < of->n_dims; i++) inputs *= of->dim[i];
    rank = a->n_dims > 0 ? a->dim[0] : 0;
    if (rank < 1 || rank > inputs + of->dim[0]) rank = 1;
    shape_a[0] = shape_b[1] = rank;
    shape_a[1] = inputs;
    shape_b[0] = of->dim[0];
    if (!has_shape(a, shape_a, 2)) {
        refuse_shape(p, s, a, shape_a, 2);
    } else if (!has_shape(b, shape_b, 2)) {
        refuse_shape(p, s, b, shape_b, 2);
    }
    place_tensor(s, a);
    place_tensor(s, b);
}

static void place_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct placing *x = v->user;

    for (int i = 0; i < x->adapters->n && slot != NULL && x->err.code == STATUS_OK; i++) {
        struct adapter_source *s = &x->adapters->source[i];
        const struct raw_tensor *t;

        if (adapter_fits(p)) place_product(x, s, p);
        t = p->kind == PARAM_VECTOR ? safetensors_find(&s->file, p->name) : NULL;
        if (t == NULL || x->err.code != STATUS_OK) continue;
        if (!has_shape(t, p->dim, p->n_dims)) refuse_shape(x, s, t, p->dim, p->n_dims);
        place_tensor(s, t);
    }
}

/* Biases of the language model's matrices are laid out where any adapter has one, as config.json would have it. */
static enum status make_biases(struct adapters *x, struct network *n, struct err *e)
{
    struct adapter_rule rule = adapter_rule_default(n->config.variant, 0, true, false);
    bool wanted = false;

    for (int i = 0; i < x->n; i++) {
        const struct safetensors_file *f = &x->source[i].file;

        for (size_t k = 0; k < f->count; k++)
            wanted |=
                strncmp(f->tensors[k].name, "layers.", 7) == 0 && ends_with(f->tensors[k].name, ".bias");
    }
    if (!wanted || n->config.bias_tuning) return STATUS_OK;
    n->config.bias_tuning = true;
    return adapter_lay_out(n, &rule, e);
}

enum status adapters_place(struct adapters *x, struct network *n, struct err *e)
{
    struct placing p = { .adapters = x, .network = n };
    struct param_visitor v = { .visit = place_one, .user = &p };
    enum status st = make_biases(x, n, e);

    if (st != STATUS_OK) return st;
    network_params(n, &v);
    if (p.err.code != STATUS_OK) return err_set(e, p.err.code, "%s", p.err.text);
    for (int i = 0; i < x->n; i++) {
        const struct adapter_source *s = &x->source[i];

        for (size_t k = 0; k < s->file.count; k++) {
            const char *name = s->file.tensors[k].name;

            if (s->placed[k] || is_sample(name)) continue;
            return err_set(e, STATUS_BAD_FORMAT, "%s: %.100s belongs to nothing that this model has%s",
                           s->file.path, name, n->sees ? "" : ", which is a language model alone");
        }
    }
    return STATUS_OK;
}

/* ---- the base ------------------------------------------------------------------------------------------------ */

/* The numbers by which a matrix is known again. */
static void take_samples(const char *name, const struct tensor *t, float *out)
{
    uint64_t seed = mix64_text(0, name), n_rows = (uint64_t)tensor_rows(t);
    int64_t block = (int64_t)dtype_info(t->dtype)->block_elements;
    float values[256];

    assert(block <= 256);
    for (uint64_t i = 0; i < SAMPLES; i++) {
        int64_t row = (int64_t)(mix64(seed + 2 * i) % n_rows);
        int64_t column = (int64_t)(mix64(seed + 2 * i + 1) % (uint64_t)tensor_columns(t));

        tensor_row_f32(t, row, column / block * block, block, values);
        out[i] = values[column % block];
    }
}

void adapters_meet_base(struct adapters *x, const char *name, const struct tensor *t)
{
    char sample_name[NAME_MAX_BYTES];
    float found[SAMPLES], want[SAMPLES];

    if (snprintf(sample_name, sizeof sample_name, "%s%s", base_prefix, name) >= NAME_MAX_BYTES) return;
    for (int i = 0; i < x->n; i++) {
        struct adapter_source *s = &x->source[i];
        const struct raw_tensor *sample = safetensors_find(&s->file, sample_name);

        if (sample == NULL || count_of(sample) != SAMPLES || tensor_rows(t) == 0) continue;
        numbers_of(sample, 0, SAMPLES, 1, want);
        take_samples(name, t, found);
        for (int k = 0; k < SAMPLES; k++) {
            double d = (double)found[k] - (double)want[k];

            s->difference += d * d;
            s->size += (double)want[k] * (double)want[k];
        }
    }
}

enum status adapters_judge_base(const struct adapters *x, struct err *e)
{
    for (int i = 0; i < x->n; i++) {
        const struct adapter_source *s = &x->source[i];

        if (s->difference <= base_distance_max * base_distance_max * s->size) continue;
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: the adapter was made for another base: its weights are not those of this model",
                       s->file.path);
    }
    return STATUS_OK;
}

/* ---- what becomes of weights --------------------------------------------------------------------------------- */

/* All adapters' A's stand below each other, their B's abreast. */
static bool stack_products(const struct adapters *x, const char *name, struct arena *arena,
                           struct adapter_change *k)
{
    int64_t rank = 0, at = 0, n_rows = 0, inputs = 0;

    for (int i = 0; i < x->n; i++) {
        const struct raw_tensor *a = find_part(&x->source[i], name, end_a);

        if (a == NULL) continue;
        rank += a->dim[0];
        inputs = a->dim[1];
        n_rows = find_part(&x->source[i], name, end_b)->dim[0];
    }
    if (rank == 0) return true;
    k->a =
        tensor_matrix(DTYPE_F32, arena_calloc(arena, (size_t)(rank * inputs), sizeof(float)), rank, inputs);
    k->b =
        tensor_matrix(DTYPE_F32, arena_calloc(arena, (size_t)(n_rows * rank), sizeof(float)), n_rows, rank);
    if (k->a.data == NULL || k->b.data == NULL) return false;
    for (int i = 0; i < x->n; i++) {
        const struct adapter_source *s = &x->source[i];
        const struct raw_tensor *a = find_part(s, name, end_a), *b = find_part(s, name, end_b);

        if (a == NULL) continue;
        numbers_of(a, 0, (size_t)(a->dim[0] * inputs), 1, tensor_f32(&k->a) + at * inputs);
        for (int64_t r = 0; r < n_rows; r++) {
            numbers_of(b, (size_t)(r * a->dim[0]), (size_t)a->dim[0], s->scale,
                       tensor_f32(&k->b) + r * rank + at);
        }
        at += a->dim[0];
    }
    return true;
}

/* base + sum of scale (tuned - base) */
static bool sum_tuned(const struct adapters *x, const char *name, struct arena *arena,
                      struct adapter_change *k)
{
    float *sum = NULL;

    k->keep = 1;
    for (int i = 0; i < x->n; i++) {
        const struct adapter_source *s = &x->source[i];
        const struct raw_tensor *t = safetensors_find(&s->file, name);
        size_t n = t != NULL ? count_of(t) : 0;
        float *tuned;

        if (t == NULL || strstr(name, ".lora_") != NULL) continue;
        if (sum == NULL) sum = arena_calloc(arena, n, sizeof *sum);
        tuned = arena_alloc(arena, n * sizeof *tuned);
        if (sum == NULL || tuned == NULL) return false;
        numbers_of(t, 0, n, s->scale, tuned);
        for (size_t j = 0; j < n; j++) sum[j] += tuned[j];
        k->keep -= s->scale;
    }
    k->add = sum;
    return true;
}

bool adapters_change(const struct adapters *x, const char *name, struct arena *arena,
                     struct adapter_change *k, struct err *e)
{
    *k = (struct adapter_change){ .keep = 1 };
    if (x == NULL) return false;
    if (!stack_products(x, name, arena, k) || !sum_tuned(x, name, arena, k)) {
        err_no_memory(e, "adapters");
        *k = (struct adapter_change){ .keep = 1 };
    }
    return k->a.n_dims != 0 || k->add != NULL;
}

void adapter_change_row(const struct adapter_change *k, int64_t row, int64_t n, float *values)
{
    if (k->a.n_dims != 0) {
        const float *b = tensor_f32(&k->b) + row * k->b.stride;

        for (int64_t r = 0; r < k->a.dim[0]; r++) {
            const float *a = tensor_f32(&k->a) + r * k->a.stride;

            for (int64_t i = 0; i < n; i++) values[i] += b[r] * a[i];
        }
    }
    if (k->add == NULL) return;
    for (int64_t i = 0; i < n; i++) values[i] = k->keep * values[i] + k->add[row * n + i];
}

/* ---- on a network -------------------------------------------------------------------------------------------- */

/* What the checkpoint's own adapter adds, and what ours add. */
static void join_products(struct placing *p, struct tensor *slot, const struct adapter_change *k)
{
    struct arena *arena = &p->network->arena;
    struct adapter *own = slot->adapter;
    int64_t first = own != NULL && own->a.n_dims != 0 ? own->a.dim[0] : 0, rank = first + k->a.dim[0];
    int64_t inputs = k->a.dim[1], n_rows = k->b.dim[0];
    float *a = arena_calloc(arena, (size_t)(rank * inputs), sizeof *a);
    float *b = arena_calloc(arena, (size_t)(n_rows * rank), sizeof *b);

    if (own == NULL) own = slot->adapter = arena_calloc(arena, 1, sizeof *own);
    if (a == NULL || b == NULL || own == NULL) {
        err_no_memory(&p->err, "adapters");
        return;
    }
    for (int64_t r = 0; r < rank; r++) {
        tensor_row_f32(r < first ? &own->a : &k->a, r < first ? r : r - first, 0, inputs, a + r * inputs);
    }
    for (int64_t r = 0; r < n_rows; r++) {
        if (first > 0) tensor_row_f32(&own->b, r, 0, first, b + r * rank);
        tensor_row_f32(&k->b, r, 0, k->a.dim[0], b + r * rank + first);
    }
    own->a = tensor_matrix(DTYPE_F32, a, rank, inputs);
    own->b = tensor_matrix(DTYPE_F32, b, n_rows, rank);
}

static void change_vector(struct placing *p, struct tensor *slot, const struct adapter_change *k)
{
    int64_t n_rows = tensor_rows(slot), n = tensor_columns(slot);
    float *data = arena_calloc(&p->network->arena, (size_t)(n_rows * n), sizeof *data);

    if (data == NULL) {
        err_no_memory(&p->err, "adapters");
        return;
    }
    for (int64_t r = 0; r < n_rows; r++) {
        if (slot->data != NULL) tensor_row_f32(slot, r, 0, n, data + r * n); /* else laid out: 0 */
        if (k != NULL) adapter_change_row(k, r, n, data + r * n);
    }
    slot->data = data;
    slot->stride = n;
}

static void apply_one(struct param_visitor *v, const struct param *param, struct tensor *slot)
{
    struct placing *p = v->user;
    struct arena scratch = { 0 };
    struct adapter_change k;

    if (slot == NULL || p->err.code != STATUS_OK || param->experts > 1) return;
    if (param->kind == PARAM_MATRIX) adapters_meet_base(p->adapters, param->name, slot);
    if (adapters_change(p->adapters, param->name, &scratch, &k, &p->err)) {
        if (k.a.n_dims != 0 && adapter_fits(param)) join_products(p, slot, &k);
        if (k.add != NULL && param->kind == PARAM_VECTOR) change_vector(p, slot, &k);
    } else if (slot->data == NULL && slot->pieces == NULL) {
        change_vector(p, slot, NULL);
    }
    arena_free(&scratch);
}

enum status adapters_apply(struct adapters *x, struct network *n, struct err *e)
{
    struct placing p = { .adapters = x, .network = n };
    struct param_visitor v = { .visit = apply_one, .user = &p };

    network_params(n, &v);
    if (p.err.code != STATUS_OK) return err_set(e, p.err.code, "%s", p.err.text);
    return adapters_judge_base(x, e);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

struct writing {
    struct tensor_spec *specs; /* [n] those given, then the samples */
    float (*samples)[SAMPLES];
    size_t n, n_samples, capacity; /* of samples */
    struct arena arena;
    struct err err;
};

/* The first matrix of each layer. */
static void sample_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct writing *w = v->user;

    if (slot == NULL || !ends_with(p->name, ".attention.wq.weight")) return;
    assert(w->n_samples < w->capacity);
    w->specs[w->n] = (struct tensor_spec){ .name = arena_printf(&w->arena, "%s%s", base_prefix, p->name),
                                           .dtype = DTYPE_F32,
                                           .n_dims = 1,
                                           .dim = { SAMPLES } };
    if (w->specs[w->n++].name == NULL) err_no_memory(&w->err, "adapters");
    take_samples(p->name, slot, w->samples[w->n_samples++]);
}

static enum status write_all(const struct writing *w, const char *path, const char *const *metadata,
                             const struct adapter_tensor *tensors, struct err *e)
{
    size_t n = w->n - w->n_samples;
    struct safetensors_writer file;
    enum status st = safetensors_writer_open(&file, path, w->specs, w->n, metadata, 3, e);

    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < w->n && st == STATUS_OK; i++) {
        size_t bytes = 0;

        shape_bytes(DTYPE_F32, w->specs[i].dim, w->specs[i].n_dims, &bytes);
        st = safetensors_writer_put(&file, i < n ? (const void *)tensors[i].numbers : w->samples[i - n],
                                    bytes, e);
    }
    if (st == STATUS_OK) return safetensors_writer_commit(&file, e);
    safetensors_writer_abort(&file);
    return st;
}

enum status adapter_write(const char *path, struct network *n, const struct adapter_tensor *tensors,
                          size_t count, struct err *e)
{
    struct writing w = { .capacity = (size_t)n->config.llama.n_layers };
    struct param_visitor v = { .visit = sample_one, .user = &w };
    char rank[24] = "0";
    const char *metadata[] = { "format",     "sphinx adapter",
                               "llama_type", n->config.variant->llama_type,
                               "lora_rank",  rank };
    enum status st;

    w.specs = arena_calloc(&w.arena, count + w.capacity, sizeof *w.specs);
    w.samples = arena_calloc(&w.arena, w.capacity, sizeof *w.samples);
    if (w.specs == NULL || w.samples == NULL) err_no_memory(&w.err, "adapters");
    for (; w.n < count && w.err.code == STATUS_OK; w.n++) {
        const struct adapter_tensor *t = &tensors[w.n];

        w.specs[w.n] = (struct tensor_spec){ .name = t->name, .dtype = DTYPE_F32, .n_dims = t->n_dims };
        memcpy(w.specs[w.n].dim, t->dim, (size_t)t->n_dims * sizeof *t->dim);
        if (ends_with(t->name, end_a)) snprintf(rank, sizeof rank, "%lld", (long long)t->dim[0]);
    }
    if (w.err.code == STATUS_OK) network_component_params(n, COMPONENT_LLAMA, &v);
    st = w.err.code == STATUS_OK ? write_all(&w, path, metadata, tensors, e)
                                 : err_set(e, w.err.code, "%s", w.err.text);
    arena_free(&w.arena);
    return st;
}
