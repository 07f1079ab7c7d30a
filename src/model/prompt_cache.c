/* prompt_cache.c - see prompt_cache.h. */
#include "model/prompt_cache.h"

#include "image/image.h"
#include "model/cache_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char format[] = "sphinx prompt cache 1";

enum { FIXED_PARTS = 3, PAIRS_MAX = 8, ROWS_NAME_MAX = 16 };

static int64_t rows_of(const struct prompt_content *c, const struct prompt_setting *s)
{
    return c->n_ids == 0 ? 0 : (int64_t)c->n_ids + (c->has_image ? s->n_words : 0);
}

/* The i-th of the keys' and values' tensors. Written into name [ROWS_NAME_MAX], which the result borrows. */
static struct tensor_spec rows_spec(const struct prompt_setting *s, int i, int64_t n_rows, char *name)
{
    bool plain = dtype_info(s->kv_type)->name_safetensors != NULL;
    int64_t bytes = (int64_t)dtype_bytes(s->kv_type, (size_t)s->kv_width);

    snprintf(name, ROWS_NAME_MAX, "%c.%03d", i < s->n_layers ? 'k' : 'v', i % s->n_layers);
    return (struct tensor_spec){
        name, plain ? s->kv_type : DTYPE_U8, 2, { n_rows, plain ? s->kv_width : bytes }
    };
}

static struct tensor_spec pixels_spec(int width, int height)
{
    return (struct tensor_spec){ "pixels", DTYPE_U8, 3, { height, width, 3 } };
}

static struct tensor_spec words_spec(const struct prompt_setting *s)
{
    return (struct tensor_spec){ "words", DTYPE_F32, 2, { s->n_words, s->width } };
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

static char *turns_text(const struct prompt_content *c)
{
    json_t *turns = json_array();
    bool ok = turns != NULL;
    char *text;

    for (size_t i = 0; i < c->n_turns && ok; i++) {
        ok = json_array_append_new(turns, json_pack("[s, s]", c->turns[i].question, c->turns[i].answer)) == 0;
    }
    text = ok ? json_dumps(turns, JSON_COMPACT) : NULL;
    json_decref(turns);
    return text;
}

static size_t parts_make(struct cache_part *parts, char (*names)[ROWS_NAME_MAX],
                         const struct prompt_setting *s, const struct prompt_content *c)
{
    int64_t n_rows = rows_of(c, s);
    int n_tensors = n_rows > 0 ? 2 * s->n_layers : 0;
    size_t n = 0;

    parts[n++] = (struct cache_part){ { "ids", DTYPE_I32, 1, { (int64_t)c->n_ids } }, c->ids };
    for (int i = 0; i < n_tensors; i++) {
        if (i == s->n_layers && c->has_image) /* names ascend: k, pixels, v */
            parts[n++] = (struct cache_part){ pixels_spec(c->image_width, c->image_height), c->pixels };
        parts[n++] = (struct cache_part){ rows_spec(s, i, n_rows, names[i]), c->rows[i] };
    }
    if (c->has_image && n_tensors == 0)
        parts[n++] = (struct cache_part){ pixels_spec(c->image_width, c->image_height), c->pixels };
    if (c->has_image) parts[n++] = (struct cache_part){ words_spec(s), c->words };
    return n;
}

enum status prompt_cache_write(const char *path, const struct prompt_setting *s,
                               const struct prompt_content *c, struct err *e)
{
    size_t n_layers = (size_t)s->n_layers, n_pairs = 6;
    struct cache_part *parts = calloc(FIXED_PARTS + 2 * n_layers, sizeof *parts);
    char(*names)[ROWS_NAME_MAX] = calloc(2 * n_layers, sizeof *names);
    char model[DIGEST_TEXT_MAX], image[DIGEST_TEXT_MAX], without[16], *turns = turns_text(c);
    enum status st;

    snprintf(without, sizeof without, "%u", s->without);
    if (parts == NULL || names == NULL || turns == NULL) {
        st = err_no_memory(e, path);
    } else {
        const char *metadata[2 * PAIRS_MAX] = { "model",   digest_hex(&s->model, model),
                                                "level",   s->level,
                                                "precise", s->precise ? "yes" : "no",
                                                "kv_type", dtype_info(s->kv_type)->name,
                                                "system",  c->system,
                                                "turns",   turns };

        if (c->has_image) {
            metadata[2 * n_pairs] = "image";
            metadata[2 * n_pairs++ + 1] = digest_hex(&c->image, image);
            metadata[2 * n_pairs] = "without";
            metadata[2 * n_pairs++ + 1] = without;
        }
        st = cache_file_write(path, format, parts, parts_make(parts, names, s, c), metadata, n_pairs, e);
    }
    free(turns);
    free(names);
    free(parts);
    return st;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static enum status damaged(const struct prompt_cache *p, const char *what, struct err *e)
{
    return err_set(e, STATUS_BAD_FORMAT, "%s: %s", p->file.path, what);
}

static enum status expect(const struct prompt_cache *p, const char *key, const char *wanted, const char *what,
                          struct err *e)
{
    const char *found = safetensors_metadata(&p->file, key);
    char text[SHAPE_TEXT_MAX];

    if (found == NULL) return err_set(e, STATUS_BAD_FORMAT, "%s: does not tell its %s", p->file.path, key);
    if (strcmp(found, wanted) == 0) return STATUS_OK;
    if (strcmp(key, "model") == 0)
        return err_set(e, STATUS_UNSUPPORTED, "%s: is a prompt cache of another model", p->file.path);
    return err_set(e, STATUS_UNSUPPORTED, "%s: is a prompt cache of %s %s, this session has %s", p->file.path,
                   what, bytes_text(text, found, strlen(found)), wanted);
}

static enum status fits(const struct prompt_cache *p, const struct prompt_setting *s, struct err *e)
{
    char model[DIGEST_TEXT_MAX], without[16];
    enum status st = expect(p, "model", digest_hex(&s->model, model), "the model", e);

    snprintf(without, sizeof without, "%u", s->without);
    if (st == STATUS_OK) st = expect(p, "level", s->level, "the instruction level", e);
    if (st == STATUS_OK) st = expect(p, "precise", s->precise ? "yes" : "no", "a precise computation:", e);
    if (st == STATUS_OK) st = expect(p, "kv_type", dtype_info(s->kv_type)->name, "a key/value cache in", e);
    if (st == STATUS_OK && safetensors_metadata(&p->file, "image") != NULL)
        st = expect(p, "without", without, "encoders switched off:", e);
    return st;
}

static char *copy_text(struct prompt_cache *p, const json_t *text)
{
    const char *s = json_string_value(text);

    return s != NULL ? arena_strdup(&p->arena, s) : NULL;
}

static enum status take_turns(struct prompt_cache *p, struct err *e)
{
    const char *text = safetensors_metadata(&p->file, "turns");
    json_t *list = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    size_t n = json_array_size(list);
    struct prompt_turn *turns = arena_calloc(&p->arena, n, sizeof *turns);
    enum status st = json_is_array(list) ? STATUS_OK : damaged(p, "has no list of turns", e);

    if (turns == NULL) st = err_no_memory(e, p->file.path);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        const json_t *turn = json_array_get(list, i);

        turns[i].question = copy_text(p, json_array_get(turn, 0));
        turns[i].answer = copy_text(p, json_array_get(turn, 1));
        if (turns[i].question == NULL || turns[i].answer == NULL)
            st = damaged(p, "its turns are not pairs of texts", e);
    }
    json_decref(list);
    p->content.turns = turns;
    p->content.n_turns = n;
    return st;
}

static bool hex_digest(struct digest *d, const char *text)
{
    char again[DIGEST_TEXT_MAX];

    if (strlen(text) != DIGEST_TEXT_MAX - 1) return false;
    for (size_t i = 0; i < sizeof d->byte; i++) {
        unsigned value;

        if (sscanf(text + 2 * i, "%2x", &value) != 1) return false;
        d->byte[i] = (uint8_t)value;
    }
    return strcmp(digest_hex(d, again), text) == 0;
}

static enum status take_image(struct prompt_cache *p, const struct prompt_setting *s, struct err *e)
{
    const char *key = safetensors_metadata(&p->file, "image");
    const struct raw_tensor *pixels = safetensors_find(&p->file, "pixels");
    struct tensor_spec wanted;
    const void *data;
    enum status st;

    if (key == NULL) return STATUS_OK;
    if (!hex_digest(&p->content.image, key)) return damaged(p, "its image's key is not one", e);
    if (s->n_words == 0)
        return err_set(e, STATUS_UNSUPPORTED, "%s: is about an image, and this model cannot look at one",
                       p->file.path);
    if (pixels == NULL || pixels->n_dims != 3 || pixels->dim[0] < 1 || pixels->dim[0] > IMG_SIDE_MAX ||
        pixels->dim[1] < 1 || pixels->dim[1] > IMG_SIDE_MAX)
        return damaged(p, "has no pixels for its image", e);
    p->content.has_image = true;
    p->content.image_height = (int)pixels->dim[0];
    p->content.image_width = (int)pixels->dim[1];
    wanted = pixels_spec(p->content.image_width, p->content.image_height);
    st = cache_file_part(&p->file, &wanted, &data, e);
    if (st != STATUS_OK) return st;
    p->content.pixels = data;
    wanted = words_spec(s);
    st = cache_file_part(&p->file, &wanted, &data, e);
    if (st != STATUS_OK) return st;
    p->content.words = data;
    for (size_t i = 0; i < (size_t)s->n_words * (size_t)s->width; i++) {
        float word;

        memcpy(&word, (const char *)data + i * sizeof word, sizeof word);
        if (!isfinite(word)) return damaged(p, "its image words are not finite numbers", e);
    }
    return STATUS_OK;
}

static enum status take_ids(struct prompt_cache *p, const struct prompt_setting *s, struct err *e)
{
    const struct raw_tensor *ids = safetensors_find(&p->file, "ids");
    struct tensor_spec wanted = { "ids", DTYPE_I32, 1, { ids != NULL ? ids->dim[0] : 0 } };
    const void *data;
    enum status st = cache_file_part(&p->file, &wanted, &data, e);

    if (st != STATUS_OK) return st;
    p->content.ids = data;
    p->content.n_ids = (size_t)wanted.dim[0];
    for (size_t i = 0; i < p->content.n_ids; i++) {
        int32_t id;

        memcpy(&id, (const char *)data + i * sizeof id, sizeof id);
        if (id < 0 || id >= s->vocab) return damaged(p, "its ids are not in the vocabulary", e);
    }
    if (rows_of(&p->content, s) > s->context) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: holds %lld positions, the context has %lld", p->file.path,
                       (long long)rows_of(&p->content, s), (long long)s->context);
    }
    return STATUS_OK;
}

static enum status take_rows(struct prompt_cache *p, const struct prompt_setting *s, struct err *e)
{
    const void **rows = arena_calloc(&p->arena, 2 * (size_t)s->n_layers, sizeof *rows);
    int64_t n_rows = rows_of(&p->content, s);
    enum status st = rows != NULL ? STATUS_OK : err_no_memory(e, p->file.path);

    if (n_rows == 0) return st;
    for (int i = 0; i < 2 * s->n_layers && st == STATUS_OK; i++) {
        char name[ROWS_NAME_MAX];
        struct tensor_spec wanted = rows_spec(s, i, n_rows, name);

        st = cache_file_part(&p->file, &wanted, &rows[i], e);
    }
    p->content.rows = rows;
    return st;
}

enum status prompt_cache_read(struct prompt_cache *p, const struct prompt_setting *s, struct err *e)
{
    enum status st = fits(p, s, e);

    p->content.system = safetensors_metadata(&p->file, "system");
    if (st == STATUS_OK && p->content.system == NULL) st = damaged(p, "has no system sentence", e);
    if (st == STATUS_OK) st = take_turns(p, e);
    if (st == STATUS_OK) st = take_image(p, s, e);
    if (st == STATUS_OK) st = take_ids(p, s, e);
    if (st == STATUS_OK) st = take_rows(p, s, e);
    if (st != STATUS_OK) prompt_cache_close(p);
    return st;
}

enum status prompt_cache_open(struct prompt_cache *p, const char *path, const struct prompt_setting *s,
                              struct err *e)
{
    enum status st;

    memset(p, 0, sizeof *p);
    st = cache_file_open(&p->file, path, format, e);
    return st == STATUS_OK ? prompt_cache_read(p, s, e) : st;
}

void prompt_cache_close(struct prompt_cache *p)
{
    safetensors_close(&p->file);
    arena_free(&p->arena);
    memset(p, 0, sizeof *p);
}
