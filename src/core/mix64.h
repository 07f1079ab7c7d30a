/*
 * mix64.h - numbers that look random and are the same everywhere: SplitMix64's output function (Steele, Lea, Flood 2014).
 */
#ifndef SPHINX_CORE_MIX64_H
#define SPHINX_CORE_MIX64_H

#include <stdint.h>

/* Of x = seed + i for i = 0, 1, ...: independent of each other for all that we do with them. */
static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Of a seed and a name: what is drawn for one name is independent of what is drawn for another. */
static inline uint64_t mix64_text(uint64_t seed, const char *text)
{
    for (; *text != '\0'; text++) seed = mix64(seed ^ (unsigned char)*text);
    return seed;
}

#endif
