/*
 * checkpoint_probe.c - which files make up the checkpoint at a path (see checkpoint.h for their names).
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "store/checkpoint_parts.h"

enum { SHARDS_MAX = 100 }; /* two digits */

static const char suffix_safetensors[] = ".safetensors";
static const char suffix_index[] = ".safetensors.index.json";
static const char suffix_gguf[] = ".gguf";

/* The files of one family in a folder. */
struct family {
    int count;             /* files seen */
    int of;                /* YY of the names, the same in all */
    int other_of;          /* another YY that was seen, -1: none */
    bool here[SHARDS_MAX]; /* NN */
};

struct folder {
    struct family families[CKPT_META_ORIGINAL + 1];
    int n_safetensors, n_indices, n_gguf;
    char *safetensors, *index, *gguf; /* the last seen of each */
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n > m && strcmp(text + n - m, suffix) == 0;
}

static bool two_digits(const char *p, int *value)
{
    if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1])) return false;
    *value = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

/* Splits a name into family, NN and YY (-1 where the name has none). False: not one of the three. */
static bool shard_parse(const char *name, enum ckpt_format *format, int *number, int *of)
{
    static const char start[] = "consolidated.";
    const size_t n = sizeof start - 1;

    if (strncmp(name, start, n) != 0 || !two_digits(name + n, number)) return false;
    name += n + 2;
    *of = -1;
    *format = CKPT_META_ORIGINAL;
    if (strcmp(name, ".pth") == 0) return true;
    if (strncmp(name, "-of-", 4) != 0 || !two_digits(name + 4, of)) return false;
    name += 6;
    *format = CKPT_CONSOLIDATED;
    if (strcmp(name, ".model.pth") == 0) return true;
    *format = CKPT_CONSOLIDATED_DIFF;
    return strcmp(name, ".model-diff.pth") == 0;
}

static char *shard_name(struct arena *arena, enum ckpt_format format, int number, int of)
{
    switch (format) {
    case CKPT_CONSOLIDATED: return arena_printf(arena, "consolidated.%02d-of-%02d.model.pth", number, of);
    case CKPT_CONSOLIDATED_DIFF:
        return arena_printf(arena, "consolidated.%02d-of-%02d.model-diff.pth", number, of);
    default: return arena_printf(arena, "consolidated.%02d.pth", number);
    }
}

static enum status single_note(int *count, char **last, const char *name, struct arena *arena, struct err *e)
{
    ++*count;
    *last = arena_strdup(arena, name);
    return *last != NULL ? STATUS_OK : err_no_memory(e, name);
}

static enum status folder_note(struct folder *f, const char *name, struct arena *arena, struct err *e)
{
    enum ckpt_format format;
    int number, of;

    if (shard_parse(name, &format, &number, &of)) {
        struct family *family = &f->families[format];

        if (family->count == 0) {
            family->of = of;
            family->other_of = -1;
        }
        if (family->of != of) family->other_of = of;
        family->count++;
        family->here[number] = true;
    } else if (ends_with(name, suffix_index)) {
        return single_note(&f->n_indices, &f->index, name, arena, e);
    } else if (ends_with(name, suffix_safetensors)) {
        return single_note(&f->n_safetensors, &f->safetensors, name, arena, e);
    } else if (ends_with(name, suffix_gguf)) {
        return single_note(&f->n_gguf, &f->gguf, name, arena, e);
    }
    return STATUS_OK;
}

static enum status folder_read(struct folder *f, const char *path, struct arena *arena, struct err *e)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    enum status st = STATUS_OK;

    if (d == NULL) return err_set(e, STATUS_IO, "%s: cannot list the folder", path);
    while (st == STATUS_OK && (entry = readdir(d)) != NULL) st = folder_note(f, entry->d_name, arena, e);
    closedir(d);
    return st;
}

/* The names of the shards that are not there, as one list. */
static enum status shards_missing(const char *path, enum ckpt_format format, const struct family *family,
                                  int of, struct arena *arena, struct err *e)
{
    char text[512] = "";
    size_t n = 0;
    int n_missing = 0;

    for (int i = 0; i < of; i++) {
        const char *name = family->here[i] ? NULL : shard_name(arena, format, i, of);

        n_missing += !family->here[i];
        if (name == NULL || n >= sizeof text - 64) continue;
        n += (size_t)snprintf(text + n, sizeof text - n, n > 0 ? ", %s" : "%s", name);
    }
    return err_set(e, STATUS_NOT_FOUND, "%s: %d of %d shards are missing: %s", path, n_missing, of, text);
}

static enum status file_add(struct ckpt_probe *p, const char *folder, const char *name, struct arena *arena,
                            struct err *e)
{
    size_t n = strlen(folder);

    if (name != NULL) {
        p->files[p->n_files] =
            arena_printf(arena, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
    }
    if (name == NULL || p->files[p->n_files++] == NULL) return err_no_memory(e, folder);
    return STATUS_OK;
}

static enum status shards_take(struct ckpt_probe *p, const char *path, const struct family *family,
                               struct arena *arena, struct err *e)
{
    int of = family->of >= 0 ? family->of : family->count;
    enum status st = STATUS_OK;

    if (family->other_of >= 0) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: holds shards of %d and shards of %d; keep each set in its own folder", path,
                       family->of, family->other_of);
    }
    for (int i = 0; i < of; i++) {
        if (!family->here[i]) return shards_missing(path, p->format, family, of, arena, e);
    }
    if (of == 0 || family->count != of) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: %d files are numbered as shards of %d", path, family->count,
                       of);
    }
    p->files = arena_calloc(arena, (size_t)of, sizeof *p->files);
    if (p->files == NULL) return err_no_memory(e, path);
    for (int i = 0; i < of && st == STATUS_OK; i++) {
        st = file_add(p, path, shard_name(arena, p->format, i, of), arena, e);
    }
    return st;
}

/* The one kind of checkpoint that a folder holds; none at all or two are errors. */
static enum status folder_kind(const struct folder *f, const char *path, enum ckpt_format *kind,
                               struct err *e)
{
    int kinds = 0;

    for (int i = 0; i <= CKPT_GGUF; i++) {
        int files = i <= CKPT_META_ORIGINAL ? f->families[i].count
                    : i == CKPT_SAFETENSORS ? f->n_safetensors + f->n_indices
                                            : f->n_gguf;

        if (files == 0) continue;
        if (kinds++ > 0) {
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: holds two kinds of checkpoint, %s and %s; keep each in its own folder", path,
                           ckpt_format_text(*kind), ckpt_format_text((enum ckpt_format)i));
        }
        *kind = (enum ckpt_format)i;
    }
    if (kinds > 0) return STATUS_OK;
    return err_set(e, STATUS_NOT_FOUND,
                   "%s: holds no weights; wanted consolidated.NN-of-MM.model.pth, consolidated.NN.pth, "
                   "*.safetensors or *.gguf",
                   path);
}

static enum status folder_probe(struct ckpt_probe *p, const char *path, struct arena *arena, struct err *e)
{
    struct folder f = { .index = NULL };
    enum status st = folder_read(&f, path, arena, e);

    if (st == STATUS_OK) st = folder_kind(&f, path, &p->format, e);
    if (st != STATUS_OK) return st;
    if (p->format <= CKPT_META_ORIGINAL) return shards_take(p, path, &f.families[p->format], arena, e);
    if (f.n_indices > 1 || (f.n_indices == 0 && f.n_safetensors > 1)) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: holds %d safetensors files and %d indices; which belong together?", path,
                       f.n_safetensors, f.n_indices);
    }
    if (f.n_gguf > 1)
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: holds %d GGUF files; name the one to use", path,
                       f.n_gguf);
    p->is_index = f.n_indices == 1;
    p->files = arena_calloc(arena, 1, sizeof *p->files);
    if (p->files == NULL) return err_no_memory(e, path);
    return file_add(p, path,
                    p->format == CKPT_GGUF ? f.gguf
                    : p->is_index          ? f.index
                                           : f.safetensors,
                    arena, e);
}

/* Some programs keep GGUF files under names without an ending. */
static bool begins_as_gguf(const char *path)
{
    char start[GGUF_MAGIC_BYTES];
    FILE *f = fopen(path, "rb");
    bool yes = f != NULL && fread(start, 1, sizeof start, f) == sizeof start &&
               memcmp(start, GGUF_MAGIC, sizeof start) == 0;

    if (f != NULL) fclose(f);
    return yes;
}

/* A single file must not be one of several shards: its tensors would be slices. */
static enum status file_probe(struct ckpt_probe *p, const char *path, struct arena *arena, struct err *e)
{
    const char *base = path_base(path);
    int number = 0, of = 1;

    p->is_index = ends_with(base, suffix_index);
    p->format = CKPT_TORCH_FILE;
    if (p->is_index || ends_with(base, suffix_safetensors)) {
        p->format = CKPT_SAFETENSORS;
    } else if (ends_with(base, suffix_gguf) || begins_as_gguf(path)) {
        p->format = CKPT_GGUF;
    } else if (shard_parse(base, &p->format, &number, &of)) {
        if (of < 0) {
            char *sibling = arena_printf(arena, "%.*sconsolidated.01.pth", (int)(base - path), path);

            if (sibling == NULL) return err_no_memory(e, path);
            of = file_exists(sibling) ? 2 : 1;
        }
        if (number != 0 || of != 1) {
            return err_set(e, STATUS_BAD_ARGUMENT,
                           "%s: is one of several shards; give the folder that holds them all", path);
        }
    }
    p->files = arena_calloc(arena, 1, sizeof *p->files);
    if (p->files != NULL) p->files[p->n_files++] = arena_strdup(arena, path);
    return p->files != NULL && p->files[0] != NULL ? STATUS_OK : err_no_memory(e, path);
}

enum status ckpt_probe(struct ckpt_probe *p, const char *path, struct arena *arena, struct err *e)
{
    memset(p, 0, sizeof *p);
    if (!file_exists(path)) return err_set(e, STATUS_NOT_FOUND, "%s: no such file or folder", path);
    return file_is_directory(path) ? folder_probe(p, path, arena, e) : file_probe(p, path, arena, e);
}
