/*
 * test_page.c - the HTML page: what is in it, that it fetches nothing, and that no answer becomes markup.
 */
#include "eval/handmade.h"

#include <nettle/base64.h>

#include "core/digest.h"
#include "core/file.h"
#include "eval/page.h"
#include "image/image.h"

static char *page_of(const struct scratch *s, const struct evaluation *v, size_t n)
{
    const char *path = scratch_path(s, "page.html");
    struct err e = { 0 };
    unsigned char *text;
    size_t size;

    if (report_html(path, v, n, s->path, &e) != STATUS_OK) fail_msg("%s", e.text);
    if (file_read(path, 1 << 26, &text, &size, &e) != STATUS_OK) fail_msg("%s", e.text);
    return (char *)text;
}

static int count(const char *text, const char *word)
{
    int n = 0;

    for (const char *p = text; (p = strstr(p, word)) != NULL; p++) n++;
    return n;
}

/* What stands between two texts; malloc'ed. */
static char *between(const char *text, const char *open, const char *close)
{
    const char *from = strstr(text, open), *to;

    assert_non_null(from);
    from += strlen(open);
    to = strstr(from, close);
    assert_non_null(to);
    return strndup(from, (size_t)(to - from));
}

static json_t *data_of(const char *page)
{
    char *text = between(page, "<script type=\"application/json\" id=\"data\">", "</script>");
    json_t *data = json_loads(text, 0, NULL);

    assert_non_null(data);
    free(text);
    return data;
}

static json_t *question_of(const json_t *data, size_t i)
{
    json_t *run = json_array_get(json_object_get(data, "evaluations"), 0);

    return json_array_get(json_object_get(run, "records"), i);
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void test_hostile(void **state)
{
    static const char answer[] = "</script><img src=x onerror=\"alert(1)\">",
                      question[] = "<!--<script> & ]]>";
    struct handmade h;
    struct scratch s;
    json_t *data;
    char *page;

    (void)state;
    scratch_open(&s);
    handmade_init(&h, "</title><script>alert(2)</script>{{data}}");
    handmade_add(&h, question, "<b>", answer, 0, true)->category = "<svg onload=alert(3)>";
    page = page_of(&s, &h.v, 1);
    assert_int_equal(count(page, "</script"), 2);
    assert_int_equal(count(page, "<script"), 2);
    assert_int_equal(count(page, "</title"), 1);
    assert_int_equal(count(page, "<img"), 0);
    assert_int_equal(count(page, "<svg"), 0);
    assert_int_equal(count(page, "<!--"), 0);
    data = data_of(page);
    assert_string_equal(text_of(question_of(data, 0), "answer"), answer);
    assert_string_equal(text_of(question_of(data, 0), "question"), question);
    assert_non_null(strstr(text_of(data, "title"), "{{data}}"));
    json_decref(data);
    free(page);
    scratch_close(&s);
}

static void check_digest(const char *page, const char *policy, const char *open, const char *close)
{
    char *content = between(page, open, close), *want = between(page, policy, "'");
    char text[BASE64_ENCODE_RAW_LENGTH(DIGEST_BYTES) + 1] = "";
    struct digest_maker m;
    struct digest d;

    digest_begin(&m);
    digest_add(&m, content, strlen(content));
    digest_end(&m, &d);
    base64_encode_raw(text, DIGEST_BYTES, d.byte);
    assert_string_equal(want, text);
    free(content);
    free(want);
}

/* Nothing from outside, and of what is inside only what the policy names. */
static void test_self_contained(void **state)
{
    struct handmade h;
    struct scratch s;
    char *page;

    (void)state;
    scratch_open(&s);
    handmade_init(&h, "OKVQA");
    handmade_add(&h, "What?", "a", "a", 1, false);
    page = page_of(&s, &h.v, 1);
    assert_int_equal(count(page, "http"),
                     count(page, "http://www.w3.org/2000/svg") + count(page, "http-equiv"));
    assert_int_equal(
        count(page, "@import") + count(page, "url(") + count(page, "<link") + count(page, " src="), 0);
    assert_int_equal(count(page, "innerHTML") + count(page, "eval(") + count(page, "document.write"), 0);
    assert_non_null(strstr(page, "default-src 'none'"));
    check_digest(page, "script-src 'sha256-", "<script>", "</script>");
    check_digest(page, "style-src 'sha256-", "<style>", "</style>");
    free(page);
    scratch_close(&s);
}

static void test_worst_first(void **state)
{
    struct handmade h;
    struct scratch s;
    json_t *data, *run;
    char *page;
    static const char *const order[] = { "none", "odd", "wrong", "judge", "half", "good" };

    (void)state;
    scratch_open(&s);
    handmade_init(&h, "OKVQA");
    handmade_add(&h, "good", "a", "a", 1, false);
    handmade_add(&h, "half", "a", "b", 0.6, false);
    handmade_add(&h, "none", "a", NULL, 0, true);
    handmade_add(&h, "wrong", "a", "c", 0, false);
    handmade_add(&h, "odd", "a", "", 0, true);
    handmade_add(&h, "judge", "a", "b", NAN, false);
    h.answered[5].verdict.pending = true;
    page = page_of(&s, &h.v, 1);
    data = data_of(page);
    for (size_t i = 0; i < 6; i++) assert_string_equal(text_of(question_of(data, i), "question"), order[i]);
    assert_non_null(text_of(question_of(data, 0), "error"));
    run = json_array_get(json_object_get(data, "evaluations"), 0);
    /* Five answers of three tokens each: one bin holds them all. */
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(json_object_get(run, "lengths"), "count"), 3)), 5);
    json_decref(data);
    free(page);
    scratch_close(&s);
}

static void write_picture(const struct scratch *s, const char *name, int width, int height)
{
    struct err e = { 0 };
    struct image im;

    assert_int_equal(img_init(&im, width, height, &e), STATUS_OK);
    assert_int_equal(img_png_write(&im, scratch_path(s, name), &e), STATUS_OK);
    img_free(&im);
}

static void check_mark(const json_t *question, size_t i, const char *of, const double *want)
{
    json_t *mark = json_array_get(json_object_get(question, "marks"), i), *at = json_object_get(mark, "at");

    assert_non_null(mark);
    assert_string_equal(text_of(mark, "of"), of);
    for (size_t k = 0; k < 4; k++)
        assert_float_equal(json_number_value(json_array_get(at, k)), want[k], 1e-6);
}

/* The reference is in pixels of the image, the answer in fractions of the square around it. */
static void test_boxes(void **state)
{
    static const double reference[] = { 0.25, 0.25, 0.5, 0.75 }, answer[] = { 0.5, 0.5, 0.75, 1 };
    struct handmade h;
    struct scratch s;
    struct record *r;
    json_t *data;
    char *page;

    (void)state;
    scratch_open(&s);
    write_picture(&s, "wide.png", 400, 200);
    handmade_init(&h, "RefCOCO");
    for (int i = 0; i < 3; i++) {
        r = handmade_add(&h, "the cat", "", i == 0 ? "the [0.5,0.5,0.75,0.75" : "[0.50,0.50,0.75,0.75]", 0.6,
                         false);
        r->image = "wide.png";
        r->has_box = true;
        memcpy(r->box, (const double[]){ 100, 50, 200, 150 }, sizeof r->box);
    }
    h.answered[0].verdict.taken = "0.5,0.5,0.75,0.75";
    h.answered[2].verdict.score = 0.4;
    h.record[1].image = "missing.png";
    page = page_of(&s, &h.v, 1);
    assert_int_equal(count(page, "data:image/jpeg;base64,"), 1);
    data = data_of(page);
    assert_float_equal(json_number_value(json_object_get(question_of(data, 0), "credit")), 0, 0);
    assert_float_equal(json_number_value(json_object_get(question_of(data, 1), "credit")), 1, 0);
    for (size_t i = 0; i < 2; i++) {
        check_mark(question_of(data, i), 0, "reference", reference);
        check_mark(question_of(data, i), 1, "answer", answer);
        assert_int_equal(json_integer_value(json_object_get(question_of(data, i), "picture")), 0);
    }
    assert_null(json_object_get(question_of(data, 2), "picture"));
    json_decref(data);
    free(page);
    scratch_close(&s);
}

static void test_unwritable(void **state)
{
    struct handmade h;
    struct err e = { 0 };

    (void)state;
    handmade_init(&h, "OKVQA");
    assert_int_not_equal(report_html("no/such/folder/page.html", &h.v, 1, "", &e), STATUS_OK);
    assert_non_null(strstr(e.text, "no/such/folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),     cmocka_unit_test(test_self_contained),
        cmocka_unit_test(test_worst_first), cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_unwritable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
