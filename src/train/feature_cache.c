/* feature_cache.c - see feature_cache.h. A hash table with chains, and an arena that only grows. */
#include "train/feature_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/mix64.h"

enum { BUCKETS = 1 << 16, PARTS = 4 };

struct entry {
    struct entry *next;
    char *image;
    struct features features;
    struct tensor tensor[PARTS]; /* what features points to */
};

struct feature_cache {
    struct entry *bucket[BUCKETS];
    uint64_t bytes_max;
    struct arena arena; /* its `used` is what the bound is for */
    pthread_mutex_t lock;
};

enum status feature_cache_open(struct feature_cache **c, uint64_t bytes_max, struct err *e)
{
    *c = calloc(1, sizeof **c);
    if (*c == NULL) return err_no_memory(e, "the encoders' features");
    (*c)->bytes_max = bytes_max;
    pthread_mutex_init(&(*c)->lock, NULL);
    return STATUS_OK;
}

void feature_cache_close(struct feature_cache *c)
{
    if (c == NULL) return;
    arena_free(&c->arena);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct entry **bucket_of(struct feature_cache *c, const char *image)
{
    uint64_t h = 0;

    for (const char *s = image; *s != '\0'; s++) h = mix64(h ^ (unsigned char)*s);
    return &c->bucket[h % BUCKETS];
}

static struct entry *find(struct feature_cache *c, const char *image)
{
    struct entry *entry = *bucket_of(c, image);

    while (entry != NULL && strcmp(entry->image, image) != 0) entry = entry->next;
    return entry;
}

const struct features *feature_cache_find(struct feature_cache *c, const char *image)
{
    struct entry *entry;

    pthread_mutex_lock(&c->lock);
    entry = find(c, image);
    pthread_mutex_unlock(&c->lock);
    return entry != NULL ? &entry->features : NULL;
}

/* The tensors of f in one order; those that the variant lacks are NULL. */
static void parts_of(struct features *f, struct tensor **part[PARTS])
{
    part[0] = &f->clip;
    part[1] = &f->convnext;
    part[2] = &f->dinov2;
    part[3] = &f->qformer;
}

static uint64_t bytes_of(const struct tensor *t)
{
    return t == NULL ? 0 : (uint64_t)tensor_rows(t) * (uint64_t)tensor_columns(t) * sizeof(float);
}

/* A copy of its rows, side by side. False: no memory. */
static bool copy(struct feature_cache *c, const struct tensor *from, struct tensor *to)
{
    int64_t n_rows = tensor_rows(from), width = tensor_columns(from);
    float *data = arena_alloc(&c->arena, bytes_of(from));

    if (data == NULL) return false;
    for (int64_t r = 0; r < n_rows; r++) tensor_row_f32(from, r, 0, width, data + r * width);
    *to = tensor_matrix(DTYPE_F32, data, n_rows, width);
    return true;
}

static void add(struct feature_cache *c, const char *image, struct features f)
{
    struct entry *entry, **bucket = bucket_of(c, image);
    struct tensor **from[PARTS], **to[PARTS];
    uint64_t bytes = sizeof *entry + strlen(image) + 1;

    parts_of(&f, from);
    for (int i = 0; i < PARTS; i++) bytes += bytes_of(*from[i]);
    if (c->arena.used + bytes > c->bytes_max) return;
    entry = arena_calloc(&c->arena, 1, sizeof *entry);
    if (entry == NULL) return;
    entry->image = arena_strdup(&c->arena, image);
    if (entry->image == NULL) return;
    parts_of(&entry->features, to);
    for (int i = 0; i < PARTS; i++) {
        if (*from[i] == NULL) continue;
        if (!copy(c, *from[i], &entry->tensor[i])) return;
        *to[i] = &entry->tensor[i];
    }
    entry->next = *bucket;
    *bucket = entry;
}

void feature_cache_add(struct feature_cache *c, const char *image, const struct features *f)
{
    pthread_mutex_lock(&c->lock);
    if (find(c, image) == NULL) add(c, image, *f);
    pthread_mutex_unlock(&c->lock);
}
