/* answer_json.c - see answer_json.h. */
#include "serve/answer_json.h"

#include <nettle/base64.h>
#include <string.h>

#include "image/draw.h"
#include "text/utf8.h"

static json_t *count(size_t n)
{
    return json_integer((json_int_t)n);
}

const char *finish_name(const sphinx_answer *a)
{
    return a->finish == SPHINX_FINISH_LENGTH ? "length" : "stop";
}

json_t *usage_json(const sphinx_answer *a)
{
    size_t prompt = a->prompt_tokens + a->image_tokens;

    return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}}", "prompt_tokens", count(prompt), "completion_tokens",
                     count(a->n_tokens), "total_tokens", count(prompt + a->n_tokens), "prompt_tokens_details",
                     "cached_tokens", count(a->cached_tokens), "image_tokens", count(a->image_tokens));
}

/* ---- regions --------------------------------------------------------------------------------------------------- */

static json_t *numbers(const double *x, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_real(x[i]));
    return list;
}

static json_t *confidence_json(double confidence, bool sure)
{
    return sure ? json_real(confidence) : json_null();
}

static json_t *box_json(const sphinx_box *b, bool sure)
{
    return json_pack("{s:o, s:o, s:o}", "square", numbers(b->square, 4), "box", numbers(b->box, 4),
                     "confidence", confidence_json(b->confidence, sure));
}

/* COCO's spelling of a joint: "left eye" to "left_eye". */
static json_t *joint_json(const char *label)
{
    char name[32];
    size_t n = 0;

    for (; label[n] != '\0' && n < sizeof name - 1; n++) name[n] = label[n] == ' ' ? '_' : label[n];
    name[n] = '\0';
    return json_string(name);
}

static json_t *point_json(const sphinx_point *p, bool sure)
{
    json_t *o = json_pack("{s:o, s:o, s:o}", "square", numbers(p->square, 2), "point", numbers(p->point, 2),
                          "confidence", confidence_json(p->confidence, sure));

    if (p->person >= 0) {
        json_object_set_new(o, "person", json_integer(p->person));
        json_object_set_new(o, "joint", joint_json(p->label));
    }
    return o;
}

/* Characters, and halves of UTF-16, that the first bytes of a text are. */
struct length {
    size_t bytes, characters, utf16;
};

/* On to `bytes`, which is not before where l is. */
static void measure(struct length *l, const char *text, size_t bytes)
{
    while (l->bytes < bytes) {
        uint32_t code = 0;
        size_t n;

        utf8_next(text + l->bytes, bytes - l->bytes, &n, &code);
        l->bytes += n;
        l->characters++;
        l->utf16 += code > 0xffff ? 2 : 1;
    }
}

static json_t *region_json(const sphinx_answer *a, const sphinx_region *r, bool sure, struct length *at)
{
    json_t *o = json_pack("{s:s, s:s}", "phrase", r->label, "color", img_color_names[r->color]);
    json_t *boxes = json_array(), *points = json_array();

    measure(at, a->text, r->text.begin);
    json_object_set_new(o, "start", count(at->characters));
    json_object_set_new(o, "start_utf16", count(at->utf16));
    measure(at, a->text, r->text.end);
    json_object_set_new(o, "end", count(at->characters));
    json_object_set_new(o, "end_utf16", count(at->utf16));
    for (size_t i = 0; i < r->n_boxes; i++)
        json_array_append_new(boxes, box_json(&a->boxes[r->box_first + i], sure));
    for (size_t i = 0; i < r->n_points; i++)
        json_array_append_new(points, point_json(&a->points[r->point_first + i], sure));
    json_object_set_new(o, "boxes", boxes);
    json_object_set_new(o, "points", points);
    return o;
}

json_t *regions_json(const sphinx_answer *a, bool sure)
{
    struct length at = { 0 };
    json_t *list = json_array();

    for (size_t i = 0; i < a->n_regions; i++)
        json_array_append_new(list, region_json(a, &a->regions[i], sure, &at));
    return list;
}

/* ---- what is ours ---------------------------------------------------------------------------------------------- */

static json_t *image_json(const sphinx_answer *a, const sphinx_image *image)
{
    int width, height;

    if (image == NULL) return json_null();
    sphinx_image_size(image, &width, &height);
    return json_pack("{s:i, s:i, s:b}", "width", width, "height", height, "cached", (int)a->image_cached);
}

static json_t *timings_json(const sphinx_answer *a, double seconds_queue)
{
    json_t *o = json_pack("{s:f}", "queue", seconds_queue);

    for (size_t i = 0; i < a->n_timings; i++)
        if (strcmp(a->timings[i].stage, "load") != 0)
            json_object_set_new(o, a->timings[i].stage, json_real(a->timings[i].seconds));
    return o;
}

json_t *sphinx_json(const sphinx_answer *a, const sphinx_image *image, double seconds_queue)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "regions", regions_json(a, true), "malformed",
                     count(a->malformed), "dropped_turns", count(a->dropped_turns), "image",
                     image_json(a, image), "timings", timings_json(a, seconds_queue));
}

json_t *progress_json(const struct ticket_progress *p)
{
    json_t *o = json_pack("{s:s, s:I, s:I}", "stage", p->stage, "done", (json_int_t)p->done, "total",
                          (json_int_t)p->total);

    if (p->part[0] != '\0') json_object_set_new(o, "part", json_string(p->part));
    return json_pack("{s:o}", "progress", o);
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

/* A part of a character is shown as U+FFFD; its bytes are told too. */
static json_t *token_json(const sphinx_model *model, const sphinx_candidate *c)
{
    enum { LOGPROB_MIN = -9999 }; /* as others write what is impossible: JSON has no infinity */
    char *text = NULL, *shown;
    size_t size = 0, n;
    json_t *o, *bytes;

    if (sphinx_token_text(model, c->id, &text, &size, NULL) != SPHINX_OK) return NULL;
    shown = malloc(UTF8_REPLACEMENT_SIZE * size + 1);
    n = shown != NULL ? utf8_repair(text, size, shown) : 0;
    o = json_pack("{s:o, s:f}", "token", json_stringn(shown != NULL ? shown : "", n), "logprob",
                  c->logprob >= LOGPROB_MIN ? (double)c->logprob : (double)LOGPROB_MIN);
    bytes = json_array();
    for (size_t i = 0; i < size; i++) json_array_append_new(bytes, json_integer((unsigned char)text[i]));
    json_object_set_new(o, "bytes", bytes);
    free(shown);
    sphinx_free(text);
    return o;
}

json_t *logprobs_json(const sphinx_model *model, const struct ticket_token *tokens, size_t n,
                      const sphinx_span *spans)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *o, *top;

        if (spans != NULL && spans[i].begin == spans[i].end) continue;
        o = token_json(model, &tokens[i].token);
        top = json_array();
        for (int k = 0; k < tokens[i].n_top; k++)
            json_array_append_new(top, token_json(model, &tokens[i].top[k]));
        json_object_set_new(o, "top_logprobs", top);
        json_array_append_new(list, o);
    }
    return json_pack("{s:o}", "content", list);
}

/* A token's text, as token_json has it, and its log-probability, into {text: logprob}. */
static void set_token(json_t *o, const sphinx_model *model, const sphinx_candidate *c)
{
    json_t *token = token_json(model, c);

    json_object_set(o, json_string_value(json_object_get(token, "token")), json_object_get(token, "logprob"));
    json_decref(token);
}

json_t *text_logprobs_json(const sphinx_model *model, const struct ticket_token *tokens, size_t n,
                           const sphinx_span *spans)
{
    json_t *texts = json_array(), *logprobs = json_array(), *tops = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *token, *top = json_object();

        if (spans != NULL && spans[i].begin == spans[i].end) {
            json_decref(top);
            continue;
        }
        token = token_json(model, &tokens[i].token);
        for (int k = 0; k < tokens[i].n_top; k++) set_token(top, model, &tokens[i].top[k]);
        json_array_append(texts, json_object_get(token, "token"));
        json_array_append(logprobs, json_object_get(token, "logprob"));
        json_array_append_new(tops, top);
        json_decref(token);
    }
    return json_pack("{s:o, s:o, s:o}", "tokens", texts, "token_logprobs", logprobs, "top_logprobs", tops);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

json_t *png_json(const unsigned char *png, size_t size)
{
    static const char head[] = "data:image/png;base64,";
    size_t n = sizeof head - 1;
    char *text = malloc(n + BASE64_ENCODE_RAW_LENGTH(size));
    json_t *o;

    if (text == NULL) return NULL;
    memcpy(text, head, n);
    base64_encode_raw(text + n, size, png);
    o = json_stringn(text, n + BASE64_ENCODE_RAW_LENGTH(size));
    free(text);
    return o;
}
