/*
 * test_chat_api.c - answers over HTTP: the same as the library's, whole and streamed, with what they cost and point at.
 */
#include "support/servers.h"

#include "serve/routes.h"

#define MODEL "tests/data/tiny/llama_ens"
#define SCENE "tests/data/images/scene.png"

static sphinx_model *model;
static struct server *server;
static int port;
static char *scene;

static int setup(void **state)
{
    struct serve_options o = server_options();

    (void)state;
    o.model_name = "tiny";
    o.sam = "tests/data/sam/tiny.pth";
    o.segmenter.threads = 1;
    o.media_path = "tests/data/images";
    model = open_model(MODEL, &one_thread);
    server = open_server(model, &o);
    port = serve_port(server);
    scene = data_url(SCENE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serve_close(server);
    sphinx_model_close(model);
    free(scene);
    return 0;
}

/* What the library answers. */
static sphinx_answer *expected(const char *picture, const char *question)
{
    struct serve_options o = server_options();
    sphinx_session *s = open_session(model, NULL, picture);
    sphinx_answer *a = ask(s, question, &o.ask);

    sphinx_session_close(s);
    return a;
}

static json_t *chat(const char *question, const char *image, const char *fields)
{
    char *body = chat_body(question, image, fields);
    json_t *o = post(port, "/v1/chat/completions", body, 200);

    free(body);
    return o;
}

static void test_plain(void **state)
{
    sphinx_answer *want = expected(NULL, "Hello");
    json_t *o = chat("Hello", NULL, "");
    json_int_t prompt = json_integer_value(json_at(o, "usage/prompt_tokens"));

    (void)state;
    assert_string_equal(text_at(o, "object"), "chat.completion");
    assert_string_equal(text_at(o, "model"), "tiny");
    assert_string_equal(text_at(o, "choices/0/message/role"), "assistant");
    assert_string_equal(text_at(o, "choices/0/message/content"), want->text);
    assert_string_equal(text_at(o, "choices/0/finish_reason"), "length");
    assert_true(json_is_null(json_at(o, "choices/0/logprobs")));
    assert_int_equal(prompt, want->prompt_tokens);
    assert_int_equal(json_integer_value(json_at(o, "usage/completion_tokens")), want->n_tokens);
    assert_int_equal(json_integer_value(json_at(o, "usage/total_tokens")),
                     prompt + (json_int_t)want->n_tokens);
    assert_true(json_is_null(json_at(o, "sphinx/image")));
    json_decref(o);
    sphinx_answer_free(want);
}

static void test_image(void **state)
{
    sphinx_answer *want = expected(SCENE, "What is this?");
    json_t *o = chat("What is this?", scene, "");

    (void)state;
    assert_string_equal(text_at(o, "choices/0/message/content"), want->text);
    assert_int_equal(json_integer_value(json_at(o, "usage/prompt_tokens")),
                     want->prompt_tokens + want->image_tokens);
    assert_int_equal(json_integer_value(json_at(o, "usage/prompt_tokens_details/image_tokens")),
                     want->image_tokens);
    assert_int_equal(json_integer_value(json_at(o, "sphinx/image/width")), 131);
    assert_int_equal(json_integer_value(json_at(o, "sphinx/image/height")), 94);
    json_decref(o);

    /* The same image again is not encoded, nor its words computed. */
    o = chat("And what else?", scene, "");
    assert_true(json_is_true(json_at(o, "sphinx/image/cached")));
    assert_true(json_integer_value(json_at(o, "usage/prompt_tokens_details/cached_tokens")) >
                (json_int_t)want->image_tokens);
    json_decref(o);
    sphinx_answer_free(want);
}

static void test_file_url(void **state)
{
    char *by_name = chat_body("What is this?", "file:///scene.png", "");
    json_t *one = post(port, "/v1/chat/completions", by_name, 200), *other = chat("What is this?", scene, "");

    (void)state;
    assert_string_equal(text_at(one, "choices/0/message/content"),
                        text_at(other, "choices/0/message/content"));
    json_decref(one);
    json_decref(other);
    free(by_name);
}

static void test_turns(void **state)
{
    static const char dialogue[] = "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"},"
                                   "{\"role\": \"user\", \"content\": \"One\"},"
                                   "{\"role\": \"assistant\", \"content\": \"two\"},"
                                   "{\"role\": \"user\", \"content\": \"three\"},"
                                   "{\"role\": \"user\", \"content\": \"and four\"}]}";
    sphinx_session_options options = { .system = "Be brief." };
    sphinx_session *s = open_session(model, &options, NULL);
    struct serve_options defaults = server_options();
    sphinx_answer *want;
    json_t *o = post(port, "/v1/chat/completions", dialogue, 200), *prompt;

    (void)state;
    sphinx_session_append(s, "One", "two", NULL);
    want = ask(s, "three\nand four", &defaults.ask);
    assert_string_equal(text_at(o, "choices/0/message/content"), want->text);
    assert_int_equal(json_integer_value(json_at(o, "usage/prompt_tokens")), want->prompt_tokens);
    prompt = post(port, "/apply-template", dialogue, 200);
    assert_string_equal(text_at(prompt, "prompt"),
                        "Be brief.\n\n### Human: One\n### Assistant: two\n### Human: "
                        "three\nand four\n### Assistant:");
    json_decref(prompt);
    json_decref(o);
    sphinx_answer_free(want);
    sphinx_session_close(s);
}

/* ---- streams --------------------------------------------------------------------------------------------------- */

/* The events of a stream, one JSON each; NULL behind the last, which must be [DONE]. */
struct events {
    json_t *item[4096];
    size_t count;
    struct http_reply reply;
};

static void stream(struct events *e, const char *body)
{
    char *rest, *line;

    memset(e, 0, sizeof *e);
    e->reply = http(port, "POST", "/v1/chat/completions", "", body);
    assert_int_equal(e->reply.status, 200);
    assert_true(e->reply.whole);
    assert_true(http_has(&e->reply, "Content-Type: text/event-stream"));
    rest = e->reply.body;
    while ((line = strsep(&rest, "\n")) != NULL && strcmp(line, "data: [DONE]") != 0) {
        if (line[0] == '\0' || line[0] == ':') continue;
        assert_memory_equal(line, "data: ", 6);
        assert_true(e->count < 4095);
        e->item[e->count] = json_loads(line + 6, 0, NULL);
        assert_non_null(e->item[e->count]);
        e->count++;
    }
    assert_non_null(line);
    assert_string_equal(rest, "\n");
}

static void events_free(struct events *e)
{
    for (size_t i = 0; i < e->count; i++) json_decref(e->item[i]);
    http_free(&e->reply);
}

/* The contents of all chunks, joined; to be freed. */
static char *contents(const struct events *e)
{
    char *text = calloc(1, 1 << 16);

    for (size_t i = 0; i < e->count; i++) {
        json_t *choice = json_array_get(json_object_get(e->item[i], "choices"), 0);
        json_t *delta = json_object_get(json_object_get(choice, "delta"), "content");

        if (delta != NULL) strcat(text, json_string_value(delta));
    }
    return text;
}

static void test_stream(void **state)
{
    sphinx_answer *want = expected(SCENE, "What is this?");
    char *body = chat_body("What is this?", scene, "\"stream\": true, "), *text;
    struct events *e = malloc(sizeof *e);
    json_t *last;

    (void)state;
    stream(e, body);
    text = contents(e);
    assert_string_equal(text, want->text);
    assert_string_equal(text_at(e->item[0], "choices/0/delta/role"), "assistant");
    assert_string_equal(text_at(e->item[0], "choices/0/delta/content"), "");
    last = e->item[e->count - 1];
    assert_string_equal(text_at(last, "choices/0/finish_reason"), "length");
    assert_true(json_is_array(json_at(last, "sphinx/regions")));
    for (size_t i = 0; i < e->count; i++) {
        assert_string_equal(text_at(e->item[i], "object"), "chat.completion.chunk");
        assert_string_equal(text_at(e->item[i], "id"), text_at(e->item[0], "id"));
        assert_null(json_object_get(e->item[i], "usage"));
        if (i + 1 < e->count) assert_true(json_is_null(json_at(e->item[i], "choices/0/finish_reason")));
    }
    events_free(e);
    free(e);
    free(text);
    free(body);
    sphinx_answer_free(want);
}

static void test_stream_usage(void **state)
{
    char *body =
        chat_body("Hello", NULL, "\"stream\": true, \"stream_options\": {\"include_usage\": true}, ");
    struct events *e = malloc(sizeof *e);
    json_t *last;

    (void)state;
    stream(e, body);
    last = e->item[e->count - 1];
    assert_int_equal(json_array_size(json_at(last, "choices")), 0);
    assert_int_equal(json_integer_value(json_at(last, "usage/completion_tokens")), 8);
    events_free(e);
    free(e);
    free(body);
}

/* ---- log-probabilities ----------------------------------------------------------------------------------------- */

/* Joined, the tokens' bytes are the answer, but for the space that it begins with. */
static void check_tokens(json_t *list, const char *answer)
{
    char bytes[1024];
    size_t n = 0, i, k;
    json_t *token, *byte;

    json_array_foreach(list, i, token)
    {
        json_array_foreach(json_at(token, "bytes"), k, byte)
        {
            bytes[n++] = (char)json_integer_value(byte);
        }
        assert_true(json_real_value(json_at(token, "logprob")) <= 0);
        assert_int_equal(json_array_size(json_at(token, "top_logprobs")), 3);
        /* Without temperature the likeliest one was taken. */
        assert_true(json_real_value(json_at(token, "top_logprobs/0/logprob")) ==
                    json_real_value(json_at(token, "logprob")));
        assert_true(json_real_value(json_at(token, "top_logprobs/1/logprob")) <=
                    json_real_value(json_at(token, "logprob")));
    }
    bytes[n] = '\0';
    assert_string_equal(bytes[0] == ' ' && answer[0] != ' ' ? bytes + 1 : bytes, answer);
}

static void test_logprobs(void **state)
{
    json_t *o = chat("Hello", NULL, "\"logprobs\": true, \"top_logprobs\": 3, "), *all = json_array();
    char *body = chat_body("Hello", NULL, "\"stream\": true, \"logprobs\": true, \"top_logprobs\": 3, ");
    struct events *e = malloc(sizeof *e);

    (void)state;
    check_tokens(json_at(o, "choices/0/logprobs/content"), text_at(o, "choices/0/message/content"));
    stream(e, body);
    for (size_t i = 0; i < e->count; i++) {
        json_t *logprobs = json_at(e->item[i], "choices/0/logprobs");

        if (!json_is_null(logprobs)) json_array_extend(all, json_at(logprobs, "content"));
    }
    assert_true(json_equal(all, json_at(o, "choices/0/logprobs/content")));
    json_decref(all);
    json_decref(o);
    events_free(e);
    free(e);
    free(body);
}

static void test_stop_and_seed(void **state)
{
    json_t *whole = chat("Hello", NULL, "\"temperature\": 1, \"seed\": 5, "),
           *again = chat("Hello", NULL, "\"temperature\": 1, \"seed\": 5, ");
    const char *text = text_at(whole, "choices/0/message/content");
    size_t n = strlen(text);
    char fields[256];
    json_t *cut;

    (void)state;
    assert_string_equal(text, text_at(again, "choices/0/message/content"));
    assert_true(n > 2);
    /* Stopped by a character of the answer, which is not told. */
    if ((unsigned char)text[n / 2] < 0x80 && strchr("\"\\", text[n / 2]) == NULL && text[n / 2] > ' ') {
        snprintf(fields, sizeof fields, "\"temperature\": 1, \"seed\": 5, \"stop\": \"%c\", ", text[n / 2]);
        cut = chat("Hello", NULL, fields);
        assert_string_equal(text_at(cut, "choices/0/finish_reason"), "stop");
        assert_null(strchr(text_at(cut, "choices/0/message/content"), text[n / 2]));
        json_decref(cut);
    }
    json_decref(whole);
    json_decref(again);
}

/* ---- forms of answers ------------------------------------------------------------------------------------------ */

static void test_form(void **state)
{
    json_t *o = chat(
        "Hello", NULL,
        "\"max_tokens\": 40, \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": "
        "\"x\", \"schema\": {\"type\": \"array\", \"items\": {\"type\": \"boolean\"}, \"minItems\": 2, "
        "\"maxItems\": 2}}}, ");
    json_t *value = json_loads(text_at(o, "choices/0/message/content"), 0, NULL);

    (void)state;
    assert_int_equal(json_array_size(value), 2);
    assert_true(json_is_boolean(json_array_get(value, 1)));
    assert_string_equal(text_at(o, "choices/0/finish_reason"), "stop");
    json_decref(value);
    json_decref(o);
    o = chat("Where?", scene, "\"max_tokens\": 60, \"grammar\": \"points\", ");
    assert_int_equal(json_integer_value(json_at(o, "sphinx/malformed")), 0);
    assert_int_equal(text_at(o, "choices/0/message/content")[0], '<'); /* of a phrase */
    json_decref(o);
}

static void test_completions(void **state)
{
    json_t *o =
        post(port, "/v1/completions", "{\"prompt\": \"Once upon\", \"echo\": true, \"logprobs\": 2}", 200);
    const char *text = text_at(o, "choices/0/text");
    struct http_reply r;

    (void)state;
    assert_string_equal(text_at(o, "object"), "text_completion");
    assert_memory_equal(text, "Once upon", 9);
    assert_true(strlen(text) > 9);
    assert_int_equal(json_array_size(json_at(o, "choices/0/logprobs/tokens")), 8);
    assert_int_equal(json_object_size(json_at(o, "choices/0/logprobs/top_logprobs/0")), 2);
    assert_true(json_integer_value(json_at(o, "usage/prompt_tokens")) < 30); /* no template */
    json_decref(o);
    r = http(port, "POST", "/v1/completions", "", "{\"prompt\": \"Once upon\", \"stream\": true}");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"object\":\"text_completion\""));
    assert_null(strstr(r.body, "delta"));
    assert_non_null(strstr(r.body, "data: [DONE]\n\n"));
    http_free(&r);
    refuses(port, "/v1/completions", "{\"prompt\": [1, 2]}", 400, "prompt");
    refuses(port, "/v1/completions", "{\"prompt\": \"\"}", 400, "empty");
}

/* ---- regions --------------------------------------------------------------------------------------------------- */

static json_t *ground(const char *fields, int status)
{
    size_t size = strlen(scene) + strlen(fields) + 64;
    char *body = malloc(size);
    json_t *o;

    snprintf(body, size, "{\"image\": \"%s\", %s}", scene, fields);
    o = post(port, "/v1/ground", body, status);
    free(body);
    return o;
}

static void assert_number(json_t *o, const char *path, double want)
{
    double got = json_number_value(json_at(o, path));

    if (!(got - want < 1e-5 && want - got < 1e-5)) fail_msg("%s is %g, not %g", path, got, want);
}

static void test_ground(void **state)
{
    json_t *o = ground(
        "\"answer\": \"\xc3\xa4\xf0\x9f\x90\x95 <p>a dog</p>[0.25,0.5,0.5,0.75] <p>left eye</p>[0.5,0.25]\", "
        "\"picture\": \"boxes\"",
        200);

    (void)state;
    assert_int_equal(json_integer_value(json_at(o, "width")), 131);
    assert_int_equal(json_array_size(json_at(o, "regions")), 2);
    assert_string_equal(text_at(o, "regions/0/phrase"), "a dog");
    assert_string_equal(text_at(o, "regions/0/color"), "blue");
    assert_string_equal(text_at(o, "regions/1/color"), "red");
    assert_int_equal(json_integer_value(json_at(o, "regions/0/start")), 3);
    assert_int_equal(json_integer_value(json_at(o, "regions/0/start_utf16")), 4);
    assert_int_equal(json_integer_value(json_at(o, "regions/0/end")), 3 + 31);
    assert_number(o, "regions/0/boxes/0/square/1", 0.5);
    assert_number(o, "regions/0/boxes/0/box/0", 0.25 * 131);
    assert_number(o, "regions/0/boxes/0/box/1", 0.5 * 131 - 18); /* the square begins 18 pixels above */
    assert_true(json_is_null(json_at(o, "regions/0/boxes/0/confidence")));
    assert_string_equal(text_at(o, "regions/1/points/0/joint"), "left_eye");
    assert_int_equal(json_integer_value(json_at(o, "regions/1/points/0/person")), 0);
    assert_memory_equal(text_at(o, "picture"), "data:image/png;base64,iVBOR", 27);
    json_decref(o);
    o = ground("\"prompt\": \"Where?\"", 200);
    assert_true(json_string_length(json_at(o, "answer")) > 0);
    json_decref(o);
    o = ground("\"answer\": \"\", \"prompt\": \"\"", 400);
    json_decref(o);
}

static void test_masks(void **state)
{
    static const char wish[] =
        "\"answer\": \"[0.2,0.3,0.6,0.7] <p>b</p>[0.5,0.5,0.9,0.6;0.1,0.4,0.3,0.5]\", ";
    char fields[256];
    json_t *o, *picture;

    (void)state;
    snprintf(fields, sizeof fields, "%s\"masks\": true, \"picture\": \"masks\"", wish);
    o = ground(fields, 200);
    assert_int_equal(json_array_size(json_at(o, "masks")), 3);
    assert_int_equal(json_integer_value(json_at(o, "masks/2/region")), 1);
    assert_int_equal(json_integer_value(json_at(o, "masks/2/box")), 1);
    assert_int_equal(json_integer_value(json_at(o, "masks/0/rle/size/0")), 94);
    assert_int_equal(json_integer_value(json_at(o, "masks/0/rle/size/1")), 131);
    assert_true(json_string_length(json_at(o, "masks/0/rle/counts")) > 0);
    snprintf(fields, sizeof fields, "%s\"picture\": \"boxes\"", wish);
    picture = ground(fields, 200);
    assert_string_not_equal(text_at(o, "picture"), text_at(picture, "picture"));
    assert_null(json_object_get(picture, "masks"));
    json_decref(picture);
    json_decref(o);
    o = ground("\"answer\": \"no boxes\", \"masks\": true", 200);
    assert_int_equal(json_array_size(json_at(o, "masks")), 0);
    json_decref(o);
}

static void test_no_segmenter(void **state)
{
    struct serve_options o = server_options();
    struct server *s = open_server(model, &o);
    char *body = malloc(strlen(scene) + 128);

    (void)state;
    sprintf(body, "{\"image\": \"%s\", \"answer\": \"\", \"masks\": true}", scene);
    refuses(serve_port(s), "/v1/ground", body, 501, "--sam");
    serve_close(s);
    o.sam = "tests/data/images/scene.png";
    assert_int_not_equal(serve_open(&s, model, &o, NULL), STATUS_OK);
    free(body);
}

/* ---- the small ones -------------------------------------------------------------------------------------------- */

static void test_tokens(void **state)
{
    json_t *o = post(port, "/tokenize",
                     "{\"content\": \"Hello \\u00e4\\ud83d\\udc15\", \"add_special\": true}", 200),
           *text;
    char *body = json_dumps(o, 0);

    (void)state;
    assert_int_equal(json_integer_value(json_at(o, "tokens/0")), 1);
    text = post(port, "/detokenize", body, 200);
    assert_string_equal(text_at(text, "content"), "Hello \xc3\xa4\xf0\x9f\x90\x95");
    json_decref(text);
    json_decref(o);
    free(body);
    o = post(port, "/tokenize", "{\"content\": \"Hello\", \"with_pieces\": true}", 200);
    assert_true(json_is_string(json_at(o, "tokens/0/piece")));
    json_decref(o);
    refuses(port, "/detokenize", "{\"tokens\": [1, 99999999]}", 400, "vocabulary");
    refuses(port, "/tokenize", "{}", 400, "content");
}

static double cosine(json_t *a, json_t *b)
{
    double sum = 0;
    json_t *x;
    size_t i;

    assert_int_equal(json_array_size(a), json_array_size(b));
    json_array_foreach(a, i, x)
    {
        sum += json_number_value(x) * json_number_value(json_array_get(b, i));
    }
    return sum;
}

static void test_embeddings(void **state)
{
    size_t size = 2 * strlen(scene) + 256;
    char *body = malloc(size);
    json_t *o, *text;
    double alike;

    (void)state;
    snprintf(body, size,
             "{\"input\": [\"a dog\", {\"text\": \"a dog\"}, \"two cats\", {\"image\": \"%s\"}, {\"image\": "
             "\"%s\"}]}",
             scene, scene);
    o = post(port, "/v1/embeddings", body, 200);
    assert_int_equal(json_array_size(json_at(o, "data")), 5);
    text = json_at(o, "data/0/embedding");
    assert_true(json_array_size(text) > 8);
    alike = cosine(text, text);
    assert_true(alike > 0.9999 && alike < 1.0001);
    assert_true(json_equal(text, json_at(o, "data/1/embedding")));
    alike = cosine(text, json_at(o, "data/2/embedding"));
    assert_true(alike > -1 && alike < 0.9999);
    assert_true(json_equal(json_at(o, "data/3/embedding"), json_at(o, "data/4/embedding")));
    assert_true(cosine(text, json_at(o, "data/3/embedding")) < 0.9999);
    assert_int_equal(json_integer_value(json_at(o, "data/4/index")), 4);
    json_decref(o);
    o = post(port, "/v1/embeddings", "{\"input\": \"a dog\", \"encoding_format\": \"base64\"}", 200);
    assert_true(json_is_string(json_at(o, "data/0/embedding")));
    json_decref(o);
    refuses(port, "/v1/embeddings", "{\"input\": []}", 400, "1 to 256");
    refuses(port, "/v1/embeddings", "{\"input\": \"\"}", 400, "empty");
    refuses(port, "/v1/embeddings", "{\"input\": {}}", 400, "input must be");
    refuses(port, "/v1/embeddings", "{\"input\": \"x\", \"dimensions\": 3}", 400, "numbers here");
    free(body);
}

static void test_about(void **state)
{
    struct http_reply r = http(port, "GET", "/metrics", "", NULL);
    json_t *o = get(port, "/props", 200);

    (void)state;
    assert_string_equal(text_at(o, "model"), "tiny");
    assert_int_equal(json_integer_value(json_at(o, "slots")), 2);
    assert_int_equal(json_array_size(json_at(o, "tasks")), 10);
    assert_string_equal(text_at(o, "tasks/6/prompt"), "Detect all people shown in the image.");
    assert_int_equal(json_array_size(json_at(o, "skeleton/joints")), 17);
    assert_int_equal(json_integer_value(json_at(o, "skeleton/edges/0/0")), 15);
    assert_true(json_is_false(json_at(o, "key_needed")));
    json_decref(o);
    o = get(port, "/v1/models", 200);
    assert_string_equal(text_at(o, "data/0/id"), "tiny");
    json_decref(o);
    o = get(port, "/v1/models/tiny", 200);
    assert_string_equal(text_at(o, "object"), "model");
    json_decref(o);
    o = get(port, "/slots", 200);
    assert_int_equal(json_array_size(o), 2);
    assert_string_equal(text_at(o, "0/state"), "idle");
    json_decref(o);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\nsphinx:image_cache_hits_total "));
    assert_non_null(strstr(r.body, "# TYPE sphinx:requests_processing gauge\n"));
    http_free(&r);
}

/* The description and the server know the same paths and methods. */
static void test_openapi(void **state)
{
    json_t *o = get(port, "/openapi.json", 200), *paths = json_at(o, "paths"), *methods, *about;
    size_t described = 0;
    const char *path, *method;

    (void)state;
    for (size_t i = 0; i < n_routes; i++) {
        size_t n = strlen(routes[i].path);
        bool many = n > 1 && routes[i].path[n - 1] == '/';
        char name[64];

        snprintf(name, sizeof name, "%s%s", routes[i].path, many ? "{id}" : "");
        methods = json_object_get(paths, name);
        about = json_object_get(methods, strcmp(routes[i].method, "GET") == 0 ? "get" : "post");
        if (about == NULL) fail_msg("docs/openapi.json lacks %s %s", routes[i].method, name);
        assert_true(routes[i].open == (json_object_get(about, "security") != NULL));
        assert_true((strcmp(routes[i].method, "POST") == 0) ==
                    (json_object_get(about, "requestBody") != NULL));
    }
    json_object_foreach(paths, path, methods)
    {
        json_object_foreach(methods, method, about)
        {
            described++;
        }
    }
    assert_int_equal(described, n_routes);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),       cmocka_unit_test(test_image),
        cmocka_unit_test(test_file_url),    cmocka_unit_test(test_turns),
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_stream_usage),
        cmocka_unit_test(test_logprobs),    cmocka_unit_test(test_stop_and_seed),
        cmocka_unit_test(test_ground),      cmocka_unit_test(test_form),
        cmocka_unit_test(test_masks),       cmocka_unit_test(test_no_segmenter),
        cmocka_unit_test(test_completions), cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_openapi),     cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_about),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
