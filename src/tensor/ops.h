/*
 * ops.h - the op vocabulary: what networks are written in.
 *
 * A network function reads like its paper, once, for inference and training, every weight dtype, every device, one rank
 * or many: those are properties of the context and of the tensors.
 *
 *   - The result is a new tensor in the context's arena.
 *   - Failure is sticky. When memory runs out, a rank is lost or the caller cancels, the op records it in c->err and returns
 *     NULL; ops given NULL return NULL. So a network is not littered with checks: its caller looks at c->err at the end.
 *   - With c->tape set, results whose inputs have gradients get one (zeroed), and the op records its backward.
 *   - Without a tape, memory between scope_begin and scope_end is reused: inference allocates nothing per token.
 *
 * T rows, D columns; "weight" means any weight dtype, possibly in pieces; `vec` a float32 vector.
 */
#ifndef SPHINX_TENSOR_OPS_H
#define SPHINX_TENSOR_OPS_H

#include "core/arena.h"
#include "core/report.h"
#include "core/status.h"
#include "tensor/backend.h"
#include "tensor/comm.h"
#include "tensor/tape.h"

/* What ops had to do, for benchmarks: a multiply-add is two operations. bytes are those of weights, and of cached keys
 * and values, each counted once an op. */
struct work {
    double flop, bytes;
};

struct ctx {
    const struct backend *backend;
    struct exec exec;
    struct arena *arena;
    struct tape *tape; /* NULL: nothing is recorded */
    bool
        recompute; /* with a tape: what is inside of blocks is not kept, but computed again on the way back */
    const struct comm *comm;     /* NULL: one rank */
    const struct report *report; /* NULL: neither progress nor cancelling */
    struct work *work;           /* products, attention and convolutions add to it; NULL: nobody counts */
    /* Called by `observe` with every named intermediate: dumps, goldens, hunts for NaN. NULL: nobody looks. */
    void (*observer)(void *user, const char *name, const struct tensor *x);
    void *observer_user;
    struct err err;
    double dropout;       /* share of numbers that `dropout` leaves out; 0: none, as always but in training */
    uint64_t dropout_key; /* decides which; goes on with each op that uses it */
};

/* Memory for `threads` kernel threads; the backend and arena are borrowed. */
enum status ctx_init(struct ctx *c, const struct backend *b, struct arena *a, int threads, struct err *e);
void ctx_free(struct ctx *c);

/* Everything made since scope_begin is dropped at scope_end, unless a tape keeps it. Tensors that must survive
 * are made before, and updated with `residual`. */
struct arena_mark scope_begin(struct ctx *c);
void scope_end(struct ctx *c, struct arena_mark m);

/* One of the equal parts that networks are stacked of: args -> y of x's shape. A pure function of x, the weights and *args, for it is
 * run a second time where activations are recomputed. */
typedef struct tensor *block_function(struct ctx *c, const void *args, struct tensor *x);
/* y = block(c, args, x) in a scope of its own. Without a tape y is written over x and x is returned: what outlives the block. With
 * one, c->recompute tells whether what is inside of the block is kept. *args (size bytes) is copied; what it points to must live as long as
 * the tape. */
struct tensor *apply_block(struct ctx *c, block_function *block, const void *args, size_t size,
                           struct tensor *x);

/* Names an intermediate. printf-like; nothing is formatted when nobody looks. Returns x. */
struct tensor *observe(struct ctx *c, struct tensor *x, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Memory in the arena, or NULL with the failure recorded. */
void *ctx_alloc(struct ctx *c, size_t count, size_t size);

/* A float32 matrix, uninitialised. Its gradient, if `grad` and a tape is set, is zero. */
struct tensor *tensor_new(struct ctx *c, int64_t rows, int64_t columns, bool grad);
/* Gives x, contiguous, a gradient of zeros; returns x, or NULL when memory runs out. */
struct tensor *tensor_add_grad(struct ctx *c, struct tensor *x);

/* Borrowed parts of x, with the same part of its gradient. */
struct tensor *columns(struct ctx *c, struct tensor *x, int64_t first, int64_t count);
struct tensor *rows(struct ctx *c, struct tensor *x, int64_t first, int64_t count);
/* The same numbers, contiguous, as a matrix of n_rows rows. */
struct tensor *reshape(struct ctx *c, struct tensor *x, int64_t n_rows);

/* ---- matrices ---------------------------------------------------------------------------------------------- */

/* x [T, K] -> [T, N] = x w^T + b, and what w's adapter adds (tensor.h).   w [N, K] weight, b [N] vec or NULL */
struct tensor *linear(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b);
/* x [T, N] -> [T, K] = x w.   w [N, K] weight */
struct tensor *linear_transposed(struct ctx *c, struct tensor *x, const struct tensor *w);
/* The same product where ranks hold slices of w. column: w's rows are split, each rank gets its columns of the result.
 * row: w's columns are split and x is this rank's columns; the results are summed over ranks, b is added once. */
struct tensor *linear_column(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b);
struct tensor *linear_row(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b);
/* x itself, as every rank's slices use it: its gradient is summed over the ranks (what linear_column begins with). */
struct tensor *copy_to_ranks(struct ctx *c, struct tensor *x);
/* Sums x over the ranks (what linear_row ends with). */
struct tensor *sum_ranks(struct ctx *c, struct tensor *x);
/* x [T, N/ranks] -> [T, N], every rank's columns side by side. */
struct tensor *gather_columns(struct ctx *c, struct tensor *x);
/* Rows ids[0..T-1] of w [vocab, D] weight -> [T, D]; ranks hold slices of the columns. ids are in range. */
struct tensor *embed(struct ctx *c, const struct tensor *w, const int32_t *ids, int64_t T);

/* ---- attention --------------------------------------------------------------------------------------------- */

/* See struct attention_shape (backend.h). q [T, H*d], k and v [P, K*d] -> [T, H*d]. head_dim <= HEAD_DIM_MAX. The
 * arrays of *s must live as long as the tape. */
struct tensor *attention(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                         const struct attention_shape *s);
/* To look at, not to learn from: how much of its attention (after the softmax) each row of q gives the first `columns` rows that it sees, summed over the
 * heads, times `share` -> [T, columns]. */
struct tensor *attention_weights(struct ctx *c, const struct tensor *q, const struct tensor *k,
                                 const struct attention_shape *s, int64_t columns, double share);
/* The same where rows are cells of square maps: struct grid_terms (backend.h). heads == kv_heads; every segment is one map. */
struct tensor *attention_grid(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                              const struct attention_shape *s, const struct grid_terms *g);
/* The two arrays of attention_shape for `segments` runs of `length` queries, each seeing its own `seen` rows. */
bool attention_segments(struct ctx *c, struct attention_shape *s, int64_t segments, int64_t length,
                        int64_t seen);

/* attention, of whose weights (after the softmax) a share c->dropout is left out, as `dropout` does. k and v f32 */
struct tensor *attention_dropout(struct ctx *c, struct tensor *q, struct tensor *k, struct tensor *v,
                                 const struct attention_shape *s);

/* Rotary embedding, interleaved pairs (Su et al. 2021; Meta's layout, spec 05).   x [T, H*d]   angles [T, d] from rope_angles */
struct tensor *rope(struct ctx *c, struct tensor *x, const struct tensor *angles, int head_dim);
/* cos and sin of position * scale * theta^(-2i/d), pair i at columns 2i, 2i+1 -> [T, d], computed as PyTorch does in
 * float32. round_bf16 rounds position * scale to bf16 first (spec 05: upstream with scaling in bf16). */
struct tensor *rope_angles(struct ctx *c, const int32_t *position, int64_t T, int head_dim, float theta,
                           float scale, bool round_bf16);

/* Copies x's rows to rows row[t] of cache (f32, f16, bf16, q8_0), rounding. Not differentiable: inference only. */
void store_rows(struct ctx *c, struct tensor *cache, const int32_t *row, const struct tensor *x);

/* ---- row by row -------------------------------------------------------------------------------------------- */

/* (x - mean) / sqrt(variance + eps) * w + b, biased variance (Ba et al. 2016).   w, b [D] vec */
struct tensor *layer_norm(struct ctx *c, struct tensor *x, const struct tensor *w, const struct tensor *b,
                          float eps);
/* x / sqrt(mean(x^2) + eps) * w (Zhang & Sennrich 2019).   w [D] vec */
struct tensor *rms_norm(struct ctx *c, struct tensor *x, const struct tensor *w, float eps);
/* GELU_ERF x(1+erf(x/sqrt 2))/2, GELU_QUICK x sigmoid(1.702x), SILU x sigmoid(x), RELU max(x, 0). Without a tape, in place of x. */
struct tensor *activate(struct ctx *c, struct tensor *x, enum activation a);
/* silu(gate) * up (Shazeer 2020). Without a tape, in place of gate. */
struct tensor *swiglu(struct ctx *c, struct tensor *gate, struct tensor *up);

/* h + gamma * x.   gamma [D] vec or NULL (ones). Without a tape the sum is written over h and h is returned: the
 * residual stream outlives the scope of a layer. */
struct tensor *residual(struct ctx *c, struct tensor *h, struct tensor *x, const struct tensor *gamma);
/* x[t] + p[t mod rows(p)]: position embeddings over a batch of views. Without a tape, in place of x. */
struct tensor *add_periodic(struct ctx *c, struct tensor *x, const struct tensor *p);

/* x with a share c->dropout of its numbers set to 0, the others divided by 1 - share; which, is a function of c->dropout_key. 0: x itself. */
struct tensor *dropout(struct ctx *c, struct tensor *x);

/* ---- moving rows ------------------------------------------------------------------------------------------- */

/* Row t of the result is row ref[t].row of sources[ref[t].part]; all sources D wide, any weight dtype. ref and
 * sources must live as long as the tape. */
struct tensor *gather(struct ctx *c, struct tensor *const *sources, const struct row_ref *ref, int64_t T);
/* Row t is the sum over j of weight[t, j] * x[index[t * taps + j]]: means, interpolation, experts' answers.
 * index < 0 skips a tap; weight [T, taps] f32; index must live as long as the tape. */
struct tensor *combine(struct ctx *c, struct tensor *x, struct tensor *weight, const int32_t *index,
                       int taps);
/* Columns of all parts side by side, in order.   parts [n], T rows each */
struct tensor *concat_columns(struct ctx *c, struct tensor *const *parts, int n);
/* The k largest of each row, largest first, and their softmax among themselves -> [T, k]; *index [T, k] in the arena. */
struct tensor *softmax_top_k(struct ctx *c, struct tensor *x, int k, int32_t **index);

/* ---- losses: where the tape's way back begins ---------------------------------------------------------------- */

/* The mean over T rows of -log softmax(logits[t])[target[t]], in float32; `weight` times its gradient is put into logits' gradient, if it
 * has one. No rows: 0. targets are in range.   logits [T, vocab]   0 with the failure in c->err for logits NULL */
double cross_entropy(struct ctx *c, struct tensor *logits, const int32_t *target, double weight);

/* How unequally busy a mixture's experts are (Fedus et al. 2021; spec 10 section 4): E / (T k) sum_e count_e mean_t softmax(logits[t])[e], which is
 * 1 where all do alike. choice [T, k] is softmax_top_k's of the same logits, count_e how often it names e. `weight` times the gradient is put
 * into logits' gradient, if it has one; counts have none.   logits [T, E] */
double load_balance(struct ctx *c, struct tensor *logits, const int32_t *choice, int k, double weight);

/* How far a mask, row `row` of logits [masks, N], is from the true one, whose cells belong to it by truth[i], 0 .. 1 (Kirillov et al. 2023):
 *
 *   loss = 20 focal + dice       p = sigmoid(logit)
 *   focal = mean_i -(t a (1-p)^2 log p + (1-t) (1-a) p^2 log(1-p)), a = 1/4 (Lin et al. 2017)
 *   dice  = 1 - (2 sum p t + 1) / (sum p + sum t + 1)
 *
 * and the intersection over union of where logit > 0 and where t > 1/2; both empty: 1. `weight` times the loss's gradient is added to the row's,
 * if there is one. */
struct mask_match {
    double loss, iou;
};
struct mask_match mask_loss(struct ctx *c, struct tensor *logits, int64_t row, const float *truth,
                            double weight);
/* (x[0, column] - target)^2, and `weight` times its gradient into x's, if it has one. */
double squared_error(struct ctx *c, struct tensor *x, int64_t column, double target, double weight);

/* ---- maps -------------------------------------------------------------------------------------------------- */

/* Non-overlapping patches of a stack of maps -> [V*(H/patch)*(W/patch), C*patch*patch], see backend.h. `linear` of it with
 * a [N, C, patch, patch] weight is the convolution. x is in *s's layout, any number of rows and columns. */
struct tensor *patches(struct ctx *c, struct tensor *x, const struct map_shape *s, int patch);
/* The way back: every row's C*patch*patch numbers to their places -> [V*H*W, C], or whatever *s says; H and W are multiples of patch. `unpatches`
 * of `linear_transposed` with a [N, C, patch, patch] weight is the transposed convolution whose stride is its size. */
struct tensor *unpatches(struct ctx *c, struct tensor *x, const struct map_shape *s, int patch);
/* Layouts: images [V, C, H, W], and maps kept as rows [V*H*W, C]. */
struct map_shape map_planar(int64_t maps, int64_t channels, int64_t height, int64_t width);
struct map_shape map_rows(int64_t maps, int64_t channels, int64_t height, int64_t width);
/* x [V*H*W, C] -> same.   w [C, size*size] vec, bias [C] vec */
struct tensor *depthwise_conv(struct ctx *c, struct tensor *x, const struct tensor *w,
                              const struct tensor *bias, int64_t height, int64_t width, int size);

#endif
