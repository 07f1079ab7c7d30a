/* load.c - see load.h. */
#include "model/load.h"

#include "core/file.h"

#include "model/adapter_file.h"
#include "model/description.h"
#include "model/load_gguf.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_SIZE_MAX = 1 << 20 };

/* ---- files beside the weights ------------------------------------------------------------------------------ */

/* The folder of a path: itself, or its parent if it is a file. The caller frees. */
static char *folder_of(const char *path)
{
    const char *base = path_base(path);

    if (file_is_directory(path)) return strdup(path);
    return base == path ? strdup(".") : strndup(path, (size_t)(base - path));
}

/* What describes the model: a file beside the weights, or a GGUF file that holds the like under a key. At most one is set. */
struct place {
    char *path; /* the holder frees */
    const struct gguf_file *gguf;
};

/* In the last path that has `name` or `key`. */
static struct place find_place(const struct checkpoint *c, const char *name, const char *key)
{
    struct place p = { NULL, NULL };

    for (int i = ckpt_paths(c) - 1; i >= 0 && p.path == NULL && p.gguf == NULL; i--) {
        const struct gguf_file *gguf = ckpt_gguf(c, i);
        char *folder;

        if (gguf != NULL) {
            if (key != NULL && gguf_find(gguf, key) != NULL) p.gguf = gguf;
            continue;
        }
        folder = folder_of(ckpt_path(c, i));
        p.path = folder != NULL ? path_join(folder, name) : NULL;
        free(folder);
        if (p.path != NULL && file_exists(p.path)) continue;
        free(p.path);
        p.path = NULL;
    }
    return p;
}

/* The last path that is a GGUF file; its ecosystem's keys serve where nothing better is found. */
static const struct gguf_file *find_gguf(const struct checkpoint *c)
{
    const struct gguf_file *gguf = NULL;

    for (int i = ckpt_paths(c) - 1; i >= 0 && gguf == NULL; i--) gguf = ckpt_gguf(c, i);
    return gguf;
}

/* The text under a key that is there, malloc'ed. */
static enum status gguf_text(char **text, size_t *size, const struct gguf_file *gguf, const char *key,
                             struct err *e)
{
    struct gguf_string s;
    enum status st = gguf_get_string(gguf, key, &s, e);

    if (st != STATUS_OK) return st;
    *text = strndup(s.bytes, s.size);
    *size = s.size;
    return *text != NULL ? STATUS_OK : err_no_memory(e, key);
}

/* The llama_type, malloc'ed, and in *where what said so: NULL for an option. */
static enum status find_type(char **type, char **where, const struct load_options *o,
                             const struct checkpoint *c, struct err *e)
{
    struct place p = find_place(c, "meta.json", GGUF_KEY_LLAMA_TYPE);
    const struct gguf_file *gguf = p.gguf != NULL ? p.gguf : find_gguf(c);
    unsigned char *json = NULL;
    enum status st = STATUS_OK;
    const char *like;
    char list[256];
    size_t size;

    *where = p.path;
    if (p.path != NULL) {
        st = file_read(p.path, CONFIG_SIZE_MAX, &json, &size, e);
        if (st == STATUS_OK) st = config_parse_meta(type, (const char *)json, size, p.path, e);
        free(json);
        return st;
    }
    if (gguf == NULL) {
        return err_set(e, STATUS_NOT_FOUND,
                       "%s: no meta.json beside the weights says which variant this is: name it with "
                       "--llama-type (%s)",
                       o->paths[o->n_paths - 1], variant_list(list, sizeof list));
    }
    *where = strdup(gguf->path);
    if (*where == NULL) return err_no_memory(e, "variant");
    if (p.gguf != NULL) return gguf_text(type, &size, gguf, GGUF_KEY_LLAMA_TYPE, e);
    st = load_gguf_type(gguf, &like, e);
    if (st != STATUS_OK) return st;
    *type = strdup(like);
    return *type != NULL ? STATUS_OK : err_no_memory(e, "variant");
}

static enum status find_variant(const struct variant **variant, const struct load_options *o,
                                const struct checkpoint *c, struct err *e)
{
    enum status st = STATUS_OK;
    char *where = NULL, *type = NULL, list[256];

    if (o->llama_type != NULL) {
        type = strdup(o->llama_type);
        if (type == NULL) st = err_no_memory(e, "variant");
    } else {
        st = find_type(&type, &where, o, c, e);
    }
    if (st == STATUS_OK) {
        *variant = variant_find(type);
        if (*variant == NULL) {
            st = err_set(e, STATUS_UNSUPPORTED, "%s%sunknown variant \"%.60s\": known are %s",
                         where != NULL ? where : "", where != NULL ? ": " : "", type,
                         variant_list(list, sizeof list));
        }
    }
    free(where);
    free(type);
    return st;
}

static enum status open_tokenizer(struct tokenizer **t, const struct load_options *o,
                                  const struct checkpoint *c, struct err *e)
{
    const struct gguf_value *file;
    const struct gguf_file *gguf;
    enum status st;
    struct place p;

    if (o->tokenizer_path != NULL) return tok_open(t, o->tokenizer_path, e);
    p = find_place(c, "tokenizer.model", GGUF_KEY_TOKENIZER);
    gguf = find_gguf(c);
    if (p.path != NULL) {
        st = tok_open(t, p.path, e);
    } else if (p.gguf != NULL) {
        st = gguf_get_array(p.gguf, GGUF_KEY_TOKENIZER, GGUF_U8, &file, e);
        if (st == STATUS_OK) st = tok_open_memory(t, file->data, file->size, p.gguf->path, e);
    } else if (gguf != NULL) {
        st = load_gguf_tokenizer(gguf, t, e);
    } else {
        struct place json = find_place(c, "tokenizer.json", NULL);

        st = err_set(e, json.path != NULL ? STATUS_UNSUPPORTED : STATUS_NOT_FOUND,
                     "%s: no tokenizer.model beside the weights%s: name one with --tokenizer",
                     o->paths[o->n_paths - 1], json.path != NULL ? " (tokenizer.json is not read)" : "");
        free(json.path);
    }
    free(p.path);
    return st;
}

/* The text of config.json from wherever it is; *json stays NULL where there is none. */
static enum status read_config(char **json, size_t *size, const struct place *p, const char *where,
                               const struct gguf_file *fallback, struct err *e)
{
    unsigned char *data = NULL;
    enum status st;

    if (p->gguf != NULL) return gguf_text(json, size, p->gguf, GGUF_KEY_CONFIG, e);
    if (p->path == NULL) return fallback != NULL ? load_gguf_config(fallback, json, size, e) : STATUS_OK;
    st = file_read(where, CONFIG_SIZE_MAX, &data, size, e);
    *json = (char *)data;
    return st;
}

enum status load_config_text(char **json, size_t *size, char **name, const struct load_options *o,
                             const struct checkpoint *c, struct err *e)
{
    struct place p = { o->config_path != NULL ? strdup(o->config_path) : NULL, NULL };
    const struct gguf_file *fallback = find_gguf(c);
    enum status st;

    *json = NULL;
    *size = 0;
    if (o->config_path == NULL) p = find_place(c, "config.json", GGUF_KEY_CONFIG);
    if (p.path == NULL && p.gguf == NULL) p = find_place(c, "params.json", NULL);
    *name = p.path != NULL     ? strdup(p.path)
            : p.gguf != NULL   ? strdup(p.gguf->path)
            : fallback != NULL ? strdup(fallback->path)
                               : strdup("built-in configuration");
    st = *name != NULL ? read_config(json, size, &p, *name, fallback, e) : err_no_memory(e, "config.json");
    free(p.path);
    if (st == STATUS_OK) return st;
    free(*name);
    *name = NULL;
    return st;
}

/* Which way round the experts' w2 is stored: only one of the two networks can be made. */
static enum status find_turned(struct llama_config *l, const struct checkpoint *c, struct err *e)
{
    for (int i = 0; i < l->n_layers && l->n_experts > 0; i++) {
        char name[64], turned[64];

        snprintf(name, sizeof name, "layers.%d.feed_forward.w2", i);
        snprintf(turned, sizeof turned, "layers.%d.feed_forward.w2_turned", i);
        if (!ckpt_has(c, turned)) continue;
        l->w2_turned = true;
        if (!ckpt_has(c, name)) continue;
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: %s is there in two layouts, upstream's and GGUF's, which are not put together: "
                       "convert the GGUF file to a folder first",
                       ckpt_path(c, ckpt_paths(c) - 1), name);
    }
    return STATUS_OK;
}

enum status load_config(struct model_config *config, struct tokenizer **t, const struct load_options *o,
                        const struct checkpoint *c, struct err *e)
{
    const struct variant *variant = NULL;
    char *json = NULL, *name = NULL;
    size_t size = 0;
    enum status st;

    *t = NULL;
    st = find_variant(&variant, o, c, e);
    if (st == STATUS_OK) st = open_tokenizer(t, o, c, e);
    if (st != STATUS_OK) return st;
    st = load_config_text(&json, &size, &name, o, c, e);
    if (st == STATUS_OK)
        st = config_parse(config, variant, json, size, name, tok_vocab_size(*t), o->report, e);
    if (st == STATUS_OK) st = find_turned(&config->llama, c, e);
    if (st != STATUS_OK) {
        tok_close(*t);
        *t = NULL;
    }
    free(json);
    free(name);
    return st;
}

/* ---- weights ----------------------------------------------------------------------------------------------- */

struct loader {
    struct network *network;
    struct checkpoint *checkpoint;
    const struct load_options *options;
    size_t n_visited, n_missing, n_broken;
    char missing[512], broken[768]; /* the first few, for the message */
    struct err err;                 /* failures that are not about one tensor */
};

static void note(char *text, size_t size, const char *what)
{
    size_t n = strlen(text);

    if (n + strlen(what) + 8 < size) snprintf(text + n, size - n, "%s%s", n > 0 ? "; " : "", what);
}

bool load_separate_biases(const struct checkpoint *c, const char *name, char part[2][LOAD_NAME_MAX])
{
    static const char fused[] = "self_attn.qkv.bias";
    size_t n = strlen(name), stem = n - (sizeof fused - 1);

    if (n < sizeof fused || strcmp(name + stem, fused) != 0 || ckpt_has(c, name)) return false;
    snprintf(part[0], LOAD_NAME_MAX, "%.*sself_attn.q_bias", (int)stem, name);
    snprintf(part[1], LOAD_NAME_MAX, "%.*sself_attn.v_bias", (int)stem, name);
    return ckpt_has(c, part[0]) && ckpt_has(c, part[1]);
}

enum status load_join_biases(struct checkpoint *c, const struct param *p, struct arena *a, struct tensor *out,
                             struct err *e)
{
    int64_t n = p->dim[0] / 3;
    struct ckpt_rule rule = { .split = CKPT_REPLICATED, .n_dims = 1, .dim = { n } };
    float *data = arena_calloc(a, (size_t)p->dim[0], sizeof *data);
    char part[2][LOAD_NAME_MAX];

    if (data == NULL) return err_no_memory(e, "weights");
    load_separate_biases(c, p->name, part);
    for (int i = 0; i < 2; i++) {
        struct tensor t;
        enum status st = ckpt_tensor(c, part[i], &rule, 0, 1, &t, e);

        if (st != STATUS_OK) return st;
        tensor_row_f32(&t, 0, 0, n, data + 2 * i * n);
    }
    *out = (struct tensor){
        .dtype = DTYPE_F32, .n_dims = 1, .dim = { p->dim[0] }, .stride = p->dim[0], .data = data
    };
    return STATUS_OK;
}

static void load_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct loader *l = v->user;
    int ranks = l->options->ranks > 0 ? l->options->ranks : 1;
    char parts[2][LOAD_NAME_MAX];
    struct err e = { 0 };
    enum status st;

    if (slot == NULL || l->err.code != STATUS_OK) return;
    l->n_visited++;
    if (load_separate_biases(l->checkpoint, p->name, parts)) {
        load_join_biases(l->checkpoint, p, &l->network->arena, slot, &l->err);
        return;
    }
    if (!ckpt_has(l->checkpoint, p->name)) {
        char shape[SHAPE_TEXT_MAX], text[SHAPE_TEXT_MAX + 192];

        snprintf(text, sizeof text, "%s %s", p->name, shape_text(shape, p->dim, p->n_dims));
        if (l->n_missing++ < 4) note(l->missing, sizeof l->missing, text);
        return;
    }
    st = ckpt_param(l->checkpoint, p, l->options->rank, ranks, &l->network->arena, slot, &e);
    if (st == STATUS_OK) return;
    if (st == STATUS_NO_MEMORY) {
        err_set(&l->err, st, "%s", e.text);
    } else if (l->n_broken++ < 3) {
        note(l->broken, sizeof l->broken, e.text);
    }
}

struct unused_search {
    const char *name;
    bool found;
};

static void unused_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct unused_search *s = v->user;

    if (slot == NULL && strcmp(p->name, s->name) == 0) s->found = true;
}

bool load_is_unused(struct network *n, const char *name)
{
    struct unused_search s = { name, false };
    struct param_visitor v = { .visit = unused_visit, .user = &s };

    network_params(n, &v);
    return s.found;
}

/* Tensors of the encoders and the glue: a checkpoint has all of them or, a text-only LLaMA, none. */
static bool is_visual(const char *name)
{
    static const char *const prefixes[] = { "clip.",          "openclip_convnext_xxl.",
                                            "dinov2_vitg14.", "qformer.",
                                            "visual_proj.",   "qformer_proj.",
                                            "start_img",      "end_img" };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    }
    return false;
}

bool load_sees(const struct variant *variant, const struct checkpoint *c)
{
    if (variant->encoders == 0) return false;
    for (size_t i = 0; i < ckpt_count(c); i++) {
        if (is_visual(ckpt_entry(c, i)->name)) return true;
    }
    return false;
}

/* Meta's files carry rope.freqs, which is computed; upstream drops it too. */
static bool is_known_extra(const char *name)
{
    return strcmp(name, "rope.freqs") == 0;
}

void load_warn_extra(struct network *n, const struct checkpoint *c, const struct report *report)
{
    char first[256] = "";
    size_t extra = 0;

    for (size_t i = 0; i < ckpt_count(c); i++) {
        const struct ckpt_entry *entry = ckpt_entry(c, i);
        char shape[SHAPE_TEXT_MAX], text[SHAPE_TEXT_MAX + 128];

        if (ckpt_used(c, i) || load_is_unused(n, entry->name) || is_known_extra(entry->name)) continue;
        if (extra++ >= 3) continue;
        snprintf(text, sizeof text, "%.100s %s", entry->name,
                 shape_text(shape, entry->shard[0]->dim, entry->shard[0]->n_dims));
        note(first, sizeof first, text);
    }
    if (extra == 0) return;
    report_warn(report, "%s: not used: %s (%zu in all)", ckpt_path(c, ckpt_paths(c) - 1), first, extra);
}

static enum status load_adapters(struct network *n, const struct load_options *o, struct err *e)
{
    struct adapters *x;
    enum status st;

    if (o->n_adapters == 0) return STATUS_OK;
    if (o->ranks > 1)
        return err_set(e, STATUS_UNSUPPORTED,
                       "adapters cannot be put on a model that ranks share: merge them");
    st = adapters_open(&x, o->adapters, o->n_adapters, e);
    if (st == STATUS_OK) st = adapters_place(x, n, e);
    if (st == STATUS_OK) st = adapters_apply(x, n, e);
    adapters_close(x);
    return st;
}

enum status load_weights(struct network *n, struct checkpoint *c, const struct load_options *o, struct err *e)
{
    struct loader l = { .network = n, .checkpoint = c, .options = o };
    struct param_visitor v = { .visit = load_one, .user = &l };
    const char *where = ckpt_path(c, ckpt_paths(c) - 1);

    n->sees = load_sees(n->config.variant, c);
    report_progress(o->report, "load", 0, 1);
    network_params(n, &v);
    if (l.err.code != STATUS_OK) return err_set(e, l.err.code, "%s", l.err.text);
    if (l.n_broken > 0) {
        return err_set(e, STATUS_BAD_FORMAT, "%s%s", l.broken, l.n_broken > 3 ? "; and more" : "");
    }
    if (l.n_missing > 0) {
        return err_set(e, STATUS_NOT_FOUND, "%s: %zu of %zu tensors of a %s are missing: %s%s", where,
                       l.n_missing, l.n_visited, n->config.variant->llama_type, l.missing,
                       l.n_missing > 4 ? "; ..." : "");
    }
    load_warn_extra(n, c, o->report);
    ckpt_advise(c, FILE_ACCESS_RUNS); /* from here on whole matrices are read */
    /* Upstream multiplies positions in its default dtype (spec 05): only bf16 models saw rounded positions. */
    n->llama.config.rope_round_bf16 =
        n->llama.config.rope_scale != 1 && n->llama.tok_embeddings.dtype == DTYPE_BF16;
    report_progress(o->report, "load", 1, 1);
    return load_adapters(n, o, e);
}

/* ---- not finite ---------------------------------------------------------------------------------------------- */

struct finite_search {
    char *text;
    size_t size;
    bool found;
};

static bool row_finite(const struct tensor *t, int64_t row)
{
    enum { STEP = 1024 };
    int64_t n = tensor_columns(t);
    float x[STEP];

    for (int64_t i = 0; i < n; i += STEP) {
        int64_t count = n - i < STEP ? n - i : STEP;

        tensor_row_f32(t, row, i, count, x);
        for (int64_t j = 0; j < count; j++) {
            if (!isfinite(x[j])) return false;
        }
    }
    return true;
}

static void finite_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct finite_search *s = v->user;

    if (slot == NULL || s->found) return;
    for (int i = 0; i < p->experts; i++) {
        for (int64_t r = 0; r < tensor_rows(&slot[i]); r++) {
            if (row_finite(&slot[i], r)) continue;
            s->found = true;
            snprintf(s->text, s->size, "%s, row %lld", p->name, (long long)(i * tensor_rows(&slot[i]) + r));
            return;
        }
    }
}

bool load_find_not_finite(struct network *n, char *text, size_t size)
{
    struct finite_search s = { text, size, false };
    struct param_visitor v = { .visit = finite_visit, .user = &s };

    network_params(n, &v);
    return s.found;
}
