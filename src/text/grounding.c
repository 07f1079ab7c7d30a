/*
 * grounding.c - see grounding.h.
 *
 * One pass over the text finds regions; a tagged one takes back the bare lists that stood inside its phrase.
 * A second pass over the regions gives colors, a third puts key points together to persons. Nothing recurses
 * and no byte is looked at more than a few times, so hostile answers cost no more than long ones.
 */
#include "text/grounding.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE_MAX ((size_t)1 << 30)

/* Models write 1.000 at the border and now and then a little more. */
#define VALUE_MAX 1.05

/* Digits of a number that are looked at: more do not change a float. */
#define DIGITS_MAX 15

/* As COCO orders them. text/ and image/ know nothing of each other, so img_joint_names says the same;
 * test_grounding holds the two together. */
static const char *const joint_names[GROUND_JOINT_COUNT] = {
    "nose",           "left_eye",   "right_eye",   "left_ear",   "right_ear",   "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip",      "left_knee",  "right_knee",  "left_ankle", "right_ankle",
};

/* ---- growing lists ------------------------------------------------------------------------------------- */

static bool grow(void **items, size_t *capacity, size_t wanted, size_t item_size)
{
    size_t n = *capacity == 0 ? 8 : *capacity;
    void *grown;

    if (wanted <= *capacity) return true;
    while (n < wanted) n *= 2;
    grown = realloc(*items, n * item_size);
    if (grown == NULL) return false;
    *items = grown;
    *capacity = n;
    return true;
}

static struct ground_region *region_add(struct grounding *g)
{
    void *items = g->regions;

    if (!grow(&items, &g->regions_capacity, g->n_regions + 1, sizeof *g->regions)) return NULL;
    g->regions = items;
    return &g->regions[g->n_regions++];
}

static struct ground_part *part_add(struct grounding *g)
{
    void *items = g->parts;

    if (!grow(&items, &g->parts_capacity, g->n_parts + 1, sizeof *g->parts)) return NULL;
    g->parts = items;
    return &g->parts[g->n_parts++];
}

static bool persons_reach(struct grounding *g, size_t n)
{
    void *items = g->persons;
    size_t joint;

    if (!grow(&items, &g->persons_capacity, n, sizeof *g->persons)) return false;
    g->persons = items;
    for (; g->n_persons < n; g->n_persons++)
        for (joint = 0; joint < GROUND_JOINT_COUNT; joint++) g->persons[g->n_persons].joints[joint] = -1;
    return true;
}

/* ---- lists --------------------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The end of the list that begins at text[at] == '[', or at itself if it is none. *looked is how far it had
 * to look to know: no list begins before there. */
static size_t list_end(const char *text, size_t size, size_t at, size_t *looked)
{
    size_t i = at + 1;

    while (i < size &&
           (is_digit(text[i]) || is_space(text[i]) || text[i] == '.' || text[i] == ',' || text[i] == ';'))
        i++;
    *looked = i;
    return i < size && text[i] == ']' ? i + 1 : at;
}

/* Reads the number at text[at]; returns its end, or at if none begins there. */
static size_t number_read(const char *text, size_t end, size_t at, double *value)
{
    double mantissa = 0.0, scale = 1.0;
    size_t i = at, n_digits = 0;
    bool fraction = false;

    if (!is_digit(text[at]) && !(text[at] == '.' && at + 1 < end && is_digit(text[at + 1]))) return at;
    for (; i < end && (is_digit(text[i]) || (text[i] == '.' && !fraction)); i++) {
        if (text[i] == '.') {
            fraction = true;
            continue;
        }
        if (fraction && n_digits >= DIGITS_MAX) continue;
        if (mantissa > 0.0 || text[i] != '0') n_digits++;
        mantissa =
            mantissa * 10.0 + (text[i] - '0'); /* too many whole digits end at infinity, above VALUE_MAX */
        if (fraction) scale *= 10.0;
    }
    *value = mantissa / scale;
    return i;
}

static void swap_values(struct ground_part *p, unsigned a, unsigned b)
{
    float value = p->values[a];
    struct span number = p->numbers[a];

    p->values[a] = p->values[b];
    p->numbers[a] = p->numbers[b];
    p->values[b] = value;
    p->numbers[b] = number;
}

/* Reads the part text[at .. end) and keeps it if it is a box or a point. *n_numbers is what it held. */
static bool part_read(struct grounding *g, const char *text, size_t at, size_t end, size_t *n_numbers)
{
    struct ground_part p = { .region = g->n_regions - 1 }, *kept;
    size_t n = 0;
    bool in_range = true;

    while (at < end) {
        double value;
        size_t next = number_read(text, end, at, &value);

        if (next == at) {
            at++;
            continue;
        }
        if (!(value <= VALUE_MAX)) in_range = false;
        if (n < 4 && in_range) {
            p.values[n] = (float)value;
            p.numbers[n] = (struct span){ at, next };
        }
        n++;
        at = next;
    }
    *n_numbers = n;
    if (!in_range || (n != 2 && n != 4)) return true;
    p.n_values = (unsigned)n;
    if (n == 4 && p.values[2] < p.values[0]) swap_values(&p, 0, 2);
    if (n == 4 && p.values[3] < p.values[1]) swap_values(&p, 1, 3);
    kept = part_add(g);
    if (kept == NULL) return false;
    *kept = p;
    return true;
}

/* Reads the parts of the last region's list. Without any the region is taken back. False: out of memory. */
static bool list_read(struct grounding *g, const char *text)
{
    struct ground_region *r = &g->regions[g->n_regions - 1];
    size_t at = r->list.begin + 1, close = r->list.end - 1;
    bool malformed = false;

    r->part_first = g->n_parts;
    while (at <= close) {
        size_t end = at, before = g->n_parts, n_numbers;

        while (end < close && text[end] != ';') end++;
        if (!part_read(g, text, at, end, &n_numbers)) return false;
        if (g->n_parts == before && n_numbers > 0) malformed = true;
        at = end + 1;
    }
    r->n_parts = g->n_parts - r->part_first;
    if (malformed || r->n_parts == 0) g->n_malformed++;
    if (r->n_parts == 0) g->n_regions--;
    return true;
}

/* ---- regions ------------------------------------------------------------------------------------------- */

/* An open <p>, and how much had been found when it came. */
struct tag {
    bool open;
    size_t at;
    size_t n_regions, n_parts, n_malformed;
};

static bool begins_with(const char *text, size_t size, size_t at, const char *word)
{
    size_t n = strlen(word);

    return n <= size - at && memcmp(text + at, word, n) == 0;
}

static bool region_read(struct grounding *g, const char *text, struct ground_region found)
{
    struct ground_region *r = region_add(g);

    if (r == NULL) return false;
    *r = found;
    return list_read(g, text);
}

/* At "</p>" behind an open tag: takes the list that follows, if one does. Returns where to go on, 0 if out of
 * memory. */
static size_t tag_close(struct grounding *g, const char *text, size_t size, size_t at, const struct tag *tag)
{
    size_t list = at + strlen("</p>"), end, looked;
    struct ground_region found = { .tagged = true, .phrase = { tag->at + strlen("<p>"), at } };

    while (list < size && is_space(text[list])) list++;
    if (list == size || text[list] != '[') return list;
    end = list_end(text, size, list, &looked);
    if (end == list) return looked;
    g->n_regions = tag->n_regions; /* what looked like bare lists was part of the phrase */
    g->n_parts = tag->n_parts;
    g->n_malformed = tag->n_malformed;
    found.list = (struct span){ list, end };
    found.whole = (struct span){ tag->at, end };
    return region_read(g, text, found) ? end : 0;
}

static bool regions_find(struct grounding *g, const char *text, size_t size)
{
    struct tag tag = { 0 };
    size_t at = 0;

    while (at < size) {
        if (text[at] == '\n') tag.open = false;
        if (text[at] == '<' && begins_with(text, size, at, "<p>")) {
            tag = (struct tag){ true, at, g->n_regions, g->n_parts, g->n_malformed };
            at += strlen("<p>");
        } else if (text[at] == '<' && tag.open && begins_with(text, size, at, "</p>")) {
            tag.open = false;
            at = tag_close(g, text, size, at, &tag);
            if (at == 0) return false;
        } else if (text[at] == '[') {
            size_t looked, end = list_end(text, size, at, &looked);
            struct ground_region found = { .list = { at, end }, .whole = { at, end }, .phrase = { at, at } };

            if (end > at && !region_read(g, text, found)) return false;
            if (memchr(text + at, '\n', looked - at) != NULL) tag.open = false;
            at = end > at ? end : looked;
        } else {
            at++;
        }
    }
    return true;
}

static void colors_set(struct grounding *g)
{
    unsigned color = 0;
    size_t pass, i;

    for (pass = 0; pass < 2; pass++) {
        for (i = g->n_regions; i-- > 0;) {
            if (g->regions[i].tagged != (pass == 0)) continue;
            g->regions[i].color = color;
            color = (color + 1) % GROUND_COLOR_COUNT;
        }
    }
}

/* ---- persons ------------------------------------------------------------------------------------------- */

/* The joint that the phrase names, -1 if none. */
static int joint_find(const char *text, struct span phrase)
{
    size_t n = phrase.end - phrase.begin, i;
    int joint;

    for (joint = 0; joint < GROUND_JOINT_COUNT; joint++) {
        const char *name = joint_names[joint];

        if (strlen(name) != n) continue;
        for (i = 0; i < n; i++) {
            char c = text[phrase.begin + i];

            if ((c == ' ' ? '_' : c) != name[i]) break;
        }
        if (i == n) return joint;
    }
    return -1;
}

/* *current only grows, and the persons that have a joint before it are passed once: linear in the points. */
static bool persons_find(struct grounding *g, const char *text)
{
    size_t current = 0, i, k;

    for (i = 0; i < g->n_regions; i++) {
        const struct ground_region *r = &g->regions[i];
        int joint = r->tagged ? joint_find(text, r->phrase) : -1;
        size_t person = current;
        bool first = true;

        if (joint < 0) continue;
        for (k = r->part_first; k < r->part_first + r->n_parts; k++) {
            if (g->parts[k].n_values != 2) continue;
            while (person < g->n_persons && g->persons[person].joints[joint] >= 0) person++;
            if (!persons_reach(g, person + 1)) return false;
            g->persons[person].joints[joint] = (int32_t)k;
            if (first) current = person;
            first = false;
        }
    }
    return true;
}

enum status grounding_parse(struct grounding *g, const char *text, size_t size, struct err *e)
{
    *g = (struct grounding){ 0 };
    if (size > TEXT_SIZE_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT, "an answer of %zu bytes is too long to look for boxes", size);
    if (!regions_find(g, text, size) || !persons_find(g, text)) {
        grounding_free(g);
        return err_no_memory(e, "the boxes of the answer");
    }
    colors_set(g);
    return STATUS_OK;
}

void grounding_free(struct grounding *g)
{
    free(g->regions);
    free(g->parts);
    free(g->persons);
    *g = (struct grounding){ 0 };
}

/* ---- confidence ---------------------------------------------------------------------------------------- */

static bool touches_number(const struct ground_part *part, struct span span)
{
    unsigned i;

    for (i = 0; i < part->n_values; i++)
        if (span.begin < part->numbers[i].end && part->numbers[i].begin < span.end) return true;
    return false;
}

struct ground_confidence grounding_confidence(const struct ground_part *part, const struct span *spans,
                                              const float *logprobs, size_t n_tokens)
{
    struct ground_confidence c = { 0 };
    struct span whole = part->numbers[0];
    size_t lo = 0, hi = n_tokens, i;
    double sum = 0.0, least = 0.0;

    for (i = 1; i < part->n_values; i++) { /* swapped corners are not in reading order */
        if (part->numbers[i].begin < whole.begin) whole.begin = part->numbers[i].begin;
        if (part->numbers[i].end > whole.end) whole.end = part->numbers[i].end;
    }
    while (lo < hi) { /* the first token that ends inside or behind the part */
        size_t mid = lo + (hi - lo) / 2;

        if (spans[mid].end <= whole.begin)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (i = lo; i < n_tokens && spans[i].begin < whole.end; i++) {
        if (!touches_number(part, spans[i])) continue;
        sum += (double)logprobs[i];
        if (c.n_tokens == 0 || (double)logprobs[i] < least) least = (double)logprobs[i];
        c.n_tokens++;
    }
    if (c.n_tokens == 0) return c;
    c.joint = (float)exp(sum);
    c.mean = (float)exp(sum / (double)c.n_tokens);
    c.least = (float)exp(least);
    return c;
}

/* ---- boxes in questions -------------------------------------------------------------------------------- */

#define VALUE_SIZE 5 /* "0.123" */

/* The library's rounding without the library's locale, whose decimal point may be a comma. */
static void value_write(char *out, float value)
{
    char digits[64];
    int n = snprintf(digits, sizeof digits, "%.3f", (double)value);

    out[0] = digits[0];
    out[1] = '.';
    memcpy(out + 2, digits + n - 3, 3);
}

enum status grounding_format(const float (*boxes)[4], size_t n_boxes, char **text, struct err *e)
{
    size_t i, k, at = 0;
    char *out;

    assert(n_boxes >= 1);
    *text = NULL;
    out = malloc(n_boxes * 4 * (VALUE_SIZE + 1) + 2);
    if (out == NULL) return err_no_memory(e, "a box list");
    for (i = 0; i < n_boxes; i++) {
        for (k = 0; k < 4; k++) {
            float v = boxes[i][k];

            if (isnan(v)) {
                free(out);
                return err_set(e, STATUS_BAD_ARGUMENT, "coordinate %zu of box %zu is not a number", k + 1,
                               i + 1);
            }
            out[at++] = k > 0 ? ',' : i > 0 ? ';' : '[';
            value_write(out + at, v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v);
            at += VALUE_SIZE;
        }
    }
    out[at++] = ']';
    out[at] = '\0';
    *text = out;
    return STATUS_OK;
}
