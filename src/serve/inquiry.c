/* inquiry.c - see inquiry.h. */
#include "serve/inquiry.h"

#include <stdlib.h>
#include <string.h>

#include "text/conversation.h"

void inquiry_free(struct inquiry *o)
{
    for (size_t i = 0; i < o->n_turns; i++) {
        free(o->turns[i].question);
        free(o->turns[i].answer);
    }
    for (size_t i = 0; i < o->ask.n_stop; i++) free(o->stops[i]);
    free(o->turns);
    free(o->stops);
    free(o->grammar);
    free(o->schema);
    free(o->system);
    free(o->question);
    picture_release(o->picture);
    *o = (struct inquiry){ 0 };
}

/* The last question as the model gets it. */
static bool render(const struct inquiry *o, char **text, size_t *size, struct problem *p)
{
    struct conv_turn turn = { o->question, NULL, NULL };
    struct err e = { 0 };

    if (o->ask.raw) {
        *size = strlen(o->question);
        *text = strdup(o->question);
        return *text != NULL || problem_no_memory(p);
    }
    if (conv_render(o->system, &turn, 1, text, size, &e) == STATUS_OK) return true;
    return problem_set(p, e.code == STATUS_BAD_ARGUMENT ? 400 : 500, "messages", NULL, "%s", e.text);
}

/* What the answer may take beside a long question, which would be cut otherwise. */
static void leave_room(struct inquiry *o, size_t room, size_t n)
{
    size_t reserve = (size_t)o->ask.max_tokens < room / 2 ? (size_t)o->ask.max_tokens : room / 2;

    if (n > room - reserve) o->ask.max_tokens = (int)(room - n);
}

static bool check_length(struct inquiry *o, const sphinx_model *model, const sphinx_model_info *info,
                         struct problem *p)
{
    size_t words = o->image != NULL ? (size_t)info->image_words : 0, size, n, context = (size_t)info->context;
    sphinx_error error = { 0 };
    int32_t *ids;
    char *text;

    if (!render(o, &text, &size, p)) return false;
    sphinx_tokenize(model, text, size, true, &ids, &n, &error);
    free(text);
    if (error.code != SPHINX_OK) return problem_of(p, &error, "messages", NULL);
    sphinx_free(ids);
    if (words + n < context) {
        leave_room(o, context - words, n);
        return true;
    }
    return problem_set(p, 400, o->ask.raw ? "prompt" : "messages", "context_length_exceeded",
                       "%s takes %zu tokens%s: the context holds %d",
                       o->ask.raw ? "the prompt" : "the last question", words + n,
                       words > 0 ? " with the image's words" : "", info->context);
}

bool inquiry_check(struct inquiry *o, const sphinx_model *model, struct problem *p)
{
    sphinx_model_info info;

    sphinx_model_get_info(model, &info);
    if (o->image != NULL && !info.sees)
        return problem_set(p, 400, "messages", "no_vision",
                           "the model is a language model only: it cannot look at an image");
    if (o->question[0] == '\0' && o->image == NULL)
        return problem_set(p, 400, o->ask.raw ? "prompt" : "messages", NULL, "the last question is empty");
    return check_length(o, model, &info, p);
}
