/*
 * metric_box.c - referring expressions: is the box that the answer names the right one? Right is an intersection over union of at
 * least one half.
 *
 *   answer    "[0.10,0.20,0.30,0.40]" ── fractions of the padded square ── times max(W, H) ─┐
 *   reference pixels of the image ── moved by the padding ──────────────────────────────────┴─ IoU, float32
 *
 * The box is what stands between the first "[" and the next "]" of a line; without such a pair, what stands before the first "]". Anything
 * but four numbers with commas between is malformed and a miss; so are two boxes ("[a;b]"), and a box of no area (spec 11
 * section 5.5). The arithmetic is float32 as upstream's, so that boxes at exactly one half fall on the same side.
 */
#include "eval/answer_text.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"
#include "eval/padded_square.h"

#include <math.h>
#include <string.h>

/* What stands in the first bracket. */
static const char *bracket(const char *answer, size_t *n)
{
    const char *end;

    for (const char *open = answer; (open = strchr(open, '[')) != NULL; open++) {
        *n = strcspn(open + 1, "]\n");
        if (open[1 + *n] == ']') return open + 1;
        open += *n; /* a bracket before the end of this line meets that end, too */
    }
    end = strchr(answer, ']');
    *n = end != NULL ? (size_t)(end - answer) : strlen(answer);
    return answer;
}

static bool box_read(const char *text, size_t n, float box[4])
{
    const char *end = text + n;

    for (int i = 0; i < 4; i++) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        double value;

        if ((comma == NULL) != (i == 3)) return false;
        if (!ans_number(text, (size_t)((comma != NULL ? comma : end) - text), &value)) return false;
        box[i] = (float)value;
        if (!isfinite(box[i])) return false;
        if (comma != NULL) text = comma + 1;
    }
    return true;
}

static float area(const float b[4])
{
    return (b[2] - b[0]) * (b[3] - b[1]);
}

static float overlap(const float p[4], const float t[4])
{
    float w = fminf(p[2], t[2]) - fmaxf(p[0], t[0]), h = fminf(p[3], t[3]) - fmaxf(p[1], t[1]);
    float inside = fmaxf(w, 0) * fmaxf(h, 0);

    if (!(p[2] > p[0] && p[3] > p[1])) return 0;
    return inside / (area(p) + area(t) - inside);
}

/* p: fractions of the padded square. */
static double iou(const struct record *r, const float p[4])
{
    struct padded_square q = padded_square_of(r);
    float box[4], truth[4];

    for (int i = 0; i < 4; i++) {
        box[i] = p[i] * (float)q.side;
        truth[i] = (float)(r->box[i] + (i % 2 == 0 ? q.dx : q.dy));
    }
    return (double)overlap(box, truth);
}

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a), *text;
    float box[4];
    size_t n;

    (void)b;
    if (clean == NULL) return err_no_memory(e, "the score of an answer");
    text = bracket(clean, &n);
    if (!r->has_box || !box_read(text, n, box)) {
        *v = (struct verdict){ .malformed = true, .taken = "" };
        return STATUS_OK;
    }
    /* The score is the IoU, so that answers can be sorted by it; right or wrong is decided from it in sum_up. */
    *v = (struct verdict){ .score = iou(r, box),
                           .taken = arena_printf(a, "%g,%g,%g,%g", (double)box[0], (double)box[1],
                                                 (double)box[2], (double)box[3]) };
    return v->taken != NULL ? STATUS_OK : err_no_memory(e, "the score of an answer");
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s;
    double *overlaps, *right;
    enum status st;

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    overlaps = sum_scores(&s);
    right = sum_scores(&s);
    if (overlaps == NULL || right == NULL) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++) right[i] = overlaps[i] >= 0.5;
    st = sum_mean(&s, "accuracy", right, n, 100);
    if (st == STATUS_OK) st = sum_mean(&s, "mean IoU", overlaps, n, 100);
    return st == STATUS_OK ? sum_by(&s, "category", offsetof(struct record, category), right) : st;
}

const struct metric metric_box = { .name = "box", .unit = "%", .judge = judge, .sum_up = sum_up };
