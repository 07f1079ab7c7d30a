/*
 * load_gguf.h - what the ecosystem's own keys of a GGUF file say of a model: the language model's sizes (llama.*) and its vocabulary
 * (tokenizer.ggml.*). Files of this program hold config.json and tokenizer.model besides (description.h) and need this not; files that
 * others made hold a language model alone.
 */
#ifndef SPHINX_MODEL_LOAD_GGUF_H
#define SPHINX_MODEL_LOAD_GGUF_H

#include "store/gguf.h"
#include "text/tokenizer.h"

/* The llama_type whose language model is like that of the file: with experts or without. Borrowed. */
enum status load_gguf_type(const struct gguf_file *f, const char **llama_type, struct err *e);

/* The sizes as the text of a config.json, malloc'ed. */
enum status load_gguf_config(const struct gguf_file *f, char **json, size_t *size, struct err *e);

/* UNSUPPORTED: the vocabulary is not SentencePiece's. */
enum status load_gguf_tokenizer(const struct gguf_file *f, struct tokenizer **t, struct err *e);

#endif
