/* world_masks.c - see world_masks.h. */
#include "synth/world_masks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "image/mask_rle.h"

enum { CATEGORY_PERSON = SHAPE_COUNT + 1 };

/* The pixels of one owner: 1 in the plane, and their bounds x1, y1, x2, y2. */
struct extent {
    int x1, y1, x2, y2;
};

static struct extent find_pixels(float *plane, const unsigned char *owner, unsigned number,
                                 const struct image *im)
{
    struct extent b = { im->width, im->height, 0, 0 };

    for (int y = 0; y < im->height; y++) {
        for (int x = 0; x < im->width; x++, plane++, owner++) {
            *plane = *owner == number;
            if (*owner != number) continue;
            if (x < b.x1) b.x1 = x;
            if (y < b.y1) b.y1 = y;
            if (x >= b.x2) b.x2 = x + 1;
            if (y >= b.y2) b.y2 = y + 1;
        }
    }
    return b;
}

static enum status write_one(struct prose *out, uint64_t index, size_t item, const struct item *t,
                             struct extent b, const struct image *im, const float *plane, struct err *e)
{
    char *counts;
    size_t area;
    enum status st = mask_rle_text(plane, im->width, im->height, &counts, &area, e);

    if (st != STATUS_OK) return st;
    prose_add(
        out,
        "{\"id\": %" PRIu64 ", \"image_id\": %" PRIu64 ", \"category_id\": %d, \"iscrowd\": 0, "
        "\"area\": %zu, \"bbox\": [%d, %d, %d, %d], \"segmentation\": {\"size\": [%d, %d], \"counts\": ",
        index * SCENE_ITEMS_MAX + item + 1, index,
        t->kind == ITEM_PERSON ? CATEGORY_PERSON : (int)t->shape + 1, area, b.x1, b.y1, b.x2 - b.x1,
        b.y2 - b.y1, im->height, im->width);
    prose_add_json(out, counts);
    prose_add(out, "}},\n");
    free(counts);
    return STATUS_OK;
}

enum status scene_masks_write(struct scene_texts *texts, uint64_t index, const struct scene *s,
                              struct painter *p, const struct image *im, const char *name, float *plane,
                              struct err *e)
{
    const unsigned char *owner;
    enum status st = painter_owners(p, s, &owner, e);

    texts->n_masks = 0;
    if (st != STATUS_OK) return st;
    prose_add(&texts->masks_image,
              "{\"id\": %" PRIu64 ", \"file_name\": \"%s\", \"width\": %d, \"height\": %d},\n", index, name,
              im->width, im->height);
    for (size_t i = 0; i < s->n_items && st == STATUS_OK; i++) {
        struct extent b = find_pixels(plane, owner, (unsigned)i + 1, im);

        if (b.x2 == 0) continue;
        st = write_one(&texts->masks, index, i, &s->items[i], b, im, plane, e);
        texts->n_masks++;
    }
    return st;
}

void masks_categories_write(struct prose *out)
{
    for (int i = 0; i < SHAPE_COUNT; i++)
        prose_add(out, "{\"id\": %d, \"name\": \"%s\"},\n", i + 1, shape_names[i]);
    prose_add(out, "{\"id\": %d, \"name\": \"person\"}", CATEGORY_PERSON);
}
