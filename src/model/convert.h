/*
 * convert.h - a model from any checkpoint format into any other, in other types if asked for.
 *
 *   paths ── ckpt_open ─┬─ load_config ── description ─────────────────────────┐
 *                       └─ tensor ── rows as float32 ── rows in the new type ──┴─ model_writer.h
 *                                        policy.h says which
 *
 * Tensor by tensor, in runs of rows: memory holds a run, and what of one tensor the system keeps of the mapped files. Several paths and
 * differences are merged on the way, shards joined and divided. Rows whose type stays are copied as they are, to the last bit.
 * Paths with weights are mixed on the way (checkpoint.h): `sphinx mix`. Adapters are merged: W + B A in float32, rounded once.
 * What the variant's networks do not use is left out of GGUF files, and stays in folders, where upstream's loader looks for it.
 */
#ifndef SPHINX_MODEL_CONVERT_H
#define SPHINX_MODEL_CONVERT_H

#include "model/load.h"
#include "model/model_writer.h"
#include "model/policy.h"

struct convert_options {
    const char *out;
    enum model_format format; /* MODEL_GGUF becomes MODEL_GGUF_LLAMA where there are no encoders to write */
    int shards;               /* as for model_writer.h */
    bool text_only;           /* leave the encoders out */
    struct policy *policy;    /* `uniform` is set here */
    struct ckpt_options
        mix; /* of paths with weights; with `delta` the difference of two paths is written, MODEL_TORCH only */
    int threads; /* 1 and up; the result does not depend on it */
};

/* What came of it. */
struct convert_result {
    uint64_t bytes; /* of tensors */
    size_t n_tensors, n_of_type[DTYPE_COUNT];
    size_t n_fallbacks;   /* tensors whose rows did not fit the type that they should have had */
    size_t n_requantised; /* tensors that were quantised already, and now are in another quantised type */
    size_t n_mixed;       /* tensors whose parts were not equal */
    size_t n_encoder; /* of those, tensors of encoders, which are frozen in training and should be equal */
    size_t n_adapted; /* tensors that adapters changed */
};

/* Stage "convert" of in->report counts bytes written; may cancel. BAD_ARGUMENT: a quantised type for a format that has none, a pattern that
 * matches nothing. NUMERIC: a number that the new type cannot hold. On failure `out` is what it was. */
enum status convert_model(const struct load_options *in, const struct convert_options *o,
                          struct convert_result *r, struct err *e);

#endif
