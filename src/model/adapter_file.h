/*
 * adapter_file.h - adapters in files of their own, one .safetensors each, put on a model when it is loaded or merged into one that is written.
 *
 *   FILE[:SCALE] ... ── adapters_open ── adapters_place ─┬─ adapters_apply    a loaded network (load.h)
 *                                                        └─ adapters_change   rows that are about to be written (convert.h)
 *
 *   layers.0.attention.wq.lora_a.weight [r, K], .lora_b.weight [N, r]   scale B A is added to W
 *   layers.0.attention.wq.bias, norm.weight, ...                        base + scale (tuned - base); a bias that is not there is 0
 *   base.layers.0.attention.wq.weight [16]                              some numbers of W, by which the base is known again
 *
 * Names are upstream's, without "llma.", numbers in f32, f16 or bf16. Of several adapters the sum counts, in any order. A file is believed
 * nothing: shapes and finiteness are checked, and every tensor must belong somewhere.
 */
#ifndef SPHINX_MODEL_ADAPTER_FILE_H
#define SPHINX_MODEL_ADAPTER_FILE_H

#include "model/adapter.h"

/* In the folder of a run's checkpoint. */
#define ADAPTER_FILE_NAME "adapter.safetensors"

struct adapters;

/* Opens n files; the name of a folder means the file of the above name in it. BAD_ARGUMENT: a scale that is no finite number. */
enum status adapters_open(struct adapters **x, const char *const *names, int n, struct err *e);
void adapters_close(struct adapters *x); /* accepts NULL */

/* Finds each tensor's place in n, whose weights need not be loaded yet, and makes room for biases (n->config says that there are some, then).
 * BAD_FORMAT: another shape than the model's, a tensor that is nothing to the model, half of a product, numbers that are none. */
enum status adapters_place(struct adapters *x, struct network *n, struct err *e);
/* Puts them on n, loaded and whole, whose arena keeps what is made. UNSUPPORTED: made for another base. */
enum status adapters_apply(struct adapters *x, struct network *n, struct err *e);

/* What becomes of the rows of one tensor: W + B A, or keep W + add. */
struct adapter_change {
    struct tensor a, b; /* float32; n_dims 0: none */
    const float *add;   /* [all of the tensor]; NULL: none */
    float keep;
};
/* False if nothing changes the tensor of that name. Memory is taken from arena; *k is zeroed where it has none (NO_MEMORY in e). */
bool adapters_change(const struct adapters *x, const char *name, struct arena *arena,
                     struct adapter_change *k, struct err *e);
/* Row `row`, n numbers long, in place. */
void adapter_change_row(const struct adapter_change *k, int64_t row, int64_t n, float *values);

/* Collects how far a base is from those that the adapters were made for, tensor by tensor as they are at hand; then judges.
 * Quantised, rounded and tuned versions of a base pass. UNSUPPORTED: another base. */
void adapters_meet_base(struct adapters *x, const char *name, const struct tensor *t);
enum status adapters_judge_base(const struct adapters *x, struct err *e);

/* A trained tensor, float32, row-major. */
struct adapter_tensor {
    const char *name;
    int n_dims;
    const int64_t *dim;
    const float *numbers;
};
/* Writes an adapter of these to n. */
enum status adapter_write(const char *path, struct network *n, const struct adapter_tensor *tensors,
                          size_t count, struct err *e);

#endif
