/* trainer_open.c - the parts of a run, opened from its configuration; see trainer.h. */
#include <math.h>
#include <stdlib.h>

#include "backend/cpu/cpu.h"
#include "core/file.h"
#include "model/encode.h"
#include "model/identity.h"
#include "train/mask_run.h"
#include "train/run_files.h"
#include "train/run_model.h"
#include "train/run_state.h"
#include "train/trainer_parts.h"
#include "train/validation.h"

/* ---- the model --------------------------------------------------------------------------------------------- */

/* The bits of the encoders that the run leaves out. */
static enum status find_without(struct trainer *t, struct err *e)
{
    const struct config_list *names = &t->config->without;

    for (size_t i = 0; i < names->n; i++) {
        unsigned k = 0;

        while (k < ENCODER_COUNT && strcmp(encoder_names[k], names->item[i]) != 0) k++;
        if (k == ENCODER_COUNT || (t->network.config.variant->encoders >> k & 1) == 0)
            return err_set(e, STATUS_BAD_ARGUMENT, "without: %s has no encoder \"%.60s\"",
                           t->network.config.variant->llama_type, names->item[i]);
        t->network.without |= 1u << k;
    }
    return STATUS_OK;
}

static enum status model_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct model_config config;
    char *name = NULL;
    enum status st;

    t->load = (struct load_options){ .paths = c->model.item,
                                     .n_paths = (int)c->model.n,
                                     .llama_type = c->llama_type,
                                     .config_path = c->llama_config,
                                     .tokenizer_path = c->tokenizer_path,
                                     .ranks = 1,
                                     .report = t->listener.report };
    st = ckpt_open(&t->checkpoint, t->load.paths, t->load.n_paths, t->load.report, e);
    if (st == STATUS_OK) st = load_config(&config, &t->tokenizer, &t->load, t->checkpoint, e);
    if (st == STATUS_OK)
        st = load_config_text(&t->config_json, &t->config_json_size, &name, &t->load, t->checkpoint, e);
    free(name);
    if (st == STATUS_OK) st = network_init(&t->network, &config, e);
    if (st == STATUS_OK) st = load_weights(&t->network, t->checkpoint, &t->load, e);
    if (st == STATUS_OK) st = find_without(t, e);
    if (st == STATUS_OK) identity_model(&t->model_digest, &t->network);
    if (st == STATUS_OK && config.llama.w2_turned)
        st = err_set(e, STATUS_UNSUPPORTED,
                     "%s: experts as GGUF has them cannot be trained: convert the model to a folder first",
                     t->load.paths[0]);
    return st;
}

/* Upstream's mm_stage1 (spec 10 section 3), for the variants that have none there as for those that have: what joins encoders and language
 * model; in the light ones without the two vectors. */
static size_t stage1_patterns(const struct trainer *t, const char **patterns)
{
    size_t n = 0;

    patterns[n++] = "visual_proj.*";
    if (strstr(t->network.config.variant->llama_type, "light") != NULL) return n;
    patterns[n++] = "start_img";
    patterns[n++] = "end_img";
    if (network_has(&t->network, COMPONENT_QFORMER)) patterns[n++] = "qformer_proj.*";
    return n;
}

static enum status trainees_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct trainee_rule rule = { .only = c->train.item,
                                 .n_only = c->train.n,
                                 .except = c->freeze.item,
                                 .n_except = c->freeze.n,
                                 .encoders = c->encoders,
                                 .lora_rank = (int)c->lora_rank,
                                 .lora_targets = c->lora_targets.item,
                                 .n_lora_targets = c->lora_targets.n,
                                 .bias_tuning = c->bias_tuning,
                                 .norm_tuning = c->norm_tuning,
                                 .seed = c->seed };
    const char *patterns[4];

    if (c->trainable_mode == TRAIN_MODE_STAGE1) {
        rule.only = patterns;
        rule.n_only = stage1_patterns(t, patterns);
    }
    t->ctx.recompute = c->checkpointing;
    return trainees_init(&t->trainees, &t->network, &rule, c->precision == TRAIN_BF16, &t->comm, e);
}

/* ---- the data ---------------------------------------------------------------------------------------------- */

static enum feed_view view_of(const struct train_config *c)
{
    static const enum feed_view views[] = { [TRAIN_PADDED_RESIZE] = FEED_PADDED_RESIZE,
                                            [TRAIN_RANDOM_RESIZED_CROP] = FEED_RANDOM_RESIZED_CROP,
                                            [TRAIN_RESIZED_CENTER_CROP] = FEED_RESIZED_CENTER_CROP };

    return views[c->image_transform];
}

struct feed_options trainer_feed_options(const struct trainer *t)
{
    const struct train_config *c = t->config;

    return (struct feed_options){
        .micro_batch = c->batch_size,
        .accumulate = c->accum_iter,
        .mix = t->mix,
        .n_mix = c->mix.n,
        .ranks = (size_t)t->ranks.count,
        .rank = (size_t)t->ranks.rank,
        .max_words = c->max_words,
        .image_words = t->network.sees ? (size_t)encode_words(&t->network) : 0,
        .image_size = t->network.config.views.image_size,
        .view = view_of(c),
        .bad_share = c->skip_bad,
        .cache = t->cache,
        .threads = (int)c->num_workers,
        .seed = c->seed,
    };
}

/* Images that the model cannot look at are found before the first step. */
enum status trainer_check_sight(const struct trainer *t, const struct corpus *c, struct err *e)
{
    const struct corpus_type *types;
    size_t n = corpus_types(c, &types);

    for (size_t i = 0; i < n; i++) {
        if (types[i].sees && !t->network.sees)
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "the items of type \"%s\" have images, and the model has no encoders",
                           types[i].name);
    }
    return STATUS_OK;
}

/* Of what decides the order of the items. */
static void data_digest(const struct corpus *c, const struct config_mix *mix, struct digest *d)
{
    const struct corpus_type *types;
    const struct corpus_file *files;
    size_t n_types = corpus_types(c, &types), n_files = corpus_files(c, &files);
    struct digest_maker m;

    digest_begin(&m);
    for (size_t i = 0; i < n_files; i++) {
        digest_text(&m, path_base(files[i].path));
        digest_number(&m, (int64_t)files[i].n_found);
        digest_number(&m, (int64_t)files[i].n_used);
    }
    for (size_t i = 0; i < n_types; i++) {
        digest_text(&m, types[i].name);
        digest_number(&m, (int64_t)types[i].end);
    }
    for (size_t i = 0; i < mix->n; i++) {
        digest_text(&m, mix->type[i]);
        digest_number(&m, (int64_t)mix->n_micro[i]);
    }
    digest_end(&m, d);
}

static enum status data_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    enum status st = corpus_open(&t->corpus, c->data_config, c->seed, t->listener.report, e);

    if (st == STATUS_OK) st = trainer_check_sight(t, t->corpus, e);
    if (st != STATUS_OK) return st;
    t->n_items = corpus_count(t->corpus);
    data_digest(t->corpus, &c->mix, &t->data_digest);
    if (c->qformer_dropout > 0 && !(t->network.sees && network_has(&t->network, COMPONENT_QFORMER)))
        return err_set(e, STATUS_BAD_ARGUMENT, "qformer_dropout: the model has no Q-Former");
    if (c->qformer_dropout == 0 && t->network.sees && !train_encoders_learn(&t->network) &&
        c->image_transform != TRAIN_RANDOM_RESIZED_CROP && c->feature_cache > 0)
        st = feature_cache_open(&t->cache, (uint64_t)c->feature_cache << 20, e);
    if (st != STATUS_OK) return st;
    t->items = calloc(c->batch_size, sizeof *t->items);
    t->mix = calloc(c->mix.n + 1, sizeof *t->mix);
    for (size_t i = 0; i < c->mix.n && t->mix != NULL; i++)
        t->mix[i] = (struct blend_part){ .type = c->mix.type[i], .n_micro = c->mix.n_micro[i] };
    return t->items != NULL && t->mix != NULL ? STATUS_OK : err_no_memory(e, "a micro-batch");
}

static enum status feed_begin(struct trainer *t, struct err *e)
{
    struct feed_options o = trainer_feed_options(t);

    enum status st =
        feed_open(&t->feed, t->corpus, t->tokenizer, &o, t->position.epoch, t->position.epoch_step, e);

    if (st == STATUS_OK) t->epoch_steps = feed_steps(t->feed);
    return st;
}

static enum status open_language(struct trainer *t, struct err *e)
{
    enum status st = model_open(t, e);

    if (st == STATUS_OK) st = trainees_open(t, e);
    if (st == STATUS_OK) st = data_open(t, e);
    return st == STATUS_OK ? validation_open(t, e) : st;
}

static void close_language(struct trainer *t)
{
    feed_close(t->feed);
    feature_cache_close(t->cache);
    corpus_close(t->corpus);
    corpus_close(t->validation);
    network_free(&t->network);
    tok_close(t->tokenizer);
    ckpt_close(t->checkpoint);
    free(t->config_json);
    free(t->items);
    free(t->mix);
}

static const struct run_kind language_kind = { open_language,  feed_begin,      trainer_learn_batch,
                                               validation_run, run_model_bytes, run_model_write,
                                               close_language };

/* ---- the run ----------------------------------------------------------------------------------------------- */

static enum status plan(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    double total;

    total = c->epochs * (double)t->epoch_steps;
    if (c->max_steps > 0 && (double)c->max_steps < total) total = (double)c->max_steps;
    t->n_steps = (size_t)fmax(1, round(total));
    t->schedule = (struct schedule){ .lr = c->lr, .lr_min = c->min_lr, .total = (double)t->n_steps };
    t->schedule.warmup =
        c->warmup_steps != SIZE_MAX ? (double)c->warmup_steps : c->warmup_epochs * (double)t->epoch_steps;
    if (t->schedule.warmup >= (double)t->n_steps && t->schedule.warmup > 0)
        return err_set(e, STATUS_BAD_ARGUMENT, "the warm-up of %g steps is not shorter than the run of %zu",
                       t->schedule.warmup, t->n_steps);
    return STATUS_OK;
}

/* Masters, moments and position of the checkpoint that is to go on. */
static enum status resume(struct trainer *t, struct err *e)
{
    char *checkpoint;
    enum status st;

    if (t->options.resume == NULL) return STATUS_OK;
    st = run_files_find(&checkpoint, t->options.resume, e);
    if (st == STATUS_OK && checkpoint != NULL) st = run_state_read(t, checkpoint, e);
    free(checkpoint);
    t->n_resumed = t->position.step;
    return st;
}

static enum status open_all(struct trainer *t, struct err *e)
{
    const struct backend *b;
    enum status st = cpu_backend(t->options.cpu, &b, e);

    if (st == STATUS_OK) st = ctx_init(&t->ctx, b, &t->arena, t->options.threads, e);
    t->optimizer = optimizer_default();
    t->optimizer.weight_decay = t->config->weight_decay;
    t->optimizer.clip = t->config->clip_grad;
    if (st == STATUS_OK) st = t->kind->open(t, e);
    if (st == STATUS_OK) st = resume(t, e);
    if (st == STATUS_OK) st = t->kind->begin(t, e);
    if (st == STATUS_OK) st = plan(t, e);
    st = ranks_agree(&t->ranks, st, e); /* all have read what there is before one of them writes */
    if (st == STATUS_OK && trainer_speaks(t)) {
        st = run_files_check_space(t, e);
        if (st == STATUS_OK) st = run_files_open(t, e);
    }
    return ranks_agree(&t->ranks, st, e);
}

enum status trainer_open(struct trainer **out, const struct train_config *c, const struct trainer_options *o,
                         const struct train_listener *l, struct err *e)
{
    struct trainer *t = calloc(1, sizeof *t);
    enum status st;

    *out = NULL;
    if (t == NULL) return err_no_memory(e, "the run");
    t->kind = c->segmenter != NULL ? &mask_kind : &language_kind;
    t->config = c;
    t->options = *o;
    t->ranks = o->ranks != NULL ? *o->ranks : (struct ranks){ .count = 1 };
    t->comm = ranks_comm(&t->ranks);
    t->listener = *l;
    t->log.fd = -1;
    st = open_all(t, e);
    if (st != STATUS_OK) {
        trainer_close(t);
        return st;
    }
    *out = t;
    return STATUS_OK;
}

void trainer_close(struct trainer *t)
{
    if (t == NULL) return;
    journal_close(&t->log, NULL);
    t->kind->close(t);
    trainees_free(&t->trainees);
    ctx_free(&t->ctx);
    arena_free(&t->arena);
    free(t);
}
