/* task.c - see task.h: the table of tasks, and how their questions become texts. */
#include "synth/task.h"

#include <stdio.h>
#include <string.h>

#include "synth/task_parts.h"

#define SHORT "{}\nAnswer the question using a single word or phrase."
#define CHOOSE                                                                                               \
    "Context:\n{hint}\nQuestion:\n{question}\nChoices:\n{choices}\nAnswer with the "                         \
    "option\"s letter from the given choices directly."
#define REFER "Please provide the bounding box coordinate of the region this sentence describes: {}."

const struct task_row task_rows[TASK_COUNT] = {
    [TASK_VQA] = { "vqa", "questions", SHORT, "", SCORING_TEXT, "exact", 16, 5, task_vqa },
    [TASK_CHOICE] = { "choice", "multiple choice", CHOOSE, " The answer is", SCORING_CHOICE, "choice", 10, 2,
                      task_choice },
    [TASK_STATEMENT] = { "statement", "true or false", "Is the following statement \"{}\" true or false?", "",
                         SCORING_TEXT, "exact", 10, 1, task_statement },
    [TASK_REC] = { "rec", "referring expressions", REFER, "", SCORING_BOX, "box", 40, 2, task_rec },
    [TASK_REG] = { "reg", "region captions", "Please provide a short description for this region: {}", "",
                   SCORING_TEXT, "exact", 32, 2, task_reg },
    [TASK_RELATION] = { "relation", "relations",
                        "Please provide the bounding box coordinate of the region this sentence describes : "
                        "{}.",
                        "", SCORING_BOX, "box", 120, 1, task_relation },
    [TASK_OCR] = { "ocr", "reading", SHORT, "", SCORING_TEXT, "exact", 32, 2, task_ocr },
    [TASK_TEXT_DETECTION] = { "text_detection", "text detection",
                              "Please detect all texts and provide their bounding box coordinate.", "",
                              SCORING_OBJECTS, "detection", 512, 1, task_text_detection },
    [TASK_DET] = { "det", "detection by category", "Detect all {} shown in the image.", "", SCORING_OBJECTS,
                   "detection", 256, 1, task_det },
    [TASK_DET_ALL] = { "det_all", "detection", "Detect all objects shown in the image.", "", SCORING_OBJECTS,
                       "detection", 512, 1, task_det_all },
    [TASK_POSE] = { "pose", "key points", "Detect the key points of the person in the region {}.", "",
                    SCORING_POSE, "pose", 512, 2, task_pose },
    [TASK_CHART] = { "chart", "charts", "Convert this chart to a table.", "", SCORING_TEXT, "anls", 96, 1,
                     task_chart },
    [TASK_CAPTION] = { "caption", "short captions", "Provide a one-sentence caption for the provided image.",
                       "", SCORING_TEXT, "mention", 128, 1, task_caption },
    [TASK_LONG_CAPTION] = { "long_caption", "long captions",
                            "Generate a detailed description about the image.", "", SCORING_TEXT, "anls", 320,
                            1, task_long_caption },
    [TASK_GROUNDED_CAPTION] = { "grounded_caption", "grounded captions",
                                "Describe the image concisely. Include the bounding box for each mentioned "
                                "object.",
                                "", SCORING_OBJECTS, "detection", 512, 1, task_grounded_caption },
    [TASK_T2I] = { "t2i", "prompts for images",
                   "Write a prompt from which a text-to-image model could draw this image.", "", SCORING_TEXT,
                   "anls", 160, 1, task_t2i },
    [TASK_LESSON] = { "lesson", "lessons", SHORT, "", SCORING_TEXT, "exact", 16, 10, task_lesson },
    [TASK_FIND] = { "find", "lessons in finding", REFER, "", SCORING_BOX, "box", 40, 24, task_find_thing },
    [TASK_PICK] = { "pick", "lessons in choices", CHOOSE, " The answer is", SCORING_CHOICE, "choice", 10, 3,
                    task_pick },
    [TASK_RELATE] = { "relate", "lessons in relations", SHORT, "", SCORING_TEXT, "exact", 16, 8,
                      task_relate },
    [TASK_LIST] = { "list", "lessons in listing", "Detect all {} shown in the image.", "", SCORING_TEXT,
                    "exact", 256, 24, task_list },
    [TASK_SPELL] = { "spell", "lessons in reading", "{}\nAnswer letter by letter.", "", SCORING_TEXT, "exact",
                     40, 10, task_spell },
};

enum task task_find(const char *name)
{
    enum task t = 0;

    while (t < TASK_COUNT && strcmp(task_rows[t].name, name) != 0) t++;
    return t;
}

/* What pages are for. */
static bool is_reading(enum task task)
{
    return task == TASK_OCR || task == TASK_TEXT_DETECTION || task == TASK_REC || task == TASK_REG ||
           task == TASK_SPELL;
}

bool task_ask(struct question *q, enum task task, const struct scene *s, const struct picture *picture,
              struct draws *d, unsigned turn)
{
    prose_clear(&q->question);
    prose_clear(&q->answer);
    *q = (struct question){ .s = s, .picture = picture, .question = q->question, .answer = q->answer };
    return ((s->kind != SCENE_PAGE && s->kind != SCENE_LETTERS) || is_reading(task)) &&
           task_rows[task].ask(q, d, turn);
}

void question_free(struct question *q)
{
    prose_free(&q->question);
    prose_free(&q->answer);
}

static void write_choices(const struct question *q, struct prose *out)
{
    for (int i = 0; i < CHOICES && q->choice[i] != NULL; i++)
        prose_add(out, "%s%c. %s", i > 0 ? "\n" : "", (char)('A' + i), q->choice[i]);
}

/* As eval/record.h puts a template's question: what is in braces is replaced. */
void question_write_prompt(const struct question *q, enum task task, struct prose *out)
{
    for (const char *p = task_rows[task].prompt; *p != '\0';) {
        size_t n = strcspn(p, "{"), name;

        prose_add_bytes(out, p, n);
        p += n;
        if (*p == '\0') break;
        name = strcspn(p, "}");
        if (strncmp(p, "{choices}", 9) == 0)
            write_choices(q, out);
        else
            prose_add(out, "%s", strncmp(p, "{hint}", 6) == 0 ? "N/A" : prose_text(&q->question));
        p += name + 1;
    }
}

/* The prefix ends the prompt at evaluation, "Assistant: The answer is", and the answer goes on behind a space. */
void question_write_answer(const struct question *q, enum task task, struct prose *out)
{
    const char *prefix = task_rows[task].answer_prefix;

    if (prefix[0] != '\0') prose_add(out, "%s ", prefix + 1);
    prose_add(out, "%s%s", prose_text(&q->answer), prefix[0] != '\0' ? "." : "");
}
