/*
 * page_writer.c - the template, with style, script, digests and data in the places that it names as {{style}}, {{script}},
 * {{style_digest}}, {{script_digest}} and {{data}}.
 */
#include "eval/page.h"

#include "core/digest.h"
#include "core/file.h"

#include <nettle/base64.h>
#include <string.h>

/* report.html, report.css and report.js, which the build puts here (cmake/embed.cmake). */
extern const unsigned char report_page_html[], report_page_css[], report_page_js[];
extern const size_t report_page_html_size, report_page_css_size, report_page_js_size;

struct page_writer {
    struct file_writer file;
    const json_t *content;
    struct err *err;
};

/* In a script element nothing ends it but "</script", and "<!--" may hide that; as \u003c the letter is the same to JSON and nothing to HTML. Outside
 * of its strings JSON has none of these letters. */
static int put_escaped(const char *text, size_t size, void *user)
{
    struct page_writer *w = user;
    size_t done = 0;

    for (size_t i = 0; i <= size; i++) {
        const char *instead = i == size        ? ""
                              : text[i] == '<' ? "\\u003c"
                              : text[i] == '>' ? "\\u003e"
                              : text[i] == '&' ? "\\u0026"
                                               : NULL;

        if (instead == NULL) continue;
        if (file_writer_put(&w->file, text + done, i - done, w->err) != STATUS_OK ||
            file_writer_put(&w->file, instead, strlen(instead), w->err) != STATUS_OK)
            return -1;
        done = i + 1;
    }
    return 0;
}

static enum status put_data(struct page_writer *w)
{
    if (json_dump_callback(w->content, put_escaped, w, JSON_COMPACT | JSON_REAL_PRECISION(7)) == 0)
        return STATUS_OK;
    return w->err->code != STATUS_OK ? w->err->code : err_no_memory(w->err, "a report");
}

/* "sha256-...", as a policy names what it lets through. */
static enum status put_digest(struct page_writer *w, const unsigned char *bytes, size_t size)
{
    char text[BASE64_ENCODE_RAW_LENGTH(DIGEST_BYTES)];
    struct digest_maker m;
    struct digest d;
    enum status st;

    digest_begin(&m);
    digest_add(&m, bytes, size);
    digest_end(&m, &d);
    base64_encode_raw(text, DIGEST_BYTES, d.byte);
    st = file_writer_put(&w->file, "sha256-", 7, w->err);
    return st == STATUS_OK ? file_writer_put(&w->file, text, sizeof text, w->err) : st;
}

static enum status put_place(struct page_writer *w, const char *name, size_t n)
{
#define IS(place) (n == sizeof(place) - 1 && memcmp(name, place, n) == 0)
    if (IS("style")) return file_writer_put(&w->file, report_page_css, report_page_css_size, w->err);
    if (IS("script")) return file_writer_put(&w->file, report_page_js, report_page_js_size, w->err);
    if (IS("style_digest")) return put_digest(w, report_page_css, report_page_css_size);
    if (IS("script_digest")) return put_digest(w, report_page_js, report_page_js_size);
#undef IS
    return put_data(w);
}

static enum status put_page(struct page_writer *w)
{
    const char *at = (const char *)report_page_html, *end = at + report_page_html_size;
    enum status st = STATUS_OK;

    while (st == STATUS_OK) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open != NULL ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;

        if (close == NULL) return file_writer_put(&w->file, at, (size_t)(end - at), w->err);
        st = file_writer_put(&w->file, at, (size_t)(open - at), w->err);
        if (st == STATUS_OK) st = put_place(w, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
    return st;
}

enum status page_write(const char *path, const json_t *content, struct err *e)
{
    struct page_writer w = { .content = content, .err = e };
    enum status st;

    st = file_writer_open(&w.file, path, e);
    if (st == STATUS_OK) st = put_page(&w);
    if (st == STATUS_OK) st = file_writer_commit(&w.file, e);
    file_writer_abort(&w.file);
    return st;
}
