/*
 * attention_map.c - where the model looked: sphinx_session_attention of sphinx.h and its picture.
 *
 *   an answer's tokens, or those of a text read as an answer
 *   ── the rows behind which they were drawn ── through the layers again, on the keys and values of the cache ── attention to the image's words
 *   ── those of patches, mean over the rows ── a grid a view ── heat.h
 */
#include "image/heat.h"
#include "model/public.h"
#include "model/step.h"

#include <stdlib.h>

struct attention_map {
    sphinx_attention public; /* first: what a user holds is the start of this */
    float weights[];
};

/* ---- looking -------------------------------------------------------------------------------------------------- */

/* Adds the attention to row i of the sequence to sum [1 + words], of the `rows` rows (at most BATCH_ROWS) from `from` on. */
static void look_again(struct sphinx_session *s, int64_t from, int64_t rows, double *sum)
{
    const struct llama *m = &s->model->network.llama;
    struct ctx *c = &s->ctx;
    int64_t words = session_words(s), columns = 1 + words;
    int32_t position[BATCH_ROWS], row[BATCH_ROWS], first[BATCH_ROWS];
    struct llama_batch b = { .T = rows, .position = position, .cache_row = row, .first = first };

    b.attention = tensor_new(c, rows, columns, false);
    if (b.attention == NULL) return;
    memset(tensor_f32(b.attention), 0, (size_t)(rows * columns) * sizeof(float));
    for (int64_t t = 0; t < rows; t++) {
        position[t] = (int32_t)(from + t);
        row[t] = (int32_t)(s->kv.first + from + t);
        first[t] = (int32_t)s->kv.first;
    }
    llama_forward(c, m, llama_embed(c, m, s->cached + from - words, rows), &b, s->kv.cache);
    for (int64_t i = 0; i < rows * columns && c->err.code == STATUS_OK; i++)
        sum[i % columns] += (double)tensor_f32(b.attention)[i];
}

static enum status look(struct sphinx_session *s, int64_t from, int64_t rows, double *sum, struct err *e)
{
    enum status st = STATUS_OK;

    for (int64_t t = 0; t < rows && st == STATUS_OK; t += BATCH_ROWS) {
        struct arena_mark scope = scope_begin(&s->ctx);
        struct ctx before = s->ctx;

        s->ctx.backend = s->model->backend;
        s->ctx.exec.precise = s->model->precise;
        look_again(s, from + t, rows - t < BATCH_ROWS ? rows - t : BATCH_ROWS, sum);
        st = s->ctx.err.code;
        if (st != STATUS_OK) err_set(e, st, "%s", s->ctx.err.text);
        s->ctx = before;
        scope_end(&s->ctx, scope);
        if (st == STATUS_OK && report_cancelled(&s->report)) st = err_set(e, STATUS_CANCELLED, "cancelled");
    }
    return st;
}

static enum status check_patches(const struct sphinx_session *s, struct err *e)
{
    int64_t side;

    if (s->asking)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the session's last question has no answer yet: it was not taken");
    if (session_words(s) == 0) return err_set(e, STATUS_BAD_ARGUMENT, "there is no image to look at");
    if (mixer_view_patches(&s->model->network.config.mixer, 0, &side) < 0)
        return err_set(e, STATUS_UNSUPPORTED,
                       "this variant has no patches: its image words are the Q-Former's");
    return STATUS_OK;
}

/* Whether the answer's tokens are the session's last, and those asked for are among them. */
static enum status check_answer(const struct sphinx_session *s, const sphinx_answer *a, size_t first,
                                size_t n, struct err *e)
{
    int64_t words = session_words(s), end;
    enum status st = check_patches(s, e);

    if (st != STATUS_OK) return st;
    if (n == 0 || first >= a->n_tokens || n > a->n_tokens - first)
        return err_set(e, STATUS_BAD_ARGUMENT, "the answer has %zu tokens, not %zu from %zu on", a->n_tokens,
                       n, first);
    end = words + (int64_t)(a->prompt_tokens + first + n) - 1; /* the last token's own row is not needed */
    if ((int64_t)a->image_tokens == words && s->n_rows >= end &&
        memcmp(s->cached + a->prompt_tokens, a->tokens, (first + n - 1) * sizeof *a->tokens) == 0)
        return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "the answer is not the session's last");
}

/* ---- the patches ---------------------------------------------------------------------------------------------- */

/* Those of sum, divided by `rows`. Where a view's grid is coarser than the others', a patch's share goes to all cells that it covers. */
static void patch_weights(const struct mixer_config *k, const double *sum, int64_t rows,
                          struct attention_map *map)
{
    const int side = map->public.side;

    for (int view = 0; view < map->public.views; view++) {
        int64_t own, first = mixer_view_patches(k, view, &own), factor = side / own;
        float *to = map->weights + view * side * side;

        for (int i = 0; i < side * side; i++) {
            int64_t patch = i / side / factor * own + i % side / factor;

            to[i] = (float)(sum[1 + first + patch] / (double)(rows * factor * factor));
        }
    }
}

/* Of the ids first .. first + n - 1 of those in the session's cache; the rows before them, from the one before the first on, are computed. */
static enum status map_make(struct sphinx_session *s, size_t first, size_t n, sphinx_attention **attention,
                            struct err *e)
{
    const struct model_config *config = &s->model->network.config;
    int views = img_views_count(config->views.layout), side = config->mixer.grid;
    double *sum = calloc((size_t)session_words(s) + 1, sizeof *sum);
    struct attention_map *map = malloc(sizeof *map + (size_t)(views * side * side) * sizeof(float));
    enum status st = map == NULL || sum == NULL ? err_no_memory(e, "an attention map") : STATUS_OK;

    if (st == STATUS_OK) st = look(s, session_words(s) + (int64_t)first - 1, (int64_t)n, sum, e);
    if (st == STATUS_OK) {
        map->public = (sphinx_attention){ views, side, map->weights };
        patch_weights(&config->mixer, sum, (int64_t)n, map);
        *attention = &map->public;
    } else {
        free(map);
    }
    free(sum);
    return st;
}

sphinx_status sphinx_session_attention(sphinx_session *s, const sphinx_answer *answer, size_t first, size_t n,
                                       sphinx_attention **attention, sphinx_error *error)
{
    struct err e = { 0 };
    enum status st = check_answer(s, answer, first, n, &e);

    *attention = NULL;
    if (st == STATUS_OK) st = map_make(s, answer->prompt_tokens + first, n, attention, &e);
    atomic_store(&s->cancel, false);
    return public_status(st, &e, error);
}

/* ---- an answer that somebody gives ---------------------------------------------------------------------------- */

/* Which of ids [n], whose text ends with the answer, write its bytes begin .. end - 1: counted from the end. */
static enum status find_tokens(const struct sphinx_session *s, const int32_t *ids, size_t n, size_t size,
                               size_t begin, size_t end, size_t *first, size_t *count, struct err *e)
{
    const struct tokenizer *t = s->model->tokenizer;
    char *text = malloc(tok_step_size_max(t) + 1);
    size_t at = size, i = n, last = n; /* id i begins at byte `at` of the answer */

    if (text == NULL) return err_no_memory(e, "an attention map");
    while (i > 1 && at > begin) {
        size_t bytes = tok_bytes(t, ids[--i], text);

        at -= bytes < at ? bytes : at; /* the first brings a space before the answer */
        if (at >= end) last = i;
    }
    free(text);
    *first = i;
    *count = last - i;
    return STATUS_OK;
}

/* The session's cache then holds the conversation with the question and the answer, but for its last id. */
static enum status read_answer(struct sphinx_session *s, const int32_t *ids, size_t n, struct err *e)
{
    struct step_part p = { .session = s, .ids = ids, .n = n, .n_logits = 1 }, *list = &p;

    do {
        step_run(&s->ctx, &list, 1);
        if (p.err.code != STATUS_OK) return err_set(e, p.err.code, "%s", p.err.text);
        if (report_cancelled(&s->report)) return err_set(e, STATUS_CANCELLED, "cancelled");
    } while (p.logits == NULL);
    return STATUS_OK;
}

static enum status attention_to(struct sphinx_session *s, const char *question, const char *answer,
                                size_t begin, size_t end, sphinx_attention **attention, struct err *e)
{
    size_t size = strlen(answer), n, dropped, first = 0, count = 0;
    char *begins;
    int32_t *ids;
    enum status st = check_patches(s, e);

    if (st != STATUS_OK) return st;
    if (begin >= end || end > size)
        return err_set(e, STATUS_BAD_ARGUMENT, "the answer has %zu bytes, not those from %zu to %zu", size,
                       begin, end);
    begins = malloc(size + 2);
    if (begins == NULL) return err_no_memory(e, "an attention map");
    begins[0] = ' '; /* as an answer begins */
    memcpy(begins + 1, answer, size + 1);
    st = session_prompt(s, question, begins, false, 0, &ids, &n, &dropped, e);
    free(begins);
    if (st != STATUS_OK) return st;
    st = find_tokens(s, ids, n, size, begin, end, &first, &count, e);
    if (st == STATUS_OK) st = read_answer(s, ids, n, e);
    if (st == STATUS_OK) st = map_make(s, first, count, attention, e);
    free(ids);
    return st;
}

sphinx_status sphinx_session_attention_to(sphinx_session *s, const char *question, const char *answer,
                                          size_t begin, size_t end, sphinx_attention **attention,
                                          sphinx_error *error)
{
    struct err e = { 0 };
    enum status st;

    *attention = NULL;
    st = attention_to(s, question, answer, begin, end, attention, &e);
    atomic_store(&s->cancel, false);
    return public_status(st, &e, error);
}

void sphinx_attention_free(sphinx_attention *attention)
{
    free(attention);
}

/* ---- the picture ---------------------------------------------------------------------------------------------- */

/* The grids of all parts as one over the whole picture, [g * side][g * side] of g * g parts. */
static float *parts_joined(const sphinx_attention *a, int g)
{
    int side = a->side;
    float *grid = malloc((size_t)(g * side) * (size_t)(g * side) * sizeof *grid);

    for (int i = 0; i < g * side * g * side && grid != NULL; i++) {
        int row = i / (g * side), column = i % (g * side), part = 1 + row / side * g + column / side;

        grid[i] = a->weights[(part * side + row % side) * side + column % side];
    }
    return grid;
}

/* *out: the image as often as there are ways to see it, side by side. */
static enum status draw(struct image *out, const struct image *im, const sphinx_attention *a, struct err *e)
{
    struct img_square square = img_square_of(IMG_TRANSFORM_PADDED_RESIZE, im->width, im->height);
    int g = a->views == 1 ? 0 : a->views == 5 ? 2 : 3, panels = g > 0 ? 2 : 1;
    float *parts = g > 0 ? parts_joined(a, g) : NULL;
    struct image panel = { 0 };
    enum status st = g > 0 && parts == NULL ? err_no_memory(e, "an attention map") : STATUS_OK;

    if (st == STATUS_OK) st = img_init(out, panels * im->width, im->height, e);
    for (int k = 0; k < panels && st == STATUS_OK; k++) {
        st = img_copy(&panel, im, e);
        if (st != STATUS_OK) break;
        img_heat(&panel, &square, k == 0 ? a->weights : parts, k == 0 ? a->side : g * a->side);
        for (int y = 0; y < im->height; y++)
            memcpy(out->rgb + ((size_t)y * (size_t)out->width + (size_t)(k * im->width)) * 3,
                   panel.rgb + (size_t)y * (size_t)im->width * 3, (size_t)im->width * 3);
        img_free(&panel);
    }
    free(parts);
    return st;
}

sphinx_status sphinx_attention_draw(const sphinx_session *s, const sphinx_attention *attention,
                                    const char *path, sphinx_error *error)
{
    struct image picture = { 0 };
    struct err e = { 0 };
    enum status st = STATUS_OK;

    if (s->image.rgb == NULL) st = err_set(&e, STATUS_BAD_ARGUMENT, "there is no image to draw on");
    if (st == STATUS_OK) st = draw(&picture, &s->image, attention, &e);
    if (st == STATUS_OK) st = img_png_write(&picture, path, &e);
    img_free(&picture);
    return public_status(st, &e, error);
}

sphinx_status sphinx_attention_png(const sphinx_image *image, const sphinx_attention *attention,
                                   unsigned char **png, size_t *size, sphinx_error *error)
{
    struct image picture = { 0 };
    struct err e = { 0 };
    enum status st = draw(&picture, &image->im, attention, &e);

    if (st == STATUS_OK) st = img_png_encode_fast(&picture, png, size, &e);
    img_free(&picture);
    return public_status(st, &e, error);
}
