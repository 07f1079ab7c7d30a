/* description.c - see description.h. */
#include "model/description.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "sphinx.h"

/* Upstream's models see this many positions. */
enum { CONTEXT = 4096 };

/* ---- config.json -------------------------------------------------------------------------------------------- */

/* ModelArgs of the released sizes. */
static json_t *released_config(const struct llama_config *l)
{
    json_t *o = json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:n}", "dim", l->dim, "n_layers", l->n_layers,
                          "n_heads", l->n_heads, "n_kv_heads", l->n_kv_heads, "multiple_of", 256, "norm_eps",
                          1e-5, "rope_theta", (double)l->rope_theta, "rope_scaling");

    if (l->n_experts > 0) {
        json_object_set_new(o, "hidden_dim", json_integer(l->ffn_width));
        json_object_set_new(o, "moe",
                            json_pack("{s:i, s:i}", "num_experts_per_tok", l->n_experts_per_token,
                                      "num_experts", l->n_experts));
    }
    return o;
}

/* Whether a text says of adapters and biases what the configuration has. */
static bool tells_adapters(const json_t *o, const struct model_config *k)
{
    const json_t *bias = json_object_get(o, "bias_tuning");
    json_int_t rank = json_integer_value(json_object_get(o, "lora_rank"));
    bool biased = json_is_boolean(bias) ? json_is_true(bias) : k->variant->all_biased;

    return biased == k->bias_tuning && (rank > 0 ? rank : 0) == k->lora_rank;
}

enum status description_config(const struct model_description *d, char **json, size_t *size, struct err *e)
{
    json_t *o = d->config_json != NULL ? json_loadb(d->config_json, d->config_size, 0, NULL)
                                       : released_config(&d->config->llama);

    if (d->config_json != NULL && tells_adapters(o, d->config)) {
        *size = d->config_size;
        *json = strndup(d->config_json, *size);
    } else {
        if (!tells_adapters(o, d->config)) {
            json_object_set_new(o, "lora_rank", json_integer(d->config->lora_rank));
            json_object_set_new(o, "bias_tuning", json_boolean(d->config->bias_tuning));
        }
        *json = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        *size = *json != NULL ? strlen(*json) : 0;
    }
    json_decref(o);
    return *json != NULL ? STATUS_OK : err_no_memory(e, "config.json");
}

/* ---- keys of GGUF ------------------------------------------------------------------------------------------- */

/* general.file_type, as llama.cpp numbers the types of whole files. */
static uint32_t file_type(enum dtype t)
{
    switch (t) {
    case DTYPE_F16: return 1;
    case DTYPE_Q4_0: return 2;
    case DTYPE_Q8_0: return 7;
    case DTYPE_Q4_K: return 15; /* "Q4_K, medium": with larger types for some */
    case DTYPE_Q6_K: return 18;
    case DTYPE_BF16: return 32;
    default: return 0;
    }
}

static void general_keys(const struct model_description *d, bool text_only, enum dtype type,
                         struct gguf_keys *k)
{
    gguf_key_string(k, GGUF_KEY_ARCHITECTURE, text_only ? GGUF_ARCHITECTURE_LLAMA : GGUF_ARCHITECTURE_SPHINX);
    gguf_key_string(k, "general.name", d->config->variant->name);
    gguf_key_u32(k, "general.file_type", file_type(type));
    gguf_key_u32(k, "general.quantization_version", 2); /* of ggml's block layouts */
}

static void llama_keys(const struct llama_config *l, struct gguf_keys *k)
{
    gguf_key_u32(k, "llama.vocab_size", (uint32_t)l->vocab);
    gguf_key_u32(k, "llama.context_length", CONTEXT);
    gguf_key_u32(k, "llama.embedding_length", (uint32_t)l->dim);
    gguf_key_u32(k, "llama.block_count", (uint32_t)l->n_layers);
    gguf_key_u32(k, "llama.feed_forward_length", (uint32_t)l->ffn_width);
    gguf_key_u32(k, "llama.attention.head_count", (uint32_t)l->n_heads);
    gguf_key_u32(k, "llama.attention.head_count_kv", (uint32_t)l->n_kv_heads);
    gguf_key_f32(k, "llama.attention.layer_norm_rms_epsilon", l->norm_eps);
    gguf_key_u32(k, "llama.rope.dimension_count", (uint32_t)(l->dim / l->n_heads));
    gguf_key_f32(k, "llama.rope.freq_base", l->rope_theta);
    if (l->rope_scale != 1) { /* positions are multiplied here, divided there */
        gguf_key_string(k, "llama.rope.scaling.type", "linear");
        gguf_key_f32(k, "llama.rope.scaling.factor", 1 / l->rope_scale);
    }
    if (l->n_experts > 0) {
        gguf_key_u32(k, "llama.expert_count", (uint32_t)l->n_experts);
        gguf_key_u32(k, "llama.expert_used_count", (uint32_t)l->n_experts_per_token);
    }
}

/* The vocabulary; kinds of pieces have the same numbers in SentencePiece's files and in GGUF. */
static enum status tokenizer_keys(const struct tokenizer *t, struct gguf_keys *k, struct err *e)
{
    size_t n = (size_t)tok_vocab_size(t);
    struct gguf_string *tokens = calloc(n, sizeof *tokens);
    float *scores = calloc(n, sizeof *scores);
    int32_t *kinds = calloc(n, sizeof *kinds);
    bool made = tokens != NULL && scores != NULL && kinds != NULL;

    for (size_t i = 0; i < n && made; i++) {
        tokens[i].bytes = tok_piece(t, (int32_t)i, &tokens[i].size);
        scores[i] = tok_score(t, (int32_t)i);
        kinds[i] = tok_kind(t, (int32_t)i);
    }
    if (made) {
        gguf_key_string(k, "tokenizer.ggml.model", "llama");
        gguf_key_string(k, "tokenizer.ggml.pre", "default");
        gguf_key_strings(k, "tokenizer.ggml.tokens", tokens, n);
        gguf_key_f32s(k, "tokenizer.ggml.scores", scores, n);
        gguf_key_i32s(k, "tokenizer.ggml.token_type", kinds, n);
        gguf_key_u32(k, "tokenizer.ggml.unknown_token_id", (uint32_t)tok_unk(t));
        gguf_key_u32(k, "tokenizer.ggml.bos_token_id", (uint32_t)tok_bos(t));
        gguf_key_u32(k, "tokenizer.ggml.eos_token_id", (uint32_t)tok_eos(t));
        gguf_key_bool(k, "tokenizer.ggml.add_bos_token", true);
        gguf_key_bool(k, "tokenizer.ggml.add_eos_token", false);
    }
    free(tokens);
    free(scores);
    free(kinds);
    return made ? STATUS_OK : err_no_memory(e, "vocabulary");
}

enum status description_keys(const struct model_description *d, bool text_only, enum dtype type,
                             struct gguf_keys *k, struct err *e)
{
    const unsigned char *file;
    char *json;
    size_t size;
    enum status st = description_config(d, &json, &size, e);

    if (st != STATUS_OK) return st;
    general_keys(d, text_only, type, k);
    llama_keys(&d->config->llama, k);
    st = tokenizer_keys(d->tokenizer, k, e);
    gguf_key_string(k, GGUF_KEY_VERSION, SPHINX_VERSION);
    gguf_key_string(k, GGUF_KEY_LLAMA_TYPE, d->config->variant->llama_type);
    gguf_key_string(k, GGUF_KEY_CONFIG, json);
    file = tok_file(d->tokenizer, &size);
    gguf_key_bytes(k, GGUF_KEY_TOKENIZER, file, size);
    free(json);
    return st;
}
