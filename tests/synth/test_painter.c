/*
 * test_painter.c - boxes are where things are: each item is painted alone and what has changed in the picture is compared with its box.
 * Blur, noise and shadow reach further than things do and are switched off.
 */
#include "support/fonts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "synth/painter.h"

/* Sums over the channels: less is the faint edge of a pixel that is hardly covered. A photo's pixels lie between those of what was
 * drawn, which smears edges
 * and wears off thin tips. */
enum { CHANGED_DRAWING = 40, CHANGED_PHOTO = 70 };

struct pixels {
    int width, height;
    unsigned char *rgb;
};

static void keep(struct pixels *p, const struct image *im)
{
    size_t n = (size_t)im->width * (size_t)im->height * 3;

    *p = (struct pixels){ im->width, im->height, malloc(n) };
    assert_non_null(p->rgb);
    memcpy(p->rgb, im->rgb, n);
}

/* The bounds of what differs, as x1, y1, x2, y2. */
static void bounds(double *box, const struct image *im, const struct pixels *empty, int changed)
{
    box[0] = box[1] = 1e9;
    box[2] = box[3] = -1;
    for (int y = 0; y < im->height; y++) {
        for (int x = 0; x < im->width; x++) {
            size_t at = ((size_t)y * (size_t)im->width + (size_t)x) * 3;
            int difference = 0;

            for (size_t k = 0; k < 3; k++) difference += abs(im->rgb[at + k] - empty->rgb[at + k]);
            if (difference < changed) continue;
            box[0] = fmin(box[0], x);
            box[1] = fmin(box[1], y);
            box[2] = fmax(box[2], x + 1);
            box[3] = fmax(box[3], y + 1);
        }
    }
}

static void check_item(struct painter *p, const struct scene *scene, size_t i)
{
    struct scene s = *scene;
    struct picture picture;
    struct pixels empty;
    struct err e = { 0 };
    double box[4];

    s.kind = SCENE_OBJECTS; /* no paper */
    s.camera.light = s.camera.blur = s.camera.noise = s.camera.grain = s.camera.shadow = 0;
    s.camera.ambient = 1;
    s.camera.n_clutter = 0;
    s.n_items = 0;
    s.chart = (struct chart){ 0 };
    assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
    keep(&empty, &picture.im);
    s.items[0] = scene->items[i];
    s.n_items = 1;
    if (s.items[0].color == COLOR_WHITE && s.items[0].kind == ITEM_TEXT) s.items[0].color = COLOR_BLACK;
    assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
    bounds(box, &picture.im, &empty, s.photo ? CHANGED_PHOTO : CHANGED_DRAWING);
    for (int k = 0; k < 4; k++) assert_true(fabs(box[k] - picture.place[0].box[k]) <= (s.photo ? 1.6 : 1.05));
    free(empty.rgb);
}

/* The letters' boxes come to the text's, one behind the other; spaces have none. */
static void check_letters(const struct item *t, const struct place *place, const struct image *im)
{
    double all[4] = { INFINITY, INFINITY, -INFINITY, -INFINITY }, before = -INFINITY;

    for (size_t i = 0; t->text[i] != '\0'; i++) {
        const double *box = place->letter[i];

        assert_true((t->text[i] == ' ') == (box[0] == 0 && box[2] == 0));
        if (t->text[i] == ' ') continue;
        assert_true(box[0] < box[2] && box[1] < box[3] && (box[0] + box[2]) / 2 > before);
        before = (box[0] + box[2]) / 2;
        for (int k = 0; k < 2; k++) {
            all[k] = fmin(all[k], box[k]);
            all[2 + k] = fmax(all[2 + k], box[2 + k]);
        }
    }
    for (int k = 0; k < 4; k++) {
        double clipped = fmin(fmax(all[k], 0), k % 2 == 0 ? im->width : im->height);

        assert_true(fabs(clipped - place->box[k]) < 1e-9);
    }
}

static void test_letters(void **state)
{
    struct painter *p;
    struct err e = { 0 };
    size_t n = 0;

    (void)state;
    assert_int_equal(painter_open(&p, 112, &e), STATUS_OK);
    for (uint64_t i = 0; i < 200; i++) {
        struct scene s;
        struct picture picture;

        scene_draw(&s, 4, SPLIT_TRAIN, i, i % 2 == 1);
        assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
        for (size_t k = 0; k < s.n_items; k++) {
            if (s.items[k].kind != ITEM_TEXT) continue;
            check_letters(&s.items[k], &picture.place[k], &picture.im);
            n++;
        }
    }
    assert_true(n > 100);
    painter_close(p);
}

static void check_boxes(bool photo, int side)
{
    struct painter *p;
    struct err e = { 0 };

    assert_int_equal(painter_open(&p, side, &e), STATUS_OK);
    for (uint64_t i = 0; i < 60; i++) {
        struct scene s;

        scene_draw(&s, 3, SPLIT_TRAIN, i, photo);
        for (size_t k = 0; k < s.n_items; k++) check_item(p, &s, k);
    }
    painter_close(p);
}

static void test_boxes_of_drawings(void **state)
{
    (void)state;
    check_boxes(false, 112);
    check_boxes(false, 168);
}

static void test_boxes_of_photos(void **state)
{
    (void)state;
    check_boxes(true, 112);
    check_boxes(true, 168);
}

/* Eyes are dark in a light face, a hand and a foot are where the wrist and the ankle are said to be. */
static void test_joints(void **state)
{
    struct painter *p;
    struct err e = { 0 };
    size_t people = 0;

    (void)state;
    assert_int_equal(painter_open(&p, 224, &e), STATUS_OK);
    for (uint64_t i = 0; people < 20; i++) {
        struct scene s;
        struct picture picture;

        scene_draw(&s, 3, SPLIT_TRAIN, i, false);
        if (s.kind != SCENE_PEOPLE || s.items[0].back || s.items[0].height > s.height) continue;
        assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
        people++;
        for (int joint = 1; joint < 3; joint++) {
            struct img_point eye = picture.place[0].joint[joint];
            size_t x = (size_t)eye.x, y = (size_t)eye.y;

            assert_true(picture.im.rgb[(y * (size_t)picture.im.width + x) * 3] < 110);
        }
        for (int joint = 3; joint < IMG_JOINTS; joint++) {
            struct img_point at = picture.place[0].joint[joint];
            const double *box = picture.place[0].box;

            assert_true(at.x > box[0] && at.x < box[2] && at.y > box[1] && at.y < box[3]);
        }
    }
    painter_close(p);
}

/* Twice the same, whatever was painted between. */
static void test_same(void **state)
{
    struct painter *p;
    struct scene s, other;
    struct picture picture;
    struct pixels first;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(painter_open(&p, 112, &e), STATUS_OK);
    for (uint64_t i = 0; i < 20; i++) {
        scene_draw(&s, 4, SPLIT_TEST, i, i % 2 == 1);
        scene_draw(&other, 4, SPLIT_TEST, i + 1, i % 4 > 1);
        assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
        keep(&first, &picture.im);
        assert_int_equal(painter_paint(p, &other, &picture, &e), STATUS_OK);
        assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
        assert_memory_equal(first.rgb, picture.im.rgb, (size_t)first.width * (size_t)first.height * 3);
        free(first.rgb);
    }
    painter_close(p);
}

/* In black but for a person's skin, on a light ground, and without what hides edges. */
static void make_plain(struct scene *s)
{
    s->kind = SCENE_OBJECTS;
    s->ground = GROUND_CREAM;
    s->chart = (struct chart){ 0 };
    s->camera.light = s->camera.blur = s->camera.noise = s->camera.grain = s->camera.shadow = 0;
    s->camera.ambient = 1;
    s->camera.n_clutter = 0;
    for (size_t i = 0; i < s->n_items; i++) {
        s->items[i].color = s->items[i].trousers = COLOR_BLACK;
        s->items[i].texture = TEXTURE_PLAIN;
    }
}

/* An item alone has the pixels in which the picture differs from the empty one; what is half covered may fall on either side. */
static void check_owner(struct painter *p, const struct scene *scene, size_t i)
{
    const unsigned char *owner;
    struct scene s = *scene;
    struct picture picture;
    struct pixels empty;
    struct err e = { 0 };
    size_t n, both = 0, any = 0;

    make_plain(&s);
    s.n_items = 0;
    assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
    keep(&empty, &picture.im);
    s.items[0] = s.items[i];
    s.n_items = 1;
    assert_int_equal(painter_paint(p, &s, &picture, &e), STATUS_OK);
    assert_int_equal(painter_owners(p, &s, &owner, &e), STATUS_OK);
    n = (size_t)picture.im.width * (size_t)picture.im.height;
    for (size_t k = 0; k < n; k++) {
        int difference = 0;
        bool changed;

        for (size_t c = 0; c < 3; c++) difference += abs(picture.im.rgb[3 * k + c] - empty.rgb[3 * k + c]);
        changed =
            difference > (s.items[0].kind == ITEM_PERSON ? 64 : 300); /* half a pixel of skin, of black */
        assert_true(owner[k] <= 1);
        both += changed && owner[k] == 1;
        any += changed || owner[k] == 1;
    }
    assert_true(scene->items[i].kind == ITEM_TEXT ? both == 0 : (double)both >= 0.9 * (double)any);
    free(empty.rgb);
}

static void test_owners(void **state)
{
    struct painter *p;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(painter_open(&p, 224, &e), STATUS_OK);
    for (uint64_t i = 0; i < 16; i++) {
        struct scene s;

        scene_draw(&s, 3, SPLIT_TRAIN, i, i % 2 == 1);
        for (size_t k = 0; k < s.n_items; k++) check_owner(p, &s, k);
    }
    painter_close(p);
}

/* What is behind something has only what is seen of it. */
static void test_owners_behind(void **state)
{
    const unsigned char *owner;
    size_t count[2][3] = { { 0 } };
    struct painter *p;
    struct scene s;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(painter_open(&p, 112, &e), STATUS_OK);
    scene_draw_of(&s, 1u << SCENE_OBJECTS, 3, SPLIT_TRAIN, 0, false);
    make_plain(&s);
    s.items[0] = s.items[1] =
        (struct item){ .shape = SHAPE_SQUARE, .x = 50, .y = 50, .size = 40, .behind = -1 };
    s.items[1].x = 60;
    for (size_t n = 1; n <= 2; n++) {
        s.n_items = n;
        assert_int_equal(painter_owners(p, &s, &owner, &e), STATUS_OK);
        for (size_t i = 0; i < (size_t)lrint(s.width) * (size_t)lrint(s.height); i++)
            count[n - 1][owner[i]]++;
        assert_int_equal(owner[50 * lrint(s.width) + 60], n);
        assert_int_equal(owner[50 * lrint(s.width) + 42], 1);
    }
    assert_int_equal(count[0][2], 0);
    assert_int_equal(count[1][2], count[0][1]);
    assert_true(count[1][1] > 0 && count[1][1] < count[0][1] / 2);
    painter_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boxes_of_drawings),
        cmocka_unit_test(test_boxes_of_photos),
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_joints),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_owners_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
