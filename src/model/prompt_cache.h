/*
 * prompt_cache.h - a conversation with its image and everything that was computed for it, as one file.
 *
 *   a cache_file.h of format "sphinx prompt cache 1":
 *     metadata   "model", "level", "precise", "kv_type": what the session must be       "without": encoders switched off
 *                "system": the system sentence      "turns": [[question, answer], ...] as JSON
 *                "image": its key, if there is one
 *     ids        [n] i32, BOS first: what the rows stand for
 *     k.000 ...  [n + image words, width] in the cache's type (blocks as bytes, where safetensors has no such type), each layer's
 *     pixels     [height, width, 3] u8, if there is an image
 *     v.000 ...  like k
 *     words      [image words, D] f32, if there is an image
 *
 * No rows are there, and no ids, when nothing was computed yet.
 */
#ifndef SPHINX_MODEL_PROMPT_CACHE_H
#define SPHINX_MODEL_PROMPT_CACHE_H

#include "core/digest.h"
#include "language/llama.h"
#include "store/safetensors.h"

/* What a session must be for a file to fit it. */
struct prompt_setting {
    struct digest model; /* identity_model */
    const char *level;   /* the backend's */
    bool precise;
    enum dtype kv_type;
    unsigned without;
    int n_layers, vocab;
    int64_t kv_width; /* elements of a row */
    int64_t context;  /* rows */
    int64_t n_words, width;
};

struct prompt_turn {
    const char *question, *answer;
};

/* What a file says; when read, all pointers lead into the file or its arena, and numbers may lie unaligned. */
struct prompt_content {
    const char *system;
    const struct prompt_turn *turns;
    size_t n_turns;
    bool has_image;
    struct digest image;
    int image_width, image_height;
    const unsigned char *pixels;
    const void *words; /* f32 */
    const void *ids;   /* i32 */
    size_t n_ids;
    const void *const *rows; /* [2 * n_layers] keys of each layer, then values; NULL if n_ids is 0 */
};

enum status prompt_cache_write(const char *path, const struct prompt_setting *s,
                               const struct prompt_content *content, struct err *e);

struct prompt_cache {
    struct safetensors_file file;
    struct arena arena;
    struct prompt_content content;
};

/* UNSUPPORTED: a prompt cache, but of another model or of other settings; the sentence says which. BAD_FORMAT: damaged, or no prompt
 * cache at all. */
enum status prompt_cache_open(struct prompt_cache *p, const char *path, const struct prompt_setting *s,
                              struct err *e);
/* The second half of that: p->file is open and p otherwise zeroed. Closes p on failure. */
enum status prompt_cache_read(struct prompt_cache *p, const struct prompt_setting *s, struct err *e);
void prompt_cache_close(struct prompt_cache *p); /* accepts a zeroed one */

#endif
