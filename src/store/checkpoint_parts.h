/*
 * checkpoint_parts.h - what the three files of checkpoint.h share: checkpoint_probe.c finds the files of a
 * path, checkpoint.c opens them and lists the names, checkpoint_tensor.c makes tensors.
 */
#ifndef SPHINX_STORE_CHECKPOINT_PARTS_H
#define SPHINX_STORE_CHECKPOINT_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/arena.h"
#include "store/checkpoint.h"
#include "store/safetensors.h"
#include "store/torch_file.h"

/* What lies at a path. For an index of safetensors the one file is the index. */
struct ckpt_probe {
    enum ckpt_format format;
    bool is_index;
    int n_files; /* one a shard */
    char **files;
};

/* Looks at names only. Memory from `arena`. */
enum status ckpt_probe(struct ckpt_probe *p, const char *path, struct arena *arena, struct err *e);

struct ckpt_file { /* one of the three is open */
    struct torch_file torch;
    struct safetensors_file safetensors;
    struct gguf_file gguf;
};

struct ckpt_shard {
    const struct raw_tensor **tensors; /* [count], sorted by name */
    size_t count;
};

/* One path of ckpt_open. */
struct ckpt_source {
    const char *path;
    bool weighted; /* the user gave a weight */
    double weight; /* 1 if not */
    enum ckpt_format format;
    struct ckpt_file *files; /* [n_files]: one a shard, or all those of an index for the one shard */
    int n_files;
    struct ckpt_shard *shards;
    int n_shards;
};

/* The tensors of one source for one name. */
struct ckpt_layer {
    int source;
    float weight; /* what it is multiplied by */
    int n_shards;
    const struct raw_tensor **shard; /* [n_shards] */
};

/* A shard's tensor in memory of our own, because ops cannot read it where it lies. */
struct ckpt_copy {
    struct ckpt_copy *next;
    const struct raw_tensor *of;
    void *data;
};

/* A tensor that was given out, with the tables and the memory behind it. */
struct ckpt_view {
    struct ckpt_view *next;
    struct ckpt_rule rule;
    int expert, rank, ranks; /* expert -1: all */
    struct tensor tensor;
    struct tensor_pieces pieces;
    void *table; /* pieces.data and pieces.stride */
    void *sum;   /* base + diffs */
};

struct ckpt_name {
    struct ckpt_entry entry;   /* entry.shard is layers[0].shard */
    struct ckpt_layer *layers; /* the value, or the parts of a mix; then the differences */
    int n_layers;
    bool mixed;   /* several parts */
    bool lacking; /* one of the parts does not have it: an error for who asks */
    bool differs; /* in some row that was mixed; guarded by the mutex */
    struct ckpt_copy *copies;
    struct ckpt_view *views;
    atomic_bool used;
};

struct checkpoint {
    struct ckpt_source *sources;
    int n_sources;
    struct ckpt_name *names; /* sorted */
    size_t n_names;
    bool mixing; /* full paths are added up instead of replacing each other */
    const struct report *report;
    pthread_mutex_t mutex; /* guards every name's copies and views */
    struct arena arena;
};

/* checkpoint_mix.c: takes the weight from "PATH:WEIGHT", unless that is the name of a file. */
enum status ckpt_mix_weight(struct ckpt_source *s, struct arena *arena, struct err *e);
/* Settles whether the sources are mixed: before names are merged, when all are open. */
enum status ckpt_mix_begin(struct checkpoint *c, const struct ckpt_options *o, struct err *e);
/* Gives every name's parts their weights. */
enum status ckpt_mix_end(struct checkpoint *c, const struct ckpt_options *o, struct err *e);
/* The error of whoever asks for a name that is lacking. */
enum status ckpt_mix_missing(const struct checkpoint *c, struct err *e);

struct ckpt_name *ckpt_name_find(const struct checkpoint *c, const char *name);
/* Frees copies and views. */
void ckpt_name_release(struct ckpt_name *n);

#endif
