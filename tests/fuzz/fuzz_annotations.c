/*
 * fuzz_annotations.c - any bytes as the file of a benchmark, for every reader that reads files: refused with a reason, or records whose
 * prompts can be made.
 *
 *   first byte: which of the entries below; the rest: its file
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/benchmark.h"
#include "eval/record.h"
#include "fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *file, *entry;
} kinds[] = {
    { "a.json", "\"reader\": \"unified\", \"files\": {\"a\": \"a.json\"}" },
    { "a.json",
      "\"reader\": \"unified\", \"files\": {\"a\": \"a.json\"}, \"options\": {\"box\": \"gt_answers\"}" },
    { "a.json", "\"reader\": \"rows\", \"files\": {\"a\": \"a.json\", \"b\": \"a.json\"}, \"options\": "
                "{\"list\": \"questions\", \"id\": "
                "\"{id}\", \"image\": \"i/{image_id:012}.jpg\", \"question\": \"{question}\", \"join\": "
                "[{\"file\": \"b\", \"list\": "
                "\"annotations\", \"by\": \"{id}\", \"answers\": \"answers.answer\", \"kind\": {\"of\": "
                "\"{t}\", \"after\": \"x\"}}]}" },
    { "a.json", "\"reader\": \"rows\", \"files\": {\"a\": \"a.json\"}, \"options\": {\"list\": \"*\", "
                "\"id\": \"{#}\", \"question\": "
                "\"{q}\", \"choices\": \"choices\", \"answers\": \"answer\", \"answers_are\": \"indices\", "
                "\"only\": {\"image\": true}}" },
    { "a.jsonl",
      "\"reader\": \"rows\", \"files\": {\"a\": \"a.jsonl\"}, \"options\": {\"question\": \"{q}\", "
      "\"category\": \"{@}{c}\", "
      "\"box\": \"b\", \"box_is\": \"corner and size\", \"width\": \"{w}\", \"image_data\": \"d\"}" },
    { "a.csv", "\"reader\": \"rows\", \"files\": {\"a\": \"a.csv\"}, \"options\": {\"question\": \"{q}\", "
               "\"answers\": [\"a\", \"b\"]}" },
    { "a.tsv", "\"reader\": \"mmbench\", \"files\": {\"annotation\": \"a.tsv\"}" },
    { "a.json", "\"reader\": \"ocrvqa\", \"files\": {\"annotation\": \"a.json\"}, \"options\": {\"image\": "
                "\"{#}.jpg\"}" },
    { "a.json", "\"reader\": \"coco\", \"files\": {\"annotation\": \"a.json\"}, \"options\": {\"folder\": "
                "\"i\", \"ask\": \"category\"}" },
    { "a.json", "\"reader\": \"coco\", \"files\": {\"annotation\": \"a.json\"}, \"options\": {\"folder\": "
                "\"i\", \"ask\": \"person\"}" },
};

static void check(const struct dataset *d)
{
    struct arena a = { 0 };
    struct arena_mark mark = arena_mark(&a);

    assert(d->n > 0 && d->n_images <= d->n && d->n_unique <= d->n);
    for (size_t i = 0; i < d->n; i++) {
        const struct record *r = &d->records[i];

        assert(r->index == (int64_t)i && r->id != NULL && r->image != NULL);
        assert(r->n_choices <= EVAL_CHOICES_MAX && (r->image_data == NULL) == (r->image_size == 0));
        assert(record_prompt(d->benchmark, r, &a) != NULL);
        arena_reset(&a, mark);
    }
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t kind = size > 0 ? data[0] % (sizeof kinds / sizeof *kinds) : 0;
    struct benchmark_table t;
    struct err e = { 0 };
    struct dataset d;
    char entry[1024];
    int n;

    if (size == 0) return 0;
    n = snprintf(entry, sizeof entry,
                 "{\"x\": {%s, \"prompt\": \"{}{}{}\", \"max_tokens\": 1, \"metric\": \"exact\"}}",
                 kinds[kind].entry);
    assert(n > 0 && (size_t)n < sizeof entry);
    fuzz_put("entry.json", entry, (size_t)n);
    if (benchmark_table_read(&t, fuzz_path("entry.json"), &e) != STATUS_OK) abort();
    fuzz_put(kinds[kind].file, data + 1, size - 1);
    if (dataset_read(&d, &t.rows[0], fuzz_folder, &e) == STATUS_OK) {
        check(&d);
        dataset_free(&d);
    } else {
        assert(e.text[0] != '\0');
    }
    benchmark_table_free(&t);
    return 0;
}
