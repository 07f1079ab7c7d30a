/*
 * dump.h - the model's named intermediates for one image and question, as safetensors: so that any other implementation can be
 * compared with ours, number by number.
 */
#ifndef SPHINX_MODEL_DUMP_H
#define SPHINX_MODEL_DUMP_H

#include "core/status.h"
#include "sphinx.h"

struct dump_options {
    const char *image; /* path, "-", or NULL: text only */
    const char *question;
    const char *out;
    bool all; /* also every intermediate that the networks name: clip.block.0, llama.layer.0, ... */
};

/* Writes views [V,3,s,s], clip, convnext, dinov2, qformer [V,tokens,width] (those that the variant has), image_tokens [words,D],
 * prompt_ids (i64), logits [vocab]; with `all` the others as [rows, columns]. The session must be new. */
enum status dump_write(sphinx_session *s, const struct dump_options *o, struct err *e);

#endif
