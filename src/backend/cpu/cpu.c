/* cpu.c - see cpu.h. Which levels run here, and the table of each. */
#include "backend/cpu/cpu.h"

#include "backend/cpu/ref/ref.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* A table names every kernel once: the plain ones and the level's own. */
#define REF(kernel)                .kernel = ref_##kernel,
#define PORTABLE(kernel)           .kernel = kernel##_portable,
#define AVX2(kernel)               .kernel = kernel##_avx2,
#define AVX512(kernel)             .kernel = kernel##_avx512,
#define AVX512VNNI(kernel)         .kernel = kernel##_avx512vnni,
#define DECLARE_PORTABLE(kernel)   KERNEL_DECLARE(kernel, kernel##_portable)
#define DECLARE_AVX2(kernel)       KERNEL_DECLARE(kernel, kernel##_avx2)
#define DECLARE_AVX512(kernel)     KERNEL_DECLARE(kernel, kernel##_avx512)
#define DECLARE_AVX512VNNI(kernel) KERNEL_DECLARE(kernel, kernel##_avx512vnni)
#define BACKEND(code, text, kernels)                                                                         \
    [code] = { .name = "cpu", .level = text, KERNELS_PLAIN(REF) KERNELS_SIMD(kernels) }

KERNELS_SIMD(DECLARE_PORTABLE)
#ifdef __x86_64__
KERNELS_SIMD(DECLARE_AVX2)
KERNELS_SIMD(DECLARE_AVX512)
KERNELS_SIMD(DECLARE_AVX512VNNI)
bool matrix_linear_amx(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const float *bias); /* simd/simd_matrix.h */

/* The matrix unit has one kernel; the rest of its level is the one below. */
static void linear_amx(const struct exec *e, struct tensor *y, const struct tensor *x, const struct tensor *w,
                       const float *bias)
{
    if (!matrix_linear_amx(e, y, x, w, bias)) linear_avx512vnni(e, y, x, w, bias);
}
#endif

static const struct backend backends[CPU_LEVEL_COUNT] = {
    BACKEND(CPU_REF, "ref", REF),
    BACKEND(CPU_PORTABLE, "portable", PORTABLE),
#ifdef __x86_64__
    BACKEND(CPU_AVX2, "avx2", AVX2),
    BACKEND(CPU_AVX512, "avx512", AVX512),
    BACKEND(CPU_AVX512VNNI, "avx512vnni", AVX512VNNI),
    [CPU_AMX] = { .name = "cpu",
                  .level = "amx",
                  .linear = linear_amx,
                  KERNELS_PLAIN(REF) KERNELS_SIMD_REST(AVX512VNNI) },
#else
    [CPU_AVX2] = { .level = "avx2" },
    [CPU_AVX512] = { .level = "avx512" },
    [CPU_AVX512VNNI] = { .level = "avx512vnni" },
    [CPU_AMX] = { .level = "amx" },
#endif
};

#ifdef __x86_64__
/* clang's __builtin_cpu_supports does not know this one. */
static bool has_f16c(void)
{
    unsigned eax, ebx, ecx = 0, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

/* Tiles with bf16 products; and the operating system's leave to use them. Their registers take 8 KB of a thread's state, which
 * Linux keeps only for processes that ask (5.16 and later; earlier ones refuse). Asking again costs a system call. */
static bool has_tiles(void)
{
    enum { REQUEST = 0x1023 /* ARCH_REQ_XCOMP_PERM, which older headers lack */, TILE_DATA = 18 };
    enum { BF16_TILES = 1 << 22, TILES = 1 << 24 };
    unsigned eax, ebx, ecx, edx = 0;

    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
    if ((edx & TILES) == 0 || (edx & BF16_TILES) == 0) return false;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif

/* __builtin_cpu_supports asks the operating system too: for the wide registers it reads xgetbv, and where ymm or zmm
 * are not saved at a task switch the feature counts as missing. */
static bool runs_here(enum cpu_level level)
{
    if (level == CPU_REF || level == CPU_PORTABLE) return true;
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return false;
    if (level == CPU_AVX2) return true;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return false;
    if (level == CPU_AVX512) return true;
    if (!__builtin_cpu_supports("avx512vnni")) return false;
    if (level == CPU_AVX512VNNI) return true;
    return __builtin_cpu_supports("avx512bf16") && has_tiles();
#else
    return false;
#endif
}

enum cpu_level cpu_level_best(void)
{
    int level = CPU_LEVEL_COUNT - 1;

    while (!runs_here((enum cpu_level)level)) level--;
    return (enum cpu_level)level;
}

const char *cpu_level_name(enum cpu_level level)
{
    return backends[level].level;
}

enum cpu_level cpu_level_of(const struct backend *b)
{
    return (enum cpu_level)(b - backends);
}

enum status cpu_backend(const char *level, const struct backend **b, struct err *e)
{
    char here[128] = "";
    size_t used = 0;

    *b = NULL;
    for (int i = 0; i < CPU_LEVEL_COUNT; i++) {
        if (!runs_here((enum cpu_level)i)) continue;
        if (level != NULL && strcmp(level, backends[i].level) == 0) *b = &backends[i];
        used += (size_t)snprintf(here + used, sizeof here - used, " %s", backends[i].level);
    }
    if (level == NULL || strcmp(level, "auto") == 0) *b = &backends[cpu_level_best()];
    if (*b != NULL) return STATUS_OK;
    return err_set(e, STATUS_UNSUPPORTED, "instruction level \"%s\" does not run here; this processor has:%s",
                   level, here);
}

int cpu_threads_default(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1) return 1;
    return CPU_COUNT(&set);
}
