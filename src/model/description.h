/*
 * description.h - what a model is besides its weights, as the files of a checkpoint folder and as the keys of a GGUF file say it.
 *
 *   folder             GGUF
 *   meta.json          sphinx.llama_type   string
 *   config.json        sphinx.config       string, the file's text
 *   tokenizer.model    sphinx.tokenizer    array of u8, the file's bytes
 *                      sphinx.version      string, of the program that wrote the file: for people, nothing reads it
 *
 * A GGUF file also has the keys that other programs of its kind read: general.*, llama.* and tokenizer.ggml.*. They repeat what the
 * three say. Its architecture is `llama` where it holds the language model alone, which any of these programs runs, else `sphinx`.
 */
#ifndef SPHINX_MODEL_DESCRIPTION_H
#define SPHINX_MODEL_DESCRIPTION_H

#include "model/config.h"
#include "store/gguf_writer.h"
#include "text/tokenizer.h"

#define GGUF_KEY_ARCHITECTURE "general.architecture"
#define GGUF_KEY_VERSION      "sphinx.version"
#define GGUF_KEY_LLAMA_TYPE   "sphinx.llama_type"
#define GGUF_KEY_CONFIG       "sphinx.config"
#define GGUF_KEY_TOKENIZER    "sphinx.tokenizer"

#define GGUF_ARCHITECTURE_SPHINX "sphinx"
#define GGUF_ARCHITECTURE_LLAMA  "llama"

struct model_description {
    const struct model_config *config;
    const struct tokenizer *tokenizer; /* NULL: not known; folders only */
    const char
        *config_json; /* config.json as it was found; NULL: there was none, the sizes are the released ones */
    size_t config_size;
};

/* The text of config.json: a copy of what was found, or one for the released sizes; where the configuration has adapters or biases that the
 * text knows nothing of, with their keys. The caller frees *json. */
enum status description_config(const struct model_description *d, char **json, size_t *size, struct err *e);

/* All keys of a GGUF file whose matrices are mostly of `type`. text_only: the language model alone. */
enum status description_keys(const struct model_description *d, bool text_only, enum dtype type,
                             struct gguf_keys *keys, struct err *e);

#endif
