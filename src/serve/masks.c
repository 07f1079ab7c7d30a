/* masks.c - see masks.h. */
#include "serve/masks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "serve/await.h"

enum { BOXES_MAX = 100 };

struct segmenting {
    pthread_mutex_t lock;
    sphinx_segmenter *segmenter;
    const struct exchange *x; /* who has it */
    char *name;
};

/* In the thread that computes. */
static void on_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct segmenting *g = user;
    struct problem p = { 0 };

    (void)stage;
    (void)done;
    (void)total;
    if (!await_wanted(g->x, &p)) sphinx_segmenter_cancel(g->segmenter);
}

/* "sam_vit_b_01ec64.pth" to "sam_vit_b_01ec64" */
static char *name_of(const char *path)
{
    const char *name = path_base(path), *dot = strrchr(name, '.');

    return dot != NULL && dot > name ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

enum status segmenting_open(struct segmenting **segmenting, const char *path,
                            const sphinx_segmenter_options *o, struct err *e)
{
    struct segmenting *g = calloc(1, sizeof *g);
    sphinx_segmenter_options options = *o;
    sphinx_error error = { 0 };

    *segmenting = NULL;
    if (g == NULL) return err_no_memory(e, "segmenter");
    pthread_mutex_init(&g->lock, NULL);
    options.report = (sphinx_report){ .progress = on_progress, .user = g };
    g->name = name_of(path);
    if (g->name != NULL && sphinx_segmenter_open(&g->segmenter, path, &options, &error) == SPHINX_OK) {
        *segmenting = g;
        return STATUS_OK;
    }
    segmenting_close(g);
    return error.code != SPHINX_OK ? err_set(e, (enum status)error.code, "%s", error.text)
                                   : err_no_memory(e, "segmenter");
}

void segmenting_close(struct segmenting *g)
{
    if (g == NULL) return;
    sphinx_segmenter_close(g->segmenter);
    pthread_mutex_destroy(&g->lock);
    free(g->name);
    free(g);
}

const char *segmenting_name(const struct segmenting *g)
{
    return g->name;
}

/* ---- masks ----------------------------------------------------------------------------------------------------- */

static bool take_turn(struct segmenting *g, struct exchange *x, struct problem *p)
{
    const struct timespec moment = { .tv_nsec = 20000000 };

    while (pthread_mutex_trylock(&g->lock) != 0) {
        if (!await_wanted(x, p)) return false;
        nanosleep(&moment, NULL);
    }
    g->x = x;
    return true;
}

/* Upstream gives SAM the box's corners without their fractions. */
static sphinx_status make_mask(struct segmenting *g, const sphinx_box *b, sphinx_mask **mask,
                               sphinx_error *error)
{
    const double corners[4] = { trunc(b->box[0]), trunc(b->box[1]), trunc(b->box[2]), trunc(b->box[3]) };

    return sphinx_segmenter_mask(g->segmenter, &(sphinx_mask_prompt){ .box = corners }, mask, error);
}

static bool make_all(struct masks *m, struct segmenting *g, const sphinx_image *image, const sphinx_answer *a,
                     struct problem *p)
{
    sphinx_error error = { 0 };
    sphinx_status st = SPHINX_OK;

    if (a->n_boxes > 0) st = sphinx_segmenter_image(g->segmenter, image, &error);
    for (size_t i = 0; i < a->n_boxes && st == SPHINX_OK; i++) {
        st = make_mask(g, &a->boxes[i], &m->item[i], &error);
        m->count += st == SPHINX_OK;
    }
    if (st == SPHINX_CANCELLED) await_wanted(g->x, p); /* says why */
    return st == SPHINX_OK || problem_of(p, &error, "masks", NULL);
}

bool masks_make(struct masks *m, struct exchange *x, const sphinx_image *image, const sphinx_answer *a,
                struct problem *p)
{
    struct segmenting *g = x->server->segmenting;
    bool ok;

    *m = (struct masks){ 0 };
    if (a->n_boxes > BOXES_MAX)
        return problem_set(p, 400, "answer", NULL, "there are %zu boxes: masks are made of %d at most",
                           a->n_boxes, BOXES_MAX);
    m->item = calloc(a->n_boxes + 1, sizeof(sphinx_mask *));
    if (m->item == NULL) return problem_no_memory(p);
    if (!take_turn(g, x, p)) return false;
    ok = make_all(m, g, image, a, p);
    pthread_mutex_unlock(&g->lock);
    return ok;
}

void masks_free(struct masks *m)
{
    for (size_t i = 0; i < m->count; i++) sphinx_mask_free(m->item[i]);
    free(m->item);
    *m = (struct masks){ 0 };
}

json_t *masks_json(const struct masks *m, const sphinx_answer *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < a->n_regions; i++) {
        const sphinx_region *r = &a->regions[i];

        for (size_t k = 0; k < r->n_boxes; k++) {
            const sphinx_mask *mask = m->item[r->box_first + k];

            json_array_append_new(list, json_pack("{s:I, s:I, s:f, s:I, s:{s:[i, i], s:s}}", "region",
                                                  (json_int_t)i, "box", (json_int_t)k, "confidence",
                                                  mask->predicted_iou, "area", (json_int_t)mask->area, "rle",
                                                  "size", mask->height, mask->width, "counts", mask->counts));
        }
    }
    return list;
}
