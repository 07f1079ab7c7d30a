/*
 * metric_mention.c - which things a caption mentions, and how many: F1 against those of a reference.
 *
 *   "Two red circles, a person in blue and the word "cat"." ── red circle: 2, person in blue: 1, word "cat": 1
 *
 * A text is taken for a list: things end at commas, semicolons, periods and "and"; a number word or an article before them says how many; words
 * are compared in the singular and without case. So it is for captions that are lists, as those of sphinx synth, not for prose. A text
 * that mentions nothing is malformed.
 */
#include "eval/answer_text.h"
#include "eval/metric_list.h"
#include "eval/metric_sum.h"

#include <math.h>
#include <string.h>

enum { THINGS_MAX = 1000 }; /* different ones: comparing takes time in their square */

struct mention {
    char *thing;
    size_t count;
};

struct mentions {
    struct mention *item; /* [n], all different; at most THINGS_MAX */
    size_t n, total;
};

/* How many an article or a number word says there are; 0: it is neither. */
static size_t count_said(const char *word, size_t n)
{
    static const struct {
        const char *word;
        size_t count;
    } rows[] = { { "a", 1 },     { "an", 1 },   { "the", 1 },  { "one", 1 }, { "two", 2 },
                 { "three", 3 }, { "four", 4 }, { "five", 5 }, { "six", 6 }, { "seven", 7 },
                 { "eight", 8 }, { "nine", 9 }, { "ten", 10 } };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].word) == n && memcmp(rows[i].word, word, n) == 0) return rows[i].count;
    }
    return 0;
}

/* Appends a word to a thing, in the singular: "people", "crosses", "circles". */
static void add_word(char *thing, const char *word, size_t n)
{
    size_t at = strlen(thing);

    if (at > 0) thing[at++] = ' ';
    if (n == 6 && memcmp(word, "people", 6) == 0)
        word = "person";
    else if (n > 4 && memcmp(word + n - 4, "sses", 4) == 0)
        n -= 2;
    else if (n > 2 && word[n - 1] == 's' && word[n - 2] != 's')
        n--;
    memcpy(thing + at, word, n);
    thing[at + n] = '\0';
}

static void add_mention(struct mentions *m, char *thing, size_t count)
{
    size_t i = 0;

    if (thing[0] == '\0') return;
    while (i < m->n && strcmp(m->item[i].thing, thing) != 0) i++;
    m->total += count;
    if (i == THINGS_MAX) return; /* counts as wrong */
    if (i == m->n) m->item[m->n++] = (struct mention){ .thing = thing };
    m->item[i].count += count;
}

/* False: no memory. */
static bool mentions_make(struct mentions *m, const char *text, struct arena *a)
{
    const char *p = ans_lower(text, a);
    size_t size = p != NULL ? strlen(p) : 0, n, count = 1;
    char *room = arena_calloc(a, 2 * size + 2, 1),
         *thing = room; /* a thing is never longer than what it is read from */

    *m = (struct mentions){ .item = arena_calloc(a, size / 2 + 1, sizeof *m->item) };
    if (p == NULL || room == NULL || m->item == NULL) return false;
    while ((n = ans_word(&p)) > 0) {
        const char *word = p;
        bool last = false, is_and = n == 3 && memcmp(word, "and", 3) == 0;

        p += n;
        while (n > 0 && strchr(",;.", word[n - 1]) != NULL) {
            last = true;
            n--;
        }
        if (thing[0] == '\0' && count_said(word, n) > 0)
            count = count_said(word, n);
        else if (n > 0 && !is_and)
            add_word(thing, word, n);
        if (!last && !is_and) continue;
        add_mention(m, thing, count);
        thing += strlen(thing) + 1;
        count = 1;
    }
    add_mention(m, thing, count);
    return true;
}

static double f1(const struct mentions *x, const struct mentions *y)
{
    size_t both = 0;

    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < y->n; k++) {
            if (strcmp(x->item[i].thing, y->item[k].thing) == 0)
                both += x->item[i].count < y->item[k].count ? x->item[i].count : y->item[k].count;
        }
    }
    return both > 0 ? 2 * (double)both / (double)(x->total + y->total) : 0;
}

static enum status judge(struct verdict *v, const struct benchmark *b, const struct record *r,
                         const char *answer, struct arena *a, struct err *e)
{
    const char *clean = ans_clean(answer, a);
    struct arena_mark mark = arena_mark(a);
    struct mentions said, wanted;

    (void)b;
    if (clean == NULL || !mentions_make(&said, clean, a))
        return err_no_memory(e, "the mentions of an answer");
    *v = (struct verdict){ .malformed = said.n == 0, .taken = clean };
    for (size_t i = 0; i < r->n_answers; i++) {
        if (!mentions_make(&wanted, r->answers[i], a)) return err_no_memory(e, "the mentions of a reference");
        v->score = fmax(v->score, f1(&said, &wanted));
    }
    arena_reset(a, mark);
    return STATUS_OK;
}

static enum status sum_up(struct figures *f, const struct benchmark *b, const struct answered *answered,
                          size_t n, struct arena *a, struct err *e)
{
    struct sum s;

    sum_begin(&s, f, answered, n, a, e);
    return sum_usual(&s, "F1", b);
}

static enum status check(const json_t *options, struct err *e)
{
    return option_check_bool(options, "mean_of_categories", e);
}

const struct metric metric_mention = {
    .name = "mention", .unit = "%", .judge = judge, .sum_up = sum_up, .check = check
};
