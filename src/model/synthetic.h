/*
 * synthetic.h - checkpoints of random weights with upstream's exact names, shapes, dtype and shards: for measuring speed and memory at
 * full size where the real weights are not at hand, and as the start of training from scratch.
 */
#ifndef SPHINX_MODEL_SYNTHETIC_H
#define SPHINX_MODEL_SYNTHETIC_H

#include "core/report.h"
#include "core/status.h"
#include "tensor/dtype.h"

#include <stdint.h>

struct synthetic_options {
    const char *llama_type;
    const char *config_path; /* NULL: the released sizes, with the tensors that upstream stores unused */
    const char *
        tokenizer_path; /* copied, and its size is the vocabulary; NULL: 32000 words and no tokenizer.model */
    int shards;         /* 1 and up; must divide what is split */
    enum dtype dtype;   /* f32, f16 or bf16 */
    uint64_t seed;      /* the same seed gives the same model for any number of shards */
    bool
        to_train; /* numbers to learn from: positions and class tokens that are seen beside the patches, blocks that count */
    bool safetensors;            /* one model.safetensors instead of upstream's .pth; one shard only */
    const struct report *report; /* stage "write" counts bytes; may cancel */
};

/* Writes the folder, which must be new or empty: weights, config.json, meta.json, tokenizer.model. The free space is checked first. The
 * folder appears when all is written (model_writer.h). */
enum status synthetic_write(const char *folder, const struct synthetic_options *o, struct err *e);

#endif
