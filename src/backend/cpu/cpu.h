/*
 * cpu.h - the processor as a backend. One table per level; the best that the processor and the operating system
 * allow is chosen at run time, and any lower one can be forced.
 */
#ifndef SPHINX_BACKEND_CPU_CPU_H
#define SPHINX_BACKEND_CPU_CPU_H

#include "core/status.h"
#include "tensor/backend.h"

/* Lowest first. REF is the readable definition of every kernel, for tests; PORTABLE the same kernels as the faster levels,
 * built for the compiler's baseline.
 *
 *   AVX2        AVX2, FMA, F16C
 *   AVX512      and AVX-512 F, BW, VL, DQ
 *   AVX512VNNI  and AVX-512 VNNI: products of bytes
 *   AMX         and AVX-512 BF16, AMX-TILE, AMX-BF16: the matrix unit, for products of many rows. The operating system
 *               has to allow it to the process, which is asked for when the level is first looked at. */
enum cpu_level { CPU_REF, CPU_PORTABLE, CPU_AVX2, CPU_AVX512, CPU_AVX512VNNI, CPU_AMX, CPU_LEVEL_COUNT };

/* The highest level this processor runs and the operating system saves registers for. */
enum cpu_level cpu_level_best(void);
const char *cpu_level_name(enum cpu_level level);
/* Of a table that cpu_backend gave. */
enum cpu_level cpu_level_of(const struct backend *b);

/* By name, "auto" or NULL meaning the best. UNSUPPORTED, naming the levels that run here, when the name is unknown
 * or the processor lacks it. The table is constant and lives as long as the program. */
enum status cpu_backend(const char *level, const struct backend **b, struct err *e);

/* Processors this process may run on (its affinity mask): the default number of threads. */
int cpu_threads_default(void);

#endif
