/*
 * llama.c - the language model.
 *
 *   h = embeddings (words, with the image's words after BOS)
 *     layers x { h += wo(attention(rope(wq n), rope(wk n), wv n)), n = rms_norm(h);  h += ffn(rms_norm(h)) }
 *   logits = output(rms_norm(h))
 *
 * Heads, experts' widths and the rest are read off the weights' shapes, so a rank that holds half of the heads runs this
 * code unchanged. Rotary pairs are interleaved, Meta's layout: rotating halves instead leaves the text fluent and wrong.
 * Mirrors upstream's llama_ens.py and mixtral_sparse.py. Goldens: llama.layer.0, logits.
 */
#include "language/llama.h"

#include <assert.h>
#include <math.h>

enum status llama_init(struct llama *m, const struct llama_config *config, struct arena *a, struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    m->layers = arena_calloc(a, (size_t)config->n_layers, sizeof *m->layers);
    if (m->layers == NULL) return err_no_memory(e, "llama");
    for (int i = 0; i < config->n_layers && config->n_experts > 0; i++) {
        struct llama_layer *l = &m->layers[i];
        struct tensor *experts = arena_calloc(a, 3 * (size_t)config->n_experts, sizeof *experts);

        if (experts == NULL) return err_no_memory(e, "llama");
        l->e1 = experts;
        l->e2 = experts + config->n_experts;
        l->e3 = experts + 2 * (size_t)config->n_experts;
    }
    return STATUS_OK;
}

static void layer_params(struct llama_layer *l, const struct llama_config *k, struct param_visitor *v)
{
    int64_t dim = k->dim, head_dim = k->dim / k->n_heads, width = k->ffn_width,
            kv_width = k->n_kv_heads * head_dim;

    param(v, &l->attention_norm, PARAM_VECTOR, SPLIT_NONE, SHAPE(dim), "attention_norm.weight");
    param(v, &l->wq, PARAM_MATRIX, SPLIT_ROWS, SHAPE(dim, dim), "attention.wq.weight");
    param(v, &l->wk, PARAM_MATRIX, SPLIT_ROWS, SHAPE(kv_width, dim), "attention.wk.weight");
    param(v, &l->wv, PARAM_MATRIX, SPLIT_ROWS, SHAPE(kv_width, dim), "attention.wv.weight");
    param(v, &l->wo, PARAM_MATRIX, SPLIT_COLUMNS, SHAPE(dim, dim), "attention.wo.weight");
    param(v, &l->ffn_norm, PARAM_VECTOR, SPLIT_NONE, SHAPE(dim), "ffn_norm.weight");
    if (k->n_experts > 0) {
        param(v, &l->gate, PARAM_MATRIX, SPLIT_NONE, SHAPE(k->n_experts, dim), "feed_forward.gate.weight");
        param_experts(v, l->e1, SPLIT_EXPERTS, k->n_experts, width, dim, "feed_forward.w1");
        if (k->w2_turned)
            param_experts(v, l->e2, SPLIT_COLUMNS, k->n_experts, dim, width, "feed_forward.w2_turned");
        else
            param_experts(v, l->e2, SPLIT_EXPERTS, k->n_experts, width, dim, "feed_forward.w2");
        param_experts(v, l->e3, SPLIT_EXPERTS, k->n_experts, width, dim, "feed_forward.w3");
    } else {
        param(v, &l->w1, PARAM_MATRIX, SPLIT_ROWS, SHAPE(width, dim), "feed_forward.w1.weight");
        param(v, &l->w2, PARAM_MATRIX, SPLIT_COLUMNS, SHAPE(dim, width), "feed_forward.w2.weight");
        param(v, &l->w3, PARAM_MATRIX, SPLIT_ROWS, SHAPE(width, dim), "feed_forward.w3.weight");
    }
}

void llama_params(struct llama *m, struct param_visitor *v)
{
    const struct llama_config *k = &m->config;

    param(v, &m->tok_embeddings, PARAM_MATRIX, SPLIT_COLUMNS, SHAPE(k->vocab, k->dim),
          "tok_embeddings.weight");
    for (int i = 0; i < k->n_layers; i++) {
        size_t length = param_enter(v, "layers.%d.", i);

        layer_params(&m->layers[i], k, v);
        param_leave(v, length);
    }
    param(v, &m->norm, PARAM_VECTOR, SPLIT_NONE, SHAPE(k->dim), "norm.weight");
    param(v, &m->output, PARAM_MATRIX, SPLIT_ROWS, SHAPE(k->vocab, k->dim), "output.weight");
}

struct tensor *llama_embed(struct ctx *c, const struct llama *m, const int32_t *ids, int64_t T)
{
    return embed(c, &m->tok_embeddings, ids, T);
}

struct layer_args {
    const struct llama *m;
    int i;
    const struct tensor *angles;
    struct attention_shape shape;
    struct llama_batch batch;
    struct kv_cache *kv;
};

/* Keys or values of the rows in the order in which they are seen. */
static struct tensor *seen_rows(struct ctx *c, struct tensor *x, const struct llama_batch *b)
{
    struct tensor **source = ctx_alloc(c, 1, sizeof(struct tensor *));

    if (source == NULL) return NULL;
    *source = x;
    return gather(c, source, b->seen, b->n_seen);
}

static void look(struct ctx *c, const struct tensor *q, const struct tensor *k, const struct layer_args *a)
{
    const struct llama_config *config = &a->m->config;
    struct tensor *sum = a->batch.attention;
    double share = 1.0 / ((double)config->n_layers * config->n_heads);

    residual(c, sum, attention_weights(c, q, k, &a->shape, tensor_columns(sum), share), NULL);
}

static struct tensor *self_attention(struct ctx *c, const struct llama_layer *l, struct tensor *x,
                                     const struct layer_args *a)
{
    struct tensor *q = rope(c, linear_column(c, x, &l->wq, NULL), a->angles, a->shape.head_dim);
    struct tensor *k = rope(c, linear_column(c, x, &l->wk, NULL), a->angles, a->shape.head_dim);
    struct tensor *v = linear_column(c, x, &l->wv, NULL);

    if (a->kv != NULL) { /* later steps see these keys and values too, so all go through the cache */
        if (a->batch.attention == NULL) {
            store_rows(c, &a->kv->k[a->i], a->batch.cache_row, k);
            store_rows(c, &a->kv->v[a->i], a->batch.cache_row, v);
        }
        k = k != NULL ? &a->kv->k[a->i] : NULL;
        v = v != NULL ? &a->kv->v[a->i] : NULL;
    } else if (a->batch.seen != NULL) {
        k = seen_rows(c, k, &a->batch);
        v = seen_rows(c, v, &a->batch);
    }
    if (a->batch.attention != NULL) look(c, q, k, a);
    return linear_row(c, attention(c, q, k, v, &a->shape), &l->wo, NULL);
}

static struct tensor *feed_forward(struct ctx *c, const struct llama_layer *l, struct tensor *x)
{
    return linear_row(c, swiglu(c, linear_column(c, x, &l->w1, NULL), linear_column(c, x, &l->w3, NULL)),
                      &l->w2, NULL);
}

/* The rows of x that expert e is to answer, through its feed-forward; NULL when there are none.
 *   slot[t*k + j] receives where token t's j-th answer stands. */
static struct tensor *expert(struct ctx *c, const struct llama_layer *l, const struct llama_config *k, int e,
                             struct tensor **x, const int32_t *choice, int64_t n, struct row_ref *slot)
{
    struct row_ref *ref;
    struct tensor *y;
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++) count += choice[i] == e;
    if (count == 0) return NULL;
    ref = ctx_alloc(c, (size_t)count, sizeof *ref);
    if (ref == NULL) return NULL;
    count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (choice[i] != e) continue;
        slot[i] = (struct row_ref){ e, (int32_t)count };
        ref[count++] = (struct row_ref){ 0, (int32_t)(i / k->n_experts_per_token) };
    }
    y = gather(c, x, ref, count);
    y = swiglu(c, linear(c, y, &l->e1[e], NULL), linear(c, y, &l->e3[e], NULL));
    return k->w2_turned ? linear(c, y, &l->e2[e], NULL) : linear_transposed(c, y, &l->e2[e]);
}

/* Every token is answered by its best experts, weighed by the router. Ranks hold a slice of every expert. */
static struct tensor *mixture(struct ctx *c, const struct llama_layer *l, const struct llama_config *k,
                              struct tensor *x, double balance)
{
    struct tensor *score = linear(c, x, &l->gate, NULL);
    int32_t *choice = NULL, *order;
    struct tensor **answers = ctx_alloc(c, (size_t)k->n_experts, sizeof(struct tensor *)), *weight, **source;
    struct row_ref *slot;
    int64_t n;

    weight = softmax_top_k(c, score, k->n_experts_per_token, &choice);
    if (balance != 0) load_balance(c, score, choice, k->n_experts_per_token, balance);
    source = ctx_alloc(c, 1, sizeof(struct tensor *));
    if (weight == NULL || answers == NULL || source == NULL) return NULL;
    *source = copy_to_ranks(c, x); /* each rank answers with its slice of every expert */
    weight = copy_to_ranks(c, weight);
    n = tensor_rows(x) * k->n_experts_per_token;
    slot = ctx_alloc(c, (size_t)n, sizeof *slot);
    order = ctx_alloc(c, (size_t)n, sizeof *order);
    if (slot == NULL || order == NULL) return NULL;
    for (int e = 0; e < k->n_experts; e++) {
        answers[e] = expert(c, l, k, e, source, choice, n, slot);
    }
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
    return sum_ranks(c, combine(c, gather(c, answers, slot, n), weight, order, k->n_experts_per_token));
}

static struct tensor *layer(struct ctx *c, const void *args, struct tensor *h)
{
    const struct layer_args *a = args;
    const struct llama_config *k = &a->m->config;
    const struct llama_layer *l = &a->m->layers[a->i];
    struct tensor *x;

    x = self_attention(c, l, rms_norm(c, h, &l->attention_norm, k->norm_eps), a);
    h = residual(c, h, x, NULL);
    x = rms_norm(c, h, &l->ffn_norm, k->norm_eps);
    x = k->n_experts > 0 ? mixture(c, l, k, x, a->batch.balance) : feed_forward(c, l, x);
    return observe(c, residual(c, h, x, NULL), "llama.layer.%d", a->i);
}

struct tensor *llama_forward(struct ctx *c, const struct llama *m, struct tensor *h,
                             const struct llama_batch *b, struct kv_cache *kv)
{
    const struct llama_config *k = &m->config;
    int head_dim = k->dim / k->n_heads;
    int32_t *count = ctx_alloc(c, (size_t)b->T, sizeof *count);
    struct layer_args args = { .m = m, .batch = *b, .kv = kv };

    args.angles =
        rope_angles(c, b->position, b->T, head_dim, k->rope_theta, k->rope_scale, k->rope_round_bf16);
    if (count == NULL || args.angles == NULL) return NULL;
    for (int64_t t = 0; t < b->T; t++) count[t] = b->position[t] + 1;
    args.shape = (struct attention_shape){
        .head_dim = head_dim, .scale = 1.0f / sqrtf((float)head_dim), .first = b->first, .count = count
    };
    for (args.i = 0; args.i < k->n_layers; args.i++) {
        args.shape.heads = (int)m->layers[args.i].wq.dim[0] / head_dim;
        args.shape.kv_heads = (int)m->layers[args.i].wk.dim[0] / head_dim;
        h = apply_block(c, layer, &args, sizeof args, h);
        if (b->T > BATCH_ROWS)
            report_progress(c->report, "prefill", (uint64_t)args.i + 1, (uint64_t)k->n_layers);
    }
    return h;
}

struct tensor *llama_states(struct ctx *c, const struct llama *m, struct tensor *h)
{
    return rms_norm(c, h, &m->norm, m->config.norm_eps);
}

struct tensor *llama_logits(struct ctx *c, const struct llama *m, struct tensor *h)
{
    return gather_columns(c, linear_column(c, llama_states(c, m, h), &m->output, NULL));
}
