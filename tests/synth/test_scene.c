/* test_scene.c - scenes as data: the same from the same seed, in one split only, within the picture, with what questions rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "synth/scene.h"

static void test_same(void **state)
{
    struct scene a, b;

    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        scene_draw(&a, 5, SPLIT_VAL, i, true);
        scene_draw(&b, 6, SPLIT_VAL, i, true);
        assert_true(scene_content(&a) != scene_content(&b));
        scene_draw(&b, 5, SPLIT_VAL, i + 1, true);
        assert_true(scene_content(&a) != scene_content(&b));
        scene_draw(&b, 5, SPLIT_VAL, i, true);
        assert_memory_equal(&a, &b, sizeof a);
        scene_draw(&b, 5, SPLIT_VAL, i, false); /* the other domain shows the same */
        assert_true(scene_content(&a) == scene_content(&b));
    }
}

enum { DRAWN = 6000 };

struct drawn {
    uint64_t content;
    enum split split;
};

static int compare(const void *a, const void *b)
{
    const struct drawn *x = a, *y = b;

    return x->content < y->content ? -1 : x->content > y->content;
}

/* Whatever the seeds, no scene is in two splits, though within one there may be two alike. */
static void test_splits(void **state)
{
    static struct drawn drawn[SPLIT_COUNT * DRAWN];
    struct scene s;
    size_t n = 0;

    (void)state;
    for (enum split split = 0; split < SPLIT_COUNT; split++) {
        for (uint64_t i = 0; i < DRAWN; i++) {
            scene_draw(&s, i % 2, split, i, false);
            drawn[n++] = (struct drawn){ scene_content(&s), split };
        }
    }
    qsort(drawn, n, sizeof *drawn, compare);
    for (size_t i = 1; i < n; i++)
        assert_true(drawn[i].content != drawn[i - 1].content || drawn[i].split == drawn[i - 1].split);
}

static void check_person(const struct scene *s, const struct item *t)
{
    bool cut = t->height > s->height;

    for (int i = 0; i < IMG_JOINTS; i++) {
        struct img_point p = t->joint[i];

        assert_true(isfinite(p.x) && isfinite(p.y));
        if (!cut) assert_true(p.x > 0 && p.x < s->width && p.y > 0 && p.y < s->height);
        if (!cut) assert_int_equal(t->seen[i], !t->back || i > 2);
    }
    if (cut) assert_false(t->seen[15] || t->seen[16]);        /* the feet */
    assert_true((t->joint[5].x > t->joint[6].x) == !t->back); /* the left shoulder is on our right */
}

static void check_shape(const struct scene *s, size_t i)
{
    const struct item *t = &s->items[i];
    double r = t->size / 2;

    assert_true(t->size > 11 && t->size < 39 && (t->large ? t->size > 27 : t->size < 16));
    assert_true(t->x > r && t->x < s->width - r && t->y > r && t->y < s->height - r);
    if (!t->large) assert_int_equal(t->texture, TEXTURE_PLAIN);
    for (size_t k = 0; k < i; k++) {
        const struct item *o = &s->items[k];

        if (o->kind == ITEM_SHAPE && o->behind != (int)i)
            assert_true(hypot(t->x - o->x, t->y - o->y) > r + o->size / 2);
        if (o->kind == ITEM_SHAPE && o->behind == (int)i) assert_true(t->color != o->color);
    }
}

/* Different values, and those of a pie are all of it. */
static void check_chart(const struct scene *s)
{
    const struct chart *c = &s->chart;
    int sum = 0;

    assert_int_equal(s->n_items, 1 + 2 * c->n);
    for (size_t i = 0; i < c->n; i++) {
        sum += c->value[i];
        assert_true(c->value[i] > 0);
        assert_int_equal(atoi(s->items[2 + 2 * i].text), c->value[i]);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(c->value[i], c->value[k]);
            assert_string_not_equal(s->items[1 + 2 * i].text, s->items[1 + 2 * k].text);
        }
    }
    if (c->kind == CHART_PIE) assert_int_equal(sum, 100);
}

static void test_sound(void **state)
{
    size_t kinds[SCENE_KIND_COUNT] = { 0 }, backs = 0, covered = 0, unseen = 0;
    struct scene s;

    (void)state;
    for (uint64_t i = 0; i < 4000; i++) {
        scene_draw(&s, 1, SPLIT_TRAIN, i, i % 2 == 1);
        kinds[s.kind]++;
        assert_true(s.n_items > 0 && s.n_items <= SCENE_ITEMS_MAX);
        assert_true(fmax(s.width, s.height) == SCENE_SIDE && fmin(s.width, s.height) >= 0.7 * SCENE_SIDE);
        if (s.kind == SCENE_CHART) check_chart(&s);
        for (size_t k = 0; k < s.n_items; k++) {
            const struct item *t = &s.items[k];

            if (t->kind == ITEM_SHAPE) check_shape(&s, k);
            if (t->kind == ITEM_PERSON) check_person(&s, t);
            if (t->kind == ITEM_TEXT) assert_true(strlen(t->text) > 0 && t->font_size >= 8);
            backs += t->kind == ITEM_PERSON && t->back;
            unseen += t->kind == ITEM_PERSON && !t->seen[16];
            covered += t->kind == ITEM_SHAPE && t->behind >= 0;
        }
    }
    for (int i = 0; i < SCENE_PAGE; i++) assert_true(kinds[i] > 200);
    assert_int_equal(kinds[SCENE_PAGE] + kinds[SCENE_LETTERS], 0);
    assert_true(backs > 50 && covered > 50 && unseen > 20);
}

static void check_letters(const struct scene *s)
{
    assert_int_equal(s->kind, SCENE_LETTERS);
    assert_int_equal(s->n_items, 64);
    for (size_t k = 0; k < s->n_items; k++) {
        assert_int_equal(strlen(s->items[k].text), 1);
        assert_true(fabs(s->items[k].x - 14 * ((double)(k % 8) + 0.5)) <= 7);
        assert_true(fabs(s->items[k].y - 14 * ((double)(k / 8) + 0.5)) <= 7);
    }
}

/* Pages and letters where they are asked for; and the other kinds alone. */
static void test_kinds(void **state)
{
    struct scene s;

    (void)state;
    for (uint64_t i = 0; i < 300; i++) {
        size_t letters = 0;

        scene_draw_of(&s, 1u << SCENE_PAGE, 1, SPLIT_TRAIN, i, false);
        assert_int_equal(s.kind, SCENE_PAGE);
        for (size_t k = 0; k < s.n_items; k++) {
            assert_int_equal(s.items[k].kind, ITEM_TEXT);
            letters += strlen(s.items[k].text);
        }
        assert_true(s.n_items >= 3 && letters >= 25);
        scene_draw_of(&s, 1u << SCENE_LETTERS, 1, SPLIT_TRAIN, i, false);
        check_letters(&s);
        scene_draw_of(&s, 1u << SCENE_WORDS | 1u << SCENE_CHART, 1, SPLIT_TRAIN, i, false);
        assert_true(s.kind == SCENE_WORDS || s.kind == SCENE_CHART);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
