/*
 * test_chat_request.c - requests in OpenAI's form as inquiries: dialogues, images, how to sample, and what is refused.
 */
#include "support/servers.h"

#include "serve/chat_request.h"

static struct request_rules rules = { .max_tokens = 100, .seed_given = true, .media_path = NULL };

static bool read_body(struct chat_request *r, const char *body, struct problem *p)
{
    *p = (struct problem){ 0 };
    rules.ask = sphinx_ask_options_default();
    return chat_request_read(r, body, strlen(body), &rules, p);
}

static void reads(struct chat_request *r, const char *body)
{
    struct problem p;

    if (!read_body(r, body, &p)) fail_msg("%s", p.message);
}

static void is_refused(const char *body, const char *param, const char *code, const char *part)
{
    struct chat_request r;
    struct problem p;

    assert_false(read_body(&r, body, &p));
    assert_int_equal(p.status, 400);
    assert_string_equal(p.param, param);
    if (strstr(p.message, part) == NULL) fail_msg("'%s' is not in: %s", part, p.message);
    if (code == NULL)
        assert_null(p.code);
    else
        assert_string_equal(p.code, code);
}

#define USER         "{\"role\": \"user\", \"content\": \"Hi\"}"
#define WITH(fields) "{\"messages\": [" USER "], " fields "}"

static void test_dialogue(void **state)
{
    struct chat_request r;

    (void)state;
    reads(&r,
          "{\"messages\": [{\"role\": \"developer\", \"content\": [{\"type\": \"text\", \"text\": \"a\"}]},"
          "{\"role\": \"system\", \"content\": \"b\"}, {\"role\": \"assistant\", \"content\": null},"
          "{\"role\": \"user\", \"content\": \"c\"}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", "
          "\"text\": "
          "\"d\"}, {\"type\": \"text\", \"text\": \"e\"}]}, {\"role\": \"assistant\", \"content\": \"f\"},"
          "{\"role\": \"assistant\", \"content\": \"g\"}, {\"role\": \"user\", \"content\": \"\"}]}");
    assert_string_equal(r.inquiry.system, "a\nb");
    assert_int_equal(r.inquiry.n_turns, 2);
    assert_string_equal(r.inquiry.turns[0].question, "");
    assert_string_equal(r.inquiry.turns[0].answer, "");
    assert_string_equal(r.inquiry.turns[1].question, "c\nd\ne");
    assert_string_equal(r.inquiry.turns[1].answer, "f\ng");
    assert_string_equal(r.inquiry.question, "");
    assert_null(r.inquiry.image);
    chat_request_free(&r);
}

static void test_fields(void **state)
{
    struct chat_request r;

    (void)state;
    reads(
        &r,
        WITH("\"temperature\": 1, \"top_p\": null, \"max_completion_tokens\": 7, \"seed\": -3, \"stop\": "
             "[\"x\", "
             "\"yz\"], \"stream\": true, \"stream_options\": {\"include_usage\": true}, \"logprobs\": true, "
             "\"top_logprobs\": 4, \"user\": \"u\", \"tools\": [], \"n\": 1, \"presence_penalty\": 0, "
             "\"response_format\": {\"type\": \"text\"}, \"store\": true, \"modalities\": [\"text\"]"));
    assert_true(r.stream && r.usage && r.logprobs && r.inquiry.tokens);
    assert_true(r.inquiry.ask.temperature == 1.0f);
    assert_true(r.inquiry.ask.top_p == 0.75f);
    assert_int_equal(r.inquiry.ask.max_tokens, 7);
    assert_int_equal(r.inquiry.ask.n_top, 4);
    assert_true(r.inquiry.ask.seed == (uint64_t)-3);
    assert_int_equal(r.inquiry.ask.n_stop, 2);
    assert_string_equal(r.inquiry.stops[1], "yz");
    chat_request_free(&r);
    reads(&r, WITH("\"max_tokens\": -1"));
    assert_int_equal(r.inquiry.ask.max_tokens, 100);
    chat_request_free(&r);
    reads(&r, WITH("\"max_tokens\": 1000"));
    assert_int_equal(r.inquiry.ask.max_tokens, 100);
    chat_request_free(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    is_refused("", "", NULL, "no body");
    is_refused("{\"messages\": [\xff]}", "", NULL, "not JSON");
    is_refused("{}", "messages", NULL, "list of messages");
    is_refused("{\"messages\": []}", "messages", NULL, "list of messages");
    is_refused("{\"messages\": [1]}", "messages", NULL, "message 0");
    is_refused("{\"messages\": [" USER ", {\"role\": \"tool\", \"content\": \"x\"}]}", "messages", NULL,
               "message 1");
    is_refused("{\"messages\": [" USER ", {\"role\": \"system\", \"content\": \"x\"}]}", "messages", NULL,
               "before");
    is_refused("{\"messages\": [" USER ", {\"role\": \"assistant\", \"content\": \"x\"}]}", "messages", NULL,
               "last message");
    is_refused("{\"messages\": [{\"role\": \"user\", \"content\": 7}]}", "messages", NULL, "content must be");
    is_refused("{\"messages\": [{\"role\": \"user\", \"content\": [7]}]}", "messages", NULL,
               "an object with a type");
    is_refused("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]}", "messages",
               NULL, "no text");
    is_refused("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"input_audio\"}]}]}",
               "messages", "unsupported_parameter", "input_audio");
    is_refused(WITH("\"temperature\": -1"), "temperature", NULL, "from 0 to 100");
    is_refused(WITH("\"temperature\": \"1\""), "temperature", NULL, "a number");
    is_refused(WITH("\"top_p\": 1.5"), "top_p", NULL, "from 0 to 1");
    is_refused(WITH("\"max_tokens\": 0"), "max_tokens", NULL, "1 or more");
    is_refused(WITH("\"max_tokens\": 1.5"), "max_tokens", NULL, "whole");
    is_refused(WITH("\"seed\": 1e400"), "", NULL, "not JSON");
    is_refused(WITH("\"stop\": \"\""), "stop", NULL, "not empty");
    is_refused(WITH("\"stop\": [1]"), "stop", NULL, "not empty");
    is_refused(WITH("\"stream\": 1"), "stream", NULL, "true or false");
    is_refused(WITH("\"top_logprobs\": 2"), "top_logprobs", NULL, "needs logprobs");
    is_refused(WITH("\"logprobs\": true, \"top_logprobs\": 21"), "top_logprobs", NULL, "to 20");
    is_refused(WITH("\"n\": 2"), "n", "unsupported_parameter", "one answer");
    is_refused(WITH("\"tools\": [{}]"), "tools", "unsupported_parameter", "tools");
    is_refused(WITH("\"frequency_penalty\": 0.5"), "frequency_penalty", "unsupported_parameter", "frequency");
    is_refused(WITH("\"logit_bias\": {\"1\": 5}"), "logit_bias", "unsupported_parameter", "logit_bias");
    is_refused(WITH("\"response_format\": {\"type\": \"xml\"}"), "response_format", NULL, "json_object");
    is_refused(WITH("\"response_format\": {\"type\": \"json_schema\"}"), "response_format", NULL,
               "json_schema");
    is_refused(WITH("\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"schema\": "
                    "{\"type\": \"integer\", "
                    "\"minimum\": 3}}}"),
               "response_format", NULL, "minimum");
    is_refused(WITH("\"grammar\": \"root ::= other\""), "grammar", NULL, "no rule of this name");
    is_refused(WITH("\"modalities\": [\"text\", \"audio\"]"), "modalities", "unsupported_parameter", "text");
}

static void test_forms(void **state)
{
    struct chat_request r;
    struct problem p = { 0 };
    static const char text[] = "{\"prompt\": [\"Once\"], \"logprobs\": 0, \"echo\": true}";

    (void)state;
    reads(&r, WITH("\"response_format\": {\"type\": \"json_object\"}"));
    assert_string_equal(r.inquiry.schema, "{\"type\": \"object\"}");
    chat_request_free(&r);
    reads(&r, WITH("\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", "
                   "\"schema\": {\"enum\": "
                   "[1, 2]}}}"));
    assert_string_equal(r.inquiry.schema, "{\"enum\":[1,2]}");
    chat_request_free(&r);
    reads(&r, WITH("\"grammar\": \"boxes\""));
    assert_string_equal(r.inquiry.grammar, "boxes");
    chat_request_free(&r);
    assert_true(text_request_read(&r, text, strlen(text), &rules, &p));
    assert_true(r.inquiry.ask.raw && r.echo && r.logprobs);
    assert_string_equal(r.inquiry.question, "Once");
    chat_request_free(&r);
}

static void refuses_image(const char *url, const char *part)
{
    char *body = chat_body("x", url, "");

    is_refused(body, "messages", "invalid_image", part);
    free(body);
}

static void test_images(void **state)
{
    char *scene = data_url("tests/data/images/scene.png"), *body, *two;
    struct chat_request r;
    int width, height;

    (void)state;
    body = chat_body("What?", scene, "");
    reads(&r, body);
    sphinx_image_size(r.inquiry.image, &width, &height);
    assert_int_equal(width, 131);
    assert_int_equal(r.inquiry.picture->bytes, 131 * 94 * 3);
    assert_string_equal(r.inquiry.question, "What?");
    chat_request_free(&r);
    free(body);

    two = malloc(2 * strlen(scene) + 512);
    sprintf(
        two,
        "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": "
        "\"%s\"}]},"
        "{\"role\": \"assistant\", \"content\": \"x\"},"
        "{\"role\": \"user\", \"content\": [{\"type\": \"image_url\", \"image_url\": {\"url\": \"%s\"}}]}]}",
        scene, scene);
    is_refused(two, "messages", "invalid_image", "one image");
    free(two);
    scene[strlen(scene) / 2] = '\0'; /* cut off */
    refuses_image(scene, "");
    free(scene);

    refuses_image("https://example.org/cat.jpg", "fetches nothing");
    refuses_image("cat.jpg", "a data URL");
    refuses_image("data:image/png,abc", "not in base64");
    refuses_image("data:image/png;base64", "no comma");
    refuses_image("data:image/png;base64,", "empty");
    refuses_image("data:image/png;base64,?!", "not base64");
    refuses_image("data:image/png;base64,aGVsbG8=", "the image");
    refuses_image("file:///etc/passwd", "--media-path");
    is_refused("{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}", "messages",
               "invalid_image", "an image is");
    is_refused("{\"messages\": [{\"role\": \"system\", \"content\": [{\"type\": \"image_url\", "
               "\"image_url\": \"x\"}]}," USER "]}",
               "messages", NULL, "only a user");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogue), cmocka_unit_test(test_fields), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_images),   cmocka_unit_test(test_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
