/*
 * test_pictures.c - images of requests are decoded once, kept as long as there is room, and stay with who uses them.
 */
#include "serve/pictures.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 8, BYTES = SIDE * SIDE * 3, THREADS = 4, ROUNDS = 2000 };

/* A PPM file of one colour. */
struct file {
    char data[32 + BYTES];
    size_t size;
};

static struct file colored(int color)
{
    struct file f;
    int n = snprintf(f.data, sizeof f.data, "P6 %d %d 255\n", SIDE, SIDE);

    memset(f.data + n, color, BYTES);
    f.size = (size_t)n + BYTES;
    return f;
}

static struct picture *get(struct pictures *s, int color)
{
    struct file f = colored(color);
    struct problem p = { 0 };
    struct picture *picture = pictures_get(s, f.data, f.size, NULL, &p);

    if (picture == NULL) fail_msg("%s", p.message);
    return picture;
}

/* Whether it was kept: then it is the very same. */
static bool is_kept(struct pictures *s, int color, const struct picture *was)
{
    struct picture *picture = get(s, color);
    bool same = picture == was;

    picture_release(picture);
    return same;
}

static void test_kept(void **state)
{
    struct pictures *s = pictures_open(2 * BYTES);
    struct picture *a = get(s, 1), *b = get(s, 2), *c;
    int width, height;

    (void)state;
    assert_true(a != b);
    assert_int_equal(a->bytes, BYTES);
    assert_true(is_kept(s, 2, b));
    assert_true(is_kept(s, 1, a)); /* now the last asked for */
    c = get(s, 3);                 /* takes the room of b */
    assert_true(is_kept(s, 1, a));
    assert_true(is_kept(s, 3, c));
    assert_false(is_kept(s, 2, b));
    pictures_close(s);
    sphinx_image_size(b->image, &width, &height);
    assert_int_equal(width, SIDE);
    picture_release(a);
    picture_release(b);
    picture_release(c);
}

static void test_too_large(void **state)
{
    struct pictures *s = pictures_open(BYTES - 1);
    struct picture *a = get(s, 1), *b = get(NULL, 1);

    (void)state;
    assert_false(is_kept(s, 1, a));
    picture_release(a);
    picture_release(b);
    picture_release(NULL);
    pictures_close(s);
    pictures_close(NULL);
}

static void test_no_picture(void **state)
{
    struct pictures *s = pictures_open(BYTES);
    struct problem p = { 0 };

    (void)state;
    assert_null(pictures_get(s, "P6 8 8", 6, NULL, &p));
    assert_int_equal(p.status, 400);
    assert_string_equal(p.code, "invalid_image");
    pictures_close(s);
}

/* Each needs what the others throw out. */
static void *work(void *store)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct picture *picture = get(store, i % 5);

        assert_int_equal(picture->bytes, BYTES);
        picture_release(picture);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct pictures *s = pictures_open(3 * BYTES);
    pthread_t thread[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&thread[i], NULL, work, s), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    pictures_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_kept), cmocka_unit_test(test_too_large),
                                        cmocka_unit_test(test_no_picture), cmocka_unit_test(test_threads) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
