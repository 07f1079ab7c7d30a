/* cpu.c - see cpu.h. Which levels run here, and the table of each. */
#include "backend/cpu/cpu.h"

#include "backend/cpu/ref/ref.h"

#include <sched.h>
#include <string.h>

/* A table names its kernels one by one, each once: the plain ones, and the level's own. */
#define PLAIN_ENTRY(kernel) .kernel = ref_##kernel,
#define BACKEND(level_name, entries)                                                                         \
    {                                                                                                        \
        .name = "cpu", .level = level_name, KERNELS_PLAIN(PLAIN_ENTRY) entries                               \
    }

static const struct backend backends[CPU_LEVEL_COUNT] = {
    [CPU_REF] = BACKEND("ref", ),
    [CPU_PORTABLE] = BACKEND("portable", ),
};

/* __builtin_cpu_supports reads cpuid and, for the wide registers, xgetbv: a processor whose operating system does
 * not save ymm or zmm registers counts as lacking them. */
static bool runs_here(enum cpu_level level)
{
    (void)level;
    return true;
}

enum cpu_level cpu_level_best(void)
{
    return runs_here(CPU_PORTABLE) ? CPU_PORTABLE : CPU_REF;
}

const char *cpu_level_name(enum cpu_level level)
{
    return backends[level].level;
}

enum status cpu_backend(const char *level, const struct backend **b, struct err *e)
{
    *b = &backends[cpu_level_best()];
    if (level == NULL || strcmp(level, "auto") == 0) return STATUS_OK;
    for (int i = 0; i < CPU_LEVEL_COUNT; i++) {
        if (backends[i].level == NULL || strcmp(level, backends[i].level) != 0) continue;
        *b = &backends[i];
        return STATUS_OK;
    }
    return err_set(e, STATUS_UNSUPPORTED, "no level");
}

int cpu_threads_default(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1) return 1;
    return CPU_COUNT(&set);
}
