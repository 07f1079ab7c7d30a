/* test_grounding.c - the vectors of the demo's description, our differences from it, persons, confidence,
 * hostile text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "image/draw.h"
#include "text/grounding.h"

static struct grounding parse(const char *text)
{
    struct grounding g;
    struct err e = { 0 };

    if (grounding_parse(&g, text, strlen(text), &e) != STATUS_OK) fail_msg("%s", e.text);
    return g;
}

/* Writes what was found as one line: phrase, color, parts with the text of their numbers' values. */
static void describe(const struct grounding *g, const char *text, char *out, size_t size)
{
    size_t i, k, n = 0;
    unsigned v;

    out[0] = '\0';
    for (i = 0; i < g->n_regions; i++) {
        const struct ground_region *r = &g->regions[i];

        n += (size_t)snprintf(out + n, size - n, "%s%.*s:%s", i > 0 ? " | " : "",
                              (int)(r->phrase.end - r->phrase.begin), text + r->phrase.begin,
                              img_color_names[r->color]);
        for (k = r->part_first; k < r->part_first + r->n_parts; k++) {
            assert_int_equal(g->parts[k].region, i);
            for (v = 0; v < g->parts[k].n_values; v++)
                n += (size_t)snprintf(out + n, size - n, "%c%g", v == 0 ? ' ' : ',',
                                      (double)g->parts[k].values[v]);
        }
    }
}

static const struct {
    const char *text, *want;
    size_t n_malformed;
} vectors[] = {
    /* the demo's, in reading order */
    { "<p>A dog</p>[0.10,0.20,0.30,0.40] next to <p>two cats</p> [0.50,0.60,0.70,0.80;0.11,0.12,0.13,0.14].",
      "A dog:blue 0.1,0.2,0.3,0.4 | two cats:red 0.5,0.6,0.7,0.8 0.11,0.12,0.13,0.14", 0 },
    { "[0.26,0.23,0.52,0.82]", ":red 0.26,0.23,0.52,0.82", 0 },
    { "[0.1,0.2,0.3,0.4] and [0.5,0.6,0.7,0.8] see [3]", ":blue 0.1,0.2,0.3,0.4 | :red 0.5,0.6,0.7,0.8", 1 },
    { "<p>a</p>[0.1,0.1,0.2,0.2] [0.3,0.3,0.4,0.4]", "a:red 0.1,0.1,0.2,0.2 | :blue 0.3,0.3,0.4,0.4", 0 },
    { "<p>nose</p>[0.5,0.25] <p>left eye</p>[0.52,0.24]", "nose:blue 0.5,0.25 | left eye:red 0.52,0.24", 0 },
    { "<p>only</p> text", "", 0 },
    { "", "", 0 },
    /* whole numbers and numbers without a leading or trailing digit count */
    { "[0,0.1,1,.5]", ":red 0,0.1,1,0.5", 0 },
    { "[0.0,0,1.,1.0]", ":red 0,0,1,1", 0 },
    { "[0.1 0.2\t0.3\n0.4]", ":red 0.1,0.2,0.3,0.4", 0 },
    { "[0.1.2]", ":red 0.1,0.2", 0 },
    { "[0.123456789012345678901234567890,0.25]", ":red 0.123457,0.25", 0 },
    /* values up to 1.05, no more */
    { "[0.5,1.05]", ":red 0.5,1.05", 0 },
    { "[0.5,1.06]", "", 1 },
    { "[640,480,10,20]", "", 1 },
    /* counts other than 2 and 4; a list counts if one of its parts does */
    { "[0.1,0.2,0.3]", "", 1 },
    { "[0.1,0.2,0.3,0.4,0.5]", "", 1 },
    { "[0.1,0.2,0.3;0.5,0.6]", ":red 0.5,0.6", 1 },
    { "[0.5,0.6;]", ":red 0.5,0.6", 0 },
    { "[] [;;] [.,]", "", 3 },
    /* not lists */
    { "[a] [0.1,0.2 [-0.1,0.2] [1e-1,0.2] 0.1,0.2] [[0.1,0.2]", ":red 0.1,0.2", 0 },
    /* corners the wrong way round */
    { "[0.9,0.8,0.1,0.2]", ":red 0.1,0.2,0.9,0.8", 0 },
    { "[0.1,0.8,0.9,0.2]", ":red 0.1,0.2,0.9,0.8", 0 },
    /* tags: the nearest <p>, on one line, directly before the list but for white space */
    { "<p>x</p> y <p>z</p>\n [0.1,0.2]", "z:red 0.1,0.2", 0 },
    { "<p>x <p>z</p>[0.1,0.2]", "z:red 0.1,0.2", 0 },
    { "<p>x\ny</p>[0.1,0.2]", ":red 0.1,0.2", 0 },
    { "<p>x [0.3,0.4] [3] y</p>[0.1,0.2]", "x [0.3,0.4] [3] y:red 0.1,0.2", 0 },
    { "<p>x [0.3,\n0.4] y</p>[0.1,0.2]", ":blue 0.3,0.4 | :red 0.1,0.2", 0 },
    { "<p>x</p>:[0.1,0.2]", ":red 0.1,0.2", 0 },
    { "<p></p>[0.1,0.2]", ":red 0.1,0.2", 0 },
    { "</p>[0.1,0.2]<p>", ":red 0.1,0.2", 0 },
    { "<p>x</p>[0.1,0.2,0.3]", "", 1 },
    /* colors go round: last to first, tagged before bare */
    { "[.1,.1] <p>a</p>[.2,.2] [.3,.3] <p>b</p>[.4,.4] <p>c</p>[.5,.5] [.6,.6]",
      ":red 0.1,0.1 | a:green 0.2,0.2 | :orange 0.3,0.3 | b:blue 0.4,0.4 | c:red 0.5,0.5 | :purple 0.6,0.6",
      0 },
};

static void test_vectors(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct grounding g = parse(vectors[i].text);
        char got[1024];

        describe(&g, vectors[i].text, got, sizeof got);
        if (strcmp(got, vectors[i].want) != 0)
            fail_msg("\"%s\": got \"%s\", want \"%s\"", vectors[i].text, got, vectors[i].want);
        if (g.n_malformed != vectors[i].n_malformed)
            fail_msg("\"%s\": %zu malformed, want %zu", vectors[i].text, g.n_malformed,
                     vectors[i].n_malformed);
        grounding_free(&g);
    }
}

static void expect_span(const char *text, struct span span, const char *want)
{
    assert_int_equal(span.end - span.begin, strlen(want));
    assert_memory_equal(text + span.begin, want, strlen(want));
}

static void test_spans(void **state)
{
    const char *text = "see <p>it</p> [0.9,.25; 0.1,1,0.2,0.3]!";
    struct grounding g = parse(text);

    (void)state;
    assert_int_equal(g.n_parts, 2);
    expect_span(text, g.regions[0].whole, "<p>it</p> [0.9,.25; 0.1,1,0.2,0.3]");
    expect_span(text, g.regions[0].phrase, "it");
    expect_span(text, g.regions[0].list, "[0.9,.25; 0.1,1,0.2,0.3]");
    assert_true(g.regions[0].tagged);
    expect_span(text, g.parts[0].numbers[0], "0.9");
    expect_span(text, g.parts[0].numbers[1], ".25");
    expect_span(text, g.parts[1].numbers[1], "0.3"); /* swapped with their values */
    expect_span(text, g.parts[1].numbers[3], "1");
    grounding_free(&g);
}

static void expect_joint(const struct grounding *g, size_t person, size_t joint, float x)
{
    int32_t part;

    assert_true(person < g->n_persons);
    part = g->persons[person].joints[joint];
    assert_true(part >= 0);
    assert_true(fabsf(g->parts[part].values[0] - x) < 1e-6f);
}

static void test_persons(void **state)
{
    struct grounding g =
        parse("<p>nose</p>[.1,.1] <p>left eye</p>[.2,.2] <p>hat</p>[.9,.9] <p>nose</p>[.3,.3] "
              "<p>right_ankle</p>[.4,.4] <p>nose</p>[.1,.1,.2,.2] [.5,.5]");

    (void)state;
    assert_int_equal(g.n_persons, 2);
    expect_joint(&g, 0, 0, 0.1f);
    expect_joint(&g, 0, 1, 0.2f);
    expect_joint(&g, 1, 0, 0.3f);
    expect_joint(&g, 1, 16, 0.4f);
    assert_int_equal(g.persons[0].joints[16], -1);
    assert_int_equal(g.persons[1].joints[1], -1);
    grounding_free(&g);

    /* joint by joint, a point for each person */
    g = parse("<p>nose</p>[.1,.1;.2,.2] <p>left_eye</p>[.3,.3;.4,.4] <p>nose</p>[.5,.5]");
    assert_int_equal(g.n_persons, 3);
    expect_joint(&g, 0, 0, 0.1f);
    expect_joint(&g, 1, 0, 0.2f);
    expect_joint(&g, 0, 1, 0.3f);
    expect_joint(&g, 1, 1, 0.4f);
    expect_joint(&g, 2, 0, 0.5f);
    grounding_free(&g);
}

/* The drawing of image/ has its own tables of the same joints and colors. */
static void test_same_joints_as_drawing(void **state)
{
    size_t joint;

    (void)state;
    assert_int_equal(GROUND_JOINT_COUNT, IMG_JOINTS);
    assert_int_equal(GROUND_COLOR_COUNT, IMG_COLORS);
    for (joint = 0; joint < GROUND_JOINT_COUNT; joint++) {
        char text[64];
        struct grounding g;

        snprintf(text, sizeof text, "<p>%s</p>[.5,.5]", img_joint_names[joint]);
        g = parse(text);
        assert_int_equal(g.n_persons, 1);
        expect_joint(&g, 0, joint, 0.5f);
        grounding_free(&g);
    }
}

static void test_confidence(void **state)
{
    /* tokens:            a  [  0  .  5  ,  0.25 ] */
    const char *text = "a[0.5,0.25]";
    const struct span spans[] = { { 0, 1 }, { 1, 2 }, { 2, 3 },  { 3, 4 },  { 4, 5 },
                                  { 5, 5 }, { 5, 6 }, { 6, 10 }, { 10, 11 } };
    const float logprobs[] = { -9.0f, -9.0f, -0.1f, -0.2f, -0.3f, -9.0f, -9.0f, -1.0f, -9.0f };
    struct grounding g = parse(text);
    struct ground_confidence c;

    (void)state;
    assert_int_equal(g.n_parts, 1);
    c = grounding_confidence(&g.parts[0], spans, logprobs, 9);
    assert_int_equal(c.n_tokens, 4);
    assert_true(fabsf(c.joint - expf(-1.6f)) < 1e-6f);
    assert_true(fabsf(c.mean - expf(-0.4f)) < 1e-6f);
    assert_true(fabsf(c.least - expf(-1.0f)) < 1e-6f);
    c = grounding_confidence(&g.parts[0], spans, logprobs, 2);
    assert_int_equal(c.n_tokens, 0);
    assert_true(c.joint == 0.0f);
    c = grounding_confidence(&g.parts[0], NULL, NULL, 0);
    assert_int_equal(c.n_tokens, 0);
    grounding_free(&g);
}

static void test_format(void **state)
{
    const float boxes[][4] = { { 0.123f, 0.456f, 0.789f, 1.0f }, { -0.5f, 0.0004f, 0.9996f, 7.0f } };
    char *text;
    struct grounding g;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(grounding_format(boxes, 1, &text, &e), STATUS_OK);
    assert_string_equal(text, "[0.123,0.456,0.789,1.000]");
    free(text);
    assert_int_equal(grounding_format(boxes, 2, &text, &e), STATUS_OK);
    assert_string_equal(text, "[0.123,0.456,0.789,1.000;0.000,0.000,1.000,1.000]");
    g = parse(text);
    assert_int_equal(g.n_parts, 2);
    grounding_free(&g);
    free(text);
    assert_int_equal(grounding_format(&(const float[4]){ 0, NAN, 0, 0 }, 1, &text, &e), STATUS_BAD_ARGUMENT);
    assert_string_equal(e.text, "coordinate 2 of box 1 is not a number");
    assert_null(text);
}

/* Four megabytes of each; anything worse than linear would take hours. */
static void test_hostile(void **state)
{
    static const char *const patterns[] = { "[",
                                            "<p>",
                                            "<p>[",
                                            "</p>",
                                            "[1",
                                            "[.1,.1]",
                                            "[.1,.1;",
                                            "<p></p>",
                                            "1",
                                            "<p>nose</p>[.1,.1]",
                                            "<p>[.1,.1]</p>",
                                            ";",
                                            "<p></p>[",
                                            " ",
                                            "<p>nose</p>[.1,.1;.1,.1]<p>left_eye</p>[.1,.1]" };
    const size_t size = 4 << 20;
    char *text = malloc(size);
    size_t i, k;

    (void)state;
    assert_non_null(text);
    for (i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        size_t n = strlen(patterns[i]);
        struct grounding g;
        clock_t start = clock();

        for (k = 0; k < size; k++) text[k] = patterns[i][k % n];
        assert_int_equal(grounding_parse(&g, text, size, NULL), STATUS_OK);
        grounding_free(&g);
        text[0] = '[';
        text[size - 1] = ']';
        assert_int_equal(grounding_parse(&g, text, size, NULL), STATUS_OK);
        grounding_free(&g);
        if (clock() - start > 30 * CLOCKS_PER_SEC) fail_msg("\"%s\" repeated takes too long", patterns[i]);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),    cmocka_unit_test(test_spans),
        cmocka_unit_test(test_persons),    cmocka_unit_test(test_same_joints_as_drawing),
        cmocka_unit_test(test_confidence), cmocka_unit_test(test_format),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
