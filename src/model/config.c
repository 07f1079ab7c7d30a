/* config.c - see config.h. */
#include "model/config.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { SIZE_MAX_ANY = 1 << 20 };

/* One JSON object being read: unknown keys are found by ticking off the known ones. */
struct reader {
    const json_t *object;
    const char *name; /* of the file, and of the object within: "config.json: vision.clip" */
    const struct report *report;
    struct err *err;
};

/* NULL where the key is absent or null. */
static const json_t *get(const struct reader *r, const char *key)
{
    const json_t *v = r->object != NULL ? json_object_get(r->object, key) : NULL;

    return v != NULL && !json_is_null(v) ? v : NULL;
}

static void read_int(const struct reader *r, const char *key, int *value, int min)
{
    const json_t *v = get(r, key);

    if (v == NULL) return;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > SIZE_MAX_ANY) {
        err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be a whole number from %d to %d", r->name, key,
                min, SIZE_MAX_ANY);
        return;
    }
    *value = (int)json_integer_value(v);
}

static void read_float(const struct reader *r, const char *key, float *value)
{
    const json_t *v = get(r, key);
    double d;

    if (v == NULL) return;
    d = json_number_value(v);
    if (!json_is_number(v) || !((float)d > 0) || d > 1e12) { /* 1e-51 is 0 as a float */
        err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be a number above 0", r->name, key);
        return;
    }
    *value = (float)d;
}

static void read_bool(const struct reader *r, const char *key, bool *value)
{
    const json_t *v = get(r, key);

    if (v == NULL) return;
    if (!json_is_boolean(v)) {
        err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be true or false", r->name, key);
        return;
    }
    *value = json_is_true(v);
}

static void read_choice(const struct reader *r, const char *key, const char *const *choices, int n,
                        int *value)
{
    const json_t *v = get(r, key);
    const char *text = json_string_value(v);

    if (v == NULL) return;
    for (int i = 0; text != NULL && i < n; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *value = i;
            return;
        }
    }
    err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be \"%s\" or \"%s\"", r->name, key, choices[0],
            choices[n - 1]);
}

static void warn_unknown(const struct reader *r, const char *const *known, size_t n)
{
    const char *key;
    json_t *value;

    if (r->object == NULL) return;
    json_object_foreach((json_t *)(uintptr_t)r->object, key, value)
    {
        size_t i = 0;

        while (i < n && strcmp(key, known[i]) != 0) i++;
        if (i == n) report_warn(r->report, "%s: unknown key \"%.60s\" is ignored", r->name, key);
    }
}

/* The object under key, or none; anything else is an error. `name` [size] receives "file: vision.key". */
static struct reader enter(const struct reader *r, const char *key, char *name, size_t size)
{
    struct reader inner = *r;

    inner.object = get(r, key);
    snprintf(name, size, "%s%s%s", r->name, strstr(r->name, ": ") != NULL ? "." : ": ", key);
    inner.name = name;
    if (inner.object != NULL && !json_is_object(inner.object)) {
        err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be an object", r->name, key);
        inner.object = NULL;
    }
    return inner;
}

#define KEYS(...)                                                                                            \
    (const char *const[]){ __VA_ARGS__ }, sizeof(const char *const[]){ __VA_ARGS__ } / sizeof(char *)

enum { NAME_MAX_BYTES = 512 };

static void read_clip(const struct reader *vision, struct clip_config *k)
{
    static const char *const acts[] = { "gelu", "quick_gelu" };
    char name[NAME_MAX_BYTES];
    struct reader r = enter(vision, "clip", name, sizeof name);
    int act = 1;

    read_int(&r, "patch_size", &k->patch_size, 1);
    read_int(&r, "width", &k->width, 1);
    read_int(&r, "layers", &k->layers, 1);
    read_int(&r, "heads", &k->heads, 1);
    read_int(&r, "mlp_width", &k->mlp_width, 1);
    read_choice(&r, "act", acts, 2, &act);
    k->act = act == 1 ? ACT_GELU_QUICK : ACT_GELU_ERF;
    warn_unknown(&r, KEYS("patch_size", "width", "layers", "heads", "mlp_width", "act"));
}

static void read_stages(const struct reader *r, const char *key, int *values)
{
    const json_t *v = get(r, key);

    if (v == NULL) return;
    for (size_t i = 0; i < CONVNEXT_STAGES; i++) {
        const json_t *n = json_array_get(v, i);

        if (!json_is_array(v) || json_array_size(v) != CONVNEXT_STAGES || !json_is_integer(n) ||
            json_integer_value(n) < 1 || json_integer_value(n) > SIZE_MAX_ANY) {
            err_set(r->err, STATUS_BAD_FORMAT, "%s: \"%s\" must be a list of four whole numbers above 0",
                    r->name, key);
            return;
        }
        values[i] = (int)json_integer_value(n);
    }
}

static void read_convnext(const struct reader *vision, struct convnext_config *k)
{
    char name[NAME_MAX_BYTES];
    struct reader r = enter(vision, "convnext", name, sizeof name);

    read_int(&r, "image_size", &k->image_size, 32);
    read_stages(&r, "depths", k->depths);
    read_stages(&r, "dims", k->dims);
    warn_unknown(&r, KEYS("image_size", "depths", "dims"));
}

static void read_dinov2(const struct reader *vision, struct dinov2_config *k)
{
    static const char *const ffns[] = { "swiglu" };
    char name[NAME_MAX_BYTES];
    struct reader r = enter(vision, "dinov2", name, sizeof name);
    int ffn = 0;

    read_int(&r, "patch_size", &k->patch_size, 1);
    read_int(&r, "pretrain_size", &k->pretrain_size, 1);
    read_int(&r, "width", &k->width, 1);
    read_int(&r, "layers", &k->layers, 1);
    read_int(&r, "heads", &k->heads, 1);
    read_int(&r, "ffn_width", &k->ffn_width, 1);
    read_choice(&r, "ffn", ffns, 1, &ffn);
    warn_unknown(&r, KEYS("patch_size", "pretrain_size", "width", "layers", "heads", "ffn", "ffn_width"));
}

static void read_qformer(const struct reader *vision, struct qformer_config *k)
{
    char name[NAME_MAX_BYTES];
    struct reader r = enter(vision, "qformer", name, sizeof name);

    read_int(&r, "patch_size", &k->patch_size, 1);
    read_int(&r, "vision_width", &k->vision_width, 1);
    read_int(&r, "vision_layers", &k->vision_layers, 1);
    read_int(&r, "vision_heads", &k->vision_heads, 1);
    read_int(&r, "vision_mlp_width", &k->vision_mlp_width, 1);
    read_int(&r, "queries", &k->queries, 1);
    read_int(&r, "width", &k->width, 1);
    read_int(&r, "layers", &k->layers, 1);
    read_int(&r, "heads", &k->heads, 1);
    read_int(&r, "mlp_width", &k->mlp_width, 1);
    read_int(&r, "cross_every", &k->cross_every, 1);
    warn_unknown(&r, KEYS("patch_size", "vision_width", "vision_layers", "vision_heads", "vision_mlp_width",
                          "queries", "width", "layers", "heads", "mlp_width", "cross_every"));
}

static void read_vision(const struct reader *top, struct model_config *k)
{
    char name[NAME_MAX_BYTES];
    struct reader r = enter(top, "vision", name, sizeof name);

    k->views = (struct img_views){ k->variant->layout, k->variant->image_size, 224, k->variant->cnn_size };
    k->clip = (struct clip_config){ 224, 14, 1024, 24, 16, 4096, ACT_GELU_QUICK };
    k->convnext = (struct convnext_config){ k->views.cnn_size, { 3, 4, 30, 3 }, { 384, 768, 1536, 3072 } };
    k->dinov2 = (struct dinov2_config){ 224, 14, 518, 1536, 40, 24, 4096 };
    k->qformer = (struct qformer_config){ 224, 14, 1408, 39, 16, 6144, 32, 768, 12, 12, 3072, 2 };
    read_int(&r, "image_size", &k->views.image_size, 1);
    read_int(&r, "view_size", &k->views.view_size, 1);
    read_clip(&r, &k->clip);
    read_convnext(&r, &k->convnext);
    read_dinov2(&r, &k->dinov2);
    read_qformer(&r, &k->qformer);
    warn_unknown(&r, KEYS("image_size", "view_size", "clip", "convnext", "dinov2", "qformer"));
    k->clip.view_size = k->dinov2.view_size = k->qformer.view_size = k->views.view_size;
    k->views.cnn_size = k->convnext.image_size;
}

/* Upstream's rule for the feed-forward's width: two thirds of 4 D, scaled, rounded up (spec 05). */
static int ffn_width(const struct reader *r, int dim)
{
    enum { WIDTH_MAX = 16 * SIZE_MAX_ANY };
    int multiple_of = 256;
    float multiplier = 1;
    double width;

    read_int(r, "multiple_of", &multiple_of, 1);
    read_float(r, "ffn_dim_multiplier", &multiplier);
    width = floor((double)multiplier * floor(2.0 * (4.0 * dim) / 3.0));
    width = ceil(width / multiple_of) * multiple_of;
    if (!(width >= 1 && width <= WIDTH_MAX)) {
        err_set(r->err, STATUS_BAD_FORMAT,
                "%s: \"ffn_dim_multiplier\" makes a feed-forward of width %.0f; it must be from 1 to %d",
                r->name, width, WIDTH_MAX);
        return 0;
    }
    return (int)width;
}

static void read_experts(const struct reader *top, struct llama_config *l)
{
    char name[NAME_MAX_BYTES];
    struct reader r = enter(top, "moe", name, sizeof name);

    l->n_experts_per_token = 2;
    read_int(&r, "num_experts", &l->n_experts, 1);
    read_int(&r, "num_experts_per_tok", &l->n_experts_per_token, 1);
    warn_unknown(&r, KEYS("num_experts", "num_experts_per_tok"));
    if (l->n_experts_per_token > l->n_experts) {
        err_set(r.err, STATUS_BAD_FORMAT, "%s: \"num_experts_per_tok\" is %d, but there are %d experts",
                r.name, l->n_experts_per_token, l->n_experts);
    }
}

static void read_llama(const struct reader *r, const struct variant *variant, struct llama_config *l)
{
    const struct llama_sizes *s = r->object != NULL ? &variant->defaults : &variant->released;
    const json_t *scaling = get(r, "rope_scaling"), *balance = get(r, "load_balancing_weight");

    *l = (struct llama_config){ .dim = s->dim,
                                .n_layers = s->n_layers,
                                .n_heads = s->n_heads,
                                .n_kv_heads = s->n_kv_heads,
                                .n_experts = variant->n_experts,
                                .norm_eps = 1e-5f,
                                .rope_theta = s->rope_theta,
                                .rope_scale = 1 };
    read_int(r, "dim", &l->dim, 1);
    read_int(r, "n_layers", &l->n_layers, 1);
    read_int(r, "n_heads", &l->n_heads, 1);
    read_int(r, "n_kv_heads", &l->n_kv_heads, 1);
    if (l->n_kv_heads == 0) l->n_kv_heads = l->n_heads;
    read_float(r, "norm_eps", &l->norm_eps);
    read_float(r, "rope_theta", &l->rope_theta);
    if (scaling != NULL) read_float(r, "rope_scaling", &l->rope_scale);
    if (l->n_experts > 0) {
        l->ffn_width = s->ffn_width;
        read_int(r, "hidden_dim", &l->ffn_width, 1);
        read_experts(r, l);
        l->balance = variant->layout == IMG_LAYOUT_ONE ? 0.1f : 0.01f; /* upstream's two defaults */
        if (json_is_number(balance)) l->balance = (float)json_number_value(balance);
    } else {
        l->ffn_width = ffn_width(r, l->dim);
    }
    warn_unknown(r, KEYS("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim", "hidden_dim", "multiple_of",
                         "ffn_dim_multiplier", "norm_eps", "rope_theta", "rope_scaling", "vocab_size",
                         "max_batch_size", "max_seq_len", "moe", "load_balancing_weight",
                         "load_pretrained_visual_encoder", "trainable_mode", "lora_rank", "bias_tuning",
                         "norm_tuning", "vision"));
}

static void read_adapters(const struct reader *r, struct model_config *k)
{
    k->bias_tuning = k->variant->all_biased;
    read_int(r, "lora_rank", &k->lora_rank, -1); /* upstream's word for none */
    if (k->lora_rank < 0) k->lora_rank = 0;
    read_bool(r, "bias_tuning", &k->bias_tuning);
}

/* "what must be a multiple of what" in one line each. */
static void divides(struct err *e, const char *file, int n, int by, const char *what)
{
    if (n % by != 0) err_set(e, STATUS_BAD_FORMAT, "%s: %s: %d is not a multiple of %d", file, what, n, by);
}

static bool has(const struct model_config *k, enum encoder encoder)
{
    return (k->variant->encoders >> encoder & 1) != 0;
}

static void check_vision(struct model_config *k, const char *file, struct err *e)
{
    int side = k->convnext.image_size / 32;

    divides(e, file, k->convnext.image_size, 32, "vision.convnext.image_size and its four downsamplings");
    divides(e, file, k->views.view_size, k->dinov2.patch_size, "vision.view_size and dinov2.patch_size");
    divides(e, file, k->dinov2.pretrain_size, k->dinov2.patch_size,
            "vision.dinov2.pretrain_size and patch_size");
    divides(e, file, k->dinov2.width, k->dinov2.heads, "vision.dinov2.width and heads");
    if (e->code != STATUS_OK) return;
    k->mixer.grid = k->views.view_size / k->dinov2.patch_size;
    divides(e, file, k->mixer.grid, side, "the patch grid of a view and ConvNeXt's map");
    if (has(k, ENCODER_CONVNEXT)) k->mixer.channels += k->convnext.dims[CONVNEXT_STAGES - 1];
    if (has(k, ENCODER_DINOV2)) k->mixer.channels += k->dinov2.width;
    if (has(k, ENCODER_CLIP)) {
        divides(e, file, k->clip.width, k->clip.heads, "vision.clip.width and heads");
        k->mixer.channels += k->clip.width;
    }
    if (has(k, ENCODER_QFORMER)) {
        divides(e, file, k->qformer.vision_width, k->qformer.vision_heads,
                "vision.qformer.vision_width and vision_heads");
        divides(e, file, k->qformer.width, k->qformer.heads, "vision.qformer.width and heads");
        k->mixer.queries = k->qformer.queries;
        k->mixer.query_width = k->qformer.width;
    }
    if ((has(k, ENCODER_CLIP) && k->clip.patch_size != k->dinov2.patch_size) ||
        (has(k, ENCODER_QFORMER) && k->qformer.patch_size != k->dinov2.patch_size)) {
        err_set(e, STATUS_BAD_FORMAT, "%s: the encoders' patch_size differ, their tokens could not be joined",
                file);
    }
    if (k->variant->pool_parts) divides(e, file, k->mixer.grid, 2, "the patch grid, which is pooled 2x2");
    k->mixer.width = k->llama.dim;
    k->mixer.pool_parts = k->variant->pool_parts;
}

static void check_llama(const struct llama_config *l, const char *file, struct err *e)
{
    divides(e, file, l->dim, l->n_heads, "dim and n_heads");
    if (e->code != STATUS_OK) return;
    divides(e, file, l->n_heads, l->n_kv_heads, "n_heads and n_kv_heads");
    divides(e, file, l->dim / l->n_heads, 2, "the head width dim / n_heads, for rotary pairs");
    if (l->dim / l->n_heads > HEAD_DIM_MAX) {
        err_set(e, STATUS_UNSUPPORTED, "%s: head width %d is above %d", file, l->dim / l->n_heads,
                HEAD_DIM_MAX);
    }
}

static enum status parse(json_t **root, const char *json, size_t size, const char *name, struct err *e)
{
    json_error_t problem;

    *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (*root == NULL) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: not JSON: %s (line %d)", name, problem.text, problem.line);
    }
    if (!json_is_object(*root)) {
        json_decref(*root);
        return err_set(e, STATUS_BAD_FORMAT, "%s: an object was expected", name);
    }
    return STATUS_OK;
}

enum status config_parse(struct model_config *k, const struct variant *variant, const char *json, size_t size,
                         const char *name, int vocab, const struct report *report, struct err *e)
{
    struct err first = { 0 };
    struct reader r = { NULL, name, report, &first };
    json_t *root = NULL;

    memset(k, 0, sizeof *k);
    k->variant = variant;
    if (json != NULL && parse(&root, json, size, name, e) != STATUS_OK)
        return e != NULL ? e->code : STATUS_BAD_FORMAT;
    r.object = root;
    read_llama(&r, variant, &k->llama);
    read_adapters(&r, k);
    read_vision(&r, k);
    json_decref(root);
    k->llama.vocab = vocab;
    if (first.code == STATUS_OK) check_llama(&k->llama, name, &first);
    if (first.code == STATUS_OK) check_vision(k, name, &first);
    return first.code == STATUS_OK ? STATUS_OK : err_set(e, first.code, "%s", first.text);
}

enum status config_parse_meta(char **llama_type, const char *json, size_t size, const char *name,
                              struct err *e)
{
    enum status st;
    const char *text;
    json_t *root;

    st = parse(&root, json, size, name, e);
    if (st != STATUS_OK) return st;
    text = json_string_value(json_object_get(root, "llama_type"));
    if (text == NULL) {
        st = err_set(e, STATUS_BAD_FORMAT, "%s: \"llama_type\" is missing or no string", name);
    } else {
        *llama_type = strdup(text);
        if (*llama_type == NULL) st = err_no_memory(e, name);
    }
    json_decref(root);
    return st;
}
