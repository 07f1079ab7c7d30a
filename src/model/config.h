/*
 * config.h - the sizes of a model: what config.json says (upstream's ModelArgs, and our `vision` object for models that are not of the
 * released sizes), completed from the variant's row. design.md describes the keys; spec 01 sections 3 and 5 upstream's.
 */
#ifndef SPHINX_MODEL_CONFIG_H
#define SPHINX_MODEL_CONFIG_H

#include "core/report.h"
#include "language/llama.h"
#include "model/variant.h"
#include "vision/clip.h"
#include "vision/convnext.h"
#include "vision/dinov2.h"
#include "vision/mixer.h"
#include "vision/qformer.h"

struct model_config {
    const struct variant *variant;
    struct llama_config llama;
    int lora_rank;          /* of the adapters that the checkpoint holds (adapter.h); 0: none */
    bool bias_tuning;       /* it holds biases of the language model's matrices */
    struct img_views views; /* layout and the three sizes */
    struct clip_config clip;
    struct convnext_config convnext;
    struct dinov2_config dinov2;
    struct qformer_config qformer;
    struct mixer_config mixer;
};

/* Reads a config.json of `size` bytes; json NULL means there is none. `name` stands for it in messages. The vocabulary is the
 * tokenizer's. Unknown keys are warned of and ignored, as are the three that upstream overrides (max_seq_len,
 * max_batch_size, vocab_size). BAD_FORMAT names the key, what it is and what it may be. */
enum status config_parse(struct model_config *k, const struct variant *variant, const char *json, size_t size,
                         const char *name, int vocab, const struct report *report, struct err *e);

/* The llama_type in a meta.json, malloc'ed. */
enum status config_parse_meta(char **llama_type, const char *json, size_t size, const char *name,
                              struct err *e);

#endif
