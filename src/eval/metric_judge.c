/*
 * metric_judge.c - free answers, which another model grades.
 *
 *   mmvet        (Yu et al. 2023) a grade from 0 to 1 an answer. Score: 100 times the mean; also for each capability and each
 *                combination of them. Of several runs of the judge the mean counts.
 *   llava_bench  (Liu et al. 2023) "7 8": points of the reference answer and of ours. Score: 100 times our mean over the reference's.
 *
 * Without judgements every answer is pending; save() writes what a judge needs:
 *   answers.json, answers.jsonl  as the official scripts read them
 *   requests.jsonl               one a line, for any program that talks to a judge: messages, model, temperature, max_tokens, from the
 *                                option "judge" of the entry; not written where there is none
 * The option "judgements" names the file that came back (judgements.h).
 *
 * A judgement that cannot be read (no number, out of range, upstream's -1) leaves its answer out, and is counted in "unparsed reviews":
 * upstream takes 0 for it, or adds -1 to the mean.
 */
#include "eval/answer_text.h"
#include "eval/judgements.h"
#include "eval/metric_file.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char UNREADABLE[] = "unreadable";

/* ---- reading a judgement --------------------------------------------------------------------------------------- */

/* "0.5", or as a number. */
static bool read_grade(const json_t *value, double *grade)
{
    const char *text = json_string_value(value);

    if (json_is_number(value))
        *grade = json_number_value(value);
    else if (text == NULL || !ans_number(text, strcspn(text + ans_space(text), " ") + ans_space(text), grade))
        return false;
    return *grade >= 0 && *grade <= 1;
}

/* The mean of the grades that can be read. */
static bool read_grades(const json_t *said, double *grade)
{
    const json_t *value = said;
    size_t n = 0, i;
    double one, sum = 0;
    json_t *item;

    if (json_is_object(said)) {
        value = json_object_get(said, "score");
        if (value == NULL) value = json_object_get(said, "content");
    }
    if (!json_is_array(value)) return read_grade(value, grade);
    json_array_foreach((json_t *)value, i, item)
    {
        if (!read_grade(item, &one)) continue;
        sum += one;
        n++;
    }
    *grade = sum / (double)n;
    return n > 0;
}

/* "7 8" or "7, 8" on the first line. */
static bool read_points_text(const char *text, double points[2])
{
    size_t line = strcspn(text, "\n"), first = strcspn(text, " ,"), second;

    if (first >= line) return false;
    second = first + strspn(text + first, " ,");
    return ans_number(text, first, &points[0]) && ans_number(text + second, line - second, &points[1]);
}

static bool read_points(const json_t *said, double points[2])
{
    const json_t *tuple = json_object_get(said, "tuple");
    const char *text = json_string_value(json_is_object(said) ? json_object_get(said, "content") : said);

    if (json_is_array(said)) tuple = said;
    if (json_array_size(tuple) == 2 && json_is_number(json_array_get(tuple, 0)) &&
        json_is_number(json_array_get(tuple, 1))) {
        for (size_t i = 0; i < 2; i++) points[i] = json_number_value(json_array_get(tuple, i));
    } else if (text == NULL || !read_points_text(text, points)) {
        return false;
    }
    return isfinite(points[0]) && isfinite(points[1]) && points[0] >= 0 && points[1] >= 0;
}

/* What was said of the record, NULL: nothing. Decref *by_id when it is read. The file is read for every answer: these sets have tens or
 * hundreds, and nothing needs to live longer than a call. */
static enum status find_judgement(json_t **by_id, const json_t **said, const struct benchmark *b,
                                  const struct record *r, struct err *e)
{
    const char *path = json_string_value(json_object_get(b->options, "judgements"));
    enum status st = STATUS_OK;

    *by_id = NULL;
    *said = NULL;
    if (path != NULL) st = judgements_read(by_id, path, e);
    if (st == STATUS_OK) *said = json_object_get(*by_id, r->id);
    return st;
}

static enum status judge_mmvet(struct verdict *v, const struct benchmark *b, const struct record *r,
                               const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    json_t *by_id;
    const json_t *said;
    double grade = 0;
    enum status st = find_judgement(&by_id, &said, b, r, e);

    if (st != STATUS_OK) return st;
    *v = (struct verdict){ .pending = true, .taken = said != NULL ? UNREADABLE : "" };
    if (said != NULL && read_grades(said, &grade))
        *v = (struct verdict){ .score = grade, .taken = arena_printf(a, "%g", grade) };
    json_decref(by_id);
    if (clean == NULL || v->taken == NULL) return err_no_memory(e, "the score of an answer");
    v->malformed = clean[0] == '\0';
    return STATUS_OK;
}

static enum status judge_llava(struct verdict *v, const struct benchmark *b, const struct record *r,
                               const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    json_t *by_id;
    const json_t *said;
    double points[2];
    enum status st = find_judgement(&by_id, &said, b, r, e);

    if (st != STATUS_OK) return st;
    *v = (struct verdict){ .pending = true, .taken = said != NULL ? UNREADABLE : "" };
    if (said != NULL && read_points(said, points))
        *v = (struct verdict){ .score = fmin(points[1] / 10, 1),
                               .taken = arena_printf(a, "%.17g %.17g", points[0], points[1]) };
    json_decref(by_id);
    if (clean == NULL || v->taken == NULL) return err_no_memory(e, "the score of an answer");
    v->malformed = clean[0] == '\0';
    return STATUS_OK;
}

/* ---- sums ------------------------------------------------------------------------------------------------------ */

/* Those that were graded. */
static enum status judged_only(struct sum *all, struct sum *judged, size_t *n_unread)
{
    struct answered *some = arena_calloc(all->arena, all->n + 1, sizeof *some);

    if (some == NULL) return err_no_memory(all->err, "the scores of a benchmark");
    *judged = *all;
    judged->answered = some;
    judged->n = *n_unread = 0;
    for (size_t i = 0; i < all->n; i++) {
        const struct verdict *v = &all->answered[i].verdict;

        if (!v->pending)
            some[judged->n++] = all->answered[i];
        else if (v->taken != NULL && strcmp(v->taken, UNREADABLE) == 0)
            (*n_unread)++;
    }
    return STATUS_OK;
}

static enum status unparsed_figure(struct sum *s, size_t n_unread, size_t n)
{
    static const struct interval none = { NAN, NAN };

    return sum_figure(s, "unparsed reviews", (double)n_unread, none, n);
}

/* "rec,ocr": the capability at *at; NULL at the end. */
static const char *next_capability(const char **at, struct arena *a)
{
    size_t n = strcspn(*at, ",");
    char *name;

    if (n == 0) return NULL;
    name = arena_alloc(a, n + 1);
    if (name == NULL) return NULL;
    memcpy(name, *at, n);
    name[n] = '\0';
    *at += n + ((*at)[n] == ',');
    return name;
}

/* A figure for each capability: of the answers that ask for it among others. */
static enum status sum_capabilities(struct sum *s)
{
    size_t n = 0, m = 0, n_divisions;
    const char **key;
    size_t *from;
    struct division *d;
    double *part;
    enum status st;

    for (size_t i = 0; i < s->n; i++)
        if (s->answered[i].record->kind != NULL) n += strlen(s->answered[i].record->kind) + 1;
    key = arena_calloc(s->arena, n + 1, sizeof *key);
    from = arena_calloc(s->arena, n + 1, sizeof *from);
    part = arena_calloc(s->arena, n + 1, sizeof *part);
    if (key == NULL || from == NULL || part == NULL) return err_no_memory(s->err, "the capabilities");
    for (size_t i = 0; i < s->n; i++) {
        const char *at = s->answered[i].record->kind;

        while (at != NULL && (key[m] = next_capability(&at, s->arena)) != NULL) from[m++] = i;
    }
    st = sum_divide(s, key, m, &d, &n_divisions);
    for (size_t i = 0; st == STATUS_OK && i < n_divisions; i++) {
        const char *name = arena_printf(s->arena, "capability: %s", d[i].key);

        if (name == NULL) return err_no_memory(s->err, "the capabilities");
        for (size_t j = 0; j < d[i].n; j++) part[j] = s->answered[from[d[i].index[j]]].verdict.score;
        st = sum_mean(s, name, part, d[i].n, 100);
    }
    return st;
}

static enum status sum_up_mmvet(struct figures *f, const struct benchmark *b, const struct answered *answered,
                                size_t n, struct arena *a, struct err *e)
{
    struct sum all, s;
    double *score;
    size_t n_unread;
    enum status st;

    (void)b;
    sum_begin(&all, f, answered, n, a, e);
    st = judged_only(&all, &s, &n_unread);
    if (st != STATUS_OK) return st;
    score = sum_scores(&s);
    if (score == NULL) return STATUS_NO_MEMORY;
    st = sum_mean(&s, "score", score, s.n, 100);
    if (st == STATUS_OK) st = sum_capabilities(&s);
    if (st == STATUS_OK) st = sum_by(&s, "capabilities", offsetof(struct record, kind), score);
    return st == STATUS_OK ? unparsed_figure(&s, n_unread, n) : st;
}

struct reviews {
    const double (*points)[2]; /* of all that were graded */
    const size_t *index;       /* [n] */
    size_t n;
};

static void relative_score(void *user, const uint32_t *count, double *figure)
{
    const struct reviews *r = user;
    double reference = 0, model = 0;

    for (size_t i = 0; i < r->n; i++) {
        double times = count != NULL ? count[i] : 1;

        reference += times * r->points[r->index[i]][0];
        model += times * r->points[r->index[i]][1];
    }
    *figure = 100 * model / reference;
}

static enum status sum_relative(struct sum *s, const char *name, struct reviews *r)
{
    struct interval range;
    double value = NAN;
    enum status st =
        interval_bootstrap(&range, 1, r->n, NULL, INTERVAL_RESAMPLES, relative_score, r, s->arena, s->err);

    if (st != STATUS_OK) return st;
    if (name == NULL) return err_no_memory(s->err, "the score of a benchmark");
    relative_score(r, NULL, &value);
    return sum_figure(s, name, value, range, r->n);
}

static enum status sum_up_llava(struct figures *f, const struct benchmark *b, const struct answered *answered,
                                size_t n, struct arena *a, struct err *e)
{
    struct sum all, s;
    struct division *d;
    double(*points)[2] = arena_calloc(a, n + 1, sizeof *points);
    size_t *index = arena_calloc(a, n + 1, sizeof *index), n_unread, n_categories;
    struct reviews r = { .points = (const double(*)[2])points, .index = index };
    enum status st;

    (void)b;
    sum_begin(&all, f, answered, n, a, e);
    if (points == NULL || index == NULL) return err_no_memory(e, "the score of a benchmark");
    st = judged_only(&all, &s, &n_unread);
    if (st != STATUS_OK) return st;
    for (size_t i = 0; i < s.n; i++) {
        char *end;

        index[i] = i;
        points[i][0] = 10;
        if (s.answered[i].verdict.taken == NULL)
            continue; /* no answer: nothing, where the reference may have 10 */
        points[i][0] = strtod(s.answered[i].verdict.taken, &end);
        points[i][1] = strtod(end, NULL);
    }
    r.n = s.n;
    st = sum_relative(&s, "relative score", &r);
    if (st == STATUS_OK) st = sum_divide_records(&s, offsetof(struct record, category), &d, &n_categories);
    for (size_t i = 0; st == STATUS_OK && i < n_categories; i++) {
        r.index = d[i].index;
        r.n = d[i].n;
        st = sum_relative(&s, arena_printf(a, "category: %s", d[i].key), &r);
    }
    return st == STATUS_OK ? unparsed_figure(&s, n_unread, n) : st;
}

static enum status check(const json_t *options, struct err *e)
{
    const json_t *file = json_object_get(options, "judgements"), *how = json_object_get(options, "judge");

    if (file != NULL && !json_is_string(file))
        return err_set(e, STATUS_BAD_FORMAT, "option \"judgements\" must be a file's name");
    if (how != NULL && !json_is_object(how))
        return err_set(e, STATUS_BAD_FORMAT, "option \"judge\" must be an object");
    return STATUS_OK;
}

/* ---- what a judge needs ---------------------------------------------------------------------------------------- */

/* " <AND> " and " <OR> ", as the judge's examples have them. NULL: no memory. */
static char *spaced(const char *text, struct arena *a)
{
    static const char *const marks[] = { "<AND>", "<OR>" };
    char *out = arena_alloc(a, 2 * strlen(text) + 1), *at = out;

    while (out != NULL && *text != '\0') {
        size_t n = 1;

        for (size_t i = 0; i < 2; i++)
            if (strncmp(text, marks[i], strlen(marks[i])) == 0) n = strlen(marks[i]);
        if (n > 1) *at++ = ' ';
        at = (char *)memcpy(at, text, n) + n;
        if (n > 1) *at++ = ' ';
        text += n;
    }
    if (out != NULL) *at = '\0';
    return out;
}

static const char *text_or(const json_t *o, const char *key, const char *other)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text != NULL ? text : other;
}

/* The rule for a record's category, with or without "llava_bench_" before it. */
static const json_t *rule_of(const json_t *how, const struct record *r)
{
    static const char prefix[] = "llava_bench_";
    const char *category = r->category != NULL ? r->category : "";

    if (strncmp(category, prefix, sizeof prefix - 1) == 0) category += sizeof prefix - 1;
    return json_object_get(json_object_get(how, "rules"), category);
}

/* What the judge is asked, malloc'ed. NULL: no memory. */
static char *request_text(const json_t *how, const struct record *r, const char *answer, struct arena *a)
{
    static const char *const key[] = { "question", "answer",  "prediction", "reference",
                                       "caption",  "context", "role",       "rule" };
    const char *reference = r->n_answers > 0 ? r->answers[0] : "";
    const char *caption = r->context != NULL ? r->context : "";
    const json_t *rule = rule_of(how, r);
    const char *value[] = { r->question,
                            spaced(reference, a),
                            answer,
                            reference,
                            caption,
                            caption,
                            text_or(rule, "role", "Assistant"),
                            text_or(rule, "prompt", "") };
    const char *instruction = text_or(how, "instruction", "");
    const char *row = text_or(how, "row", "{question} | {answer} | {prediction} | ");
    const char *template = text_or(how, "user", NULL);
    char *text, *whole;

    if (value[1] == NULL) return NULL;
    if (template != NULL) return judge_fill(template, key, value, sizeof key / sizeof *key);
    text = judge_fill(row, key, value, sizeof key / sizeof *key);
    whole = text != NULL ? malloc(strlen(instruction) + strlen(text) + 1) : NULL;
    if (whole != NULL) strcpy(stpcpy(whole, instruction), text);
    free(text);
    return whole;
}

/* A line of requests.jsonl. NULL: no memory. */
static json_t *request(const json_t *how, const struct record *r, const char *answer, struct arena *a)
{
    static const char *const settings[] = { "model", "temperature", "max_tokens" };
    const char *system = text_or(how, "system", NULL);
    char *text = request_text(how, r, answer, a);
    json_t *messages = json_array(), *line = NULL;

    if (text != NULL && messages != NULL) {
        if (system != NULL)
            json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system));
        json_array_append_new(messages,
                              json_pack("{s:s, s:o}", "role", "user", "content", metric_json_text(text, a)));
        line = json_pack("{s:s, s:s?, s:O}", "question_id", r->id, "category", r->category, "messages",
                         messages);
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings && line != NULL; i++)
        if (json_object_get(how, settings[i]) != NULL)
            json_object_set(line, settings[i], json_object_get(how, settings[i]));
    json_decref(messages);
    free(text);
    return line;
}

/* Takes the reference of item, which may be NULL. false: no memory, and *list is gone. */
static bool append(json_t **list, json_t *item)
{
    if (json_array_append_new(*list, item) == 0) return true;
    json_decref(*list);
    *list = NULL;
    return false;
}

static enum status save_requests(const struct benchmark *b, const struct answered *answered, size_t n,
                                 const char *directory, struct arena *a, struct err *e)
{
    const json_t *how = json_object_get(b->options, "judge");
    const char *path = metric_file_name(directory, "requests.jsonl", a);
    json_t *list;

    if (how == NULL) return STATUS_OK;
    list = json_array();
    for (size_t i = 0; i < n && list != NULL; i++) {
        const char *clean = ans_clean(answered[i].answer, a);

        if (!append(&list, clean != NULL ? request(how, answered[i].record, clean, a) : NULL)) break;
    }
    if (path != NULL) return metric_file_lines(path, list, e);
    json_decref(list);
    return err_no_memory(e, "a file for a judge");
}

/* {"v1_0": "The answer.", ...} */
static enum status save_mmvet(const struct benchmark *b, const struct answered *answered, size_t n,
                              const char *directory, struct err *e)
{
    struct arena a = { 0 };
    const char *path = metric_file_name(directory, "answers.json", &a);
    json_t *object = json_object();
    enum status st;

    for (size_t i = 0; i < n && object != NULL; i++) {
        const char *clean = ans_clean(answered[i].answer, &a);

        if (clean != NULL && json_object_set_new(object, answered[i].record->id, json_string(clean)) == 0)
            continue;
        json_decref(object);
        object = NULL;
    }
    st = path != NULL ? metric_file_json(path, object, e) : err_no_memory(e, "a file for a judge");
    if (st == STATUS_OK) st = save_requests(b, answered, n, directory, &a, e);
    arena_free(&a);
    return st;
}

/* {"question_id": 3, "prompt": "...", "text": "...", "answer_id": "3", "model_id": "sphinx", "metadata": {}} */
static json_t *llava_line(const struct answered *x, struct arena *a)
{
    const struct record *r = x->record;
    const char *clean = ans_clean(x->answer, a);
    char *end;
    long long number = strtoll(r->id, &end, 10);
    json_t *id = *end == '\0' && end > r->id ? json_integer(number) : json_string(r->id);

    if (clean == NULL) {
        json_decref(id);
        return NULL;
    }
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:{}}", "question_id", id, "prompt", r->question, "text",
                     clean, "answer_id", r->id, "model_id", "sphinx", "metadata");
}

static enum status save_llava(const struct benchmark *b, const struct answered *answered, size_t n,
                              const char *directory, struct err *e)
{
    struct arena a = { 0 };
    const char *path = metric_file_name(directory, "answers.jsonl", &a);
    json_t *list = json_array();
    enum status st;

    for (size_t i = 0; i < n && list != NULL; i++)
        if (!append(&list, llava_line(&answered[i], &a))) break;
    st = path != NULL ? metric_file_lines(path, list, e) : err_no_memory(e, "a file for a judge");
    if (st == STATUS_OK) st = save_requests(b, answered, n, directory, &a, e);
    arena_free(&a);
    return st;
}

const struct metric metric_mmvet = { .name = "mmvet",
                                     .unit = "%",
                                     .judge = judge_mmvet,
                                     .sum_up = sum_up_mmvet,
                                     .check = check,
                                     .save = save_mmvet };
const struct metric metric_llava_bench = { .name = "llava_bench",
                                           .unit = "%",
                                           .judge = judge_llava,
                                           .sum_up = sum_up_llava,
                                           .check = check,
                                           .save = save_llava };
