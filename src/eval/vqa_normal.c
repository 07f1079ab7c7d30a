/* vqa_normal.c - see vqa_normal.h. */
#include "eval/vqa_normal.h"

#include "eval/answer_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PERIODS_MAX = 32 };

static const char PUNCTUATION[] = ";/[]\"{}()=+\\_-><@`,?!";

static const char *const number_words[] = { "zero", "one",   "two",   "three", "four", "five",
                                            "six",  "seven", "eight", "nine",  "ten" };
static const char *const articles[] = { "a", "an", "the" };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char *vqa_punctuation(const char *text, struct arena *a)
{
    char *out = arena_alloc(a, strlen(text) + 1), *at = out;
    bool beside_space[128] = { false }, thousands = false;
    int periods = 0;

    if (out == NULL) return NULL;
    for (const char *p = text; *p != '\0'; p++) {
        if (p > text && *p == ' ' && p[-1] > 0) beside_space[(int)p[-1]] = true;
        if (*p > 0 && p > text && p[-1] == ' ') beside_space[(int)*p] = true;
        if (*p == ',' && p > text && is_digit(p[-1]) && is_digit(p[1])) thousands = true;
    }
    for (; *text != '\0'; text++) {
        if (strchr(PUNCTUATION, *text) == NULL)
            *at++ = *text;
        else if (!beside_space[(int)*text] && !thousands)
            *at++ = ' ';
    }
    *at = '\0';
    at = out;
    for (const char *p = out; *p != '\0'; p++) {
        if (*p == '.' && !is_digit(p[1]) && periods < PERIODS_MAX)
            periods++;
        else
            *at++ = *p;
    }
    *at = '\0';
    return out;
}

static bool word_is(const char *word, size_t n, const char *s)
{
    return strncmp(word, s, n) == 0 && s[n] == '\0';
}

struct word {
    const char *text;
    size_t n;
};

static int compare_contraction(const void *key, const void *element)
{
    const struct word *w = key;
    const char *s = *(const char *const *)element;
    int order = strncmp(w->text, s, w->n);

    return order != 0 ? order : (s[w->n] == '\0' ? 0 : -1);
}

/* What takes the word's place; NULL: nothing. */
static const char *replacement(const char *word, size_t n, char *number)
{
    struct word w = { word, n };
    const char *const(*contraction)[2];

    for (size_t i = 0; i < sizeof articles / sizeof *articles; i++)
        if (word_is(word, n, articles[i])) return NULL;
    if (word_is(word, n, "none")) return "0";
    for (size_t i = 0; i < sizeof number_words / sizeof *number_words; i++) {
        if (!word_is(word, n, number_words[i])) continue;
        strcpy(number, i == 10 ? "10" : (char[2]){ (char)('0' + i), '\0' });
        return number;
    }
    contraction =
        bsearch(&w, vqa_contractions, n_vqa_contractions, sizeof *vqa_contractions, compare_contraction);
    return contraction != NULL ? (*contraction)[1] : "";
}

char *vqa_prediction(const char *text, struct arena *a)
{
    char *line = arena_strdup(a, text), *plain, *small, *out, *at;
    char number[4];

    if (line == NULL) return NULL;
    for (char *p = line; *p != '\0'; p++)
        if (*p == '\n' || *p == '\t') *p = ' ';
    line = ans_strip(line, a);
    plain = line != NULL ? vqa_punctuation(line, a) : NULL;
    small = plain != NULL ? ans_lower(plain, a) : NULL;
    out = at = small != NULL ? arena_alloc(a, 2 * strlen(small) + 1) : NULL; /* no word doubles in length */
    if (out == NULL) return NULL;
    for (size_t n; (n = ans_word((const char **)&small)) > 0; small += n) {
        const char *new = replacement(small, n, number);

        if (new == NULL) continue;
        if (at > out) *at++ = ' ';
        at = new[0] != '\0' ? stpcpy(at, new) : (char *)memcpy(at, small, n) + n;
    }
    *at = '\0';
    return out;
}
