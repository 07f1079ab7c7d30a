/*
 * mapping.h - which key of an annotation file is what of a record, said in an entry's options:
 *
 *     "image": "data/coco/val2014/COCO_val2014_{image_id:012}.jpg",    a template: {key} is what stands under the key,
 *     "question": "{question}", "id": "{question_id}",                 {key:012} a number with zeros in front, 12 digits
 *     "answers": "answers.answer",                                     a key, or a list of keys
 *     "category": {"of": "{type}", "after": "_", "before": ":"}        a part of a template
 *
 * Templates: id, image, question, hint, category, kind, group, context, width, height. Keys: answers, choices, box, image_data. Where a key is
 * absent, null or "" there is no hint, category and so on; id, image, question and answers that a mapping names must be there (id and question may be ""). A list in a template is its
 * texts with commas between. "answers_are": "indices" (from 0, into the choices; they become letters), or names for what is in the file,
 * {"1": "true", "0": "false"}. "box_is": "corners", or "corner and size" as in COCO.
 * In a file whose records are an object's members, # is the member's name; @ is what the entry calls the file.
 */
#ifndef SPHINX_EVAL_MAPPING_H
#define SPHINX_EVAL_MAPPING_H

#include "eval/record.h"
#include "store/rows.h"

/* All option keys that a mapping knows, separated by spaces. */
extern const char mapping_keys[];

/* Whether these options are a mapping: the first key that is not of the right form is named. `options` may be NULL. */
enum status mapping_check(const json_t *options, struct err *e);

/* Fills in what the options name. Texts from arena a. */
enum status mapping_apply(const json_t *options, const struct row *row, struct arena *a, struct record *r,
                          struct err *e);

/* One template (or part of one); NULL where a key in it is absent, null or "". */
enum status mapping_text(const json_t *template, const struct row *row, struct arena *a, const char **text,
                         struct err *e);

/* Whether a record is wanted: "only": {"split": "test", "type": ["x", "y"], "image": true} - true: there is something, false: there is
 * nothing. `only` NULL: all are. */
enum status mapping_wants(const json_t *only, const struct row *row, struct arena *a, bool *wanted,
                          struct err *e);
enum status mapping_check_only(const json_t *only, struct err *e);

#endif
