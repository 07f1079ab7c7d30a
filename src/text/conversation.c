/* conversation.c - see conversation.h. */
#include "text/conversation.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char conv_system_default[] =
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions.";

/* ---- template ------------------------------------------------------------------------------------------ */

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

static void render(struct writer *w, const char *system, const struct conv_turn *turns, size_t n_turns)
{
    size_t i;

    w->size = 0;
    put(w, system);
    put(w, CONV_BEGIN);
    for (i = 0; i < n_turns; i++) {
        put(w, CONV_HUMAN);
        put(w, turns[i].question);
        put(w, CONV_STOP);
        put(w, CONV_ASSISTANT);
        if (turns[i].answer == NULL) { /* no space: the model writes it with its first word */
            if (turns[i].begins != NULL) put(w, turns[i].begins);
            continue;
        }
        put(w, " ");
        put(w, turns[i].answer);
        put(w, CONV_STOP);
    }
}

enum status conv_render(const char *system, const struct conv_turn *turns, size_t n_turns, char **text,
                        size_t *size, struct err *e)
{
    struct writer w = { 0 };
    size_t i;

    *text = NULL;
    for (i = 0; i < n_turns; i++) {
        if (turns[i].question == NULL)
            return err_set(e, STATUS_BAD_ARGUMENT, "turn %zu of the dialogue has no question", i + 1);
        if (turns[i].answer == NULL && i + 1 < n_turns)
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "turn %zu of the dialogue has no answer, only the last may be open", i + 1);
    }
    if (system == NULL) system = conv_system_default;
    render(&w, system, turns, n_turns);
    w.out = malloc(w.size + 1);
    if (w.out == NULL) return err_no_memory(e, "the prompt");
    render(&w, system, turns, n_turns);
    w.out[w.size] = '\0';
    *text = w.out;
    if (size != NULL) *size = w.size;
    return STATUS_OK;
}

/* ---- segments ------------------------------------------------------------------------------------------ */

/* Encodes prefix and text as one string. */
static enum status joined_encode(const struct tokenizer *t, const char *prefix, const char *text,
                                 int32_t **ids, size_t *n_ids, struct err *e)
{
    size_t prefix_size = strlen(prefix), text_size = strlen(text);
    char *joined = malloc(prefix_size + text_size + 1);
    enum status st;

    if (joined == NULL) return err_no_memory(e, "a stop text");
    memcpy(joined, prefix, prefix_size);
    memcpy(joined + prefix_size, text, text_size);
    st = tok_encode(t, joined, prefix_size + text_size, 0, ids, n_ids, e);
    free(joined);
    return st;
}

/* Whether the n_part ids of part stand at ids + at. */
static bool ids_stand_at(const int32_t *ids, size_t n_ids, size_t at, const int32_t *part, size_t n_part)
{
    return at <= n_ids && n_part <= n_ids - at && memcmp(ids + at, part, n_part * sizeof *ids) == 0;
}

/* Whether the ids of prefix + "my darling" end "Hi my darling". */
static enum status probe(const struct tokenizer *t, const char *prefix, bool *ends, struct err *e)
{
    int32_t *whole = NULL, *part = NULL;
    size_t n_whole = 0, n_part = 0;
    enum status st = joined_encode(t, "Hi ", "my darling", &whole, &n_whole, e);

    if (st == STATUS_OK) st = joined_encode(t, prefix, "my darling", &part, &n_part, e);
    *ends = st == STATUS_OK && ids_stand_at(whole, n_whole, n_whole - n_part, part, n_part);
    free(whole);
    free(part);
    return st;
}

enum status conv_segmenter_init(struct conv_segmenter *s, const struct tokenizer *t, struct err *e)
{
    bool bare_ends, spaced_ends = true;
    enum status st = probe(t, "", &bare_ends, e);

    *s = (struct conv_segmenter){ .t = t, .needs_space = !bare_ends };
    if (st == STATUS_OK && s->needs_space) st = probe(t, " ", &spaced_ends, e);
    if (st == STATUS_OK && !spaced_ends)
        st = err_set(e, STATUS_UNSUPPORTED,
                     "the tokenizer encodes a word differently behind another, with or without "
                     "a space: stop texts cannot be found in its ids");
    return st;
}

enum status conv_segment_encode(const struct conv_segmenter *s, const char *text, int32_t **ids,
                                size_t *n_ids, struct err *e)
{
    while (*text == ' ') text++;
    return joined_encode(s->t, s->needs_space ? " " : "", text, ids, n_ids, e);
}

enum status conv_glued_encode(const struct conv_segmenter *s, const char *text, int32_t **ids, size_t *n_ids,
                              struct err *e)
{
    /* characters that rarely merge with what follows, in the order in which upstream tries them */
    static const char *const prefixes[] = { "@", "\n", "\\", "=", ">", "`" };
    size_t i;

    if (s->needs_space) return joined_encode(s->t, "", text, ids, n_ids, e);
    for (i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        int32_t *prefix = NULL;
        size_t n_prefix = 0;
        enum status st = joined_encode(s->t, prefixes[i], text, ids, n_ids, e);
        bool kept;

        if (st != STATUS_OK) return st;
        st = joined_encode(s->t, prefixes[i], "", &prefix, &n_prefix, e);
        kept = st == STATUS_OK && ids_stand_at(*ids, *n_ids, 0, prefix, n_prefix);
        free(prefix);
        if (kept) {
            *n_ids -= n_prefix;
            memmove(*ids, *ids + n_prefix, *n_ids * sizeof **ids);
            return STATUS_OK;
        }
        free(*ids);
        *ids = NULL;
        if (st != STATUS_OK) return st;
    }
    return err_set(e, STATUS_UNSUPPORTED, "the tokenizer merges \"%s\" with whatever stands before it", text);
}

/* ---- stop sequences ------------------------------------------------------------------------------------ */

/* Takes over ids. */
static void stop_add(struct conv_stops *s, int32_t *ids, size_t n_ids)
{
    if (n_ids == 0) {
        free(ids);
        return;
    }
    s->stops[s->n_stops++] = (struct conv_stop){ ids, n_ids };
}

static enum status stop_text_add(struct conv_stops *s, const struct conv_segmenter *g, const char *text,
                                 struct err *e)
{
    int32_t *ids;
    size_t n_ids;
    enum status st;

    if (*text == '\0') return err_set(e, STATUS_BAD_ARGUMENT, "a stop text is empty");
    st = conv_segment_encode(g, text, &ids, &n_ids, e);
    if (st != STATUS_OK) return st;
    stop_add(s, ids, n_ids);
    st = conv_glued_encode(g, text, &ids, &n_ids, e);
    if (st != STATUS_OK) return st;
    stop_add(s, ids, n_ids);
    return STATUS_OK;
}

enum status conv_stops_init(struct conv_stops *s, const struct tokenizer *t, const char *const *texts,
                            size_t n_texts, struct err *e)
{
    struct conv_segmenter g;
    enum status st = conv_segmenter_init(&g, t, e);
    int32_t *eos;
    size_t n_eos, i;

    *s = (struct conv_stops){ 0 };
    if (st != STATUS_OK) return st;
    s->stops = calloc(2 * n_texts + 1, sizeof *s->stops);
    if (s->stops == NULL) return err_no_memory(e, "stop texts");
    st = tok_encode(t, "", 0, TOK_EOS, &eos, &n_eos, e);
    if (st == STATUS_OK) stop_add(s, eos, n_eos);
    for (i = 0; i < n_texts && st == STATUS_OK; i++) st = stop_text_add(s, &g, texts[i], e);
    if (st != STATUS_OK) conv_stops_free(s);
    return st;
}

void conv_stops_free(struct conv_stops *s)
{
    size_t i;

    for (i = 0; i < s->n_stops; i++) free(s->stops[i].ids);
    free(s->stops);
    *s = (struct conv_stops){ 0 };
}

size_t conv_stops_match(const struct conv_stops *s, const int32_t *ids, size_t n_ids)
{
    size_t i;

    for (i = 0; i < s->n_stops; i++) {
        const struct conv_stop *stop = &s->stops[i];

        if (stop->n_ids <= n_ids && ids_stand_at(ids, n_ids, n_ids - stop->n_ids, stop->ids, stop->n_ids))
            return stop->n_ids;
    }
    return 0;
}
