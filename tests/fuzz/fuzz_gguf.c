/*
 * fuzz_gguf.c - any bytes as a .gguf file: every refusal gives its reason; of what is accepted every value and every element can be
 * read, and its keys make a configuration and a tokenizer or are refused as well.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/config.h"
#include "model/load_gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Building a large vocabulary takes the library longer than a run should. */
enum { PIECES_MAX = 1000 };

static void read_values(const struct gguf_file *f)
{
    char text[64];

    for (size_t i = 0; i < f->n_values; i++) {
        const struct gguf_value *v = &f->values[i];
        struct gguf_string s;
        size_t at = 0, n = 0;

        assert(gguf_value_text(v, text, sizeof text)[0] != '\0' && gguf_find(f, v->key) == v);
        while (v->kind == GGUF_STRING && gguf_string_next(v, &at, &s)) n++;
        assert(v->kind != GGUF_STRING || n == v->count);
    }
}

static void read_tensors(const struct gguf_file *f, size_t size)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct raw_tensor *t = &f->tensors[i];
        size_t bytes;
        bool sane = shape_bytes(t->dtype, t->dim, t->n_dims, &bytes);
        unsigned char *copy;

        assert(sane && bytes <= size && t->data != NULL);
        copy = sane ? malloc(bytes + 1) : NULL;
        if (copy != NULL) memcpy(copy, t->data, bytes);
        free(copy);
    }
}

static void describe(const struct gguf_file *f)
{
    struct tokenizer *t = NULL;
    struct model_config config;
    struct err e = { 0 };
    const char *type;
    char *json = NULL;
    int32_t *ids;
    size_t n;

    if (load_gguf_type(f, &type, &e) != STATUS_OK || load_gguf_config(f, &json, &n, &e) != STATUS_OK ||
        config_parse(&config, variant_find(type), json, n, f->path, 32, NULL, &e) != STATUS_OK)
        assert(e.text[0] != '\0');
    free(json);
    err_clear(&e);
    if (f->n_values > 0 && gguf_find(f, "tokenizer.ggml.tokens") != NULL &&
        gguf_find(f, "tokenizer.ggml.tokens")->count > PIECES_MAX)
        return;
    if (load_gguf_tokenizer(f, &t, &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
    } else if (tok_encode(t, "a b\xff", 4, TOK_BOS, &ids, &n, &e) == STATUS_OK) {
        free(ids);
    }
    tok_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf_file f;
    struct err e = { 0 };

    if (gguf_open_memory(&f, data, size, "x.gguf", &e) != STATUS_OK) {
        assert(e.text[0] != '\0');
        return 0;
    }
    read_values(&f);
    read_tensors(&f, size);
    describe(&f);
    gguf_close(&f);
    return 0;
}
