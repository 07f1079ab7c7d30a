/*
 * corpus_item.h - one record of an annotation file, as JSON, into the texts that samples are made of. Spec 10 sections 5.1 to 5.3.
 */
#ifndef SPHINX_TRAIN_CORPUS_ITEM_H
#define SPHINX_TRAIN_CORPUS_ITEM_H

#include <jansson.h>

#include "train/corpus.h"
#include "train/data_config.h"

/* What the records of a file have in common. */
struct item_rule {
    enum corpus_form form;
    enum preprocess preprocess;
    enum prompt_type prompt;
    enum turns turns; /* of dialogues */
    const char *root; /* before each image's path; may be empty */
};

struct item {
    const struct sample_turn *turns; /* [n_turns] of a dialogue */
    size_t n_turns;
    const char *prompt, *output; /* of everything else */
    const char *image;           /* path; NULL: none */
    const char *const
        *cells; /* [side * side] of "patches": what the image shows there, in words; NULL: unknown */
    int side;
    size_t n_characters; /* by which items are sorted: of all texts as they stand in the record */
};

/* What the records of a file are, by the first of them. BAD_FORMAT: it has no key that tells. */
enum status item_form(const json_t *record, enum preprocess preprocess, enum corpus_form *form,
                      struct err *e);

/* Whether the record has an image; also of one that item_read refuses. */
bool item_sees(const struct item_rule *rule, const json_t *record);

/* All of it from arena a. draw chooses where a record has several captions; n_characters is that of the longest. BAD_FORMAT names the key. */
enum status item_read(struct item *item, const struct item_rule *rule, const json_t *record, uint64_t draw,
                      struct arena *a, struct err *e);

#endif
