/*
 * checkpoint.h - the weights of a model, from wherever they are stored, as tensors in the shape a network
 * wants.
 *
 *   path 1 ── files ── shards ─┐                      rule: full shape, how it is split
 *   path 2 ── files ── shards ─┼─ name -> shards ─────────────┬──> struct tensor of one rank
 *   path 3 (diff) ─────────────┘   (+ differences to add)     rank r of R
 *
 * Rows below are the names of the files of a folder (NN, YY two digits); a path may also be one such file.
 *
 *   consolidated.NN-of-YY.model.pth        full weights              keys "llma.x"
 *   consolidated.NN-of-YY.model-diff.pth   to be added               keys "llma.x"
 *   consolidated.NN.pth                    Meta's original LLaMA     keys "x"
 *   model.safetensors.index.json, or one *.safetensors               keys "x" or "llma.x"
 *   one *.gguf                                                       keys as in gguf_names.h
 *
 * Names are always upstream's, without "llma.". Of several paths a later full one replaces, name by name, and a diff
 * is added, but not to quantised weights. Paths with weights, "A:0.3 B:0.7", are mixed instead (spec 10 section 12):
 *
 *   0.3 A + 0.7 B, in float32, rounded once to A's type; rows that are equal in all stay as they are, to the last bit
 *
 * All full paths have weights, which add up to 1, or none has; a diff's weight is what it is multiplied by.
 *
 * Memory: tensors borrow the mapped files wherever their layout and alignment allow. Only sums with a diff,
 * views that are no rows, misaligned data and f64 are made anew, when first asked for, only the part (or
 * shard) asked for, and kept by the checkpoint until ckpt_forget or ckpt_close. All calls but open, forget
 * and close may be made by several threads at once (a mutex guards what is made).
 */
#ifndef SPHINX_STORE_CHECKPOINT_H
#define SPHINX_STORE_CHECKPOINT_H

#include "core/file.h"
#include "core/report.h"
#include "core/status.h"
#include "store/gguf.h"
#include "store/raw_tensor.h"
#include "tensor/tensor.h"

struct checkpoint;

enum ckpt_format {
    CKPT_CONSOLIDATED,
    CKPT_CONSOLIDATED_DIFF,
    CKPT_META_ORIGINAL,
    CKPT_SAFETENSORS,
    CKPT_GGUF,
    CKPT_TORCH_FILE, /* a single .pth of another name */
};

/* How a tensor is spread over the shards of a checkpoint, and over ranks. A and R divide what is split. */
enum ckpt_split {
    CKPT_REPLICATED, /* every shard holds all of it */
    CKPT_ROWS,       /* dim 0 */
    CKPT_COLUMNS,    /* dim 1 of a matrix; of experts [E * D, F], in the file also [E, D, F] */
    CKPT_EXPERT_ROWS, /* [E * F, D], expert by expert; each shard has the same part of every expert's F rows. In the file
                         also [E, F, D] */
};

struct ckpt_rule {
    enum ckpt_split split;
    int experts;                  /* E, for CKPT_EXPERT_ROWS and where CKPT_COLUMNS holds experts */
    int n_dims;                   /* 0: a single number */
    int64_t dim[TENSOR_DIMS_MAX]; /* the full shape, before any split */
};

/* One name, for listing. All pointers are borrowed from the checkpoint. */
struct ckpt_entry {
    const char *name;
    int path;    /* index of the path whose value this is */
    int n_diffs; /* what of later paths is added to it: differences, or the other parts of a mix */
    int shards;
    const struct raw_tensor *const *shard; /* [shards]: dtype, the shard's shape */
};

/* What names that match a pattern (the shell's) are mixed with, instead of the paths' weights. */
struct ckpt_mix_rule {
    const char *pattern;
    const double *weight; /* [paths], of full ones adding up to 1; those of diffs are not read */
};

/* All borrowed until ckpt_open returns. */
struct ckpt_options {
    const struct ckpt_mix_rule *rules; /* [n_rules], the last that matches counts; needs paths with weights */
    size_t n_rules;
    bool
        allow_missing; /* a name that one of the mixed paths lacks is taken from the first that has it; else asking for it is an error */
    bool
        delta; /* of two paths without weights: the first less the second, to which a name that it lacks is 0 */
};

/* As ckpt_open below; options may be NULL. */
enum status ckpt_open_mixed(struct checkpoint **c, const char *const *paths, int n_paths,
                            const struct ckpt_options *options, const struct report *report, struct err *e);

/* Opens the paths, left to right. Reads directories of archives and headers only. An incomplete set names
 * the missing files; two families in one folder, or a diff as the first path, is an error. report (may be
 * NULL) hears warnings, is borrowed until ckpt_close, and must not call back into c. On failure *c is
 * NULL. */
enum status ckpt_open(struct checkpoint **c, const char *const *paths, int n_paths,
                      const struct report *report, struct err *e);
void ckpt_close(struct checkpoint *c); /* accepts NULL */

int ckpt_paths(const struct checkpoint *c);
const char *ckpt_path(const struct checkpoint *c, int path); /* without its weight */
enum ckpt_format ckpt_path_format(const struct checkpoint *c, int path);
const char *ckpt_format_text(enum ckpt_format format);
/* The file of a path in GGUF, for its keys; NULL for other formats. Its tensors bear upstream's names. */
const struct gguf_file *ckpt_gguf(const struct checkpoint *c, int path);
/* Shards of a path. */
int ckpt_shards(const struct checkpoint *c, int path);

/* Names in strcmp order. */
size_t ckpt_count(const struct checkpoint *c);
const struct ckpt_entry *ckpt_entry(const struct checkpoint *c, size_t i);
const struct ckpt_entry *ckpt_find(const struct checkpoint *c, const char *name); /* NULL: there is none */
bool ckpt_has(const struct checkpoint *c, const char *name);
/* True once ckpt_tensor or ckpt_expert has given entry i out: what stays false is of no use to the model. */
bool ckpt_used(const struct checkpoint *c, size_t i);

/*
 * The part of a tensor that rank `rank` of `ranks` computes with (0 and 1: the whole tensor).
 *   out: dtype as stored (f64 becomes f32), n_dims and dims those of the rule, less the split (a single number
 *   comes as [1]). One run of rows: data and stride. Otherwise pieces: axis 0 (matrices by ROWS, EXPERT_ROWS) or
 *   axis 1 (COLUMNS, and vectors by ROWS). All memory belongs to the checkpoint.
 * For EXPERT_ROWS out is [E * F / ranks, D] with the experts in order; tensor_slice_rows gives expert x as
 * rows x * F / ranks and on. Errors name the checkpoint, the tensor and both shapes. NOT_FOUND: no such name.
 * BAD_FORMAT: another shape or different dtypes in the shards. UNSUPPORTED: a size that the shards or ranks
 * do not divide, or integers. Copies of a REPLICATED tensor that differ between shards are warned of and the
 * first is taken: compared is the first row of each.
 */
enum status ckpt_tensor(struct checkpoint *c, const char *name, const struct ckpt_rule *rule, int rank,
                        int ranks, struct tensor *out, struct err *e);

/* The rank's part [F / ranks, D] of one expert of an EXPERT_ROWS tensor, or [D, F / ranks] of a COLUMNS tensor with experts; otherwise
 * as above. */
enum status ckpt_expert(struct checkpoint *c, const char *name, const struct ckpt_rule *rule, int expert,
                        int rank, int ranks, struct tensor *out, struct err *e);

/* False for a name that one of the paths of a mix lacks: asking for its tensor is an error. */
bool ckpt_in_all(const struct checkpoint *c, const char *name);
/* True if a tensor of that name was given out that is a mix of values that are not equal in all paths. */
bool ckpt_differs(const struct checkpoint *c, const char *name);

/* How the mapped files will be read next. After ckpt_open: scattered, until all tensors were found. */
void ckpt_advise(struct checkpoint *c, enum file_access access);

/* Frees what was made anew for a name: its tensors are no longer valid. The mapped pages that it lies on no longer count
 * as this process's memory. For callers that convert weights one by one. Not while another thread uses the
 * name. */
void ckpt_forget(struct checkpoint *c, const char *name);

/* Reads everything and compares each archive member's checksum (safetensors have none). Slow for large
 * files: progress "check" counts bytes. BAD_FORMAT names the first that differs. */
enum status ckpt_check(struct checkpoint *c, struct err *e);

#endif
