/* sam_convert.c - see sam_convert.h. First the plan, so that what cannot be done is said before anything is written; then the rows. */
#include "segment/sam_convert.h"

#include "segment/sam_load.h"
#include "store/gguf_names.h"
#include "store/gguf_writer.h"

#include <stdlib.h>

struct conversion {
    struct sam_file in;
    struct policy *policy;
    const struct report *report;
    struct convert_result *result;
    struct tensor_spec *specs;  /* [n] */
    const struct tensor **from; /* [n] */
    size_t n;
    struct gguf_writer writer;
    uint64_t written;
    struct arena arena;
    struct err err; /* of the plan */
};

bool sam_is(const char *path)
{
    struct checkpoint *c = NULL;
    bool is = ckpt_open(&c, &path, 1, NULL, NULL) == STATUS_OK && ckpt_has(c, "image_encoder.pos_embed");

    ckpt_close(c);
    return is;
}

/* ---- the plan ---------------------------------------------------------------------------------------------- */

static void plan_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct conversion *c = v->user;
    enum dtype stored = ckpt_find(c->in.checkpoint, p->name)->shard[0]->dtype, wanted;
    struct tensor_spec *spec = &c->specs[c->n];
    char name[GGUF_NAME_MAX + 1];

    stored = stored == DTYPE_F64 ? DTYPE_F32 : stored;
    *spec = (struct tensor_spec){ .n_dims = p->n_dims };
    memcpy(spec->dim, p->dim, (size_t)p->n_dims * sizeof *p->dim);
    spec->dtype = policy_choose(c->policy, p, stored, &wanted);
    spec->name = gguf_name_from_upstream(p->name, name, sizeof name) ? arena_strdup(&c->arena, name) : NULL;
    if (spec->name == NULL) err_no_memory(&c->err, p->name);
    c->from[c->n++] = slot;
    c->result->n_of_type[spec->dtype]++;
    c->result->n_fallbacks += spec->dtype != wanted;
    c->result->n_requantised +=
        policy_is_quantised(spec->dtype) && policy_is_quantised(stored) && spec->dtype != stored;
}

static enum status plan_all(struct conversion *c, struct err *e)
{
    struct param_visitor v = { .visit = plan_one, .user = c };
    size_t count = ckpt_count(c->in.checkpoint), bytes;

    c->specs = arena_calloc(&c->arena, count, sizeof *c->specs);
    c->from = arena_calloc(&c->arena, count, sizeof(struct tensor *));
    if (c->specs == NULL || c->from == NULL) return err_no_memory(e, "list of tensors");
    sam_params(&c->in.sam, &v);
    if (c->err.code != STATUS_OK) return err_set(e, c->err.code, "%s", c->err.text);
    c->result->n_tensors = c->n;
    for (size_t i = 0; i < c->n; i++) {
        if (shape_bytes(c->specs[i].dtype, c->specs[i].dim, c->specs[i].n_dims, &bytes))
            c->result->bytes += bytes;
    }
    return policy_all_used(c->policy, e);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static enum status write_one(struct conversion *c, const struct tensor_spec *spec, const struct tensor *from,
                             struct err *e)
{
    int64_t rows = tensor_rows(from), columns = tensor_columns(from);
    size_t bytes = dtype_bytes(spec->dtype, (size_t)columns);
    struct arena_mark mark = arena_mark(&c->arena);
    float *x = arena_alloc(&c->arena, (size_t)columns * sizeof *x);
    void *y = arena_alloc(&c->arena, bytes);
    enum status st = x != NULL && y != NULL ? STATUS_OK : err_no_memory(e, "rows");

    for (int64_t i = 0; i < rows && st == STATUS_OK; i++) {
        if (report_cancelled(c->report)) st = err_set(e, STATUS_CANCELLED, "cancelled");
        if (from->dtype == spec->dtype) {
            if (st == STATUS_OK)
                st = gguf_writer_put(&c->writer, tensor_row(from, i, 0, columns, y), bytes, e);
            continue;
        }
        tensor_row_f32(from, i, 0, columns, x);
        if (!dtype_holds(spec->dtype, x, (size_t)columns)) {
            st = err_set(e, STATUS_NUMERIC,
                         "%s, row %lld: holds a number that is not finite or above %d, which %s cannot hold",
                         spec->name, (long long)i, DTYPE_F16_MAX, dtype_info(spec->dtype)->name);
        }
        dtype_info(spec->dtype)->from_f32(y, x, (size_t)columns);
        if (st == STATUS_OK) st = gguf_writer_put(&c->writer, y, bytes, e);
    }
    arena_reset(&c->arena, mark);
    c->written += (uint64_t)rows * bytes;
    report_progress(c->report, "convert", c->written, c->result->bytes);
    return st;
}

static enum status write_all(struct conversion *c, const char *out, struct err *e)
{
    struct gguf_keys keys = { 0 };
    enum status st;

    gguf_key_string(&keys, "general.architecture", "sam");
    gguf_key_u32(&keys, "general.quantization_version", 2); /* of ggml's block layouts */
    st = gguf_writer_open(&c->writer, out, &keys, c->specs, c->n, e);
    gguf_keys_free(&keys);
    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < c->n && st == STATUS_OK; i++) st = write_one(c, &c->specs[i], c->from[i], e);
    if (st == STATUS_OK) return gguf_writer_commit(&c->writer, e);
    gguf_writer_abort(&c->writer);
    return st;
}

enum status sam_convert(const char *path, const char *out, struct policy *policy, const struct report *report,
                        struct convert_result *r, struct err *e)
{
    struct conversion c = { .policy = policy, .report = report, .result = r };
    enum status st;

    memset(r, 0, sizeof *r);
    st = sam_open(&c.in, path, report, e);
    if (st == STATUS_OK) st = plan_all(&c, e);
    if (st == STATUS_OK) st = write_all(&c, out, e);
    sam_close(&c.in);
    arena_free(&c.arena);
    return st;
}
