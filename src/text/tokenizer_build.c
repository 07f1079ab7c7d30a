/*
 * tokenizer_build.c - see tokenizer_build.h. The file is a protobuf message, ModelProto in SentencePiece:
 *
 *   1: piece { 1: text, 2: score, 3: kind } ...   2: trainer { ... }   3: normalizer { ... }
 */
#include "text/tokenizer_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_file.h"

enum {
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
    MODEL_TYPE_BPE = 2,
};

/* A message under construction. Streams in memory fail only for want of it, which the end finds out. */
struct message {
    FILE *f;
    char *data;
    size_t size;
};

static bool message_begin(struct message *m)
{
    *m = (struct message){ NULL, NULL, 0 };
    m->f = open_memstream(&m->data, &m->size);
    return m->f != NULL;
}

/* m->data is the caller's to free, also on failure. */
static bool message_end(struct message *m)
{
    bool ok = ferror(m->f) == 0;

    return fclose(m->f) == 0 && ok;
}

static void put_varint(FILE *f, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) fputc((int)(value & 0x7f) | 0x80, f);
    fputc((int)value, f);
}

static void put_number(FILE *f, unsigned field, uint64_t value)
{
    put_varint(f, field << 3 | WIRE_VARINT);
    put_varint(f, value);
}

static void put_bytes(FILE *f, unsigned field, const char *bytes, size_t size)
{
    put_varint(f, field << 3 | WIRE_BYTES);
    put_varint(f, size);
    fwrite(bytes, 1, size, f);
}

static void put_float(FILE *f, unsigned field, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_varint(f, field << 3 | WIRE_FIXED32);
    for (int i = 0; i < 4; i++) fputc((int)(bits >> (8 * i) & 0xff), f);
}

static void put_piece(FILE *f, const struct tok_vocabulary *v, size_t i)
{
    put_bytes(f, 1, v->text[i], v->text_size[i]);
    put_float(f, 2, v->score[i]);
    put_number(f, 3, (uint64_t)(uint32_t)v->kind[i]);
}

/* The library knows the special pieces by their text, and wants to be told that there are pieces for bytes. */
static void put_trainer(FILE *f, const struct tok_vocabulary *v)
{
    bool has_bytes = false;

    for (size_t i = 0; i < v->n; i++) has_bytes = has_bytes || v->kind[i] == PIECE_BYTE;
    put_number(f, 3, MODEL_TYPE_BPE);
    put_number(f, 4, v->n);
    put_number(f, 35, has_bytes);
    put_number(f, 40, v->unk);
    put_number(f, 41, v->bos);
    put_number(f, 42, v->eos);
    put_number(f, 43, UINT64_MAX); /* no piece for padding: -1 */
    put_bytes(f, 45, v->text[v->unk], v->text_size[v->unk]);
    put_bytes(f, 46, v->text[v->bos], v->text_size[v->bos]);
    put_bytes(f, 47, v->text[v->eos], v->text_size[v->eos]);
}

static void put_normalizer(FILE *f, const struct tok_vocabulary *v)
{
    static const char name[] = "identity";

    put_bytes(f, 1, name, sizeof name - 1);
    put_number(f, 3, v->add_dummy_prefix);
    put_number(f, 4, v->remove_extra_spaces);
    put_number(f, 5, true); /* spaces stand as U+2581 in pieces */
}

/* A message within another; `put` writes it, for piece i where it is one. */
static bool put_message(FILE *f, unsigned field, const struct tok_vocabulary *v,
                        void (*put)(FILE *f, const struct tok_vocabulary *v))
{
    struct message inner;
    bool ok = message_begin(&inner);

    if (!ok) return false;
    put(inner.f, v);
    ok = message_end(&inner);
    if (ok) put_bytes(f, field, inner.data, inner.size);
    free(inner.data);
    return ok;
}

static bool put_pieces(FILE *f, const struct tok_vocabulary *v)
{
    struct message piece;
    bool ok = message_begin(&piece);

    if (!ok) return false;
    for (size_t i = 0; i < v->n && ok; i++) {
        rewind(piece.f);
        put_piece(piece.f, v, i);
        ok = fflush(piece.f) == 0; /* data and size are those of this piece now */
        if (ok) put_bytes(f, 1, piece.data, (size_t)ftell(piece.f));
    }
    ok = message_end(&piece) && ok;
    free(piece.data);
    return ok;
}

enum status tok_build(const struct tok_vocabulary *v, unsigned char **data, size_t *size, struct err *e)
{
    struct message m;
    bool ok;

    *data = NULL;
    *size = 0;
    if (v->unk >= v->n || v->bos >= v->n || v->eos >= v->n) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "the vocabulary has %zu pieces, but its special ones are %u, %u and %u", v->n, v->unk,
                       v->bos, v->eos);
    }
    if (!message_begin(&m)) return err_no_memory(e, "a tokenizer");
    ok = put_pieces(m.f, v) && put_message(m.f, 2, v, put_trainer) && put_message(m.f, 3, v, put_normalizer);
    ok = message_end(&m) && ok;
    if (!ok) {
        free(m.data);
        return err_no_memory(e, "a tokenizer");
    }
    *data = (unsigned char *)m.data;
    *size = m.size;
    return STATUS_OK;
}
