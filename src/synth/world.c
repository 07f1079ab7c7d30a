/*
 * world.c - see world.h. Scenes are made in blocks: threads take a block's scenes one after the other, then the main thread appends their
 * texts in order.
 */
#include "synth/world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/folder.h"
#include "synth/world_files.h"
#include "synth/world_masks.h"

enum { SLOTS = 256 };

struct slot {
    struct scene_texts texts;
};

struct worker {
    struct world *world;
    struct painter *painter;
    struct question question;
    struct prose path;
    float *plane; /* [side, side] of masks */
    pthread_t thread;
    bool started;
    enum status status;
    struct err err;
};

struct world {
    const struct world_options *o;
    struct folder_writer folder;
    struct world_files *files;
    struct worker *workers; /* [o->threads] */
    struct slot *slots;     /* [SLOTS] */
    uint64_t first;         /* scene of slot 0 */
    size_t n;               /* of the block's scenes */
    atomic_size_t next;
    atomic_bool stop; /* a worker has failed */
};

/* ---- one scene ------------------------------------------------------------------------------------------------- */

/* Written at once, without waiting for the disk: the folder gets its name only when all is written. */
static enum status write_bytes(const char *path, const unsigned char *data, size_t size, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ssize_t n = 1;

    for (size_t at = 0; fd >= 0 && at < size && n > 0; at += n > 0 ? (size_t)n : 0)
        n = write(fd, data + at, size - at);
    if (fd < 0 || n <= 0 || close(fd) != 0) {
        err_set(e, STATUS_IO, "%s: cannot write: %s", path, strerror(errno));
        if (fd >= 0 && n <= 0) close(fd);
        return STATUS_IO;
    }
    return STATUS_OK;
}

static enum status write_image(struct worker *k, const struct scene *s, const struct image *im,
                               const char *name)
{
    unsigned char *data = NULL;
    size_t size = 0;
    enum status st = s->photo ? img_jpeg_encode(im, s->camera.quality, &data, &size, &k->err)
                              : img_png_encode_fast(im, &data, &size, &k->err);

    prose_clear(&k->path);
    prose_add(&k->path, "%s/images/%s", k->world->folder.path_temporary, name);
    if (st == STATUS_OK && k->path.failed) st = err_no_memory(&k->err, "a file's name");
    if (st == STATUS_OK) st = write_bytes(k->path.text, data, size, &k->err);
    free(data);
    return st;
}

static enum status make_scene(struct worker *k, size_t slot)
{
    const struct world_options *o = k->world->o;
    struct scene_texts *texts = &k->world->slots[slot].texts;
    uint64_t index = k->world->first + slot;
    struct picture picture;
    struct scene s;
    char name[32];
    enum status st;

    scene_draw_of(&s, o->kinds, o->seed, o->split, index,
                  o->domain == DOMAIN_PHOTO || (o->domain == DOMAIN_BOTH && index % 2 == 1));
    snprintf(name, sizeof name, "%06llu.%s", (unsigned long long)index, s.photo ? "jpg" : "png");
    st = painter_paint(k->painter, &s, &picture, &k->err);
    if (st == STATUS_OK) st = write_image(k, &s, &picture.im, name);
    if (st != STATUS_OK) return st;
    scene_texts_clear(texts);
    scene_texts_write(texts, &k->question, o, index, &s, &picture, name);
    if (o->masks) st = scene_masks_write(texts, index, &s, k->painter, &picture.im, name, k->plane, &k->err);
    if (st != STATUS_OK) return st;
    return scene_texts_failed(texts) ? err_no_memory(&k->err, "a scene's questions") : STATUS_OK;
}

/* ---- blocks of them -------------------------------------------------------------------------------------------- */

static void *work(void *user)
{
    struct worker *k = user;
    struct world *w = k->world;

    while (!atomic_load(&w->stop)) {
        size_t slot = atomic_fetch_add(&w->next, 1);

        if (slot >= w->n) break;
        k->status = make_scene(k, slot);
        if (k->status != STATUS_OK) atomic_store(&w->stop, true);
    }
    return NULL;
}

/* Worker 0 is the calling thread; where a thread cannot be started, the others do its work. */
static enum status make_block(struct world *w, struct err *e)
{
    enum status st = STATUS_OK;

    atomic_store(&w->next, 0);
    for (int i = 1; i < w->o->threads; i++)
        w->workers[i].started = pthread_create(&w->workers[i].thread, NULL, work, &w->workers[i]) == 0;
    work(&w->workers[0]);
    for (int i = 1; i < w->o->threads; i++) {
        if (w->workers[i].started) pthread_join(w->workers[i].thread, NULL);
    }
    for (int i = 0; i < w->o->threads && st == STATUS_OK; i++) {
        st = w->workers[i].status;
        if (st != STATUS_OK) err_set(e, st, "%s", w->workers[i].err.text);
    }
    for (size_t i = 0; i < w->n && st == STATUS_OK; i++)
        st = world_files_put(w->files, &w->slots[i].texts, e);
    return st;
}

static enum status make_all(struct world *w, struct err *e)
{
    const struct world_options *o = w->o;
    enum status st = STATUS_OK;

    while (st == STATUS_OK && w->first < o->count) {
        report_progress(o->report, "scenes", w->first, o->count);
        if (report_cancelled(o->report)) return err_set(e, STATUS_CANCELLED, "%s: stopped", o->out);
        w->n = o->count - w->first < SLOTS ? (size_t)(o->count - w->first) : SLOTS;
        st = make_block(w, e);
        w->first += w->n;
    }
    report_progress(o->report, "scenes", o->count, o->count);
    return st;
}

/* ---- the data set ---------------------------------------------------------------------------------------------- */

static enum status make_folder(const struct world *w, const char *name, struct err *e)
{
    char *path = path_join(w->folder.path_temporary, name);
    enum status st = path == NULL ? err_no_memory(e, name)
                     : mkdir(path, 0777) != 0
                         ? err_set(e, STATUS_IO, "%s: cannot make the folder: %s", path, strerror(errno))
                         : STATUS_OK;

    free(path);
    return st;
}

static enum status open_workers(struct world *w, struct err *e)
{
    enum status st = STATUS_OK;

    w->workers = calloc((size_t)w->o->threads, sizeof *w->workers);
    w->slots = calloc(SLOTS, sizeof *w->slots);
    if (w->workers == NULL || w->slots == NULL) return err_no_memory(e, "the threads that draw scenes");
    for (int i = 0; i < w->o->threads && st == STATUS_OK; i++) {
        w->workers[i].world = w;
        st = painter_open(&w->workers[i].painter, w->o->side, e);
        if (st != STATUS_OK || !w->o->masks) continue;
        w->workers[i].plane = malloc((size_t)w->o->side * (size_t)w->o->side * sizeof(float));
        if (w->workers[i].plane == NULL) st = err_no_memory(e, "masks");
    }
    return st;
}

static void close_workers(struct world *w)
{
    for (int i = 0; w->workers != NULL && i < w->o->threads; i++) {
        painter_close(w->workers[i].painter);
        question_free(&w->workers[i].question);
        prose_free(&w->workers[i].path);
        free(w->workers[i].plane);
    }
    for (size_t i = 0; w->slots != NULL && i < SLOTS; i++) scene_texts_free(&w->slots[i].texts);
    free(w->workers);
    free(w->slots);
}

enum status world_write(const struct world_options *o, struct world_result *result, struct err *e)
{
    struct world w = { .o = o };
    enum status st = folder_writer_open(&w.folder, o->out, e);

    memset(result, 0, sizeof *result);
    if (st == STATUS_OK) st = open_workers(&w, e);
    if (st == STATUS_OK) st = make_folder(&w, "images", e);
    if (st == STATUS_OK) st = make_folder(&w, "annotations", e);
    if (st == STATUS_OK && o->split != SPLIT_TRAIN) st = make_folder(&w, "eval", e);
    if (st == STATUS_OK) st = world_files_open(&w.files, w.folder.path_temporary, o, e);
    if (st == STATUS_OK) st = make_all(&w, e);
    if (st == STATUS_OK) st = world_files_finish(w.files, result, e);
    world_files_close(w.files);
    close_workers(&w);
    if (st == STATUS_OK) return folder_writer_commit(&w.folder, e);
    folder_writer_abort(&w.folder);
    return st;
}
