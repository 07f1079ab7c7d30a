/*
 * bench_train.c - what a step of training takes: micro-batch forward and back, norm, AdamW.
 *
 *   bench_train MODEL [-t threads] [-l level] [-b samples] [-w words] [-a answer] [-s seconds] [-f filter]
 *
 * Made-up samples: random planes (if the model sees) and `words` random tokens each, of which the last `answer` are targets. One line a
 * way of training, those whose name holds the filter: f32 or bf16 weights, encoders frozen, from their features, or trained.
 *   name, seconds of a step (median), samples/s, tokens/s (rows of the language model), GFLOP/s by the shapes, share of the
 *   limit of float32 multiply-adds measured beside it
 */
#include "backend/cpu/limits.h"
#include "core/report.h"
#include "model/encode.h"
#include "model/load.h"
#include "train/optimizer.h"
#include "train/train_step.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEPS_MIN = 3, STEPS_MAX = 1000, SAMPLES_MAX = 256 };

enum encoding { FEATURES, FROZEN, TRAINED };

struct way {
    const char *name;
    bool bf16;
    enum encoding encoders;
};

static const struct way ways[] = {
    { "f32 language", false, FEATURES }, { "f32 frozen", false, FROZEN },   { "f32 trained", false, TRAINED },
    { "bf16 language", true, FEATURES }, { "bf16 trained", true, TRAINED },
};

struct options {
    const char *path, *level, *filter;
    int threads, samples, words, answer;
    double seconds;
};

struct bench {
    struct options o;
    struct checkpoint *checkpoint;
    struct network network;
    struct trainees trainees;
    struct ctx c;
    struct arena arena, kept; /* a step's memory; the features */
    struct sample sample[SAMPLES_MAX];
    struct train_item items[SAMPLES_MAX];
    struct features features[SAMPLES_MAX];
};

static _Noreturn void stop(const char *text)
{
    fprintf(stderr, "bench_train: %s\n", text);
    exit(1);
}

static void *must(void *p)
{
    if (p == NULL) stop("out of memory");
    return p;
}

static void check(enum status st, const struct err *e)
{
    if (st != STATUS_OK) stop(e->text);
}

static float random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) * 0x1p-23f - 1;
}

static void open_model(struct bench *b, const struct way *way)
{
    const char *paths[] = { b->o.path };
    struct load_options o = { .paths = paths, .n_paths = 1 };
    struct trainee_rule rule = { .encoders = way->encoders == TRAINED };
    struct model_config config;
    struct tokenizer *t = NULL;
    struct err e = { 0 };

    check(ckpt_open(&b->checkpoint, paths, 1, NULL, &e), &e);
    check(load_config(&config, &t, &o, b->checkpoint, &e), &e);
    tok_close(t);
    check(network_init(&b->network, &config, &e), &e);
    check(load_weights(&b->network, b->checkpoint, &o, &e), &e);
    check(trainees_init(&b->trainees, &b->network, &rule, way->bf16, NULL, &e), &e);
}

static void close_model(struct bench *b)
{
    network_free(&b->network);
    trainees_free(&b->trainees);
    ckpt_close(b->checkpoint);
}

static void make_sample(struct bench *b, int i)
{
    struct sample *s = &b->sample[i];
    int64_t side = b->network.config.views.image_size, vocab = b->network.config.llama.vocab;
    uint64_t state = (uint64_t)i;
    float *planes;

    s->n = (size_t)b->o.words;
    s->ids = must(malloc(2 * s->n * sizeof *s->ids));
    s->labels = s->ids + s->n;
    for (size_t k = 0; k < s->n; k++) {
        s->ids[k] = 1 + (int32_t)((random_unit(&state) + 1) / 2 * (float)(vocab - 2));
        s->labels[k] = k + (size_t)b->o.answer >= s->n ? s->ids[k] : 0;
    }
    b->items[i] = (struct train_item){ .sample = s };
    if (!b->network.sees) return;
    planes = must(malloc((size_t)(3 * side * side) * sizeof *planes));
    for (int64_t k = 0; k < 3 * side * side; k++) planes[k] = random_unit(&state);
    b->items[i].planes = planes;
}

static void look_at_images(struct bench *b)
{
    double seconds[ENCODER_COUNT];

    b->c.arena = &b->kept;
    for (int i = 0; b->network.sees && i < b->o.samples; i++) {
        if (!encode_features(&b->c, &b->network, b->items[i].planes, 0, &b->features[i], seconds))
            stop(b->c.err.text);
        b->items[i].features = &b->features[i];
    }
    b->c.arena = &b->arena;
}

static void micro_batch(struct bench *b, double weight)
{
    struct train_loss loss;

    train_micro_batch(&b->c, &b->network, b->items, (size_t)b->o.samples, weight, 1, &loss);
    if (b->c.err.code != STATUS_OK) stop(b->c.err.text);
}

/* Operations of a step by the shapes: what is trained costs three times its way forward. */
static double count_flop(struct bench *b, const struct way *way)
{
    struct work all = { 0, 0 }, encoders = { 0, 0 };

    b->c.work = &all;
    micro_batch(b, 0);
    if (b->network.sees && way->encoders == FROZEN) {
        struct arena_mark mark = arena_mark(&b->arena);
        double seconds[ENCODER_COUNT];
        struct features f;

        b->c.work = &encoders;
        if (!encode_features(&b->c, &b->network, b->items[0].planes, 0, &f, seconds)) stop(b->c.err.text);
        arena_reset(&b->arena, mark);
    }
    b->c.work = NULL;
    return 3 * all.flop - 2 * b->o.samples * encoders.flop;
}

static void step(struct bench *b, struct optimizer *o)
{
    struct err e = { 0 };
    double norm;

    trainees_zero_grad(&b->trainees);
    micro_batch(b, 1);
    check(optimizer_step(o, &b->trainees, 1e-5, b->o.threads, &norm, &e), &e);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_step(struct bench *b)
{
    struct optimizer o = optimizer_default();
    double seconds[STEPS_MAX], end;
    int n = 0;

    step(b, &o); /* the arena grows, pages appear */
    end = clock_seconds() + b->o.seconds;
    while (n < STEPS_MIN || (clock_seconds() < end && n < STEPS_MAX)) {
        double start = clock_seconds();

        step(b, &o);
        seconds[n++] = clock_seconds() - start;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, compare_doubles);
    return seconds[n / 2];
}

static void measure(struct bench *b, const struct way *way)
{
    double seconds, flop, limit, rows;

    open_model(b, way);
    for (int i = 0; i < b->o.samples; i++) make_sample(b, i);
    if (way->encoders == FEATURES) look_at_images(b);
    rows = (double)(b->o.samples * ((b->network.sees ? encode_words(&b->network) : 0) + b->o.words - 1));
    flop = count_flop(b, way);
    seconds = median_step(b);
    limit = limit_measure(LIMIT_F32, cpu_level_of(b->c.backend), b->o.threads, NULL, clock_seconds);
    printf("%s\t%.4f\t%.1f\t%.0f\t%.1f\t%.2f\n", way->name, seconds, b->o.samples / seconds, rows / seconds,
           flop / seconds / 1e9, flop / seconds / limit);
    fflush(stdout);
    for (int i = 0; i < b->o.samples; i++) {
        free(b->sample[i].ids);
        free((float *)(uintptr_t)b->items[i].planes);
    }
    close_model(b);
    arena_free(&b->kept);
}

static struct options read_options(int argc, char **argv)
{
    struct options o = { NULL, "auto", "", cpu_threads_default(), 16, 100, 50, 3 };
    int option;

    while ((option = getopt(argc, argv, "t:l:b:w:a:s:f:")) != -1) {
        switch (option) {
        case 't': o.threads = atoi(optarg); break;
        case 'l': o.level = optarg; break;
        case 'b': o.samples = atoi(optarg); break;
        case 'w': o.words = atoi(optarg); break;
        case 'a': o.answer = atoi(optarg); break;
        case 's': o.seconds = atof(optarg); break;
        case 'f': o.filter = optarg; break;
        default: stop("see the head of bench_train.c for the options");
        }
    }
    if (optind + 1 != argc) stop("one MODEL");
    if (o.threads < 1 || o.samples < 1 || o.samples > SAMPLES_MAX || o.words < 2 || o.answer < 1 ||
        o.answer >= o.words)
        stop("a number is out of range");
    o.path = argv[optind];
    return o;
}

int main(int argc, char **argv)
{
    struct bench *b = must(calloc(1, sizeof *b));
    const struct backend *backend;
    struct err e = { 0 };

    b->o = read_options(argc, argv);
    check(cpu_backend(b->o.level, &backend, &e), &e);
    check(ctx_init(&b->c, backend, &b->arena, b->o.threads, &e), &e);
    printf("way\tseconds\tsamples/s\ttokens/s\tGFLOP/s\tof limit\n");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strstr(ways[i].name, b->o.filter) != NULL) measure(b, &ways[i]);
    ctx_free(&b->c);
    arena_free(&b->arena);
    free(b);
    return 0;
}
