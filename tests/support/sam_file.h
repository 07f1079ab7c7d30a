/*
 * sam_file.h - SAM checkpoints of any sizes with random weights, for tests that need more sizes than tests/data/sam has.
 */
#ifndef TESTS_SUPPORT_SAM_FILE_H
#define TESTS_SUPPORT_SAM_FILE_H

#include <stdlib.h>

#include "segment/sam.h"
#include "store/safetensors.h"

enum { SAM_FILE_TENSORS = 1024 };

struct sam_file_list {
    struct tensor_spec spec[SAM_FILE_TENSORS];
    size_t n;
    struct arena arena;
    void (*change)(struct tensor_spec *spec, void *user); /* may change a tensor's shape; NULL */
    void *user;
};

static inline void sam_file_declare(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct sam_file_list *l = v->user;
    struct tensor_spec *s = &l->spec[l->n];

    (void)slot;
    if (l->n == SAM_FILE_TENSORS) abort();
    *s = (struct tensor_spec){ .name = arena_strdup(&l->arena, p->name), .n_dims = p->n_dims };
    memcpy(s->dim, p->dim, (size_t)p->n_dims * sizeof *p->dim);
    if (l->change != NULL) l->change(s, l->user);
    l->n++;
}

/* Matrices of deviation 1/sqrt(columns), about. */
static inline enum status sam_file_put(struct safetensors_writer *w, const struct tensor_spec *s,
                                       uint32_t *state, struct err *e)
{
    float scale = 1 / (float)(s->n_dims > 1 ? s->dim[1] : 4);
    enum status st = STATUS_OK;
    size_t n = 0;

    shape_elements(s->dim, s->n_dims, &n);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        float x;

        *state = *state * 1664525 + 1013904223;
        x = ((float)(*state >> 8) / 0x1p23f - 1) * scale;
        st = safetensors_writer_put(w, &x, sizeof x, e);
    }
    return st;
}

/* A .safetensors file. l: zeroed but for `change` and `user`. */
static inline enum status sam_file_write(const char *path, struct sam_file_list *l,
                                         const struct sam_config *config, const bool *windowed, struct err *e)
{
    struct param_visitor v = { .visit = sam_file_declare, .user = l };
    struct safetensors_writer w = { .left = 0 };
    struct sam sam;
    uint32_t state = 1;
    enum status st = sam_init(&sam, config, windowed, &l->arena, e);

    if (st == STATUS_OK) sam_params(&sam, &v);
    if (st == STATUS_OK) st = safetensors_writer_open(&w, path, l->spec, l->n, NULL, 0, e);
    for (size_t i = 0; i < l->n && st == STATUS_OK; i++) st = sam_file_put(&w, &l->spec[i], &state, e);
    if (st == STATUS_OK)
        st = safetensors_writer_commit(&w, e);
    else
        safetensors_writer_abort(&w);
    arena_free(&l->arena);
    return st;
}

#endif
