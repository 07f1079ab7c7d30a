/* recall.c - see recall.h. */
#include "model/recall.h"

/* Rows that are worth a copy of all before them: with fewer, computing them again takes about as long. */
enum { ROWS_WORTH_KEEPING = 32 };

static size_t words_count(const struct sphinx_session *s)
{
    return (size_t)s->n_words * (size_t)s->model->network.config.llama.dim;
}

bool recall_words(struct sphinx_session *s, const struct digest *key, float *words)
{
    sphinx_model *m = s->model;

    if (prefix_cache_take_words(&m->memory, key, words, words_count(s))) return true;
    if (m->images.directory == NULL ||
        !image_cache_load(&m->images, key, words, s->n_words, m->network.config.llama.dim, &s->report))
        return false;
    prefix_cache_put_words(&m->memory, key, words, words_count(s));
    return true;
}

void recall_keep_words(struct sphinx_session *s, const struct digest *key, const float *words)
{
    sphinx_model *m = s->model;

    prefix_cache_put_words(&m->memory, key, words, words_count(s));
    if (m->images.directory != NULL)
        image_cache_store(&m->images, key, words, s->n_words, m->network.config.llama.dim, &s->report);
}

size_t recall_known_ids(const struct sphinx_session *s)
{
    int64_t words = session_words(s);

    return s->n_rows > words ? (size_t)(s->n_rows - words) : 0;
}

/* False where rows are of an image whose key nobody knows. */
static bool prefix_of(const struct sphinx_session *s, const int32_t *ids, size_t n, struct prefix *p)
{
    bool sees = s->words != NULL;

    *p = (struct prefix){ sees ? &s->rows_key : NULL, session_words(s), ids, n };
    return !sees || s->image_keyed;
}

/* How many of the first n ids' rows a session may share with others, or with itself later: an independent one BOS and the image's
 * words, which were computed by themselves. */
static size_t shareable(const struct sphinx_session *s, size_t n)
{
    size_t most = s->words != NULL ? 1 : 0;

    return s->independent && n > most ? most : n;
}

void recall_share_image(struct sphinx_session *s)
{
    if (s->n_rows == session_words(s) + 1) recall_keep_rows(s);
}

void recall_keep_rows(struct sphinx_session *s)
{
    size_t n = shareable(s, recall_known_ids(s));
    struct prefix p;

    if (n > 0 && prefix_of(s, s->cached, n, &p))
        prefix_cache_put_rows(&s->model->memory, &p, s->kv.cache, s->kv.first);
}

void recall_rows(struct sphinx_session *s, const int32_t *ids, size_t n)
{
    size_t known = shareable(s, recall_known_ids(s)), usable = n > 0 ? shareable(s, n - 1) : 0, have = 0,
           found;
    struct prefix p;

    if (known < recall_known_ids(s)) s->n_rows = known > 0 ? session_words(s) + (int64_t)known : 0;
    while (have < known && have < usable && s->cached[have] == ids[have]) have++;
    if (known - have >= ROWS_WORTH_KEEPING) recall_keep_rows(s);
    if (usable == 0 || !prefix_of(s, ids, usable, &p)) return;
    found = prefix_cache_take_rows(&s->model->memory, &p, have, s->kv.cache, s->kv.first);
    if (found == have) return;
    memcpy(s->cached, ids, found * sizeof *ids);
    s->n_rows = prefix_rows(&p, found);
}
