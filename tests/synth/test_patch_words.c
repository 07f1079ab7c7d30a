/* test_patch_words.c - what each cell of a picture shows is what was painted there. */
#include "support/scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "image/transform.h"
#include "synth/patches.h"

/* The words of the cell that holds the pixel (x, y). */
static void cell_words(const struct fixture *f, const char *patches, double x, double y, char *words,
                       size_t size)
{
    const struct image *im = &f->picture.im;
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    struct img_point p = img_square_from_pixels(&square, (struct img_point){ x, y });
    const char *text = strchr(patches, '"') + 1;

    for (int skip = 8 * (int)(8 * p.y) + (int)(8 * p.x); skip > 0; skip--)
        text = strchr(strchr(text, '"') + 1, '"') + 1;
    snprintf(words, size, "%.*s", (int)strcspn(text, "\""), text);
}

/* 64 texts, and the one in the middle of every shape that nothing covers begins with its shape and color. */
static void test_patches(void **state)
{
    struct fixture f;
    struct prose patches = { 0 };
    size_t n = 0, wrong = 0;
    char words[160], want[64];

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        size_t quotes = 0;

        next(&f);
        prose_clear(&patches);
        patches_write(&patches, &f.s, &f.picture);
        for (const char *c = prose_text(&patches); *c != '\0'; c++) quotes += *c == '"';
        assert_int_equal(quotes, 128);
        for (size_t k = 0; k < f.s.n_items; k++) {
            const struct item *t = &f.s.items[k];
            const double *box = f.picture.place[k].box;

            if (t->kind != ITEM_SHAPE || !t->large || t->behind >= 0) continue;
            cell_words(&f, prose_text(&patches), (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, words,
                       sizeof words);
            snprintf(want, sizeof want, "%s %s ", shape_names[t->shape], color_names[t->color]);
            n++;
            wrong += strncmp(words, want, strlen(want)) != 0;
        }
    }
    assert_true(n > 100);
    assert_true(wrong <= n / 50); /* a neighbor may cover more of the cell */
    prose_free(&patches);
    end(&f);
}

/* Of a page each letter is in one cell. */
static void test_letter_patches(void **state)
{
    struct prose patches = { 0 };
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < 50; i++) {
        size_t there = 0, told = 0;

        next_of(&f, 1u << SCENE_LETTERS | 1u << SCENE_PAGE);
        prose_clear(&patches);
        patches_write(&patches, &f.s, &f.picture);
        for (size_t k = 0; k < f.s.n_items; k++)
            for (const char *c = f.s.items[k].text; *c != '\0'; c++) there += *c != ' ';
        for (const char *c = prose_text(&patches); *c != '\0'; c++)
            told += *c == ' ' && c[1] != '"' && (c[2] == ' ' || c[2] == '"');
        assert_int_equal(told, there);
    }
    prose_free(&patches);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches),
        cmocka_unit_test(test_letter_patches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
