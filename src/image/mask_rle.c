/* mask_rle.c - see mask_rle.h. Columns are read a few at a time: the numbers of one row that share a cache line. */
#include "image/mask_rle.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { GROUP_BITS = 5, GROUP_MORE = 1 << GROUP_BITS, COUNT_GROUPS = 13, STRIP = 16 };

struct writer {
    char *text;
    size_t length, capacity;
    int64_t before[2]; /* the last two counts */
    size_t n;
};

/* False: no memory. */
static bool put(struct writer *w, int64_t count)
{
    int64_t x = w->n > 2 ? count - w->before[0] : count;
    bool more = true;

    if (w->capacity - w->length < COUNT_GROUPS + 1) { /* one for the end */
        size_t capacity = 2 * w->capacity + 1024;
        char *text = realloc(w->text, capacity);

        if (text == NULL) return false;
        w->text = text;
        w->capacity = capacity;
    }
    while (more) {
        int group = (int)(x & (GROUP_MORE - 1));

        x >>= GROUP_BITS;
        more = (group & (GROUP_MORE >> 1)) != 0 ? x != -1 : x != 0;
        w->text[w->length++] = (char)('0' + group + (more ? GROUP_MORE : 0));
    }
    w->before[0] = w->before[1];
    w->before[1] = count;
    w->n++;
    return true;
}

/* strip [STRIP, height] is room for columns. */
static bool walk(struct writer *w, const float *logits, int width, int height, bool *strip, size_t *area)
{
    bool set = false, ok = true;
    int64_t run = 0;

    for (int x0 = 0; x0 < width && ok; x0 += STRIP) {
        int n = width - x0 < STRIP ? width - x0 : STRIP;

        for (size_t y = 0; y < (size_t)height; y++) {
            const float *row = logits + y * (size_t)width + x0;

            for (int j = 0; j < n; j++) strip[(size_t)j * (size_t)height + y] = row[j] > 0;
        }
        for (size_t i = 0; i < (size_t)n * (size_t)height && ok; i++, run++) {
            *area += strip[i];
            if (strip[i] == set) continue;
            ok = put(w, run);
            run = 0;
            set = strip[i];
        }
    }
    return ok && put(w, run);
}

enum status mask_rle_text(const float *logits, int width, int height, char **text, size_t *area,
                          struct err *e)
{
    bool *strip = malloc(STRIP * (size_t)height * sizeof *strip);
    struct writer w = { .text = NULL };

    *area = 0;
    if (strip == NULL || !walk(&w, logits, width, height, strip, area)) {
        free(strip);
        free(w.text);
        return err_no_memory(e, "a mask's text");
    }
    free(strip);
    w.text[w.length] = '\0';
    *text = w.text;
    return STATUS_OK;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* The next number of the text, which goes on behind it. False: there is none, or it is larger than any picture. */
static bool take(const char **text, int64_t *x)
{
    unsigned shift = 0;
    int group;

    *x = 0;
    do {
        if (**text < '0' || **text >= '0' + 2 * GROUP_MORE || shift >= COUNT_GROUPS * GROUP_BITS - GROUP_BITS)
            return false;
        group = *(*text)++ - '0';
        *x |= (int64_t)(group & (GROUP_MORE - 1)) << shift;
        shift += GROUP_BITS;
    } while ((group & GROUP_MORE) != 0);
    if ((group & (GROUP_MORE >> 1)) != 0) *x -= (int64_t)1 << shift;
    return true;
}

enum status mask_rle_read(unsigned char *mask, int width, int height, const char *text, struct err *e)
{
    const int64_t all = (int64_t)width * height;
    int64_t before[2] = { 0, 0 }, at = 0, x;
    unsigned char set = 0;

    for (size_t n = 0; *text != '\0'; n++, set = !set) {
        if (!take(&text, &x) || x > all || x < -all)
            return err_set(e, STATUS_BAD_FORMAT, "a mask's run %zu is no number of pixels", n + 1);
        if (n > 2) x += before[0];
        if (x < 0 || x > all - at)
            return err_set(e, STATUS_BAD_FORMAT, "a mask's runs go beyond its %d x %d pixels", width, height);
        before[0] = before[1];
        before[1] = x;
        for (; x > 0; x--, at++) mask[(size_t)(at % height) * (size_t)width + (size_t)(at / height)] = set;
    }
    if (at == all) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "a mask's runs end before its %d x %d pixels", width, height);
}
