/*
 * record.h - one question of a benchmark, whatever file format it came from, and all questions of one.
 *
 *   benchmark ── dataset_read ── records ── prompt ── the model ── answer ── metric
 *
 * Annotation files stay as their publishers wrote them. A reader (reader.h) knows one format and fills in records; nothing behind it knows
 * formats any more. Texts are UTF-8, verbatim: not trimmed, not cased.
 */
#ifndef SPHINX_EVAL_RECORD_H
#define SPHINX_EVAL_RECORD_H

#include "core/arena.h"
#include "core/digest.h"
#include "core/status.h"
#include "eval/benchmark.h"

#include <stdint.h>

enum { EVAL_JOINTS = 17, EVAL_CHOICES_MAX = 26 };

/* A thing that is to be found in the image: for detection and pose. Pixels of the original image. */
struct record_object {
    const char *category;
    double box[4];                /* x1, y1, x2, y2 */
    double area;                  /* COCO's, of the mask; what OKS scales with */
    bool crowd;                   /* COCO's iscrowd: finding it is neither right nor wrong */
    bool posed;                   /* joints are known */
    double joint[EVAL_JOINTS][3]; /* x, y, COCO's visibility 0..2 */
};

struct record {
    int64_t index;     /* in the dataset, from 0: the key of everything. `id` need not be unique. */
    const char *id;    /* the file's question id, as text; "" if it has none */
    const char *image; /* path as the file has it; "" none. Records with equal images share one encoding. */
    const unsigned char *image_data; /* where the annotation holds the image file itself; else NULL */
    size_t image_size;
    const char *question;
    const char *hint;           /* NULL: none */
    const char *const *choices; /* [n_choices] texts without letters */
    size_t n_choices;
    const char *const
        *answers; /* [n_answers] references, as the file has them; one record may have ten (VQA) */
    size_t n_answers;
    const uint8_t *
        answer_same; /* [n_answers] the first answer whose whole entry in the file equals this one's: VQA's evaluator
                      * takes those for one. NULL: all entries differ, as where each has an answer_id. */
    const char *
        category; /* what the benchmark reports separately: MME's category, VQA's question type; NULL: nothing */
    const char *kind; /* a second such division: VQA's answer type, MM-Vet's capabilities; NULL: nothing */
    const char
        *group; /* records that are only right together: MME's pair, MMBench's rotations; NULL: alone */
    bool has_box;
    double box[4];                       /* the reference of REC, pixels of the original image */
    double width, height;                /* of the original image, where the file says so; else 0 */
    const struct record_object *objects; /* [n_objects] */
    size_t n_objects;
    const char *
        context; /* what a judge reads beside question and reference (LLaVA-Bench's caption); NULL: nothing */
};

struct dataset {
    const struct benchmark *benchmark; /* borrowed */
    struct record *records;            /* [n], record i has index i */
    size_t n;
    size_t n_images; /* different ones */
    size_t n_unique; /* by image, question and id, as upstream counts (spec 11 section 3) */
    const char *
        remarks; /* sentences for the report, a line each: what the scores of this dataset depend on; NULL: none */
    struct digest
        digest; /* of all that decides prompts and scores: two runs with equal digests asked the same questions */
    struct arena arena; /* all of the above */
};

/* Reads what the benchmark's entry names, below `data` (a folder; "" the working directory; absolute names in the entry stay). Errors name
 * file, record and key, what was wanted and what was found. */
enum status dataset_read(struct dataset *d, const struct benchmark *b, const char *data, struct err *e);
void dataset_free(struct dataset *d); /* accepts a zeroed one */

/* Where an image of a record lies below `data`, with or without a leading "./" and "data/"; NULL where it does not lie anywhere (then
 * `data`/image, as the message should name it, is in *wanted). From arena a. */
const char *record_image_path(const struct record *r, const char *data, struct arena *a, const char **wanted);

/* The question as the benchmark wants it put: its template with what is in braces replaced. {hint}, {question} and {choices} are these; {} alone is
 * the question, and where there are two or three they are hint, question and choices in this order (spec 11 section 2). A record without a
 * hint has "N/A". Choices are lines "A. red". From arena a, NULL: no memory. */
const char *record_prompt(const struct benchmark *b, const struct record *r, struct arena *a);

#endif
