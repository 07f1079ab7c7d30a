/*
 * metric_class.c - naming an image's class (ImageNet and its like), top-1.
 *
 *   reference  "tench, Tinca tinca" ── names, at commas ─┐
 *   answer     "It's a tench." ── words ─────────────────┴─ is a name among the words?
 *
 * Small letters, punctuation to spaces, articles dropped, on both sides. Right is an answer that holds one of the names as whole words
 * in a row; "equal" counts those that are nothing else. No official script defines this: a model that answers in words chooses among all
 * names there are, so the figure is not a classifier's top-1 accuracy.
 */
#include "eval/answer_text.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <string.h>

/* " word word ": a space around each word. NULL: no memory. */
static char *words_of(const char *text, size_t size, struct arena *a)
{
    char *copy = arena_alloc(a, size + 1), *small, *out, *at;
    const char *p;

    if (copy == NULL) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    small = ans_lower(copy, a);
    out = at = small != NULL ? arena_alloc(a, strlen(small) + 3) : NULL;
    if (out == NULL) return NULL;
    for (char *c = small; *c != '\0'; c++)
        if (strchr(".,;:!?\"'`()[]{}<>/\\_-", *c) != NULL) *c = ' ';
    *at++ = ' ';
    p = small;
    for (size_t n; (n = ans_word(&p)) > 0; p += n) {
        bool article = (n == 1 && p[0] == 'a') || (n == 2 && strncmp(p, "an", n) == 0) ||
                       (n == 3 && strncmp(p, "the", n) == 0);

        if (article) continue;
        at = (char *)memcpy(at, p, n) + n;
        *at++ = ' ';
    }
    *at = '\0';
    return out;
}

struct found {
    const char *name; /* as its words; NULL: none of the names */
    bool equal;
};

static enum status find_name(struct found *f, const struct record *r, const char *answer, struct arena *a,
                             struct err *e)
{
    const char *clean = ans_clean(answer, a);
    const char *words = clean != NULL ? words_of(clean, strlen(clean), a) : NULL;

    *f = (struct found){ 0 };
    if (words == NULL) return err_no_memory(e, "the score of an answer");
    for (size_t i = 0; i < r->n_answers; i++) {
        for (const char *p = r->answers[i]; *p != '\0';) {
            size_t n = strcspn(p, ",");
            const char *name = words_of(p, n, a);

            if (name == NULL) return err_no_memory(e, "the score of an answer");
            if (name[1] != '\0' && strstr(words, name) != NULL) {
                f->equal = f->equal || strcmp(words, name) == 0;
                f->name = name;
            }
            p += n + (p[n] == ',');
        }
    }
    return STATUS_OK;
}

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    struct found f;
    enum status st = find_name(&f, r, answer, a, e);

    (void)b;
    if (st != STATUS_OK) return st;
    if (clean == NULL) return err_no_memory(e, "the score of an answer");
    *v = (struct verdict){ .score = f.name != NULL,
                           .malformed = clean[0] == '\0',
                           .taken = f.name != NULL ? ans_strip(f.name, a) : "" };
    return v->taken != NULL ? STATUS_OK : err_no_memory(e, "the score of an answer");
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s;
    double *equal;
    enum status st;

    sum_begin(&s, f, answered, n, a, e);
    equal = sum_scores(&s);
    if (equal == NULL) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        struct found found;

        if (equal[i] != 1) continue;
        st = find_name(&found, answered[i].record, answered[i].answer, a, e);
        if (st != STATUS_OK) return st;
        equal[i] = found.equal;
    }
    st = sum_usual(&s, "accuracy", b);
    return st == STATUS_OK ? sum_mean(&s, "equal", equal, n, 100) : st;
}

const struct metric metric_class = { .name = "class", .unit = "%", .judge = judge, .sum_up = sum_up };
