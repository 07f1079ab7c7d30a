/*
 * train_config.h - what a run is to do, as its YAML says it. Keys are upstream's flags where it has them (spec 10 section 14);
 * docs/train.md explains each.
 *
 *   model: ../models/base               # or a list, read left to right, weighted ("a:0.5") where they are mixed
 *   data_config: data/meta.yaml         # or META (data_config.h) in this file
 *   output_dir: runs/one
 *   batch_size: 4
 *   lr: 2.0e-5
 *
 * Relative paths are below the YAML file's folder, but output_dir and what --set gives, which are below the current one.
 */
#ifndef SPHINX_TRAIN_TRAIN_CONFIG_H
#define SPHINX_TRAIN_TRAIN_CONFIG_H

#include <stdint.h>

#include "core/arena.h"
#include "core/status.h"

enum train_mode { TRAIN_MODE_STAGE2, TRAIN_MODE_STAGE1, TRAIN_MODES };
enum train_precision { TRAIN_BF16, TRAIN_F32, TRAIN_TF32, TRAIN_FP16, TRAIN_PRECISIONS };
enum train_save_type { TRAIN_SAVE_AS_COMPUTED, TRAIN_SAVE_BF16, TRAIN_SAVE_F32, TRAIN_SAVE_TYPES };
enum train_view { TRAIN_PADDED_RESIZE, TRAIN_RANDOM_RESIZED_CROP, TRAIN_RESIZED_CENTER_CROP, TRAIN_VIEWS };

struct config_list {
    const char **item;
    size_t n;
};

/* Micro-batches of a step, by type. */
struct config_mix {
    const char **type;
    size_t *n_micro, n;
};

struct train_config {
    struct config_list model; /* paths; none: a segmenter learns */
    const char *segmenter;    /* file of a SAM that learns instead of a model (mask_run.h); NULL: none */
    const char *llama_type, *llama_config, *tokenizer_path; /* NULL: found beside the weights */
    const char *data_config;                                /* the file with META */
    const char *validation; /* the same of what is not learned from; NULL: none */
    const char *output_dir;

    struct config_list train, freeze; /* patterns of weights' names */
    struct config_list without;       /* encoders whose features are zero */
    bool encoders;                    /* train them, too */
    enum train_mode trainable_mode;   /* what trains unless `train` says so */
    size_t lora_rank;                 /* of adapters (trainee.h); 0: none */
    struct config_list lora_targets;  /* patterns of the matrices that get them; none: the usual ones */
    bool bias_tuning, norm_tuning;

    size_t batch_size, accum_iter; /* B and A */
    struct config_mix mix;         /* none: a step's items are all of one type */
    double epochs;                 /* whole, unless max_steps ends the run */
    size_t max_steps;              /* 0: as many as the epochs have */
    double warmup_epochs;
    size_t warmup_steps; /* SIZE_MAX: warmup_epochs */
    double lr, min_lr, clip_grad, weight_decay;
    double patch_loss;      /* weight of the loss of what patches show, where records tell it (sample.h) */
    double qformer_dropout; /* of the Q-Former's numbers so many are left out at random; upstream: 0.1 */
    size_t prompts;         /* of a picture, for a segmenter */
    size_t max_words;
    enum train_view image_transform;
    enum train_precision precision;
    bool checkpointing; /* blocks are computed again on the way back: less memory, more time */
    uint64_t seed;
    size_t num_workers;
    size_t feature_cache; /* MiB of what frozen encoders make of images; 0: none */
    double skip_bad;      /* share of all items that may fail */

    size_t validate_every;   /* steps; 0: at the end only */
    size_t validation_items; /* at most */
    size_t save_every;       /* steps; 0: save_interval alone */
    size_t save_interval;    /* epochs */
    size_t keep;             /* checkpoints; 0: all */
    bool only_save_trainable;
    enum train_save_type save_type;

    struct arena arena;
};

/* The file, then `overrides` [n], each KEY=VALUE as YAML has values. BAD_FORMAT: file, line, key, and the key that was perhaps meant; nothing
 * to train, no data, no place to write to. UNSUPPORTED: fp16. */
enum status train_config_read(struct train_config *c, const char *path, const char *const *overrides,
                              size_t n, struct err *e);
/* Whether the run trains beside the model, and saves only that. */
bool train_config_adapts(const struct train_config *c);
void train_config_free(struct train_config *c); /* accepts a zeroed one */

#endif
