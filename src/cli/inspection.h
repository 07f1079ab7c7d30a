/*
 * inspection.h - what is in a checkpoint, as one JSON object that cmd_inspect.c prints as it is or as text:
 *
 *   llama_type, name
 *   paths        [{path, format, shards, keys}]; keys only of GGUF: [{key, kind, value}], value as text, arrays as their size
 *   config       {dim, n_layers, ..., image_size, view_size, cnn_size, views, image_words}; the last five only if it sees
 *   components   [{name, tensors, parameters, bytes, types}], in the order of the data's way, only those that are there
 *   types        [{type, tensors, bytes}], of all components together
 *   tensors      [{name, component, type, shape, shards}], only if asked for
 *   missing      [{name, shape}]           what the variant has and the checkpoint lacks
 *   misshapen    [{name, shape, problem}]  wanted shape, and a sentence that names both
 *   extra        [{name, shape}]           what the checkpoint has and nothing uses
 *   complete     true if nothing is missing or misshapen
 */
#ifndef SPHINX_CLI_INSPECTION_H
#define SPHINX_CLI_INSPECTION_H

#include <jansson.h>

#include "model/load.h"

/* Looks at every tensor's name and shape, not at its numbers. Sets n->sees. *report is the caller's to json_decref. */
enum status inspection_make(json_t **report, struct network *n, struct checkpoint *c, bool list_tensors,
                            struct err *e);

#endif
