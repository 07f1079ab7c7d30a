/* nearest.c - see nearest.h. */
#include "core/nearest.h"

#include <string.h>

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * How many letters must be changed, added, dropped or swapped with their neighbour to turn a into b (optimal string
 * alignment). d[i][j] is the distance of a's first i from b's first j letters; three rows of it are kept.
 */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][NEAREST_WORD_MAX + 1];

    for (size_t i = 0; i <= na; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            if (i == 0) {
                now[j] = j;
                continue;
            }
            now[j] = min(min(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

void nearest_offer(struct nearest *n, const char *word)
{
    size_t n_wanted = strlen(n->wanted), n_word = strlen(word), distance, allowed = 1 + n_wanted / 4;

    if (n_wanted > NEAREST_WORD_MAX || n_word > NEAREST_WORD_MAX) return;
    distance = edit_distance(n->wanted, n_wanted, word, n_word);
    /* A word of which hardly a letter is left was not meant. */
    if (distance > allowed || distance + 1 >= n_word) return;
    if (n->word[0] != '\0' && distance >= n->distance) return;
    memcpy(n->word, word, n_word + 1);
    n->distance = distance;
}
