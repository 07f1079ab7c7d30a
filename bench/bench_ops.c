/*
 * bench_ops.c - how near each kernel comes to what the machine can do, measured in the same minute.
 *
 *   bench_ops [-l level] [-t threads] [-f filter] [-s seconds] [-u] [-c]
 *
 * One line a case, tab-separated: op, dtype, M, K, N, milliseconds (median), figure, unit, fraction of the limit.
 * The limit is measured around every case, since neighbours come and go: for products of many rows, fused
 * multiply-adds in registers, with quantised weights products of 8-bit integers; where the weights are read once, reading
 * memory in four streams a thread.
 * -f keeps the cases whose "op dtype MxKxN" contains the text. -u, with one thread, counts processor time instead of the
 * clock's: on a machine with busy neighbours that is the time the kernel itself took. -c multiplies by the same weight again and again, which stays
 * in the caches if it fits: a model as small as sphinx-nano.
 */
#include "backend/cpu/kernels.h"
#include "backend/cpu/limits.h"
#include "core/report.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 1000, READ_BYTES = LIMIT_MEMORY_BYTES };

struct bench {
    struct exec exec;
    const struct backend *backend;
    const char *filter;
    double seconds; /* at least, for one case */
    double (*clock)(void);
    unsigned char *memory; /* READ_BYTES of weights, larger than any cache */
    enum cpu_level level;
    bool cached;
};

/* ---- limits -------------------------------------------------------------------------------------------------- */

static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double limit_now(const struct bench *b, enum limit limit)
{
    return limit_measure(limit, b->level, b->exec.threads, b->memory, b->clock);
}

/* ---- timing -------------------------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct work {
    void (*run)(struct bench *b, const struct work *w, int run);
    char name[96]; /* "op dtype MxKxN" */
    const char *op, *dtype;
    int64_t M, K, N;
    double flop, bytes; /* of one run; bytes 0: the limit is arithmetic */
    bool integers;      /* it is done with integers of 8 bits, where the level has products of them */
    enum dtype type;
    float *x, *y;
    enum activation activation;
    struct attention_shape attention;
};

static void measure(struct bench *b, const struct work *w)
{
    static double times[RUNS_MAX];
    double spent = 0, limits[2], median, figure, limit;
    bool integers = w->integers && limit_now(b, LIMIT_INT8) > 0;
    enum limit kind = w->bytes > 0 ? LIMIT_READ : integers ? LIMIT_INT8 : LIMIT_F32;
    int runs = 0;

    w->run(b, w, 0);
    for (int i = 0; i < 2; i++) {
        double before = spent;

        limits[i] = limit_now(b, kind);
        while (runs < RUNS_MAX && (spent - before < b->seconds / 2 || runs < 3 * (i + 1))) {
            double start = b->clock();

            w->run(b, w, runs + 1);
            times[runs] = b->clock() - start;
            spent += times[runs++];
        }
    }
    qsort(times, (size_t)runs, sizeof *times, compare_doubles);
    median = times[runs / 2];
    figure = (w->bytes > 0 ? w->bytes : w->flop) / median;
    limit = limits[0] > limits[1] ? limits[0] : limits[1];
    printf("%s\t%s\t%lld\t%lld\t%lld\t%.3f\t%.1f\t%s\t%.2f\n", w->op, w->dtype, (long long)w->M,
           (long long)w->K, (long long)w->N, median * 1e3, figure / 1e9,
           kind == LIMIT_READ   ? "GB/s"
           : kind == LIMIT_INT8 ? "GOP/s"
                                : "GFLOP/s",
           figure / limit);
    fflush(stdout);
}

static bool wanted(const struct bench *b, struct work *w)
{
    snprintf(w->name, sizeof w->name, "%s %s %lldx%lldx%lld", w->op, w->dtype, (long long)w->M,
             (long long)w->K, (long long)w->N);
    return b->filter == NULL || strstr(w->name, b->filter) != NULL;
}

/* ---- cases --------------------------------------------------------------------------------------------------- */

/* Memory of small random floats; the program ends when there is none. */
static float *floats(int64_t n)
{
    float *p = aligned_alloc(64, ((size_t)n * sizeof *p + 63) / 64 * 64);
    uint32_t state = 1;

    if (p == NULL) {
        fputs("bench_ops: out of memory\n", stderr);
        exit(1);
    }
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (float)(state >> 8) * 0x1p-24f - 0.5f;
    }
    return p;
}

/* Each run takes the next stretch of memory as its weight, so that no weight is found in a cache, unless that is wanted. */
static void run_linear(struct bench *b, const struct work *w, int run)
{
    size_t size = (size_t)w->N * dtype_bytes(w->type, (size_t)w->K), places = READ_BYTES / size;
    struct tensor x = tensor_matrix(DTYPE_F32, w->x, w->M, w->K),
                  y = tensor_matrix(DTYPE_F32, w->y, w->M, w->N);
    struct tensor weight =
        tensor_matrix(w->type, b->memory + size * (b->cached ? 0 : (size_t)run % places), w->N, w->K);

    b->backend->linear(&b->exec, &y, &x, &weight, NULL);
}

static void bench_linear(struct bench *b)
{
    static const int64_t sizes[][2] = { { 192, 1152 },   { 1024, 1024 }, { 1024, 3072 }, { 1024, 4096 },
                                        { 4096, 1024 },  { 1536, 4608 }, { 1536, 8192 }, { 4096, 1536 },
                                        { 1408, 6144 },  { 2048, 5632 }, { 5120, 5120 }, { 5120, 13824 },
                                        { 13824, 5120 }, { 5632, 5120 }, { 2048, 2048 }, { 5632, 2048 },
                                        { 6144, 1408 },  { 5120, 32000 } };
    static const int64_t rows[] = { 1, 2, 4, 8, 16, 32, 257, 351, 1515 };
    static const enum dtype types[] = { DTYPE_F32,  DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0,
                                        DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K };

    for (size_t d = 0; d < sizeof types / sizeof *types; d++) {
        for (size_t m = 0; m < sizeof rows / sizeof *rows; m++) {
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                struct work w = {
                    .run = run_linear, .op = "linear", .M = rows[m], .K = sizes[s][0], .N = sizes[s][1]
                };

                w.type = types[d];
                w.dtype = dtype_info(w.type)->name;
                w.flop = 2.0 * (double)w.M * (double)w.K * (double)w.N;
                if (w.M <= 4 && !b->cached) w.bytes = (double)dtype_bytes(w.type, (size_t)(w.K * w.N));
                w.integers = linear_rounds(&b->exec, w.type);
                if (dtype_bytes(w.type, (size_t)(w.K * w.N)) > READ_BYTES || !wanted(b, &w)) continue;
                w.x = floats(w.M * w.K);
                w.y = floats(w.M * w.N);
                measure(b, &w);
                free(w.x);
                free(w.y);
            }
        }
    }
}

static void run_transposed(struct bench *b, const struct work *w, int run)
{
    struct tensor weight = tensor_matrix(w->type, b->memory, w->K, w->N);

    (void)run;
    b->backend->linear_transposed(&b->exec, w->y, w->N, w->x, w->K, w->M, &weight, false);
}

static void run_weight_grad(struct bench *b, const struct work *w, int run)
{
    (void)run;
    b->backend->linear_weight_grad(&b->exec, (float *)(void *)b->memory, w->N, w->y, w->K, w->x, w->N, w->M,
                                   w->K, w->N);
}

static void bench_gradients(struct bench *b)
{
    static const int64_t sizes[][3] = { { 1, 5632, 2048 }, { 257, 4096, 1024 }, { 351, 5632, 2048 } };

    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct work w = {
            .run = run_transposed, .op = "linear_transposed", .dtype = "bf16", .type = DTYPE_BF16
        };

        w.M = sizes[s][0], w.K = sizes[s][1], w.N = sizes[s][2];
        w.flop = 2.0 * (double)w.M * (double)w.K * (double)w.N;
        w.x = floats(w.M * (w.K > w.N ? w.K : w.N));
        w.y = floats(w.M * (w.K > w.N ? w.K : w.N));
        if (wanted(b, &w)) measure(b, &w);
        w.op = "linear_weight_grad";
        w.dtype = "f32";
        w.run = run_weight_grad;
        if (wanted(b, &w)) measure(b, &w);
        free(w.x);
        free(w.y);
    }
}

/* M rows that see all of their segment; K the head dimension, N heads. */
static void run_attention(struct bench *b, const struct work *w, int run)
{
    int64_t width = w->K * w->N, stride = w->M == 1 ? width : 3 * width;
    int64_t P = w->M == 1 ? w->attention.count[0] : w->M;
    struct tensor q = tensor_matrix(DTYPE_F32, w->x, w->M, width),
                  y = tensor_matrix(DTYPE_F32, w->y, w->M, width);
    struct tensor k = tensor_matrix(w->type, b->memory, P, width), v = k;

    (void)run;
    q.stride = stride;
    v.data = b->memory + READ_BYTES / 2;
    if (w->M > 1) k.data = w->x + width, v.data = w->x + 2 * width, k.stride = v.stride = stride;
    b->backend->attention(&b->exec, &y, &q, &k, &v, &w->attention);
}

static void bench_attention(struct bench *b)
{
    /* rows, heads, head dimension, rows a segment, causal */
    static const int64_t cases[][5] = { { 1285, 16, 64, 257, 0 },   { 1285, 24, 64, 257, 0 },
                                        { 1285, 16, 88, 257, 0 },   { 351, 40, 128, 351, 1 },
                                        { 1515, 40, 128, 1515, 1 }, { 1, 40, 128, 1515, 1 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t *c = cases[i];
        struct work w = { .run = run_attention,
                          .op = c[4] ? "attention_causal" : "attention",
                          .M = c[0],
                          .K = c[2],
                          .N = c[1] };
        int32_t *first = calloc((size_t)w.M, sizeof *first), *count = calloc((size_t)w.M, sizeof *count);

        w.type = w.M == 1 ? DTYPE_BF16 : DTYPE_F32;
        w.dtype = dtype_info(w.type)->name;
        w.attention = (struct attention_shape){ (int)w.N, (int)w.N, (int)w.K, 0.1f, first, count };
        for (int64_t t = 0; t < w.M && first != NULL && count != NULL; t++) {
            first[t] = (int32_t)(t / c[3] * c[3]);
            count[t] = (int32_t)(c[4] && w.M > 1 ? t + 1 : c[3]);
            w.flop += 4.0 * (double)count[t] * (double)(w.K * w.N);
        }
        if (w.M == 1) w.bytes = 4.0 * (double)c[3] * (double)(w.K * w.N);
        if (wanted(b, &w)) {
            w.x = floats(3 * w.M * w.K * w.N);
            w.y = floats(w.M * w.K * w.N);
            measure(b, &w);
            free(w.x);
            free(w.y);
        }
        free(first);
        free(count);
    }
}

static void run_rows(struct bench *b, const struct work *w, int run)
{
    struct tensor x = tensor_matrix(DTYPE_F32, w->x, w->M, w->N),
                  y = tensor_matrix(DTYPE_F32, w->y, w->M, w->N);
    const float *vector = (const float *)(const void *)b->memory;

    (void)run;
    if (w->op[0] == 'l') b->backend->layer_norm(&b->exec, &y, &x, vector, vector, 1e-5f);
    if (w->op[0] == 'r') b->backend->rms_norm(&b->exec, &y, &x, vector, 1e-5f);
    if (w->op[0] == 'g') b->backend->activate(&b->exec, &y, &x, w->activation);
    if (w->op[0] == 's') b->backend->swiglu(&b->exec, &y, &x, &y);
    if (w->op[0] == 'd') b->backend->depthwise_conv(&b->exec, &y, &x, vector, vector, w->K, w->K, 7);
}

static void bench_rows(struct bench *b)
{
    static const struct {
        const char *op;
        enum activation activation;
        int64_t M, K, N;
    } cases[] = {
        { "layer_norm", 0, 1285, 0, 1536 },
        { "rms_norm", 0, 1515, 0, 5120 },
        { "gelu_erf", ACT_GELU_ERF, 1285, 0, 6144 },
        { "gelu_quick", ACT_GELU_QUICK, 1285, 0, 4096 },
        { "swiglu", 0, 1515, 0, 13824 },
        { "depthwise_conv", 0, 4096, 64, 384 },
        { "depthwise_conv", 0, 1024, 32, 768 },
        { "depthwise_conv", 0, 256, 16, 1536 },
        { "depthwise_conv", 0, 64, 8, 3072 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct work w = { .run = run_rows,
                          .op = cases[i].op,
                          .dtype = "f32",
                          .activation = cases[i].activation,
                          .M = cases[i].M,
                          .K = cases[i].K,
                          .N = cases[i].N };

        if (w.K > 0)
            w.flop = 98.0 * (double)(w.M * w.N);
        else
            w.bytes = 8.0 * (double)(w.M * w.N);
        if (!wanted(b, &w)) continue;
        w.x = floats(w.M * w.N);
        w.y = floats(w.M * w.N);
        measure(b, &w);
        free(w.x);
        free(w.y);
    }
}

int main(int argc, char **argv)
{
    struct bench b = { .seconds = 0.3, .clock = clock_seconds };
    const char *level = NULL;
    struct err e = { 0 };
    int option;

    b.exec.threads = cpu_threads_default();
    while ((option = getopt(argc, argv, "l:t:f:s:uc")) != -1) {
        if (option == 'l') level = optarg;
        if (option == 't') b.exec.threads = atoi(optarg);
        if (option == 'f') b.filter = optarg;
        if (option == 's') b.seconds = atof(optarg);
        if (option == 'u') b.clock = processor_seconds;
        if (option == 'c') b.cached = true;
        if (option == '?' || b.exec.threads < 1) {
            fputs("usage: bench_ops [-l level] [-t threads] [-f filter] [-s seconds] [-u] [-c]\n", stderr);
            return 2;
        }
    }
    if (cpu_backend(level, &b.backend, &e) != STATUS_OK) {
        fprintf(stderr, "bench_ops: %s\n", e.text);
        return 1;
    }
    b.level = cpu_level_of(b.backend);
    b.exec.scratch = aligned_alloc(64, (size_t)b.exec.threads * KERNEL_SCRATCH_BYTES);
    b.memory = (unsigned char *)floats(READ_BYTES / (int64_t)sizeof(float));
    if (b.exec.scratch == NULL) return 1;
    /* Halves that are modest numbers as bf16, as f16, and in pairs as f32. */
    for (size_t i = 0; i < READ_BYTES; i += 2)
        b.memory[i + 1] = (unsigned char)((b.memory[i] & 1) << 7 | (0x3c + b.memory[i] % 3));
    printf("# level %s, %d threads", b.backend->level, b.exec.threads);
    for (enum limit i = 0; i < LIMIT_COUNT; i++) {
        limit_now(&b, i);
        printf(", %s %.1f G", limit_name(i), limit_now(&b, i) / 1e9);
    }
    printf("\n");
    bench_linear(&b);
    bench_gradients(&b);
    bench_attention(&b);
    bench_rows(&b);
    free(b.exec.scratch);
    free(b.memory);
    return 0;
}
