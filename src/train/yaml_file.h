/*
 * yaml_file.h - a YAML file as nodes that know their lines, and the sentences about what is wrong with them. data_config.h and
 * train_config.h read through it.
 *
 *   c.yaml ── libyaml ── document ── keys of a mapping ── texts, numbers, choices, lists
 */
#ifndef SPHINX_TRAIN_YAML_FILE_H
#define SPHINX_TRAIN_YAML_FILE_H

#include <stddef.h>
#include <yaml.h>

#include "core/arena.h"
#include "core/status.h"

/* While it is read. Failures go to err: BAD_FORMAT with file and line. */
struct yaml_file {
    yaml_document_t document;
    const char *path;    /* for messages, and what relative paths in it are below */
    struct arena *arena; /* of what is kept */
    struct err *err;
};

/* Reads the file, or the text that stands for it, and calls `take` with its outermost node (NULL: an empty file). All is released when
 * the call returns but what take has put into the arena. */
typedef enum status (*yaml_take)(struct yaml_file *y, const yaml_node_t *root, void *user);
enum status yaml_file_read(const char *path, struct arena *a, yaml_take take, void *user, struct err *e);
enum status yaml_text_read(const char *path, const void *text, size_t size, struct arena *a, yaml_take take,
                           void *user, struct err *e);

size_t yaml_line(const yaml_node_t *node); /* from 1 */
yaml_node_t *yaml_node(struct yaml_file *y, int id);

/* NULL for what is no scalar, holds a zero byte, or means nothing: null, ~ or empty without quotes. */
const char *yaml_scalar(const yaml_node_t *node);

/* Calls `take` with each key and value of a mapping. BAD_FORMAT: a key that is no text, or is there twice. */
typedef enum status (*yaml_take_pair)(struct yaml_file *y, const char *name, const yaml_node_t *key,
                                      const yaml_node_t *value, void *user);
enum status yaml_pairs(struct yaml_file *y, const yaml_node_t *mapping, yaml_take_pair take, void *user);

/* A path that is relative begins at the folder of the file. In the arena; NULL: no memory. */
const char *yaml_path_below(struct yaml_file *y, const char *path);

/* Which of the n names `text`, the scalar `value` of `key`, is. */
enum status yaml_choice(struct yaml_file *y, const yaml_node_t *value, const char *key, const char *text,
                        const char *const *names, int n, int *which);

/* A finite number in [min, max]; false if text is none. */
bool yaml_number(const char *text, double min, double max, double *number);

#endif
