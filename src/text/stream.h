/*
 * stream.h - an answer while it is being generated: ids go in one by one, settled text comes out.
 *
 *     stream_init(&s, t, stops, n_stops, max_tokens, &e);
 *     while (...) {
 *         stream_put(&s, id, &piece, &e);                  print piece
 *         if (s.stopped) break;
 *     }
 *     stream_end(&s, &piece, &e);                          print piece
 *     ... s.text, stream_span(&s, i) ...
 *     stream_free(&s);
 *
 * Rules:
 *  1. The text is the decoding of all ids, cut where a stop text begins; if one was found, the white space
 *     before it is cut too. Control ids such as end-of-sentence add nothing: the caller ends there.
 *  2. The pieces handed out, one after the other, are the text. Held back are: bytes of an unfinished
 *     character, an end that may become a stop text, and white space, which a stop text would take with it.
 *  3. Of several stop texts the one that is complete first counts; of those complete at once, the longest.
 *  4. Time and memory per id do not depend on how many came before (amortised: the text's buffer doubles).
 */
#ifndef SPHINX_TEXT_STREAM_H
#define SPHINX_TEXT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "text/span.h"
#include "text/tokenizer.h"

/* Text that may be shown now: borrowed from the stream, valid until the next call, not NUL-terminated. */
struct stream_piece {
    const char *text;
    size_t size;
};

struct stream {
    char *text;   /* the answer; after stream_end it ends in NUL. Owned. */
    size_t size;  /* bytes of it, those held back included until stream_end */
    bool stopped; /* a stop text was found: no further ids are taken */

    /* private */
    struct tok_decoder decoder;
    struct stream_stop *stops;
    size_t n_stops;
    size_t text_capacity, spans_capacity;
    struct span *spans; /* [n_ids] */
    size_t n_ids;
    size_t n_matched; /* bytes of text that the stop texts have seen */
    size_t scanned;   /* bytes of text before which no stop text can begin any more */
    size_t settled;   /* end of the last character before `scanned` that is not white space */
    size_t shown;     /* bytes handed out */
    bool ended;
};

/* Copies the stop texts, which must be UTF-8 and not empty (BAD_ARGUMENT). Room for n_ids_expected ids is
 * taken now, so that none is needed later. t must outlive the stream. On failure nothing is left to free. */
enum status stream_init(struct stream *s, const struct tokenizer *t, const char *const *stops, size_t n_stops,
                        size_t n_ids_expected, struct err *e);
void stream_free(struct stream *s); /* accepts a zeroed one */

/* Takes the next id; not after `stopped` or stream_end. BAD_ARGUMENT for an id outside the vocabulary,
 * NO_MEMORY. */
enum status stream_put(struct stream *s, int32_t id, struct stream_piece *piece, struct err *e);

/* No more ids follow: hands out what was held back, or drops it if a stop text was found. */
enum status stream_end(struct stream *s, struct stream_piece *piece, struct err *e);

/* The bytes of text that the i-th id (in the order of stream_put) gave. Ids that make one character together
 * share its bytes; an id whose text was cut, or that has none, has an empty span. Spans never go back. */
struct span stream_span(const struct stream *s, size_t i);

#endif
