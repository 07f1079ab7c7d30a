/* mapping.c - see mapping.h. */
#include "eval/mapping.h"

#include <math.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

const char mapping_keys[] =
    "id image question hint category kind group context width height answers answers_are choices box "
    "box_is image_data";

enum { PLACES_MAX = 8, DIGITS_MAX = 32, KEY_MAX = 64 };

/* ---- checking -------------------------------------------------------------------------------------------------- */

static enum status check_template_text(const char *key, const char *text, struct err *e)
{
    int n = 0;

    for (const char *p = text; (p = strchr(p, '{')) != NULL;) {
        const char *end = strchr(p, '}');

        if (end == NULL || end - p > KEY_MAX || ++n > PLACES_MAX)
            return err_set(e, STATUS_BAD_FORMAT,
                           "\"%s\": \"%.80s\" has an open brace, a name of more than %d letters, or more "
                           "than %d places",
                           key, text, KEY_MAX, PLACES_MAX);
        p = end;
    }
    return STATUS_OK;
}

static enum status check_template(const json_t *options, const char *key, struct err *e)
{
    const json_t *value = json_object_get(options, key),
                 *of = json_is_object(value) ? json_object_get(value, "of") : value;
    const char *inner;
    json_t *text;

    if (value == NULL) return STATUS_OK;
    if (!json_is_string(of))
        return err_set(e, STATUS_BAD_FORMAT,
                       "\"%s\" must be a template, or an object with one under \"of\", not %s", key,
                       json_kind(value));
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, inner, text)
        {
            if (!json_is_string(text) ||
                (strcmp(inner, "of") != 0 && strcmp(inner, "after") != 0 && strcmp(inner, "before") != 0))
                return err_set(e, STATUS_BAD_FORMAT,
                               "\"%s\": want texts \"of\", \"after\", \"before\", not \"%.40s\": %s", key,
                               inner, json_kind(text));
        }
    }
    return check_template_text(key, json_string_value(of), e);
}

static enum status check_keys(const json_t *options, const char *key, struct err *e)
{
    const json_t *value = json_object_get(options, key);
    size_t n = json_is_array(value) ? json_array_size(value) : 0;

    if (value == NULL || json_is_string(value)) return STATUS_OK;
    if (n == 0 || n > EVAL_CHOICES_MAX)
        return err_set(e, STATUS_BAD_FORMAT, "\"%s\" must be a key or a list of at most %d keys, not %s", key,
                       EVAL_CHOICES_MAX, json_kind(value));
    for (size_t i = 0; i < n; i++)
        if (!json_is_string(json_array_get(value, i)))
            return err_set(e, STATUS_BAD_FORMAT, "\"%s\" must be a list of keys, but holds %s", key,
                           json_kind(json_array_get(value, i)));
    return STATUS_OK;
}

/* One of two words; the first is what is meant where there is none. */
static enum status check_word(const json_t *options, const char *key, const char *one, const char *other,
                              struct err *e)
{
    const json_t *value = json_object_get(options, key);
    const char *text = json_string_value(value);

    if (value == NULL || (text != NULL && (strcmp(text, one) == 0 || strcmp(text, other) == 0)))
        return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "\"%s\" must be \"%s\" or \"%s\"", key, one, other);
}

static enum status check_key(const json_t *options, const char *key, struct err *e)
{
    const json_t *value = json_object_get(options, key);

    if (value == NULL || json_is_string(value)) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "\"%s\" must be a key, not %s", key, json_kind(value));
}

enum status mapping_check(const json_t *options, struct err *e)
{
    static const char *const templates[] = { "id",   "image", "question", "hint",  "category",
                                             "kind", "group", "context",  "width", "height" };
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < sizeof templates / sizeof *templates; i++)
        st = check_template(options, templates[i], e);
    if (st == STATUS_OK) st = check_keys(options, "answers", e);
    if (st == STATUS_OK) st = check_keys(options, "choices", e);
    if (st == STATUS_OK) st = check_key(options, "box", e);
    if (st == STATUS_OK) st = check_key(options, "image_data", e);
    if (st == STATUS_OK && !json_is_object(json_object_get(options, "answers_are")))
        st = check_word(options, "answers_are", "texts", "indices", e);
    if (st == STATUS_OK) st = check_word(options, "box_is", "corners", "corner and size", e);
    return st;
}

enum status mapping_check_only(const json_t *only, struct err *e)
{
    const char *key;
    json_t *value;

    if (only == NULL) return STATUS_OK;
    if (!json_is_object(only))
        return err_set(e, STATUS_BAD_FORMAT, "\"only\" must be an object, not %s", json_kind(only));
    json_object_foreach((json_t *)(uintptr_t)only, key, value)
    {
        bool fine = json_is_boolean(value) || json_is_string(value) || json_is_array(value);

        for (size_t i = 0; i < json_array_size(value); i++)
            fine = fine && json_is_string(json_array_get(value, i));
        if (!fine)
            return err_set(e, STATUS_BAD_FORMAT,
                           "\"only\": \"%.40s\" must be a text, a list of texts, true or false", key);
    }
    return STATUS_OK;
}

/* ---- templates ------------------------------------------------------------------------------------------------- */

/* A list in a template: its texts with commas between. */
static enum status join_texts(const struct row *row, const char *key, struct arena *a, const char **text,
                              struct err *e)
{
    const char *const *part;
    size_t n, size = 1;
    enum status st = row_texts(row, key, a, &part, &n, e);
    char *to;

    *text = NULL;
    if (st != STATUS_OK || n == 0) return st;
    for (size_t i = 0; i < n; i++) size += strlen(part[i]) + 1;
    *text = to = arena_alloc(a, size);
    if (to == NULL) return err_no_memory(e, "an annotation");
    for (size_t i = 0; i < n; i++) {
        if (i > 0) *to++ = ',';
        to = stpcpy(to, part[i]);
    }
    return STATUS_OK;
}

/* What stands for {key} or {key:012}; NULL nothing. `place` is what is between the braces. */
static enum status fill_place(const char *place, size_t n, const struct row *row, struct arena *a,
                              const char **text, struct err *e)
{
    char key[KEY_MAX + 1], *colon;
    enum status st;

    memcpy(key, place, n); /* n < KEY_MAX: mapping_check */
    key[n] = '\0';
    colon = strchr(key, ':');
    if (colon != NULL) *colon = '\0';
    if (strcmp(key, "@") == 0) {
        *text = row->name;
        return STATUS_OK;
    }
    st =
        json_is_array(row_find(row, key)) ? join_texts(row, key, a, text, e) : row_text(row, key, a, text, e);
    if (st != STATUS_OK || *text == NULL || colon == NULL) return st;
    long digits = strtol(colon + 1, NULL, 10);
    size_t length = strlen(*text);

    if (digits > 0 && digits <= DIGITS_MAX && length < (size_t)digits) {
        char zeros[DIGITS_MAX + 1];

        memset(zeros, '0', sizeof zeros);
        *text = arena_printf(a, "%.*s%s", (int)((size_t)digits - length), zeros, *text);
        if (*text == NULL) return err_no_memory(e, "an annotation");
    }
    return STATUS_OK;
}

static enum status fill_template(const char *template, bool empty_fine, const struct row *row,
                                 struct arena *a, const char **text, struct err *e)
{
    const char *part[2 * PLACES_MAX + 1];
    size_t length[2 * PLACES_MAX + 1], n = 0, size = 1;
    char *to;

    *text = NULL;
    for (const char *p = template;;) {
        const char *open = strchr(p, '{'), *close = open != NULL ? strchr(open, '}') : NULL;
        enum status st;

        part[n] = p;
        length[n++] = close != NULL ? (size_t)(open - p) : strlen(p);
        if (close == NULL) break;
        st = fill_place(open + 1, (size_t)(close - open - 1), row, a, &part[n], e);
        if (st != STATUS_OK || part[n] == NULL || (part[n][0] == '\0' && !empty_fine)) return st;
        length[n] = strlen(part[n]);
        n++;
        p = close + 1;
    }
    if (n == 3 && length[0] == 0 && length[2] == 0) { /* "{key}", which most are */
        *text = part[1];
        return STATUS_OK;
    }
    for (size_t i = 0; i < n; i++) size += length[i];
    *text = to = arena_alloc(a, size);
    if (to == NULL) return err_no_memory(e, "an annotation");
    for (size_t i = 0; i < n; i++) to = mempcpy(to, part[i], length[i]);
    *to = '\0';
    return STATUS_OK;
}

/* Where a mark is not in the text, nothing is cut there. */
static const char *cut(const json_t *part, const char *text, struct arena *a)
{
    const char *after = json_string_value(json_object_get(part, "after"));
    const char *before = json_string_value(json_object_get(part, "before"));
    const char *from = after != NULL ? strstr(text, after) : NULL, *to;

    if (from != NULL) text = from + strlen(after);
    to = before != NULL ? strstr(text, before) : NULL;
    return to != NULL ? arena_printf(a, "%.*s", (int)(to - text), text) : text;
}

enum status mapping_text(const json_t *template, const struct row *row, struct arena *a, const char **text,
                         struct err *e)
{
    const json_t *of = json_is_object(template) ? json_object_get(template, "of") : template;
    enum status st = fill_template(json_string_value(of), false, row, a, text, e);

    if (st != STATUS_OK || *text == NULL || of == template) return st;
    *text = cut(template, *text, a);
    if (*text == NULL) return err_no_memory(e, "an annotation");
    if (*text[0] == '\0') *text = NULL;
    return STATUS_OK;
}

/* ---- fields ---------------------------------------------------------------------------------------------------- */

struct fill {
    const json_t *options;
    const struct row *row;
    struct arena *arena;
    struct record *record;
    struct err *err;
};

/* Those which a record must have where the mapping names them. Questions and ids may be empty: some of MMMU's questions are pictures alone. */
static enum status fill_needed(const struct fill *f, const char *key, const char **field)
{
    const json_t *template = json_object_get(f->options, key);
    const char *whole =
                   json_string_value(json_is_object(template) ? json_object_get(template, "of") : template),
               *text;
    bool empty_fine = strcmp(key, "image") != 0;
    enum status st;

    if (template == NULL) return STATUS_OK;
    st = mapping_text(template, f->row, f->arena, &text, f->err);
    if (st == STATUS_OK && text == NULL && empty_fine)
        st = fill_template(whole, true, f->row, f->arena, &text, f->err);
    if (st != STATUS_OK) return st;
    if (text == NULL)
        return row_error(f->row, f->err, "there is no %s: a key of \"%.80s\" is absent%s", key, whole,
                         empty_fine ? "" : " or empty");
    *field = text;
    return STATUS_OK;
}

static enum status fill_optional(const struct fill *f, const char *key, const char **field)
{
    const json_t *template = json_object_get(f->options, key);

    return template != NULL ? mapping_text(template, f->row, f->arena, field, f->err) : STATUS_OK;
}

static enum status fill_size(const struct fill *f, const char *key, double *field)
{
    const char *text = NULL;
    char *end;
    enum status st = fill_optional(f, key, &text);

    if (st != STATUS_OK || text == NULL) return st;
    *field = strtod(text, &end);
    if (*end != '\0' || !(*field > 0) || !(*field <= 1e6))
        return row_error(f->row, f->err, "%s must be a number of pixels, not \"%.40s\"", key, text);
    return STATUS_OK;
}

/* What is under a key, or under each of several. An absent or empty one ends the list: behind it none may follow. */
static enum status fill_texts(const struct fill *f, const char *key, const char *const **texts, size_t *n)
{
    const json_t *keys = json_object_get(f->options, key);
    size_t n_keys = json_array_size(keys);
    const char **list;
    bool ended = false;

    if (keys == NULL) return STATUS_OK;
    if (json_is_string(keys)) return row_texts(f->row, json_string_value(keys), f->arena, texts, n, f->err);
    list = arena_calloc(f->arena, n_keys, sizeof *list);
    if (list == NULL) return err_no_memory(f->err, "an annotation");
    *n = 0;
    for (size_t i = 0; i < n_keys; i++) {
        const char *name = json_string_value(json_array_get(keys, i)), *text;
        enum status st = row_text(f->row, name, f->arena, &text, f->err);

        if (st != STATUS_OK) return st;
        if (text == NULL || text[0] == '\0') {
            ended = true;
        } else if (ended) {
            return row_error(f->row, f->err, "\"%s\" is there, but one before it is not", name);
        } else {
            list[(*n)++] = text;
        }
    }
    *texts = list;
    return STATUS_OK;
}

/* VQA's evaluator compares an answer's whole entry: {"answer", "answer_confidence", "answer_id"}. Two that differ in nothing are one. */
static enum status note_equal_answers(const struct fill *f)
{
    struct record *r = f->record;
    const char *key = json_string_value(json_object_get(f->options, "answers")),
               *dot = key != NULL ? strrchr(key, '.') : NULL;
    const json_t *entries;
    char list[KEY_MAX];
    uint8_t *same;
    bool any = false;

    if (dot == NULL || dot - key >= KEY_MAX || r->n_answers > UINT8_MAX) return STATUS_OK;
    memcpy(list, key, (size_t)(dot - key));
    list[dot - key] = '\0';
    entries = row_find(f->row, list);
    if (json_array_size(entries) != r->n_answers) return STATUS_OK;
    same = arena_alloc(f->arena, r->n_answers);
    if (same == NULL) return err_no_memory(f->err, "an annotation");
    for (size_t i = 0; i < r->n_answers; i++) {
        size_t j = 0;

        /* Entries with other answers differ: the quick look first. */
        while (j < i && (strcmp(r->answers[i], r->answers[j]) != 0 ||
                         !json_equal(json_array_get(entries, i), json_array_get(entries, j))))
            j++;
        same[i] = (uint8_t)j;
        any = any || j < i;
    }
    r->answer_same = any ? same : NULL;
    return STATUS_OK;
}

/* Indices, from 0, into the choices become letters. */
static enum status letters_of_indices(const struct fill *f)
{
    const struct record *r = f->record;
    const char **letters = arena_calloc(f->arena, r->n_answers, sizeof *letters);

    if (letters == NULL) return err_no_memory(f->err, "an annotation");
    for (size_t i = 0; i < r->n_answers; i++) {
        char *end;
        long index = strtol(r->answers[i], &end, 10);

        if (*end != '\0' || end == r->answers[i] || index < 0 || (size_t)index >= r->n_choices)
            return row_error(f->row, f->err, "the answer \"%.40s\" is not the number of one of %zu choices",
                             r->answers[i], r->n_choices);
        letters[i] = arena_printf(f->arena, "%c", (char)('A' + index));
        if (letters[i] == NULL) return err_no_memory(f->err, "an annotation");
    }
    f->record->answers = letters;
    return STATUS_OK;
}

/* Answers that are written otherwise in the file: {"1": "true", "0": "false"}. */
static enum status rename_answers(const struct fill *f, const json_t *names)
{
    const struct record *r = f->record;
    const char **renamed = arena_calloc(f->arena, r->n_answers, sizeof *renamed);

    if (renamed == NULL) return err_no_memory(f->err, "an annotation");
    for (size_t i = 0; i < r->n_answers; i++) {
        const char *name = json_string_value(json_object_get(names, r->answers[i]));

        if (name == NULL)
            return row_error(f->row, f->err, "the answer \"%.40s\" is none that was expected", r->answers[i]);
        renamed[i] = arena_strdup(f->arena, name);
        if (renamed[i] == NULL) return err_no_memory(f->err, "an annotation");
    }
    f->record->answers = renamed;
    return STATUS_OK;
}

static enum status fill_answers(const struct fill *f)
{
    struct record *r = f->record;
    const json_t *are = json_object_get(f->options, "answers_are");
    enum status st = fill_texts(f, "choices", &r->choices, &r->n_choices);

    if (st == STATUS_OK && r->n_choices > EVAL_CHOICES_MAX)
        st = row_error(f->row, f->err, "%zu choices, more than %d", r->n_choices, EVAL_CHOICES_MAX);
    if (st == STATUS_OK && json_object_get(f->options, "answers") == NULL) return STATUS_OK;
    if (st == STATUS_OK) st = fill_texts(f, "answers", &r->answers, &r->n_answers);
    if (st == STATUS_OK && r->n_answers == 0) st = row_error(f->row, f->err, "there is no answer");
    if (st == STATUS_OK) st = note_equal_answers(f);
    if (st == STATUS_OK && json_is_object(are)) return rename_answers(f, are);
    if (st == STATUS_OK && are != NULL && strcmp(json_string_value(are), "indices") == 0)
        return letters_of_indices(f);
    return st;
}

static enum status fill_box(const struct fill *f)
{
    const char *key = json_string_value(json_object_get(f->options, "box"));
    const char *is = json_string_value(json_object_get(f->options, "box_is"));
    double *box = f->record->box;
    enum status st;

    if (key == NULL) return STATUS_OK;
    st = row_numbers(f->row, key, box, 4, &f->record->has_box, f->err);
    if (st == STATUS_OK && !f->record->has_box)
        st = row_error(f->row, f->err, "\"%s\", the box, is absent", key);
    if (st != STATUS_OK) return st;
    if (is != NULL && strcmp(is, "corner and size") == 0) {
        box[2] += box[0];
        box[3] += box[1];
    }
    if (!(box[2] > box[0]) || !(box[3] > box[1]))
        return row_error(f->row, f->err, "the box %g, %g, %g, %g holds nothing", box[0], box[1], box[2],
                         box[3]);
    return STATUS_OK;
}

/* The image file itself, in base64. Without an image's name the record's id names it: equal ids are one image. */
static enum status fill_image_data(const struct fill *f)
{
    const char *key = json_string_value(json_object_get(f->options, "image_data"));
    const json_t *value = key != NULL ? row_find(f->row, key) : NULL;
    size_t n = json_string_length(value), size = BASE64_DECODE_LENGTH(n);
    struct base64_decode_ctx base64;
    unsigned char *data;

    if (value == NULL) return STATUS_OK;
    if (!json_is_string(value) || n == 0)
        return row_error(f->row, f->err, "\"%s\" must be an image in base64, not %s", key, json_kind(value));
    data = arena_alloc(f->arena, size);
    if (data == NULL) return err_no_memory(f->err, "an image");
    base64_decode_init(&base64);
    if (!base64_decode_update(&base64, &size, data, n, json_string_value(value)) ||
        !base64_decode_final(&base64) || size == 0)
        return row_error(f->row, f->err, "\"%s\" is not base64", key);
    f->record->image_data = data;
    f->record->image_size = size;
    return STATUS_OK;
}

enum status mapping_apply(const json_t *options, const struct row *row, struct arena *a, struct record *r,
                          struct err *e)
{
    const struct fill f = { .options = options, .row = row, .arena = a, .record = r, .err = e };
    enum status st = fill_needed(&f, "id", &r->id);

    if (st == STATUS_OK) st = fill_needed(&f, "image", &r->image);
    if (st == STATUS_OK) st = fill_needed(&f, "question", &r->question);
    if (st == STATUS_OK) st = fill_optional(&f, "hint", &r->hint);
    if (st == STATUS_OK) st = fill_optional(&f, "category", &r->category);
    if (st == STATUS_OK) st = fill_optional(&f, "kind", &r->kind);
    if (st == STATUS_OK) st = fill_optional(&f, "group", &r->group);
    if (st == STATUS_OK) st = fill_optional(&f, "context", &r->context);
    if (st == STATUS_OK) st = fill_size(&f, "width", &r->width);
    if (st == STATUS_OK) st = fill_size(&f, "height", &r->height);
    if (st == STATUS_OK) st = fill_answers(&f);
    if (st == STATUS_OK) st = fill_box(&f);
    if (st == STATUS_OK) st = fill_image_data(&f);
    return st;
}

enum status mapping_wants(const json_t *only, const struct row *row, struct arena *a, bool *wanted,
                          struct err *e)
{
    const char *key;
    json_t *value;

    *wanted = true;
    json_object_foreach((json_t *)(uintptr_t)only, key, value)
    {
        const json_t *found = row_find(row, key);
        bool something = found != NULL && !(json_is_string(found) && json_string_length(found) == 0);
        const char *text = NULL;
        bool fits = false;

        if (json_is_boolean(value)) {
            fits = something == json_is_true(value);
        } else {
            enum status st = row_text(row, key, a, &text, e);

            if (st != STATUS_OK) return st;
            if (text != NULL && json_is_string(value)) fits = strcmp(text, json_string_value(value)) == 0;
            for (size_t i = 0; text != NULL && i < json_array_size(value); i++)
                fits = fits || strcmp(text, json_string_value(json_array_get(value, i))) == 0;
        }
        if (!fits) *wanted = false;
    }
    return STATUS_OK;
}
