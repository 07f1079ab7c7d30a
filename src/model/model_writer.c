/* model_writer.c - see model_writer.h. */
#include "model/model_writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/folder.h"
#include "store/safetensors.h"
#include "store/torch_writer.h"

/* One file of weights; the format says which of the three is open. */
struct out_file {
    struct torch_writer torch;
    struct safetensors_writer safetensors;
    struct gguf_writer gguf;
};

struct model_writer {
    struct model_writer_options o;
    struct written_tensor *tensors;
    size_t n_tensors, current;
    int64_t row, n_rows; /* of the current tensor: put so far, and in all */
    size_t row_bytes;
    uint64_t done, total;
    struct folder_writer folder;
    struct out_file *files; /* [shards] */
};

static bool is_gguf(enum model_format f)
{
    return f == MODEL_GGUF || f == MODEL_GGUF_LLAMA;
}

/* ---- one file ----------------------------------------------------------------------------------------------- */

static enum status file_put(struct model_writer *w, int shard, const void *data, size_t size, struct err *e)
{
    struct out_file *f = &w->files[shard];

    w->done += size;
    if (w->o.format == MODEL_TORCH) return torch_writer_put(&f->torch, data, size, e);
    if (w->o.format == MODEL_SAFETENSORS) return safetensors_writer_put(&f->safetensors, data, size, e);
    return gguf_writer_put(&f->gguf, data, size, e);
}

static enum status file_commit(struct model_writer *w, int shard, struct err *e)
{
    struct out_file *f = &w->files[shard];

    if (w->o.format == MODEL_TORCH) return torch_writer_commit(&f->torch, e);
    if (w->o.format == MODEL_SAFETENSORS) return safetensors_writer_commit(&f->safetensors, e);
    return gguf_writer_commit(&f->gguf, e);
}

static void file_abort(struct out_file *f)
{
    torch_writer_abort(&f->torch);
    safetensors_writer_abort(&f->safetensors);
    gguf_writer_abort(&f->gguf);
}

static enum status gguf_file_open(struct model_writer *w, const struct tensor_spec *specs, struct err *e)
{
    struct gguf_keys keys = { 0 };
    enum status st =
        description_keys(&w->o.description, w->o.format == MODEL_GGUF_LLAMA, w->o.type, &keys, e);

    if (st == STATUS_OK) st = gguf_writer_open(&w->files[0].gguf, w->o.path, &keys, specs, w->n_tensors, e);
    gguf_keys_free(&keys);
    return st;
}

static enum status file_open(struct model_writer *w, int shard, const struct tensor_spec *specs,
                             struct err *e)
{
    struct out_file *f = &w->files[shard];
    char name[64], *path;
    enum status st;

    if (is_gguf(w->o.format)) return gguf_file_open(w, specs, e);
    snprintf(name, sizeof name, "consolidated.%02d-of-%02d.model%s.pth", shard, w->o.shards,
             w->o.difference ? "-diff" : "");
    path = path_join(w->folder.path_temporary, w->o.format == MODEL_SAFETENSORS ? "model.safetensors" : name);
    if (path == NULL) return err_no_memory(e, w->o.path);
    st = w->o.format == MODEL_SAFETENSORS
             ? safetensors_writer_open(&f->safetensors, path, specs, w->n_tensors, NULL, 0, e)
             : torch_writer_open(&f->torch, path, specs, w->n_tensors, e);
    free(path);
    return st;
}

/* ---- the description, as files ------------------------------------------------------------------------------ */

static enum status write_text(const char *folder, const char *name, const void *data, size_t size,
                              struct err *e)
{
    struct file_writer w;
    char *path = path_join(folder, name);
    enum status st;

    if (path == NULL) return err_no_memory(e, folder);
    st = file_writer_open(&w, path, e);
    if (st == STATUS_OK) {
        st = file_writer_put(&w, data, size, e);
        if (st == STATUS_OK) st = file_writer_commit(&w, e);
        file_writer_abort(&w);
    }
    free(path);
    return st;
}

static enum status write_description(const struct model_description *d, const char *folder, struct err *e)
{
    const unsigned char *tokenizer;
    char meta[128], *config = NULL;
    enum status st;
    size_t size;

    snprintf(meta, sizeof meta, "{\"llama_type\": \"%s\"}\n", d->config->variant->llama_type);
    st = write_text(folder, "meta.json", meta, strlen(meta), e);
    if (st == STATUS_OK) st = description_config(d, &config, &size, e);
    if (st == STATUS_OK) st = write_text(folder, "config.json", config, size, e);
    if (st == STATUS_OK && d->tokenizer != NULL) {
        tokenizer = tok_file(d->tokenizer, &size);
        st = write_text(folder, "tokenizer.model", tokenizer, size, e);
    }
    free(config);
    return st;
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

/* What a shard holds of every tensor, into specs [n_tensors]. */
static enum status specs_make(struct model_writer *w, struct tensor_spec *specs, struct err *e)
{
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct written_tensor *t = &w->tensors[i];
        int axis = t->split == SPLIT_COLUMNS ? 1 : 0;
        size_t bytes;

        specs[i] = (struct tensor_spec){ .name = t->name, .dtype = t->dtype, .n_dims = t->n_dims };
        memcpy(specs[i].dim, t->dim, sizeof t->dim);
        if (t->split != SPLIT_NONE) {
            int64_t unit = t->dim[axis] / t->experts;

            if (unit % w->o.shards != 0)
                return err_set(e, STATUS_BAD_ARGUMENT, "%d shards do not divide %s, whose size is %lld",
                               w->o.shards, t->name, (long long)unit);
            specs[i].dim[axis] /= w->o.shards;
        }
        if (!shape_bytes(t->dtype, specs[i].dim, t->n_dims, &bytes))
            return err_set(e, STATUS_BAD_ARGUMENT, "%s is too large, or its rows do not fill blocks of %s",
                           t->name, dtype_info(t->dtype)->name);
        w->total += bytes * (uint64_t)w->o.shards;
    }
    return STATUS_OK;
}

static enum status check_space(const struct model_writer *w, struct err *e)
{
    uint64_t left, headers = w->total >> 6;
    enum status st = file_space_left(w->o.path, &left, e);

    if (st == STATUS_OK && left < w->total + headers) {
        st = err_set(e, STATUS_IO, "%s: %.2f GB are needed, %.2f GB are free", w->o.path,
                     (double)w->total / 1e9, (double)left / 1e9);
    }
    return st;
}

/* Moves on to tensor i. */
static void turn_to(struct model_writer *w, size_t i)
{
    const struct written_tensor *t = &w->tensors[i];
    int64_t columns = t->n_dims > 0 ? t->dim[t->n_dims - 1] : 1;

    w->current = i;
    w->row = 0;
    w->n_rows = 1;
    if (i == w->n_tensors) return;
    for (int k = 0; k + 1 < t->n_dims; k++) w->n_rows *= t->dim[k];
    w->row_bytes = dtype_bytes(t->dtype, (size_t)columns);
}

static enum status open_all(struct model_writer *w, const struct written_tensor *tensors, struct err *e)
{
    struct tensor_spec *specs = calloc(w->n_tensors + 1, sizeof *specs);
    enum status st = STATUS_OK;

    w->tensors =
        calloc(w->n_tensors + 1, sizeof *w->tensors); /* one more: turn_to looks at the one after the last */
    w->files = calloc((size_t)w->o.shards, sizeof *w->files);
    if (specs == NULL || w->tensors == NULL || w->files == NULL) st = err_no_memory(e, "list of tensors");
    if (st == STATUS_OK) {
        memcpy(w->tensors, tensors, w->n_tensors * sizeof *tensors);
        st = specs_make(w, specs, e);
    }
    if (st == STATUS_OK && !is_gguf(w->o.format)) st = folder_writer_open(&w->folder, w->o.path, e);
    if (st == STATUS_OK) st = check_space(w, e);
    if (st == STATUS_OK && !is_gguf(w->o.format))
        st = write_description(&w->o.description, w->folder.path_temporary, e);
    for (int i = 0; i < w->o.shards && st == STATUS_OK; i++) st = file_open(w, i, specs, e);
    if (st == STATUS_OK) turn_to(w, 0);
    free(specs);
    return st;
}

enum status model_writer_open(struct model_writer **out, const struct model_writer_options *o,
                              const struct written_tensor *tensors, size_t n_tensors, struct err *e)
{
    struct model_writer *w = calloc(1, sizeof *w);
    enum status st;

    assert(o->shards >= 1 && (o->shards == 1 || o->format == MODEL_TORCH));
    *out = NULL;
    if (w == NULL) return err_no_memory(e, o->path);
    w->o = *o;
    w->n_tensors = n_tensors;
    st = open_all(w, tensors, e);
    if (st != STATUS_OK) {
        model_writer_abort(w);
        return st;
    }
    *out = w;
    return STATUS_OK;
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

/* Rows that belong to one shard, or to all: how many of the next ones, and in *shard whose they are (-1: all). */
static int64_t run_length(const struct model_writer *w, int *shard)
{
    const struct written_tensor *t = &w->tensors[w->current];
    int64_t group = w->n_rows / t->experts, part = group / w->o.shards, inside = w->row % group;

    *shard = w->o.shards == 1 ? 0 : -1;
    if (w->o.shards == 1 || t->split == SPLIT_NONE || t->split == SPLIT_COLUMNS) return w->n_rows - w->row;
    *shard = (int)(inside / part);
    return part - inside % part;
}

static enum status put_columns(struct model_writer *w, const char *rows, int64_t n, struct err *e)
{
    size_t part = w->row_bytes / (size_t)w->o.shards;
    enum status st = STATUS_OK;

    for (int64_t r = 0; r < n && st == STATUS_OK; r++) {
        for (int i = 0; i < w->o.shards && st == STATUS_OK; i++)
            st = file_put(w, i, rows + (size_t)r * w->row_bytes + (size_t)i * part, part, e);
    }
    return st;
}

enum status model_writer_rows(struct model_writer *w, const void *rows, int64_t n, struct err *e)
{
    const char *data = rows;
    enum status st = STATUS_OK;

    assert(w->current < w->n_tensors && n <= w->n_rows - w->row);
    while (n > 0 && st == STATUS_OK) {
        int shard;
        int64_t run = run_length(w, &shard), now = run < n ? run : n;
        size_t bytes = (size_t)now * w->row_bytes;

        if (shard >= 0) {
            st = file_put(w, shard, data, bytes, e);
        } else if (w->tensors[w->current].split == SPLIT_COLUMNS) {
            st = put_columns(w, data, now, e);
        } else {
            for (int i = 0; i < w->o.shards && st == STATUS_OK; i++) st = file_put(w, i, data, bytes, e);
        }
        data += bytes;
        n -= now;
        w->row += now;
    }
    if (w->row == w->n_rows) turn_to(w, w->current + 1);
    return st;
}

uint64_t model_writer_total(const struct model_writer *w)
{
    return w->total;
}

uint64_t model_writer_done(const struct model_writer *w)
{
    return w->done;
}

const char *model_writer_folder(const struct model_writer *w)
{
    return w->folder.path_temporary;
}

/* ---- the end ------------------------------------------------------------------------------------------------ */

enum status model_writer_commit(struct model_writer *w, struct err *e)
{
    enum status st = STATUS_OK;

    assert(w->current == w->n_tensors);
    for (int i = 0; i < w->o.shards && st == STATUS_OK; i++) st = file_commit(w, i, e);
    if (st == STATUS_OK && !is_gguf(w->o.format)) st = folder_writer_commit(&w->folder, e);
    model_writer_abort(w);
    return st;
}

void model_writer_abort(struct model_writer *w)
{
    if (w == NULL) return;
    for (int i = 0; i < w->o.shards && w->files != NULL; i++) file_abort(&w->files[i]);
    folder_writer_abort(&w->folder);
    free(w->tensors);
    free(w->files);
    free(w);
}
