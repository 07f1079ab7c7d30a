/*
 * test_attention_api.c - /v1/attention: the library's map for the same dialogue, parts counted in characters, the picture, and what is refused.
 */
#include "support/servers.h"

#include <math.h>

#define MODEL "tests/data/tiny/llama_ens5"

static const char picture[] = "tests/data/images/scene.png";

/* A request about the picture, or without one, after one turn; rest: more fields. To be freed. */
static char *body_of(bool image, const char *rest)
{
    char *url = data_url(picture), *body = malloc(strlen(url) + strlen(rest) + 512);

    sprintf(body,
            "{\"messages\": [{\"role\": \"user\", \"content\": [%s%s%s{\"type\": \"text\", \"text\": "
            "\"Hello\"}]}, "
            "{\"role\": \"assistant\", \"content\": \"yes\"}, {\"role\": \"user\", \"content\": \"And "
            "now?\"}]%s}",
            image ? "{\"type\": \"image_url\", \"image_url\": {\"url\": \"" : "", image ? url : "",
            image ? "\"}}, " : "", rest);
    free(url);
    return body;
}

static json_t *look(int port, const char *rest)
{
    char *body = body_of(true, rest);
    json_t *o = post(port, "/v1/attention", body, 200);

    free(body);
    return o;
}

static void check_weights(json_t *o, const sphinx_attention *want)
{
    double all = 0;

    assert_int_equal(json_integer_value(json_at(o, "views")), want->views);
    assert_int_equal(json_integer_value(json_at(o, "side")), want->side);
    assert_int_equal(json_array_size(json_at(o, "weights")), want->views);
    for (int v = 0; v < want->views; v++) {
        const json_t *view = json_array_get(json_at(o, "weights"), (size_t)v);

        assert_int_equal(json_array_size(view), want->side * want->side);
        for (int i = 0; i < want->side * want->side; i++) {
            double got = json_number_value(json_array_get(view, (size_t)i));
            double expected = (double)want->weights[v * want->side * want->side + i];

            if (!(fabs(got - expected) <= 1e-3 * expected + 1e-6))
                fail_msg("%d, %d: %g, not %g", v, i, got, expected);
            all += got;
        }
    }
    assert_true(all > 0.01 && all < 1);
}

static void test_weights(void **state)
{
    sphinx_model_options precise = { .precise = true };
    sphinx_model *model = open_model(MODEL, &precise);
    sphinx_session *s = open_session(model, NULL, picture);
    struct serve_options options = server_options();
    struct server *server = open_server(model, &options);
    sphinx_attention *part, *whole;
    json_t *o;

    (void)state;
    assert_int_equal(sphinx_session_append(s, "Hello", "yes", NULL), SPHINX_OK);
    /* "\u00e4\u00e4 " takes 3 characters and 5 bytes */
    assert_int_equal(sphinx_session_attention_to(s, "And now?", "\u00e4\u00e4 red ball", 5, 8, &part, NULL),
                     SPHINX_OK);
    assert_int_equal(sphinx_session_attention_to(s, "And now?", "\u00e4\u00e4 red ball", 0, 13, &whole, NULL),
                     SPHINX_OK);
    o = look(serve_port(server), ", \"answer\": \"\u00e4\u00e4 red ball\", \"start\": 3, \"end\": 6");
    check_weights(o, part);
    assert_null(json_object_get(o, "picture"));
    json_decref(o);
    o = look(serve_port(server), ", \"answer\": \"\u00e4\u00e4 red ball\", \"picture\": true");
    check_weights(o, whole);
    assert_int_equal(strncmp(text_at(o, "picture"), "data:image/png;base64,iVBOR", 27), 0);
    json_decref(o);
    sphinx_attention_free(part);
    sphinx_attention_free(whole);
    serve_close(server);
    sphinx_session_close(s);
    sphinx_model_close(model);
}

static void check_refused(int port, bool image, const char *rest, const char *why)
{
    char *body = body_of(image, rest);

    refuses(port, "/v1/attention", body, 400, why);
    free(body);
}

static void test_refused(void **state)
{
    sphinx_model *model = open_model(MODEL, NULL);
    struct serve_options options = server_options();
    struct server *server = open_server(model, &options);
    int port = serve_port(server);

    (void)state;
    check_refused(port, false, ", \"answer\": \"x\"", "no image");
    check_refused(port, true, "", "answer is needed");
    check_refused(port, true, ", \"answer\": \"\"", "a part of the answer");
    check_refused(port, true, ", \"answer\": \"x\", \"start\": 1", "a part of the answer");
    check_refused(port, true, ", \"answer\": \"x\", \"start\": -1", "start");
    check_refused(port, true, ", \"answer\": \"x\", \"end\": \"1\"", "end");
    check_refused(port, true, ", \"answer\": \"x\", \"picture\": 1", "picture");
    refuses(port, "/v1/attention", "{\"answer\": \"x\"}", 400, "messages must be");
    serve_close(server);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_weights), cmocka_unit_test(test_refused) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
