/* transcript.c - see transcript.h. */
#include "cli/transcript.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

static bool name_ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), n_end = strlen(end);

    return n >= n_end && strcmp(name + n - n_end, end) == 0;
}

static enum status put_text(struct file_writer *w, const char *text, struct err *e)
{
    return file_writer_put(w, text, strlen(text), e);
}

static enum status put_message(struct file_writer *w, const char *who, const char *text, struct err *e)
{
    enum status st = put_text(w, who, e);

    if (st == STATUS_OK) st = put_text(w, text, e);
    if (st == STATUS_OK) st = put_text(w, "\n", e);
    return st;
}

static enum status write_text(struct file_writer *w, const sphinx_session *session, const char *image,
                              struct err *e)
{
    enum status st = STATUS_OK;
    const char *question, *answer;

    if (image != NULL) st = put_message(w, "Image: ", image, e);
    for (size_t i = 0; st == STATUS_OK && sphinx_session_turn(session, i, &question, &answer); i++) {
        st = put_message(w, "Human: ", question, e);
        if (st == STATUS_OK) st = put_message(w, "Assistant: ", answer, e);
    }
    return st;
}

/* File names need not be UTF-8, which JSON must be: those that are not are left out. */
static json_t *record_new(const sphinx_session *session, const char *model, const char *image)
{
    json_t *record = json_object(), *list = json_array();
    const char *question, *answer;

    json_object_set_new(record, "model", json_string(model));
    if (image != NULL) json_object_set_new(record, "image", json_string(image));
    for (size_t i = 0; sphinx_session_turn(session, i, &question, &answer); i++) {
        json_array_append_new(list, json_pack("{s:s, s:s}", "from", "human", "value", question));
        json_array_append_new(list, json_pack("{s:s, s:s}", "from", "gpt", "value", answer));
    }
    if (json_array_size(list) != 2 * sphinx_session_turns(session) ||
        json_object_set_new(record, "conversations", list) != 0) {
        json_decref(record);
        return NULL;
    }
    return record;
}

static enum status write_json(struct file_writer *w, const sphinx_session *session, const char *model,
                              const char *image, struct err *e)
{
    json_t *record = record_new(session, model, image);
    char *text = record != NULL ? json_dumps(record, JSON_INDENT(2)) : NULL;
    enum status st;

    json_decref(record);
    if (text == NULL) return err_no_memory(e, "the conversation");
    st = put_text(w, text, e);
    if (st == STATUS_OK) st = put_text(w, "\n", e);
    free(text);
    return st;
}

enum status transcript_save(const sphinx_session *session, const char *model, const char *image,
                            const char *path, struct err *e)
{
    struct file_writer w = { 0 };
    enum status st = file_writer_open(&w, path, e);

    if (st != STATUS_OK) return st;
    st = name_ends_in(path, ".txt") ? write_text(&w, session, image, e)
                                    : write_json(&w, session, model, image, e);
    if (st == STATUS_OK) st = file_writer_commit(&w, e);
    file_writer_abort(&w);
    return st;
}
