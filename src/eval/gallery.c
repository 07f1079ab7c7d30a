/* gallery.c - see gallery.h. */
#include "eval/gallery.h"

#include "eval/page.h"
#include "image/image.h"
#include "image/resample.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

enum { QUALITY = 72 };

enum status gallery_open(struct gallery *g, size_t images_max, const char *data, struct err *e)
{
    *g = (struct gallery){ .data = data, .capacity = images_max };
    g->pictures = json_array();
    g->item = calloc(images_max > 0 ? images_max : 1, sizeof *g->item);
    if (g->pictures != NULL && g->item != NULL) return STATUS_OK;
    gallery_close(g);
    return err_no_memory(e, "the pictures of a report");
}

void gallery_close(struct gallery *g)
{
    json_decref(g->pictures);
    free(g->item);
    *g = (struct gallery){ 0 };
}

/* An image that is missing or damaged is no failure here: the runner has said so long ago. */
static bool read_image(struct image *im, const struct gallery *g, const struct record *r)
{
    struct img_options options = { .permit_damage = true };
    struct arena a = { 0 };
    struct err ignored = { 0 };
    const char *wanted, *path;
    bool ok;

    if (r->image_data != NULL)
        return img_decode(im, r->image_data, r->image_size, r->image, &options, &ignored) == STATUS_OK;
    path = record_image_path(r, g->data, &a, &wanted);
    ok = path != NULL && img_read(im, path, &options, &ignored) == STATUS_OK;
    arena_free(&a);
    return ok;
}

static int scaled(int side, int longer)
{
    int result = longer > PAGE_PICTURE_SIDE ? (int)((long long)side * PAGE_PICTURE_SIDE / longer) : side;

    return result > 0 ? result : 1;
}

/* NULL: no memory. */
static json_t *data_url(const unsigned char *bytes, size_t size)
{
    static const char prefix[] = "data:image/jpeg;base64,";
    size_t n_prefix = sizeof prefix - 1, n = BASE64_ENCODE_RAW_LENGTH(size);
    char *text = malloc(n_prefix + n + 1);
    json_t *url;

    if (text == NULL) return NULL;
    memcpy(text, prefix, n_prefix);
    base64_encode_raw(text + n_prefix, size, bytes);
    text[n_prefix + n] = '\0';
    url = json_string(text);
    free(text);
    return url;
}

static enum status add_picture(struct gallery *g, const struct image *im, struct err *e)
{
    int longer = im->width > im->height ? im->width : im->height;
    struct image small = { 0 };
    unsigned char *bytes = NULL;
    size_t size = 0;
    enum status st;

    st = img_resize(&small, im, scaled(im->width, longer), scaled(im->height, longer), e);
    if (st == STATUS_OK) st = img_jpeg_encode(&small, QUALITY, &bytes, &size, e);
    if (st == STATUS_OK && json_array_append_new(g->pictures, data_url(bytes, size)) != 0)
        st = err_no_memory(e, "the pictures of a report");
    free(bytes);
    img_free(&small);
    return st;
}

const struct gallery_item *gallery_find(struct gallery *g, const struct record *r, bool more, struct err *e)
{
    struct gallery_item *item;
    struct image im = { 0 };

    if (r->image[0] == '\0' && r->image_data == NULL) return NULL;
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->item[i].image, r->image) == 0) return g->item[i].picture >= 0 ? &g->item[i] : NULL;
    }
    if (!more || g->n == g->capacity) return NULL;
    item = &g->item[g->n++];
    *item = (struct gallery_item){ .image = r->image, .picture = -1 };
    if (!read_image(&im, g, r)) return NULL;
    item->width = im.width;
    item->height = im.height;
    if (add_picture(g, &im, e) == STATUS_OK) item->picture = (int)json_array_size(g->pictures) - 1;
    img_free(&im);
    return item->picture >= 0 ? item : NULL;
}
