/*
 * checkpoint_tensor.c - one rank's part of a named tensor, see checkpoint.h.
 *
 * What is split has N units (rows or columns; of one expert, with several). Of A shards each holds a = N / A
 * of them, of R ranks each wants b = N / R. All borders are multiples of g = gcd(a, b), so pieces of g units
 * never straddle one. With A = 2, R = 3, N = 6:
 *
 *   shard   |-- 0 --|-- 1 --|      a = 3, g = 1
 *   units   | 0 1 2 | 3 4 5 |
 *   rank    |-0-|-1---|-2-|        b = 2: rank 1 is unit 2 of shard 0 and unit 3, the first of shard 1
 *
 * Pieces that follow each other in one shard are one run and need no table. Experts lie one after the other
 * in each shard, a units each.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/checkpoint_parts.h"

/* One call: what is asked for. */
struct request {
    struct checkpoint *c;
    struct ckpt_name *name;
    const struct ckpt_rule *rule;
    int expert, rank, ranks;
    struct err *e;
};

/* How the split dimension falls into shards and ranks, in units. */
struct partition {
    int axis;              /* of the shape; -1: not split */
    int64_t shard, rank;   /* a and b */
    int64_t piece;         /* g */
    int64_t groups, first; /* experts given out, and the first of them */
};

static int64_t gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

static enum status partition_find(const struct request *q, const struct ckpt_layer *layer,
                                  struct partition *p)
{
    const struct ckpt_rule *rule = q->rule;
    bool by_expert = rule->split == CKPT_EXPERT_ROWS;
    int64_t groups = by_expert ? rule->experts : 1, units;
    char shape[SHAPE_TEXT_MAX];

    memset(p, 0, sizeof *p);
    p->axis = -1;
    if (rule->split == CKPT_REPLICATED) return STATUS_OK;
    p->axis = rule->split == CKPT_COLUMNS ? 1 : 0;
    units = rule->dim[p->axis] / groups;
    if (units <= 0 || rule->dim[p->axis] % groups != 0 || units % layer->n_shards != 0 ||
        units % q->ranks != 0) {
        return err_set(q->e, STATUS_UNSUPPORTED,
                       "%s: tensor %s: dimension %d of %s in %lld groups cannot be split evenly over %d "
                       "shards and %d ranks",
                       q->c->sources[layer->source].path, q->name->entry.name, p->axis,
                       shape_text(shape, rule->dim, rule->n_dims), (long long)groups, layer->n_shards,
                       q->ranks);
    }
    p->shard = units / layer->n_shards;
    p->rank = units / q->ranks;
    p->piece = gcd(p->shard, p->rank);
    p->groups = q->expert >= 0 ? 1 : groups;
    p->first = by_expert && q->expert >= 0 ? q->expert : 0;
    return STATUS_OK;
}

/* Whether t has the shape `dim`; experts may also stand apart, as [E, F, D]. */
static bool shape_is(const struct raw_tensor *t, const struct ckpt_rule *rule, const int64_t *dim)
{
    if (rule->experts > 0 && rule->n_dims == 2 && t->n_dims == 3) {
        return t->dim[0] == rule->experts && t->dim[1] == dim[0] / rule->experts && t->dim[2] == dim[1];
    }
    return t->n_dims == rule->n_dims && memcmp(t->dim, dim, (size_t)rule->n_dims * sizeof *dim) == 0;
}

/* Every shard must hold its part of the shape, all in one dtype that numbers can be computed with. */
static enum status shards_check(const struct request *q, const struct ckpt_layer *layer,
                                const struct partition *p)
{
    const struct ckpt_rule *rule = q->rule;
    const char *path = q->c->sources[layer->source].path, *name = q->name->entry.name;
    char found[SHAPE_TEXT_MAX], wanted[SHAPE_TEXT_MAX], full[SHAPE_TEXT_MAX];
    int64_t dim[TENSOR_DIMS_MAX];

    memcpy(dim, rule->dim, sizeof dim);
    if (p->axis >= 0) dim[p->axis] /= layer->n_shards;
    for (int i = 0; i < layer->n_shards; i++) {
        const struct raw_tensor *t = layer->shard[i];

        if (!shape_is(t, rule, dim)) {
            shape_text(found, t->dim, t->n_dims);
            shape_text(wanted, dim, rule->n_dims);
            if (layer->n_shards == 1) {
                return err_set(q->e, STATUS_BAD_FORMAT, "%s: tensor %s: found %s, expected %s", path, name,
                               found, wanted);
            }
            return err_set(q->e, STATUS_BAD_FORMAT,
                           "%s: tensor %s: shard %d of %d holds %s, expected %s as its part of %s", path,
                           name, i, layer->n_shards, found, wanted,
                           shape_text(full, rule->dim, rule->n_dims));
        }
        if (!dtype_is_weight(t->dtype)) {
            return err_set(q->e, STATUS_UNSUPPORTED,
                           "%s: tensor %s: found dtype %s, expected f32, f16 or bf16", path, name,
                           dtype_info(t->dtype)->name);
        }
        if (t->dtype != layer->shard[0]->dtype) {
            return err_set(q->e, STATUS_BAD_FORMAT, "%s: tensor %s: shard %d holds %s, shard 0 %s", path,
                           name, i, dtype_info(t->dtype)->name, dtype_info(layer->shard[0]->dtype)->name);
        }
    }
    if (p->axis >= 0 && p->axis == rule->n_dims - 1) {
        const struct dtype_info *info = dtype_info(layer->shard[0]->dtype);

        if (p->piece % (int64_t)info->block_elements != 0) {
            return err_set(
                q->e, STATUS_UNSUPPORTED,
                "%s: tensor %s: pieces of %lld columns for %d shards and %d ranks would cut through "
                "the blocks of %zu of %s",
                path, name, (long long)p->piece, layer->n_shards, q->ranks, info->block_elements, info->name);
        }
    }
    return STATUS_OK;
}

/* What ops compute with: f64 is beyond them. */
static enum dtype dtype_used(enum dtype t)
{
    return t == DTYPE_F64 ? DTYPE_F32 : t;
}

/* A gapless copy that the name keeps. */
static enum status copy_make(const struct request *q, const struct raw_tensor *t, const void *from,
                             void **data)
{
    struct ckpt_copy *copy = malloc(sizeof *copy);
    size_t bytes = 0, elements = 0;
    bool sane =
        shape_bytes(t->dtype, t->dim, t->n_dims, &bytes) && shape_elements(t->dim, t->n_dims, &elements);

    assert(sane);
    *data = sane ? malloc(bytes + 1) : NULL;
    if (copy == NULL || *data == NULL) {
        free(copy);
        free(*data);
        return err_no_memory(q->e, q->name->entry.name);
    }
    raw_tensor_copy(t, from, *data);
    if (t->dtype == DTYPE_F64) {
        /* In place, front to back: each float is written over doubles that were already read. */
        for (size_t i = 0; i < elements; i++) {
            float f;

            dtype_info(DTYPE_F64)->to_f32(&f, (const char *)*data + i * sizeof(double), 1);
            memcpy((char *)*data + i * sizeof f, &f, sizeof f);
        }
    }
    copy->of = t;
    copy->data = *data;
    copy->next = q->name->copies;
    q->name->copies = copy;
    return STATUS_OK;
}

/* A shard's tensor as rows: where it lies if ops can read it there, else copied. */
static enum status rows_find(const struct request *q, const struct raw_tensor *t, const void **data,
                             int64_t *stride)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    const size_t alignment = info->block_elements == 1 ? info->block_bytes : 1; /* blocks are bytes */
    enum status st = raw_tensor_data(t, data, q->e);
    void *made;

    if (st != STATUS_OK) return st;
    if (raw_tensor_rows(t, stride) && (uintptr_t)*data % alignment == 0 && t->dtype != DTYPE_F64)
        return STATUS_OK;
    assert(info->block_elements == 1); /* blocks come from GGUF, which has whole rows */
    *stride = t->n_dims > 0 ? t->dim[t->n_dims - 1] : 1;
    for (const struct ckpt_copy *copy = q->name->copies; copy != NULL; copy = copy->next) {
        if (copy->of != t) continue;
        *data = copy->data;
        return STATUS_OK;
    }
    st = copy_make(q, t, *data, &made);
    if (st == STATUS_OK) *data = made;
    return st;
}

/* Whether two tensors of one shape and dtype begin alike. Only the first row, at most 4 KiB of it: that lies beside the local
 * header, which is read anyway, while every further place would be one more seek in a file of 20 GB. */
static bool sample_equal(const struct tensor *like, const void *a, const void *b)
{
    enum { SAMPLE_BYTES = 4 << 10 };
    size_t row_bytes = dtype_bytes(like->dtype, (size_t)tensor_columns(like));

    return memcmp(a, b, row_bytes < SAMPLE_BYTES ? row_bytes : SAMPLE_BYTES) == 0;
}

/* The first shard's copy, after a look at the others. */
static enum status replica_take(const struct request *q, const struct ckpt_layer *layer, struct tensor *t)
{
    const void *data;
    enum status st = rows_find(q, layer->shard[0], &data, &t->stride);

    if (st != STATUS_OK) return st;
    t->data = (void *)(uintptr_t)data;
    for (int i = 1; i < layer->n_shards; i++) {
        const void *other;
        int64_t stride;

        st = rows_find(q, layer->shard[i], &other, &stride);
        if (st != STATUS_OK) return st;
        if (sample_equal(t, data, other)) continue;
        report_warn(q->c->report,
                    "%s: tensor %s should be the same in all shards, but shard %d differs from shard 0, "
                    "which is used",
                    q->c->sources[layer->source].path, q->name->entry.name, i);
        break;
    }
    return STATUS_OK;
}

/* Points the view's pieces at the shards. */
static enum status pieces_take(const struct request *q, const struct ckpt_layer *layer,
                               const struct partition *p, struct ckpt_view *v)
{
    struct tensor *t = &v->tensor;
    int64_t per_group = p->rank / p->piece, count = p->groups * per_group, row_unit = 1;
    int64_t shard_last = -1, inside_last = 0;
    int64_t first_row = p->axis == 1 && q->expert > 0 ? q->expert * t->dim[0] : 0;
    bool columns = p->axis == t->n_dims - 1, one_run = true;
    const void **data = malloc((size_t)count * (sizeof *data + sizeof(int64_t)));
    int64_t *stride = (int64_t *)(data + count);

    if (data == NULL) return err_no_memory(q->e, q->name->entry.name);
    v->table = data;
    /* With more than two dims one unit of dim 0 is several rows. */
    for (int i = 1; i < t->n_dims - 1; i++) row_unit *= t->dim[i];
    for (int64_t i = 0; i < count; i++) {
        int64_t unit = q->rank * p->rank + i % per_group * p->piece; /* of this group, over all shards */
        int64_t shard = unit / p->shard, inside = (p->first + i / per_group) * p->shard + unit % p->shard;
        const void *base;
        enum status st = rows_find(q, layer->shard[shard], &base, &stride[i]);

        if (st != STATUS_OK) return st;
        data[i] =
            (const char *)base + dtype_bytes(t->dtype, (size_t)(columns ? first_row * stride[i] + inside
                                                                        : inside * row_unit * stride[i]));
        if (i > 0 && (shard != shard_last || inside != inside_last + p->piece)) one_run = false;
        shard_last = shard;
        inside_last = inside;
    }
    if (one_run) {
        t->data = (void *)(uintptr_t)data[0];
        t->stride = stride[0];
        return STATUS_OK;
    }
    v->pieces = (struct tensor_pieces){
        .axis = columns ? 1 : 0, .count = (int)count, .data = data, .stride = stride
    };
    t->pieces = &v->pieces;
    return STATUS_OK;
}

static void view_free(struct ckpt_view *v)
{
    if (v == NULL) return;
    free(v->table);
    free(v->sum);
    free(v);
}

void ckpt_name_release(struct ckpt_name *n)
{
    while (n->views != NULL) {
        struct ckpt_view *v = n->views;

        n->views = v->next;
        view_free(v);
    }
    while (n->copies != NULL) {
        struct ckpt_copy *copy = n->copies;

        n->copies = copy->next;
        free(copy->data);
        free(copy);
    }
}

/* What one layer holds for the request, as a tensor. */
static enum status layer_view(const struct request *q, const struct ckpt_layer *layer, struct ckpt_view **out)
{
    const struct ckpt_rule *rule = q->rule;
    struct ckpt_view *v = calloc(1, sizeof *v);
    struct partition p;
    enum status st;

    *out = v;
    if (v == NULL) return err_no_memory(q->e, q->name->entry.name);
    st = partition_find(q, layer, &p);
    if (st == STATUS_OK) st = shards_check(q, layer, &p);
    if (st != STATUS_OK) return st;
    v->rule = *rule;
    v->expert = q->expert;
    v->rank = q->rank;
    v->ranks = q->ranks;
    v->tensor.dtype = dtype_used(layer->shard[0]->dtype);
    v->tensor.n_dims = rule->n_dims > 0 ? rule->n_dims : 1;
    v->tensor.dim[0] = 1;
    memcpy(v->tensor.dim, rule->dim, (size_t)rule->n_dims * sizeof *rule->dim);
    if (p.axis < 0) return replica_take(q, layer, &v->tensor);
    v->tensor.dim[p.axis] = p.groups * p.rank;
    if (p.axis == 1 && q->expert >= 0) v->tensor.dim[0] /= rule->experts;
    return pieces_take(q, layer, &p, v);
}

/* What is added up row by row: a value and its differences, or the parts of a mix. */
struct sum {
    struct ckpt_view **part; /* [n]; the first is the view that the sum replaces */
    int n;
    float *row; /* [1 + n][columns]: the sum, the parts */
};

static enum status sum_begin(const struct request *q, struct ckpt_view *view, struct sum *s)
{
    size_t columns = (size_t)tensor_columns(&view->tensor), rows = (size_t)tensor_rows(&view->tensor);
    enum status st = STATUS_OK;

    s->part = calloc((size_t)s->n, sizeof(struct ckpt_view *));
    s->row = malloc(((size_t)s->n + 1) * columns * sizeof *s->row);
    view->sum = malloc(dtype_bytes(view->tensor.dtype, rows * columns));
    if (s->part == NULL || s->row == NULL || view->sum == NULL)
        return err_no_memory(q->e, q->name->entry.name);
    s->part[0] = view;
    for (int k = 1; k < s->n && st == STATUS_OK; k++) st = layer_view(q, &q->name->layers[k], &s->part[k]);
    return st;
}

static void sum_end(struct sum *s)
{
    for (int k = 1; k < s->n && s->part != NULL; k++) view_free(s->part[k]);
    free(s->part);
    free(s->row);
}

/* A number that is not finite would spread to the mix, where nobody could tell any longer whose it was. */
static enum status mix_check_finite(const struct request *q, const struct sum *s, int64_t row, size_t columns)
{
    for (int k = 0; k < s->n; k++) {
        const float *x = s->row + (size_t)(k + 1) * columns;

        for (size_t j = 0; j < columns; j++) {
            if (isfinite(x[j])) continue;
            return err_set(
                q->e, STATUS_NUMERIC,
                "%s: tensor %s, row %lld: holds a number that is not finite, which cannot be mixed",
                q->c->sources[q->name->layers[k].source].path, q->name->entry.name, (long long)row);
        }
    }
    return STATUS_OK;
}

/* One row of the sum, in float32. */
static enum status sum_row(const struct request *q, struct sum *s, int64_t row, size_t columns)
{
    const struct ckpt_name *name = q->name;
    bool equal = name->mixed;
    enum status st = STATUS_OK;

    for (int k = 0; k < s->n; k++) {
        float *x = s->row + (size_t)(k + 1) * columns;

        tensor_row_f32(&s->part[k]->tensor, row, 0, (int64_t)columns, x);
        /* A difference is added to what it happens to be equal to, too. */
        equal = equal && q->c->sources[name->layers[k].source].format != CKPT_CONSOLIDATED_DIFF &&
                memcmp(x, s->row + columns, columns * sizeof *x) == 0;
    }
    if (name->mixed) st = mix_check_finite(q, s, row, columns);
    if (equal) {
        memcpy(s->row, s->row + columns, columns * sizeof *s->row);
        return st;
    }
    if (name->mixed) q->name->differs = true;
    for (size_t j = 0; j < columns; j++) s->row[j] = name->layers[0].weight * s->row[columns + j];
    for (int k = 1; k < s->n; k++) {
        const float *x = s->row + (size_t)(k + 1) * columns;

        for (size_t j = 0; j < columns; j++) s->row[j] += name->layers[k].weight * x[j];
    }
    return st;
}

/* The view becomes the sum of all layers, rounded once to the view's dtype. */
static enum status layers_sum(const struct request *q, struct ckpt_view *view)
{
    struct tensor *t = &view->tensor;
    const struct dtype_info *info = dtype_info(t->dtype);
    size_t rows = (size_t)tensor_rows(t), columns = (size_t)tensor_columns(t);
    struct sum s = { .n = q->name->n_layers };
    enum status st = sum_begin(q, view, &s);

    for (size_t i = 0; i < rows && st == STATUS_OK; i++) {
        st = sum_row(q, &s, (int64_t)i, columns);
        info->from_f32((char *)view->sum + dtype_bytes(t->dtype, i * columns), s.row, columns);
    }
    sum_end(&s);
    if (st != STATUS_OK) return st;
    t->data = view->sum;
    t->pieces = NULL;
    t->stride = (int64_t)columns;
    return STATUS_OK;
}

static bool view_is(const struct ckpt_view *v, const struct request *q)
{
    return v->expert == q->expert && v->rank == q->rank && v->ranks == q->ranks &&
           v->rule.split == q->rule->split && v->rule.experts == q->rule->experts &&
           v->rule.n_dims == q->rule->n_dims &&
           memcmp(v->rule.dim, q->rule->dim, (size_t)q->rule->n_dims * sizeof *q->rule->dim) == 0;
}

/* The view that answers the request, made now or given out before. The caller holds the mutex. */
static enum status view_get(const struct request *q, struct tensor *out)
{
    struct ckpt_name *name = q->name;
    struct ckpt_view *v;
    enum status st;

    for (v = name->views; v != NULL; v = v->next) {
        if (!view_is(v, q)) continue;
        *out = v->tensor;
        return STATUS_OK;
    }
    st = layer_view(q, &name->layers[0], &v);
    if (st == STATUS_OK && (name->n_layers > 1 || name->layers[0].weight != 1)) st = layers_sum(q, v);
    if (st != STATUS_OK) {
        view_free(v);
        return st;
    }
    v->next = name->views;
    name->views = v;
    *out = v->tensor;
    return STATUS_OK;
}

static enum status missing(const struct checkpoint *c, const char *name, struct err *e)
{
    if (c->n_sources == 1) {
        return err_set(e, STATUS_NOT_FOUND, "%s: tensor %s is missing", c->sources[0].path, name);
    }
    return err_set(e, STATUS_NOT_FOUND, "%s: tensor %s is missing, here and in the %d checkpoints after it",
                   c->sources[0].path, name, c->n_sources - 1);
}

static enum status request_answer(struct request *q, const char *name, struct tensor *out)
{
    enum status st;

    assert(q->rule->n_dims >= (q->rule->split != CKPT_REPLICATED) && q->rule->n_dims <= TENSOR_DIMS_MAX);
    assert((q->rule->split != CKPT_COLUMNS && q->rule->split != CKPT_EXPERT_ROWS) || q->rule->n_dims == 2);
    assert(q->expert < 0 || q->expert < q->rule->experts);
    assert(q->rule->split != CKPT_EXPERT_ROWS || q->rule->experts > 0);
    assert(q->ranks > 0 && q->rank >= 0 && q->rank < q->ranks);
    memset(out, 0, sizeof *out);
    q->name = ckpt_name_find(q->c, name);
    if (q->name == NULL) return missing(q->c, name, q->e);
    if (q->name->lacking) return ckpt_mix_missing(q->c, q->e);
    pthread_mutex_lock(&q->c->mutex);
    st = view_get(q, out);
    pthread_mutex_unlock(&q->c->mutex);
    if (st == STATUS_OK) atomic_store(&q->name->used, true);
    return st;
}

enum status ckpt_tensor(struct checkpoint *c, const char *name, const struct ckpt_rule *rule, int rank,
                        int ranks, struct tensor *out, struct err *e)
{
    struct request q = { .c = c, .rule = rule, .expert = -1, .rank = rank, .ranks = ranks, .e = e };

    return request_answer(&q, name, out);
}

enum status ckpt_expert(struct checkpoint *c, const char *name, const struct ckpt_rule *rule, int expert,
                        int rank, int ranks, struct tensor *out, struct err *e)
{
    struct request q = { .c = c, .rule = rule, .expert = expert, .rank = rank, .ranks = ranks, .e = e };

    assert((rule->split == CKPT_EXPERT_ROWS || rule->split == CKPT_COLUMNS) && expert >= 0);
    return request_answer(&q, name, out);
}

/* Lets go of the mapped pages of one source that hold t. */
static void pages_drop(const struct ckpt_source *s, const struct raw_tensor *t)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    const void *data;
    size_t elements = 1, bytes;

    if (raw_tensor_data(t, &data, NULL) != STATUS_OK) return;
    for (int i = 0; i < t->n_dims; i++) {
        if (t->dim[i] == 0) return;
        elements += (size_t)((t->dim[i] - 1) * t->stride[i]);
    }
    bytes = (elements + info->block_elements - 1) / info->block_elements * info->block_bytes;
    for (int i = 0; i < s->n_files; i++) {
        const struct ckpt_file *f = &s->files[i];
        const struct file_map *maps[] = { &f->torch.map, &f->safetensors.map, &f->gguf.map };

        for (size_t k = 0; k < sizeof maps / sizeof *maps; k++) file_map_drop(maps[k], data, bytes);
    }
}

void ckpt_forget(struct checkpoint *c, const char *name)
{
    struct ckpt_name *n = ckpt_name_find(c, name);

    if (n == NULL) return;
    pthread_mutex_lock(&c->mutex);
    ckpt_name_release(n);
    for (int i = 0; i < n->n_layers; i++) {
        for (int k = 0; k < n->layers[i].n_shards; k++)
            pages_drop(&c->sources[n->layers[i].source], n->layers[i].shard[k]);
    }
    pthread_mutex_unlock(&c->mutex);
}
