/* dump.c - see dump.h. */
#include "model/dump.h"

#include "model/step.h"
#include "store/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

struct dumped {
    struct tensor_spec spec;
    void *data;
    struct dumped *next;
};

struct dump {
    const struct sphinx_session *session;
    struct dumped *first, **end;
    size_t n;
    bool all;
    struct arena arena;
    struct err err;
};

static struct dumped *append(struct dump *d, const char *name, enum dtype dtype, size_t bytes)
{
    struct dumped *x = arena_calloc(&d->arena, 1, sizeof *x);
    char *copy = arena_strdup(&d->arena, name);
    void *data = arena_alloc(&d->arena, bytes);

    if (x == NULL || copy == NULL || data == NULL) {
        err_no_memory(&d->err, "dump");
        return NULL;
    }
    x->spec.name = copy;
    x->spec.dtype = dtype;
    x->data = data;
    *d->end = x;
    d->end = &x->next;
    d->n++;
    return x;
}

static bool is_contract(const char *name)
{
    static const char *const names[] = { "views",   "clip",         "convnext", "dinov2",
                                         "qformer", "image_tokens", "logits" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

/* Ops see matrices; the dump's contract wants the views apart. */
static void set_shape(const struct dump *d, struct tensor_spec *spec, const char *name, int64_t n_rows,
                      int64_t width)
{
    const struct img_views *k = &d->session->model->network.config.views;
    int64_t count = img_views_count(k->layout);

    if (strcmp(name, "views") == 0) {
        *spec = (struct tensor_spec){ spec->name, spec->dtype, 4, { count, 3, k->view_size, k->view_size } };
    } else if (strcmp(name, "logits") == 0) {
        *spec = (struct tensor_spec){ spec->name, spec->dtype, 1, { width } };
    } else if (is_contract(name) && strcmp(name, "image_tokens") != 0) {
        *spec = (struct tensor_spec){ spec->name, spec->dtype, 3, { count, n_rows / count, width } };
    } else {
        *spec = (struct tensor_spec){ spec->name, spec->dtype, 2, { n_rows, width } };
    }
}

static void observe_one(void *user, const char *name, const struct tensor *x)
{
    struct dump *d = user;
    int64_t n_rows = tensor_rows(x), width = tensor_columns(x);
    struct dumped *out;

    if (!d->all && !is_contract(name)) return;
    out = append(d, name, DTYPE_F32, (size_t)(n_rows * width) * sizeof(float));
    if (out == NULL) return;
    set_shape(d, &out->spec, name, n_rows, width);
    for (int64_t r = 0; r < n_rows; r++) {
        memcpy((float *)out->data + r * width, tensor_f32(x) + r * x->stride, (size_t)width * sizeof(float));
    }
}

static enum status write_file(const struct dump *d, const char *path, struct err *e)
{
    struct tensor_spec *specs = calloc(d->n, sizeof *specs);
    struct safetensors_writer w = { 0 };
    enum status st;
    size_t n = 0;

    if (specs == NULL) return err_no_memory(e, "dump");
    for (const struct dumped *x = d->first; x != NULL; x = x->next) specs[n++] = x->spec;
    st = safetensors_writer_open(&w, path, specs, n, NULL, 0, e);
    for (const struct dumped *x = d->first; x != NULL && st == STATUS_OK; x = x->next) {
        size_t bytes = 0;

        shape_bytes(x->spec.dtype, x->spec.dim, x->spec.n_dims, &bytes);
        st = safetensors_writer_put(&w, x->data, bytes, e);
    }
    if (st == STATUS_OK) st = safetensors_writer_commit(&w, e);
    safetensors_writer_abort(&w);
    free(specs);
    return st;
}

static enum status compute(struct dump *d, struct sphinx_session *s, const char *question, struct err *e)
{
    struct step_part part = { .session = s, .n_logits = 1 }, *const parts[] = { &part };
    struct dumped *out;
    int32_t *ids = NULL;
    size_t n, dropped;
    enum status st;

    st = session_prompt(s, question, NULL, false, -1, &ids, &n, &dropped, e);
    if (st != STATUS_OK) return st;
    out = append(d, "prompt_ids", DTYPE_I64, n * sizeof(int64_t));
    if (out != NULL) {
        out->spec.n_dims = 1;
        out->spec.dim[0] = (int64_t)n;
        for (size_t i = 0; i < n; i++) ((int64_t *)out->data)[i] = ids[i];
        part.ids = ids;
        part.n = n;
        do step_run(&s->ctx, parts, 1);
        while (part.err.code == STATUS_OK && part.logits == NULL);
        st = part.err.code != STATUS_OK ? err_set(e, part.err.code, "%s", part.err.text) : STATUS_OK;
    }
    free(ids);
    if (st != STATUS_OK) return st;
    return session_check_finite(s, part.logits, (size_t)s->model->network.config.llama.vocab, "the logits",
                                e);
}

enum status dump_write(sphinx_session *s, const struct dump_options *o, struct err *e)
{
    struct dump d = { .session = s, .all = o->all };
    struct image im = { 0 };
    enum status st = STATUS_OK;

    d.end = &d.first;
    s->ctx.observer = observe_one;
    s->ctx.observer_user = &d;
    if (o->image != NULL) {
        st = img_read(&im, o->image, &s->image_options, e);
        if (st == STATUS_OK) st = session_set_image(s, &im, NULL, e);
        img_free(&im);
    }
    if (st == STATUS_OK) st = compute(&d, s, o->question, e);
    if (st == STATUS_OK && d.err.code != STATUS_OK) st = err_set(e, d.err.code, "%s", d.err.text);
    if (st == STATUS_OK) st = write_file(&d, o->out, e);
    s->ctx.observer = NULL;
    arena_free(&d.arena);
    return st;
}
