/* checkpoint_params.c - see checkpoint_params.h. */
#include "store/checkpoint_params.h"

#include "store/zip.h"

struct ckpt_rule ckpt_param_rule(const struct param *p)
{
    static const enum ckpt_split splits[] = { [SPLIT_NONE] = CKPT_REPLICATED,
                                              [SPLIT_ROWS] = CKPT_ROWS,
                                              [SPLIT_COLUMNS] = CKPT_COLUMNS,
                                              [SPLIT_EXPERTS] = CKPT_EXPERT_ROWS };
    struct ckpt_rule rule = { .split = splits[p->split], .experts = p->experts, .n_dims = p->n_dims };

    memcpy(rule.dim, p->dim, sizeof rule.dim);
    return rule;
}

/* A view in a .pth file may tell more numbers than the file has, by strides that overlap. Copying such a one would take memory that no
 * file's size bounds. */
static enum status check_stored(const struct checkpoint *c, const char *name, struct err *e)
{
    enum { EXPANDED_MAX = 1 << 20 };
    const struct ckpt_entry *entry = ckpt_find(c, name);

    for (int i = 0; entry != NULL && i < entry->shards; i++) {
        const struct raw_tensor *t = entry->shard[i];
        char text[SHAPE_TEXT_MAX];
        size_t bytes;

        if (t->member == NULL) continue;
        if (shape_bytes(t->dtype, t->dim, t->n_dims, &bytes) &&
            (bytes <= EXPANDED_MAX || bytes <= t->member->size))
            continue;
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: tensor %s: %s numbers are told, but only %llu bytes are stored",
                       ckpt_path(c, entry->path), name, shape_text(text, t->dim, t->n_dims),
                       (unsigned long long)t->member->size);
    }
    return STATUS_OK;
}

/* A small weight as contiguous float32: in place if it is that already. Its dims stay. */
static enum status to_vector(struct tensor *t, struct arena *a, struct err *e)
{
    int64_t n_rows = tensor_rows(t), n = tensor_columns(t);
    float *data;

    if (t->dtype == DTYPE_F32 && t->pieces == NULL && (n_rows == 1 || t->stride == n)) return STATUS_OK;
    data = arena_alloc(a, (size_t)(n_rows * n) * sizeof *data);
    if (data == NULL) return err_no_memory(e, "weights");
    for (int64_t r = 0; r < n_rows; r++) tensor_row_f32(t, r, 0, n, data + r * n);
    t->dtype = DTYPE_F32;
    t->pieces = NULL;
    t->data = data;
    t->stride = n;
    return STATUS_OK;
}

/* A convolution's weight [N, C, p, p] as the matrix [N, C*p*p] that `linear` takes. */
static enum status to_matrix(struct tensor *t, struct arena *a, struct err *e)
{
    int64_t n_rows = tensor_rows(t), n = tensor_columns(t);
    size_t row_bytes = dtype_bytes(t->dtype, (size_t)n);

    if (t->n_dims == 2) return STATUS_OK;
    if (t->stride != n) { /* saved as a view of something wider */
        unsigned char *data = arena_alloc(a, (size_t)n_rows * row_bytes);

        if (data == NULL) return err_no_memory(e, "weights");
        for (int64_t r = 0; r < n_rows; r++) {
            memcpy(data + (size_t)r * row_bytes, tensor_row(t, r, 0, n, NULL), row_bytes);
        }
        t->data = data;
    }
    for (int i = 2; i < t->n_dims; i++) t->dim[1] *= t->dim[i];
    t->stride = t->dim[1];
    t->n_dims = 2;
    return STATUS_OK;
}

enum status ckpt_param(struct checkpoint *c, const struct param *p, int rank, int ranks, struct arena *a,
                       struct tensor *slot, struct err *e)
{
    struct ckpt_rule rule = ckpt_param_rule(p);
    struct adapter *adapter = slot->adapter; /* laid out already; it is filled when its parts are visited */
    enum status st = check_stored(c, p->name, e);

    if (st != STATUS_OK) return st;
    if (p->experts > 1) {
        for (int i = 0; i < p->experts && st == STATUS_OK; i++) {
            st = ckpt_expert(c, p->name, &rule, i, rank, ranks, &slot[i], e);
        }
        return st;
    }
    st = ckpt_tensor(c, p->name, &rule, rank, ranks, slot, e);
    slot->adapter = adapter;
    if (st != STATUS_OK) return st;
    return p->kind == PARAM_VECTOR ? to_vector(slot, a, e) : to_matrix(slot, a, e);
}
