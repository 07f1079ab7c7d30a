/*
 * session_file.c - a session to a file and back. What the file holds and how it is guarded stands in prompt_cache.h; here a session
 * is told in those terms, and made from them.
 */
#include "model/encode.h"
#include "model/identity.h"
#include "model/prompt_cache.h"
#include "model/public.h"
#include "model/recall.h"

#include <stdlib.h>

static void setting_of(struct prompt_setting *setting, const struct sphinx_session *s)
{
    const sphinx_model *m = s->model;
    const struct tensor *keys = &s->kv.cache->k[0];

    *setting = (struct prompt_setting){
        .level = m->backend->level,
        .precise = m->precise,
        .kv_type = keys->dtype,
        .without = s->without,
        .n_layers = s->kv.cache->n_layers,
        .vocab = m->network.config.llama.vocab,
        .kv_width = tensor_columns(keys),
        .context = m->context,
        .n_words = m->network.sees ? encode_words(&m->network) : 0,
        .width = m->network.config.llama.dim,
    };
    identity_model(&setting->model, &m->network);
}

/* The first row of the session in the i-th of the cache's tensors, keys before values. */
static void *slot_rows(const struct sphinx_session *s, int i)
{
    const struct kv_cache *kv = s->kv.cache;
    const struct tensor *t = i < kv->n_layers ? &kv->k[i] : &kv->v[i - kv->n_layers];

    return (char *)t->data + dtype_bytes(t->dtype, (size_t)(s->kv.first * t->stride));
}

/* ---- saving -------------------------------------------------------------------------------------------------- */

static enum status save(const struct sphinx_session *s, const char *path, struct err *e)
{
    int n_tensors = 2 * s->kv.cache->n_layers;
    struct prompt_turn *turns = calloc(s->n_turns + 1, sizeof *turns);
    const void **rows = calloc((size_t)n_tensors, sizeof *rows);
    struct prompt_setting setting;
    struct prompt_content content = { .system = s->system,
                                      .turns = turns,
                                      .n_turns = s->n_turns,
                                      .has_image = s->words != NULL,
                                      .image = s->image_key,
                                      .image_width = s->image.width,
                                      .image_height = s->image.height,
                                      .pixels = s->image.rgb,
                                      .words = s->words,
                                      .ids = s->cached,
                                      .n_ids = recall_known_ids(s),
                                      .rows = rows };
    enum status st;

    if (turns == NULL || rows == NULL) {
        st = err_no_memory(e, path);
    } else {
        for (size_t i = 0; i < s->n_turns; i++)
            turns[i] = (struct prompt_turn){ s->turns[i].question, s->turns[i].answer };
        for (int i = 0; i < n_tensors; i++) rows[i] = slot_rows(s, i);
        setting_of(&setting, s);
        st = prompt_cache_write(path, &setting, &content, e);
    }
    free(turns);
    free(rows);
    return st;
}

sphinx_status sphinx_session_save(const sphinx_session *s, const char *path, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = save(s, path, &e);

    return public_status(st, &e, error);
}

/* ---- restoring ------------------------------------------------------------------------------------------------ */

/* What a session gets anew, made before any of it is given up. */
struct fresh {
    char *system;
    struct image image;
    float *words;
};

static void fresh_free(struct fresh *f)
{
    free(f->system);
    free(f->words);
    img_free(&f->image);
}

static enum status fresh_make(struct fresh *f, const struct prompt_content *c, const struct prompt_setting *k,
                              struct err *e)
{
    size_t words_bytes = (size_t)k->n_words * (size_t)k->width * sizeof *f->words;
    enum status st;

    memset(f, 0, sizeof *f);
    f->system = strdup(c->system);
    if (f->system == NULL) return err_no_memory(e, "session");
    if (!c->has_image) return STATUS_OK;
    f->words = malloc(words_bytes);
    st = f->words != NULL ? img_init(&f->image, c->image_width, c->image_height, e)
                          : err_no_memory(e, "image words");
    if (st != STATUS_OK) return st;
    memcpy(f->words, c->words, words_bytes);
    memcpy(f->image.rgb, c->pixels, (size_t)c->image_width * (size_t)c->image_height * 3);
    return STATUS_OK;
}

static void take_rows(struct sphinx_session *s, const struct prompt_content *c)
{
    const struct tensor *keys = &s->kv.cache->k[0];
    size_t row = dtype_bytes(keys->dtype, (size_t)keys->stride);
    int64_t n_rows = c->n_ids > 0 ? (int64_t)c->n_ids + session_words(s) : 0;

    for (int i = 0; i < 2 * s->kv.cache->n_layers && n_rows > 0; i++)
        memcpy(slot_rows(s, i), c->rows[i], row * (size_t)n_rows);
    if (n_rows > 0) memcpy(s->cached, c->ids, c->n_ids * sizeof *s->cached);
    s->n_rows = n_rows;
}

/* The session becomes what the file says. Out of memory in the middle of the turns leaves it with the image and fewer turns. */
static enum status become(struct sphinx_session *s, const struct prompt_content *c,
                          const struct prompt_setting *k, struct err *e)
{
    struct fresh fresh;
    enum status st = fresh_make(&fresh, c, k, e);

    if (st != STATUS_OK) {
        fresh_free(&fresh);
        return st;
    }
    session_drop_image(s);
    if (!s->system_given) {
        free(s->system);
        s->system = fresh.system;
        fresh.system = NULL;
    }
    free(fresh.system);
    s->image = fresh.image;
    s->words = fresh.words;
    if (c->has_image) {
        s->n_words = k->n_words;
        s->square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, c->image_width, c->image_height);
        session_key_image(s, &c->image);
        s->image_cached = true;
    }
    if (s->draft != NULL && c->has_image) session_show_draft(s);
    if (!s->independent) take_rows(s, c); /* nobody knows in what portions they were computed */
    for (size_t i = 0; i < c->n_turns && st == STATUS_OK; i++)
        st = session_append(s, c->turns[i].question, c->turns[i].answer, e);
    return st;
}

static enum status restore(struct sphinx_session *s, const char *path, const void *image, size_t image_size,
                           struct err *e)
{
    struct image_settings settings = { s->image_options.apply_exif, s->without };
    struct prompt_setting setting;
    struct prompt_cache cache;
    struct digest file, key;
    enum status st;

    setting_of(&setting, s);
    st = prompt_cache_open(&cache, path, &setting, e);
    if (st != STATUS_OK) return st;
    if (image != NULL) {
        identity_file(&file, image, image_size);
        identity_image(&key, &file, &settings);
        if (!cache.content.has_image || !digest_equal(&key, &cache.content.image))
            st = err_set(e, STATUS_UNSUPPORTED, "%s: is a prompt cache about %s image", path,
                         cache.content.has_image ? "another" : "no");
    }
    if (st == STATUS_OK) st = become(s, &cache.content, &setting, e);
    prompt_cache_close(&cache);
    return st;
}

sphinx_status sphinx_session_restore(sphinx_session *s, const char *path, const void *image,
                                     size_t image_size, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = restore(s, path, image, image_size, &e);

    return public_status(st, &e, error);
}
