/*
 * checkpoint.c - see checkpoint.h: opens the files of all paths and merges their names.
 *
 *   path -> probe -> files -> shards (sorted names, the same in each) -> names of all paths, each with layers:
 *   the value from the last full path that has it, and the differences of the diff paths after that
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/checkpoint_parts.h"
#include "store/gguf_names.h"

const char *ckpt_format_text(enum ckpt_format format)
{
    static const char *const texts[] = {
        [CKPT_CONSOLIDATED] = "consolidated",
        [CKPT_CONSOLIDATED_DIFF] = "consolidated_diff",
        [CKPT_META_ORIGINAL] = "meta_ori",
        [CKPT_SAFETENSORS] = "safetensors",
        [CKPT_GGUF] = "gguf",
        [CKPT_TORCH_FILE] = "a torch file",
    };

    return texts[format];
}

/* ---- one path ------------------------------------------------------------------------------------------ */

static enum status shard_fill(struct checkpoint *c, struct ckpt_shard *s, const struct raw_tensor *tensors,
                              size_t count, const char *path, struct err *e)
{
    s->tensors = arena_calloc(&c->arena, count, sizeof *s->tensors);
    if (s->tensors == NULL) return err_no_memory(e, path);
    for (size_t i = 0; i < count; i++) s->tensors[i] = &tensors[i];
    s->count = count;
    return STATUS_OK;
}

static enum status sources_alloc(struct checkpoint *c, struct ckpt_source *s, size_t n_files, size_t n_shards,
                                 struct err *e)
{
    s->files = arena_calloc(&c->arena, n_files, sizeof *s->files);
    s->shards = arena_calloc(&c->arena, n_shards, sizeof *s->shards);
    if (s->files == NULL || s->shards == NULL) return err_no_memory(e, s->path);
    s->n_shards = (int)n_shards;
    return STATUS_OK;
}

static int by_key(const void *key, const void *tensor)
{
    return strcmp(key, ((const struct raw_tensor *)tensor)->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct raw_tensor *)a)->name, ((const struct raw_tensor *)b)->name);
}

static int by_pointer_name(const void *a, const void *b)
{
    const struct raw_tensor *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* The tensors that the index names, each from the file it names, make one shard. */
static enum status index_fill(struct checkpoint *c, struct ckpt_source *s, const struct safetensors_index *x,
                              const char *path, struct err *e)
{
    struct ckpt_shard *shard = &s->shards[0];

    shard->tensors = arena_calloc(&c->arena, x->n_names, sizeof *shard->tensors);
    if (shard->tensors == NULL) return err_no_memory(e, path);
    for (size_t i = 0; i < x->n_names; i++) {
        const struct safetensors_file *f = &s->files[x->file_of[i]].safetensors;
        char text[SHAPE_TEXT_MAX];

        if (f->count > 0)
            shard->tensors[i] = bsearch(x->names[i], f->tensors, f->count, sizeof *f->tensors, by_key);
        if (shard->tensors[i] == NULL) {
            return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s should be in %s, but is not", path,
                           bytes_text(text, x->names[i], strlen(x->names[i])), f->path);
        }
    }
    shard->count = x->n_names;
    if (shard->count > 0) qsort(shard->tensors, shard->count, sizeof *shard->tensors, by_pointer_name);
    for (size_t i = 1; i < shard->count; i++) {
        char text[SHAPE_TEXT_MAX];
        const char *name = shard->tensors[i]->name;

        if (strcmp(shard->tensors[i - 1]->name, name) != 0) continue;
        return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s is there twice", path,
                       bytes_text(text, name, strlen(name)));
    }
    return STATUS_OK;
}

static enum status index_open(struct checkpoint *c, struct ckpt_source *s, const char *path, struct err *e)
{
    struct safetensors_index x;
    const char *base = strrchr(path, '/');
    int n_folder = base != NULL ? (int)(base + 1 - path) : 0;
    enum status st = safetensors_index_open(&x, path, e);

    if (st == STATUS_OK) st = sources_alloc(c, s, x.n_files, 1, e);
    for (size_t i = 0; i < x.n_files && st == STATUS_OK; i++) {
        char *file = arena_printf(&c->arena, "%.*s%s", n_folder, path, x.files[i]);

        st = file == NULL ? err_no_memory(e, path) : safetensors_open(&s->files[i].safetensors, file, e);
        if (st == STATUS_OK) s->n_files++;
    }
    if (st == STATUS_OK) st = index_fill(c, s, &x, path, e);
    safetensors_index_close(&x);
    return st;
}

/* Gives the tensors upstream's names. */
static enum status gguf_translate(struct gguf_file *f, struct err *e)
{
    for (size_t i = 0; i < f->count; i++) {
        struct raw_tensor *t = &f->tensors[i];
        char name[2 * GGUF_NAME_MAX];

        if (!gguf_name_to_upstream(t->name, name, sizeof name) || strcmp(name, t->name) == 0) continue;
        t->name = arena_strdup(&f->arena, name);
        if (t->name == NULL) return err_no_memory(e, f->path);
    }
    if (f->count > 0) qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++) {
        char text[SHAPE_TEXT_MAX];
        const char *name = f->tensors[i].name;

        if (strcmp(f->tensors[i - 1].name, name) != 0) continue;
        return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s is there under two names", f->path,
                       bytes_text(text, name, strlen(name)));
    }
    return STATUS_OK;
}

/* The tensors of a translated file. Where a LLaMA has no output matrix, its embeddings are that too, under both names. */
static enum status gguf_fill(struct checkpoint *c, struct ckpt_shard *s, const struct gguf_file *f,
                             struct err *e)
{
    static const char embeddings[] = "tok_embeddings.weight", output[] = "output.weight";
    const struct raw_tensor *tied = NULL;
    struct raw_tensor *twin;

    if (f->count > 0 && bsearch(output, f->tensors, f->count, sizeof *f->tensors, by_key) == NULL)
        tied = bsearch(embeddings, f->tensors, f->count, sizeof *f->tensors, by_key);
    s->tensors = arena_calloc(&c->arena, f->count + 1, sizeof *s->tensors);
    twin = arena_calloc(&c->arena, 1, sizeof *twin);
    if (s->tensors == NULL || twin == NULL) return err_no_memory(e, f->path);
    for (size_t i = 0; i < f->count; i++) s->tensors[s->count++] = &f->tensors[i];
    if (tied == NULL) return STATUS_OK;
    *twin = *tied;
    twin->name = output;
    s->tensors[s->count++] = twin;
    qsort(s->tensors, s->count, sizeof *s->tensors, by_pointer_name);
    return STATUS_OK;
}

static enum status gguf_take(struct gguf_file *f, const char *path, struct err *e)
{
    static const char key_parts[] = "split.count";
    enum status st = gguf_open(f, path, e);
    uint32_t parts = 1;

    if (st == STATUS_OK && gguf_find(f, key_parts) != NULL) st = gguf_get_u32(f, key_parts, &parts, e);
    if (st == STATUS_OK && parts > 1) {
        st = err_set(e, STATUS_UNSUPPORTED,
                     "%s: is one of %u parts of a split GGUF file: join them with llama-gguf-split --merge",
                     path, parts);
    }
    if (st == STATUS_OK) st = gguf_translate(f, e);
    if (st != STATUS_OK) gguf_close(f);
    return st;
}

/* Every shard holds all names: only then does a missing one mean the same to every rank. */
static enum status shards_agree(const struct ckpt_source *s, struct err *e)
{
    const struct ckpt_shard *first = &s->shards[0];

    for (int k = 1; k < s->n_shards; k++) {
        const struct ckpt_shard *other = &s->shards[k];

        for (size_t i = 0; i < first->count || i < other->count; i++) {
            const char *a = i < first->count ? first->tensors[i]->name : NULL;
            const char *b = i < other->count ? other->tensors[i]->name : NULL;
            int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a, b);
            char text[SHAPE_TEXT_MAX];

            if (order == 0) continue;
            return err_set(e, STATUS_BAD_FORMAT, "%s: tensor %s is in shard %d but not in shard %d", s->path,
                           bytes_text(text, order < 0 ? a : b, strlen(order < 0 ? a : b)), order < 0 ? 0 : k,
                           order < 0 ? k : 0);
        }
    }
    return STATUS_OK;
}

static enum status file_open(struct checkpoint *c, struct ckpt_source *s, const char *path, struct err *e)
{
    struct ckpt_file *f = &s->files[s->n_files];
    struct ckpt_shard *shard = &s->shards[s->n_files];
    enum status st;

    if (s->format == CKPT_SAFETENSORS) {
        st = safetensors_open(&f->safetensors, path, e);
    } else if (s->format == CKPT_GGUF) {
        st = gguf_take(&f->gguf, path, e);
    } else {
        st = torch_file_open(&f->torch, path, e);
    }
    if (st != STATUS_OK) return st;
    s->n_files++;
    if (s->format == CKPT_SAFETENSORS)
        return shard_fill(c, shard, f->safetensors.tensors, f->safetensors.count, path, e);
    if (s->format == CKPT_GGUF) return gguf_fill(c, shard, &f->gguf, e);
    return shard_fill(c, shard, f->torch.tensors, f->torch.count, path, e);
}

static enum status source_open(struct checkpoint *c, struct ckpt_source *s, const char *path, struct err *e)
{
    struct ckpt_probe probe;
    enum status st;

    s->path = arena_strdup(&c->arena, path);
    if (s->path == NULL) return err_no_memory(e, path);
    st = ckpt_mix_weight(s, &c->arena, e);
    if (st == STATUS_OK) st = ckpt_probe(&probe, s->path, &c->arena, e);
    if (st != STATUS_OK) return st;
    s->format = probe.format;
    if (probe.is_index) return index_open(c, s, probe.files[0], e);
    st = sources_alloc(c, s, (size_t)probe.n_files, (size_t)probe.n_files, e);
    for (int i = 0; i < probe.n_files && st == STATUS_OK; i++) st = file_open(c, s, probe.files[i], e);
    return st == STATUS_OK ? shards_agree(s, e) : st;
}

/* ---- all paths ----------------------------------------------------------------------------------------- */

static enum status layer_make(struct checkpoint *c, struct ckpt_layer *layer, int source, size_t i,
                              struct err *e)
{
    const struct ckpt_source *s = &c->sources[source];

    layer->source = source;
    layer->weight = (float)s->weight;
    layer->n_shards = s->n_shards;
    layer->shard = arena_calloc(&c->arena, (size_t)s->n_shards, sizeof *layer->shard);
    if (layer->shard == NULL) return err_no_memory(e, s->path);
    for (int k = 0; k < s->n_shards; k++) layer->shard[k] = s->shards[k].tensors[i];
    return STATUS_OK;
}

/* Sets (full) or adds (diff, or part of a mix) what `source` has at i to the name `to`, whose old value is `from` (NULL:
 * none). */
static enum status name_merge(struct checkpoint *c, struct ckpt_name *to, const struct ckpt_name *from,
                              int source, size_t i, struct err *e)
{
    bool keep = from != NULL && (c->sources[source].format == CKPT_CONSOLIDATED_DIFF || c->mixing);

    if (keep && dtype_info(from->layers[0].shard[0]->dtype)->block_elements > 1) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: tensor %s is quantised (%s), so what %s holds cannot be added to it: add it to "
                       "the checkpoint that it was made from, and convert the two together",
                       c->sources[from->layers[0].source].path, to->entry.name,
                       dtype_info(from->layers[0].shard[0]->dtype)->name, c->sources[source].path);
    }
    to->n_layers = keep ? from->n_layers + 1 : 1;
    to->layers = arena_calloc(&c->arena, (size_t)to->n_layers, sizeof *to->layers);
    if (to->layers == NULL) return err_no_memory(e, c->sources[source].path);
    if (keep) memcpy(to->layers, from->layers, (size_t)from->n_layers * sizeof *to->layers);
    return layer_make(c, &to->layers[to->n_layers - 1], source, i, e);
}

/* Merges a source's sorted names into the checkpoint's. */
static enum status source_merge(struct checkpoint *c, int source, struct err *e)
{
    const struct ckpt_shard *shard = &c->sources[source].shards[0];
    const struct ckpt_name *old = c->names;
    size_t n_old = c->n_names, i = 0, k = 0, n = 0;
    struct ckpt_name *names = arena_calloc(&c->arena, n_old + shard->count, sizeof *names);

    if (names == NULL) return err_no_memory(e, c->sources[source].path);
    while (i < n_old || k < shard->count) {
        int order = i == n_old          ? 1
                    : k == shard->count ? -1
                                        : strcmp(old[i].entry.name, shard->tensors[k]->name);
        struct ckpt_name *to = &names[n++];

        to->entry.name = order <= 0 ? old[i].entry.name : shard->tensors[k]->name;
        if (order < 0) {
            to->layers = old[i].layers;
            to->n_layers = old[i].n_layers;
        } else {
            enum status st = name_merge(c, to, order == 0 ? &old[i] : NULL, source, k, e);

            if (st != STATUS_OK) return st;
        }
        if (order <= 0) i++;
        if (order >= 0) k++;
    }
    c->names = names;
    c->n_names = n;
    return STATUS_OK;
}

static void entries_fill(struct checkpoint *c)
{
    for (size_t i = 0; i < c->n_names; i++) {
        struct ckpt_name *n = &c->names[i];

        n->entry.path = n->layers[0].source;
        n->entry.n_diffs = n->n_layers - 1;
        n->entry.shards = n->layers[0].n_shards;
        n->entry.shard = n->layers[0].shard;
    }
}

static enum status sources_open(struct checkpoint *c, const char *const *paths, int n_paths,
                                const struct ckpt_options *o, struct err *e)
{
    enum status st;

    c->sources = arena_calloc(&c->arena, (size_t)n_paths, sizeof *c->sources);
    if (c->sources == NULL) return err_no_memory(e, "checkpoints");
    for (int i = 0; i < n_paths; i++) {
        c->n_sources++;
        st = source_open(c, &c->sources[i], paths[i], e);
        if (st != STATUS_OK) return st;
        if (i == 0 && c->sources[i].format == CKPT_CONSOLIDATED_DIFF) {
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "%s: holds differences to another checkpoint; give that one first", paths[i]);
        }
    }
    st = ckpt_mix_begin(c, o, e);
    for (int i = 0; i < n_paths && st == STATUS_OK; i++) st = source_merge(c, i, e);
    if (st == STATUS_OK) st = ckpt_mix_end(c, o, e);
    if (st == STATUS_OK) entries_fill(c);
    return st;
}

enum status ckpt_open(struct checkpoint **c, const char *const *paths, int n_paths,
                      const struct report *report, struct err *e)
{
    return ckpt_open_mixed(c, paths, n_paths, NULL, report, e);
}

enum status ckpt_open_mixed(struct checkpoint **out, const char *const *paths, int n_paths,
                            const struct ckpt_options *options, const struct report *report, struct err *e)
{
    static const struct ckpt_options defaults;
    struct checkpoint *c = calloc(1, sizeof *c);
    enum status st;

    *out = NULL;
    assert(n_paths > 0);
    if (c == NULL || pthread_mutex_init(&c->mutex, NULL) != 0) {
        free(c);
        return err_no_memory(e, "a checkpoint");
    }
    c->report = report;
    st = sources_open(c, paths, n_paths, options != NULL ? options : &defaults, e);
    if (st != STATUS_OK) {
        ckpt_close(c);
        return st;
    }
    ckpt_advise(c, FILE_ACCESS_SCATTERED);
    *out = c;
    return STATUS_OK;
}

void ckpt_close(struct checkpoint *c)
{
    if (c == NULL) return;
    for (size_t i = 0; i < c->n_names; i++) ckpt_name_release(&c->names[i]);
    for (int i = 0; i < c->n_sources; i++) {
        for (int k = 0; k < c->sources[i].n_files; k++) {
            torch_file_close(&c->sources[i].files[k].torch);
            safetensors_close(&c->sources[i].files[k].safetensors);
            gguf_close(&c->sources[i].files[k].gguf);
        }
    }
    pthread_mutex_destroy(&c->mutex);
    arena_free(&c->arena);
    free(c);
}

void ckpt_advise(struct checkpoint *c, enum file_access access)
{
    for (int i = 0; i < c->n_sources; i++) {
        for (int k = 0; k < c->sources[i].n_files; k++) {
            file_map_advise(&c->sources[i].files[k].torch.map, access);
            file_map_advise(&c->sources[i].files[k].safetensors.map, access);
            file_map_advise(&c->sources[i].files[k].gguf.map, access);
        }
    }
}

/* ---- listing ------------------------------------------------------------------------------------------- */

int ckpt_paths(const struct checkpoint *c)
{
    return c->n_sources;
}

const char *ckpt_path(const struct checkpoint *c, int path)
{
    return c->sources[path].path;
}

enum ckpt_format ckpt_path_format(const struct checkpoint *c, int path)
{
    return c->sources[path].format;
}

const struct gguf_file *ckpt_gguf(const struct checkpoint *c, int path)
{
    return c->sources[path].format == CKPT_GGUF ? &c->sources[path].files[0].gguf : NULL;
}

int ckpt_shards(const struct checkpoint *c, int path)
{
    return c->sources[path].n_shards;
}

size_t ckpt_count(const struct checkpoint *c)
{
    return c->n_names;
}

const struct ckpt_entry *ckpt_entry(const struct checkpoint *c, size_t i)
{
    return &c->names[i].entry;
}

static int by_entry_name(const void *key, const void *name)
{
    return strcmp(key, ((const struct ckpt_name *)name)->entry.name);
}

struct ckpt_name *ckpt_name_find(const struct checkpoint *c, const char *name)
{
    return c->n_names > 0 ? bsearch(name, c->names, c->n_names, sizeof *c->names, by_entry_name) : NULL;
}

const struct ckpt_entry *ckpt_find(const struct checkpoint *c, const char *name)
{
    const struct ckpt_name *n = ckpt_name_find(c, name);

    return n != NULL ? &n->entry : NULL;
}

bool ckpt_has(const struct checkpoint *c, const char *name)
{
    return ckpt_name_find(c, name) != NULL;
}

bool ckpt_used(const struct checkpoint *c, size_t i)
{
    return atomic_load(&c->names[i].used);
}

bool ckpt_in_all(const struct checkpoint *c, const char *name)
{
    const struct ckpt_name *n = ckpt_name_find(c, name);

    return n != NULL && !n->lacking;
}

bool ckpt_differs(const struct checkpoint *c, const char *name)
{
    const struct ckpt_name *n = ckpt_name_find(c, name);

    return n != NULL && n->differs;
}

/* ---- checking ------------------------------------------------------------------------------------------ */

static enum status file_check(struct checkpoint *c, const struct zip *z, uint64_t *done, uint64_t total,
                              struct err *e)
{
    for (size_t i = 0; i < z->count; i++) {
        enum status st = zip_member_check(z, &z->members[i], e);

        if (st != STATUS_OK) return st;
        *done += z->members[i].size_packed;
        report_progress(c->report, "check", *done, total);
        if (report_cancelled(c->report)) return err_set(e, STATUS_CANCELLED, "the check was stopped");
    }
    return STATUS_OK;
}

enum status ckpt_check(struct checkpoint *c, struct err *e)
{
    uint64_t done = 0, total = 0;

    ckpt_advise(c, FILE_ACCESS_RUNS);
    for (int pass = 0; pass < 2; pass++) { /* first to know the total */
        for (int i = 0; i < c->n_sources; i++) {
            for (int k = 0; k < c->sources[i].n_files; k++) {
                const struct zip *z = &c->sources[i].files[k].torch.zip;
                enum status st = STATUS_OK;

                for (size_t m = 0; m < z->count && pass == 0; m++) total += z->members[m].size_packed;
                if (pass == 1) st = file_check(c, z, &done, total, e);
                if (st != STATUS_OK) return st;
            }
        }
    }
    return STATUS_OK;
}
