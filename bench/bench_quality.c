/*
 * bench_quality.c - what each type of weights costs in quality: how far the distributions of the next token move from those of the
 * weights as they are stored.
 *
 *   bench_quality -m MODEL [-i IMAGE] [-n tokens] [-t threads] [-l level] [-r rows] TEXT...
 *
 *   each TEXT, its first tokens, behind the image ─ the weights as stored ────── distributions ─┐
 *                                                 ─ one class of them quantised ─ distributions ─┴─ divergence
 *
 * Of every position of a text, given all before it, the whole distribution is compared: the model is told the text and says
 * nothing itself. Weights are quantised in memory, one row of the table at a time, from those that the model stores; the types that do
 * not fit a tensor fall back as in `sphinx convert` (model/policy.h). Prints a table in Markdown, a row as soon as it is known.
 *
 * -r keeps the rows whose "type class" contains the text; commas separate several.
 */
#include "core/file.h"
#include "model/encode.h"
#include "model/policy.h"
#include "model/session.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_SIZE_MAX = 16 << 20, TEXTS_MAX = 64 };

struct text {
    int32_t *ids; /* [n], BOS first */
    int64_t n;
    float *logits; /* [n - 1, vocab] of the weights as stored, at all positions behind BOS and the image */
};

/* How the model is computed, apart from its weights. */
struct manner {
    bool precise;
    enum dtype kv;
};

static const struct manner exactly = { true, DTYPE_F32 }, by_default = { false, DTYPE_F16 };

struct quality {
    struct sphinx_model *model;
    struct ctx ctx;
    struct arena arena;
    const char *image_path, *rows;
    float *planes; /* of the image; NULL: none */
    float *words;  /* [image words, D] of the weights as stored */
    int64_t n_words;
    struct text texts[TEXTS_MAX];
    int n_texts;
    int64_t longest; /* of the texts */
};

static _Noreturn void stop(const char *text)
{
    fprintf(stderr, "bench_quality: %s\n", text);
    exit(1);
}

static void *must(void *p)
{
    if (p == NULL) stop("out of memory");
    return p;
}

/* ---- computing ------------------------------------------------------------------------------------------------ */

static void check(struct quality *q)
{
    if (q->ctx.err.code != STATUS_OK) stop(q->ctx.err.text);
}

/* The image's words, as the weights now are; NULL without image. The caller frees. */
static float *look(struct quality *q, struct manner how)
{
    double seconds[ENCODER_COUNT];
    struct arena_mark scope = scope_begin(&q->ctx);
    size_t size = (size_t)q->n_words * (size_t)q->model->network.config.llama.dim * sizeof(float);
    struct tensor *w;
    float *words;

    if (q->planes == NULL) return NULL;
    q->ctx.exec.precise = how.precise;
    w = encode_image(&q->ctx, &q->model->network, q->planes, 0, seconds);
    check(q);
    words = must(malloc(size));
    memcpy(words, w->data, size);
    scope_end(&q->ctx, scope);
    return words;
}

/* What all texts begin with, BOS and the image's words, computed once: its keys and values, and room for the longest text. */
static void begin(struct quality *q, struct kv_cache *kv, const float *words, struct manner how)
{
    struct ctx *c = &q->ctx;
    const struct llama *m = &q->model->network.llama;
    const int32_t bos = q->texts[0].ids[0];
    int64_t T = 1 + q->n_words;
    struct arena_mark scope = scope_begin(c);
    int32_t *position = must(ctx_alloc(c, 2 * (size_t)T, sizeof *position)), *first = position + T;
    struct row_ref *ref = must(ctx_alloc(c, (size_t)T, sizeof *ref));
    struct tensor image = tensor_matrix(DTYPE_F32, (void *)(uintptr_t)words, q->n_words, m->config.dim);
    struct tensor *sources[] = { llama_embed(c, m, &bos, 1), &image }, *h = sources[0];

    c->exec.precise = how.precise;
    if (kv_init(kv, &m->config, 1, T + q->longest, how.kv, &c->err) != STATUS_OK) stop(c->err.text);
    for (int64_t t = 0; t < T; t++) {
        position[t] = (int32_t)t;
        first[t] = 0;
        ref[t] = (struct row_ref){ t > 0, (int32_t)(t > 0 ? t - 1 : 0) };
    }
    if (words != NULL) h = gather(c, sources, ref, T);
    llama_forward(c, m, h, &(struct llama_batch){ T, position, position, first, 0 }, kv);
    check(q);
    scope_end(c, scope);
}

/* Logits [n - 1, vocab] at all ids of a text, which follow the beginning, in the context's arena. */
static struct tensor *predict(struct quality *q, struct kv_cache *kv, const struct text *x)
{
    struct ctx *c = &q->ctx;
    const struct llama *m = &q->model->network.llama;
    int64_t T = x->n - 1;
    int32_t *position = must(ctx_alloc(c, 2 * (size_t)T, sizeof *position)), *first = position + T;
    struct tensor *h;

    for (int64_t t = 0; t < T; t++) position[t] = (int32_t)(1 + q->n_words + t), first[t] = 0;
    h = llama_forward(c, m, llama_embed(c, m, x->ids + 1, T),
                      &(struct llama_batch){ T, position, position, first, 0 }, kv);
    h = llama_logits(c, m, h);
    check(q);
    return h;
}

/* ---- comparing ------------------------------------------------------------------------------------------------ */

struct difference {
    double divergence; /* sum p ln(p / q), nats */
    double moved,
        spread; /* sums of squares, of the logits' changes and of the logits, both about their means */
    bool same_best;
};

struct softmax {
    double most, log_sum, mean;
    int64_t best;
};

static struct softmax softmax_of(const float *logits, int64_t n)
{
    struct softmax s = { .best = 0 };
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        if (logits[i] > logits[s.best]) s.best = i;
        s.mean += (double)logits[i];
    }
    s.mean /= (double)n;
    s.most = (double)logits[s.best];
    for (int64_t i = 0; i < n; i++) sum += exp((double)logits[i] - s.most);
    s.log_sum = s.most + log(sum);
    return s;
}

static struct difference compare(const float *want, const float *got, int64_t n)
{
    struct softmax w = softmax_of(want, n), g = softmax_of(got, n);
    struct difference d = { .same_best = w.best == g.best };

    for (int64_t i = 0; i < n; i++) {
        double a = (double)want[i], b = (double)got[i], off = (b - g.mean) - (a - w.mean);

        d.divergence += exp(a - w.log_sum) * ((a - w.log_sum) - (b - g.log_sum));
        d.moved += off * off;
        d.spread += (a - w.mean) * (a - w.mean);
    }
    return d;
}

struct summary {
    double mean, worst_percent, agreement, moved;
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct summary summarise(struct difference *d, size_t n)
{
    struct summary s = { 0 };
    double *sorted = must(malloc(n * sizeof *sorted)), moved = 0, spread = 0;

    for (size_t i = 0; i < n; i++) {
        sorted[i] = d[i].divergence;
        s.mean += d[i].divergence / (double)n;
        s.agreement += (d[i].same_best ? 1.0 : 0.0) / (double)n;
        moved += d[i].moved;
        spread += d[i].spread;
    }
    qsort(sorted, n, sizeof *sorted, ascending);
    s.worst_percent = sorted[(size_t)((double)(n - 1) * 0.99)];
    s.moved = sqrt(moved / spread);
    free(sorted);
    return s;
}

static size_t positions(const struct quality *q)
{
    size_t n = 0;

    for (int i = 0; i < q->n_texts; i++) n += (size_t)(q->texts[i].n - 1);
    return n;
}

/* All texts with the weights as they now are. */
static struct summary measure(struct quality *q, const float *words, struct manner how)
{
    int64_t vocab = q->model->network.config.llama.vocab;
    struct difference *all = must(calloc(positions(q), sizeof *all)), *d = all;
    struct kv_cache kv;
    struct summary s;

    begin(q, &kv, words, how);
    for (int i = 0; i < q->n_texts; i++) {
        const struct text *x = &q->texts[i];
        struct arena_mark scope = scope_begin(&q->ctx);
        const float *got = tensor_f32(predict(q, &kv, x));

#pragma omp parallel for num_threads(q->ctx.exec.threads)
        for (int64_t t = 0; t < x->n - 1; t++) d[t] = compare(x->logits + t * vocab, got + t * vocab, vocab);
        d += x->n - 1;
        scope_end(&q->ctx, scope);
    }
    kv_free(&kv);
    s = summarise(all, positions(q));
    free(all);
    return s;
}

/* ---- quantising in memory --------------------------------------------------------------------------------------- */

struct replaced {
    struct tensor *slot, old;
    struct replaced *next;
};

struct replacement {
    struct policy policy;
    int class; /* of the table; -1: all */
    int threads;
    struct replaced *list;
    double bytes, weights; /* after, and how many */
    double
        fallen[DTYPE_COUNT]; /* weights that took another type than was wanted, by the type that they took */
};

static void replace_one(struct replacement *r, struct tensor *slot, enum dtype type)
{
    struct replaced *entry = must(malloc(sizeof *entry));
    int64_t n = tensor_rows(slot), width = tensor_columns(slot);
    size_t row_bytes = dtype_bytes(type, (size_t)width);
    unsigned char *data = must(malloc((size_t)n * row_bytes));
    const struct tensor old = *slot;

#pragma omp parallel num_threads(r->threads)
    {
        float *row = must(malloc((size_t)width * sizeof *row));

#pragma omp for schedule(static)
        for (int64_t i = 0; i < n; i++) {
            tensor_row_f32(&old, i, 0, width, row);
            dtype_info(type)->from_f32(data + (size_t)i * row_bytes, row, (size_t)width);
        }
        free(row);
    }
    *entry = (struct replaced){ slot, old, r->list };
    r->list = entry;
    *slot = tensor_matrix(type, data, n, width);
    r->bytes += (double)n * (double)row_bytes;
}

static void replace_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct replacement *r = v->user;
    enum tensor_class class = policy_class(p);
    enum dtype wanted, type;
    double weights = 0;

    if (slot == NULL || class == TENSOR_CLASS_SMALL ||
        (r->class >= 0 && class != (enum tensor_class)r->class))
        return;
    type = policy_choose(&r->policy, p, slot->dtype, &wanted);
    for (int i = 0; i < p->experts; i++) {
        weights += (double)tensor_rows(&slot[i]) * (double)tensor_columns(&slot[i]);
        replace_one(r, &slot[i], type);
    }
    r->weights += weights;
    if (type != wanted) r->fallen[type] += weights;
}

/* Quantises a class of weights to one type (class -1: every class to what the policy gives it). */
static void replace(struct replacement *r, struct quality *q, enum dtype type, int class)
{
    static const char everything[] = "*";
    struct policy_rule rule = { .pattern = everything, .pattern_size = 1, .type = type };
    struct param_visitor v = { .visit = replace_visit, .user = r };

    *r = (struct replacement){ .class = class, .threads = q->ctx.exec.threads };
    r->policy = class >= 0 ? (struct policy){ .keep = true, .rules = &rule, .n_rules = 1 }
                           : (struct policy){ .type = type };
    network_params(&q->model->network, &v);
    r->policy.rules = NULL;
}

static void put_back(struct replacement *r)
{
    while (r->list != NULL) {
        struct replaced *entry = r->list;

        free(entry->slot->data);
        *entry->slot = entry->old;
        r->list = entry->next;
        free(entry);
    }
}

/* ---- the table ------------------------------------------------------------------------------------------------ */

static bool row_wanted(const struct quality *q, const char *type, const char *class)
{
    char name[128], list[256], *save = NULL;

    if (q->rows == NULL) return true;
    snprintf(name, sizeof name, "%s %s", type, class);
    snprintf(list, sizeof list, "%s", q->rows);
    for (char *part = strtok_r(list, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        if (strstr(name, part) != NULL) return true;
    }
    return false;
}

static void print_row(const char *type, const char *class, const struct replacement *r, struct summary s)
{
    printf("| %s | %s ", type, class);
    if (r == NULL)
        printf("| | ");
    else
        printf("| %.1f | %.2f ", r->bytes / 1e6, 8 * r->bytes / r->weights);
    printf("| %.2f %% | %.2e | %.2e | %.1f %% | ", 100 * s.moved, s.mean, s.worst_percent, 100 * s.agreement);
    for (int i = 0; r != NULL && i < DTYPE_COUNT; i++) {
        if (r->fallen[i] > 0)
            printf("%.1f %% as %s ", 100 * r->fallen[i] / r->weights, dtype_info((enum dtype)i)->name);
    }
    printf("|\n");
    fflush(stdout);
}

static bool class_is_seen(int class)
{
    return class < 0 || (class >= TENSOR_CLASS_CLIP && class <= TENSOR_CLASS_MIXER);
}

/* One class in one type; all of them by the policy, computed exactly and as `run` does unless told otherwise. */
static void weight_row(struct quality *q, enum dtype type, int class)
{
    const char *type_name = dtype_info(type)->name,
               *name = class >= 0 ? tensor_class_names[class] : "all by policy";
    struct replacement r;
    float *words = NULL;

    if (!row_wanted(q, type_name, name)) return;
    replace(&r, q, type, class);
    if (r.weights > 0) {
        if (class_is_seen(class)) words = look(q, exactly);
        print_row(type_name, name, &r, measure(q, words != NULL ? words : q->words, exactly));
    }
    if (class < 0) {
        free(words);
        words = look(q, by_default);
        print_row(type_name, "all by policy, run by default", &r, measure(q, words, by_default));
    }
    free(words);
    put_back(&r);
}

/* The weights as stored, computed less exactly. */
static void manner_row(struct quality *q, const char *type, const char *name, struct manner how)
{
    float *words;

    if (!row_wanted(q, type, name)) return;
    words = how.precise ? NULL : look(q, how);
    print_row(type, name, NULL, measure(q, words != NULL ? words : q->words, how));
    free(words);
}

static void print_table(struct quality *q)
{
    static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q6_K, DTYPE_Q4_K, DTYPE_Q4_0 };
    static const enum dtype caches[] = { DTYPE_F16, DTYPE_Q8_0 };
    const struct llama_config *k = &q->model->network.config.llama;
    size_t head_dim = (size_t)(k->dim / k->n_heads);

    printf("| type | what has it | MB | bits/weight | logits moved by | KL mean | KL 99 %% | same top-1 | "
           "fell back |\n"
           "|---|---|---:|---:|---:|---:|---:|---:|---|\n");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        for (int class = 0; class < TENSOR_CLASS_SMALL; class ++) weight_row(q, types[i], class);
        weight_row(q, types[i], -1);
    }
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        const struct dtype_info *info = dtype_info(caches[i]);

        if (head_dim % info->block_elements != 0) continue; /* heads begin at blocks */
        manner_row(q, info->name, "keys and values", (struct manner){ true, caches[i] });
    }
    manner_row(q, "no --precise", "activations", (struct manner){ false, DTYPE_F32 });
}

/* ---- what is measured ------------------------------------------------------------------------------------------- */

static void read_image(struct quality *q)
{
    size_t side = (size_t)q->model->network.config.views.image_size;
    struct image im;
    struct err e = { 0 };

    if (q->image_path == NULL) return;
    if (!q->model->network.sees) stop("the model has no encoders: leave out -i");
    q->planes = must(malloc(3 * side * side * sizeof *q->planes));
    if (img_read(&im, q->image_path, NULL, &e) != STATUS_OK ||
        img_prepare(q->planes, NULL, &im, IMG_TRANSFORM_PADDED_RESIZE, (int)side, &e) != STATUS_OK)
        stop(e.text);
    img_free(&im);
    q->n_words = encode_words(&q->model->network);
    q->words = look(q, exactly);
}

static void read_text(struct quality *q, const char *path, int64_t n_max)
{
    struct text *x = &q->texts[q->n_texts++];
    unsigned char *data;
    size_t size, n;
    struct err e = { 0 };

    if (file_read(path, TEXT_SIZE_MAX, &data, &size, &e) != STATUS_OK ||
        tok_encode(q->model->tokenizer, (const char *)data, size, TOK_BOS, &x->ids, &n, &e) != STATUS_OK)
        stop(e.text);
    free(data);
    x->n = (int64_t)n < n_max ? (int64_t)n : n_max;
    if (x->n < 2) stop("a text has no tokens");
    if (x->n > q->longest) q->longest = x->n;
}

/* The yardstick. Returns the mean entropy of its distributions. */
static double remember(struct quality *q)
{
    int64_t vocab = q->model->network.config.llama.vocab;
    double entropy = 0;
    struct kv_cache kv;

    begin(q, &kv, q->words, exactly);
    for (int i = 0; i < q->n_texts; i++) {
        struct text *x = &q->texts[i];
        struct arena_mark scope = scope_begin(&q->ctx);
        size_t count = (size_t)(x->n - 1) * (size_t)vocab;

        x->logits = must(malloc(count * sizeof *x->logits));
        memcpy(x->logits, predict(q, &kv, x)->data, count * sizeof *x->logits);
        scope_end(&q->ctx, scope);
        for (int64_t t = 0; t < x->n - 1; t++) {
            const float *logits = x->logits + t * vocab;
            struct softmax s = softmax_of(logits, vocab);

            for (int64_t k = 0; k < vocab; k++) {
                double log_p = (double)logits[k] - s.log_sum;

                entropy -= exp(log_p) * log_p;
            }
        }
    }
    kv_free(&kv);
    return entropy / (double)positions(q);
}

static int64_t number(const char *text, int64_t most)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || n < 1 || n > most) stop("a number is out of range");
    return n;
}

static void open_model(struct quality *q, const char *path, const char *level, int threads)
{
    sphinx_model_options o = { .cpu = level, .threads = threads, .prefix_cache_bytes = -1 };
    sphinx_error error;
    struct err e = { 0 };

    if (sphinx_model_open(&q->model, &path, 1, &o, &error) != SPHINX_OK) stop(error.text);
    if (ctx_init(&q->ctx, q->model->backend, &q->arena, q->model->threads, &e) != STATUS_OK) stop(e.text);
}

static void print_head(const struct quality *q, double entropy)
{
    const struct network *n = &q->model->network;
    sphinx_model_info info;

    sphinx_model_get_info(q->model, &info);
    printf("%s, %.2f thousand million parameters, stored as %s; %s; computed at level %s. %d texts, %zu "
           "positions",
           info.llama_type, (double)info.parameters / 1e9, dtype_info(n->llama.layers[0].wq.dtype)->name,
           q->planes != NULL ? "with an image" : "without image", info.cpu, q->n_texts, positions(q));
    printf("; the distributions of the weights as stored have an entropy of %.2f nats on average, of %.2f "
           "that the "
           "vocabulary allows.\n\n",
           entropy, log((double)info.vocab));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct quality q;
    const char *model = NULL, *level = NULL;
    int64_t n_max = 256;
    int threads = 0, option;

    while ((option = getopt(argc, argv, "m:i:n:t:l:r:")) != -1) {
        switch (option) {
        case 'm': model = optarg; break;
        case 'i': q.image_path = optarg; break;
        case 'n': n_max = number(optarg, 1 << 20); break;
        case 't': threads = (int)number(optarg, 1024); break;
        case 'l': level = optarg; break;
        case 'r': q.rows = optarg; break;
        default: model = NULL; optind = argc;
        }
    }
    if (model == NULL || optind == argc || argc - optind > TEXTS_MAX)
        stop(
            "usage: bench_quality -m MODEL [-i IMAGE] [-n tokens] [-t threads] [-l level] [-r rows] TEXT...");
    open_model(&q, model, level, threads);
    read_image(&q);
    for (int i = optind; i < argc; i++) read_text(&q, argv[i], n_max);
    print_head(&q, remember(&q));
    print_table(&q);
    for (int i = 0; i < q.n_texts; i++) free(q.texts[i].ids), free(q.texts[i].logits);
    free(q.words);
    free(q.planes);
    ctx_free(&q.ctx);
    arena_free(&q.arena);
    sphinx_model_close(q.model);
    return 0;
}
