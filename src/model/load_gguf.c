/* load_gguf.c - see load_gguf.h. */
#include "model/load_gguf.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/description.h"
#include "text/tokenizer_build.h"

enum { FFN_MULTIPLE = 256, SIZE_MAX_ANY = 1 << 20 };

static bool has(const struct gguf_file *f, const char *key)
{
    return gguf_find(f, key) != NULL;
}

static bool is_text(const struct gguf_string *s, const char *text)
{
    return s->size == strlen(text) && memcmp(s->bytes, text, s->size) == 0;
}

/* ---- sizes -------------------------------------------------------------------------------------------------- */

static enum status check_architecture(const struct gguf_file *f, struct err *e)
{
    char text[SHAPE_TEXT_MAX];
    struct gguf_string s;
    enum status st = gguf_get_string(f, GGUF_KEY_ARCHITECTURE, &s, e);

    if (st != STATUS_OK || is_text(&s, GGUF_ARCHITECTURE_LLAMA)) return st;
    if (is_text(&s, GGUF_ARCHITECTURE_SPHINX))
        return err_set(e, STATUS_NOT_FOUND, "%s: the key %s is missing", f->path, GGUF_KEY_LLAMA_TYPE);
    return err_set(e, STATUS_UNSUPPORTED,
                   "%s: holds a model of the architecture %s; supported are " GGUF_ARCHITECTURE_SPHINX
                   " and " GGUF_ARCHITECTURE_LLAMA,
                   f->path, bytes_text(text, s.bytes, s.size));
}

/* A whole number from 1 on, small enough for config.json; *value stays where the key is optional and not there. */
static enum status get_size(const struct gguf_file *f, const char *key, bool optional, int *value,
                            struct err *e)
{
    uint32_t n;
    enum status st;

    if (optional && !has(f, key)) return STATUS_OK;
    st = gguf_get_u32(f, key, &n, e);
    if (st != STATUS_OK) return st;
    if (n < 1 || n > SIZE_MAX_ANY)
        return err_set(e, STATUS_BAD_FORMAT, "%s: the key %s is %u; it may be 1 to %d", f->path, key, n,
                       SIZE_MAX_ANY);
    *value = (int)n;
    return STATUS_OK;
}

enum status load_gguf_type(const struct gguf_file *f, const char **llama_type, struct err *e)
{
    uint32_t experts = 0;
    enum status st = check_architecture(f, e);

    if (st == STATUS_OK && has(f, "llama.expert_count"))
        st = gguf_get_u32(f, "llama.expert_count", &experts, e);
    *llama_type = experts > 0 ? "mixtral_sparse_ens" : "llama_ens";
    return st;
}

/* What other programs of this kind can do with rotary positions and this one cannot. */
static enum status check_rotary(const struct gguf_file *f, int head_dim, double *scale, struct err *e)
{
    static const char *const widths[] = { "llama.rope.dimension_count", "llama.attention.key_length",
                                          "llama.attention.value_length" };
    static const char key_factor[] = "llama.rope.scaling.factor";
    struct gguf_string type = { "none", 4 };
    char text[SHAPE_TEXT_MAX];
    float factor = 1;
    enum status st = STATUS_OK;

    for (size_t i = 0; i < sizeof widths / sizeof *widths && st == STATUS_OK; i++) {
        int width = head_dim;

        st = get_size(f, widths[i], true, &width, e);
        if (st == STATUS_OK && width != head_dim) {
            return err_set(e, STATUS_UNSUPPORTED,
                           "%s: the key %s is %d, but heads are %d wide: only equal widths are supported",
                           f->path, widths[i], width, head_dim);
        }
    }
    if (st == STATUS_OK && has(f, "llama.rope.scaling.type"))
        st = gguf_get_string(f, "llama.rope.scaling.type", &type, e);
    if (st != STATUS_OK || is_text(&type, "none")) return st;
    if (!is_text(&type, "linear")) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: rotary positions are scaled by the rule \"%s\"; supported is \"linear\"", f->path,
                       bytes_text(text, type.bytes, type.size));
    }
    st = gguf_get_f32(f, key_factor, &factor, e);
    if (st != STATUS_OK) return st;
    if (!(factor > 0) || isinf(factor)) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: the key %s is %g; it must be a number above 0", f->path,
                       key_factor, (double)factor);
    }
    *scale = 1 / (double)factor; /* positions are divided there and multiplied here */
    return STATUS_OK;
}

/* config.json gives the feed-forward's width by a rule: two thirds of 4 D, rounded up. Where the usual rounding misses the width, it is
 * rounded to the width itself, from no more than that. */
static void add_ffn_width(json_t *o, int dim, int width)
{
    int base = 8 * dim / 3;

    if ((base + FFN_MULTIPLE - 1) / FFN_MULTIPLE * FFN_MULTIPLE == width) {
        json_object_set_new(o, "multiple_of", json_integer(FFN_MULTIPLE));
        return;
    }
    json_object_set_new(o, "multiple_of", json_integer(width));
    if (base > width) json_object_set_new(o, "ffn_dim_multiplier", json_real((width + 0.5) / base));
}

struct sizes {
    int dim, layers, heads, kv_heads, width, experts, experts_used;
    float eps, theta;
    double scale;
};

static enum status get_sizes(const struct gguf_file *f, struct sizes *s, struct err *e)
{
    uint32_t experts = 0;
    enum status st = get_size(f, "llama.embedding_length", false, &s->dim, e);

    if (st == STATUS_OK) st = get_size(f, "llama.block_count", false, &s->layers, e);
    if (st == STATUS_OK) st = get_size(f, "llama.attention.head_count", false, &s->heads, e);
    s->kv_heads = s->heads;
    if (st == STATUS_OK) st = get_size(f, "llama.attention.head_count_kv", true, &s->kv_heads, e);
    if (st == STATUS_OK) st = get_size(f, "llama.feed_forward_length", false, &s->width, e);
    if (st == STATUS_OK) st = gguf_get_f32(f, "llama.attention.layer_norm_rms_epsilon", &s->eps, e);
    if (st == STATUS_OK && has(f, "llama.rope.freq_base"))
        st = gguf_get_f32(f, "llama.rope.freq_base", &s->theta, e);
    if (st == STATUS_OK && has(f, "llama.expert_count"))
        st = gguf_get_u32(f, "llama.expert_count", &experts, e);
    if (st != STATUS_OK || experts == 0) return st;
    st = get_size(f, "llama.expert_count", false, &s->experts, e);
    return st == STATUS_OK ? get_size(f, "llama.expert_used_count", false, &s->experts_used, e) : st;
}

enum status load_gguf_config(const struct gguf_file *f, char **json, size_t *size, struct err *e)
{
    struct sizes s = { .theta = 1e4f, .scale = 1 };
    enum status st = get_sizes(f, &s, e);
    json_t *o;

    *json = NULL;
    if (st == STATUS_OK) st = check_rotary(f, s.dim / s.heads, &s.scale, e);
    if (st != STATUS_OK) return st;
    o = json_pack("{s:i, s:i, s:i, s:i, s:f, s:f}", "dim", s.dim, "n_layers", s.layers, "n_heads", s.heads,
                  "n_kv_heads", s.kv_heads, "norm_eps", (double)s.eps, "rope_theta", (double)s.theta);
    if (s.scale != 1) json_object_set_new(o, "rope_scaling", json_real(s.scale));
    if (s.experts > 0) {
        json_object_set_new(o, "hidden_dim", json_integer(s.width));
        json_object_set_new(
            o, "moe",
            json_pack("{s:i, s:i}", "num_experts_per_tok", s.experts_used, "num_experts", s.experts));
    } else if (o != NULL) {
        add_ffn_width(o, s.dim, s.width);
    }
    *json = o != NULL ? json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(o);
    if (*json == NULL) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: its norm epsilon, rotary base or scaling is no finite number", f->path);
    }
    *size = strlen(*json);
    return STATUS_OK;
}

/* ---- vocabulary --------------------------------------------------------------------------------------------- */

/* A piece that the file names by key, else the one that LLaMA has there. */
static enum status get_special(const struct gguf_file *f, const char *key, uint32_t otherwise, uint32_t *id,
                               struct err *e)
{
    *id = otherwise;
    return has(f, key) ? gguf_get_u32(f, key, id, e) : STATUS_OK;
}

static enum status get_flags(const struct gguf_file *f, struct tok_vocabulary *v, struct err *e)
{
    static const char prefix[] = "tokenizer.ggml.add_space_prefix",
                      spaces[] = "tokenizer.ggml.remove_extra_whitespaces";
    enum status st = get_special(f, "tokenizer.ggml.unknown_token_id", 0, &v->unk, e);

    if (st == STATUS_OK) st = get_special(f, "tokenizer.ggml.bos_token_id", 1, &v->bos, e);
    if (st == STATUS_OK) st = get_special(f, "tokenizer.ggml.eos_token_id", 2, &v->eos, e);
    v->add_dummy_prefix = true;
    if (st == STATUS_OK && has(f, prefix)) st = gguf_get_bool(f, prefix, &v->add_dummy_prefix, e);
    if (st == STATUS_OK && has(f, spaces)) st = gguf_get_bool(f, spaces, &v->remove_extra_spaces, e);
    return st;
}

/* The arrays as the file has them: unaligned, and strings one after the other. */
struct pieces {
    const struct gguf_value *texts, *scores, *kinds;
};

static enum status find_pieces(const struct gguf_file *f, struct pieces *p, struct err *e)
{
    char text[SHAPE_TEXT_MAX];
    struct gguf_string model;
    enum status st = gguf_get_string(f, "tokenizer.ggml.model", &model, e);

    if (st == STATUS_OK && !is_text(&model, "llama")) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: its vocabulary is of the kind \"%s\"; supported is SentencePiece's, \"llama\": "
                       "name a tokenizer.model "
                       "with --tokenizer",
                       f->path, bytes_text(text, model.bytes, model.size));
    }
    if (st == STATUS_OK) st = gguf_get_array(f, "tokenizer.ggml.tokens", GGUF_STRING, &p->texts, e);
    if (st == STATUS_OK) st = gguf_get_array(f, "tokenizer.ggml.scores", GGUF_F32, &p->scores, e);
    if (st == STATUS_OK) st = gguf_get_array(f, "tokenizer.ggml.token_type", GGUF_I32, &p->kinds, e);
    if (st != STATUS_OK) return st;
    if (p->scores->count != p->texts->count || p->kinds->count != p->texts->count) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: its vocabulary has %zu tokens, %zu scores and %zu types",
                       f->path, p->texts->count, p->scores->count, p->kinds->count);
    }
    return STATUS_OK;
}

static enum status build(const struct gguf_file *f, const struct pieces *p, unsigned char **data,
                         size_t *size, struct err *e)
{
    size_t n = p->texts->count, at = 0;
    const char **texts = calloc(n + 1, sizeof *texts);
    size_t *sizes = calloc(n + 1, sizeof *sizes);
    float *scores = calloc(n + 1, sizeof *scores);
    int32_t *kinds = calloc(n + 1, sizeof *kinds);
    struct tok_vocabulary v = { texts, sizes, scores, kinds, .n = n };
    bool made = texts != NULL && sizes != NULL && scores != NULL && kinds != NULL;
    enum status st = made ? get_flags(f, &v, e) : err_no_memory(e, "vocabulary");
    struct gguf_string s;

    for (size_t i = 0; made && gguf_string_next(p->texts, &at, &s); i++) {
        texts[i] = s.bytes;
        sizes[i] = s.size;
        scores[i] = gguf_f32_at(p->scores, i);
        kinds[i] = gguf_i32_at(p->kinds, i);
    }
    if (st == STATUS_OK) st = tok_build(&v, data, size, e);
    free(texts);
    free(sizes);
    free(scores);
    free(kinds);
    return st;
}

enum status load_gguf_tokenizer(const struct gguf_file *f, struct tokenizer **t, struct err *e)
{
    unsigned char *data = NULL;
    struct pieces p;
    size_t size = 0;
    enum status st = find_pieces(f, &p, e);

    *t = NULL;
    if (st == STATUS_OK) st = build(f, &p, &data, &size, e);
    if (st == STATUS_OK) st = tok_open_memory(t, data, size, f->path, e);
    free(data);
    return st;
}
