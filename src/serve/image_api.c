/* image_api.c - see image_api.h. */
#include "serve/image_api.h"

#include <curl/curl.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_SECONDS = 10, REPLY_MAX = 64 << 20, QUOTED = 200 };

struct image_api {
    char *url, *authorization; /* authorization NULL: none */
    double seconds;
};

/* ---- open and close ---------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t n, const char *end)
{
    size_t m = strlen(end);

    return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* The whole path, of what the user gave of it. */
static char *whole_url(const char *url)
{
    static const char *const rest[] = { "/v1", "/images", "/generations" };
    size_t n = strlen(url), from = 0;
    char *whole;

    while (n > 0 && url[n - 1] == '/') n--;
    if (ends_with(url, n, "/v1/images/generations"))
        from = 3;
    else if (ends_with(url, n, "/v1"))
        from = 1;
    whole = malloc(n + sizeof "/v1/images/generations");
    if (whole == NULL) return NULL;
    memcpy(whole, url, n);
    whole[n] = '\0';
    for (; from < 3; from++) strcat(whole, rest[from]);
    return whole;
}

enum status image_api_open(struct image_api **api, const char *url, const char *key, double seconds,
                           struct err *e)
{
    struct image_api *a;

    *api = NULL;
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the image API's address must begin with http:// or https://, not \"%.60s\"", url);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return err_no_memory(e, "libcurl");
    a = calloc(1, sizeof *a);
    if (a == NULL) {
        curl_global_cleanup();
        return err_no_memory(e, "the image API");
    }
    a->seconds = seconds;
    a->url = whole_url(url);
    if (key != NULL && (a->authorization = malloc(strlen(key) + sizeof "Authorization: Bearer ")) != NULL) {
        strcpy(a->authorization, "Authorization: Bearer ");
        strcat(a->authorization, key);
    }
    if (a->url == NULL || (key != NULL && a->authorization == NULL)) {
        image_api_close(a);
        return err_no_memory(e, "the image API");
    }
    *api = a;
    return STATUS_OK;
}

void image_api_close(struct image_api *a)
{
    if (a == NULL) return;
    free(a->url);
    free(a->authorization);
    free(a);
    curl_global_cleanup();
}

/* ---- a call ------------------------------------------------------------------------------------------------ */

struct call {
    char *reply;
    size_t size, capacity;
    bool too_large;
    bool (*give_up)(void *user);
    void *user;
};

static size_t on_data(char *data, size_t one, size_t n, void *user)
{
    struct call *c = user;

    (void)one; /* is 1 */
    if (n > REPLY_MAX - c->size) {
        c->too_large = true;
        return 0;
    }
    if (c->size + n >= c->capacity) {
        size_t capacity = 2 * (c->size + n) + 4096;
        char *reply = realloc(c->reply, capacity);

        if (reply == NULL) return 0;
        c->reply = reply;
        c->capacity = capacity;
    }
    memcpy(c->reply + c->size, data, n);
    c->size += n;
    return n;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct call *c = user;

    (void)total, (void)now, (void)up_total, (void)up;
    return c->give_up != NULL && c->give_up(c->user);
}

static void prepare(CURL *curl, const struct image_api *a, struct call *c, const char *body,
                    struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_URL, a->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY,
                     ""); /* not what the environment says: the operator named the server */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(1000 * a->seconds));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static bool failed(struct problem *p, unsigned status, const char *text)
{
    return problem_set(p, status, NULL, "image_api_failed", "%s", text);
}

/* Sends the body; *status is that of the reply. */
static bool send_call(const struct image_api *a, struct call *c, const char *body, long *status,
                      struct problem *p)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json"), *more = headers;
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (headers != NULL && a->authorization != NULL) more = curl_slist_append(headers, a->authorization);
    if (curl != NULL && more != NULL) {
        prepare(curl, a, c, body, headers);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    if (code == CURLE_OK) return true;
    if (c->too_large) return failed(p, 502, "the image API's reply is too large");
    if (code == CURLE_OUT_OF_MEMORY || code == CURLE_WRITE_ERROR) return problem_no_memory(p);
    if (code == CURLE_ABORTED_BY_CALLBACK) return failed(p, 503, "the request was given up");
    if (code == CURLE_OPERATION_TIMEDOUT) return failed(p, 504, "the image API took too long");
    return problem_set(p, 502, NULL, "image_api_failed", "the image API cannot be reached: %s",
                       curl_easy_strerror(code));
}

/* ---- the reply --------------------------------------------------------------------------------------------- */

static bool is_base64(const char *text)
{
    struct base64_decode_ctx base64;
    size_t n = strlen(text), size = BASE64_DECODE_LENGTH(n);
    unsigned char *data = malloc(size + 1);
    bool ok;

    if (data == NULL) return false;
    base64_decode_init(&base64);
    ok = base64_decode_update(&base64, &size, data, n, text) == 1 && base64_decode_final(&base64) == 1 &&
         size > 0;
    free(data);
    return ok;
}

/* The server's own sentence, if it has one. */
static bool refused(const json_t *o, long status, struct problem *p)
{
    const json_t *error = json_object_get(o, "error");
    const char *said = json_string_value(json_is_string(error) ? error : json_object_get(error, "message"));

    return problem_set(p, 502, NULL, "image_api_failed", "the image API answers with status %ld%s%.*s",
                       status, said != NULL ? ": " : "", QUOTED, said != NULL ? said : "");
}

static bool read_reply(const struct call *c, long status, char **base64, struct problem *p)
{
    json_t *o = json_loadb(c->reply != NULL ? c->reply : "", c->size, 0, NULL);
    const json_t *first = json_array_get(json_object_get(o, "data"), 0);
    const char *text = json_string_value(json_object_get(first, "b64_json"));
    bool ok = false;

    if (status < 200 || status > 299)
        refused(o, status, p);
    else if (text == NULL && json_is_string(json_object_get(first, "url")))
        failed(p, 502,
               "the image API answers with an address instead of a picture, and this server fetches nothing");
    else if (text == NULL || !is_base64(text))
        failed(p, 502, "the image API's reply holds no picture: want data[0].b64_json");
    else if ((*base64 = strdup(text)) == NULL)
        problem_no_memory(p);
    else
        ok = true;
    json_decref(o);
    return ok;
}

bool image_api_make(const struct image_api *a, const char *prompt, const char *size,
                    bool (*give_up)(void *user), void *user, char **base64, struct problem *p)
{
    struct call c = { .give_up = give_up, .user = user };
    json_t *o = json_pack("{s:s, s:i, s:s}", "prompt", prompt, "n", 1, "response_format", "b64_json");
    long status = 0;
    char *body;
    bool ok;

    *base64 = NULL;
    if (size != NULL) json_object_set_new(o, "size", json_string(size));
    body = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    if (body == NULL) return problem_no_memory(p);
    ok = send_call(a, &c, body, &status, p) && read_reply(&c, status, base64, p);
    free(body);
    free(c.reply);
    return ok;
}
