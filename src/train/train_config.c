/* train_config.c - see train_config.h. A table of keys; what a value must be is in its row. */
#include "train/train_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/nearest.h"
#include "train/yaml_file.h"

enum key_kind {
    KEY_META,       /* data_config.h reads it */
    KEY_PATH,       /* const char *, below the file's folder */
    KEY_TEXT,       /* const char *, as it is */
    KEY_PATHS,      /* struct config_list, one or many */
    KEY_NAMES,      /* the same, as they are */
    KEY_BOOL,       /* bool */
    KEY_SIZE,       /* size_t */
    KEY_SEED,       /* uint64_t */
    KEY_NUMBER,     /* double */
    KEY_MIX,        /* struct config_mix */
    KEY_CHOICE,     /* enum */
    KEY_ITERATIONS, /* size_t save_every, in micro-batches: upstream's unit */
};

struct key {
    const char *name;
    enum key_kind kind;
    size_t offset; /* in struct train_config */
    double min, max;
    const char *const *choices;
    int n_choices;
};

static const char *const modes[TRAIN_MODES] = { "mm_stage2", "mm_stage1" };
static const char *const precisions[TRAIN_PRECISIONS] = { "bf16", "f32", "tf32", "fp16" };
static const char *const save_types[TRAIN_SAVE_TYPES] = { "precision", "bf16", "f32" };
static const char *const views[TRAIN_VIEWS] = { "padded_resize", "random_resized_crop",
                                                "resized_center_crop" };

#define AT(field) offsetof(struct train_config, field)
#define MANY      1e9

static const struct key keys[] = {
    { "META", KEY_META, 0, 0, 0, NULL, 0 },
    { "model", KEY_PATHS, AT(model), 0, 0, NULL, 0 },
    { "pretrained_path", KEY_PATHS, AT(model), 0, 0, NULL, 0 },
    { "segmenter", KEY_PATH, AT(segmenter), 0, 0, NULL, 0 },
    { "llama_type", KEY_TEXT, AT(llama_type), 0, 0, NULL, 0 },
    { "llama_config", KEY_PATH, AT(llama_config), 0, 0, NULL, 0 },
    { "tokenizer_path", KEY_PATH, AT(tokenizer_path), 0, 0, NULL, 0 },
    { "data_config", KEY_PATH, AT(data_config), 0, 0, NULL, 0 },
    { "validation", KEY_PATH, AT(validation), 0, 0, NULL, 0 },
    { "output_dir", KEY_TEXT, AT(output_dir), 0, 0, NULL, 0 },
    { "train", KEY_NAMES, AT(train), 0, 0, NULL, 0 },
    { "freeze", KEY_NAMES, AT(freeze), 0, 0, NULL, 0 },
    { "without", KEY_NAMES, AT(without), 0, 0, NULL, 0 },
    { "encoders", KEY_BOOL, AT(encoders), 0, 0, NULL, 0 },
    { "trainable_mode", KEY_CHOICE, AT(trainable_mode), 0, 0, modes, TRAIN_MODES },
    { "lora_rank", KEY_SIZE, AT(lora_rank), 0, 4096, NULL, 0 },
    { "lora_targets", KEY_NAMES, AT(lora_targets), 0, 0, NULL, 0 },
    { "bias_tuning", KEY_BOOL, AT(bias_tuning), 0, 0, NULL, 0 },
    { "norm_tuning", KEY_BOOL, AT(norm_tuning), 0, 0, NULL, 0 },
    { "batch_size", KEY_SIZE, AT(batch_size), 1, 4096, NULL, 0 },
    { "accum_iter", KEY_SIZE, AT(accum_iter), 1, 65536, NULL, 0 },
    { "mix", KEY_MIX, AT(mix), 1, 65536, NULL, 0 },
    { "epochs", KEY_NUMBER, AT(epochs), 1e-6, 1e6, NULL, 0 },
    { "max_steps", KEY_SIZE, AT(max_steps), 0, MANY, NULL, 0 },
    { "warmup_epochs", KEY_NUMBER, AT(warmup_epochs), 0, 1e6, NULL, 0 },
    { "warmup_steps", KEY_SIZE, AT(warmup_steps), 0, MANY, NULL, 0 },
    { "lr", KEY_NUMBER, AT(lr), 0, 1e3, NULL, 0 },
    { "min_lr", KEY_NUMBER, AT(min_lr), 0, 1e3, NULL, 0 },
    { "clip_grad", KEY_NUMBER, AT(clip_grad), -1, 1e30, NULL, 0 },
    { "patch_loss", KEY_NUMBER, AT(patch_loss), 0, 1e3, NULL, 0 },
    { "qformer_dropout", KEY_NUMBER, AT(qformer_dropout), 0, 0.99, NULL, 0 },
    { "weight_decay", KEY_NUMBER, AT(weight_decay), 0, 1e3, NULL, 0 },
    { "prompts", KEY_SIZE, AT(prompts), 1, 1024, NULL, 0 },
    { "max_words", KEY_SIZE, AT(max_words), 1, 1 << 20, NULL, 0 },
    { "image_transform", KEY_CHOICE, AT(image_transform), 0, 0, views, TRAIN_VIEWS },
    { "precision", KEY_CHOICE, AT(precision), 0, 0, precisions, TRAIN_PRECISIONS },
    { "checkpointing", KEY_BOOL, AT(checkpointing), 0, 0, NULL, 0 },
    { "seed", KEY_SEED, AT(seed), 0, 9007199254740992.0, NULL, 0 },
    { "num_workers", KEY_SIZE, AT(num_workers), 1, 256, NULL, 0 },
    { "feature_cache", KEY_SIZE, AT(feature_cache), 0, MANY, NULL, 0 },
    { "skip_bad", KEY_NUMBER, AT(skip_bad), 0, 1, NULL, 0 },
    { "validate_every", KEY_SIZE, AT(validate_every), 0, MANY, NULL, 0 },
    { "validation_items", KEY_SIZE, AT(validation_items), 1, MANY, NULL, 0 },
    { "save_every", KEY_SIZE, AT(save_every), 0, MANY, NULL, 0 },
    { "save_iteration_interval", KEY_ITERATIONS, AT(save_every), 1, MANY, NULL, 0 },
    { "save_interval", KEY_SIZE, AT(save_interval), 1, MANY, NULL, 0 },
    { "keep", KEY_SIZE, AT(keep), 0, MANY, NULL, 0 },
    { "only_save_trainable", KEY_BOOL, AT(only_save_trainable), 0, 0, NULL, 0 },
    { "save_type", KEY_CHOICE, AT(save_type), 0, 0, save_types, TRAIN_SAVE_TYPES },
};

enum { N_KEYS = sizeof keys / sizeof *keys };

/* Upstream's recipe for SPHINX, with room for five views' words (spec 10 sections 5.5 and 14). */
static const struct train_config defaults = {
    .batch_size = 4,
    .accum_iter = 4,
    .epochs = 1,
    .warmup_epochs = 0.03,
    .warmup_steps = SIZE_MAX,
    .lr = 2e-5,
    .clip_grad = 8,
    .patch_loss = 1,
    .prompts = 8,
    .max_words = 2048,
    .num_workers = 2,
    .feature_cache = 1024,
    .validation_items = 512,
    .save_interval = 1,
    .keep = 2,
};

struct reading {
    struct train_config *config;
    bool has_meta;
    bool has_accumulation;
    bool in_iterations; /* save_every counts micro-batches */
    const char *path;   /* of the file, kept */
};

/* ---- values ------------------------------------------------------------------------------------------------ */

static enum status refuse(struct yaml_file *y, const yaml_node_t *value, const struct key *k,
                          const char *want, const char *text)
{
    return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: %s: want %s%s%.60s%s", y->path, yaml_line(value),
                   k->name, want, text != NULL ? ", not \"" : "", text != NULL ? text : "",
                   text != NULL ? "\"" : "");
}

static enum status number_read(struct yaml_file *y, const struct key *k, const yaml_node_t *value,
                               const char *text, double *number)
{
    char want[96];
    bool whole = k->kind != KEY_NUMBER;

    if (yaml_number(text, k->min, k->max, number) && (!whole || *number == floor(*number))) return STATUS_OK;
    snprintf(want, sizeof want, "a %snumber from %.16g to %.16g", whole ? "whole " : "", k->min, k->max);
    return refuse(y, value, k, want, text);
}

static enum status bool_read(struct yaml_file *y, const struct key *k, const yaml_node_t *value,
                             const char *text, bool *out)
{
    static const char *const words[] = { "false", "no", "off", "true", "yes", "on" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) != 0) continue;
        *out = i >= 3;
        return STATUS_OK;
    }
    return refuse(y, value, k, "true or false", text);
}

static enum status scalar_read(struct yaml_file *y, const struct key *k, const yaml_node_t *value,
                               const char *text, void *field)
{
    enum status st = STATUS_OK;
    double number = 0;
    int which = 0;

    switch (k->kind) {
    case KEY_PATH:
    case KEY_TEXT: {
        const char *copy = k->kind == KEY_PATH ? yaml_path_below(y, text) : arena_strdup(y->arena, text);

        if (copy == NULL) return err_no_memory(y->err, y->path);
        *(const char **)field = copy;
        return STATUS_OK;
    }
    case KEY_BOOL: return bool_read(y, k, value, text, field);
    case KEY_CHOICE:
        st = yaml_choice(y, value, k->name, text, k->choices, k->n_choices, &which);
        *(int *)field = which;
        return st;
    default: break;
    }
    st = number_read(y, k, value, text, &number);
    if (st != STATUS_OK) return st;
    if (k->kind == KEY_NUMBER) *(double *)field = number;
    if (k->kind == KEY_SEED) *(uint64_t *)field = (uint64_t)number;
    if (k->kind == KEY_SIZE || k->kind == KEY_ITERATIONS) *(size_t *)field = (size_t)number;
    return STATUS_OK;
}

/* A list of texts, or one text. */
static enum status list_read(struct yaml_file *y, const struct key *k, const yaml_node_t *value,
                             struct config_list *list)
{
    bool many = value->type == YAML_SEQUENCE_NODE;
    const yaml_node_item_t *items = many ? value->data.sequence.items.start : NULL;

    list->n = many ? (size_t)(value->data.sequence.items.top - items) : 1;
    list->item = arena_calloc(y->arena, list->n, sizeof *list->item);
    if (list->item == NULL) return err_no_memory(y->err, y->path);
    for (size_t i = 0; i < list->n; i++) {
        const yaml_node_t *node = many ? yaml_node(y, items[i]) : value;
        const char *text = yaml_scalar(node);

        if (text == NULL || text[0] == '\0') return refuse(y, node, k, "a text or a list of texts", NULL);
        list->item[i] = k->kind == KEY_PATHS ? yaml_path_below(y, text) : arena_strdup(y->arena, text);
        if (list->item[i] == NULL) return err_no_memory(y->err, y->path);
    }
    return STATUS_OK;
}

struct mix_reading {
    const struct key *key;
    struct config_mix *mix;
};

static enum status mix_pair_read(struct yaml_file *y, const char *name, const yaml_node_t *key,
                                 const yaml_node_t *value, void *user)
{
    struct mix_reading *r = user;
    const char *text = yaml_scalar(value);
    double n_micro;
    enum status st;

    (void)key;
    if (text == NULL) return refuse(y, value, r->key, "a number of micro-batches for each type", NULL);
    st = number_read(y, r->key, value, text, &n_micro);
    if (st != STATUS_OK) return st;
    r->mix->type[r->mix->n] = arena_strdup(y->arena, name);
    r->mix->n_micro[r->mix->n] = (size_t)n_micro;
    return r->mix->type[r->mix->n++] != NULL ? STATUS_OK : err_no_memory(y->err, y->path);
}

static enum status mix_read(struct yaml_file *y, const struct key *k, const yaml_node_t *value,
                            struct config_mix *mix)
{
    size_t n;

    if (value->type != YAML_MAPPING_NODE)
        return refuse(y, value, k, "a number of micro-batches for each type (\"{caption: 10, text: 1}\")",
                      NULL);
    n = (size_t)(value->data.mapping.pairs.top - value->data.mapping.pairs.start);
    *mix = (struct config_mix){ .type = arena_calloc(y->arena, n, sizeof *mix->type),
                                .n_micro = arena_calloc(y->arena, n, sizeof *mix->n_micro) };
    if (mix->type == NULL || mix->n_micro == NULL) return err_no_memory(y->err, y->path);
    return yaml_pairs(y, value, mix_pair_read, &(struct mix_reading){ k, mix });
}

/* ---- keys -------------------------------------------------------------------------------------------------- */

static enum status unknown_key(struct yaml_file *y, const char *name, const yaml_node_t *key)
{
    struct nearest n = { .wanted = name };

    for (size_t i = 0; i < N_KEYS; i++) nearest_offer(&n, keys[i].name);
    return err_set(y->err, STATUS_BAD_FORMAT, "%s: line %zu: the key \"%.60s\" is unknown%s%s%s", y->path,
                   yaml_line(key), name, n.word[0] != '\0' ? "; did you mean \"" : "", n.word,
                   n.word[0] != '\0' ? "\"?" : " (docs/train.md lists them)");
}

/* A value that means nothing (null) leaves the default. */
static enum status pair_read(struct yaml_file *y, const char *name, const yaml_node_t *key,
                             const yaml_node_t *value, void *user)
{
    struct reading *r = user;
    const struct key *k = keys;
    const char *text = yaml_scalar(value);
    void *field;

    while (k < keys + N_KEYS && strcmp(k->name, name) != 0) k++;
    if (k == keys + N_KEYS) return unknown_key(y, name, key);
    field = (char *)r->config + k->offset;
    if (k->kind == KEY_META) {
        r->has_meta = y->path == r->path;
        return r->has_meta ? STATUS_OK : refuse(y, value, k, "to be in the file", NULL);
    }
    if (value->type == YAML_SCALAR_NODE && text == NULL) return STATUS_OK;
    if (k->kind == KEY_PATHS || k->kind == KEY_NAMES) return list_read(y, k, value, field);
    if (k->kind == KEY_MIX) return mix_read(y, k, value, field);
    if (text == NULL) return refuse(y, value, k, "a text or a number", NULL);
    if (k->offset == AT(accum_iter)) r->has_accumulation = true;
    if (k->offset == AT(save_every)) r->in_iterations = k->kind == KEY_ITERATIONS;
    return scalar_read(y, k, value, text, field);
}

static enum status document_read(struct yaml_file *y, const yaml_node_t *root, void *user)
{
    if (root == NULL || root->type != YAML_MAPPING_NODE)
        return err_set(y->err, STATUS_BAD_FORMAT, "%s: want keys with values, \"model: ...\" first", y->path);
    return yaml_pairs(y, root, pair_read, user);
}

/* KEY=VALUE as the one line "KEY: VALUE" of a file. */
static enum status override_read(struct reading *r, const char *text, struct err *e)
{
    struct arena *a = &r->config->arena;
    const char *equal = strchr(text, '=');
    char *name, *line;

    if (equal == NULL || equal == text)
        return err_set(e, STATUS_BAD_FORMAT, "--set: want KEY=VALUE, not \"%.60s\"", text);
    name = arena_printf(a, "--set %.*s", (int)(equal - text), text);
    line = arena_printf(a, "%.*s: %s", (int)(equal - text), text, equal + 1);
    if (name == NULL || line == NULL) return err_no_memory(e, text);
    return yaml_text_read(name, line, strlen(line), a, document_read, r, e);
}

/* ---- what must agree ----------------------------------------------------------------------------------------- */

/* A step of a mix has as many micro-batches as the mix says. */
static enum status check_mix(const struct reading *r, struct err *e)
{
    struct train_config *c = r->config;
    size_t n_micro = 0;

    for (size_t i = 0; i < c->mix.n; i++) n_micro += c->mix.n_micro[i];
    if (c->mix.n == 0) return STATUS_OK;
    if (r->has_accumulation && n_micro != c->accum_iter)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: accum_iter: a step of the mix has %zu micro-batches, not %zu: leave it out",
                       r->path, n_micro, c->accum_iter);
    c->accum_iter = n_micro;
    return STATUS_OK;
}

static enum status check_what_learns(const struct reading *r, struct err *e)
{
    const struct train_config *c = r->config;

    if (c->model.n == 0 && c->segmenter == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "%s: no key \"model\" says what to train", r->path);
    if (c->model.n > 0 && c->segmenter != NULL)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: \"model\" and \"segmenter\" both say what to train: leave one out", r->path);
    if (c->segmenter == NULL) return STATUS_OK;
    if (c->precision == TRAIN_BF16)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: a segmenter is small and learns in float32: say \"precision: f32\"", r->path);
    if (train_config_adapts(c) || c->only_save_trainable || c->mix.n > 0)
        return err_set(
            e, STATUS_BAD_FORMAT,
            "%s: adapters, \"only_save_trainable\" and \"mix\" are for models, not for a segmenter", r->path);
    return STATUS_OK;
}

static enum status check(struct reading *r, struct err *e)
{
    struct train_config *c = r->config;
    enum status st = check_mix(r, e);

    if (st != STATUS_OK) return st;
    if (c->data_config == NULL && r->has_meta) c->data_config = r->path;
    st = check_what_learns(r, e);
    if (st != STATUS_OK) return st;
    if (c->data_config == NULL)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: neither a key \"data_config\" nor META says what to learn from", r->path);
    if (c->output_dir == NULL || c->output_dir[0] == '\0')
        return err_set(e, STATUS_BAD_FORMAT, "%s: no key \"output_dir\" says where to write", r->path);
    if (c->precision == TRAIN_FP16)
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: precision: fp16 needs its loss scaled and gains nothing here: take bf16 or f32",
                       r->path);
    if (c->train.n > 0 && c->trainable_mode == TRAIN_MODE_STAGE1)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: \"train\" and \"trainable_mode: mm_stage1\" both say what trains: leave one out",
                       r->path);
    if (c->trainable_mode == TRAIN_MODE_STAGE1 && train_config_adapts(c))
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: \"trainable_mode: mm_stage1\" trains projections, and adapters, biases and norms "
                       "are trained without them: leave one out",
                       r->path);
    if (c->lora_targets.n > 0 && c->lora_rank == 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: \"lora_targets\" is of no use without \"lora_rank\"",
                       r->path);
    if (c->min_lr > c->lr)
        return err_set(e, STATUS_BAD_FORMAT, "%s: min_lr %g is above lr %g", r->path, c->min_lr, c->lr);
    if (r->in_iterations) {
        if (c->save_every < c->accum_iter)
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: save_iteration_interval: %zu micro-batches are less than a step of %zu",
                           r->path, c->save_every, c->accum_iter);
        c->save_every /= c->accum_iter;
    }
    return STATUS_OK;
}

enum status train_config_read(struct train_config *c, const char *path, const char *const *overrides,
                              size_t n, struct err *e)
{
    struct reading r = { .config = c };
    enum status st;

    *c = defaults;
    r.path = arena_strdup(&c->arena, path);
    st = r.path != NULL ? yaml_file_read(r.path, &c->arena, document_read, &r, e) : err_no_memory(e, path);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) st = override_read(&r, overrides[i], e);
    if (st == STATUS_OK) st = check(&r, e);
    if (st != STATUS_OK) train_config_free(c);
    return st;
}

bool train_config_adapts(const struct train_config *c)
{
    return c->lora_rank > 0 || c->bias_tuning || c->norm_tuning;
}

void train_config_free(struct train_config *c)
{
    arena_free(&c->arena);
    *c = (struct train_config){ .model = { NULL, 0 } };
}
