/* image_queue.c - see image_queue.h. */
#include "eval/image_queue.h"

#include "core/file.h"
#include "image/image.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
    sphinx_image *image;
    sphinx_error why;
};

struct image_queue {
    const struct image_source *sources;
    sphinx_session_options options; /* only those of decoding */
    size_t n, made, taken;          /* made, taken: so many of the sources; taken <= made <= taken + ahead */
    size_t ahead;
    struct waiting *ring; /* [ahead] source i stands at i % ahead */
    bool closing;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

static void open_image(const struct image_queue *q, const struct image_source *s, struct waiting *w)
{
    unsigned char *file = NULL;
    const void *data = s->data;
    size_t size = s->size;
    struct err e = { 0 };

    *w = (struct waiting){ 0 };
    if (data == NULL && file_read(s->path, IMG_FILE_SIZE_MAX, &file, &size, &e) != STATUS_OK) {
        w->why.code = (sphinx_status)e.code;
        memcpy(w->why.text, e.text, sizeof w->why.text);
        return;
    }
    sphinx_image_open(&w->image, data != NULL ? data : file, size, s->path, &q->options, &w->why);
    free(file);
}

static void *run(void *argument)
{
    struct image_queue *q = argument;

    pthread_mutex_lock(&q->lock);
    while (!q->closing && q->made < q->n) {
        struct waiting next;

        if (q->made == q->taken + q->ahead) {
            pthread_cond_wait(&q->changed, &q->lock);
            continue;
        }
        pthread_mutex_unlock(&q->lock);
        open_image(q, &q->sources[q->made], &next); /* only this thread changes `made` */
        pthread_mutex_lock(&q->lock);
        q->ring[q->made++ % q->ahead] = next;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

enum status image_queue_open(struct image_queue **queue, const struct image_source *sources, size_t n,
                             int ahead, const sphinx_session_options *options, struct err *e)
{
    struct image_queue *q = calloc(1, sizeof *q);

    assert(ahead >= 1);
    *queue = NULL;
    if (q == NULL) return err_no_memory(e, "image queue");
    q->sources = sources;
    q->n = n;
    q->ahead = (size_t)ahead;
    q->options.apply_exif = options->apply_exif;
    q->options.pixels_max = options->pixels_max;
    q->ring = calloc(q->ahead, sizeof *q->ring);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    if (q->ring == NULL || pthread_create(&q->thread, NULL, run, q) != 0) {
        free(q->ring);
        free(q);
        return err_no_memory(e, "image queue");
    }
    *queue = q;
    return STATUS_OK;
}

bool image_queue_next(struct image_queue *q, bool wait, sphinx_image **image, sphinx_error *why)
{
    bool ready;

    assert(q->taken < q->n);
    pthread_mutex_lock(&q->lock);
    while (wait && q->made == q->taken) pthread_cond_wait(&q->changed, &q->lock);
    ready = q->made > q->taken;
    if (ready) {
        struct waiting *w = &q->ring[q->taken++ % q->ahead];

        *image = w->image;
        *why = w->why;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return ready;
}

void image_queue_close(struct image_queue *q)
{
    if (q == NULL) return;
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    while (q->taken < q->made) sphinx_image_close(q->ring[q->taken++ % q->ahead].image);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
    free(q->ring);
    free(q);
}
