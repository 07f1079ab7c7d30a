/* reader.c - see reader.h. The list of readers. */
#include "eval/reader.h"

#include "eval/reader_list.h"

#include <string.h>

static const struct reader *const readers[] = { &reader_unified, &reader_rows,   &reader_mmbench,
                                                &reader_mme,     &reader_ocrvqa, &reader_iconqa,
                                                &reader_coco,    &reader_folders };

const struct reader *reader_at(size_t i)
{
    return i < sizeof readers / sizeof *readers ? readers[i] : NULL;
}

const struct reader *reader_find(const char *name)
{
    const struct reader *r;

    for (size_t i = 0; (r = reader_at(i)) != NULL; i++)
        if (strcmp(r->name, name) == 0) return r;
    return NULL;
}

bool words_hold(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; n > 0 && (p = strstr(p, word)) != NULL; p += n)
        if ((p == words || p[-1] == ' ' || p[-1] == '[') && (p[n] == ' ' || p[n] == ']' || p[n] == '\0'))
            return true;
    return false;
}

const json_t *benchmark_option(const struct benchmark *b, const char *key)
{
    return json_object_get(b->options, key);
}
