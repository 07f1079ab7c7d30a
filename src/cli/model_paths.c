/* model_paths.c - see model_paths.h. */
#include "cli/model_paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "core/file.h"

#define BUNDLED     "models/sphinx-nano.gguf"
#define BUNDLED_SAM "models/sphinx-sam-nano.gguf"

static bool add(struct model_paths *p, const char *path, size_t size)
{
    char **larger = realloc(p->item, (size_t)(p->count + 1) * sizeof *larger);

    if (larger == NULL) return false;
    p->item = larger;
    p->item[p->count] = strndup(path, size);
    return p->item[p->count] != NULL && ++p->count > 0;
}

static bool add_named(struct model_paths *p, const char *name)
{
    if (file_exists(name)) return add(p, name, strlen(name));
    while (*name != '\0') {
        size_t n = strcspn(name, ",");

        if (n > 0 && !add(p, name, n)) return false;
        name += n;
        if (*name == ',') name++;
    }
    return true;
}

/* The first place that has the bundled file `name`, into path [size]. */
static bool bundled_find(const char *name, char *path, size_t size)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    if (n > 0) {
        program[n] = '\0';
        slash = strrchr(program, '/');
        if (slash != NULL) *slash = '\0';
        snprintf(path, size, "%s/../%s", program, name);
        if (file_exists(path)) return true;
        snprintf(path, size, "%s/../share/sphinx/%s", program, name);
        if (file_exists(path)) return true;
    }
    snprintf(path, size, "%s/%s", SPHINX_DATA_DIR, name);
    return file_exists(path);
}

static int find_unnamed(struct model_paths *p)
{
    const char *chosen = getenv("SPHINX_MODEL");
    char path[PATH_MAX + 64];

    if (chosen != NULL && chosen[0] != '\0')
        return add_named(p, chosen) ? CODE_OK : fail("out of memory for the models' paths");
    if (!bundled_find(BUNDLED, path, sizeof path))
        return fail("no model named and the bundled one (" BUNDLED
                    ") not found; name one with -m or SPHINX_MODEL");
    p->bundled = true;
    return add(p, path, strlen(path)) ? CODE_OK : fail("out of memory for the models' paths");
}

int model_paths_find(struct model_paths *p, const struct text_list *named)
{
    memset(p, 0, sizeof *p);
    if (named->count == 0) return find_unnamed(p);
    for (size_t i = 0; i < named->count; i++) {
        if (!add_named(p, named->item[i])) return fail("out of memory for the models' paths");
    }
    return p->count > 0 ? CODE_OK : fail("-m names no model");
}

void model_paths_free(struct model_paths *p)
{
    for (int i = 0; i < p->count; i++) free(p->item[i]);
    free(p->item);
    memset(p, 0, sizeof *p);
}

bool segmenter_path(const char *named, char *path, size_t size)
{
    if (named == NULL) return bundled_find(BUNDLED_SAM, path, size);
    return (size_t)snprintf(path, size, "%s", named) < size;
}
