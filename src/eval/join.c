/* join.c - see join.h. */
#include "eval/join.h"

#include "eval/mapping.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *join, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(join, key));

    return text != NULL ? text : otherwise;
}

/* ---- checking -------------------------------------------------------------------------------------------------- */

static enum status check_one(const struct benchmark *b, const json_t *join, struct err *e)
{
    static const char own[] = "file list by to without only";
    const char *file = text_of(join, "file", NULL), *to = text_of(join, "to", "id"), *key;
    json_t *value;

    if (!json_is_object(join))
        return err_set(e, STATUS_BAD_FORMAT, "\"join\" must be a list of objects, but holds %s",
                       json_kind(join));
    json_object_foreach((json_t *)(uintptr_t)join, key, value)
    {
        if (!words_hold(own, key) && !words_hold(mapping_keys, key))
            return err_set(e, STATUS_BAD_FORMAT,
                           "\"join\": \"%.40s\" is unknown; it has %s and the keys of a mapping", key, own);
        if (words_hold(own, key) && strcmp(key, "only") != 0 && !json_is_string(value))
            return err_set(e, STATUS_BAD_FORMAT, "\"join\": \"%s\" must be a text, not %s", key,
                           json_kind(value));
    }
    if (file == NULL || json_object_get(b->files, file) == NULL)
        return err_set(e, STATUS_BAD_FORMAT,
                       "\"join\": \"file\" must be one of the entry's \"files\", not \"%.40s\"",
                       file != NULL ? file : "");
    if (text_of(join, "by", NULL) == NULL)
        return err_set(e, STATUS_BAD_FORMAT, "\"join\": \"by\", a template, is absent");
    if (strcmp(to, "id") != 0 && strcmp(to, "image") != 0)
        return err_set(e, STATUS_BAD_FORMAT, "\"join\": \"to\" must be \"id\" or \"image\", not \"%.40s\"",
                       to);
    if (mapping_check_only(json_object_get(join, "only"), e) != STATUS_OK) return STATUS_BAD_FORMAT;
    return mapping_check(join, e);
}

enum status join_check(const struct benchmark *b, const json_t *joins, struct err *e)
{
    enum status st = STATUS_OK;

    if (joins != NULL && !json_is_array(joins))
        return err_set(e, STATUS_BAD_FORMAT, "\"join\" must be a list of objects, not %s", json_kind(joins));
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(joins); i++)
        st = check_one(b, json_array_get(joins, i), e);
    return st;
}

bool join_uses(const json_t *joins, const char *name)
{
    for (size_t i = 0; i < json_array_size(joins); i++)
        if (strcmp(text_of(json_array_get(joins, i), "file", ""), name) == 0) return true;
    return false;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static const size_t nobody = SIZE_MAX;

/* Records with the same key hang together: first[key] -> next -> next. */
struct joining {
    struct record_list *l;
    const json_t *join;
    struct text_map first;
    size_t *next; /* [records], nobody: the last */
    bool *done;   /* [records] */
    struct err *err;
};

static const char *key_of(const struct joining *j, size_t i)
{
    const struct record *r = &j->l->dataset->records[i];

    return strcmp(text_of(j->join, "to", "id"), "id") == 0 ? r->id : r->image;
}

static enum status index_records(struct joining *j, struct err *e)
{
    size_t n = j->l->dataset->n;

    j->next = calloc(n + 1, sizeof *j->next);
    j->done = calloc(n + 1, sizeof *j->done);
    if (j->next == NULL || j->done == NULL) return err_no_memory(e, "joining annotations");
    for (size_t i = n; i-- > 0;) {
        size_t *first;
        bool is_new;
        enum status st = text_map_put(&j->first, key_of(j, i), i, &first, &is_new, e);

        if (st != STATUS_OK) return st;
        j->next[i] = is_new ? nobody : *first;
        *first = i;
    }
    return STATUS_OK;
}

static enum status take(void *user, const struct row *row, struct err *e)
{
    struct joining *j = user;
    struct arena *a = &j->l->dataset->arena;
    struct arena_mark mark = arena_mark(a);
    const char *key;
    size_t *first;
    bool wanted;
    enum status st = mapping_wants(json_object_get(j->join, "only"), row, a, &wanted, e);

    if (st == STATUS_OK) st = mapping_text(json_object_get(j->join, "by"), row, a, &key, e);
    if (st != STATUS_OK) return st;
    if (key == NULL)
        return row_error(row, e, "nothing to join by: a key of \"%.80s\" is absent or empty",
                         text_of(j->join, "by", ""));
    first = wanted ? text_map_get(&j->first, key) : NULL;
    if (first != NULL && j->done[*first]) return row_error(row, e, "a second entry for \"%.80s\"", key);
    arena_reset(a, mark); /* the key, of which there may be many that nobody asks for */
    for (size_t i = first != NULL ? *first : nobody; st == STATUS_OK && i != nobody; i = j->next[i]) {
        st = mapping_apply(j->join, row, a, &j->l->dataset->records[i], e);
        j->done[i] = true;
    }
    return st;
}

static enum status read_one(struct record_list *l, const json_t *join, struct err *e)
{
    struct joining j = { .l = l, .join = join, .err = e };
    const char *without = text_of(join, "without", NULL), *name = text_of(join, "file", ""), *path;
    enum status st = record_list_file(l, name, without != NULL, &path, NULL, e);

    if (st != STATUS_OK) return st;
    if (path == NULL) return record_list_remark(l, e, "%s", without);
    st = index_records(&j, e);
    if (st == STATUS_OK) st = rows_walk(path, text_of(join, "list", ""), take, &j, e);
    for (size_t i = 0; st == STATUS_OK && i < l->dataset->n; i++)
        if (!j.done[i])
            st = err_set(e, STATUS_BAD_FORMAT, "%s: there is nothing for record %zu, whose %s is \"%.80s\"",
                         path, i, text_of(join, "to", "id"), key_of(&j, i));
    text_map_free(&j.first);
    free(j.next);
    free(j.done);
    return st;
}

enum status join_read(struct record_list *l, const json_t *joins, struct err *e)
{
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < json_array_size(joins); i++)
        st = read_one(l, json_array_get(joins, i), e);
    return st;
}
