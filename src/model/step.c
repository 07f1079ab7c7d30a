/* step.c - see step.h. */
#include "model/step.h"

#include <assert.h>

/* How many of the part's positions are in its slot: those of ids that are the same, less the last ones, whose logits are wanted. */
static int64_t held(const struct step_part *p)
{
    const struct sphinx_session *s = p->session;
    int64_t words = session_words(s), most = (int64_t)p->n - p->n_logits, same = 0;
    int64_t known = s->n_rows > words ? s->n_rows - words : s->n_rows > 0; /* ids of `cached` */

    while (same < known && same < most && s->cached[same] == p->ids[same]) same++;
    if (same == 0) return 0;
    return same == known ? s->n_rows : same + words;
}

int64_t step_missing(const struct step_part *p)
{
    return session_words(p->session) + (int64_t)p->n - held(p);
}

/* How many of p's missing positions, from p->from on, the next call computes. */
static int64_t rows_of_call(const struct step_part *p, int64_t missing)
{
    const struct sphinx_session *s = p->session;
    int64_t image_end = session_words(s) > 0 ? session_words(s) + 1 : 0, rows = missing;

    if (s->independent && p->from < image_end) rows = image_end - p->from;
    return rows <= BATCH_ROWS || rows <= s->model->chunk ? rows : s->model->chunk;
}

/* Settles what the step computes of p, and takes memory for its logits if they come out of it. */
static bool prepare(struct ctx *c, struct step_part *p)
{
    struct sphinx_session *s = p->session;
    int64_t missing = step_missing(p), vocab = s->model->network.config.llama.vocab;
    struct tensor *logits;

    assert(p->n_logits >= 1 && p->n_logits <= (int64_t)p->n);
    assert((int64_t)p->n + session_words(s) <= s->model->context);
    assert(p->n_logits == 1 || missing <= BATCH_ROWS);
    p->from = p->reused = held(p);
    p->rows = rows_of_call(p, missing);
    p->logits = NULL;
    s->n_rows = p->from;
    if (p->rows < missing) return true;
    logits = tensor_new(c, p->n_logits, vocab, false);
    if (logits == NULL) return false;
    p->logits = tensor_f32(logits);
    return true;
}

/* ---- one call of the model ----------------------------------------------------------------------------------- */

static bool has_image_rows(const struct step_part *p)
{
    return p->from <= session_words(p->session) && p->from + p->rows > 1 && session_words(p->session) > 0;
}

/* What llama_forward wants to know of the rows, and where their embeddings are: ref.part 0 is the text. */
struct layout {
    int64_t T, n_texts;
    int32_t *position, *cache_row, *first, *ids;
    struct row_ref *ref;
    struct tensor **sources;
};

static bool layout_init(struct layout *l, struct ctx *c, struct step_part *const *parts, size_t n)
{
    size_t T = 0;

    for (size_t i = 0; i < n; i++) T += (size_t)parts[i]->rows;
    *l = (struct layout){ .position = ctx_alloc(c, T, sizeof(int32_t)),
                          .cache_row = ctx_alloc(c, T, sizeof(int32_t)),
                          .first = ctx_alloc(c, T, sizeof(int32_t)),
                          .ids = ctx_alloc(c, T, sizeof(int32_t)),
                          .ref = ctx_alloc(c, T, sizeof *l->ref),
                          .sources = ctx_alloc(c, n + 1, sizeof(struct tensor *)) };
    return l->position != NULL && l->cache_row != NULL && l->first != NULL && l->ids != NULL &&
           l->ref != NULL && l->sources != NULL;
}

static void layout_add(struct layout *l, const struct step_part *p, int image)
{
    const struct sphinx_session *s = p->session;
    int64_t words = session_words(s);

    for (int64_t at = p->from; at < p->from + p->rows; at++, l->T++) {
        bool is_text = at == 0 || at > words;

        l->position[l->T] = (int32_t)at;
        l->first[l->T] = (int32_t)s->kv.first;
        l->cache_row[l->T] = (int32_t)(s->kv.first + at);
        l->ref[l->T] = is_text ? (struct row_ref){ 0, (int32_t)l->n_texts }
                               : (struct row_ref){ image, (int32_t)(at - 1) };
        if (is_text) l->ids[l->n_texts++] = p->ids[at == 0 ? 0 : at - words];
    }
}

/* The embeddings of all rows of the parts. */
static struct tensor *embeddings(struct layout *l, struct ctx *c, struct step_part *const *parts, size_t n)
{
    const struct network *net = &parts[0]->session->model->network;
    int n_images = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sphinx_session *s = parts[i]->session;

        if (has_image_rows(parts[i])) {
            struct tensor *words = ctx_alloc(c, 1, sizeof *words);

            if (words == NULL) return NULL;
            *words = tensor_matrix(DTYPE_F32, s->words, s->n_words, net->config.llama.dim);
            l->sources[++n_images] = words;
        }
        layout_add(l, parts[i], n_images);
    }
    l->sources[0] = l->n_texts > 0 ? llama_embed(c, &net->llama, l->ids, l->n_texts) : NULL;
    return n_images == 0 ? l->sources[0] : gather(c, l->sources, l->ref, l->T);
}

/* The hidden states that logits are wanted of, part after part; NULL also when none is. */
static struct tensor *wanted(struct ctx *c, struct tensor *h, struct step_part *const *parts, size_t n)
{
    struct row_ref *ref;
    int64_t count = 0, row = 0;

    for (size_t i = 0; i < n; i++) count += parts[i]->logits != NULL ? parts[i]->n_logits : 0;
    ref = ctx_alloc(c, (size_t)count, sizeof *ref);
    if (h == NULL || ref == NULL || count == 0) return NULL;
    count = 0;
    for (size_t i = 0; i < n; i++) {
        row += parts[i]->rows;
        for (int64_t j = parts[i]->n_logits; j > 0 && parts[i]->logits != NULL; j--)
            ref[count++] = (struct row_ref){ 0, (int32_t)(row - j) };
    }
    return gather(c, &h, ref, count);
}

/* Adds up what parts want of their rows' last states, h before the final norm. */
static void add_states(struct ctx *c, struct tensor *h, struct step_part *const *parts, size_t n)
{
    int64_t row = 0, D = h != NULL ? tensor_columns(h) : 0;
    struct tensor *states = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct step_part *p = parts[i];

        if (p->states != NULL && states == NULL)
            states = llama_states(c, &p->session->model->network.llama, h);
        for (int64_t r = 0; r < p->rows && p->states != NULL && states != NULL; r++) {
            const float *x = tensor_f32(states) + (row + r) * D;

            for (int64_t j = 0; j < D && p->from + r > 0; j++) p->states[j] += (double)x[j];
        }
        row += p->rows;
    }
}

static void compute(struct ctx *c, struct step_part *const *parts, size_t n)
{
    struct sphinx_model *m = parts[0]->session->model;
    struct kv_cache *cache = parts[0]->session->kv.cache;
    const float *from;
    struct layout l;
    struct tensor *h, *y;

    if (!layout_init(&l, c, parts, n)) return;
    h = embeddings(&l, c, parts, n);
    if (h == NULL) return;
    h = llama_forward(
        c, &m->network.llama, h,
        &(struct llama_batch){ .T = l.T, .position = l.position, .cache_row = l.cache_row, .first = l.first },
        cache);
    add_states(c, h, parts, n);
    y = observe(c, llama_logits(c, &m->network.llama, wanted(c, h, parts, n)), "logits");
    if (y == NULL) return;
    from = tensor_f32(y);
    for (size_t i = 0; i < n; i++) {
        size_t count = (size_t)(parts[i]->n_logits * tensor_columns(y));

        if (parts[i]->logits == NULL) continue;
        memcpy(parts[i]->logits, from, count * sizeof *from);
        from += count;
    }
}

/* Computes the parts in one call and settles what became of them. */
static void run_call(struct ctx *c, struct step_part *const *parts, size_t n)
{
    struct sphinx_model *m = parts[0]->session->model;
    struct arena_mark scope = scope_begin(c);
    struct ctx before = *c;

    c->backend = m->backend;
    c->exec.precise = m->precise;
    c->report = n == 1 ? &parts[0]->session->report : NULL;
    compute(c, parts, n);
    for (size_t i = 0; i < n; i++) {
        struct sphinx_session *s = parts[i]->session;
        int64_t end = parts[i]->from + parts[i]->rows, words = session_words(s);

        parts[i]->err = c->err;
        if (c->err.code != STATUS_OK) continue;
        memcpy(s->cached, parts[i]->ids, (size_t)(end > words ? end - words : 1) * sizeof *s->cached);
        s->n_rows = end;
    }
    *c = before;
    scope_end(c, scope);
}

/* ---- the step ------------------------------------------------------------------------------------------------ */

static bool shares(const struct step_part *a, const struct step_part *b, int64_t rows)
{
    return a->session->kv.cache == b->session->kv.cache && rows <= BATCH_ROWS;
}

void step_run(struct ctx *c, struct step_part *const *parts, size_t n)
{
    arena_reset(c->arena, (struct arena_mark){ NULL, 0, 0 });
    for (size_t i = 0; i < n; i++) {
        err_clear(&parts[i]->err);
        if (prepare(c, parts[i])) continue;
        parts[i]->err = c->err;
        parts[i]->rows = 0;
        err_clear(&c->err);
    }
    for (size_t i = 0; i < n; i++) {
        struct step_part *call[BATCH_ROWS];
        int64_t rows = parts[i]->rows;
        size_t count = 0;

        if (rows == 0) continue; /* failed, or went with an earlier one */
        call[count++] = parts[i];
        for (size_t j = i + 1; j < n; j++) {
            if (parts[j]->rows == 0 || !shares(parts[i], parts[j], rows + parts[j]->rows)) continue;
            rows += parts[j]->rows;
            call[count++] = parts[j];
        }
        run_call(c, call, count);
        for (size_t j = 0; j < count; j++) call[j]->rows = 0;
    }
}
