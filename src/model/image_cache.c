/* image_cache.c - see image_cache.h. */
#include "model/image_cache.h"

#include "model/cache_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char format[] = "sphinx image words 1", suffix[] = ".safetensors";

enum { NAME_DIGITS = 2 * DIGEST_BYTES, ABANDONED_SECONDS = 3600 };

enum status image_cache_init(struct image_cache *c, const char *directory, uint64_t size_max,
                             const struct digest *sight, struct err *e)
{
    memset(c, 0, sizeof *c);
    c->directory = strdup(directory);
    c->size_max = size_max > 0 ? size_max : IMAGE_CACHE_BYTES_DEFAULT;
    c->sight = *sight;
    return c->directory != NULL ? STATUS_OK : err_no_memory(e, "image cache");
}

void image_cache_free(struct image_cache *c)
{
    free(c->directory);
    memset(c, 0, sizeof *c);
}

static void key_make(struct digest *key, const struct image_cache *c, const struct digest *image)
{
    struct digest_maker m;

    digest_begin(&m);
    digest_add(&m, c->sight.byte, sizeof c->sight.byte);
    digest_add(&m, image->byte, sizeof image->byte);
    digest_end(&m, key);
}

/* malloc'ed; NULL when out of memory. */
static char *entry_path(const struct image_cache *c, const struct digest *key)
{
    char name[DIGEST_TEXT_MAX + sizeof suffix];

    digest_hex(key, name);
    memcpy(name + NAME_DIGITS, suffix, sizeof suffix);
    return path_join(c->directory, name);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum status parse(const struct safetensors_file *f, const struct digest *key, float *words,
                         int64_t n_words, int64_t width, struct err *e)
{
    struct tensor_spec wanted = { "words", DTYPE_F32, 2, { n_words, width } };
    const char *found = safetensors_metadata(f, "key");
    char hex[DIGEST_TEXT_MAX];
    const void *data;
    enum status st;

    if (found == NULL || strcmp(found, digest_hex(key, hex)) != 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: holds another image, or another model's words of it",
                       f->path);
    st = cache_file_part(f, &wanted, &data, e);
    if (st != STATUS_OK) return st;
    memcpy(words, data, (size_t)n_words * (size_t)width * sizeof *words);
    for (size_t i = 0; i < (size_t)n_words * (size_t)width; i++) {
        if (!isfinite(words[i]))
            return err_set(e, STATUS_BAD_FORMAT, "%s: its words are not finite numbers", f->path);
    }
    return STATUS_OK;
}

enum status image_cache_parse(const void *data, size_t size, const char *name, const struct digest *key,
                              float *words, int64_t n_words, int64_t width, struct err *e)
{
    struct safetensors_file f;
    enum status st = cache_file_open_memory(&f, data, size, name, format, e);

    if (st == STATUS_OK) st = parse(&f, key, words, n_words, width, e);
    safetensors_close(&f);
    return st;
}

bool image_cache_load(struct image_cache *c, const struct digest *image, float *words, int64_t n_words,
                      int64_t width, const struct report *report)
{
    /* Read, not mapped: a file that somebody cuts short meanwhile must not end the program. */
    size_t size_max = (size_t)n_words * (size_t)width * sizeof *words + 65536, size;
    unsigned char *data = NULL;
    struct digest key;
    struct err e = { 0 };
    enum status st;
    char *path;

    key_make(&key, c, image);
    path = entry_path(c, &key);
    if (path == NULL) return false;
    st = file_read(path, size_max, &data, &size, &e);
    if (st == STATUS_OK) st = image_cache_parse(data, size, path, &key, words, n_words, width, &e);
    if (st == STATUS_OK) utimensat(AT_FDCWD, path, NULL, 0); /* used now; where this fails, so be it */
    if (st != STATUS_OK && st != STATUS_NOT_FOUND)
        report_warn(report, "image cache: %s; the image is encoded anew", e.text);
    free(data);
    free(path);
    return st == STATUS_OK;
}

/* ---- the bound ------------------------------------------------------------------------------------------------ */

struct entry {
    char name[NAME_DIGITS + sizeof suffix];
    struct timespec used;
    uint64_t size;
};

struct listing {
    struct entry *entries;
    size_t n, capacity;
    uint64_t size;
};

/* Our names only: people keep all kinds of things in folders. *temporary: what a program left that died while writing. */
static bool is_ours(const char *name, bool *temporary)
{
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] == '\0' || strchr("0123456789abcdef", name[i]) == NULL) return false;
    }
    if (strncmp(name + NAME_DIGITS, suffix, sizeof suffix - 1) != 0) return false;
    name += NAME_DIGITS + sizeof suffix - 1;
    *temporary = strncmp(name, ".tmp-", 5) == 0;
    return *name == '\0' || *temporary;
}

static bool listing_add(struct listing *l, const char *name, const struct stat *st)
{
    if (l->n == l->capacity) {
        size_t capacity = l->capacity == 0 ? 256 : 2 * l->capacity;
        struct entry *larger = realloc(l->entries, capacity * sizeof *larger);

        if (larger == NULL) return false;
        l->entries = larger;
        l->capacity = capacity;
    }
    memcpy(l->entries[l->n].name, name, sizeof l->entries[l->n].name);
    l->entries[l->n].used = st->st_mtim;
    l->entries[l->n++].size = (uint64_t)st->st_size;
    l->size += (uint64_t)st->st_size;
    return true;
}

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* Removes the files unused longest until the rest is within the bound. Others may remove them too: what is gone is gone. `kept` is
 * the file just written. */
static void prune(const struct image_cache *c, const char *kept)
{
    DIR *d = opendir(c->directory);
    struct listing l = { 0 };
    struct dirent *entry;
    time_t now = time(NULL);

    if (d == NULL) return;
    while ((entry = readdir(d)) != NULL) {
        struct stat st;
        bool temporary;

        if (!is_ours(entry->d_name, &temporary) ||
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (!temporary && !listing_add(&l, entry->d_name, &st)) break;
        if (temporary && now - st.st_mtime > ABANDONED_SECONDS) unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (l.n > 0) qsort(l.entries, l.n, sizeof *l.entries, by_use);
    for (size_t i = 0; i < l.n && l.size > c->size_max; i++) {
        if (strcmp(l.entries[i].name, kept) == 0) continue;
        if (unlinkat(dirfd(d), l.entries[i].name, 0) == 0 || errno == ENOENT) l.size -= l.entries[i].size;
    }
    closedir(d);
    free(l.entries);
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

void image_cache_store(struct image_cache *c, const struct digest *image, const float *words, int64_t n_words,
                       int64_t width, const struct report *report)
{
    struct cache_part part = { { "words", DTYPE_F32, 2, { n_words, width } }, words };
    char hex[DIGEST_TEXT_MAX];
    const char *metadata[] = { "key", hex };
    struct digest key;
    struct err e = { 0 };
    enum status st;
    char *path;

    if ((uint64_t)n_words * (uint64_t)width * sizeof *words > c->size_max) {
        if (!atomic_exchange(&c->told, true))
            report_warn(report, "image cache: its bound of %llu bytes is less than one image's words",
                        (unsigned long long)c->size_max);
        return;
    }
    key_make(&key, c, image);
    digest_hex(&key, hex);
    path = entry_path(c, &key);
    if (path == NULL) return;
    if (mkdir(c->directory, 0777) != 0 && errno != EEXIST)
        st = err_set(&e, STATUS_IO, "%s: cannot make the folder: %s", c->directory, strerror(errno));
    else
        st = cache_file_write(path, format, &part, 1, metadata, 1, &e);
    if (st == STATUS_OK)
        prune(c, path_base(path));
    else if (!atomic_exchange(&c->told, true))
        report_warn(report, "image cache: %s; images are not kept", e.text);
    free(path);
}
