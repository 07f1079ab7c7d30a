/* mask_rle.c - see mask_rle.h. */
#include "segment/mask_rle.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { GROUP_BITS = 5, GROUP_MORE = 1 << GROUP_BITS };

struct writer {
    char *text; /* NULL: only measured */
    size_t length;
    int64_t before[2]; /* the last two counts */
    size_t n;
};

static void put(struct writer *w, int64_t count)
{
    int64_t x = w->n > 2 ? count - w->before[0] : count;
    bool more = true;

    while (more) {
        int group = (int)(x & (GROUP_MORE - 1));

        x >>= GROUP_BITS;
        more = (group & (GROUP_MORE >> 1)) != 0 ? x != -1 : x != 0;
        if (w->text != NULL) w->text[w->length] = (char)('0' + group + (more ? GROUP_MORE : 0));
        w->length++;
    }
    w->before[0] = w->before[1];
    w->before[1] = count;
    w->n++;
}

/* Returns how many numbers are set. */
static size_t walk(struct writer *w, const float *logits, int width, int height)
{
    size_t area = 0;
    int64_t run = 0;
    bool set = false;

    for (int x = 0; x < width; x++) {
        for (int y = 0; y < height; y++, run++) {
            bool here = logits[(size_t)y * (size_t)width + (size_t)x] > 0;

            area += here;
            if (here == set) continue;
            put(w, run);
            run = 0;
            set = here;
        }
    }
    put(w, run);
    return area;
}

enum status mask_rle_text(const float *logits, int width, int height, char **text, size_t *area,
                          struct err *e)
{
    struct writer w = { .text = NULL };
    size_t n = walk(&w, logits, width, height);

    *text = malloc(w.length + 1);
    if (*text == NULL) return err_no_memory(e, "a mask's text");
    w = (struct writer){ .text = *text };
    walk(&w, logits, width, height);
    (*text)[w.length] = '\0';
    if (area != NULL) *area = n;
    return STATUS_OK;
}
