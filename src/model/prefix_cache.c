/* prefix_cache.c - see prefix_cache.h. */
#include "model/prefix_cache.h"

#include <stdlib.h>
#include <unistd.h>

enum entry_kind { ENTRY_ROWS, ENTRY_WORDS };

struct memory_entry {
    struct memory_entry *newer, *older;
    enum entry_kind kind;
    bool has_image;
    struct digest image;
    enum dtype dtype; /* of rows */
    int32_t *ids;     /* [n] of rows */
    size_t n;         /* ids of rows; floats of words */
    int64_t n_rows;
    size_t size; /* of data and ids */
    int pins;
    bool listed;
    char *data; /* rows: [k of layer 0, 1, ...; v of layer 0, 1, ...] of [n_rows] each; words: floats */
};

/* ---- the list: all with the lock held --------------------------------------------------------------------------- */

static void entry_free(struct memory_entry *m)
{
    free(m->ids);
    free(m->data);
    free(m);
}

static void unlist(struct prefix_cache *c, struct memory_entry *m)
{
    if (m->newer != NULL) m->newer->older = m->older;
    if (m->older != NULL) m->older->newer = m->newer;
    if (c->newest == m) c->newest = m->older;
    if (c->oldest == m) c->oldest = m->newer;
    m->newer = m->older = NULL;
    m->listed = false;
    c->bytes -= m->size;
}

static void list_newest(struct prefix_cache *c, struct memory_entry *m)
{
    m->older = c->newest;
    if (c->newest != NULL) c->newest->newer = m;
    c->newest = m;
    if (c->oldest == NULL) c->oldest = m;
    m->listed = true;
    c->bytes += m->size;
}

static void drop(struct prefix_cache *c, struct memory_entry *m)
{
    unlist(c, m);
    if (m->pins == 0) entry_free(m);
}

static void used(struct prefix_cache *c, struct memory_entry *m)
{
    unlist(c, m);
    list_newest(c, m);
}

static void unpin(struct memory_entry *m)
{
    m->pins--;
    if (m->pins == 0 && !m->listed) entry_free(m);
}

static bool same_image(const struct memory_entry *m, const struct digest *image)
{
    return m->has_image == (image != NULL) && (image == NULL || digest_equal(&m->image, image));
}

/* How many ids entry and prefix have in common from the beginning; 0 where their rows have nothing to do with each other. */
static size_t common(const struct memory_entry *m, const struct prefix *p, enum dtype dtype)
{
    size_t n = 0;

    if (m->kind != ENTRY_ROWS || m->dtype != dtype || !same_image(m, p->image)) return 0;
    while (n < m->n && n < p->n && m->ids[n] == p->ids[n]) n++;
    return n;
}

/* ---- opening and closing --------------------------------------------------------------------------------------- */

size_t prefix_cache_bytes_default(void)
{
    const size_t most = (size_t)1 << 30;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    if (pages <= 0 || page <= 0) return most;
    return (size_t)pages / 8 < most / (size_t)page ? (size_t)pages / 8 * (size_t)page : most;
}

enum status prefix_cache_init(struct prefix_cache *c, size_t bytes_max, struct err *e)
{
    memset(c, 0, sizeof *c);
    if (pthread_mutex_init(&c->lock, NULL) != 0) return err_no_memory(e, "prefix cache");
    c->bytes_max = bytes_max;
    c->ready = true;
    return STATUS_OK;
}

void prefix_cache_free(struct prefix_cache *c)
{
    if (!c->ready) return;
    while (c->newest != NULL) drop(c, c->newest);
    pthread_mutex_destroy(&c->lock);
    memset(c, 0, sizeof *c);
}

/* Takes over m. */
static void insert(struct prefix_cache *c, struct memory_entry *m)
{
    list_newest(c, m);
    while (c->bytes > c->bytes_max) drop(c, c->oldest);
}

static struct memory_entry *entry_new(enum entry_kind kind, const struct digest *image, size_t data_bytes,
                                      const int32_t *ids, size_t n)
{
    struct memory_entry *m = calloc(1, sizeof *m);
    size_t ids_bytes = ids != NULL ? n * sizeof *ids : 0;

    if (m == NULL) return NULL;
    m->kind = kind;
    m->has_image = image != NULL;
    if (image != NULL) m->image = *image;
    m->n = n;
    m->size = data_bytes + ids_bytes;
    m->data = malloc(data_bytes);
    if (ids_bytes > 0) m->ids = malloc(ids_bytes);
    if (m->data == NULL || (ids_bytes > 0 && m->ids == NULL)) {
        entry_free(m);
        return NULL;
    }
    if (ids_bytes > 0) memcpy(m->ids, ids, ids_bytes);
    return m;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

int64_t prefix_rows(const struct prefix *p, size_t n)
{
    return n > 0 ? (int64_t)n + p->n_words : 0;
}

static const struct tensor *tensor_at(const struct kv_cache *kv, int i)
{
    return i < kv->n_layers ? &kv->k[i] : &kv->v[i - kv->n_layers];
}

static size_t row_bytes(const struct tensor *t)
{
    return dtype_bytes(t->dtype, (size_t)t->stride);
}

static size_t rows_bytes(const struct kv_cache *kv, int64_t n_rows)
{
    size_t all = 0;

    for (int i = 0; i < 2 * kv->n_layers; i++) all += row_bytes(tensor_at(kv, i));
    return all * (size_t)n_rows;
}

static char *rows_at(const struct tensor *t, int64_t row)
{
    return (char *)t->data + row_bytes(t) * (size_t)row;
}

/* True if somebody remembers all of p already; then it counts as used. */
static bool known(struct prefix_cache *c, const struct prefix *p, enum dtype dtype)
{
    for (struct memory_entry *m = c->newest; m != NULL; m = m->older) {
        if (common(m, p, dtype) < p->n) continue;
        used(c, m);
        return true;
    }
    return false;
}

void prefix_cache_put_rows(struct prefix_cache *c, const struct prefix *p, const struct kv_cache *kv,
                           int64_t first)
{
    int64_t n_rows = prefix_rows(p, p->n);
    size_t bytes = rows_bytes(kv, n_rows), done = 0;
    enum dtype dtype = kv->k[0].dtype;
    struct memory_entry *m, *older;
    bool there;

    if (p->n == 0 || bytes + p->n * sizeof *p->ids > c->bytes_max) return;
    pthread_mutex_lock(&c->lock);
    there = known(c, p, dtype);
    pthread_mutex_unlock(&c->lock);
    m = there ? NULL : entry_new(ENTRY_ROWS, p->image, bytes, p->ids, p->n);
    if (m == NULL) return;
    m->dtype = dtype;
    m->n_rows = n_rows;
    for (int i = 0; i < 2 * kv->n_layers; i++) {
        const struct tensor *t = tensor_at(kv, i);
        size_t part = row_bytes(t) * (size_t)n_rows;

        memcpy(m->data + done, rows_at(t, first), part);
        done += part;
    }
    pthread_mutex_lock(&c->lock);
    if (known(c, p, dtype)) { /* another session was quicker */
        entry_free(m);
    } else {
        for (struct memory_entry *x = c->newest; x != NULL; x = older) {
            older = x->older;
            if (x->kind == ENTRY_ROWS && common(x, p, dtype) == x->n) drop(c, x);
        }
        insert(c, m);
    }
    pthread_mutex_unlock(&c->lock);
}

/* The entry that shares most with p, pinned; NULL if none shares more than n_have ids. */
static struct memory_entry *find_rows(struct prefix_cache *c, const struct prefix *p, size_t n_have,
                                      enum dtype dtype, size_t *n)
{
    struct memory_entry *best = NULL;

    *n = n_have;
    pthread_mutex_lock(&c->lock);
    for (struct memory_entry *m = c->newest; m != NULL; m = m->older) {
        size_t shared = common(m, p, dtype);

        if (shared <= *n) continue;
        *n = shared;
        best = m;
    }
    if (best != NULL) {
        best->pins++;
        used(c, best);
    }
    pthread_mutex_unlock(&c->lock);
    return best;
}

size_t prefix_cache_take_rows(struct prefix_cache *c, const struct prefix *p, size_t n_have,
                              struct kv_cache *kv, int64_t first)
{
    size_t n, done = 0;
    struct memory_entry *m = find_rows(c, p, n_have, kv->k[0].dtype, &n);
    int64_t from = prefix_rows(p, n_have), end = prefix_rows(p, n);

    if (m == NULL) return n_have;
    for (int i = 0; i < 2 * kv->n_layers; i++) {
        const struct tensor *t = tensor_at(kv, i);
        size_t row = row_bytes(t);

        memcpy(rows_at(t, first + from), m->data + done + row * (size_t)from, row * (size_t)(end - from));
        done += row * (size_t)m->n_rows;
    }
    pthread_mutex_lock(&c->lock);
    unpin(m);
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

static struct memory_entry *find_words(struct prefix_cache *c, const struct digest *image, size_t n)
{
    struct memory_entry *m = c->newest;

    while (m != NULL && (m->kind != ENTRY_WORDS || m->n != n || !same_image(m, image))) m = m->older;
    if (m != NULL) used(c, m);
    return m;
}

void prefix_cache_put_words(struct prefix_cache *c, const struct digest *image, const float *words, size_t n)
{
    struct memory_entry *m;

    if (n * sizeof *words > c->bytes_max) return;
    m = entry_new(ENTRY_WORDS, image, n * sizeof *words, NULL, n);
    if (m == NULL) return;
    memcpy(m->data, words, n * sizeof *words);
    pthread_mutex_lock(&c->lock);
    if (find_words(c, image, n) != NULL)
        entry_free(m);
    else
        insert(c, m);
    pthread_mutex_unlock(&c->lock);
}

bool prefix_cache_take_words(struct prefix_cache *c, const struct digest *image, float *words, size_t n)
{
    struct memory_entry *m;

    pthread_mutex_lock(&c->lock);
    m = find_words(c, image, n);
    if (m != NULL) m->pins++;
    pthread_mutex_unlock(&c->lock);
    if (m == NULL) return false;
    memcpy(words, m->data, n * sizeof *words);
    pthread_mutex_lock(&c->lock);
    unpin(m);
    pthread_mutex_unlock(&c->lock);
    return true;
}
