/* reader.c - see reader.h. The list of readers. */
#include "eval/reader.h"

#include "eval/reader_rows.h"

#include <string.h>

static const struct reader *const readers[] = { &reader_unified, &reader_rows };

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

const json_t *benchmark_option(const struct benchmark *b, const char *key)
{
    return json_object_get(b->options, key);
}
