/*
 * corpus.h - all training data that a configuration names, as a list of items that are read when their turn comes.
 *
 *   config.yaml: META ── files, mapped ── items, sorted by length within their type ── order.h says whose turn it is
 *
 * Spec 10 sections 5.2 and 6. Files stay mapped; an item is the place of its text, 24 bytes.
 * A record that cannot be learned from is an item, too: corpus_read says why, when its turn comes (feed.h).
 */
#ifndef SPHINX_TRAIN_CORPUS_H
#define SPHINX_TRAIN_CORPUS_H

#include "core/report.h"
#include "image/image.h"
#include "train/sample.h"

/* What a file's items are (spec 10 section 5). */
enum corpus_form {
    CORPUS_DIALOGUE, /* {"image", "conversations"} */
    CORPUS_SINGLE,   /* {"image", "instruction", "input", "output"} */
    CORPUS_CAPTION,  /* {"url" or "image", "caption"} */
    CORPUS_TEXT,     /* {"content"} or lines of plain text */
};

struct corpus_type { /* batches hold items of one type */
    const char *name;
    size_t first, end; /* its items */
    bool sees;         /* all have an image, or none has: corpus_open sees to it */
};

struct corpus_file {
    const char *path, *type;
    size_t n_found, n_used; /* records; these differ by ratio */
};

struct corpus;

/* Reads the META of the YAML file at `path` and the headers of all files it names; relative names are below the YAML file's folder. Errors
 * name file, line (of YAML) or record, key. seed draws what `ratio` leaves out. */
enum status corpus_open(struct corpus **c, const char *path, uint64_t seed, const struct report *report,
                        struct err *e);
void corpus_close(struct corpus *c); /* accepts NULL */

size_t corpus_count(const struct corpus *c);
size_t corpus_types(const struct corpus *c, const struct corpus_type **types);
size_t corpus_files(const struct corpus *c, const struct corpus_file **files); /* as configured */
/* "annotations/vqa.json, record 17": where an item stands, for messages, in text [size]. */
const char *corpus_place(const struct corpus *c, size_t item, char *text, size_t size);

/* The item's ids and labels, at most max_tokens, and the path of its image (NULL: none), which the caller frees. draw chooses
 * where a record has several captions: the epoch. BAD_FORMAT names the record: no turns, no roles, nothing to learn. Any thread. */
enum status corpus_read(const struct corpus *c, size_t item, uint64_t draw, const struct tokenizer *t,
                        size_t max_tokens, struct sample *s, char **image, struct err *e);

#endif
