/* world_texts.c - see world_texts.h. */
#include "synth/world_texts.h"

#include <inttypes.h>

#include "synth/patches.h"

/* What all functions here write to and about. */
struct writing {
    struct scene_texts *texts;
    struct question *q;
    const struct world_options *o;
    uint64_t index;
    const struct scene *s;
    const struct picture *picture;
    const char *name;
    struct prose *scratch;
    struct prose *patches; /* what the patches show; empty: that is not wanted */
    struct prose *turns;   /* of which no conversation was made yet */
    size_t end[TURNS_MAX];
    size_t n_turns;
};

/* Beyond what scene.c draws from. Lessons came after the order, which draws what it drew before. */
enum { PURPOSE_TASK = 1 << 20, PURPOSE_ORDER = PURPOSE_TASK + TASK_LESSON, PURPOSE_LESSON };

/* ---- to learn from --------------------------------------------------------------------------------------------- */

/* The question and its answer, as two elements of "conversations". */
static void write_turn(struct writing *w, enum task task)
{
    struct prose *out = w->turns, *text = w->scratch;

    prose_add(out, "{\"from\": \"human\", \"value\": ");
    prose_clear(text);
    question_write_prompt(w->q, task, text);
    prose_add_json(out, prose_text(text));
    prose_add(out, "}, {\"from\": \"gpt\", \"value\": ");
    prose_clear(text);
    question_write_answer(w->q, task, text);
    prose_add_json(out, prose_text(text));
    prose_add(out, "}");
    w->end[w->n_turns++] = out->n;
    w->texts->n[task]++;
}

/* A conversation of the turns with these numbers. */
static void write_conversation(const struct writing *w, struct prose *out, const unsigned *turn, size_t n)
{
    prose_add(out, "{\"image\": ");
    prose_add_json(out, w->name);
    prose_add(out, ", \"conversations\": [");
    for (size_t i = 0; i < n; i++) {
        size_t first = turn[i] > 0 ? w->end[turn[i] - 1] : 0;

        prose_add(out, i > 0 ? ", " : "");
        prose_add_bytes(out, w->turns->text + first, w->end[turn[i]] - first);
    }
    prose_add(out, "]");
    if (w->patches->n > 0) prose_add(out, ", \"patches\": %s", prose_text(w->patches));
    prose_add(out, "},\n");
    out->failed = out->failed || w->scratch->failed || w->turns->failed || w->patches->failed;
}

static void forget_turns(struct writing *w)
{
    prose_clear(w->turns);
    w->n_turns = 0;
}

/* All turns in a drawn order, in as few conversations as can be, of nearly equal length. */
static void write_conversations(struct writing *w)
{
    struct draws d = draws_begin(w->o->seed, w->o->split, w->index, PURPOSE_ORDER);
    size_t n = (w->n_turns + w->o->turns - 1) / w->o->turns;
    unsigned order[TURNS_MAX];

    draw_order(&d, order, w->n_turns);
    for (size_t i = 0; i < n && !w->turns->failed; i++) {
        size_t first = w->n_turns * i / n, end = w->n_turns * (i + 1) / n;

        write_conversation(w, &w->texts->conversations, order + first, end - first);
    }
    w->texts->conversations.failed = w->texts->conversations.failed || w->turns->failed;
    forget_turns(w);
}

/* ---- to be evaluated by: the unified form ---------------------------------------------------------------------- */

static void write_truth(struct writing *w, enum task task, unsigned turn)
{
    const struct question *q = w->q;
    struct prose *out = &w->texts->truth[task];
    const struct image *im = &w->picture->im;

    prose_add(out, "{\"image_path\": \"images/%s\", \"dataset_name\": \"synth_%s\", \"question\": ", w->name,
              task_rows[task].name);
    prose_add_json(out, prose_text(&q->question));
    if (task_rows[task].scoring == SCORING_BOX) {
        const double *box = w->picture->place[q->subject].box;

        prose_add(out, ", \"question_id\": \"height%d_width%d\", \"gt_answers\": [%.6f, %.6f, %.6f, %.6f]",
                  im->height, im->width, box[0], box[1], box[2], box[3]);
    } else {
        prose_add(out, ", \"question_id\": \"%" PRIu64 "_%u\", \"gt_answers\": ", w->index, turn);
        prose_add_json(out, prose_text(&q->answer));
    }
    for (int i = 0; i < CHOICES && q->choice[i] != NULL; i++) {
        prose_add(out, i == 0 ? ", \"choices\": [" : ", ");
        prose_add_json(out, q->choice[i]);
    }
    if (q->choice[0] != NULL) prose_add(out, "]");
    prose_add(out, ", \"type\": \"%s\", \"domain\": \"%s\"},\n", q->kind != NULL ? q->kind : "",
              w->s->photo ? "photo" : "vector");
}

/* ---- to be evaluated by: COCO's form --------------------------------------------------------------------------- */

/* What the answers of a task call a thing. */
static const char *category_of(char *name, enum task task, const struct item *t)
{
    if (task == TASK_TEXT_DETECTION) return t->text;
    if (task == TASK_DET) return phrase_items(name, t, 0);
    return phrase_item(name, t, task == TASK_GROUNDED_CAPTION ? TOLD_COLOR : 0);
}

static void write_joints(struct prose *out, const struct item *t, const struct place *place)
{
    prose_add(out, ", \"keypoints\": [");
    for (int i = 0; i < IMG_JOINTS; i++) {
        prose_add(out, i > 0 ? ", " : "");
        if (t->seen[i])
            prose_add(out, "%.3f, %.3f, 2", place->joint[i].x, place->joint[i].y);
        else
            prose_add(out, "0, 0, 0");
    }
    prose_add(out, "]");
}

static void write_object(struct writing *w, enum task task, size_t item, const char *category)
{
    struct prose *out = &w->texts->truth[task];
    const double *box = w->picture->place[item].box;
    double width = box[2] - box[0], height = box[3] - box[1];

    prose_add(out, "{\"image_id\": %" PRIu64 ", \"category_id\": ", w->index);
    prose_add_json(out, category);
    prose_add(out, ", \"bbox\": [%.6f, %.6f, %.6f, %.6f], \"area\": %.3f, \"iscrowd\": 0", box[0], box[1],
              width, height, width * height);
    if (task == TASK_POSE) write_joints(out, &w->s->items[item], &w->picture->place[item]);
    prose_add(out, "},\n");
    prose_add(&w->texts->names[task], "%s\n", category);
}

/* Several things that are told by the same words, with a number before them, are told in the plural. */
static void write_objects(struct writing *w, enum task task)
{
    const struct image *im = &w->picture->im;

    prose_add(&w->texts->image[task],
              "{\"id\": %" PRIu64 ", \"file_name\": \"%s\", \"width\": %d, \"height\": %d},\n", w->index,
              w->name, im->width, im->height);
    for (size_t i = 0; i < w->s->n_items; i++) {
        const struct item *t = &w->s->items[i];
        char name[PHRASE_MAX];

        if (task == TASK_POSE             ? t->kind != ITEM_PERSON
            : task == TASK_TEXT_DETECTION ? t->kind != ITEM_TEXT
                                          : t->kind == ITEM_TEXT && task != TASK_GROUNDED_CAPTION)
            continue;
        if (task == TASK_GROUNDED_CAPTION && t->kind != ITEM_TEXT && phrase_count(w->s, t, TOLD_COLOR) > 1)
            write_object(w, task, i, phrase_items(name, t, TOLD_COLOR));
        else
            write_object(w, task, i, category_of(name, task, t));
    }
}

/* ---- a scene --------------------------------------------------------------------------------------------------- */

static void write_task(struct writing *w, enum task task)
{
    enum scoring scoring = task_rows[task].scoring;
    bool evaluated = w->o->split != SPLIT_TRAIN, listed = false;

    for (unsigned turn = 0; turn < task_rows[task].turns; turn++) {
        struct draws d = draws_begin(w->o->seed, w->o->split, w->index,
                                     task >= TASK_LESSON ? (uint64_t)PURPOSE_LESSON + (task - TASK_LESSON)
                                                         : (uint64_t)PURPOSE_TASK + (uint64_t)task);

        if (!task_ask(w->q, task, w->s, w->picture, &d, turn)) continue;
        write_turn(w, task);
        if (w->o->turns == 1) {
            if (!w->turns->failed) write_conversation(w, &w->texts->record[task], &(unsigned){ 0 }, 1);
            w->texts->record[task].failed = w->texts->record[task].failed || w->turns->failed;
            forget_turns(w);
        }
        if (!evaluated) continue;
        if (scoring != SCORING_OBJECTS && scoring != SCORING_POSE)
            write_truth(w, task, turn);
        else if (!listed)
            write_objects(w, task);
        listed = true;
    }
}

void scene_texts_write(struct scene_texts *texts, struct question *q, const struct world_options *o,
                       uint64_t index, const struct scene *s, const struct picture *picture, const char *name)
{
    struct prose scratch = { 0 }, patches = { 0 }, turns = { 0 };
    struct writing w = { texts, q, o, index, s, picture, name, &scratch, &patches, &turns, { 0 }, 0 };

    if (o->patches) patches_write(&patches, s, picture);
    for (enum task task = 0; task < TASK_COUNT; task++) {
        if (!o->task[task]) continue;
        write_task(&w, task);
        if (q->question.failed || q->answer.failed) texts->record[task].failed = true;
    }
    if (w.n_turns > 0) write_conversations(&w);
    prose_free(&scratch);
    prose_free(&patches);
    prose_free(&turns);
}

bool scene_texts_failed(const struct scene_texts *texts)
{
    for (enum task task = 0; task < TASK_COUNT; task++) {
        if (texts->record[task].failed || texts->truth[task].failed || texts->image[task].failed ||
            texts->names[task].failed)
            return true;
    }
    return texts->conversations.failed || texts->masks.failed || texts->masks_image.failed;
}

void scene_texts_clear(struct scene_texts *texts)
{
    for (enum task task = 0; task < TASK_COUNT; task++) {
        prose_clear(&texts->record[task]);
        prose_clear(&texts->truth[task]);
        prose_clear(&texts->image[task]);
        prose_clear(&texts->names[task]);
        texts->n[task] = 0;
    }
    prose_clear(&texts->conversations);
    prose_clear(&texts->masks);
    prose_clear(&texts->masks_image);
}

void scene_texts_free(struct scene_texts *texts)
{
    for (enum task task = 0; task < TASK_COUNT; task++) {
        prose_free(&texts->record[task]);
        prose_free(&texts->truth[task]);
        prose_free(&texts->image[task]);
        prose_free(&texts->names[task]);
    }
    prose_free(&texts->conversations);
    prose_free(&texts->masks);
    prose_free(&texts->masks_image);
}
