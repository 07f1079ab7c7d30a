/*
 * test_image_api.c - texts that another server makes pictures of: what is sent to it, what comes back, and everything that it can do wrong. It is one of
 * libmicrohttpd's, at a free port, that answers what a test tells it to.
 */
#include "support/servers.h"

#include <microhttpd.h>

#include "serve/image_api.h"

#define PICTURE "{\"data\": [{\"b64_json\": \"iVBORw0KGgo=\"}]}"

struct stub {
    struct MHD_Daemon *daemon;
    char url[64];
    unsigned status;
    const char *reply;
    char path[100], body[1000], authorization[100]; /* of the last request */
};

static enum MHD_Result on_request(void *user, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    struct stub *s = user;
    const char *key = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    struct MHD_Response *r;
    enum MHD_Result result;

    (void)version;
    if (*state == NULL) {
        *state = s;
        s->body[0] = '\0';
        return MHD_YES;
    }
    if (*size > 0) {
        assert_true(strlen(s->body) + *size < sizeof s->body);
        strncat(s->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    snprintf(s->path, sizeof s->path, "%s %s", method, path);
    snprintf(s->authorization, sizeof s->authorization, "%s", key != NULL ? key : "");
    r = MHD_create_response_from_buffer(strlen(s->reply), (void *)(uintptr_t)s->reply,
                                        MHD_RESPMEM_PERSISTENT);
    if (s->status / 100 == 3) MHD_add_response_header(r, "Location", s->url);
    result = MHD_queue_response(c, s->status, r);
    MHD_destroy_response(r);
    return result;
}

static void stub_open(struct stub *s)
{
    *s = (struct stub){ .status = 200, .reply = PICTURE };
    s->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, s, MHD_OPTION_END);
    assert_non_null(s->daemon);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u",
             (unsigned)MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
}

static struct image_api *api_open(const char *url, const char *key)
{
    struct image_api *a;
    struct err e = { 0 };

    if (image_api_open(&a, url, key, 20, &e) != STATUS_OK) fail_msg("%s", e.text);
    return a;
}

static void test_call(void **state)
{
    static const char *const ends[] = { "", "/", "/v1", "/v1/", "/v1/images/generations" };
    struct stub s;

    (void)state;
    stub_open(&s);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char url[128], *picture;
        struct problem p = { 0 };
        struct image_api *a;

        snprintf(url, sizeof url, "%s%s", s.url, ends[i]);
        a = api_open(url, i % 2 == 0 ? "secret" : NULL);
        if (!image_api_make(a, "a \"red\" ring", i == 0 ? "64x32" : NULL, NULL, NULL, &picture, &p))
            fail_msg("%s", p.message);
        assert_string_equal(picture, "iVBORw0KGgo=");
        assert_string_equal(s.path, "POST /v1/images/generations");
        assert_string_equal(s.authorization, i % 2 == 0 ? "Bearer secret" : "");
        assert_non_null(strstr(s.body, "\"prompt\":\"a \\\"red\\\" ring\""));
        assert_non_null(strstr(s.body, "\"response_format\":\"b64_json\""));
        assert_true((strstr(s.body, "\"size\":\"64x32\"") != NULL) == (i == 0));
        free(picture);
        image_api_close(a);
    }
    MHD_stop_daemon(s.daemon);
}

static bool at_once(void *user)
{
    (void)user;
    return true;
}

static void check_fails(struct stub *s, unsigned answered, const char *reply, unsigned status,
                        const char *why)
{
    struct image_api *a = api_open(s->url, NULL);
    struct problem p = { 0 };
    char *picture;

    s->status = answered;
    s->reply = reply;
    assert_false(image_api_make(a, "x", NULL, NULL, NULL, &picture, &p));
    assert_null(picture);
    assert_int_equal(p.status, status);
    if (strstr(p.message, why) == NULL) fail_msg("%s", p.message);
    image_api_close(a);
}

static void test_failures(void **state)
{
    struct image_api *a;
    struct problem p = { 0 };
    struct err e = { 0 };
    struct stub s;
    char *picture;

    (void)state;
    stub_open(&s);
    check_fails(&s, 200, "", 502, "holds no picture");
    check_fails(&s, 200, "[]", 502, "holds no picture");
    check_fails(&s, 200, "{\"data\": []}", 502, "holds no picture");
    check_fails(&s, 200, "{\"data\": [{\"b64_json\": \"\"}]}", 502, "holds no picture");
    check_fails(&s, 200, "{\"data\": [{\"b64_json\": \"<b>\"}]}", 502, "holds no picture");
    check_fails(&s, 200, "{\"data\": [{\"url\": \"http://169.254.0.1/x\"}]}", 502, "fetches nothing");
    check_fails(&s, 500, PICTURE, 502, "status 500");
    check_fails(&s, 400, "{\"error\": {\"message\": \"no such size\"}}", 502, "status 400: no such size");
    check_fails(&s, 401, "{\"error\": \"who are you\"}", 502, "status 401: who are you");
    check_fails(&s, 302, PICTURE, 502, "status 302"); /* it would lead to itself */
    a = api_open(s.url, NULL);
    assert_false(image_api_make(a, "x", NULL, at_once, NULL, &picture, &p));
    assert_int_equal(p.status, 503);
    MHD_stop_daemon(s.daemon);
    p = (struct problem){ 0 };
    assert_false(image_api_make(a, "x", NULL, NULL, NULL, &picture, &p));
    assert_int_equal(p.status, 502);
    assert_non_null(strstr(p.message, "cannot be reached"));
    image_api_close(a);
    assert_int_equal(image_api_open(&a, "file:///etc/passwd", NULL, 20, &e), STATUS_BAD_ARGUMENT);
    assert_null(a);
}

/* ---- through the server ---------------------------------------------------------------------------------------- */

static void check_route(struct server *server, const char *body, int status, const char *holds)
{
    struct http_reply r = http(serve_port(server), "POST", "/v1/images/generations", "", body);

    if (r.status != status || strstr(r.body, holds) == NULL) fail_msg("%d %s", r.status, r.body);
    http_free(&r);
}

static void test_route(void **state)
{
    sphinx_model *model = open_model("tests/data/tiny/llama_ens", NULL);
    struct serve_options o = server_options();
    struct server *server;
    struct stub s;

    (void)state;
    stub_open(&s);
    server = open_server(model, &o);
    check_route(server, "{\"prompt\": \"a ring\"}", 501, "no_image_api");
    serve_close(server);
    o.image_api = s.url;
    server = open_server(model, &o);
    check_route(server, "{\"prompt\": \"a ring\", \"size\": \"auto\", \"model\": \"any\"}", 200,
                "\"b64_json\":\"iVBORw0KGgo=\"");
    check_route(server, "{\"prompt\": \"\"}", 400, "prompt must be");
    check_route(server, "{}", 400, "prompt must be");
    check_route(server, "{\"prompt\": \"x\", \"size\": \"9 x 9\"}", 400, "size must be");
    check_route(server, "{\"prompt\": \"x\", \"n\": 2}", 400, "\"param\":\"n\"");
    check_route(server, "{\"prompt\": \"x\", \"response_format\": \"url\"}", 400, "unsupported_parameter");
    s.status = 500;
    check_route(server, "{\"prompt\": \"x\"}", 502, "image_api_failed");
    serve_close(server);
    MHD_stop_daemon(s.daemon);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
