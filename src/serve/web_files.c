/* web_files.c - see web_files.h. A name is one of a flat folder: nothing with a slash or a dot at its beginning is one. */
#include "serve/web_files.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "serve/handlers.h"
#include "serve/reply.h"
#include "serve/routes.h"

enum { WEB_FILE_MAX = 16 << 20 };

const char *web_type(const char *name)
{
    static const char *const types[][2] = { { ".html", "text/html; charset=utf-8" },
                                            { ".css", "text/css; charset=utf-8" },
                                            { ".js", "text/javascript; charset=utf-8" },
                                            { ".svg", "image/svg+xml" },
                                            { ".webmanifest", "application/manifest+json" } };
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t m = strlen(types[i][0]);

        if (n > m && strcmp(name + n - m, types[i][0]) == 0) return types[i][1];
    }
    return NULL;
}

static bool is_plain(const char *name)
{
    return name[0] != '.' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

/* From the folder of --web-path. */
static void reply_from_folder(struct exchange *x, const char *name, const char *type)
{
    char *path = path_join(x->server->web_path, name);
    unsigned char *data;
    size_t size;

    if (path != NULL && file_read(path, WEB_FILE_MAX, &data, &size, NULL) == STATUS_OK)
        reply_bytes(x, 200, type, (char *)data, size);
    free(path);
}

static void reply_from_program(struct exchange *x, const char *name, const char *type)
{
    for (const struct web_file *f = web_files; f->name != NULL; f++) {
        if (strcmp(f->name, name) != 0) continue;
        reply_static(x, 200, type, f->data, *f->size);
        return;
    }
}

void handle_web(struct exchange *x)
{
    const char *name = x->path[1] != '\0' ? x->path + 1 : "index.html", *type = web_type(name);
    struct problem p = { 0 };

    if (type != NULL && is_plain(name)) {
        if (x->server->web_path != NULL)
            reply_from_folder(x, name, type);
        else
            reply_from_program(x, name, type);
    }
    if (x->response != NULL) return;
    route_missing(x->path, &p);
    reply_problem(x, &p);
}
