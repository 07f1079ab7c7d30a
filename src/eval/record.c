/* record.c - see record.h. The prompt and the image's path; reading stands in dataset.c. */
#include "eval/record.h"

#include "core/file.h"

#include <string.h>

/* ---- the image's path ------------------------------------------------------------------------------------------ */

static const char *without(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(path, prefix, n) == 0 ? path + n : path;
}

static const char *join(const char *data, const char *path, struct arena *a)
{
    if (data[0] == '\0' || path[0] == '/') return arena_strdup(a, path);
    return arena_printf(a, "%s/%s", data, path);
}

const char *record_image_path(const struct record *r, const char *data, struct arena *a, const char **wanted)
{
    const char *plain = without(r->image, "./"), *path[2];

    path[0] = join(data, plain, a);
    path[1] = join(data, without(plain, "data/"), a);
    *wanted = path[0];
    for (int i = 0; i < 2; i++)
        if (path[i] != NULL && file_exists(path[i])) return path[i];
    return NULL;
}

/* ---- the prompt ------------------------------------------------------------------------------------------------ */

/* "A. red\nB. green": the letters of the choices. */
static const char *choice_lines(const struct record *r, struct arena *a)
{
    size_t size = 1;
    char *text, *at;

    for (size_t i = 0; i < r->n_choices; i++) size += strlen(r->choices[i]) + 4;
    text = at = arena_alloc(a, size);
    if (text == NULL) return NULL;
    *at = '\0';
    for (size_t i = 0; i < r->n_choices; i++) {
        if (i > 0) *at++ = '\n';
        *at++ = (char)('A' + i);
        at = stpcpy(stpcpy(at, ". "), r->choices[i]);
    }
    return text;
}

/* The value that stands for the place "{...}" at p, and the place's length; NULL: these braces are none. *plain counts the places {}. */
static const char *value_at(const char *p, const char *const *value, int *plain, size_t *length)
{
    static const char *const names[] = { "{hint}", "{question}", "{choices}" };

    if (strncmp(p, "{}", 2) == 0) {
        *length = 2;
        return *plain < 3 ? value[(*plain)++] : NULL;
    }
    for (int i = 0; i < 3; i++) {
        *length = strlen(names[i]);
        if (strncmp(p, names[i], *length) == 0) return value[3 + i];
    }
    return NULL;
}

static int count_places(const char *template)
{
    int n = 0;

    for (const char *p = template; (p = strstr(p, "{}")) != NULL; p += 2) n++;
    return n;
}

/* Writes the prompt, or with `to` NULL only measures it. */
static size_t fill(char *to, const char *template, const char *const *value)
{
    size_t size = 0, length;
    int plain = 0;

    while (*template != '\0') {
        const char *text = *template == '{' ? value_at(template, value, &plain, &length) : NULL;
        size_t n = text != NULL ? strlen(text) : 1;

        if (to != NULL) memcpy(to + size, text != NULL ? text : template, n);
        template += text != NULL ? length : 1;
        size += n;
    }
    return size;
}

const char *record_prompt(const struct benchmark *b, const struct record *r, struct arena *a)
{
    const char *hint = r->hint != NULL ? r->hint : "N/A", *choices = choice_lines(r, a);
    /* what {} is, the first, second and third time; and what the names are */
    const char *value[] = { hint, r->question, choices, hint, r->question, choices };
    char *text;
    size_t size;

    if (choices == NULL) return NULL;
    if (count_places(b->prompt) == 1) value[0] = r->question;
    size = fill(NULL, b->prompt, value);
    text = arena_alloc(a, size + 1);
    if (text == NULL) return NULL;
    fill(text, b->prompt, value);
    text[size] = '\0';
    return text;
}
