/* run_model.c - see run_model.h. The network is walked twice: to declare its tensors, and to put their rows. */
#include "train/run_model.h"

#include <stdlib.h>

#include "model/model_writer.h"
#include "train/run_adapter.h"
#include "train/run_state.h"

struct saving {
    struct trainer *t;
    enum dtype type;
    struct written_tensor *tensors;
    size_t n, capacity;
    size_t next_trained; /* of the trainees, which are in the network's order */
    struct model_writer *writer;
    unsigned char *row; /* [widest row] in the type */
    float *numbers;     /* the same as float32 */
    size_t width;
    struct arena arena;
    struct err err;
};

enum dtype run_model_type(const struct train_config *c)
{
    if (c->save_type == TRAIN_SAVE_F32) return DTYPE_F32;
    if (c->save_type == TRAIN_SAVE_BF16) return DTYPE_BF16;
    return c->precision == TRAIN_BF16 ? DTYPE_BF16 : DTYPE_F32;
}

/* The trainee of this name, if its turn has come. */
static struct trainee *trained(struct saving *s, const char *name)
{
    struct trainees *all = &s->t->trainees;
    struct trainee *x = s->next_trained < all->n ? &all->item[s->next_trained] : NULL;

    if (x == NULL || strcmp(x->name, name) != 0) return NULL;
    s->next_trained++;
    return x;
}

/* Tensors that upstream stores and nobody uses are copied, so that its loader finds them; in models of other sizes than the released ones
 * they may have any shape, and are left out. */
static bool unused_tensor(const struct saving *s, const struct param *p, struct tensor *x)
{
    struct ckpt_rule rule = ckpt_param_rule(p);
    struct err e = { 0 };

    return ckpt_has(s->t->checkpoint, p->name) &&
           ckpt_tensor(s->t->checkpoint, p->name, &rule, 0, 1, x, &e) == STATUS_OK;
}

static bool is_saved(const struct saving *s, const struct param *p, const struct tensor *slot,
                     bool is_trained)
{
    struct tensor x;

    if (s->t->config->only_save_trainable) return is_trained;
    return slot != NULL || unused_tensor(s, p, &x);
}

/* ---- declaring --------------------------------------------------------------------------------------------- */

static bool grow(struct saving *s)
{
    size_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
    struct written_tensor *more = realloc(s->tensors, capacity * sizeof *more);

    if (more == NULL) return false;
    s->tensors = more;
    s->capacity = capacity;
    return true;
}

static void declare(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct saving *s = v->user;
    size_t width = 1;

    if (!is_saved(s, p, slot, trained(s, p->name) != NULL) || s->err.code != STATUS_OK) return;
    if (s->n == s->capacity && !grow(s)) {
        err_no_memory(&s->err, "list of tensors");
        return;
    }
    s->tensors[s->n] = (struct written_tensor){ .name = arena_printf(&s->arena, "llma.%s", p->name),
                                                .dtype = s->type,
                                                .split = p->split,
                                                .experts = p->experts,
                                                .n_dims = p->n_dims };
    memcpy(s->tensors[s->n].dim, p->dim, sizeof p->dim);
    if (s->tensors[s->n++].name == NULL) err_no_memory(&s->err, "list of tensors");
    for (int i = 1; i < p->n_dims; i++) width *= (size_t)p->dim[i]; /* of a matrix; a vector is one row */
    if (p->n_dims == 1) width = (size_t)p->dim[0];
    if (width > s->width) s->width = width;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

/* `numbers` or the tensor's own bytes as the rows of the file: its rows may be shorter than ours, where ours stand for a convolution. */
static void put_row(struct saving *s, const struct param *p, const void *row, size_t width)
{
    size_t last = p->n_dims > 0 ? (size_t)p->dim[p->n_dims - 1] : 1;

    if (s->err.code == STATUS_OK) model_writer_rows(s->writer, row, (int64_t)(width / last), &s->err);
}

static void put_numbers(struct saving *s, const struct param *p, const float *numbers, size_t width)
{
    dtype_info(s->type)->from_f32(s->row, numbers, width);
    put_row(s, p, s->row, width);
}

static void put_tensor(struct saving *s, const struct param *p, const struct tensor *x)
{
    int64_t n_rows = tensor_rows(x), width = tensor_columns(x);

    for (int64_t r = 0; r < n_rows; r++) {
        if (x->dtype == s->type) {
            put_row(s, p, tensor_row(x, r, 0, width, s->row), (size_t)width);
            continue;
        }
        tensor_row_f32(x, r, 0, width, s->numbers);
        put_numbers(s, p, s->numbers, (size_t)width);
    }
}

static void put_trained(struct saving *s, const struct param *p, const struct trainee *x)
{
    size_t at = 0;

    for (int i = 0; i < x->n_slots; i++) {
        size_t width = (size_t)tensor_columns(&x->slot[i]),
               end = at + width * (size_t)tensor_rows(&x->slot[i]);

        for (; at < end; at += width) put_numbers(s, p, x->master + at, width);
    }
}

static void put_unused(struct saving *s, const struct param *p)
{
    struct tensor x;

    if (!unused_tensor(s, p, &x)) return;
    put_tensor(s, p, &x);
    ckpt_forget(s->t->checkpoint, p->name);
}

static void put(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct saving *s = v->user;
    const struct trainee *x = trained(s, p->name);

    if (!is_saved(s, p, slot, x != NULL) || s->err.code != STATUS_OK) return;
    if (x != NULL) {
        put_trained(s, p, x);
    } else if (slot == NULL) {
        put_unused(s, p);
    } else {
        for (int i = 0; i < p->experts; i++) put_tensor(s, p, &slot[i]);
    }
}

/* ---- the folder -------------------------------------------------------------------------------------------- */

static void walk(struct saving *s,
                 void (*visit)(struct param_visitor *, const struct param *, struct tensor *))
{
    struct param_visitor v = { .visit = visit, .user = s };

    s->next_trained = 0;
    network_params(&s->t->network, &v);
}

static enum status write_all(struct saving *s, const char *folder, struct err *e)
{
    struct trainer *t = s->t;
    struct model_writer_options o = { .path = folder,
                                      .format = MODEL_TORCH,
                                      .shards = 1,
                                      .type = s->type,
                                      .description = { .config = &t->network.config,
                                                       .tokenizer = t->tokenizer,
                                                       .config_json = t->config_json,
                                                       .config_size = t->config_json_size } };
    enum status st;

    s->row = malloc(s->width * sizeof *s->numbers);
    s->numbers = malloc(s->width * sizeof *s->numbers);
    if (s->row == NULL || s->numbers == NULL) return err_no_memory(e, folder);
    st = model_writer_open(&s->writer, &o, s->tensors, s->n, e);
    if (st != STATUS_OK) return st;
    walk(s, put);
    st = s->err.code == STATUS_OK ? run_state_write(t, model_writer_folder(s->writer), e)
                                  : err_set(e, s->err.code, "%s", s->err.text);
    if (st == STATUS_OK) return model_writer_commit(s->writer, e);
    model_writer_abort(s->writer);
    return st;
}

static void saving_free(struct saving *s)
{
    free(s->tensors);
    free(s->row);
    free(s->numbers);
    arena_free(&s->arena);
}

enum status run_model_bytes(struct trainer *t, uint64_t *bytes, struct err *e)
{
    struct saving s = { .t = t, .type = run_model_type(t->config) };
    size_t size = 0;

    if (train_config_adapts(t->config)) {
        *bytes = run_adapter_bytes(t);
        return STATUS_OK;
    }
    walk(&s, declare);
    *bytes = run_state_bytes(t);
    for (size_t i = 0; i < s.n; i++) {
        if (s.err.code == STATUS_OK && !shape_bytes(s.type, s.tensors[i].dim, s.tensors[i].n_dims, &size))
            err_set(&s.err, STATUS_BAD_ARGUMENT, "%s is too large", s.tensors[i].name);
        *bytes += size;
    }
    saving_free(&s);
    return s.err.code == STATUS_OK ? STATUS_OK : err_set(e, s.err.code, "%s", s.err.text);
}

enum status run_model_write(struct trainer *t, const char *folder, struct err *e)
{
    struct saving s = { .t = t, .type = run_model_type(t->config) };
    enum status st;

    if (train_config_adapts(t->config)) return run_adapter_write(t, folder, e);
    walk(&s, declare);
    st = s.err.code == STATUS_OK ? write_all(&s, folder, e) : err_set(e, s.err.code, "%s", s.err.text);
    saving_free(&s);
    return st;
}
