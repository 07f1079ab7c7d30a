/*
 * task.h - the task mix: what is asked about a scene, and the one right answer.
 *
 *   scene, picture ── task_rows[t].ask ── struct question ── a conversation to learn from, a record to be evaluated by (world.c)
 *
 * The wording is upstream's where it is known (docs/findings.md says which is not). Coordinates are fractions of the padded square with two
 * decimals: [x1,y1,x2,y2], several separated by ";", <p>phrase</p> before them. Lists go from left to right, texts in reading order, so that
 * there is one right way to write them.
 *
 *   name              asked of                     scored by
 *   vqa               everything                   exact
 *   choice            what vqa asks, with choices  choice
 *   statement         two things                   exact (true, false)
 *   rec               a thing or text              box
 *   reg               a thing or text              exact
 *   relation          two things                   box (of the first)
 *   ocr               texts                        exact
 *   text_detection    texts                        detection, of boxes alone
 *   det               a category                   detection
 *   det_all           shapes and people            detection
 *   pose              a person                     pose
 *   chart             charts                       anls
 *   caption           everything                   mention
 *   long_caption      everything                   anls
 *   grounded_caption  shapes, people and texts     detection, of what is told by shape and color
 *   t2i               everything                   anls
 *   lesson            shapes and people            exact; easy questions, to begin with
 *   find              shapes and people            box; easy ones of rec, and many
 *   pick              everything                   choice; which letter stands before a word
 *   relate            two things that lie far apart exact; to begin with vqa's questions about places
 *   list              shapes and people            exact; all of a name, of a color, of both
 *   spell             a text's letters             exact; a letter after the other, to begin reading with
 */
#ifndef SPHINX_SYNTH_TASK_H
#define SPHINX_SYNTH_TASK_H

#include "synth/painter.h"
#include "synth/phrase.h"
#include "synth/prose.h"

enum task {
    TASK_VQA,
    TASK_CHOICE,
    TASK_STATEMENT,
    TASK_REC,
    TASK_REG,
    TASK_RELATION,
    TASK_OCR,
    TASK_TEXT_DETECTION,
    TASK_DET,
    TASK_DET_ALL,
    TASK_POSE,
    TASK_CHART,
    TASK_CAPTION,
    TASK_LONG_CAPTION,
    TASK_GROUNDED_CAPTION,
    TASK_T2I,
    TASK_LESSON, /* from here on: not in the mix unless it is asked for */
    TASK_FIND,
    TASK_PICK,
    TASK_RELATE,
    TASK_SPELL,
    TASK_LIST,
    TASK_COUNT
};

enum { CHOICES = 4 };

/* What is known of the scene, and the question that is being made. */
struct question {
    const struct scene *s;
    const struct picture *picture;

    struct prose question; /* what stands for {} in the task's prompt */
    struct prose answer;   /* without the task's answer prefix */
    size_t subject;        /* the item whose box is the answer: rec, relation */
    const char *kind;      /* of vqa: "count", "color", ... */
    const char *const
        *likely; /* [n_likely] answers of the same kind, the right one among them: for choices; NULL: none */
    size_t n_likely;
    const char *choice[CHOICES]; /* of the task choice; the answer is a letter */
};

/* How answers are scored, and so in which form the evaluation's file is. */
enum scoring { SCORING_TEXT, SCORING_CHOICE, SCORING_BOX, SCORING_OBJECTS, SCORING_POSE };

struct task_row {
    const char *name, *title;
    const char *prompt;        /* {} is the question; of choice {question} and {choices} */
    const char *answer_prefix; /* given at evaluation, learned in training; "" */
    enum scoring scoring;
    const char *metric; /* of eval/metric.h */
    int max_tokens;     /* of an answer, generously */
    unsigned turns;     /* questions about one scene at most */
    /* Makes the turn's question, from numbers that are the same for all turns; false: there is none. */
    bool (*ask)(struct question *q, struct draws *d, unsigned turn);
};

extern const struct task_row task_rows[TASK_COUNT];

/* TASK_COUNT if there is none of that name. */
enum task task_find(const char *name);

/* Makes one question; the texts of q are used again. d is drawn from. */
bool task_ask(struct question *q, enum task task, const struct scene *s, const struct picture *picture,
              struct draws *d, unsigned turn);
void question_free(struct question *q);

/* The human's and the assistant's side as they are learned. */
void question_write_prompt(const struct question *q, enum task task, struct prose *out);
void question_write_answer(const struct question *q, enum task task, struct prose *out);

#endif
