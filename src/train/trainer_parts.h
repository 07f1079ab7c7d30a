/*
 * trainer_parts.h - what a run consists of, for the files that make it: trainer.c the steps, trainer_open.c the parts, run_*.c what
 * it writes.
 */
#ifndef SPHINX_TRAIN_TRAINER_PARTS_H
#define SPHINX_TRAIN_TRAINER_PARTS_H

#include "core/digest.h"
#include "model/load.h"
#include "text/journal.h"
#include "train/feed.h"
#include "train/optimizer.h"
#include "train/train_step.h"
#include "train/trainer.h"

/* Where a run stands: between steps. */
struct run_position {
    size_t step;       /* steps done since the beginning */
    size_t epoch;      /* of the next step */
    size_t epoch_step; /* of the next step, within the epoch */
};

struct trainer;

/* What differs between runs by what learns: the model (trainer_open.c), or a segmenter (mask_run.h). */
struct run_kind {
    /* Opens what learns, its weights and the data, and sets epoch_steps, n_items, model_digest and data_digest. */
    enum status (*open)(struct trainer *t, struct err *e);
    /* The data from the run's position on. */
    enum status (*begin)(struct trainer *t, struct err *e);
    /* Number k of the step's micro-batches: adds its share to gradients and r. */
    enum status (*micro_batch)(struct trainer *t, size_t k, struct step_result *r, struct err *e);
    enum status (*validate)(struct trainer *t, struct err *e);
    /* A checkpoint's bytes but for headers, and the checkpoint: a folder that appears when all of it is on disk. */
    enum status (*bytes)(struct trainer *t, uint64_t *bytes, struct err *e);
    enum status (*write)(struct trainer *t, const char *folder, struct err *e);
    void (*close)(struct trainer *t);
};

struct trainer {
    const struct run_kind *kind;
    const struct train_config *config;
    struct trainer_options options;
    struct train_listener listener;
    struct ranks ranks;
    struct comm comm;
    bool
        met; /* of the checkpoint that is being written: the ranks have begun to put their moments together */

    /* the model */
    struct load_options load;
    struct checkpoint *checkpoint;
    struct tokenizer *tokenizer;
    char *config_json; /* of the model, as found; NULL: there is none */
    size_t config_json_size;
    struct digest model_digest; /* before training */
    struct network network;
    struct trainees trainees;
    struct optimizer optimizer;

    struct mask_run *masks; /* of a segmenter, instead of model and data (mask_run.h) */

    /* the data */
    struct corpus *corpus;
    struct digest data_digest;
    struct corpus *validation; /* NULL: there is none */
    size_t n_items;            /* to learn from */
    struct blend_part *mix;    /* [config->mix.n] */
    struct feed *feed;
    struct feature_cache *cache; /* NULL: encoders learn, or images are cropped anew each time */
    struct train_item *items;    /* [B] */

    /* the run */
    struct schedule schedule;               /* in steps */
    size_t epoch_steps, n_steps, n_resumed; /* n_resumed: steps done before this process */
    struct run_position position;
    struct journal log;

    struct ctx ctx;
    struct arena arena; /* of ctx */
};

/* Whether this rank is the one that writes and tells. */
static inline bool trainer_speaks(const struct trainer *t)
{
    return t->ranks.rank == 0;
}

/* How the run's data is read. */
struct feed_options trainer_feed_options(const struct trainer *t);

/* BAD_ARGUMENT where the data has images and the model no encoders. */
enum status trainer_check_sight(const struct trainer *t, const struct corpus *c, struct err *e);

/* The run_kind.micro_batch of a model. */
enum status trainer_learn_batch(struct trainer *t, size_t k, struct step_result *r, struct err *e);

/* A micro-batch of the feed into t->items and through train_micro_batch. *n_tokens: the positions that it comes to. Failures are in
 * t->ctx.err. */
void trainer_micro_batch(struct trainer *t, const struct feed_batch *b, double weight,
                         struct train_loss *loss, size_t *n_tokens);

#endif
