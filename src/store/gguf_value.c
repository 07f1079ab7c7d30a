/* gguf_value.c - the values of a GGUF file's keys, see gguf.h. */
#include "store/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int by_key(const void *key, const void *value)
{
    return strcmp(key, ((const struct gguf_value *)value)->key);
}

const struct gguf_value *gguf_find(const struct gguf_file *f, const char *key)
{
    return f->n_values > 0 ? bsearch(key, f->values, f->n_values, sizeof *f->values, by_key) : NULL;
}

const char *gguf_kind_text(enum gguf_kind kind)
{
    static const char *const texts[GGUF_KINDS] = {
        [GGUF_U8] = "u8",       [GGUF_I8] = "i8",   [GGUF_U16] = "u16", [GGUF_I16] = "i16",
        [GGUF_U32] = "u32",     [GGUF_I32] = "i32", [GGUF_F32] = "f32", [GGUF_BOOL] = "bool",
        [GGUF_U64] = "u64",     [GGUF_I64] = "i64", [GGUF_F64] = "f64", [GGUF_STRING] = "string",
        [GGUF_ARRAY] = "array",
    };

    return texts[kind];
}

/* ---- elements ------------------------------------------------------------------------------------------ */

static uint64_t bits_at(const struct gguf_value *v, size_t i, unsigned bytes)
{
    uint64_t n = 0;

    for (unsigned k = 0; k < bytes; k++) n |= (uint64_t)v->data[i * bytes + k] << (8 * k);
    return n;
}

float gguf_f32_at(const struct gguf_value *v, size_t i)
{
    uint32_t bits = (uint32_t)bits_at(v, i, sizeof bits);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

int32_t gguf_i32_at(const struct gguf_value *v, size_t i)
{
    return (int32_t)(uint32_t)bits_at(v, i, sizeof(int32_t));
}

static double f64_value(const struct gguf_value *v)
{
    uint64_t bits = bits_at(v, 0, sizeof bits);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

bool gguf_string_next(const struct gguf_value *v, size_t *at, struct gguf_string *s)
{
    uint64_t n = 0;

    if (*at == v->size) return false;
    for (unsigned k = 0; k < sizeof n; k++) n |= (uint64_t)v->data[*at + k] << (8 * k);
    *s = (struct gguf_string){ (const char *)v->data + *at + sizeof n, (size_t)n };
    *at += sizeof n + (size_t)n;
    return true;
}

/* A single whole number of any kind: its magnitude and sign. False: it is none. */
static bool whole_value(const struct gguf_value *v, bool *negative, uint64_t *magnitude)
{
    int64_t n;

    *negative = false;
    if (v->is_array) return false;
    switch (v->kind) {
    case GGUF_U8: *magnitude = bits_at(v, 0, 1); return true;
    case GGUF_U16: *magnitude = bits_at(v, 0, 2); return true;
    case GGUF_U32: *magnitude = bits_at(v, 0, 4); return true;
    case GGUF_U64: *magnitude = bits_at(v, 0, 8); return true;
    case GGUF_I8: n = (int8_t)bits_at(v, 0, 1); break;
    case GGUF_I16: n = (int16_t)bits_at(v, 0, 2); break;
    case GGUF_I32: n = (int32_t)bits_at(v, 0, 4); break;
    case GGUF_I64: n = (int64_t)bits_at(v, 0, 8); break;
    default: return false;
    }
    *negative = n < 0;
    *magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    return true;
}

/* ---- by key -------------------------------------------------------------------------------------------- */

static enum status missing(const struct gguf_file *f, const char *key, struct err *e)
{
    return err_set(e, STATUS_NOT_FOUND, "%s: the key %s is missing", f->path, key);
}

static enum status wrong(const struct gguf_file *f, const struct gguf_value *v, const char *wanted,
                         struct err *e)
{
    char text[96];

    return err_set(e, STATUS_BAD_FORMAT, "%s: the key %s should be %s, but is %s%s: %s", f->path, v->key,
                   wanted, v->is_array ? "an array of " : "of kind ", gguf_kind_text(v->kind),
                   gguf_value_text(v, text, sizeof text));
}

enum status gguf_get_u32(const struct gguf_file *f, const char *key, uint32_t *value, struct err *e)
{
    const struct gguf_value *v = gguf_find(f, key);
    uint64_t magnitude;
    bool negative;

    if (v == NULL) return missing(f, key, e);
    if (!whole_value(v, &negative, &magnitude) || negative || magnitude > UINT32_MAX)
        return wrong(f, v, "a whole number from 0 to 4294967295", e);
    *value = (uint32_t)magnitude;
    return STATUS_OK;
}

enum status gguf_get_f32(const struct gguf_file *f, const char *key, float *value, struct err *e)
{
    const struct gguf_value *v = gguf_find(f, key);

    if (v == NULL) return missing(f, key, e);
    if (v->is_array || (v->kind != GGUF_F32 && v->kind != GGUF_F64)) return wrong(f, v, "a single f32", e);
    *value = v->kind == GGUF_F32 ? gguf_f32_at(v, 0) : (float)f64_value(v);
    return STATUS_OK;
}

enum status gguf_get_bool(const struct gguf_file *f, const char *key, bool *value, struct err *e)
{
    const struct gguf_value *v = gguf_find(f, key);

    if (v == NULL) return missing(f, key, e);
    if (v->is_array || v->kind != GGUF_BOOL) return wrong(f, v, "true or false", e);
    *value = v->data[0] != 0;
    return STATUS_OK;
}

enum status gguf_get_string(const struct gguf_file *f, const char *key, struct gguf_string *value,
                            struct err *e)
{
    const struct gguf_value *v = gguf_find(f, key);
    size_t at = 0;

    if (v == NULL) return missing(f, key, e);
    if (v->is_array || v->kind != GGUF_STRING) return wrong(f, v, "a single string", e);
    gguf_string_next(v, &at, value);
    return STATUS_OK;
}

enum status gguf_get_array(const struct gguf_file *f, const char *key, enum gguf_kind kind,
                           const struct gguf_value **value, struct err *e)
{
    const struct gguf_value *v = gguf_find(f, key);
    char wanted[32];

    if (v == NULL) return missing(f, key, e);
    snprintf(wanted, sizeof wanted, "an array of %s", gguf_kind_text(kind));
    if (!v->is_array || v->kind != kind) return wrong(f, v, wanted, e);
    *value = v;
    return STATUS_OK;
}

/* ---- for people ---------------------------------------------------------------------------------------- */

static void string_text(const struct gguf_value *v, char *text, size_t size)
{
    char shown[SHAPE_TEXT_MAX];
    struct gguf_string s = { "", 0 };
    size_t at = 0;

    gguf_string_next(v, &at, &s);
    snprintf(text, size, "\"%s\"", bytes_text(shown, s.bytes, s.size));
}

const char *gguf_value_text(const struct gguf_value *v, char *text, size_t size)
{
    uint64_t magnitude;
    bool negative;

    if (v->is_array) {
        snprintf(text, size, "[%zu %s]", v->count, gguf_kind_text(v->kind));
    } else if (whole_value(v, &negative, &magnitude)) {
        snprintf(text, size, "%s%" PRIu64, negative ? "-" : "", magnitude);
    } else if (v->kind == GGUF_STRING) {
        string_text(v, text, size);
    } else if (v->kind == GGUF_BOOL) {
        snprintf(text, size, "%s", v->data[0] != 0 ? "true" : "false");
    } else {
        snprintf(text, size, "%.9g", v->kind == GGUF_F32 ? (double)gguf_f32_at(v, 0) : f64_value(v));
    }
    return text;
}
