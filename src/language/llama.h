/*
 * llama.h - LLaMA 2 (Touvron et al. 2023) and, where a variant has experts, Mixtral's sparse feed-forward
 * (Jiang et al. 2024). Spec 05.
 */
#ifndef SPHINX_LANGUAGE_LLAMA_H
#define SPHINX_LANGUAGE_LLAMA_H

#include "tensor/params.h"

struct llama_config {
    int dim, n_layers, n_heads, n_kv_heads, ffn_width, vocab;
    int n_experts, n_experts_per_token;     /* 0: an ordinary feed-forward */
    bool w2_turned;                         /* e2 is [D, F] each, as GGUF has it, not upstream's [F, D] */
    float norm_eps, rope_theta, rope_scale; /* rope_scale 1: none */
    bool rope_round_bf16;                   /* positions times rope_scale are rounded to bf16 (spec 05) */
    float balance;                          /* training: weight of load_balance, averaged over the layers */
};

struct llama_layer {
    struct tensor attention_norm, wq, wk, wv, wo;
    struct tensor ffn_norm;
    struct tensor w1, w2, w3;    /* w2(silu(w1 x) * w3 x) */
    struct tensor gate;          /* with experts: the router, */
    struct tensor *e1, *e2, *e3; /* and E of each [F, D], of e2 w2_turned tells */
};

struct llama {
    struct llama_config config;
    struct tensor tok_embeddings, norm, output;
    struct llama_layer *layers; /* [n_layers] */
};

/* Keys and values of the positions computed so far, for any number of sequences: each may use any range of rows. Keys are stored after
 * rotation. */
struct kv_cache {
    int n_layers;
    int64_t capacity;     /* rows */
    struct tensor *k, *v; /* [n_layers] of [capacity, K*d], f32, f16, bf16 or q8_0 */
    void *memory;
    size_t memory_bytes;
};

/* One step over T tokens of any number of sequences: prefill, decoding, several users at once and the checking of
 * guessed tokens are all this. Tokens of one sequence stand together, in order of position. */
struct llama_batch {
    int64_t T;
    const int32_t *position;  /* [T] */
    const int32_t *cache_row; /* [T] where the token's key and value go; NULL without cache */
    const int32_t
        *first; /* [T] the sequence's first row in the cache (without cache: in the batch, or in `seen`) */
    double balance; /* training: weight of load_balance's gradient in each layer with experts; 0: none */
    /* Training: the rows of the batch (part 0) as they are seen one behind the other, [n_seen], where sequences share a beginning; NULL: as they stand */
    const struct row_ref *seen;
    int64_t n_seen;
    /* To look at, without a tape: each layer adds how much of its attention the tokens give the first n rows that they see, [T, n], the mean over
     * heads and layers. With a cache, it holds the tokens' keys and values already, and is not written to. NULL: nobody looks. */
    struct tensor *attention;
};

enum status llama_init(struct llama *m, const struct llama_config *config, struct arena *a, struct err *e);
void llama_params(struct llama *m, struct param_visitor *v);

/* Memory for `capacity` positions on one of `ranks` ranks; it is committed by the system as it is used. UNSUPPORTED: heads that do not
 * fill whole blocks of the type. */
enum status kv_init(struct kv_cache *kv, const struct llama_config *config, int ranks, int64_t capacity,
                    enum dtype dtype, struct err *e);
void kv_free(struct kv_cache *kv); /* accepts a zeroed one */

/* ids -> [T, D] */
struct tensor *llama_embed(struct ctx *c, const struct llama *m, const int32_t *ids, int64_t T);

/* h [T, D] embeddings, overwritten without a tape -> [T, D] before the final norm. kv NULL: the tokens see each other
 * only (training). */
struct tensor *llama_forward(struct ctx *c, const struct llama *m, struct tensor *h,
                             const struct llama_batch *b, struct kv_cache *kv);

/* h [n, D] from llama_forward -> [n, D] behind the final norm: what logits are made of, and what a text is like. */
struct tensor *llama_states(struct ctx *c, const struct llama *m, struct tensor *h);
/* h [n, D] from llama_forward -> logits [n, vocab] */
struct tensor *llama_logits(struct ctx *c, const struct llama *m, struct tensor *h);

#endif
