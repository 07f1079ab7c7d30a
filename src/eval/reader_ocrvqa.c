/*
 * reader_ocrvqa.c - OCR-VQA's dataset.json: a book cover a member, with several questions and as many answers.
 *
 *     {"0761183272": {"imageURL": "...", "questions": ["Who wrote this book?", ...], "answers": ["...", ...], "split": 1}, ...}
 *
 * split: 1 training, 2 validation, 3 test. The options say which ("only") and where images lie ("image", a template).
 */
#include "eval/mapping.h"
#include "eval/reader_list.h"

struct reading {
    struct record_list *l;
    const struct benchmark *b;
};

static enum status add(struct record_list *l, const struct row *row, const char *image, const char *question,
                       const char *const *answer, struct err *e)
{
    struct record *r;
    enum status st = record_add(l, &r, e);

    if (st != STATUS_OK) return st;
    r->id = arena_strdup(&l->dataset->arena, row->key != NULL ? row->key : "");
    if (r->id == NULL) return err_no_memory(e, "an annotation");
    r->image = image;
    r->question = question;
    r->answers = answer;
    r->n_answers = 1;
    return STATUS_OK;
}

static enum status take(void *user, const struct row *row, struct err *e)
{
    const struct reading *r = user;
    struct arena *a = &r->l->dataset->arena;
    const char *const *questions, *const *answers, *image = NULL;
    size_t n, n_answers;
    bool wanted;
    enum status st = mapping_wants(benchmark_option(r->b, "only"), row, a, &wanted, e);

    if (st != STATUS_OK || !wanted) return st;
    st = mapping_text(benchmark_option(r->b, "image"), row, a, &image, e);
    if (st == STATUS_OK) st = row_texts(row, "questions", a, &questions, &n, e);
    if (st == STATUS_OK) st = row_texts(row, "answers", a, &answers, &n_answers, e);
    if (st != STATUS_OK) return st;
    if (image == NULL) return row_error(row, e, "there is nothing to make the image's name of");
    if (n != n_answers) return row_error(row, e, "%zu \"questions\", but %zu \"answers\"", n, n_answers);
    for (size_t i = 0; st == STATUS_OK && i < n; i++)
        st = add(r->l, row, image, questions[i], &answers[i], e);
    return st;
}

static enum status read_all(struct record_list *l, const struct benchmark *b, struct err *e)
{
    struct reading r = { .l = l, .b = b };
    const char *path;
    enum status st = record_list_file(l, "annotation", false, &path, NULL, e);

    return st == STATUS_OK ? rows_walk(path, "*", take, &r, e) : st;
}

static enum status check(const struct benchmark *b, struct err *e)
{
    enum status st = mapping_check(b->options, e);

    if (st == STATUS_OK && benchmark_option(b, "image") == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "\"image\", a template of the image's name, is absent");
    return st == STATUS_OK ? mapping_check_only(benchmark_option(b, "only"), e) : st;
}

const struct reader reader_ocrvqa = {
    .name = "ocrvqa",
    .files = "annotation",
    .options = "image only",
    .check = check,
    .read = read_all,
};
