/* image_source.c - see image_source.h. */
#include "serve/image_source.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "image/image.h"

static bool bad(struct problem *p, const char *param, const char *text)
{
    return problem_set(p, 400, param, "invalid_image", "%s", text);
}

static bool decode_base64(const char *text, unsigned char **data, size_t *size, const char *param,
                          struct problem *p)
{
    struct base64_decode_ctx base64;
    size_t n = strlen(text);

    *size = BASE64_DECODE_LENGTH(n);
    *data = malloc(*size + 1);
    if (*data == NULL) return problem_no_memory(p);
    base64_decode_init(&base64);
    if (base64_decode_update(&base64, size, *data, n, text) == 1 && base64_decode_final(&base64) == 1) {
        if (*size > 0) return true;
        bad(p, param, "the image's data URL is empty");
    } else {
        bad(p, param, "the image's data URL is not base64");
    }
    free(*data);
    *data = NULL;
    return false;
}

/* data:image/png;name=x;base64,... */
static bool read_data_url(const char *url, unsigned char **data, size_t *size, const char *param,
                          struct problem *p)
{
    static const char mark[] = ";base64";
    const char *comma = strchr(url, ',');
    size_t n = sizeof mark - 1;

    if (comma == NULL) return bad(p, param, "the image's data URL has no comma before its data");
    if (comma - url < (ptrdiff_t)n || strncasecmp(comma - n, mark, n) != 0)
        return bad(p, param, "the image's data URL is not in base64");
    return decode_base64(comma + 1, data, size, param, p);
}

/* %41 to A, in place; false at a malformed one or a zero byte. */
static bool unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        char hex[3] = { 0 };

        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        if (!isxdigit((unsigned char)from[1]) || !isxdigit((unsigned char)from[2])) return false;
        memcpy(hex, from + 1, 2);
        *to = (char)strtoul(hex, NULL, 16);
        if (*to++ == '\0') return false;
        from += 2;
    }
    *to = '\0';
    return true;
}

/* The file's own name without links, below the folder's: both malloc'ed by realpath. */
static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == '/' || (n > 0 && folder[n - 1] == '/'));
}

static bool read_below(const char *name, const char *media_path, unsigned char **data, size_t *size,
                       const char *param, struct problem *p)
{
    char *joined = path_join(media_path, name), *folder = realpath(media_path, NULL);
    char *path = joined != NULL ? realpath(joined, NULL) : NULL;
    struct err e = { 0 };
    struct stat about;
    bool ok = false;

    /* One sentence for all of these: who asks must not learn which files there are. */
    if (path == NULL || folder == NULL || !is_below(path, folder) || stat(path, &about) != 0 ||
        !S_ISREG(about.st_mode))
        bad(p, param, "there is no such file below the folder of --media-path");
    else if (file_read(path, IMG_FILE_SIZE_MAX, data, size, &e) != STATUS_OK)
        bad(p, param, "the file below the folder of --media-path cannot be read");
    else
        ok = true;
    free(path);
    free(folder);
    free(joined);
    return ok;
}

static bool read_file_url(const char *url, const char *media_path, unsigned char **data, size_t *size,
                          const char *param, struct problem *p)
{
    char *name;
    bool ok;

    if (media_path == NULL)
        return bad(p, param, "file:// URLs are refused: the server was started without --media-path");
    name = strdup(url + strlen("file://"));
    if (name == NULL) return problem_no_memory(p);
    ok = unescape(name) ? read_below(name, media_path, data, size, param, p)
                        : bad(p, param, "the file:// URL has a malformed escape");
    free(name);
    return ok;
}

bool image_source_read(const char *url, const char *media_path, unsigned char **data, size_t *size,
                       const char *param, struct problem *p)
{
    *data = NULL;
    *size = 0;
    if (strncasecmp(url, "data:", 5) == 0) return read_data_url(url, data, size, param, p);
    if (strncasecmp(url, "file://", 7) == 0) return read_file_url(url, media_path, data, size, param, p);
    if (strncasecmp(url, "http:", 5) == 0 || strncasecmp(url, "https:", 6) == 0)
        return bad(p, param,
                   "this server fetches nothing: send the image itself, as a data URL "
                   "(data:image/png;base64,...)");
    return bad(p, param, "an image is a data URL (data:image/png;base64,...)");
}
