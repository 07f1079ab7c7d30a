/* pictures.c - see pictures.h. */
#include "serve/pictures.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 64 };

struct pictures {
    pthread_mutex_t lock;
    struct picture *kept[KEPT_MAX]; /* the last asked for first */
    size_t n, bytes, bytes_max;
};

struct pictures *pictures_open(size_t bytes_max)
{
    struct pictures *s = calloc(1, sizeof *s);

    if (s == NULL) return NULL;
    s->bytes_max = bytes_max;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void pictures_close(struct pictures *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->n; i++) picture_release(s->kept[i]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void picture_release(struct picture *picture)
{
    if (picture == NULL || atomic_fetch_sub(&picture->users, 1) > 1) return;
    sphinx_image_close(picture->image);
    free(picture);
}

static struct picture *used(struct picture *picture)
{
    atomic_fetch_add(&picture->users, 1);
    return picture;
}

/* Position i becomes the first. */
static void to_front(struct pictures *s, size_t i)
{
    struct picture *picture = s->kept[i];

    memmove(s->kept + 1, s->kept, i * sizeof *s->kept);
    s->kept[0] = picture;
}

/* SIZE_MAX: none. */
static size_t position(const struct pictures *s, const struct digest *key)
{
    for (size_t i = 0; i < s->n; i++) {
        if (digest_equal(&s->kept[i]->key, key)) return i;
    }
    return SIZE_MAX;
}

static struct picture *find(struct pictures *s, const struct digest *key)
{
    struct picture *picture = NULL;
    size_t i;

    pthread_mutex_lock(&s->lock);
    i = position(s, key);
    if (i != SIZE_MAX) {
        to_front(s, i);
        picture = used(s->kept[0]);
    }
    pthread_mutex_unlock(&s->lock);
    return picture;
}

static void forget_last(struct pictures *s)
{
    struct picture *last = s->kept[--s->n];

    s->bytes -= last->bytes;
    picture_release(last);
}

/* Somebody else may have kept the same one meanwhile. */
static void keep(struct pictures *s, struct picture *picture)
{
    if (picture->bytes > s->bytes_max) return;
    pthread_mutex_lock(&s->lock);
    if (position(s, &picture->key) == SIZE_MAX) {
        while (s->n == KEPT_MAX || s->bytes > s->bytes_max - picture->bytes) forget_last(s);
        s->kept[s->n++] = used(picture);
        s->bytes += picture->bytes;
        to_front(s, s->n - 1);
    }
    pthread_mutex_unlock(&s->lock);
}

static struct picture *decode(const void *data, size_t size, const struct digest *key,
                              const sphinx_session_options *options, struct problem *p)
{
    struct picture *picture = calloc(1, sizeof *picture);
    sphinx_error error = { 0 };
    int width, height;

    if (picture == NULL) {
        problem_no_memory(p);
        return NULL;
    }
    picture->key = *key;
    atomic_init(&picture->users, 1);
    if (sphinx_image_open(&picture->image, data, size, "the image", options, &error) != SPHINX_OK) {
        problem_of(p, &error, "messages", "invalid_image");
        free(picture);
        return NULL;
    }
    sphinx_image_size(picture->image, &width, &height);
    picture->bytes = (size_t)width * (size_t)height * 3;
    return picture;
}

struct picture *pictures_get(struct pictures *s, const void *data, size_t size,
                             const sphinx_session_options *options, struct problem *p)
{
    struct digest_maker m;
    struct digest key;
    struct picture *picture = NULL;

    digest_begin(&m);
    digest_add(&m, data, size);
    digest_end(&m, &key);
    if (s != NULL) picture = find(s, &key);
    if (picture != NULL) return picture;
    picture = decode(data, size, &key, options, p);
    if (picture != NULL && s != NULL) keep(s, picture);
    return picture;
}
