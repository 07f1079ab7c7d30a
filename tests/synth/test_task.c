/*
 * test_task.c - questions have one right answer, the one that is given: phrases are read back by code of the test's own and held against the
 * scene; answers with places are read by the grammar that reads the model's.
 */
#include "support/scenes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "synth/task.h"
#include "text/grounding.h"

/* ---- phrases read back ----------------------------------------------------------------------------------------- */

static size_t index_of(const char *const *names, size_t n, const char *word)
{
    size_t i = 0;

    while (i < n && strcmp(names[i], word) != 0) i++;
    return i;
}

/* Whether every word of the phrase is true of the thing, and the noun is its. */
static bool fits(const char *phrase, const struct item *t)
{
    char text[128], *rest = text, *word;
    bool noun = false;

    snprintf(text, sizeof text, "%s", phrase);
    while ((word = strsep(&rest, " ")) != NULL) {
        size_t shape = index_of(shape_names, SHAPE_COUNT, word),
               color = index_of(color_names, COLOR_COUNT, word);
        size_t texture = index_of(texture_names, TEXTURE_COUNT, word);
        size_t shapes = index_of(shape_plurals, SHAPE_COUNT, word);

        if (shape == SHAPE_COUNT) shape = shapes;
        if (strcmp(word, "person") == 0 || strcmp(word, "people") == 0) {
            if (t->kind != ITEM_PERSON) return false;
            noun = true;
        } else if (shape < SHAPE_COUNT) {
            if (t->kind != ITEM_SHAPE || t->shape != shape) return false;
            noun = true;
        } else if (color < COLOR_COUNT) {
            if (t->color != color) return false;
        } else if (texture < TEXTURE_COUNT) {
            if (t->texture != texture) return false;
        } else if (strcmp(word, "large") == 0 || strcmp(word, "small") == 0) {
            if (t->kind != ITEM_SHAPE || t->large != (word[0] == 'l')) return false;
        } else if (strcmp(word, "in") != 0 && strncmp(word, "object", 6) != 0) {
            fail_msg("a word that the test does not know: %s in \"%s\"", word, phrase);
        }
        if (strncmp(word, "object", 6) == 0) noun = t->kind == ITEM_SHAPE;
    }
    return noun;
}

static size_t count(const struct scene *s, const char *phrase)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_items; i++) n += fits(phrase, &s->items[i]);
    return n;
}

/* What stands between two texts; false: the whole is not of this form. */
static bool between(const char *text, const char *before, const char *after, char *out)
{
    size_t n = strlen(text), a = strlen(before), b = strlen(after);

    if (n < a + b || strncmp(text, before, a) != 0 || strcmp(text + n - b, after) != 0) return false;
    snprintf(out, 128, "%.*s", (int)(n - a - b), text + a);
    return true;
}

/* ---- short questions ------------------------------------------------------------------------------------------- */

struct tally {
    const char *kind;
    size_t yes, no, all;
};

static struct tally *tally_of(struct tally *tally, const char *kind)
{
    size_t i = 0;

    while (tally[i].kind != NULL && strcmp(tally[i].kind, kind) != 0) i++;
    tally[i].kind = kind;
    return &tally[i];
}

static void check_question(const struct fixture *f)
{
    const char *question = prose_text(&f->q.question), *answer = prose_text(&f->q.answer);
    char phrase[128];

    if (f->s.kind != SCENE_OBJECTS && f->s.kind != SCENE_PEOPLE) return;
    if (between(question, "Is there a ", "?", phrase) || between(question, "Is there an ", "?", phrase))
        assert_string_equal(answer, count(&f->s, phrase) > 0 ? "yes" : "no");
    if (between(question, "How many ", " are there?", phrase))
        assert_int_equal(atoi(answer), count(&f->s, phrase));
    if (between(question, "What color is the ", "?", phrase) && strncmp(phrase, "shirt", 5) != 0) {
        char colored[160];

        assert_int_equal(count(&f->s, phrase), 1);
        snprintf(colored, sizeof colored, "%s %s", answer, phrase);
        assert_int_equal(count(&f->s, colored), 1);
    }
    if (between(question, "What shape is the ", " object?", phrase)) {
        char shaped[160];

        snprintf(shaped, sizeof shaped, "%s %s", phrase, answer);
        assert_int_equal(count(&f->s, shaped), 1);
        snprintf(shaped, sizeof shaped, "%s objects", phrase);
        assert_int_equal(count(&f->s, shaped), 1);
    }
}

/* Every kind is asked, and yes is right as often as no. */
static void test_questions(void **state)
{
    struct tally tally[32] = { 0 };
    struct fixture f;
    size_t kinds = 0, n = 0;

    (void)state;
    begin(&f);
    for (int i = 0; i < 5 * SCENES; i++) {
        next(&f);
        for (unsigned turn = 0; turn < task_rows[TASK_VQA].turns; turn++) {
            struct tally *t;

            if (!ask(&f, TASK_VQA, turn)) continue;
            assert_non_null(f.q.kind);
            assert_true(f.q.question.n > 0 && f.q.answer.n > 0);
            check_question(&f);
            n++;
            t = tally_of(tally, f.q.kind);
            t->all++;
            t->yes += strcmp(prose_text(&f.q.answer), "yes") == 0;
            t->no += strcmp(prose_text(&f.q.answer), "no") == 0;
        }
    }
    for (struct tally *t = tally; t->kind != NULL; t++, kinds++) {
        double asked = (double)(t->yes + t->no);

        assert_true(t->all > 30);
        if (asked > 0) assert_true(fabs((double)t->yes - asked / 2) < 3 * sqrt(asked) / 2 + 1);
    }
    assert_true(kinds >= 14 && n > 10 * SCENES);
    end(&f);
}

/* The choices differ, one of them is right, and what is written is as the task has it. Returns the right one. */
static size_t check_choices(const struct fixture *f, enum task task, struct prose *text)
{
    size_t right = (size_t)(prose_text(&f->q.answer)[0] - 'A');

    assert_int_equal(f->q.answer.n, 1);
    assert_true(right < CHOICES && f->q.choice[right] != NULL);
    for (int a = 0; a < CHOICES; a++) {
        for (int b = 0; b < a && f->q.choice[a] != NULL; b++)
            assert_string_not_equal(f->q.choice[a], f->q.choice[b]);
    }
    prose_clear(text);
    question_write_prompt(&f->q, task, text);
    assert_non_null(strstr(prose_text(text), prose_text(&f->q.question)));
    assert_non_null(strstr(prose_text(text), "\nA. "));
    prose_clear(text);
    question_write_answer(&f->q, task, text);
    assert_int_equal(strncmp(prose_text(text), "The answer is ", 14), 0);
    return right;
}

static void count_choices(enum task task)
{
    size_t letter[CHOICES] = { 0 }, n = 0;
    struct prose text = { 0 };
    struct fixture f;

    begin(&f);
    for (int i = 0; i < 2 * SCENES; i++) {
        char word[128];
        size_t right;

        next(&f);
        if (!ask(&f, task, 0)) continue;
        n++;
        right = check_choices(&f, task, &text);
        letter[right]++;
        if (task != TASK_PICK) continue;
        assert_true(between(prose_text(&f.q.question), "Which choice says ", "?", word));
        assert_string_equal(f.q.choice[right], word);
    }
    for (int i = 0; i < 3; i++) assert_true(letter[i] > n / 6);
    prose_free(&text);
    end(&f);
}

static void test_choices(void **state)
{
    (void)state;
    count_choices(TASK_CHOICE);
    count_choices(TASK_PICK);
}

static void test_statements(void **state)
{
    size_t yes = 0, n = 0;
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < 2 * SCENES; i++) {
        next(&f);
        if (!ask(&f, TASK_STATEMENT, 0)) continue;
        n++;
        yes += strcmp(prose_text(&f.q.answer), "true") == 0;
    }
    assert_true(n > SCENES / 2 && fabs((double)yes - (double)n / 2) < 3 * sqrt((double)n) / 2);
    end(&f);
}

/* The middle of the only thing that the phrase fits, along an axis, in pixels. */
static double middle(const struct fixture *f, const char *phrase, int axis)
{
    size_t i = 0;
    const double *box;

    assert_int_equal(count(&f->s, phrase), 1);
    while (!fits(phrase, &f->s.items[i])) i++;
    box = f->picture.place[i].box;
    return (box[axis] + box[axis + 2]) / 2;
}

/* The places told of, against what was painted. True: it was a question about places. */
static bool check_place(const struct fixture *f)
{
    static const struct {
        const char *middle, *after, *first;
        int axis;
    } forms[] = { { NULL, " in the left or in the right half of the image?", "left", 0 },
                  { NULL, " in the upper or in the lower half of the image?", "upper", 1 },
                  { " to the left or to the right of the ", "?", "left", 0 },
                  { " above or below the ", "?", "above", 1 } };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char both[128], *second;
        double limit;

        if (!between(prose_text(&f->q.question), "Is the ", forms[i].after, both)) continue;
        second = forms[i].middle != NULL ? strstr(both, forms[i].middle) : both;
        if (second == NULL) continue;
        if (second == both) {
            limit = (forms[i].axis == 0 ? f->picture.im.width : f->picture.im.height) / 2.0;
        } else {
            *second = '\0';
            limit = middle(f, second + strlen(forms[i].middle), forms[i].axis);
        }
        assert_int_equal(middle(f, both, forms[i].axis) < limit,
                         strcmp(prose_text(&f->q.answer), forms[i].first) == 0);
        return true;
    }
    return false;
}

/* "Is A to the left of B?", against what was painted. True: it was such a question. */
static bool check_relation(const struct fixture *f)
{
    static const struct {
        const char *between;
        int axis;
        bool before;
    } forms[] = { { " to the left of the ", 0, true },
                  { " to the right of the ", 0, false },
                  { " above the ", 1, true },
                  { " below the ", 1, false } };
    bool yes = strcmp(prose_text(&f->q.answer), "yes") == 0;
    char both[128], *second;

    if (!yes && strcmp(prose_text(&f->q.answer), "no") != 0) return false;
    if (!between(prose_text(&f->q.question), "Is the ", "?", both)) return false;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        second = strstr(both, forms[i].between);
        if (second == NULL) continue;
        *second = '\0';
        second += strlen(forms[i].between);
        assert_int_equal(
            (middle(f, both, forms[i].axis) < middle(f, second, forms[i].axis)) == forms[i].before, yes);
        return true;
    }
    return false;
}

/* Asks all questions of a task of lessons. */
static void count_lessons(enum task task, size_t *n, size_t *places, size_t *relations, size_t *yes)
{
    struct fixture f;

    *n = *places = *relations = *yes = 0;
    begin(&f);
    for (int i = 0; i < 2 * SCENES; i++) {
        next(&f);
        for (unsigned turn = 0; turn < task_rows[task].turns; turn++) {
            if (!ask(&f, task, turn)) continue;
            ++*n;
            check_question(&f);
            *places += check_place(&f);
            *relations += check_relation(&f);
            *yes += strcmp(prose_text(&f.q.answer), "yes") == 0;
        }
    }
    end(&f);
}

static void test_lessons(void **state)
{
    size_t n, places, relations, yes;

    (void)state;
    count_lessons(TASK_LESSON, &n, &places, &relations, &yes);
    assert_true(places > n / 6 && places < n / 2 && relations == 0);
    assert_true(yes > (n - places) * 2 / 5 && yes < (n - places) * 3 / 5);
    count_lessons(TASK_RELATE, &n, &places, &relations, &yes);
    assert_true(n > SCENES && places + relations == n && relations > n / 3 && relations < n * 2 / 3);
    assert_true(yes > relations * 2 / 5 && yes < relations * 3 / 5);
}

/* ---- places ---------------------------------------------------------------------------------------------------- */

/* Whether the part is the box, in pixels, to half of the last decimal. */
static bool is_box(const struct fixture *f, const struct ground_part *part, const double *box)
{
    const struct image *im = &f->picture.im;
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);

    for (int i = 0; i < 2; i++) {
        struct img_point corner = { part->values[2 * i], part->values[2 * i + 1] };
        struct img_point p = img_square_to_pixels(&square, corner);

        if (fabs(p.x - box[2 * i]) > 0.0051 * square.side ||
            fabs(p.y - box[2 * i + 1]) > 0.0051 * square.side)
            return false;
    }
    return true;
}

static void check_box(const struct fixture *f, const struct ground_part *part, const double *box)
{
    assert_true(is_box(f, part, box));
}

/* The phrase means one thing, and the box is its. */
static void check_referring(const struct fixture *f)
{
    const char *phrase = prose_text(&f->q.question);
    struct grounding g;
    struct err e = { 0 };

    if (strchr(phrase, '"') == NULL) {
        assert_int_equal(count(&f->s, phrase), 1);
        assert_true(fits(phrase, &f->s.items[f->q.subject]));
    } else {
        assert_non_null(strstr(phrase, f->s.items[f->q.subject].text));
    }
    assert_int_equal(grounding_parse(&g, prose_text(&f->q.answer), f->q.answer.n, &e), STATUS_OK);
    assert_true(g.n_regions == 1 && g.n_parts == 1 && g.parts[0].n_values == 4 && g.n_malformed == 0);
    check_box(f, &g.parts[0], f->picture.place[f->q.subject].box);
    grounding_free(&g);
}

/* How many questions, and how many of one word for a shape ("red object", "ring") or a person. */
static size_t count_referring(enum task task, size_t *short_ones)
{
    struct fixture f;
    size_t n = 0;

    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next(&f);
        for (unsigned turn = 0; turn < task_rows[task].turns; turn++) {
            const char *phrase;

            if (!ask(&f, task, turn)) continue;
            n++;
            check_referring(&f);
            phrase = prose_text(&f.q.question);
            *short_ones += strchr(phrase, ' ') == NULL || strstr(phrase, " object") != NULL;
        }
    }
    end(&f);
    return n;
}

static void test_referring(void **state)
{
    size_t short_ones = 0, n = count_referring(TASK_REC, &short_ones);

    (void)state;
    assert_true(n > SCENES && short_ones < n / 5);
    short_ones = 0;
    n = count_referring(TASK_FIND, &short_ones);
    assert_true(n > 2 * SCENES && short_ones > n / 3);
}

/* How many boxes a task's answer must have; 0: it may not be asked. */
static size_t boxes_of(const struct scene *s, enum task task)
{
    size_t texts = 0;

    for (size_t i = 0; i < s->n_items; i++) texts += s->items[i].kind == ITEM_TEXT;
    if (task == TASK_TEXT_DETECTION) return texts;
    if (task == TASK_GROUNDED_CAPTION) return s->n_items;
    return s->n_items - texts;
}

static void check_boxes(enum task task)
{
    struct fixture f;
    size_t n = 0;

    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        struct grounding g;
        struct err e = { 0 };

        next(&f);
        if (!ask(&f, task, 0)) continue;
        n++;
        assert_int_equal(grounding_parse(&g, prose_text(&f.q.answer), f.q.answer.n, &e), STATUS_OK);
        assert_int_equal(g.n_malformed, 0);
        assert_int_equal(g.n_parts, boxes_of(&f.s, task));
        for (size_t k = 0; k < g.n_parts; k++) assert_int_equal(g.parts[k].n_values, 4);
        for (size_t k = 0; k < g.n_regions; k++) assert_true(g.regions[k].tagged);
        grounding_free(&g);
    }
    assert_true(n > SCENES / 5);
    end(&f);
}

static void test_detection(void **state)
{
    (void)state;
    check_boxes(TASK_DET_ALL);
    check_boxes(TASK_TEXT_DETECTION);
    check_boxes(TASK_GROUNDED_CAPTION);
}

/* All of a category, from left to right. */
/* The part is the box of a thing that the phrase fits. */
static bool is_listed(const struct fixture *f, const struct ground_part *part, const char *phrase)
{
    for (size_t i = 0; i < f->s.n_items; i++)
        if (fits(phrase, &f->s.items[i]) && is_box(f, part, f->picture.place[i].box)) return true;
    return false;
}

/* All that the question's words fit, from the left. Returns how many of the scene's things they leave out. */
static size_t check_list(const struct fixture *f)
{
    const char *phrase = prose_text(&f->q.question);
    size_t index[SCENE_ITEMS_MAX], n;
    struct grounding g;
    struct err e = { 0 };

    assert_int_equal(grounding_parse(&g, prose_text(&f->q.answer), f->q.answer.n, &e), STATUS_OK);
    n = g.n_parts;
    assert_int_equal(n, count(&f->s, phrase));
    for (size_t k = 0; k < n; k++) {
        assert_true(is_listed(f, &g.parts[k], phrase));
        if (k > 0) assert_true(g.parts[k - 1].values[0] <= g.parts[k].values[0]);
    }
    grounding_free(&g);
    return scene_things(&f->s, index) - n;
}

static void test_category(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next(&f);
        if (ask(&f, TASK_DET, 0)) check_list(&f);
    }
    end(&f);
}

/* Of a name, of a color, of both; many leave something out. */
static void test_lists(void **state)
{
    size_t n = 0, partial = 0, colors = 0;
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next_of(&f, 1u << SCENE_OBJECTS | 1u << SCENE_PEOPLE);
        for (unsigned turn = 0; turn < task_rows[TASK_LIST].turns; turn++) {
            if (!ask(&f, TASK_LIST, turn)) continue;
            n++;
            partial += check_list(&f) > 0;
            colors += strstr(prose_text(&f.q.question), " objects") != NULL;
        }
    }
    assert_true(n > 3 * SCENES && partial > n / 2 && colors > n / 6);
    end(&f);
}

static void test_poses(void **state)
{
    struct fixture f;
    size_t n = 0;

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next(&f);
        for (unsigned turn = 0; turn < task_rows[TASK_POSE].turns; turn++) {
            const struct item *t;
            struct grounding g;
            struct err e = { 0 };

            if (!ask(&f, TASK_POSE, turn)) continue;
            n++;
            t = &f.s.items[f.q.subject];
            assert_int_equal(grounding_parse(&g, prose_text(&f.q.answer), f.q.answer.n, &e), STATUS_OK);
            assert_int_equal(g.n_persons, 1);
            for (int joint = 0; joint < GROUND_JOINT_COUNT; joint++)
                assert_int_equal(g.persons[0].joints[joint] >= 0, t->seen[joint]);
            grounding_free(&g);
        }
    }
    assert_true(n > SCENES / 8);
    end(&f);
}

/* What a table says is what the chart's texts say. */
static void test_charts(void **state)
{
    struct fixture f;
    size_t n = 0;

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        const char *line;

        next(&f);
        assert_int_equal(ask(&f, TASK_CHART, 0), f.s.kind == SCENE_CHART);
        if (f.s.kind != SCENE_CHART) continue;
        n++;
        line = prose_text(&f.q.answer);
        assert_int_equal(strncmp(line, f.s.items[0].text, strlen(f.s.items[0].text)), 0);
        for (size_t k = 0; k < f.s.chart.n; k++) {
            char want[64];

            line = strchr(line, '\n');
            assert_non_null(line);
            snprintf(want, sizeof want, "\n%s | %s", f.s.items[1 + 2 * k].text, f.s.items[2 + 2 * k].text);
            assert_int_equal(strncmp(line, want, strlen(want)), 0);
            line++;
        }
        assert_null(strchr(line, '\n'));
    }
    assert_true(n > SCENES / 20);
    end(&f);
}

/* ---- letters --------------------------------------------------------------------------------------------------- */

/* Whether the answer's n letters, a space between two, are those of the text from `first` on, and the box is theirs. */
static bool spells(const struct fixture *f, size_t item, size_t first, size_t n,
                   const struct ground_part *box)
{
    const struct place *place = &f->picture.place[item];
    double whole[4] = { 1e9, 1e9, -1e9, -1e9 };

    for (size_t i = 0; i < n; i++) {
        if (f->s.items[item].text[first + i] != prose_text(&f->q.answer)[2 * i]) return false;
        for (int k = 0; k < 4; k++) {
            double edge = place->letter[first + i][k];

            whole[k] = k < 2 ? fmin(whole[k], edge) : fmax(whole[k], edge);
        }
    }
    return is_box(f, box, whole);
}

static size_t count_spelled(const struct fixture *f, const struct ground_part *box)
{
    size_t n = (f->q.answer.n + 1) / 2, found = 0;

    for (size_t k = 0; k < f->s.n_items; k++) {
        if (f->s.items[k].kind != ITEM_TEXT) continue;
        for (size_t first = 0; first + n <= strlen(f->s.items[k].text); first++)
            found += spells(f, k, first, n, box);
    }
    return found;
}

/* The letters of a part of a word, one by one, and the box of just these. */
static void test_spelling(void **state)
{
    size_t longest = 0;
    struct fixture f;

    (void)state;
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next_of(&f, i % 2 == 0 ? 1u << SCENE_LETTERS | 1u << SCENE_PAGE
                               : 1u << SCENE_WORDS | 1u << SCENE_DOCUMENT);
        for (unsigned turn = 0; turn < task_rows[TASK_SPELL].turns; turn++) {
            struct grounding g;
            struct err e = { 0 };

            assert_true(ask(&f, TASK_SPELL, turn));
            assert_int_equal(grounding_parse(&g, prose_text(&f.q.question), f.q.question.n, &e), STATUS_OK);
            assert_int_equal(g.n_parts, 1);
            assert_int_equal(count_spelled(&f, &g.parts[0]), 1);
            grounding_free(&g);
            longest = f.q.answer.n > longest ? f.q.answer.n : longest;
        }
    }
    assert_int_equal(longest, 11); /* a whole word of six letters */
    end(&f);
}

/* Each task is there and finds questions; prompts hold them. */
static void test_tasks(void **state)
{
    size_t n[TASK_COUNT] = { 0 };
    struct prose text = { 0 };
    struct fixture f;

    (void)state;
    assert_int_equal(task_find("no such task"), TASK_COUNT);
    begin(&f);
    for (int i = 0; i < SCENES; i++) {
        next(&f);
        for (enum task task = 0; task < TASK_COUNT; task++) {
            assert_int_equal(task_find(task_rows[task].name), task);
            if (!ask(&f, task, 0)) continue;
            n[task]++;
            prose_clear(&text);
            question_write_prompt(&f.q, task, &text);
            if (f.q.question.n > 0) assert_non_null(strstr(prose_text(&text), prose_text(&f.q.question)));
            assert_null(strchr(prose_text(&text), '{'));
            assert_true(f.q.answer.n > 0 && f.q.answer.n < 900);
        }
    }
    for (enum task task = 0; task < TASK_COUNT; task++) assert_true(n[task] > SCENES / 20);
    prose_free(&text);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions), cmocka_unit_test(test_choices),   cmocka_unit_test(test_statements),
        cmocka_unit_test(test_referring), cmocka_unit_test(test_detection), cmocka_unit_test(test_category),
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_poses),     cmocka_unit_test(test_charts),
        cmocka_unit_test(test_tasks),     cmocka_unit_test(test_lessons),   cmocka_unit_test(test_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
