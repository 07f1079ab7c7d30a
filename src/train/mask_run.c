/* mask_run.c - see mask_run.h. */
#include "train/mask_run.h"

#include <stdlib.h>

#include "core/folder.h"
#include "core/mix64.h"
#include "segment/sam_load.h"
#include "store/torch_writer.h"
#include "train/mask_step.h"
#include "train/order.h"
#include "train/run_state.h"

struct mask_run {
    struct sam_file file;
    struct mask_data data, validation;
    struct order order;
    struct corpus_type type; /* all pictures */
    uint64_t epoch;          /* that order is shuffled for */
};

/* ---- what learns --------------------------------------------------------------------------------------------- */

static void visit_params(void *network, struct param_visitor *v)
{
    sam_params(network, v);
}

static void digest_one(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct digest_maker *m = v->user;
    size_t columns = (size_t)tensor_columns(slot);

    digest_text(m, p->name);
    digest_number(m, slot->dtype);
    for (int i = 0; i < p->n_dims; i++) digest_number(m, p->dim[i]);
    if (slot->pieces != NULL) return;
    for (int64_t r = 0; r < tensor_rows(slot); r++)
        digest_add(m, tensor_row(slot, r, 0, (int64_t)columns, NULL), dtype_bytes(slot->dtype, columns));
}

static void take_digest(struct sam *sam, struct digest *d)
{
    struct digest_maker m;
    struct param_visitor v = { .visit = digest_one, .user = &m };

    digest_begin(&m);
    sam_params(sam, &v);
    digest_end(&m, d);
}

static enum status open_weights(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct sam *sam = &t->masks->file.sam;
    struct arena *a = &t->masks->file.arena;
    struct trainee_rule rule = { .only = c->train.item, .n_only = c->train.n };
    const char **except = arena_calloc(a, c->freeze.n + 1, sizeof *except);

    if (except == NULL) return err_no_memory(e, "a segmenter");
    except[rule.n_except++] = "*.positional_encoding_gaussian_matrix";
    for (size_t i = 0; i < c->freeze.n; i++) except[rule.n_except++] = c->freeze.item[i];
    rule.except = except;
    take_digest(sam, &t->model_digest);
    t->ctx.recompute = c->checkpointing;
    return trainees_init_params(&t->trainees, visit_params, sam, &rule, false, &t->comm, e);
}

static enum status mask_open(struct trainer *t, struct err *e)
{
    const struct train_config *c = t->config;
    struct mask_run *r = t->masks = calloc(1, sizeof *r);
    size_t batch = c->batch_size * c->accum_iter * (size_t)t->ranks.count;
    enum status st;

    if (r == NULL) return err_no_memory(e, "a segmenter");
    st = sam_open(&r->file, c->segmenter, t->listener.report, e);
    if (st == STATUS_OK) st = open_weights(t, e);
    if (st == STATUS_OK) st = mask_data_open(&r->data, c->data_config, e);
    if (st == STATUS_OK && c->validation != NULL) st = mask_data_open(&r->validation, c->validation, e);
    if (st != STATUS_OK) return st;
    r->type = (struct corpus_type){ .name = "masks", .end = r->data.n, .sees = true };
    st = order_init(&r->order, &r->type, 1, batch, c->seed, e);
    t->epoch_steps = r->order.n_steps;
    t->n_items = r->data.n;
    t->data_digest = r->data.digest;
    return st;
}

/* Pictures are read when their turn comes: there is nothing ahead of the position. */
static enum status mask_begin(struct trainer *t, struct err *e)
{
    if (t->position.epoch_step < t->epoch_steps) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "there is no step %zu in an epoch of %zu", t->position.epoch_step,
                   t->epoch_steps);
}

static void mask_close(struct trainer *t)
{
    struct mask_run *r = t->masks;

    if (r == NULL) return;
    order_free(&r->order);
    mask_data_close(&r->data);
    mask_data_close(&r->validation);
    sam_close(&r->file);
    free(r);
}

/* ---- steps --------------------------------------------------------------------------------------------------- */

static enum status context_failed(struct trainer *t, struct err *e)
{
    if (t->ctx.err.code == STATUS_OK) return STATUS_OK;
    return err_set(e, t->ctx.err.code, "step %zu: %s", t->position.step + 1, t->ctx.err.text);
}

/* Reads the picture and learns from it, or, with weight 0, measures. */
static enum status use_picture(struct trainer *t, const struct mask_picture *p, uint64_t key, double weight,
                               struct mask_result *found, double *seconds_waiting, struct err *e)
{
    struct image im = { 0 };
    struct mask_example x = { .picture = p, .image = &im, .prompts = t->config->prompts, .key = key };
    double began = clock_seconds();
    enum status st = img_read(&im, p->path, NULL, e);

    *seconds_waiting += clock_seconds() - began;
    if (st != STATUS_OK) return st;
    if (weight != 0)
        mask_learn(&t->ctx, &t->masks->file.sam, &x, weight, found);
    else
        mask_measure(&t->ctx, &t->masks->file.sam, &x, found);
    img_free(&im);
    return context_failed(t, e);
}

static enum status mask_batch(struct trainer *t, size_t k, struct step_result *r, struct err *e)
{
    const struct train_config *c = t->config;
    struct mask_run *m = t->masks;
    size_t n = c->batch_size, first;
    double weight = 1.0 / (double)(n * c->accum_iter) / t->ranks.count;
    struct mask_result found = { 0 };
    enum status st = STATUS_OK;

    if (m->epoch != t->position.epoch) order_shuffle(&m->order, &m->type, 1, t->position.epoch);
    m->epoch = t->position.epoch;
    first = m->order.chunk[t->position.epoch_step] + (k * (size_t)t->ranks.count + (size_t)t->ranks.rank) * n;
    for (size_t i = first; i < first + n && st == STATUS_OK; i++) {
        uint64_t key = mix64(mix64(mix64(c->seed) ^ m->epoch) ^ i);

        st = use_picture(t, &m->data.pictures[i], key, weight, &found, &r->seconds_waiting, e);
    }
    if (st != STATUS_OK) return st;
    r->loss += found.loss / (double)found.n / (double)c->accum_iter;
    r->n_items += n;
    r->n_targets += found.n;
    r->n_tokens += n * (size_t)m->file.sam.config.grid * (size_t)m->file.sam.config.grid;
    return STATUS_OK;
}

/* ---- validation ------------------------------------------------------------------------------------------------ */

static enum status log_result(struct trainer *t, const struct validation_result *r, struct err *e)
{
    json_t *line = json_pack("{s:I, s:{s:f, s:f, s:I, s:I}, s:f}", "step", (json_int_t)r->step, "validation",
                             "loss", r->loss, "iou", r->iou, "items", (json_int_t)r->n_items, "masks",
                             (json_int_t)r->n_masks, "seconds", r->seconds);
    enum status st;

    if (line == NULL) return err_no_memory(e, "a line of the log");
    st = journal_append(&t->log, line, e);
    json_decref(line);
    return st;
}

/* Pictures by turns of the ranks: loss and IoU of every mask from its true box. */
static enum status mask_validate(struct trainer *t, struct err *e)
{
    const struct mask_data *d = &t->masks->validation;
    size_t n = d->n < t->config->validation_items ? d->n : t->config->validation_items;
    struct mask_result found = { 0 };
    double began = clock_seconds(), waiting = 0, x[3];
    enum status st = STATUS_OK;

    for (size_t i = (size_t)t->ranks.rank; i < n && st == STATUS_OK; i += (size_t)t->ranks.count) {
        report_progress(t->listener.report, "validate", i, n);
        st = use_picture(t, &d->pictures[i], 0, 0, &found, &waiting, e);
    }
    report_progress(t->listener.report, "validate", n, n);
    st = ranks_agree(&t->ranks, st, e);
    if (st != STATUS_OK) return st;
    memcpy(x, (const double[]){ found.loss, found.iou, (double)found.n }, sizeof x);
    ranks_sum(&t->ranks, x, sizeof x / sizeof *x);
    {
        struct validation_result r = { .step = t->position.step,
                                       .loss = x[0] / x[2],
                                       .iou = x[1] / x[2],
                                       .n_masks = (size_t)x[2],
                                       .n_items = n,
                                       .seconds = clock_seconds() - began };

        if (trainer_speaks(t)) st = log_result(t, &r, e);
        st = ranks_agree(&t->ranks, st, e);
        if (t->listener.validated != NULL) t->listener.validated(t->listener.user, &r);
    }
    return st;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

struct saving {
    struct tensor_spec *specs; /* NULL: they are counted */
    const struct tensor **from;
    size_t n;
    uint64_t bytes;
    struct arena *arena;
    bool failed;
};

static void declare(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct saving *s = v->user;
    size_t i = s->n++;

    s->bytes += (uint64_t)(tensor_rows(slot) * tensor_columns(slot)) * sizeof(float);
    if (s->specs == NULL) return;
    s->specs[i] = (struct tensor_spec){ .name = arena_strdup(s->arena, p->name),
                                        .dtype = DTYPE_F32,
                                        .n_dims = p->n_dims };
    memcpy(s->specs[i].dim, p->dim, sizeof p->dim);
    s->from[i] = slot;
    if (s->specs[i].name == NULL) s->failed = true;
}

static enum status mask_bytes(struct trainer *t, uint64_t *bytes, struct err *e)
{
    struct saving s = { .specs = NULL };
    struct param_visitor v = { .visit = declare, .user = &s };

    (void)e;
    sam_params(&t->masks->file.sam, &v);
    *bytes = s.bytes + run_state_bytes(t);
    return STATUS_OK;
}

static enum status put_tensor(struct torch_writer *w, const struct tensor *x, struct arena *a, struct err *e)
{
    struct arena_mark mark = arena_mark(a);
    int64_t columns = tensor_columns(x);
    float *row = arena_alloc(a, (size_t)columns * sizeof *row);
    enum status st = row != NULL ? STATUS_OK : err_no_memory(e, "a checkpoint");

    for (int64_t r = 0; r < tensor_rows(x) && st == STATUS_OK; r++) {
        tensor_row_f32(x, r, 0, columns, row);
        st = torch_writer_put(w, row, (size_t)columns * sizeof *row, e);
    }
    arena_reset(a, mark);
    return st;
}

static enum status write_sam(struct trainer *t, const char *path, struct err *e)
{
    struct arena a = { 0 };
    struct saving s = { .arena = &a };
    struct param_visitor v = { .visit = declare, .user = &s };
    struct torch_writer w = { .left = 0 };
    enum status st = STATUS_OK;
    size_t n;

    sam_params(&t->masks->file.sam, &v);
    n = s.n;
    s = (struct saving){ .arena = &a,
                         .specs = arena_calloc(&a, n, sizeof *s.specs),
                         .from = arena_calloc(&a, n, sizeof(struct tensor *)) };
    if (s.specs == NULL || s.from == NULL) st = err_no_memory(e, "a checkpoint");
    if (st == STATUS_OK) sam_params(&t->masks->file.sam, &v);
    if (s.failed) st = err_no_memory(e, "a checkpoint");
    if (st == STATUS_OK) st = torch_writer_open(&w, path, s.specs, n, e);
    for (size_t i = 0; i < n && st == STATUS_OK; i++) st = put_tensor(&w, s.from[i], &a, e);
    if (st == STATUS_OK)
        st = torch_writer_commit(&w, e);
    else
        torch_writer_abort(&w);
    arena_free(&a);
    return st;
}

static enum status mask_write(struct trainer *t, const char *folder, struct err *e)
{
    struct folder_writer w;
    char *path;
    enum status st = folder_writer_open(&w, folder, e);

    if (st != STATUS_OK) return st;
    path = path_join(w.path_temporary, MASK_RUN_NAME);
    st = path != NULL ? write_sam(t, path, e) : err_no_memory(e, "a checkpoint");
    free(path);
    if (st == STATUS_OK) st = run_state_write(t, w.path_temporary, e);
    if (st == STATUS_OK) return folder_writer_commit(&w, e);
    folder_writer_abort(&w);
    return st;
}

const struct run_kind mask_kind = { mask_open,  mask_begin, mask_batch, mask_validate,
                                    mask_bytes, mask_write, mask_close };
