/* tokenizer_file.c - see tokenizer_file.h. */
#include "text/tokenizer_file.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

/* ---- protobuf ------------------------------------------------------------------------------------------ */

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
};

struct field {
    uint64_t number;
    enum wire_type type;
    uint64_t value;    /* of varints and fixed fields */
    struct span bytes; /* of WIRE_BYTES, in the file */
};

enum wire_result {
    WIRE_FIELD,
    WIRE_END,
    WIRE_CUT, /* a field runs past the end of its message */
    WIRE_BAD, /* not protobuf */
};

static enum wire_result varint_read(const unsigned char *data, struct span *rest, uint64_t *value)
{
    unsigned shift;

    *value = 0;
    for (shift = 0; shift < 64; shift += 7) {
        unsigned char byte;

        if (rest->begin == rest->end) return WIRE_CUT;
        byte = data[rest->begin++];
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return WIRE_FIELD;
    }
    return WIRE_BAD;
}

static enum wire_result fixed_read(const unsigned char *data, struct span *rest, size_t size, uint64_t *value)
{
    size_t i;

    if (rest->end - rest->begin < size) return WIRE_CUT;
    *value = 0;
    for (i = 0; i < size; i++) *value |= (uint64_t)data[rest->begin++] << (8 * i);
    return WIRE_FIELD;
}

/* Reads the next field of the message in *rest and moves rest->begin behind it. */
static enum wire_result field_read(const unsigned char *data, struct span *rest, struct field *f)
{
    uint64_t key, length;
    enum wire_result result;

    if (rest->begin == rest->end) return WIRE_END;
    result = varint_read(data, rest, &key);
    if (result != WIRE_FIELD) return result;
    f->number = key >> 3;
    if (f->number == 0) return WIRE_BAD;
    switch (key & 7) {
    case WIRE_VARINT: f->type = WIRE_VARINT; return varint_read(data, rest, &f->value);
    case WIRE_FIXED64: f->type = WIRE_FIXED64; return fixed_read(data, rest, 8, &f->value);
    case WIRE_FIXED32: f->type = WIRE_FIXED32; return fixed_read(data, rest, 4, &f->value);
    case WIRE_BYTES: break;
    default: return WIRE_BAD;
    }
    f->type = WIRE_BYTES;
    result = varint_read(data, rest, &length);
    if (result != WIRE_FIELD) return result;
    if (length > rest->end - rest->begin) return WIRE_CUT;
    f->bytes = (struct span){ rest->begin, rest->begin + (size_t)length };
    rest->begin = f->bytes.end;
    return WIRE_FIELD;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

enum {
    MODEL_TYPE_UNIGRAM = 1, /* what the format means where it says nothing */
    MODEL_TYPE_BPE = 2,
};

struct reader {
    struct tokenizer_file *f;
    const unsigned char *data;
    const char *name;
    size_t capacity; /* of f->pieces */
    bool has_trainer, has_normalizer, escape_spaces, has_map;
    uint64_t model_type;
    struct err *e;
};

static enum status malformed(const struct reader *r, enum wire_result result, size_t at)
{
    if (result == WIRE_CUT)
        return err_set(
            r->e, STATUS_BAD_FORMAT,
            "%s: the SentencePiece tokenizer is damaged or cut off: a field at byte %zu runs past its end",
            r->name, at);
    return err_set(r->e, STATUS_BAD_FORMAT,
                   "%s: not a SentencePiece tokenizer (tokenizer.model): byte %zu begins no field", r->name,
                   at);
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0x0A>" -> 10 */
static bool byte_parse(const unsigned char *text, size_t size, unsigned char *byte)
{
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return false;
    if (hex_digit(text[3]) < 0 || hex_digit(text[4]) < 0) return false;
    *byte = (unsigned char)(hex_digit(text[3]) * 16 + hex_digit(text[4]));
    return true;
}

static enum status piece_check(const struct reader *r, struct piece *p, uint64_t kind, float score)
{
    const unsigned char *text = r->data + p->text.begin;
    size_t id = r->f->n_pieces, size = p->text.end - p->text.begin;

    if (size == 0 || utf8_find_bad((const char *)text, size) != size)
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: piece %zu is %s", r->name, id,
                       size == 0 ? "empty" : "not UTF-8");
    if (kind < PIECE_NORMAL || kind > PIECE_BYTE)
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: piece %zu is of kind %llu, known are 1 to 6", r->name,
                       id, (unsigned long long)kind);
    if (!isfinite(score))
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: the score of piece %zu is not finite", r->name, id);
    p->score = score;
    p->kind = (uint8_t)kind;
    if (kind == PIECE_BYTE && !byte_parse(text, size, &p->byte))
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: piece %zu should be a byte such as <0x0A>", r->name, id);
    return STATUS_OK;
}

static enum status piece_read(struct reader *r, struct span rest)
{
    struct tokenizer_file *f = r->f;
    struct piece p = { 0 };
    uint64_t kind = PIECE_NORMAL;
    uint32_t score_bits;
    float score = 0.0f;
    struct field field;
    enum wire_result result;
    enum status st;

    while ((result = field_read(r->data, &rest, &field)) == WIRE_FIELD) {
        if (field.number == 1 && field.type == WIRE_BYTES) p.text = field.bytes;
        if (field.number == 2 && field.type == WIRE_FIXED32) {
            score_bits = (uint32_t)field.value;
            memcpy(&score, &score_bits, sizeof score);
        }
        if (field.number == 3 && field.type == WIRE_VARINT) kind = field.value;
    }
    if (result != WIRE_END) return malformed(r, result, rest.begin);
    st = piece_check(r, &p, kind, score);
    if (st != STATUS_OK) return st;
    if (f->n_pieces == r->capacity) {
        size_t capacity = r->capacity == 0 ? 1024 : 2 * r->capacity;
        struct piece *grown = realloc(f->pieces, capacity * sizeof *grown);

        if (grown == NULL) return err_no_memory(r->e, "the tokenizer's pieces");
        f->pieces = grown;
        r->capacity = capacity;
    }
    f->pieces[f->n_pieces++] = p;
    return STATUS_OK;
}

static enum status trainer_read(struct reader *r, struct span rest)
{
    struct field field;
    enum wire_result result;

    r->has_trainer = true;
    while ((result = field_read(r->data, &rest, &field)) == WIRE_FIELD) {
        if (field.number == 3 && field.type == WIRE_VARINT) r->model_type = field.value;
        if (field.number == 44 && field.type == WIRE_BYTES) {
            r->f->unknown_text = field.bytes;
            r->f->has_unknown_text = true;
        }
    }
    return result == WIRE_END ? STATUS_OK : malformed(r, result, rest.begin);
}

static enum status normalizer_read(struct reader *r, struct span rest)
{
    struct field field;
    enum wire_result result;

    while ((result = field_read(r->data, &rest, &field)) == WIRE_FIELD) {
        if (field.number == 2 && field.type == WIRE_BYTES && field.bytes.end > field.bytes.begin)
            r->has_map = true;
        if (field.type != WIRE_VARINT) continue;
        if (field.number == 3) r->f->add_dummy_prefix = field.value != 0;
        if (field.number == 4) r->f->remove_extra_spaces = field.value != 0;
        if (field.number == 5) r->escape_spaces = field.value != 0;
    }
    return result == WIRE_END ? STATUS_OK : malformed(r, result, rest.begin);
}

static enum status denormalizer_read(struct reader *r, struct span rest)
{
    struct field field;
    enum wire_result result;

    while ((result = field_read(r->data, &rest, &field)) == WIRE_FIELD)
        if (field.number == 2 && field.type == WIRE_BYTES && field.bytes.end > field.bytes.begin)
            r->has_map = true;
    return result == WIRE_END ? STATUS_OK : malformed(r, result, rest.begin);
}

static enum status message_read(struct reader *r, size_t size)
{
    struct span rest = { 0, size };
    struct field field;
    enum wire_result result;

    while ((result = field_read(r->data, &rest, &field)) == WIRE_FIELD) {
        enum status st = STATUS_OK;

        if (field.type != WIRE_BYTES) continue;
        if (field.number == 1) st = piece_read(r, field.bytes);
        if (field.number == 2) st = trainer_read(r, field.bytes);
        if (field.number == 3) {
            r->has_normalizer = true;
            st = normalizer_read(r, field.bytes);
        }
        if (field.number == 5) st = denormalizer_read(r, field.bytes);
        if (st != STATUS_OK) return st;
    }
    return result == WIRE_END ? STATUS_OK : malformed(r, result, rest.begin);
}

/* Refuses what this program's use of SentencePiece does not cover. A character map is refused for safety too:
 * it is a search tree that the library walks without checking it. */
static enum status settings_check(const struct reader *r)
{
    const struct tokenizer_file *f = r->f;
    const char *unknown = (const char *)r->data + f->unknown_text.begin;
    size_t unknown_size = f->unknown_text.end - f->unknown_text.begin;

    if (f->n_pieces == 0)
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: not a SentencePiece tokenizer: it has no pieces",
                       r->name);
    if (f->n_pieces > INT_MAX / 2)
        return err_set(r->e, STATUS_UNSUPPORTED, "%s: %zu pieces are too many", r->name, f->n_pieces);
    if (!r->has_trainer || !r->has_normalizer)
        return err_set(
            r->e, STATUS_BAD_FORMAT,
            "%s: the SentencePiece tokenizer is cut off: its settings are missing after %zu pieces", r->name,
            f->n_pieces);
    if (r->model_type != MODEL_TYPE_BPE)
        return err_set(r->e, STATUS_UNSUPPORTED,
                       "%s: SentencePiece model type %llu is not supported, SPHINX's tokenizers are BPE (2)",
                       r->name, (unsigned long long)r->model_type);
    if (r->has_map || !r->escape_spaces)
        return err_set(r->e, STATUS_UNSUPPORTED,
                       "%s: the tokenizer changes characters before encoding, which no SPHINX model does",
                       r->name);
    if (utf8_find_bad(unknown, unknown_size) != unknown_size)
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: the text of the unknown piece is not UTF-8", r->name);
    return STATUS_OK;
}

enum status tokenizer_file_read(struct tokenizer_file *f, const unsigned char *data, size_t size,
                                const char *name, struct err *e)
{
    static const char lfs[] = "version https://git-lfs";
    struct reader r = { .f = f, .data = data, .name = name, .model_type = MODEL_TYPE_UNIGRAM, .e = e };
    enum status st;

    /* what the format means where it says nothing */
    *f = (struct tokenizer_file){ .add_dummy_prefix = true, .remove_extra_spaces = true };
    r.escape_spaces = true;
    if (size == 0)
        return err_set(e, STATUS_BAD_FORMAT, "%s: the file is empty, not a SentencePiece tokenizer", name);
    if (size >= sizeof lfs - 1 && memcmp(data, lfs, sizeof lfs - 1) == 0)
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: a git-lfs pointer, not the tokenizer itself; `git lfs pull` fetches it", name);
    if (data[0] == '{' || data[0] == '[')
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: looks like JSON; SPHINX needs the SentencePiece file tokenizer.model", name);
    st = message_read(&r, size);
    if (st == STATUS_OK) st = settings_check(&r);
    if (st != STATUS_OK) tokenizer_file_free(f);
    return st;
}

void tokenizer_file_free(struct tokenizer_file *f)
{
    free(f->pieces);
    *f = (struct tokenizer_file){ 0 };
}
