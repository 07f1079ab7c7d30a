/*
 * load.h - from the paths a user names to a network with its weights and its tokenizer.
 *
 *   all paths ─ checkpoint.h ──────────────────────────┐
 *   last path ─ meta.json ─ variant ─┐                 │
 *             ─ config.json ─────────┼─ network ── load_weights ── tensors that borrow the mapped files
 *             ─ tokenizer.model ─────┘
 *
 * A GGUF file is all in one: its keys (description.h) stand for the three files.
 */
#ifndef SPHINX_MODEL_LOAD_H
#define SPHINX_MODEL_LOAD_H

#include "model/network.h"
#include "store/checkpoint.h"
#include "store/checkpoint_params.h"
#include "text/tokenizer.h"

struct load_options {
    const char *const *paths;
    int n_paths;
    const char *llama_type, *config_path, *tokenizer_path; /* NULL: found beside the weights */
    const char *const *adapters; /* [n_adapters] "FILE" or "FILE:SCALE" (adapter_file.h) */
    int n_adapters;
    int rank, ranks; /* 0 and 1: all of the model */
    const struct report *report;
};

/* What describes a model, sought from the last path of c to the first: meta.json, config.json (else Meta's params.json) and
 * tokenizer.model, beside the weights or among a GGUF file's keys. A GGUF file without such keys is described by those that
 * the ecosystem has (load_gguf.h). The options come before all of these. */
enum status load_config(struct model_config *config, struct tokenizer **t, const struct load_options *o,
                        const struct checkpoint *c, struct err *e);

/* The text of the config.json that load_config reads, and where it is, for messages; *json is NULL if there is none, and the sizes are the
 * released ones. The caller frees both. */
enum status load_config_text(char **json, size_t *size, char **name, const struct load_options *o,
                             const struct checkpoint *c, struct err *e);

/* True if c has the encoders' tensors of a variant, or some of them; else it is a language model alone. */
bool load_sees(const struct variant *variant, const struct checkpoint *c);

/* Fills in every weight of n from c. Missing and misshapen tensors are an error that names the first few and counts all; tensors of
 * the checkpoint that nothing uses are warned of. Sets n->sees to whether the encoders are there; a checkpoint with
 * only some of their tensors is an error. The weights borrow c. */
enum status load_weights(struct network *n, struct checkpoint *c, const struct load_options *o,
                         struct err *e);

/* Warns of tensors of the checkpoint that were not asked for and that no network of the variant has. */
void load_warn_extra(struct network *n, const struct checkpoint *c, const struct report *report);

/* True for a name that the variant's networks store without using (spec 02 section 3.4). */
bool load_is_unused(struct network *n, const char *name);

/* Releases before transformers 4.27 kept the query and value thirds of EVA's fused bias apart and had no key third.
 * True if `name` is such a bias, which c lacks but for whose two parts; their names go to part. */
enum { LOAD_NAME_MAX = 192 };
bool load_separate_biases(const struct checkpoint *c, const char *name, char part[2][LOAD_NAME_MAX]);
/* Such a bias whole, [query | zeros | value], as float32 in memory of `a`. */
enum status load_join_biases(struct checkpoint *c, const struct param *p, struct arena *a, struct tensor *out,
                             struct err *e);

/* The first weight that holds a value that is not finite: its name in text [size]; false if all are finite. Reads everything. */
bool load_find_not_finite(struct network *n, char *text, size_t size);

#endif
