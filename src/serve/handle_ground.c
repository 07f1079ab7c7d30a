/*
 * handle_ground.c - /v1/ground: what an answer points at in an image, as numbers and as a picture. The answer is generated, or given.
 */
#include <stdlib.h>
#include <string.h>

#include "serve/answer_json.h"
#include "serve/await.h"
#include "serve/handlers.h"
#include "serve/masks.h"
#include "serve/reply.h"

struct ground {
    struct inquiry inquiry;
    char *answer; /* given; NULL: to be generated */
    bool picture, labels, masks;
    bool of_masks; /* the picture */
};

/* ---- the request ----------------------------------------------------------------------------------------------- */

static bool read_wishes(struct ground *g, const struct exchange *x, const json_t *body, struct problem *p)
{
    const char *picture = NULL;

    if (!field_bool(body, "masks", &g->masks, p) || !field_bool(body, "labels", &g->labels, p) ||
        !field_text(body, "picture", &picture, p))
        return false;
    if (picture != NULL && strcmp(picture, "boxes") != 0 && strcmp(picture, "masks") != 0)
        return problem_set(p, 400, "picture", NULL, "picture must be \"boxes\" or \"masks\"");
    g->picture = picture != NULL;
    g->of_masks = g->picture && strcmp(picture, "masks") == 0;
    if ((!g->masks && !g->of_masks) || x->server->segmenting != NULL) return true;
    return problem_set(p, 501, g->masks ? "masks" : "picture", "no_segmenter",
                       "this server has no segmenter: masks need --sam");
}

static bool read_texts(struct ground *g, const json_t *body, struct problem *p)
{
    const char *prompt = NULL, *answer = NULL;

    if (!field_text(body, "prompt", &prompt, p) || !field_text(body, "answer", &answer, p)) return false;
    if ((prompt != NULL) == (answer != NULL))
        return problem_set(p, 400, "prompt", NULL, "either prompt or answer is needed");
    g->inquiry.question = strdup(prompt != NULL ? prompt : "");
    if (answer != NULL) g->answer = strdup(answer);
    return (g->inquiry.question != NULL && (answer == NULL || g->answer != NULL)) || problem_no_memory(p);
}

static bool read_request(struct ground *g, const struct exchange *x, struct problem *p)
{
    json_t *o = json_body(x->body, x->size, p);
    bool ok = o != NULL && read_wishes(g, x, o, p) &&
              request_sampling(&g->inquiry, o, &x->server->rules, p) && read_texts(g, o, p) &&
              request_system(&g->inquiry, &x->server->rules, p) &&
              request_image(&g->inquiry, json_object_get(o, "image"), "image", &x->server->rules, p);

    json_decref(o);
    return ok;
}

/* ---- the reply ------------------------------------------------------------------------------------------------- */

static bool add_picture(json_t *o, const struct ground *g, const sphinx_image *image, const sphinx_answer *a,
                        const struct masks *m, struct problem *p)
{
    sphinx_error error = { 0 };
    unsigned char *png = NULL;
    size_t size = 0;

    if (g->of_masks)
        sphinx_masks_png(image, a, m->item, &png, &size, &error);
    else
        sphinx_answer_png(image, a, g->labels, &png, &size, &error);
    if (error.code != SPHINX_OK) return problem_of(p, &error, "picture", NULL);
    json_object_set_new(o, "picture", png_json(png, size));
    sphinx_free(png);
    return true;
}

/* What was wished for besides numbers. */
static bool add_wishes(json_t *o, struct exchange *x, const struct ground *g, const sphinx_image *image,
                       const sphinx_answer *a, struct problem *p)
{
    struct masks m = { 0 };
    bool ok = (!g->masks && !g->of_masks) || masks_make(&m, x, image, a, p);

    if (ok && g->masks) json_object_set_new(o, "masks", masks_json(&m, a));
    if (ok && g->picture) ok = add_picture(o, g, image, a, &m, p);
    masks_free(&m);
    return ok;
}

static bool make_reply(struct exchange *x, const struct ground *g, const sphinx_image *image,
                       const sphinx_answer *a, struct problem *p)
{
    bool generated = g->answer == NULL, ok;
    int width, height;
    json_t *o;

    sphinx_image_size(image, &width, &height);
    o = json_pack("{s:s, s:s, s:s, s:s?, s:i, s:i, s:o, s:I, s:o}", "object", "grounding", "model",
                  x->server->model_name, "answer", a->text, "finish_reason",
                  generated ? finish_name(a) : NULL, "width", width, "height", height, "regions",
                  regions_json(a, generated), "malformed", (json_int_t)a->malformed, "usage", usage_json(a));
    ok = add_wishes(o, x, g, image, a, p);
    if (ok)
        reply_json(x, 200, o);
    else
        json_decref(o);
    return ok;
}

static bool ground_given(struct exchange *x, const struct ground *g, struct problem *p)
{
    sphinx_error error = { 0 };
    sphinx_answer *a;
    bool ok;

    if (sphinx_answer_read(&a, g->inquiry.image, g->answer, &error) != SPHINX_OK)
        return problem_of(p, &error, "answer", NULL);
    ok = make_reply(x, g, g->inquiry.image, a, p);
    sphinx_answer_free(a);
    return ok;
}

static bool ground_generated(struct exchange *x, struct ground *g, struct problem *p)
{
    return await_begin(x, &g->inquiry, p) && await_answer(x, p) &&
           make_reply(x, g, x->ticket->inquiry.image, x->ticket->answer, p);
}

void handle_ground(struct exchange *x)
{
    struct ground g = { 0 };
    struct problem p = { 0 };
    bool ok;

    await_parse_begin(x);
    ok = read_request(&g, x, &p);
    await_parse_end(x);
    if (ok) ok = g.answer != NULL ? ground_given(x, &g, &p) : ground_generated(x, &g, &p);
    if (!ok) reply_problem(x, &p);
    inquiry_free(&g.inquiry);
    free(g.answer);
}
