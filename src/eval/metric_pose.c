/*
 * metric_pose.c - finding people's joints: COCO's average precision of key points, and the share of correct ones.
 *
 *   answer "<p>nose</p>[0.1,0.2;0.5,0.6] <p>left eye</p>[...] ..." ── text/grounding ── persons ── pixels ─┐
 *   record.objects, posed ─────────────────────────────────────────────────────────────────────────────────┴─ AP by OKS, PCK
 *
 * OKS, the object key point similarity, is the mean over the labelled joints of exp(-d^2 / (2 area (2 sigma)^2)) with COCO's sigmas. As
 * in a results file of COCO, a joint that the answer leaves out lies at (0, 0), a person's area is that of the box around all 17, and at
 * most 20 persons of an image count; they count in the order in which they were written. A person without labelled joints, or a crowd,
 * counts neither way.
 *
 * PCK@0.1: of all labelled joints, those found within a tenth of the longer side of their person's box. Persons of the answer, in their
 * order, take the person that is most alike (OKS) and not taken; joints of people whom nobody took are not found. An answer's score is
 * its PCK.
 */
#include "eval/answer_text.h"
#include "eval/average_precision.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"
#include "eval/padded_square.h"
#include "image/draw.h"
#include "text/grounding.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { PERSONS_MAX = 20, RESAMPLES = 200, RANGES = 3 };

static const struct ap_range ranges[RANGES] = { { 0, 1e10 }, { 32 * 32, 96 * 96 }, { 96 * 96, 1e10 } };

static const double sigmas[EVAL_JOINTS] = { .026, .025, .025, .035, .035, .079, .079, .072, .072,
                                            .062, .062, .107, .107, .087, .087, .089, .089 };

static enum status no_memory(struct err *e)
{
    return err_no_memory(e, "the poses of an answer");
}

/* ---- an answer's persons --------------------------------------------------------------------------------------- */

struct person {
    double joint[EVAL_JOINTS][2];
    bool seen[EVAL_JOINTS];
    double area;
};

struct scene {
    struct person *person; /* [n] */
    size_t n;
    double *alike; /* [n][n_objects] */
    bool malformed;
};

static struct person person_read(const struct grounding *g, const struct ground_person *p,
                                 const struct padded_square *q)
{
    struct person out = { 0 };
    double low[2] = { INFINITY, INFINITY }, high[2] = { -INFINITY, -INFINITY };

    for (int j = 0; j < EVAL_JOINTS; j++) {
        out.seen[j] = p->joints[j] >= 0;
        for (int k = 0; k < 2; k++) {
            if (out.seen[j])
                out.joint[j][k] =
                    (double)g->parts[p->joints[j]].values[k] * q->side - (k == 0 ? q->dx : q->dy);
            low[k] = fmin(low[k], out.joint[j][k]);
            high[k] = fmax(high[k], out.joint[j][k]);
        }
    }
    out.area = (high[0] - low[0]) * (high[1] - low[1]);
    return out;
}

static bool labelled(const struct record_object *o, int joint)
{
    return o->posed && o->joint[joint][2] > 0;
}

static int n_labelled(const struct record_object *o)
{
    int n = 0;

    for (int j = 0; j < EVAL_JOINTS; j++) n += labelled(o, j);
    return n;
}

/* How far x is outside of low - size .. low + 2 size. */
static double outside(double x, double low, double size)
{
    return fmax(0, low - size - x) + fmax(0, x - (low + 2 * size));
}

/* Of a person without labelled joints the joints should lie about its box. */
static double oks(const struct person *p, const struct record_object *o)
{
    int n = n_labelled(o);
    double sum = 0, w = o->box[2] - o->box[0], h = o->box[3] - o->box[1];

    for (int j = 0; j < EVAL_JOINTS; j++) {
        double dx = p->joint[j][0] - o->joint[j][0], dy = p->joint[j][1] - o->joint[j][1];
        double variance = (sigmas[j] * 2) * (sigmas[j] * 2);

        if (n > 0 && !labelled(o, j)) continue;
        if (n == 0) {
            dx = outside(p->joint[j][0], o->box[0], w);
            dy = outside(p->joint[j][1], o->box[1], h);
        }
        sum += exp(-((dx * dx + dy * dy) / variance / (o->area + DBL_EPSILON) / 2));
    }
    return sum / (n > 0 ? n : EVAL_JOINTS);
}

static enum status scene_read(struct scene *s, const struct record *r, const char *answer, struct arena *a,
                              struct err *e)
{
    const char *text = ans_clean(answer, a);
    struct padded_square q = padded_square_of(r);
    struct grounding g;
    enum status st;

    *s = (struct scene){ 0 };
    if (text == NULL) return no_memory(e);
    st = grounding_parse(&g, text, strlen(text), e);
    if (st != STATUS_OK) return st;
    s->n = g.n_persons < PERSONS_MAX ? g.n_persons : PERSONS_MAX;
    s->malformed = g.n_malformed > 0 || (s->n == 0 && r->n_objects > 0);
    s->person = arena_calloc(a, s->n + 1, sizeof *s->person);
    s->alike = arena_calloc(a, s->n * r->n_objects + 1, sizeof *s->alike);
    for (size_t i = 0; i < s->n && s->person != NULL; i++) s->person[i] = person_read(&g, &g.persons[i], &q);
    grounding_free(&g);
    if (s->person == NULL || s->alike == NULL) return no_memory(e);
    for (size_t i = 0; i < s->n; i++)
        for (size_t o = 0; o < r->n_objects; o++)
            s->alike[i * r->n_objects + o] = oks(&s->person[i], &r->objects[o]);
    return STATUS_OK;
}

static enum status add_scene(struct ap *p, uint32_t image, const struct scene *s, const struct record *r,
                             struct arena *a, struct err *e)
{
    struct ap_truth *truth = arena_calloc(a, r->n_objects + 1, sizeof *truth);
    struct ap_found found[PERSONS_MAX];

    if (truth == NULL) return no_memory(e);
    for (size_t i = 0; i < r->n_objects; i++) {
        const struct record_object *o = &r->objects[i];

        truth[i] = (struct ap_truth){ o->area, o->crowd, o->crowd || n_labelled(o) == 0 };
    }
    for (size_t i = 0; i < s->n; i++) found[i] = (struct ap_found){ -(double)i, s->person[i].area };
    return ap_add(p, 0, image, truth, r->n_objects, found, s->n, s->alike, e);
}

/* ---- the share of correct joints ------------------------------------------------------------------------------- */

struct correct {
    uint32_t n[EVAL_JOINTS], right[EVAL_JOINTS];
};

static bool near(const struct person *p, const struct record_object *o, int joint)
{
    double w = o->box[2] - o->box[0], h = o->box[3] - o->box[1];
    double d = hypot(p->joint[joint][0] - o->joint[joint][0], p->joint[joint][1] - o->joint[joint][1]);

    return p->seen[joint] && d <= 0.1 * fmax(w, h);
}

static enum status count_correct(struct correct *c, const struct scene *s, const struct record *r,
                                 struct arena *a, struct err *e)
{
    bool *taken = arena_calloc(a, r->n_objects + 1, sizeof *taken);

    *c = (struct correct){ 0 };
    if (taken == NULL) return no_memory(e);
    for (size_t o = 0; o < r->n_objects; o++) {
        taken[o] = r->objects[o].crowd || n_labelled(&r->objects[o]) == 0; /* nobody's */
        for (int j = 0; j < EVAL_JOINTS; j++) c->n[j] += !taken[o] && labelled(&r->objects[o], j);
    }
    for (size_t i = 0; i < s->n; i++) {
        const double *alike = s->alike + i * r->n_objects;
        size_t best = r->n_objects;

        for (size_t o = 0; o < r->n_objects; o++)
            if (!taken[o] && alike[o] > (best < r->n_objects ? alike[best] : 0)) best = o;
        if (best == r->n_objects) continue;
        taken[best] = true;
        for (int j = 0; j < EVAL_JOINTS; j++)
            c->right[j] += labelled(&r->objects[best], j) && near(&s->person[i], &r->objects[best], j);
    }
    return STATUS_OK;
}

static double share(const struct correct *c, size_t n, const uint32_t *count, int first, int last)
{
    double right = 0, all = 0;

    for (size_t i = 0; i < n; i++) {
        for (int j = first; j <= last; j++) {
            right += (count != NULL ? count[i] : 1.0) * c[i].right[j];
            all += (count != NULL ? count[i] : 1.0) * c[i].n[j];
        }
    }
    return right / all;
}

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    struct scene s;
    struct correct c;
    enum status st = scene_read(&s, r, answer, a, e);

    (void)b;
    if (st == STATUS_OK) st = count_correct(&c, &s, r, a, e);
    if (st != STATUS_OK) return st;
    arena_reset(a, mark); /* before what is kept */
    *v = (struct verdict){ .score = share(&c, 1, NULL, 0, EVAL_JOINTS - 1),
                           .malformed = s.malformed,
                           .taken = arena_printf(a, "%zu persons", s.n) };
    if (isnan(v->score)) v->score = s.n == 0; /* nothing was to be found */
    return v->taken != NULL ? STATUS_OK : no_memory(e);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

enum { RESAMPLED = 4 };

struct poses {
    struct ap ap;
    struct correct *correct; /* [n] */
    size_t n;
};

static void statistics(void *user, const uint32_t *count, double *figure)
{
    struct poses *p = user;

    ap_mean_precision(&p->ap, 0, count, figure);
    figure[3] = 100 * share(p->correct, p->n, count, 0, EVAL_JOINTS - 1);
}

static enum status figures_of(struct sum *s, struct poses *p)
{
    static const char *const names[] = { "AP", "AP50", "AP75", "PCK", "AP medium", "AP large", "AR" };
    static const struct interval none = { NAN, NAN };
    struct interval range[RESAMPLED];
    double value[7], part[3];
    enum status st =
        interval_bootstrap(range, RESAMPLED, s->n, NULL, RESAMPLES, statistics, p, s->arena, s->err);

    statistics(p, NULL, value);
    for (size_t i = 1; i < RANGES; i++) {
        ap_mean_precision(&p->ap, i, NULL, part);
        value[RESAMPLED - 1 + i] = part[0];
    }
    value[6] = ap_mean_recall(&p->ap);
    for (size_t i = 0; i < 3; i++) range[i] = interval_around(value[i], range[i]);
    for (size_t i = 0; i < 7 && st == STATUS_OK; i++)
        st = sum_figure(s, names[i], value[i], i < RESAMPLED ? range[i] : none, s->n);
    for (int j = 0; j < EVAL_JOINTS && st == STATUS_OK; j++) {
        const char *name = arena_printf(s->arena, "joint: %s", img_joint_names[j]);
        size_t n = 0, right = 0;
        struct interval wilson;

        if (name == NULL) return no_memory(s->err);
        for (size_t i = 0; i < p->n; i++) {
            n += p->correct[i].n[j];
            right += p->correct[i].right[j];
        }
        wilson = interval_share((double)right, n);
        st = sum_figure(s, name, 100 * share(p->correct, p->n, NULL, j, j),
                        (struct interval){ 100 * wilson.low, 100 * wilson.high }, n);
    }
    return st;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct poses p = { .n = n };
    struct sum s;
    struct arena scratch = { 0 };
    struct arena_mark mark = arena_mark(&scratch);
    enum status st = ap_begin(&p.ap, ranges, RANGES, 1, a, e);

    (void)b;
    sum_begin(&s, f, answered, n, a, e);
    if (st != STATUS_OK) return st;
    p.correct = arena_calloc(a, n + 1, sizeof *p.correct);
    if (p.correct == NULL) return no_memory(e);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        struct scene scene;

        st = scene_read(&scene, answered[i].record, answered[i].answer, &scratch, e);
        if (st == STATUS_OK) st = add_scene(&p.ap, (uint32_t)i, &scene, answered[i].record, &scratch, e);
        if (st == STATUS_OK) st = count_correct(&p.correct[i], &scene, answered[i].record, &scratch, e);
        arena_reset(&scratch, mark);
    }
    arena_free(&scratch);
    return st == STATUS_OK ? figures_of(&s, &p) : st;
}

const struct metric metric_pose = { .name = "pose", .unit = "%", .judge = judge, .sum_up = sum_up };
