/* task_parts.h - the tasks' functions, for task.c's table, and what they share. Each is described at the head of its file. */
#ifndef SPHINX_SYNTH_TASK_PARTS_H
#define SPHINX_SYNTH_TASK_PARTS_H

#include "synth/task.h"

bool task_vqa(struct question *q, struct draws *d, unsigned turn);
bool task_choice(struct question *q, struct draws *d, unsigned turn);
bool task_statement(struct question *q, struct draws *d, unsigned turn);
bool task_rec(struct question *q, struct draws *d, unsigned turn);
bool task_reg(struct question *q, struct draws *d, unsigned turn);
bool task_relation(struct question *q, struct draws *d, unsigned turn);
bool task_ocr(struct question *q, struct draws *d, unsigned turn);
bool task_text_detection(struct question *q, struct draws *d, unsigned turn);
bool task_det(struct question *q, struct draws *d, unsigned turn);
bool task_det_all(struct question *q, struct draws *d, unsigned turn);
bool task_pose(struct question *q, struct draws *d, unsigned turn);
bool task_chart(struct question *q, struct draws *d, unsigned turn);
bool task_caption(struct question *q, struct draws *d, unsigned turn);
bool task_long_caption(struct question *q, struct draws *d, unsigned turn);
bool task_grounded_caption(struct question *q, struct draws *d, unsigned turn);
bool task_t2i(struct question *q, struct draws *d, unsigned turn);
bool task_lesson(struct question *q, struct draws *d, unsigned turn);
bool task_find_thing(struct question *q, struct draws *d, unsigned turn);
bool task_list(struct question *q, struct draws *d, unsigned turn);
bool task_pick(struct question *q, struct draws *d, unsigned turn);
bool task_relate(struct question *q, struct draws *d, unsigned turn);
bool task_spell(struct question *q, struct draws *d, unsigned turn);

/* One of the things that words can single out; told is what the words are (phrase.h), `never` not among them. False: no such thing. */
bool question_draw_unique(const struct question *q, struct draws *d, unsigned never, size_t *item,
                          unsigned *told);

/* Makes the question one of choice: its answer and others of its kind, in a drawn order, and the letter. False: too few are likely, or too many. */
bool question_offer_choices(struct question *q, struct draws *d);

/* How many shapes, whatever their form, share the color (TOLD_COLOR), the size (TOLD_SIZE) or both of t, itself one of them. */
size_t question_shapes_alike(const struct question *q, const struct item *t, unsigned told);

/* A question about texts, charts or documents for vqa (tasks_reading.c). */
bool question_about_reading(struct question *q, struct draws *d, unsigned turn);

/* An item's box, "x1,y1,x2,y2" without brackets, and a point, in fractions of the padded square. */
void write_box(struct prose *out, const struct question *q, size_t item);
/* Any box in pixels, likewise. */
void write_area(struct prose *out, const struct question *q, const double *box);
/* The item is the question's subject, and its box the answer, "[x1,y1,x2,y2]". */
void answer_with_box(struct question *q, size_t item);
/* Appends the boxes of several, "[x1,y1,x2,y2;x1,y1,x2,y2]". */
void answer_with_boxes(struct question *q, const size_t *item, size_t n);
/* One number of a box: 0 to 3. */
void write_edge(struct prose *out, const struct question *q, size_t item, unsigned edge);
void write_point(struct prose *out, const struct question *q, struct img_point p);

/* Sorts items by their boxes' left sides. */
void sort_from_left(const struct question *q, size_t *item, size_t n);
/* Sorts texts by lines and, in a line, from the left. */
void sort_reading(const struct question *q, size_t *item, size_t n);

/* yes or no with even chances are drawn before anything is looked at. */
const char *yes_no(bool yes);

#endif
