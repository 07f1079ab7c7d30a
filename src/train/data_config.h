/*
 * data_config.h - the files a training run learns from, as its YAML names them. Spec 10 section 6.
 *
 *   META:
 *     - path: 'annotations/vqa.json'       # .json, .jsonl, .csv (tabs), .txt
 *       type: 'image_text'                 # steps hold items of one type; absent: "default"
 *       root: 'images/'                    # before each item's image; absent: this file's folder
 *       ratio: 0.5                         # so many of the items, drawn from the seed; above 1: items more than once
 *       preprocess: 'single_turn_llava'    # or 'caption'
 *       prompt_type: 'alpaca'              # how an instruction is wrapped (sample_prompt.h)
 *       turns: 'apart'                     # a dialogue's questions do not see each other, or see what came before: 'together'
 */
#ifndef SPHINX_TRAIN_DATA_CONFIG_H
#define SPHINX_TRAIN_DATA_CONFIG_H

#include <stddef.h>

#include "core/arena.h"
#include "train/sample_prompt.h"

enum preprocess { PREPROCESS_NONE, PREPROCESS_LLAVA, PREPROCESS_CAPTION, PREPROCESSES };
enum turns { TURNS_TOGETHER, TURNS_APART, TURNS_COUNT };

struct data_entry {
    const char *path,
        *root; /* usable as they are: joined to the YAML file's folder, which root is where there is none */
    const char *type;
    double ratio; /* above 0, finite */
    enum preprocess preprocess;
    enum turns turns;
    enum prompt_type prompt;
    bool has_prompt; /* else prompt is what the items' form has by default */
};

struct data_config {
    struct data_entry *entry; /* [n], n >= 1 */
    size_t n;
    struct arena arena;
};

/* Errors: of the file; BAD_FORMAT with file, line and key. Other keys than META are those of other readers, and passed over. */
enum status data_config_read(struct data_config *c, const char *path, struct err *e);
void data_config_free(struct data_config *c); /* accepts a zeroed one */

#endif
