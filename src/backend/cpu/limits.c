/* limits.c - see limits.h. */
#include "backend/cpu/limits.h"

#include <omp.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { CHAINS = 12 /* independent sums: more than any processor's latency times its width */ };

static const char *const names[LIMIT_COUNT] = {
#define X(code, name, unit) [LIMIT_##code] = name,
    LIMIT_MAP(X)
#undef X
};

const char *limit_name(enum limit limit)
{
    return names[limit];
}

/* Results go here, so that nothing is optimised away. */
static volatile float sink;

/* ---- arithmetic ------------------------------------------------------------------------------------------------ */

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));

/* Chains of a = a * x + y. */
#define DEFINE_F32(name, type, ...)                                                                          \
    __VA_ARGS__ static float name(int64_t rounds)                                                            \
    {                                                                                                        \
        type s[CHAINS], x = (type){ 0 } + 0.999f, y = (type){ 0 } + 0.001f;                                  \
        float total = 0;                                                                                     \
                                                                                                             \
        for (int i = 0; i < CHAINS; i++) s[i] = (type){ 0 } + (float)i;                                      \
        for (int64_t r = 0; r < rounds; r++)                                                                 \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) s[i] = s[i] * x + y;                   \
        for (int i = 0; i < CHAINS; i++) total += s[i][0];                                                   \
        return total;                                                                                        \
    }

#ifdef __clang__
#define FAST(target_text) __attribute__((target(target_text)))
#pragma STDC FP_CONTRACT ON
#else
#define FAST(target_text) __attribute__((target(target_text), optimize("O3,fp-contract=fast")))
#endif

DEFINE_F32(f32_portable, v4)
#ifdef __x86_64__
DEFINE_F32(f32_avx2, v8, FAST("avx2,fma"))
DEFINE_F32(f32_avx512, v16, FAST("avx512f"))

/* A multiply and an add for 32 products, or 64, in instructions: a compiler would see that the factors stay the same. */
#define STEP(r, i) "vpmaddubsw %%" r "12, %%" r "12, %%" r "13\n\tvpaddw %%" r "13, %%" r i ", %%" r i "\n\t"
#define STEPS(r)                                                                                             \
    STEP(r, "0")                                                                                             \
    STEP(r, "1")                                                                                             \
    STEP(r, "2")                                                                                             \
    STEP(r, "3")                                                                                             \
    STEP(r, "4")                                                                                             \
    STEP(r, "5") STEP(r, "6") STEP(r, "7") STEP(r, "8") STEP(r, "9") STEP(r, "10") STEP(r, "11")
#define DEFINE_INT8(name, r, target_text)                                                                    \
    FAST(target_text) static float name(int64_t rounds)                                                      \
    {                                                                                                        \
        for (int64_t i = 0; i < rounds; i++)                                                                 \
            __asm__ volatile(STEPS(r)::                                                                      \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",   \
                                   "xmm9", "xmm10", "xmm11", "xmm12", "xmm13");                              \
        return 0;                                                                                            \
    }

DEFINE_INT8(int8_avx2, "ymm", "avx2")
DEFINE_INT8(int8_avx512, "zmm", "avx512f,avx512bw")

/* One instruction for 64 products and their sums. */
FAST("avx512f,avx512vnni") static float int8_vnni(int64_t rounds)
{
#define VNNI(i) "vpdpbusd %%zmm12, %%zmm12, %%zmm" i "\n\t"
    for (int64_t i = 0; i < rounds; i++)
        __asm__ volatile(VNNI("0") VNNI("1") VNNI("2") VNNI("3") VNNI("4") VNNI("5") VNNI("6") VNNI("7")
                             VNNI("8") VNNI("9") VNNI("10") VNNI("11")::
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                                   "xmm9", "xmm10", "xmm11", "xmm12");
    return 0;
}

/* Products of tiles (simd/matrix_unit.h), six sums of them, twice. */
FAST("amx-tile,amx-bf16") static float matrix_amx(int64_t rounds)
{
#define PRODUCT(i) "tdpbf16ps %%tmm7, %%tmm6, %%tmm" i "\n\t"
#define PRODUCTS   PRODUCT("0") PRODUCT("1") PRODUCT("2") PRODUCT("3") PRODUCT("4") PRODUCT("5")
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = { .palette = 1 };

    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = 64;
        shapes.rows[i] = 16;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(shapes));
    for (int64_t i = 0; i < rounds; i++) __asm__ volatile(PRODUCTS PRODUCTS ::);
    __asm__ volatile("tilerelease");
    return 0;
}
#endif

struct peak {
    float (*run)(int64_t rounds); /* NULL: the level has no such unit */
    double operations;            /* of one chain's step */
};

static struct peak peak_of(enum limit limit, enum cpu_level level)
{
#ifdef __x86_64__
    if (limit == LIMIT_INT8) {
        if (level < CPU_AVX2) return (struct peak){ 0 };
        if (level == CPU_AVX2) return (struct peak){ int8_avx2, 64 };
        return level == CPU_AVX512 ? (struct peak){ int8_avx512, 128 } : (struct peak){ int8_vnni, 128 };
    }
    if (limit == LIMIT_MATRIX && level == CPU_AMX) return (struct peak){ matrix_amx, 2.0 * 16 * 16 * 32 };
    if (limit == LIMIT_F32 && level >= CPU_AVX2)
        return level == CPU_AVX2 ? (struct peak){ f32_avx2, 16 } : (struct peak){ f32_avx512, 32 };
#endif
    (void)level;
    return limit == LIMIT_F32 ? (struct peak){ f32_portable, 8 } : (struct peak){ 0 };
}

static double measure_peak(struct peak p, int threads, double (*clock)(void))
{
    const int64_t rounds = 1 << 21;
    double start = clock();
    float total = 0;

#pragma omp parallel num_threads(threads) reduction(+ : total)
    total += p.run(rounds);
    sink = total;
    return (double)rounds * CHAINS * p.operations * threads / (clock() - start);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static double measure_read(int threads, const unsigned char *memory, double (*clock)(void))
{
    double start = clock();
    float total = 0;

#pragma omp parallel num_threads(threads) reduction(+ : total)
    {
        size_t part = (size_t)LIMIT_MEMORY_BYTES / (size_t)omp_get_num_threads() / 4 / 256 * 256;
        const unsigned char *from = memory + 4 * part * (size_t)omp_get_thread_num();
        v4 s[4] = { { 0 } };

        for (size_t i = 0; i < part; i += 64) {
            for (size_t stream = 0; stream < 4; stream++) {
                const v4 *p = (const v4 *)(const void *)(from + stream * part + i);

                __builtin_prefetch((const char *)p + 1024);
                s[stream] += (p[0] + p[1]) + (p[2] + p[3]);
            }
        }
        for (int i = 0; i < 4; i++) total += s[i][0];
    }
    sink = total;
    return LIMIT_MEMORY_BYTES / (clock() - start);
}

double limit_measure(enum limit limit, enum cpu_level level, int threads, const void *memory,
                     double (*clock)(void))
{
    struct peak p;

    if (limit == LIMIT_READ) return measure_read(threads, memory, clock);
    p = peak_of(limit, level);
    return p.run != NULL ? measure_peak(p, threads, clock) : 0;
}
