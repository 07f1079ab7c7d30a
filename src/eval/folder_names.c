/* folder_names.c - see folder_names.h. */
#include "eval/folder_names.h"

#include "text/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool ends_in_one_of(const char *name, const char *endings)
{
    size_t length = strlen(name);

    if (endings[0] == '\0') return true;
    while (*endings != '\0') {
        size_t n = strcspn(endings, " ");

        if (length > n && strncasecmp(name + length - n, endings, n) == 0) return true;
        endings += n + (endings[n] == ' ');
    }
    return false;
}

enum status folder_names(const char *path, const char *endings, struct arena *a, const char *const **names,
                         size_t *n, struct err *e)
{
    struct dirent **entries = NULL;
    int n_entries = scandir(path, &entries, NULL, by_bytes);
    const char **list;
    enum status st = STATUS_OK;

    *n = 0;
    if (n_entries < 0)
        return err_set(e, STATUS_IO, "%s: cannot be read as a folder: %s", path, strerror(errno));
    list = arena_calloc(a, (size_t)n_entries + 1, sizeof *list);
    if (list == NULL) st = err_no_memory(e, "the names in a folder");
    for (int i = 0; i < n_entries; i++) {
        const char *name = entries[i]->d_name;

        if (st == STATUS_OK && utf8_find_bad(name, strlen(name)) < strlen(name))
            st = err_set(e, STATUS_BAD_FORMAT,
                         "%s: the name of what lies there at place %d is not UTF-8 text", path, i);
        if (st == STATUS_OK && name[0] != '.' && ends_in_one_of(name, endings)) {
            list[*n] = arena_strdup(a, name);
            if (list[(*n)++] == NULL) st = err_no_memory(e, "the names in a folder");
        }
        free(entries[i]);
    }
    free(entries);
    *names = list;
    return st;
}
