/* train_step.c - see train_step.h. */
#include "train/train_step.h"

#include "image/views.h"
#include "model/encode.h"

#include <assert.h>
#include <math.h>

/* The rows of all samples together, and what is to be said behind some of them. */
struct rows_plan {
    int64_t n_text, n_rows, n_seen, n_targets, n_shown;
    int32_t *ids;              /* [n_text] of the parts of samples that have a target, up to its last */
    struct row_ref *ref;       /* [n_rows] part 0: text, part 1 + i: the words of image i */
    int32_t *position, *first; /* [n_rows] */
    struct row_ref
        *seen; /* [n_seen] what `first` counts in: each part's rows behind those it shares; NULL: the rows */
    struct row_ref *asked; /* [n_targets] the rows behind which a target stands */
    int32_t *target;       /* [n_targets] */
    struct row_ref *patch; /* [n_shown] the rows of patches that are to say something themselves */
    int32_t *word;         /* [n_shown] */
};

struct plan_size {
    size_t text, rows, seen, shown;
    bool apart; /* a sample has several parts */
};

/* The end of the ids of [begin, end) that the targets there depend on: all before the last one. The first is never predicted. */
static size_t used_end(const struct sample *s, size_t begin, size_t end)
{
    while (end > begin + 1 && s->labels[end - 1] == 0) end--;
    return end - 1;
}

static bool has_image(const struct train_item *item)
{
    return item->planes != NULL || item->features != NULL;
}

/* A cell is what all patches in it show. start: the item's first row. */
static void plan_patches(struct rows_plan *p, const struct mixer_config *k, const struct sample *s,
                         int64_t start)
{
    for (size_t i = 0; i < s->n_shown; i++) {
        int64_t factor = k->grid / s->shown_side;
        int64_t row = s->shown[i].cell / s->shown_side * factor,
                column = s->shown[i].cell % s->shown_side * factor;

        for (int64_t j = 0; j < factor * factor; j++) {
            int64_t word = mixer_patch_word(k, row + j / factor, column + j % factor);

            p->patch[p->n_shown] = (struct row_ref){ 0, (int32_t)(start + 1 + word) };
            p->word[p->n_shown++] = s->shown[i].id;
        }
    }
}

/* Adds the ids from `begin` to before `end` of item i, a part of it; behind its id 0 stands its image of so many words. */
static void plan_ids(struct rows_plan *p, size_t i, const struct sample *s, size_t begin, size_t end,
                     int64_t words)
{
    size_t used = used_end(s, begin, end);

    for (size_t k = begin; k < used; k++) {
        p->ref[p->n_rows++] = (struct row_ref){ 0, (int32_t)p->n_text };
        p->ids[p->n_text++] = s->ids[k];
        for (int64_t w = 0; k == 0 && w < words; w++)
            p->ref[p->n_rows++] = (struct row_ref){ (int32_t)i + 1, (int32_t)w };
        if (s->labels[k + 1] == 0) continue;
        p->asked[p->n_targets] = (struct row_ref){ 0, (int32_t)(p->n_rows - 1) };
        p->target[p->n_targets++] = s->labels[k + 1];
    }
}

/* The rows from `start` on are a part, which sees them behind the `shared` rows from row `from` on. */
static void plan_sight(struct rows_plan *p, int64_t start, int64_t from, int64_t shared)
{
    int64_t first = p->seen != NULL ? p->n_seen : start;

    for (int64_t r = start; r < p->n_rows; r++) {
        p->first[r] = (int32_t)first;
        p->position[r] = (int32_t)(shared + r - start);
    }
    if (p->seen == NULL || start == p->n_rows) return;
    for (int64_t r = from; r < from + shared; r++) p->seen[p->n_seen++] = (struct row_ref){ 0, (int32_t)r };
    for (int64_t r = start; r < p->n_rows; r++) p->seen[p->n_seen++] = (struct row_ref){ 0, (int32_t)r };
}

/* Adds item i to the plan. */
static void plan_item(struct rows_plan *p, size_t i, const struct sample *s, int64_t words)
{
    int64_t from = p->n_rows;

    plan_ids(p, i, s, 0, s->n_parts > 0 ? s->part[1] : s->n, words);
    plan_sight(p, from, from, 0);
    for (size_t k = 1; k < s->n_parts; k++) {
        int64_t start = p->n_rows;

        plan_ids(p, i, s, s->part[k], s->part[k + 1], words);
        plan_sight(p, start, from, (int64_t)s->n_shared + words);
    }
}

/* Whether the samples fit the model; how much room the plan takes. */
static bool plan_measure(struct ctx *c, const struct network *n, const struct train_item *items,
                         size_t n_items, int64_t words, bool patches, struct plan_size *size)
{
    const struct mixer_config *k = &n->config.mixer;

    for (size_t i = 0; i < n_items; i++) {
        const struct sample *s = items[i].sample;
        bool shows = patches && s->n_shown > 0;
        size_t factor = shows ? (size_t)(k->grid / s->shown_side) : 0;

        assert(s->n >= 1);
        if (has_image(&items[i]) && !n->sees) {
            err_set(&c->err, STATUS_UNSUPPORTED, "a sample has an image, and the model has no encoders");
            return false;
        }
        if (shows && (k->channels == 0 || k->grid % s->shown_side != 0)) {
            err_set(
                &c->err, STATUS_UNSUPPORTED,
                "\"patches\" are for a grid of %d x %d, and the model's of %d x %d is no refinement of it",
                s->shown_side, s->shown_side, k->grid, k->grid);
            return false;
        }
        size->text += s->n;
        size->rows += s->n + (has_image(&items[i]) ? (size_t)words : 0);
        size->shown += s->n_shown * factor * factor;
        size->apart = size->apart || s->n_parts > 1;
        for (size_t j = 1; j < s->n_parts; j++) size->seen += s->n_shared + (size_t)words;
    }
    size->seen += size->rows;
    if (size->seen <= INT32_MAX) return true;
    err_set(&c->err, STATUS_UNSUPPORTED, "a micro-batch of %zu positions is too large", size->seen);
    return false;
}

static bool plan(struct ctx *c, const struct network *n, const struct train_item *items, size_t n_items,
                 bool patches, struct rows_plan *p)
{
    int64_t words = network_has(n, COMPONENT_MIXER) ? encode_words(n) : 0;
    struct plan_size size = { 0 };

    memset(p, 0, sizeof *p);
    if (!plan_measure(c, n, items, n_items, words, patches, &size)) return false;
    p->ids = ctx_alloc(c, size.text, sizeof *p->ids);
    p->ref = ctx_alloc(c, size.rows, sizeof *p->ref);
    p->position = ctx_alloc(c, size.rows, sizeof *p->position);
    p->first = ctx_alloc(c, size.rows, sizeof *p->first);
    if (size.apart) p->seen = ctx_alloc(c, size.seen, sizeof *p->seen);
    p->asked = ctx_alloc(c, size.text, sizeof *p->asked);
    p->target = ctx_alloc(c, size.text, sizeof *p->target);
    p->patch = ctx_alloc(c, size.shown + 1, sizeof *p->patch);
    p->word = ctx_alloc(c, size.shown + 1, sizeof *p->word);
    if (c->err.code != STATUS_OK) return false;
    for (size_t i = 0; i < n_items; i++) {
        int64_t start = p->n_rows;

        plan_item(p, i, items[i].sample, has_image(&items[i]) ? words : 0);
        if (patches && has_image(&items[i])) plan_patches(p, &n->config.mixer, items[i].sample, start);
    }
    return true;
}

struct gradient_search {
    bool found;
};

static void look_for_gradient(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct gradient_search *s = v->user;

    (void)p;
    if (slot != NULL && slot->grad != NULL) s->found = true;
}

bool train_encoders_learn(const struct network *n)
{
    struct network *visited = (struct network *)(uintptr_t)n; /* the visitor only reads */
    struct gradient_search s = { false };
    struct param_visitor v = { .visit = look_for_gradient, .user = &s };

    for (enum component i = 0; i < COMPONENT_MIXER; i++)
        if (network_has(n, i)) network_component_params(visited, i, &v);
    return s.found;
}

/* Images that go through the encoders together: as many as make the products large, and no more memory than a large image takes. */
static size_t images_together(const struct network *n)
{
    const int64_t pixels = 1 << 20;
    const struct img_views *v = &n->config.views;
    int64_t side = v->cnn_size > v->view_size ? v->cnn_size : v->view_size;
    int64_t one = img_views_count(v->layout) * side * side;

    return one < pixels ? (size_t)(pixels / one) : 1;
}

/* The words of the images `planes` [count] of the items `which` to their places among the sources. Encoders that are not trained leave
 * nothing on the tape. */
static void image_words(struct ctx *c, const struct network *n, const float *const *planes,
                        const size_t *which, size_t count, bool encoders, struct tensor **sources)
{
    struct features f;
    double seconds[ENCODER_COUNT];
    struct tape *tape = c->tape;
    struct tensor *words;
    bool seen;

    if (!encoders) c->tape = NULL;
    seen = encode_features_of(c, n, planes, (int64_t)count, 0, &f, seconds);
    c->tape = tape;
    words = seen ? encode_mix(c, n, &f) : NULL;
    for (size_t i = 0; words != NULL && i < count; i++) {
        int64_t each = encode_words(n);

        sources[which[i] + 1] = rows(c, words, (int64_t)i * each, each);
    }
}

/* -> [n_rows, D]: text and image words in the order of the plan. */
static struct tensor *embeddings(struct ctx *c, const struct network *n, const struct train_item *items,
                                 size_t n_items, const struct rows_plan *p)
{
    struct tensor **sources = ctx_alloc(c, n_items + 1, sizeof(struct tensor *));
    const float **planes = ctx_alloc(c, n_items, sizeof(const float *));
    size_t *which = ctx_alloc(c, n_items, sizeof *which), waiting = 0;
    bool encoders = n->sees && train_encoders_learn(n);

    if (sources == NULL || planes == NULL || which == NULL) return NULL;
    sources[0] = llama_embed(c, &n->llama, p->ids, p->n_text);
    for (size_t i = 0; i < n_items; i++) {
        bool wanted = has_image(&items[i]) && used_end(items[i].sample, 0, items[i].sample->n) > 0;

        sources[i + 1] = NULL;
        if (wanted && items[i].features != NULL) sources[i + 1] = encode_mix(c, n, items[i].features);
        if (wanted && items[i].features == NULL) {
            planes[waiting] = items[i].planes;
            which[waiting++] = i;
        }
        if (waiting > 0 && (waiting == images_together(n) || i + 1 == n_items)) {
            image_words(c, n, planes, which, waiting, encoders, sources);
            waiting = 0;
        }
        if (c->err.code != STATUS_OK) return NULL;
    }
    return gather(c, sources, p->ref, p->n_rows);
}

/* The loss of the rows `asked` of h, and its way back begun. */
static double loss_of(struct ctx *c, const struct network *n, struct tensor **h, const struct row_ref *asked,
                      const int32_t *target, int64_t count, double weight)
{
    double loss = 0;

    if (count > 0)
        loss = cross_entropy(c, llama_logits(c, &n->llama, gather(c, h, asked, count)), target, weight);
    if (c->err.code == STATUS_OK && !isfinite(loss))
        err_set(&c->err, STATUS_NUMERIC, "the loss is not a finite number");
    return loss;
}

static void forward(struct ctx *c, const struct network *n, const struct train_item *items, size_t n_items,
                    const struct rows_plan *p, double weight, double patch_weight, struct train_loss *loss)
{
    const struct llama_config *k = &n->config.llama;
    struct llama_batch batch = {
        .T = p->n_rows, .position = p->position, .first = p->first, .seen = p->seen, .n_seen = p->n_seen
    };
    struct tensor **h = ctx_alloc(c, 1, sizeof(struct tensor *));

    if (c->err.code != STATUS_OK) return;
    if (c->tape != NULL) batch.balance = weight * (double)k->balance / k->n_layers;
    *h = llama_forward(c, &n->llama, embeddings(c, n, items, n_items, p), &batch, NULL);
    loss->answers = loss_of(c, n, h, p->asked, p->target, p->n_targets, weight);
    loss->n_targets = (size_t)p->n_targets;
    loss->patches = loss_of(c, n, h, p->patch, p->word, p->n_shown, weight * patch_weight);
    loss->n_shown = (size_t)p->n_shown;
}

void train_micro_batch(struct ctx *c, const struct network *n, const struct train_item *items, size_t n_items,
                       double weight, double patch_weight, struct train_loss *loss)
{
    struct arena_mark mark = arena_mark(c->arena);
    struct tape tape = { NULL };
    struct rows_plan p;

    *loss = (struct train_loss){ 0 };
    c->tape = weight != 0 ? &tape : NULL;
    if (plan(c, n, items, n_items, patch_weight != 0, &p) && p.n_targets > 0) {
        forward(c, n, items, n_items, &p, weight, patch_weight, loss);
        if (c->tape != NULL && c->err.code == STATUS_OK) tape_backward(c);
    }
    c->tape = NULL;
    arena_reset(c->arena, mark);
}
