/* sam_load.c - see sam_load.h. */
#include "segment/sam_load.h"

#include "store/checkpoint_params.h"

#include <stdio.h>

/* What sizes may be: with these a file of a given size bounds the memory that a picture takes. */
enum {
    LAYERS_MAX = 256,
    SIZE_MAX_ALLOWED = 1 << 16,
    PATCH_MAX = 64,
    HEADS_MAX = 64,
    FFN_RATIO_MAX = 16,
    DECODER_HEADS = 8
};

enum status sam_init(struct sam *m, const struct sam_config *config, const bool *windowed, struct arena *a,
                     struct err *e)
{
    memset(m, 0, sizeof *m);
    m->config = *config;
    m->image.blocks = arena_calloc(a, (size_t)config->layers, sizeof *m->image.blocks);
    m->decoder.layers = arena_calloc(a, (size_t)config->decoder_layers, sizeof *m->decoder.layers);
    if (m->image.blocks == NULL || m->decoder.layers == NULL) return err_no_memory(e, "sam");
    for (int i = 0; i < config->layers; i++) m->image.blocks[i].windowed = windowed[i];
    return STATUS_OK;
}

void sam_params(struct sam *m, struct param_visitor *v)
{
    sam_image_params(m, v);
    sam_prompts_params(m, v);
    sam_decoder_params(m, v);
}

/* ---- sizes ------------------------------------------------------------------------------------------------- */

/* Reads shapes until one fails. */
struct shapes {
    const struct checkpoint *c;
    struct err *e;
    enum status st;
};

/* Dimension `at` of a tensor of n_dims; 1 once something has failed. */
static int size_of(struct shapes *s, const char *name, int n_dims, int at)
{
    const char *path = ckpt_path(s->c, 0);
    const struct ckpt_entry *entry;
    const struct raw_tensor *t;
    char text[SHAPE_TEXT_MAX];

    if (s->st != STATUS_OK) return 1;
    entry = ckpt_find(s->c, name);
    if (entry == NULL) {
        s->st = err_set(s->e, STATUS_NOT_FOUND, "%s: there is no %s: this is no SAM", path, name);
        return 1;
    }
    t = entry->shard[0];
    if (entry->shards == 1 && t->n_dims == n_dims && t->dim[at] >= 1 && t->dim[at] <= SIZE_MAX_ALLOWED)
        return (int)t->dim[at];
    s->st = err_set(s->e, STATUS_BAD_FORMAT,
                    "%s: %s should have %d dimensions of 1 to %d; it is %s in %d shards", path, name, n_dims,
                    (int)SIZE_MAX_ALLOWED, shape_text(text, t->dim, t->n_dims), entry->shards);
    return 1;
}

/* How many tensors of a printf-like name with a number there are. */
static int count_of(struct shapes *s, const char *before, const char *after)
{
    char name[128];
    int n = 0;

    for (;; n++) {
        snprintf(name, sizeof name, "%s%d%s", before, n, after);
        if (!ckpt_has(s->c, name)) return n;
        if (n < LAYERS_MAX) continue;
        if (s->st == STATUS_OK)
            s->st = err_set(s->e, STATUS_BAD_FORMAT, "%s: more than %d of %s*%s", ckpt_path(s->c, 0),
                            (int)LAYERS_MAX, before, after);
        return n;
    }
}

static void require(struct shapes *s, bool holds, const char *what, int found)
{
    if (holds || s->st != STATUS_OK) return;
    s->st = err_set(s->e, STATUS_BAD_FORMAT, "%s: %s, found %d", ckpt_path(s->c, 0), what, found);
}

/* A block is windowed unless its table of positions has as many rows as the whole map needs. */
static void read_blocks(struct shapes *s, struct sam_config *k, bool *windowed)
{
    int head_dim = 1;

    for (int i = 0; i < k->layers && s->st == STATUS_OK; i++) {
        char name[128];
        int places;

        snprintf(name, sizeof name, "image_encoder.blocks.%d.attn.rel_pos_h", i);
        places = size_of(s, name, 2, 0);
        head_dim = size_of(s, name, 2, 1);
        windowed[i] = places != 2 * k->grid - 1;
        if (!windowed[i]) continue;
        require(s, places % 2 == 1 && (k->window == 0 || places == 2 * k->window - 1),
                "all windows should have one size, an odd number of rows of attn.rel_pos_h", places);
        k->window = (places + 1) / 2;
    }
    k->heads = k->width / head_dim;
    require(s, k->width % head_dim == 0 && head_dim <= HEAD_DIM_MAX,
            "the image encoder's width should be a multiple of attn.rel_pos_h's columns, of at most 512",
            head_dim);
    require(s, k->heads <= HEADS_MAX, "the image encoder should have at most 64 heads", k->heads);
    require(s, k->window <= k->grid, "windows should not be larger than the map", k->window);
}

static enum status read_config(struct sam_config *k, bool *windowed, const struct checkpoint *c,
                               struct err *e)
{
    struct shapes s = { c, e, STATUS_OK };

    *k = (struct sam_config){ 0 };
    k->grid = size_of(&s, "image_encoder.pos_embed", 4, 1);
    k->width = size_of(&s, "image_encoder.pos_embed", 4, 3);
    k->patch = size_of(&s, "image_encoder.patch_embed.proj.weight", 4, 3);
    k->layers = count_of(&s, "image_encoder.blocks.", ".norm1.weight");
    k->ffn = size_of(&s, "image_encoder.blocks.0.mlp.lin1.weight", 2, 0);
    k->dim = size_of(&s, "image_encoder.neck.0.weight", 4, 0);
    k->decoder_layers = count_of(&s, "mask_decoder.transformer.layers.", ".norm1.weight");
    k->masks = size_of(&s, "mask_decoder.mask_tokens.weight", 2, 0);
    k->mask_hidden[0] = size_of(&s, "prompt_encoder.mask_downscaling.0.weight", 4, 0);
    k->mask_hidden[1] = size_of(&s, "prompt_encoder.mask_downscaling.3.weight", 4, 0);
    k->decoder_ffn = size_of(&s, "mask_decoder.transformer.layers.0.mlp.lin1.weight", 2, 0);
    k->cross_width = size_of(&s, "mask_decoder.transformer.final_attn_token_to_image.q_proj.weight", 2, 0);
    k->iou_width = size_of(&s, "mask_decoder.iou_prediction_head.layers.0.weight", 2, 0);
    require(&s, k->grid <= GRID_SIDE_MAX, "the map should have at most 128 cells a side", k->grid);
    require(&s, k->patch <= PATCH_MAX, "patches should have at most 64 pixels a side", k->patch);
    require(&s, k->ffn <= FFN_RATIO_MAX * k->width,
            "mlp.lin1 should have at most 16 times the image encoder's width in rows", k->ffn);
    require(&s, k->dim % DECODER_HEADS == 0 && k->dim <= DECODER_HEADS * HEAD_DIM_MAX,
            "the width of the embedding should be a multiple of 8, of at most 4096", k->dim);
    require(&s, k->cross_width % DECODER_HEADS == 0 && k->cross_width <= DECODER_HEADS * HEAD_DIM_MAX,
            "q_proj of final_attn_token_to_image should have a multiple of 8 rows, of at most 4096",
            k->cross_width);
    require(&s, k->masks <= SAM_MASKS_MAX, "there should be at most 16 mask tokens", k->masks);
    if (s.st == STATUS_OK) read_blocks(&s, k, windowed);
    return s.st;
}

/* ---- weights ----------------------------------------------------------------------------------------------- */

struct loader {
    struct sam_file *f;
    struct err *e;
    enum status st;
};

static void load_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct loader *l = v->user;
    struct checkpoint *c = l->f->checkpoint;
    char text[SHAPE_TEXT_MAX];

    if (l->st != STATUS_OK) return;
    if (ckpt_has(c, p->name)) {
        l->st = ckpt_param(c, p, 0, 1, &l->f->arena, slot, l->e);
    } else {
        l->st = err_set(l->e, STATUS_NOT_FOUND, "%s: there is no %s %s", ckpt_path(c, 0), p->name,
                        shape_text(text, p->dim, p->n_dims));
    }
}

static void warn_extra(const struct checkpoint *c, const struct report *report)
{
    const char *first = NULL;
    size_t extra = 0;

    for (size_t i = 0; i < ckpt_count(c); i++) {
        if (ckpt_used(c, i)) continue;
        if (extra++ == 0) first = ckpt_entry(c, i)->name;
    }
    if (extra > 0) report_warn(report, "%s: not used: %.100s (%zu in all)", ckpt_path(c, 0), first, extra);
}

enum status sam_open(struct sam_file *f, const char *path, const struct report *report, struct err *e)
{
    bool windowed[LAYERS_MAX + 1];
    struct sam_config config;
    struct loader l = { f, e, STATUS_OK };
    struct param_visitor v = { .visit = load_one, .user = &l };

    memset(f, 0, sizeof *f);
    l.st = ckpt_open(&f->checkpoint, &path, 1, report, e);
    if (l.st == STATUS_OK) l.st = read_config(&config, windowed, f->checkpoint, e);
    if (l.st == STATUS_OK) l.st = sam_init(&f->sam, &config, windowed, &f->arena, e);
    if (l.st == STATUS_OK) sam_params(&f->sam, &v);
    if (l.st != STATUS_OK) {
        sam_close(f);
        return l.st;
    }
    warn_extra(f->checkpoint, report);
    ckpt_advise(f->checkpoint, FILE_ACCESS_RUNS);
    return STATUS_OK;
}

void sam_close(struct sam_file *f)
{
    ckpt_close(f->checkpoint);
    arena_free(&f->arena);
    memset(f, 0, sizeof *f);
}
