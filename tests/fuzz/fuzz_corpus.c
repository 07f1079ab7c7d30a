/*
 * fuzz_corpus.c - any bytes as the configuration of a training run, or as an annotation file of one: refused with a reason, or items that
 * can be read or say why not.
 *
 *   first byte: which of the kinds below; the rest: its file
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/files.h"
#include "train/corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *file, *yaml;
} kinds[] = {
    { "c.yaml", NULL },
    { "a.json", "META: [{path: a.json}]" },
    { "a.jsonl", "META: [{path: a.jsonl, root: x, ratio: 2.5}, {path: a.jsonl, ratio: 0.5}]" },
    { "a.csv", "META: [{path: a.csv, prompt_type: alpaca}]" },
    { "a.txt", "META: [{path: a.txt, type: text}]" },
    { "a.json", "META: [{path: a.json, preprocess: single_turn_llava, prompt_type: qg}]" },
    { "a.json", "META: [{path: a.json, preprocess: caption, root: /y/}]" },
};

static struct tokenizer *tokenizer; /* opened when it is first needed */

static void close_tokenizer(void)
{
    tok_close(tokenizer);
}

static void check(const struct corpus *c)
{
    const struct corpus_type *types;
    size_t n_types = corpus_types(c, &types), at = 0;

    for (size_t i = 0; i < n_types; i++) {
        assert(types[i].first == at && types[i].end > at && types[i].name != NULL);
        at = types[i].end;
    }
    assert(at == corpus_count(c));
    for (size_t i = 0; i < corpus_count(c) && i < 1000; i++) {
        struct sample s;
        struct err e = { 0 };
        char *image, place[600];

        assert(corpus_place(c, i, place, sizeof place)[0] != '\0');
        if (corpus_read(c, i, 0, tokenizer, 100, &s, &image, &e) == STATUS_OK) {
            size_t n_targets = 0;

            assert(s.n > 0 && s.n <= 100 && s.ids[0] == tok_bos(tokenizer));
            for (size_t j = 0; j < s.n; j++) {
                assert(s.labels[j] == 0 || s.labels[j] == s.ids[j]);
                n_targets += s.labels[j] != 0;
            }
            assert(n_targets > 0 && n_targets == s.n_targets);
            free(image);
            sample_free(&s);
        } else {
            assert(e.code == STATUS_BAD_FORMAT && e.text[0] != '\0' && s.ids == NULL && image == NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t kind = size > 0 ? data[0] % (sizeof kinds / sizeof *kinds) : 0;
    static const char line[] = "{\"content\": \"a\"}\n";
    struct err e = { 0 };
    struct corpus *c;

    if (size == 0) return 0;
    if (tokenizer == NULL) {
        if (tok_open(&tokenizer, "tests/data/tokenizer.model", &e) != STATUS_OK) abort();
        atexit(close_tokenizer);
    }
    if (kinds[kind].yaml != NULL)
        fuzz_put("c.yaml", kinds[kind].yaml, strlen(kinds[kind].yaml));
    else
        fuzz_put("a.jsonl", line, sizeof line - 1);
    fuzz_put(kinds[kind].file, data + 1, size - 1);
    if (corpus_open(&c, fuzz_path("c.yaml"), 1, NULL, &e) == STATUS_OK) {
        check(c);
        corpus_close(c);
    } else {
        assert(c == NULL && e.text[0] != '\0');
    }
    return 0;
}
