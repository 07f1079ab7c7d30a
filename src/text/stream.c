/* stream.c - see stream.h. */
#include "text/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

/* A stop text with its matcher (Knuth, Morris, Pratt 1977), which reads every byte of the answer once. */
struct stream_stop {
    char *text;
    size_t size;
    size_t
        *border; /* [size + 1]: of the first i bytes, the longest proper prefix that is also their suffix */
    size_t matched; /* so many bytes of text are the end of the answer so far */
};

static void borders_find(struct stream_stop *stop)
{
    size_t i, length = 0;

    stop->border[0] = stop->border[1] = 0;
    for (i = 1; i < stop->size; i++) {
        while (length > 0 && stop->text[i] != stop->text[length]) length = stop->border[length];
        if (stop->text[i] == stop->text[length]) length++;
        stop->border[i + 1] = length;
    }
}

static bool stop_match(struct stream_stop *stop, char c)
{
    while (stop->matched > 0 && stop->text[stop->matched] != c) stop->matched = stop->border[stop->matched];
    if (stop->text[stop->matched] == c) stop->matched++;
    return stop->matched == stop->size;
}

static enum status stop_init(struct stream_stop *stop, const char *text, struct err *e)
{
    enum status st;

    stop->size = strlen(text);
    if (stop->size == 0) return err_set(e, STATUS_BAD_ARGUMENT, "a stop text is empty");
    st = text_utf8_check("a stop text", text, stop->size, NULL, e);
    if (st != STATUS_OK) return st;
    stop->text = strdup(text);
    stop->border = calloc(stop->size + 1, sizeof *stop->border);
    if (stop->text == NULL || stop->border == NULL) return err_no_memory(e, "a stop text");
    borders_find(stop);
    return STATUS_OK;
}

static bool grow(void **data, size_t *capacity, size_t wanted, size_t item_size)
{
    size_t n = *capacity;
    void *grown;

    if (wanted <= n) return true;
    while (n < wanted) n = n == 0 ? 64 : 2 * n;
    grown = realloc(*data, n * item_size);
    if (grown == NULL) return false;
    *data = grown;
    *capacity = n;
    return true;
}

/* Room for one more id, whatever its text, and for the end. */
static bool room_make(struct stream *s)
{
    void *text = s->text, *spans = s->spans;
    bool ok = grow(&text, &s->text_capacity, s->size + 2 * tok_step_size_max(s->decoder.t) + 1, 1) &&
              grow(&spans, &s->spans_capacity, s->n_ids + 1, sizeof *s->spans);

    s->text = text;
    s->spans = spans;
    return ok;
}

enum status stream_init(struct stream *s, const struct tokenizer *t, const char *const *stops, size_t n_stops,
                        size_t n_ids_expected, struct err *e)
{
    const size_t bytes_per_id = 8; /* more than twice what English takes */
    enum status st = STATUS_OK;
    size_t i;

    *s = (struct stream){ 0 };
    tok_decoder_begin(&s->decoder, t);
    s->text_capacity = n_ids_expected * bytes_per_id + 2 * tok_step_size_max(t) + 1;
    s->spans_capacity = n_ids_expected + 1;
    s->text = malloc(s->text_capacity);
    s->spans = calloc(s->spans_capacity, sizeof *s->spans);
    s->stops = calloc(n_stops + 1, sizeof *s->stops);
    if (s->text == NULL || s->spans == NULL || s->stops == NULL) st = err_no_memory(e, "the answer's text");
    for (i = 0; i < n_stops && st == STATUS_OK; i++) {
        s->n_stops++;
        st = stop_init(&s->stops[i], stops[i], e);
    }
    if (st != STATUS_OK) stream_free(s);
    return st;
}

void stream_free(struct stream *s)
{
    size_t i;

    for (i = 0; i < s->n_stops; i++) {
        free(s->stops[i].text);
        free(s->stops[i].border);
    }
    free(s->stops);
    free(s->spans);
    free(s->text);
    *s = (struct stream){ 0 };
}

/* Gives the new text's bytes to the ids they came from. Bytes that were held were the last ids before this
 * one. */
static void spans_set(struct stream *s, size_t n_held, struct tok_step step)
{
    size_t start = s->size - step.size, id = s->n_ids - 1, i;

    for (i = 0; i < step.n_replaced; i++) {
        s->spans[id - n_held + i] = (struct span){ start, start + UTF8_REPLACEMENT_SIZE };
        start += UTF8_REPLACEMENT_SIZE;
    }
    s->spans[id] = (struct span){ start, s->size };
    if (!step.joined) return;
    for (i = id - n_held; i < id; i++) s->spans[i] = s->spans[id];
}

/* Shows the matchers the bytes they have not seen. On a hit the text ends before the stop text. */
static void stops_search(struct stream *s)
{
    size_t i, held = 0;

    while (s->n_matched < s->size && !s->stopped) {
        size_t longest = 0;

        for (i = 0; i < s->n_stops; i++)
            if (stop_match(&s->stops[i], s->text[s->n_matched]) && s->stops[i].size > longest)
                longest = s->stops[i].size;
        s->n_matched++;
        if (longest > 0) {
            s->size = s->n_matched - longest;
            s->stopped = true;
        }
    }
    for (i = 0; i < s->n_stops && !s->stopped; i++)
        if (s->stops[i].matched > held) held = s->stops[i].matched;
    /* The decoder gives whole characters and a stop text begins with the first byte of one: none is split. */
    while (s->scanned < s->size - held) {
        size_t length;
        uint32_t code = 0;

        utf8_next(s->text + s->scanned, s->size - held - s->scanned, &length, &code);
        s->scanned += length;
        if (!utf8_is_space(code)) s->settled = s->scanned;
    }
    if (s->stopped) s->size = s->settled;
}

static void show(struct stream *s, size_t end, struct stream_piece *piece)
{
    *piece = (struct stream_piece){ s->text + s->shown, end - s->shown };
    s->shown = end;
}

enum status stream_put(struct stream *s, int32_t id, struct stream_piece *piece, struct err *e)
{
    size_t n_held = s->decoder.n_held;
    struct tok_step step;

    assert(!s->stopped && !s->ended);
    *piece = (struct stream_piece){ 0 };
    if (id < 0 || id >= tok_vocab_size(s->decoder.t))
        return err_set(e, STATUS_BAD_ARGUMENT, "token id %d is outside the tokenizer's vocabulary of %d", id,
                       tok_vocab_size(s->decoder.t));
    if (!room_make(s)) return err_no_memory(e, "the answer's text");
    step = tok_decoder_put(&s->decoder, id, s->text + s->size);
    s->size += step.size;
    s->n_ids++;
    spans_set(s, n_held, step);
    stops_search(s);
    show(s, s->settled, piece);
    return STATUS_OK;
}

enum status stream_end(struct stream *s, struct stream_piece *piece, struct err *e)
{
    assert(!s->ended);
    *piece = (struct stream_piece){ 0 };
    if (!room_make(s)) return err_no_memory(e, "the answer's text");
    s->ended = true;
    if (!s->stopped) {
        size_t n_held = s->decoder.n_held, i;
        struct tok_step step = tok_decoder_end(&s->decoder, s->text + s->size);

        for (i = 0; i < n_held; i++)
            s->spans[s->n_ids - n_held + i] = (struct span){ s->size + i * UTF8_REPLACEMENT_SIZE,
                                                             s->size + (i + 1) * UTF8_REPLACEMENT_SIZE };
        s->size += step.size;
        stops_search(s);
    }
    show(s, s->size, piece);
    s->text[s->size] = '\0';
    return STATUS_OK;
}

struct span stream_span(const struct stream *s, size_t i)
{
    struct span span;

    assert(i < s->n_ids);
    span = s->spans[i];
    if (span.begin > s->size) span.begin = s->size;
    if (span.end > s->size) span.end = s->size;
    return span;
}
