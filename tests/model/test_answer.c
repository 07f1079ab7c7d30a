/*
 * test_answer.c - from an answer's text to boxes, points and people in pixels, as JSON and as a picture. The texts are put through the
 * tokenizer and the stream as generated ones are; their log-probabilities are made up.
 */
#include "support/scratch.h"

#include "core/file.h"
#include "image/image.h"
#include "model/session.h"
#include "text/stream.h"

#include <jansson.h>
#include <math.h>

static sphinx_model *model;
static sphinx_session *session;

/* scene.png is 131 wide and 94 high: the square has side 131 and begins 18 pixels above the picture. */
enum { WIDTH = 131, HEIGHT = 94, TOP = 18 };

static int setup(void **state)
{
    const char *path = "tests/data/tiny/llama_ens";

    (void)state;
    if (sphinx_model_open(&model, &path, 1, NULL, NULL) != SPHINX_OK) return -1;
    if (sphinx_session_open(&session, model, NULL, NULL) != SPHINX_OK) return -1;
    return sphinx_session_image_file(session, "tests/data/images/scene.png", NULL) != SPHINX_OK;
}

static int teardown(void **state)
{
    (void)state;
    sphinx_session_close(session);
    sphinx_model_close(model);
    return 0;
}

/* The answer that says `text`, each token with log-probability -0.1. */
static sphinx_answer *say(const char *text)
{
    struct answer_facts facts = { .prompt_tokens = 3, .finish = SPHINX_FINISH_STOP, .seconds_prefill = 0.5 };
    struct stream_piece piece;
    sphinx_answer *answer;
    struct stream stream;
    struct err e = { 0 };
    float logprobs[1000];
    int32_t *ids;
    size_t n;

    assert_int_equal(tok_encode(model->tokenizer, text, strlen(text), 0, &ids, &n, &e), STATUS_OK);
    assert_true(n <= 1000);
    assert_int_equal(stream_init(&stream, model->tokenizer, NULL, 0, n, &e), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        logprobs[i] = -0.1f;
        assert_int_equal(stream_put(&stream, ids[i], &piece, &e), STATUS_OK);
    }
    assert_int_equal(stream_end(&stream, &piece, &e), STATUS_OK);
    assert_int_equal(answer_make(&answer, session, &stream, ids, logprobs, n, &facts, &e), STATUS_OK);
    assert_string_equal(answer->text, text);
    stream_free(&stream);
    free(ids);
    return answer;
}

static void assert_numbers(const double *got, const double *want, int n)
{
    for (int i = 0; i < n; i++) {
        if (!(fabs(got[i] - want[i]) < 1e-6)) fail_msg("number %d is %g, expected %g", i, got[i], want[i]);
    }
}

static void test_boxes(void **state)
{
    static const double dog[4] = { 0.25 * WIDTH, 0.5 * WIDTH - TOP, 0.5 * WIDTH, 0.75 * WIDTH - TOP };
    static const double cut[4] = { 0, 0, WIDTH, HEIGHT }, square[4] = { 0, 0, 1, 1 };
    sphinx_answer *a = say("<p>a dog</p>[0.250,0.500,0.500,0.750] on [0,0,1.0,1.000] and [1,2,3]");

    (void)state;
    assert_int_equal(a->n_boxes, 2);
    assert_int_equal(a->n_points, 0);
    assert_int_equal(a->malformed, 1);
    assert_string_equal(a->boxes[0].label, "a dog");
    assert_string_equal(a->boxes[1].label, "");
    assert_numbers(a->boxes[0].box, dog, 4);
    assert_numbers(a->boxes[1].box, cut, 4); /* clamped to the picture */
    assert_numbers(a->boxes[1].square, square, 4);
    assert_int_equal(a->boxes[0].color, 0); /* tagged ones first, from the last: red; then bare ones */
    assert_int_equal(a->boxes[1].color, 1);
    /* Each of the 20 characters of the four numbers is a token of its own: e^-2, the commas not counted. */
    assert_true(fabs(a->boxes[0].confidence - exp(-2.0)) < 1e-5);
    assert_true(a->boxes[1].confidence > a->boxes[0].confidence);
    sphinx_answer_free(a);
}

/* Phrases with what they point at; the same for a text that nobody generated. */
static void test_regions(void **state)
{
    static const char text[] = "see <p>a dog</p>[0.250,0.500,0.500,0.750;0.1,0.2] and [0.1,0.1,0.2,0.2]";
    sphinx_answer *a = say(text), *given;
    sphinx_image *image;
    unsigned char *data, *png;
    struct err e = { 0 };
    size_t size;

    (void)state;
    assert_int_equal(a->n_regions, 2);
    assert_string_equal(a->regions[0].label, "a dog");
    assert_int_equal(a->regions[0].text.begin, 4);
    assert_memory_equal(text + a->regions[0].text.end, " and", 4);
    assert_int_equal(a->regions[0].n_boxes, 1);
    assert_int_equal(a->regions[0].n_points, 1);
    assert_int_equal(a->regions[1].box_first, 1);
    assert_int_equal(a->regions[1].n_points, 0);

    assert_int_equal(file_read("tests/data/images/scene.png", 1 << 20, &data, &size, &e), STATUS_OK);
    assert_int_equal(sphinx_image_open(&image, data, size, "scene", NULL, NULL), SPHINX_OK);
    assert_int_equal(sphinx_answer_read(&given, image, text, NULL), SPHINX_OK);
    assert_int_equal(given->n_regions, 2);
    assert_int_equal(given->n_tokens, 0);
    assert_numbers(given->boxes[1].box, a->boxes[1].box, 4);
    assert_true(given->boxes[0].confidence == 0);
    assert_int_equal(sphinx_answer_png(image, given, false, &png, &size, NULL), SPHINX_OK);
    assert_memory_equal(png, "\x89PNG", 4);
    sphinx_free(png);
    sphinx_answer_free(given);
    assert_int_equal(sphinx_answer_read(&given, image, "\xff", NULL), SPHINX_BAD_ARGUMENT);
    sphinx_image_close(image);
    free(data);
    sphinx_answer_free(a);
}

static void test_people(void **state)
{
    sphinx_answer *a =
        say("<p>nose</p>[0.5,0.25]<p>left eye</p>[0.52,0.24]<p>nose</p>[0.7,0.3]<p>tail</p>[0.1,0.2]");

    (void)state;
    assert_int_equal(a->n_points, 4);
    assert_int_equal(a->points[0].person, 0);
    assert_int_equal(a->points[1].person, 0);
    assert_int_equal(a->points[2].person, 1);
    assert_int_equal(a->points[3].person, -1);
    assert_true(fabs(a->points[0].point[1] - (0.25 * WIDTH - TOP)) < 1e-6);
    sphinx_answer_free(a);
}

static void test_json(void **state)
{
    sphinx_answer *a = say("<p>a \"dog\"</p>[0.123,0.456,0.789,1.000] <p>nose</p>[0.5,0.25]");
    char *text = sphinx_answer_json(a);
    json_error_t problem;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &problem), *box;

    (void)state;
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "text")), a->text);
    assert_int_equal(json_array_size(json_object_get(o, "tokens")), a->n_tokens);
    assert_int_equal(json_integer_value(json_object_get(o, "prompt_tokens")), 3);
    assert_string_equal(json_string_value(json_object_get(o, "finish_reason")), "stop");
    box = json_array_get(json_object_get(o, "boxes"), 0);
    assert_string_equal(json_string_value(json_object_get(box, "label")), "a \"dog\"");
    assert_string_equal(json_string_value(json_object_get(box, "color")), "blue");
    assert_non_null(strstr(text, "\"square\": [0.123, 0.456, 0.789, 1.0]")); /* as the model wrote it */
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_object_get(o, "points"), 0), "person")), 0);
    assert_true(json_real_value(json_object_get(json_object_get(o, "timings"), "prefill")) == 0.5);
    json_decref(o);
    sphinx_free(text);
    sphinx_answer_free(a);
}

static void assert_pixel(const struct image *im, int x, int y, int r, int g, int b)
{
    const unsigned char *p = im->rgb + 3 * (y * im->width + x);

    if (p[0] != r || p[1] != g || p[2] != b) fail_msg("pixel %d,%d is %d,%d,%d", x, y, p[0], p[1], p[2]);
}

static void test_draw(void **state)
{
    sphinx_answer *a = say("<p>a dog</p>[0.25,0.5,0.5,0.75] [0.6,0.3,0.9,0.5]");
    struct image im = { 0 }, original = { 0 };
    struct scratch scratch;
    sphinx_error error;
    struct err e = { 0 };
    const char *path;

    (void)state;
    scratch_open(&scratch);
    path = scratch_path(&scratch, "drawn.png");
    assert_int_equal(sphinx_answer_draw(session, a, path, false, &error), SPHINX_OK);
    assert_int_equal(img_read(&im, path, NULL, &e), STATUS_OK);
    assert_int_equal(img_read(&original, "tests/data/images/scene.png", NULL, &e), STATUS_OK);
    assert_true(im.width == WIDTH && im.height == HEIGHT);
    assert_pixel(&im, 50, (int)(0.5 * WIDTH) - TOP, 255, 0, 0);  /* upper edge of the dog, red */
    assert_pixel(&im, 100, (int)(0.3 * WIDTH) - TOP, 0, 0, 255); /* upper edge of the bare box, blue */
    assert_memory_equal(im.rgb, original.rgb, 3 * WIDTH);        /* the first row is untouched */
    img_free(&im);
    img_free(&original);
    scratch_close(&scratch);
    sphinx_answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_boxes), cmocka_unit_test(test_regions),
                                        cmocka_unit_test(test_people), cmocka_unit_test(test_json),
                                        cmocka_unit_test(test_draw) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
