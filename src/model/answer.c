/*
 * answer.c - what an answer points at: regions of its text, in pixels of the original image, with confidence; as JSON and as a
 * picture.
 */
#include "image/draw.h"
#include "model/public.h"
#include "model/session.h"
#include "text/grounding.h"
#include "text/stream.h"
#include "text/utf8.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

/* The public struct is the first member: what a user holds is the start of this. */
struct answer {
    sphinx_answer public;
    struct grounding grounding;
    struct arena arena;
};

/* 0.123f as the double 0.123, as the model wrote it. */
static double decimal(float x)
{
    return round((double)x * 1e6) / 1e6;
}

static struct img_point to_pixels(const struct img_square *square, double x, double y)
{
    struct img_point p = img_square_to_pixels(square, (struct img_point){ x, y });

    return img_square_clamp(square, p);
}

static int person_of(const struct grounding *g, size_t part)
{
    for (size_t i = 0; i < g->n_persons; i++) {
        for (int j = 0; j < GROUND_JOINT_COUNT; j++) {
            if (g->persons[i].joints[j] == (int32_t)part) return (int)i;
        }
    }
    return -1;
}

static const char *phrase_of(struct arena *a, const char *text, const struct ground_region *r)
{
    return arena_printf(a, "%.*s", (int)(r->phrase.end - r->phrase.begin), text + r->phrase.begin);
}

/* One box or point, which becomes the last of its list. */
static void locate_part(struct answer *a, const struct img_square *square, const struct ground_part *p,
                        const sphinx_region *region, double confidence, int person, sphinx_box *boxes,
                        sphinx_point *points)
{
    struct img_point from, to;
    double v[4];

    for (unsigned j = 0; j < 4; j++) v[j] = j < p->n_values ? decimal(p->values[j]) : 0;
    from = to_pixels(square, v[0], v[1]);
    to = to_pixels(square, v[2], v[3]);
    if (p->n_values == 4) {
        boxes[a->public.n_boxes++] = (sphinx_box){ region->label,
                                                   { from.x, from.y, to.x, to.y },
                                                   { v[0], v[1], v[2], v[3] },
                                                   confidence,
                                                   region->color };
    } else {
        points[a->public.n_points++] = (sphinx_point){ region->label, { from.x, from.y }, { v[0], v[1] },
                                                       confidence,    region->color,      person };
    }
}

/* Fractions of the square to regions, boxes and points in pixels. Without an image (square NULL) there are no pixels: all are left out. */
static enum status locate(struct answer *a, const struct img_square *square, const struct span *spans,
                          size_t n, struct err *e)
{
    const struct grounding *g = &a->grounding;
    sphinx_region *regions = arena_calloc(&a->arena, g->n_regions + 1, sizeof *regions);
    sphinx_box *boxes = arena_calloc(&a->arena, g->n_parts + 1, sizeof *boxes);
    sphinx_point *points = arena_calloc(&a->arena, g->n_parts + 1, sizeof *points);

    if (regions == NULL || boxes == NULL || points == NULL) return err_no_memory(e, "answer");
    a->public.regions = regions;
    a->public.boxes = boxes;
    a->public.points = points;
    a->public.malformed = g->n_malformed;
    for (size_t i = 0; i < g->n_regions && square != NULL; i++) {
        const struct ground_region *r = &g->regions[i];
        sphinx_region *out = &regions[a->public.n_regions++];

        *out = (sphinx_region){ .label = phrase_of(&a->arena, a->public.text, r),
                                .text = { r->whole.begin, r->whole.end },
                                .color = (int)r->color,
                                .box_first = a->public.n_boxes,
                                .point_first = a->public.n_points };
        if (out->label == NULL) return err_no_memory(e, "answer");
        for (size_t k = r->part_first; k < r->part_first + r->n_parts; k++) {
            double confidence =
                (double)grounding_confidence(&g->parts[k], spans, a->public.logprobs, n).joint;

            locate_part(a, square, &g->parts[k], out, confidence, person_of(g, k), boxes, points);
        }
        out->n_boxes = a->public.n_boxes - out->box_first;
        out->n_points = a->public.n_points - out->point_first;
    }
    return STATUS_OK;
}

static enum status add_timings(struct answer *a, const struct sphinx_session *s,
                               const struct answer_facts *facts, struct err *e)
{
    sphinx_timing *t = arena_calloc(&a->arena, ENCODER_COUNT + 5, sizeof *t);
    size_t n = 0;

    if (t == NULL) return err_no_memory(e, "answer");
    t[n++] = (sphinx_timing){ "load", s->model->seconds_load };
    if (s->seconds_encode > 0) {
        t[n++] = (sphinx_timing){ "encode", s->seconds_encode };
        for (enum encoder i = 0; i < ENCODER_COUNT; i++) {
            if (s->seconds_encoder[i] > 0)
                t[n++] = (sphinx_timing){ encoder_names[i], s->seconds_encoder[i] };
        }
    }
    if (s->seconds_image_cache > 0) t[n++] = (sphinx_timing){ "image_cache", s->seconds_image_cache };
    t[n++] = (sphinx_timing){ "prefill", facts->seconds_prefill };
    t[n++] = (sphinx_timing){ "decode", facts->seconds_decode };
    a->public.timings = t;
    a->public.n_timings = n;
    return STATUS_OK;
}

/* Copies text, ids and logprobs; spans receives where each token stands in the text. */
static enum status copy_tokens(struct answer *a, const struct stream *stream, const int32_t *ids,
                               const float *logprobs, size_t n, struct span **spans, struct err *e)
{
    char *text = arena_alloc(&a->arena, stream->size + 1);
    int32_t *tokens = arena_alloc(&a->arena, n * sizeof *tokens);
    float *probabilities = arena_alloc(&a->arena, n * sizeof *probabilities);
    sphinx_span *places = arena_alloc(&a->arena, n * sizeof *places);

    *spans = arena_alloc(&a->arena, n * sizeof **spans);
    if (text == NULL || tokens == NULL || probabilities == NULL || places == NULL || *spans == NULL)
        return err_no_memory(e, "answer");
    if (stream->size > 0) memcpy(text, stream->text, stream->size);
    text[stream->size] = '\0';
    for (size_t i = 0; i < n; i++) {
        tokens[i] = ids[i];
        probabilities[i] = logprobs[i];
        (*spans)[i] = stream_span(stream, i);
        places[i] = (sphinx_span){ (*spans)[i].begin, (*spans)[i].end };
    }
    a->public.text = text;
    a->public.tokens = tokens;
    a->public.logprobs = probabilities;
    a->public.spans = places;
    a->public.n_tokens = n;
    return STATUS_OK;
}

enum status answer_make(sphinx_answer **answer, const struct sphinx_session *s, const struct stream *stream,
                        const int32_t *ids, const float *logprobs, size_t n, const struct answer_facts *facts,
                        struct err *e)
{
    struct answer *a = calloc(1, sizeof *a);
    struct span *spans = NULL;
    enum status st;

    if (a == NULL) return err_no_memory(e, "answer");
    a->public.prompt_tokens = facts->prompt_tokens;
    a->public.image_tokens = facts->image_tokens;
    a->public.cached_tokens = facts->cached_tokens;
    a->public.dropped_turns = facts->dropped_turns;
    a->public.image_cached = s->words != NULL && s->image_cached;
    a->public.drafted_tokens = facts->drafted_tokens;
    a->public.accepted_tokens = facts->accepted_tokens;
    a->public.finish = facts->finish;
    st = copy_tokens(a, stream, ids, logprobs, n, &spans, e);
    if (st == STATUS_OK) st = grounding_parse(&a->grounding, a->public.text, stream->size, e);
    if (st == STATUS_OK) st = locate(a, s->words != NULL ? &s->square : NULL, spans, n, e);
    if (st == STATUS_OK) st = add_timings(a, s, facts, e);
    if (st != STATUS_OK) {
        sphinx_answer_free(&a->public);
        return st;
    }
    *answer = &a->public;
    return STATUS_OK;
}

static enum status read_text(struct answer *a, const struct image *im, const char *text, struct err *e)
{
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    enum status st = text_utf8_check("the answer", text, strlen(text), NULL, e);

    if (st != STATUS_OK) return st;
    a->public.text = arena_printf(&a->arena, "%s", text);
    if (a->public.text == NULL) return err_no_memory(e, "answer");
    st = grounding_parse(&a->grounding, a->public.text, strlen(text), e);
    return st == STATUS_OK ? locate(a, &square, NULL, 0, e) : st;
}

sphinx_status sphinx_answer_read(sphinx_answer **answer, const sphinx_image *image, const char *text,
                                 sphinx_error *error)
{
    struct answer *a = calloc(1, sizeof *a);
    struct err e = { 0 };
    enum status st = a != NULL ? read_text(a, &image->im, text, &e) : err_no_memory(&e, "answer");

    *answer = &a->public;
    if (st != STATUS_OK) {
        sphinx_answer_free(&a->public);
        *answer = NULL;
    }
    return public_status(st, &e, error);
}

void sphinx_answer_free(sphinx_answer *answer)
{
    struct answer *a = (struct answer *)answer;

    if (a == NULL) return;
    grounding_free(&a->grounding);
    arena_free(&a->arena);
    free(a);
}

/* ---- JSON ---------------------------------------------------------------------------------------------------- */

static json_t *numbers(const double *x, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_real(x[i]));
    return list;
}

static const char *finish_text(sphinx_finish f)
{
    return f == SPHINX_FINISH_STOP ? "stop" : f == SPHINX_FINISH_LENGTH ? "length" : "cancelled";
}

static json_t *box_json(const sphinx_box *b)
{
    return json_pack("{s:s, s:o, s:o, s:f, s:s}", "label", b->label, "box", numbers(b->box, 4), "square",
                     numbers(b->square, 4), "confidence", b->confidence, "color", img_color_names[b->color]);
}

static json_t *point_json(const sphinx_point *p)
{
    json_t *o =
        json_pack("{s:s, s:o, s:o, s:f, s:s}", "label", p->label, "point", numbers(p->point, 2), "square",
                  numbers(p->square, 2), "confidence", p->confidence, "color", img_color_names[p->color]);

    if (p->person >= 0) json_object_set_new(o, "person", json_integer(p->person));
    return o;
}

static void set_tokens(json_t *o, const sphinx_answer *a)
{
    json_t *ids = json_array(), *logprobs = json_array();

    for (size_t i = 0; i < a->n_tokens; i++) {
        json_array_append_new(ids, json_integer(a->tokens[i]));
        json_array_append_new(logprobs, json_real((double)a->logprobs[i]));
    }
    json_object_set_new(o, "tokens", ids);
    json_object_set_new(o, "logprobs", logprobs);
    json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)a->prompt_tokens));
    json_object_set_new(o, "image_tokens", json_integer((json_int_t)a->image_tokens));
    json_object_set_new(o, "cached_tokens", json_integer((json_int_t)a->cached_tokens));
    json_object_set_new(o, "image_cached", json_boolean(a->image_cached));
    json_object_set_new(o, "drafted_tokens", json_integer((json_int_t)a->drafted_tokens));
    json_object_set_new(o, "accepted_tokens", json_integer((json_int_t)a->accepted_tokens));
    json_object_set_new(o, "dropped_turns", json_integer((json_int_t)a->dropped_turns));
}

char *sphinx_answer_json(const sphinx_answer *a)
{
    enum { DIGITS = 7 };
    json_t *o = json_object(), *boxes = json_array(), *points = json_array(), *timings = json_object();
    char *text;

    json_object_set_new(o, "text", json_string(a->text));
    set_tokens(o, a);
    json_object_set_new(o, "finish_reason", json_string(finish_text(a->finish)));
    for (size_t i = 0; i < a->n_boxes; i++) json_array_append_new(boxes, box_json(&a->boxes[i]));
    for (size_t i = 0; i < a->n_points; i++) json_array_append_new(points, point_json(&a->points[i]));
    for (size_t i = 0; i < a->n_timings; i++) {
        json_object_set_new(timings, a->timings[i].stage, json_real(a->timings[i].seconds));
    }
    json_object_set_new(o, "boxes", boxes);
    json_object_set_new(o, "points", points);
    json_object_set_new(o, "malformed", json_integer((json_int_t)a->malformed));
    json_object_set_new(o, "timings", timings);
    text = json_dumps(o, JSON_REAL_PRECISION(DIGITS));
    json_decref(o);
    return text;
}

/* ---- picture ------------------------------------------------------------------------------------------------- */

/* Regions in upstream's drawing order: tagged from last to first, then bare from last to first. */
static size_t drawing_order(const struct grounding *g, const struct ground_region **order)
{
    size_t n = 0;

    for (int bare = 0; bare < 2; bare++) {
        for (size_t i = g->n_regions; i-- > 0;) {
            if (g->regions[i].tagged == (bare == 0)) order[n++] = &g->regions[i];
        }
    }
    return n;
}

static struct img_point pixels_of(const struct img_square *square, const float *v)
{
    return img_square_to_pixels(square, (struct img_point){ decimal(v[0]), decimal(v[1]) });
}

static struct img_box box_of(const struct img_square *square, const float *v)
{
    struct img_point from = pixels_of(square, v), to = pixels_of(square, v + 2);

    return (struct img_box){ from.x, from.y, to.x, to.y };
}

enum status answer_boxes(struct answer_box *boxes, const struct sphinx_session *s,
                         const sphinx_answer *answer, struct err *e)
{
    const struct grounding *g = &((const struct answer *)answer)->grounding;
    const struct ground_region **order = calloc(g->n_regions + 1, sizeof *order);
    size_t n_regions, n = 0;

    if (order == NULL) return err_no_memory(e, "boxes");
    n_regions = drawing_order(g, order);
    for (size_t i = 0; i < n_regions; i++) {
        for (size_t j = 0; j < order[i]->n_parts; j++) {
            const struct ground_part *p = &g->parts[order[i]->part_first + j];

            if (p->n_values == 4 && n < answer->n_boxes)
                boxes[n++] =
                    (struct answer_box){ box_of(&s->square, p->values), img_colors[order[i]->color] };
        }
    }
    free(order);
    assert(n == answer->n_boxes);
    return STATUS_OK;
}

/* One region as draw.h wants it. boxes and points have room for its parts. */
static struct img_region draw_region(const struct answer *a, const struct img_square *square,
                                     const struct ground_region *r, const char *label, struct img_box *boxes,
                                     struct img_point *points)
{
    struct img_region out = {
        .label = label, .color = img_colors[r->color], .boxes = boxes, .points = points
    };

    for (size_t i = 0; i < r->n_parts; i++) {
        const float *v = a->grounding.parts[r->part_first + i].values;

        if (a->grounding.parts[r->part_first + i].n_values == 2)
            points[out.n_points++] = pixels_of(square, v);
        else
            boxes[out.n_boxes++] = box_of(square, v);
    }
    return out;
}

static void draw_people(const struct answer *a, const struct img_square *square, struct img_person *people)
{
    const struct grounding *g = &a->grounding;

    for (size_t i = 0; i < g->n_persons; i++) {
        for (int j = 0; j < GROUND_JOINT_COUNT; j++) {
            int32_t part = g->persons[i].joints[j];

            people[i].present[j] = part >= 0;
            if (part < 0) continue;
            people[i].joints[j] = pixels_of(square, g->parts[part].values);
        }
    }
}

static enum status draw(struct image *im, const struct img_square *square, const struct answer *a,
                        bool labels, struct err *e)
{
    const struct grounding *g = &a->grounding;
    struct arena arena = { 0 };
    const struct ground_region **order = arena_calloc(&arena, g->n_regions + 1, sizeof *order);
    struct img_region *regions = arena_calloc(&arena, g->n_regions + 1, sizeof *regions);
    struct img_box *boxes = arena_calloc(&arena, g->n_parts + 1, sizeof *boxes);
    struct img_point *points = arena_calloc(&arena, g->n_parts + 1, sizeof *points);
    struct img_person *people = arena_calloc(&arena, g->n_persons + 1, sizeof *people);
    struct img_style style = { .labels = labels,
                               .scale = labels ? img_style_scale(im->width, im->height) : 1 };
    enum status st = STATUS_OK;
    size_t n;

    if (order == NULL || regions == NULL || boxes == NULL || points == NULL || people == NULL) {
        st = err_no_memory(e, "drawing");
    } else {
        n = drawing_order(g, order);
        for (size_t i = 0; i < n; i++) {
            const struct ground_region *r = order[i];

            regions[i] = draw_region(a, square, r, phrase_of(&arena, a->public.text, r),
                                     boxes + r->part_first, points + r->part_first);
        }
        draw_people(a, square, people);
        st = img_draw(im, regions, n, people, g->n_persons, &style, e);
    }
    arena_free(&arena);
    return st;
}

enum status session_copy_image(struct image *copy, const struct sphinx_session *s, struct err *e)
{
    if (s->image.rgb == NULL) return err_set(e, STATUS_BAD_ARGUMENT, "there is no image to draw on");
    return img_copy(copy, &s->image, e);
}

sphinx_status sphinx_answer_draw(const sphinx_session *s, const sphinx_answer *answer, const char *path,
                                 bool labels, sphinx_error *error)
{
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st = session_copy_image(&copy, s, &e);

    if (st == STATUS_OK) st = draw(&copy, &s->square, (const struct answer *)answer, labels, &e);
    if (st == STATUS_OK) st = img_png_write(&copy, path, &e);
    img_free(&copy);
    return public_status(st, &e, error);
}

sphinx_status sphinx_answer_png(const sphinx_image *image, const sphinx_answer *answer, bool labels,
                                unsigned char **png, size_t *size, sphinx_error *error)
{
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, image->im.width, image->im.height);
    struct image copy = { 0 };
    struct err e = { 0 };
    enum status st = img_copy(&copy, &image->im, &e);

    if (st == STATUS_OK) st = draw(&copy, &square, (const struct answer *)answer, labels, &e);
    if (st == STATUS_OK) st = img_png_encode_fast(&copy, png, size, &e);
    img_free(&copy);
    return public_status(st, &e, error);
}
