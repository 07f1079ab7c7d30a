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

static int count_places(const char *template)
{
    int n = 0;

    for (const char *p = template; (p = strstr(p, "{}")) != NULL; p += 2) n++;
    return n;
}

const char *record_prompt(const struct benchmark *b, const struct record *r, struct arena *a)
{
    const char *one[] = { r->question }, *several[] = { r->hint != NULL ? r->hint : "N/A", r->question, "" };
    const char *from = b->prompt;
    int n = count_places(b->prompt);
    const char *const *value = n > 1 ? several : one;
    size_t size = strlen(b->prompt) + 1;
    char *text, *at;

    if (n > 1) several[2] = choice_lines(r, a);
    if (n > 3 || (n > 1 && several[2] == NULL)) return NULL;
    for (int i = 0; i < n; i++) size += strlen(value[i]);
    text = at = arena_alloc(a, size);
    if (text == NULL) return NULL;
    for (int i = 0; i < n; i++) {
        const char *place = strstr(from, "{}");

        memcpy(at, from, (size_t)(place - from));
        at = stpcpy(at + (place - from), value[i]);
        from = place + 2;
    }
    strcpy(at, from);
    return text;
}
