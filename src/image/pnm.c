/*
 * pnm.c - the portable bitmap family: P1 P4 bilevel, P2 P5 grey, P3 P6 color; the first three in decimal,
 * the others binary.
 *
 *   "P6" width height maxval one-space bytes     (white space and # comments between; no maxval in P1 and P4)
 *
 * Samples become round(v / maxval * 255), halves to even, as Pillow rounds them. Samples of more than 255
 * levels have two bytes, the high one first.
 */
#include <math.h>
#include <string.h>

#include "image/decoder.h"

enum { DIGITS_MAX = 10 };

struct pnm {
    const struct img_source *source;
    size_t position;
    int kind; /* 1..6, the digit after P */
    unsigned maxval;
};

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum status pnm_truncated(const struct pnm *p, struct err *e)
{
    return err_set(e, STATUS_BAD_FORMAT, "%s: the P%d image is truncated", p->source->name, p->kind);
}

/* Passes white space and comments, which run to the end of their line. */
static void blanks_skip(struct pnm *p)
{
    const struct img_source *s = p->source;

    while (p->position < s->size) {
        if (s->data[p->position] == '#') {
            while (p->position < s->size && s->data[p->position] != '\n' && s->data[p->position] != '\r')
                p->position++;
        } else if (is_space(s->data[p->position])) {
            p->position++;
        } else {
            return;
        }
    }
}

static enum status number_read(struct pnm *p, int64_t *value, struct err *e)
{
    const struct img_source *s = p->source;
    int digits = 0;

    blanks_skip(p);
    if (p->position == s->size) return pnm_truncated(p, e);
    *value = 0;
    while (p->position < s->size && s->data[p->position] >= '0' && s->data[p->position] <= '9' &&
           digits < DIGITS_MAX) {
        *value = *value * 10 + (s->data[p->position++] - '0');
        digits++;
    }
    if (digits == 0 || digits == DIGITS_MAX) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: the P%d image has no number of 1 to %d digits at byte %zu",
                       s->name, p->kind, DIGITS_MAX - 1, p->position - (size_t)digits);
    }
    return STATUS_OK;
}

static enum status header_read(struct pnm *p, int64_t *width, int64_t *height, struct err *e)
{
    int64_t maxval = 1;
    enum status st;

    p->kind = p->source->data[1] - '0';
    p->position = 2;
    st = number_read(p, width, e);
    if (st == STATUS_OK) st = number_read(p, height, e);
    if (st == STATUS_OK && p->kind != 1 && p->kind != 4) st = number_read(p, &maxval, e);
    if (st != STATUS_OK) return st;
    if (maxval < 1 || maxval > 65535) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: the P%d image has a maximum value of %lld, where 1 to 65535 is possible",
                       p->source->name, p->kind, (long long)maxval);
    }
    p->maxval = (unsigned)maxval;
    return STATUS_OK;
}

static unsigned char sample_scale(const struct pnm *p, int64_t v)
{
    if (v >= p->maxval) return 255;
    return p->maxval == 255 ? (unsigned char)v : (unsigned char)lrint((double)v / p->maxval * 255);
}

/* Grey or color values into the image; one value is spread over the pixel, three make it. */
static void sample_store(const struct pnm *p, struct image *im, size_t i, unsigned char v)
{
    if (p->kind == 3 || p->kind == 6)
        im->rgb[i] = v;
    else
        memset(im->rgb + 3 * i, v, 3);
}

static enum status bits_read(struct pnm *p, struct image *im, struct err *e)
{
    const struct img_source *s = p->source;
    size_t stride = ((size_t)im->width + 7) / 8;

    if ((s->size - p->position) / stride < (size_t)im->height) return pnm_truncated(p, e);
    for (size_t y = 0; y < (size_t)im->height; y++) {
        const unsigned char *row = s->data + p->position + y * stride;

        for (size_t x = 0; x < (size_t)im->width; x++) {
            bool black = (row[x / 8] >> (7 - x % 8) & 1) != 0;

            sample_store(p, im, y * (size_t)im->width + x, black ? 0 : 255);
        }
    }
    return STATUS_OK;
}

static enum status bytes_read(struct pnm *p, struct image *im, size_t count, struct err *e)
{
    const unsigned char *in = p->source->data + p->position;
    size_t sample_size = p->maxval > 255 ? 2 : 1;

    if ((p->source->size - p->position) / sample_size < count) return pnm_truncated(p, e);
    for (size_t i = 0; i < count; i++) {
        sample_store(p, im, i, sample_scale(p, sample_size == 2 ? img_be16(in + 2 * i) : in[i]));
    }
    return STATUS_OK;
}

static enum status decimals_read(struct pnm *p, struct image *im, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int64_t v;
        enum status st = number_read(p, &v, e);

        if (st != STATUS_OK) return st;
        if (v > p->maxval) {
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: the P%d image has a value of %lld over its maximum of %u", p->source->name,
                           p->kind, (long long)v, p->maxval);
        }
        sample_store(p, im, i, sample_scale(p, v));
    }
    return STATUS_OK;
}

/* P1: single digits, 1 is black, with or without space between. */
static enum status digits_read(struct pnm *p, struct image *im, size_t count, struct err *e)
{
    const struct img_source *s = p->source;

    for (size_t i = 0; i < count; i++) {
        blanks_skip(p);
        if (p->position == s->size) return pnm_truncated(p, e);
        if (s->data[p->position] != '0' && s->data[p->position] != '1') {
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: the P1 image has something other than 0 and 1 at byte %zu", s->name,
                           p->position);
        }
        sample_store(p, im, i, s->data[p->position++] == '1' ? 0 : 255);
    }
    return STATUS_OK;
}

enum status img_pnm_decode(struct image *im, const struct img_source *s, struct err *e)
{
    struct pnm p = { .source = s };
    int64_t width, height;
    enum status st;
    size_t count;

    st = header_read(&p, &width, &height, e);
    if (st == STATUS_OK) st = img_allocate(im, s, width, height, e);
    if (st != STATUS_OK) return st;
    count = (size_t)im->width * (size_t)im->height * (p.kind == 3 || p.kind == 6 ? 3 : 1);
    if (p.kind == 1) return digits_read(&p, im, count, e);
    if (p.kind <= 3) return decimals_read(&p, im, count, e);
    if (p.position == s->size || !is_space(s->data[p.position])) return pnm_truncated(&p, e);
    p.position++; /* exactly one: the next byte may look like white space and be a pixel */
    return p.kind == 4 ? bits_read(&p, im, e) : bytes_read(&p, im, count, e);
}
