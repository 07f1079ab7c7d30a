/*
 * tiny_model.h - a checkpoint of tests/data/tiny as training wants it, and the made-up corpus of its golden in tests/data/train, which
 * tools/reference/train.py wrote.
 */
#ifndef TESTS_TRAIN_TINY_MODEL_H
#define TESTS_TRAIN_TINY_MODEL_H

#include "backend/cpu/cpu.h"
#include "model/encode.h"
#include "model/load.h"
#include "store/safetensors.h"
#include "train/optimizer.h"
#include "train/train_step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SAMPLES_MAX = 16 };

struct tiny_model {
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
    struct network network;
    struct trainees trainees;
    struct arena arena;
    struct ctx c;
    struct safetensors_file golden;
    struct sample samples[SAMPLES_MAX];
    struct train_item items[SAMPLES_MAX];
    size_t n;
};

static inline const struct raw_tensor *golden_tensor(const struct tiny_model *m, const char *name)
{
    const struct raw_tensor *t = safetensors_find(&m->golden, name);

    if (t == NULL) fail_msg("the golden has no %s", name);
    return t;
}

static inline size_t golden_count(const struct raw_tensor *t)
{
    size_t n = 0;

    assert_true(shape_elements(t->dim, t->n_dims, &n));
    return n;
}

static inline void tiny_model_samples(struct tiny_model *m)
{
    const struct raw_tensor *length = golden_tensor(m, "length"),
                            *planes = safetensors_find(&m->golden, "planes");
    const int32_t *ids = golden_tensor(m, "ids")->data, *labels = golden_tensor(m, "labels")->data;
    const int32_t *image = golden_tensor(m, "image")->data; /* -1: none */
    size_t size = planes != NULL ? golden_count(planes) / (size_t)planes->dim[0] : 0;

    m->n = golden_count(length);
    assert_in_range(m->n, 4, SAMPLES_MAX);
    for (size_t i = 0; i < m->n; i++) {
        size_t n = (size_t)((const int32_t *)length->data)[i];

        m->samples[i] = (struct sample){ .ids = (int32_t *)(uintptr_t)ids,
                                         .labels = (int32_t *)(uintptr_t)labels,
                                         .n = n };
        m->items[i].sample = &m->samples[i];
        if (image[i] >= 0) m->items[i].planes = (const float *)planes->data + (size_t)image[i] * size;
        ids += n;
        labels += n;
    }
}

/* Where there is no checkpoint of them, adapters begin with what the golden has. */
static inline void tiny_model_start(struct tiny_model *m)
{
    for (size_t i = 0; i < m->trainees.n; i++) {
        struct trainee *x = &m->trainees.item[i];
        const struct raw_tensor *start;
        char name[256];

        snprintf(name, sizeof name, "start/%s", x->name);
        start = safetensors_find(&m->golden, name);
        if (start == NULL) continue;
        assert_int_equal(golden_count(start), x->n);
        memcpy(x->master, start->data, x->n * sizeof *x->master);
    }
}

/* Everything but the encoders trains, unless a rule is given. name is that of the golden, up to a '-' that of the checkpoint, which llama_ens_peft
 * is only a part of. */
static inline void tiny_model_open_rank(struct tiny_model *m, const char *name,
                                        const struct trainee_rule *rule, bool bf16, const char *level,
                                        int threads, const struct comm *comm)
{
    static const struct trainee_rule all = { 0 };
    char folder[128], golden[128];
    const char *paths[] = { folder, folder };
    struct load_options o = { .paths = paths, .n_paths = 1 };
    const struct backend *b;
    struct model_config config;
    struct err e = { 0 };

    memset(m, 0, sizeof *m);
    snprintf(folder, sizeof folder, "tests/data/tiny/%.*s", (int)strcspn(name, "-"), name);
    if (strcmp(name, "llama_ens_peft") == 0) {
        paths[0] = "tests/data/tiny/llama_ens";
        o.n_paths = 2;
    }
    snprintf(golden, sizeof golden, "tests/data/train/%s.safetensors", name);
    assert_int_equal(cpu_backend(level, &b, &e), STATUS_OK);
    assert_int_equal(ctx_init(&m->c, b, &m->arena, threads, &e), STATUS_OK);
    assert_int_equal(safetensors_open(&m->golden, golden, &e), STATUS_OK);
    assert_int_equal(ckpt_open(&m->checkpoint, paths, o.n_paths, NULL, &e), STATUS_OK);
    assert_int_equal(load_config(&config, &m->tokenizer, &o, m->checkpoint, &e), STATUS_OK);
    assert_int_equal(network_init(&m->network, &config, &e), STATUS_OK);
    assert_int_equal(load_weights(&m->network, m->checkpoint, &o, &e), STATUS_OK);
    if (trainees_init(&m->trainees, &m->network, rule != NULL ? rule : &all, bf16, comm, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    tiny_model_start(m);
    tiny_model_samples(m);
}

static inline void tiny_model_open(struct tiny_model *m, const char *name, const struct trainee_rule *rule,
                                   bool bf16, const char *level, int threads)
{
    tiny_model_open_rank(m, name, rule, bf16, level, threads, NULL);
}

static inline void tiny_model_close(struct tiny_model *m)
{
    network_free(&m->network);
    trainees_free(&m->trainees);
    tok_close(m->tokenizer);
    ckpt_close(m->checkpoint);
    safetensors_close(&m->golden);
    ctx_free(&m->c);
    arena_free(&m->arena);
}

/* The micro-batch of samples first .. first + count - 1, around the end of the corpus to its beginning. */
static inline double tiny_model_micro_batch(struct tiny_model *m, size_t first, size_t count, double weight)
{
    struct train_item items[SAMPLES_MAX];
    struct train_loss loss;

    for (size_t i = 0; i < count; i++) items[i] = m->items[(first + i) % m->n];
    train_micro_batch(&m->c, &m->network, items, count, weight, 1, &loss);
    if (m->c.err.code != STATUS_OK) fail_msg("%s", m->c.err.text);
    assert_true(loss.n_targets > 0);
    return loss.answers;
}

/* One step of the optimizer; false if it was skipped. */
static inline bool tiny_model_update(struct tiny_model *m, struct optimizer *o, double lr, double *norm)
{
    struct err e = { 0 };

    if (optimizer_step(o, &m->trainees, lr, m->c.exec.threads, norm, &e) != STATUS_OK) fail_msg("%s", e.text);
    return isfinite(*norm);
}

#endif
