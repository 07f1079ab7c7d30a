/* sample.c - see sample.h. */
#include "train/sample.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- the dialogue's text ------------------------------------------------------------------------------- */

/* Counts while out is NULL, then writes: the text is described once. */
struct writer {
    char *out;
    size_t size;
};

static void put(struct writer *w, const char *text)
{
    size_t size = strlen(text);

    if (w->out != NULL) memcpy(w->out + w->size, text, size);
    w->size += size;
}

/* answers [n_turns]: of the assistant's turns, what is to be learned: the space before the answer up to the separator behind it. */
static void render(struct writer *w, const struct sample_turn *turns, size_t n_turns, struct span *answers)
{
    size_t n = 0;

    w->size = 0;
    put(w, conv_system_default);
    put(w, CONV_BEGIN);
    for (size_t i = 0; i < n_turns; i++) {
        if (turns[i].assistant) {
            put(w, CONV_ASSISTANT);
            answers[n].begin = w->size;
            put(w, " ");
        } else {
            put(w, CONV_HUMAN);
        }
        put(w, turns[i].text);
        put(w, CONV_STOP);
        if (turns[i].assistant) answers[n++].end = w->size;
    }
}

/* ---- ids and labels ------------------------------------------------------------------------------------ */

/* Room for n ids and as many labels, these 0. */
static enum status sample_init(struct sample *s, const int32_t *ids, size_t n, struct err *e)
{
    *s = (struct sample){ .ids = calloc(2 * n, sizeof *s->ids), .n = n };
    if (s->ids == NULL) return err_no_memory(e, "a sample");
    s->labels = s->ids + n;
    memcpy(s->ids, ids, n * sizeof *ids);
    return STATUS_OK;
}

static void learn(struct sample *s, size_t i)
{
    s->labels[i] = s->ids[i];
    s->n_targets += s->ids[i] != 0;
}

static enum status targets_check(struct sample *s, size_t n_whole, struct err *e)
{
    size_t n = s->n;

    if (s->n_targets > 0) return STATUS_OK;
    sample_free(s);
    if (n < n_whole)
        return err_set(e, STATUS_BAD_FORMAT, "nothing to learn is left of %zu tokens cut to %zu", n_whole, n);
    return err_set(e, STATUS_BAD_FORMAT, "there is nothing to learn: no answer");
}

static enum status dialogue_label(struct sample *s, const struct tokenizer *t, const struct writer *text,
                                  const struct span *answers, size_t n_answers, size_t max_tokens,
                                  struct err *e)
{
    int32_t *ids;
    struct span *spans;
    size_t n, answer = 0;
    enum status st = tok_encode_spans(t, text->out, text->size, TOK_BOS | TOK_EOS, &ids, &spans, &n, e);

    if (st != STATUS_OK) return st;
    st = sample_init(s, ids, n < max_tokens ? n : max_tokens, e);
    for (size_t i = 1; st == STATUS_OK && i < s->n && i + 1 < n; i++) { /* without the first and the last */
        while (answer < n_answers && spans[i].begin >= answers[answer].end) answer++;
        if (answer < n_answers && spans[i].begin >= answers[answer].begin) learn(s, i);
    }
    free(ids);
    free(spans);
    return st == STATUS_OK ? targets_check(s, n, e) : st;
}

enum status sample_dialogue(struct sample *s, const struct tokenizer *t, const struct sample_turn *turns,
                            size_t n_turns, size_t max_tokens, struct err *e)
{
    struct writer w = { 0 };
    struct span *answers;
    size_t n_answers = 0;
    enum status st;

    assert(max_tokens > 0);
    *s = (struct sample){ 0 };
    for (size_t i = 0; i < n_turns; i++) n_answers += turns[i].assistant;
    answers = calloc(n_answers + 1, sizeof *answers);
    if (answers == NULL) return err_no_memory(e, "a dialogue");
    render(&w, turns, n_turns, answers);
    w.out = malloc(w.size + 1);
    if (w.out != NULL) {
        render(&w, turns, n_turns, answers);
        st = dialogue_label(s, t, &w, answers, n_answers, max_tokens, e);
    } else {
        st = err_no_memory(e, "a dialogue");
    }
    free(w.out);
    free(answers);
    return st;
}

/* ---- a dialogue's questions apart ------------------------------------------------------------------------- */

/* Where the exchange that begins with turn i ends: before the next question that has an answer before it. */
static size_t exchange_end(const struct sample_turn *turns, size_t n_turns, size_t i)
{
    for (i++; i < n_turns; i++)
        if (!turns[i].assistant && turns[i - 1].assistant) break;
    return i;
}

/* The dialogues [n] of the exchanges, as samples; those with nothing to learn are left out. BAD_FORMAT: that is all of them. */
static enum status exchanges_read(struct sample *parts, size_t *n, const struct tokenizer *t,
                                  const struct sample_turn *turns, size_t n_turns, size_t max_tokens,
                                  struct err *e)
{
    struct err why = { 0 };

    *n = 0;
    for (size_t i = 0, end; i < n_turns; i = end) {
        enum status st;

        end = exchange_end(turns, n_turns, i);
        st = sample_dialogue(&parts[*n], t, turns + i, end - i, max_tokens, &why);
        if (st != STATUS_OK && st != STATUS_BAD_FORMAT) return err_set(e, st, "%s", why.text);
        *n += st == STATUS_OK;
    }
    if (*n > 0) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT, "%s",
                   n_turns > 0 ? why.text : "there is nothing to learn: no answer");
}

/* How many ids all begin with, before the first target of any: its row is to be one of the part's own. */
static size_t shared_count(const struct sample *parts, size_t n)
{
    size_t shared = parts[0].n;

    for (size_t k = 0; k < n; k++) {
        const struct sample *p = &parts[k];
        size_t i = 0;

        while (i < shared && i + 1 < p->n && p->ids[i] == parts[0].ids[i] && p->labels[i + 1] == 0) i++;
        shared = i;
    }
    return shared;
}

static enum status parts_join(struct sample *s, const struct sample *parts, size_t n, size_t max_tokens,
                              struct err *e)
{
    size_t shared = shared_count(parts, n), size = shared, used = 0;

    while (used < n && (used == 0 || size + parts[used].n - shared <= max_tokens))
        size += parts[used++].n - shared;
    *s = (struct sample){ .ids = calloc(2 * size, sizeof *s->ids), .n = size, .n_shared = shared };
    s->part = calloc(used + 1, sizeof *s->part);
    if (s->ids == NULL || s->part == NULL) {
        sample_free(s);
        return err_no_memory(e, "a sample");
    }
    s->labels = s->ids + size;
    for (size_t k = 0, at = 0; k < used; k++, s->n_parts++) {
        size_t skip = k == 0 ? 0 : shared, count = parts[k].n - skip;

        memcpy(s->ids + at, parts[k].ids + skip, count * sizeof *s->ids);
        memcpy(s->labels + at, parts[k].labels + skip, count * sizeof *s->ids);
        s->n_targets += parts[k].n_targets;
        at += count;
        s->part[k + 1] = at;
    }
    return STATUS_OK;
}

enum status sample_apart(struct sample *s, const struct tokenizer *t, const struct sample_turn *turns,
                         size_t n_turns, size_t max_tokens, struct err *e)
{
    struct sample *parts = calloc(n_turns + 1, sizeof *parts);
    size_t n = 0;
    enum status st;

    *s = (struct sample){ 0 };
    if (parts == NULL) return err_no_memory(e, "a dialogue");
    st = exchanges_read(parts, &n, t, turns, n_turns, max_tokens, e);
    if (st == STATUS_OK) st = parts_join(s, parts, n, max_tokens, e);
    for (size_t k = 0; k < n; k++) sample_free(&parts[k]);
    free(parts);
    return st;
}

/* ---- a prompt and an output ---------------------------------------------------------------------------- */

/* How many tokens the prompt has by itself. Where its end and the output's beginning merge into one token, that one is taken for the
 * output's or the prompt's as upstream takes it. */
static enum status prompt_count(const struct tokenizer *t, const char *prompt, size_t *n, struct err *e)
{
    int32_t *ids;
    enum status st = tok_encode(t, prompt, strlen(prompt), TOK_BOS, &ids, n, e);

    if (st == STATUS_OK) free(ids);
    return st;
}

enum status sample_single(struct sample *s, const struct tokenizer *t, const char *prompt, const char *output,
                          size_t max_tokens, struct err *e)
{
    size_t prompt_size = strlen(prompt), output_size = strlen(output), n_prompt = 0, n = 0;
    int32_t *ids = NULL;
    char *text;
    enum status st = prompt_count(t, prompt, &n_prompt, e);

    assert(max_tokens > 0);
    *s = (struct sample){ 0 };
    if (st != STATUS_OK) return st;
    text = malloc(prompt_size + output_size + 1);
    if (text == NULL) return err_no_memory(e, "a sample");
    memcpy(text, prompt, prompt_size);
    memcpy(text + prompt_size, output, output_size + 1);
    st = tok_encode(t, text, prompt_size + output_size, TOK_BOS | TOK_EOS, &ids, &n, e);
    free(text);
    if (st == STATUS_OK) st = sample_init(s, ids, n < max_tokens ? n : max_tokens, e);
    free(ids);
    if (st != STATUS_OK) return st;
    for (size_t i = n_prompt; i < s->n; i++) learn(s, i);
    return targets_check(s, n, e);
}

/* ---- patches ------------------------------------------------------------------------------------------- */

static size_t words_count(const char *const *cells, size_t n)
{
    size_t words = 0;

    for (size_t i = 0; i < n; i++)
        for (const char *p = cells[i]; *p != '\0'; p++) words += *p != ' ' && (p[1] == ' ' || p[1] == '\0');
    return words;
}

/* The word that begins at *text, which is moved behind it. */
static enum status word_id(const struct tokenizer *t, const char **text, int32_t *id, struct err *e)
{
    size_t size = strcspn(*text, " "), n;
    int32_t *ids;
    enum status st = tok_encode(t, *text, size, 0, &ids, &n, e);

    if (st != STATUS_OK) return st;
    *id = ids[n - 1];
    *text += size;
    free(ids);
    return STATUS_OK;
}

enum status sample_show(struct sample *s, const struct tokenizer *t, const char *const *cells, int side,
                        struct err *e)
{
    size_t n = (size_t)side * (size_t)side;
    enum status st = STATUS_OK;

    s->shown = calloc(words_count(cells, n) + 1, sizeof *s->shown);
    if (s->shown == NULL) return err_no_memory(e, "a sample");
    s->shown_side = side;
    for (size_t i = 0; i < n; i++) {
        const char *text = cells[i] + strspn(cells[i], " ");

        while (*text != '\0') {
            struct patch_word *word = &s->shown[s->n_shown++];

            word->cell = (int32_t)i;
            st = word_id(t, &text, &word->id, e);
            if (st != STATUS_OK) return st;
            text += strspn(text, " ");
        }
    }
    return STATUS_OK;
}

void sample_free(struct sample *s)
{
    free(s->ids);
    free(s->part);
    free(s->shown);
    *s = (struct sample){ 0 };
}
