/*
 * tokenizer.c - see tokenizer.h.
 *
 *   tokenizer.model - tokenizer_file.c - pieces by id ------------ decode, here
 *                  \_ tokenizer_sp.cc - SentencePiece - encode
 */
#include "text/tokenizer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_sp.h"
#include "text/utf8.h"

/* LLaMA's file has half a megabyte, the largest in use a few. */
#define FILE_SIZE_MAX ((size_t)32 << 20)
#define TEXT_SIZE_MAX ((size_t)256 << 20)

/* U+2581, which stands for a space inside pieces. */
#define SPACE_MARK      "\xe2\x96\x81"
#define SPACE_MARK_SIZE 3

/* What an unknown piece decodes to where the file does not say: a space, U+2047, a space. */
static const char unknown_default[] = " \xe2\x81\x87 ";

struct tokenizer {
    struct sp_model *model;
    struct sp_ids special;
    struct tokenizer_file file;
    char *data; /* the file's bytes: file.pieces point here */
    size_t data_size;
    const char *unknown;
    size_t unknown_size;
    size_t step_size_max;
};

static enum status special_check(const struct tokenizer *t, const char *name, struct err *e)
{
    if (sp_vocab_size(t->model) != t->file.n_pieces)
        return err_set(e, STATUS_BAD_FORMAT, "%s: %zu pieces in the file, but SentencePiece finds %zu", name,
                       t->file.n_pieces, sp_vocab_size(t->model));
    if (t->special.unk < 0 || t->special.bos < 0 || t->special.eos < 0)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: the tokenizer lacks the piece for %s, without which no prompt can be made", name,
                       t->special.bos < 0   ? "begin-of-sentence"
                       : t->special.eos < 0 ? "end-of-sentence"
                                            : "unknown");
    return STATUS_OK;
}

static void sizes_find(struct tokenizer *t)
{
    size_t id, longest;

    t->unknown = t->file.has_unknown_text ? t->data + t->file.unknown_text.begin : unknown_default;
    t->unknown_size = t->file.has_unknown_text ? t->file.unknown_text.end - t->file.unknown_text.begin
                                               : sizeof unknown_default - 1;
    longest = t->unknown_size;
    for (id = 0; id < t->file.n_pieces; id++) {
        size_t size = t->file.pieces[id].text.end - t->file.pieces[id].text.begin;

        if (size > longest) longest = size;
    }
    /* three held bytes and the piece itself, or a byte, may each become U+FFFD */
    t->step_size_max = UTF8_SIZE_MAX * UTF8_REPLACEMENT_SIZE + longest;
}

enum status tok_open_memory(struct tokenizer **out, const unsigned char *data, size_t size, const char *name,
                            struct err *e)
{
    struct tokenizer *t;
    enum status st;

    *out = NULL;
    if (size > FILE_SIZE_MAX)
        return err_set(e, STATUS_BAD_FORMAT, "%s: %zu bytes are too many for a tokenizer (at most %zu)", name,
                       size, FILE_SIZE_MAX);
    t = calloc(1, sizeof *t);
    if (t == NULL) return err_no_memory(e, "the tokenizer");
    st = tokenizer_file_read(&t->file, data, size, name, e);
    if (st != STATUS_OK) goto fail;
    t->data = malloc(size);
    if (t->data == NULL) {
        st = err_no_memory(e, "the tokenizer");
        goto fail;
    }
    memcpy(t->data, data, size);
    t->data_size = size;
    st = sp_open(&t->model, data, size, name, e);
    if (st != STATUS_OK) goto fail;
    t->special = sp_special_ids(t->model);
    st = special_check(t, name, e);
    if (st != STATUS_OK) goto fail;
    sizes_find(t);
    *out = t;
    return STATUS_OK;

fail:
    tok_close(t);
    return st;
}

enum status tok_open(struct tokenizer **t, const char *path, struct err *e)
{
    struct file_map map;
    enum status st;

    *t = NULL;
    st = file_map_open(&map, path, e);
    if (st != STATUS_OK) return st;
    st = tok_open_memory(t, map.data, map.size, path, e);
    file_map_close(&map);
    return st;
}

void tok_close(struct tokenizer *t)
{
    if (t == NULL) return;
    sp_close(t->model);
    tokenizer_file_free(&t->file);
    free(t->data);
    free(t);
}

int32_t tok_vocab_size(const struct tokenizer *t)
{
    return (int32_t)t->file.n_pieces;
}
int32_t tok_unk(const struct tokenizer *t)
{
    return t->special.unk;
}
int32_t tok_bos(const struct tokenizer *t)
{
    return t->special.bos;
}
int32_t tok_eos(const struct tokenizer *t)
{
    return t->special.eos;
}
size_t tok_step_size_max(const struct tokenizer *t)
{
    return t->step_size_max;
}

const char *tok_piece(const struct tokenizer *t, int32_t id, size_t *size)
{
    struct span text;

    if (id < 0 || (size_t)id >= t->file.n_pieces) return NULL;
    text = t->file.pieces[id].text;
    *size = text.end - text.begin;
    return t->data + text.begin;
}

float tok_score(const struct tokenizer *t, int32_t id)
{
    assert(id >= 0 && (size_t)id < t->file.n_pieces);
    return t->file.pieces[id].score;
}

int tok_kind(const struct tokenizer *t, int32_t id)
{
    assert(id >= 0 && (size_t)id < t->file.n_pieces);
    return t->file.pieces[id].kind;
}

unsigned char tok_byte(const struct tokenizer *t, int32_t id)
{
    assert(tok_kind(t, id) == PIECE_BYTE);
    return t->file.pieces[id].byte;
}

size_t tok_bytes(const struct tokenizer *t, int32_t id, char *out)
{
    struct tok_decoder d;

    if (tok_kind(t, id) == PIECE_BYTE) {
        out[0] = (char)tok_byte(t, id);
        return 1;
    }
    tok_decoder_begin(&d, t);
    d.empty = false;
    return tok_decoder_put(&d, id, out).size;
}

const unsigned char *tok_file(const struct tokenizer *t, size_t *size)
{
    *size = t->data_size;
    return (const unsigned char *)t->data;
}

/* spans may be NULL. */
static enum status encode(const struct tokenizer *t, const char *text, size_t size, unsigned flags,
                          int32_t **ids, struct span **spans, size_t *n_ids, struct err *e)
{
    size_t before = (flags & TOK_BOS) != 0, after = (flags & TOK_EOS) != 0;
    enum status st;

    if (size > TEXT_SIZE_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT, "a text of %zu bytes is too long to encode (at most %zu)",
                       size, TEXT_SIZE_MAX);
    st = spans != NULL ? sp_encode_spans(t->model, text, size, before, after, ids, spans, n_ids, e)
                       : sp_encode(t->model, text, size, before, after, ids, n_ids, e);
    if (st != STATUS_OK) return st;
    *n_ids += before + after;
    if (before) (*ids)[0] = t->special.bos;
    if (after) (*ids)[*n_ids - 1] = t->special.eos;
    return STATUS_OK;
}

enum status tok_encode(const struct tokenizer *t, const char *text, size_t size, unsigned flags,
                       int32_t **ids, size_t *n_ids, struct err *e)
{
    return encode(t, text, size, flags, ids, NULL, n_ids, e);
}

enum status tok_encode_spans(const struct tokenizer *t, const char *text, size_t size, unsigned flags,
                             int32_t **ids, struct span **spans, size_t *n_ids, struct err *e)
{
    enum status st = encode(t, text, size, flags, ids, spans, n_ids, e);

    if (st != STATUS_OK) return st;
    if ((flags & TOK_BOS) != 0) (*spans)[0] = (struct span){ 0, 0 };
    if ((flags & TOK_EOS) != 0) (*spans)[*n_ids - 1] = (struct span){ size, size };
    return STATUS_OK;
}

/* ---- decoding ------------------------------------------------------------------------------------------ */

void tok_decoder_begin(struct tok_decoder *d, const struct tokenizer *t)
{
    *d = (struct tok_decoder){ .t = t, .at_start = true, .empty = true };
}

static size_t replacements_write(char *out, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) memcpy(out + i * UTF8_REPLACEMENT_SIZE, UTF8_REPLACEMENT, UTF8_REPLACEMENT_SIZE);
    return n * UTF8_REPLACEMENT_SIZE;
}

/* The held bytes are always the beginning of one character: a first byte and those that follow it. If the
 * next byte does not go on with it, none of them can be part of another one. */
static struct tok_step byte_put(struct tok_decoder *d, char byte, char *out)
{
    struct tok_step step = { 0 };
    size_t length;
    enum utf8_kind kind;

    d->held[d->n_held] = byte;
    kind = utf8_next(d->held, d->n_held + 1, &length, NULL);
    if (kind == UTF8_BAD && d->n_held > 0) {
        step.n_replaced = d->n_held;
        step.size = replacements_write(out, step.n_replaced);
        d->n_held = 0;
        d->held[0] = byte;
        kind = utf8_next(d->held, 1, &length, NULL);
    }
    if (kind == UTF8_CUT) {
        d->n_held++;
        return step;
    }
    if (kind == UTF8_WHOLE) {
        step.joined = d->n_held > 0;
        memcpy(out + step.size, d->held, length);
        step.size += length;
    } else {
        step.size += replacements_write(out + step.size, 1);
    }
    d->n_held = 0;
    return step;
}

/* Copies a piece with spaces for U+2581. */
static size_t spaces_restore(char *out, const char *text, size_t size)
{
    size_t i = 0, written = 0;

    while (i < size) {
        if (size - i >= SPACE_MARK_SIZE && memcmp(text + i, SPACE_MARK, SPACE_MARK_SIZE) == 0) {
            out[written++] = ' ';
            i += SPACE_MARK_SIZE;
        } else {
            out[written++] = text[i++];
        }
    }
    return written;
}

bool tok_decoder_drops_space(const struct tok_decoder *d)
{
    return d->at_start && !d->space_dropped && d->empty && d->n_held == 0 &&
           (d->t->file.add_dummy_prefix || d->t->file.remove_extra_spaces);
}

/* The leading-space rule, as SentencePiece applies it: at every piece that is not a byte, the start is over
 * if the piece before it lost its space or if there is text by now, and once over it stays so. With
 * remove_extra_spaces lost spaces do not end the start. */
static size_t piece_put(struct tok_decoder *d, const struct piece *p, char *out)
{
    const struct tokenizer *t = d->t;
    const char *text = t->data + p->text.begin;
    size_t size = p->text.end - p->text.begin;
    bool drops = tok_decoder_drops_space(d);

    if (d->space_dropped || !d->empty) d->at_start = false;
    d->space_dropped = false;
    if (p->kind == PIECE_CONTROL) return 0;
    if (p->kind == PIECE_UNKNOWN) {
        memcpy(out, t->unknown, t->unknown_size);
        return t->unknown_size;
    }
    if (drops && size >= SPACE_MARK_SIZE && memcmp(text, SPACE_MARK, SPACE_MARK_SIZE) == 0) {
        text += SPACE_MARK_SIZE;
        size -= SPACE_MARK_SIZE;
        d->space_dropped = !t->file.remove_extra_spaces;
    }
    return spaces_restore(out, text, size);
}

struct tok_step tok_decoder_put(struct tok_decoder *d, int32_t id, char *out)
{
    const struct piece *p;
    struct tok_step step;

    assert(id >= 0 && (size_t)id < d->t->file.n_pieces);
    p = &d->t->file.pieces[id];
    if (p->kind == PIECE_BYTE) {
        step = byte_put(d, (char)p->byte, out);
    } else {
        step = tok_decoder_end(d, out);
        step.size += piece_put(d, p, out + step.size);
    }
    if (step.size > 0) d->empty = false;
    return step;
}

struct tok_step tok_decoder_end(struct tok_decoder *d, char *out)
{
    struct tok_step step = { .n_replaced = d->n_held };

    step.size = replacements_write(out, d->n_held);
    d->n_held = 0;
    if (step.size > 0) d->empty = false;
    return step;
}

enum status tok_decode(const struct tokenizer *t, const int32_t *ids, size_t n_ids, char **text, size_t *size,
                       struct err *e)
{
    struct tok_decoder d;
    size_t i, total = 0, capacity = t->step_size_max + 1;
    char *out;

    *text = NULL;
    for (i = 0; i < n_ids; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= t->file.n_pieces)
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "token id %d at place %zu is outside the vocabulary of %zu", ids[i], i,
                           t->file.n_pieces);
        /* a byte that becomes U+FFFD and a held one that does take three each; no piece grows */
        capacity += t->file.pieces[ids[i]].kind == PIECE_UNKNOWN
                        ? t->unknown_size
                        : t->file.pieces[ids[i]].text.end - t->file.pieces[ids[i]].text.begin;
    }
    out = malloc(capacity);
    if (out == NULL) return err_no_memory(e, "decoded text");
    tok_decoder_begin(&d, t);
    for (i = 0; i < n_ids; i++) total += tok_decoder_put(&d, ids[i], out + total).size;
    total += tok_decoder_end(&d, out + total).size;
    out[total] = '\0';
    *text = out;
    if (size != NULL) *size = total;
    return STATUS_OK;
}
