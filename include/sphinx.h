/*
 * sphinx.h - SPHINX, the multimodal language model, as a library. The only header that users need.
 *
 *     sphinx_model *model;  sphinx_session *session;  sphinx_answer *answer;  sphinx_error error = { 0 };
 *     const char *path = "models/SPHINX-v2-1k";
 *
 *     sphinx_model_open(&model, &path, 1, NULL, &error);
 *     sphinx_session_open(&session, model, NULL, &error);
 *     sphinx_session_image_file(session, "cat.jpg", &error);
 *     sphinx_ask(session, "What's in the image?", NULL, &answer, &error);
 *     puts(answer->text);
 *     sphinx_answer_free(answer);  sphinx_session_close(session);  sphinx_model_close(model);
 *
 * Every function that can fail returns a status and, unless `error` is NULL, one sentence that names what was wrong. The
 * library prints nothing, never exits, and keeps no global state. A model is read-only once open: any number of sessions, each
 * used by one thread at a time, share it. A session is a conversation about at most one image. Strings are UTF-8.
 */
#ifndef SPHINX_H
#define SPHINX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPHINX_API __attribute__((visibility("default")))
#else
#define SPHINX_API
#endif

#define SPHINX_VERSION "0.1.0"

/* The library's version, equal to SPHINX_VERSION where header and library match. */
SPHINX_API const char *sphinx_version(void);

/* ---- errors ------------------------------------------------------------------------------------------------ */

typedef enum sphinx_status {
    SPHINX_OK,
    SPHINX_NO_MEMORY,
    SPHINX_IO,           /* the system refused to read or write */
    SPHINX_NOT_FOUND,    /* no such file or tensor */
    SPHINX_BAD_FORMAT,   /* a file is damaged or is not what it should be */
    SPHINX_BAD_ARGUMENT, /* an argument is out of range; also a prompt longer than the context */
    SPHINX_UNSUPPORTED,  /* valid, but not for this model, build or processor */
    SPHINX_CANCELLED,    /* sphinx_session_cancel, or a callback said so */
    SPHINX_NUMERIC,      /* the model computed something that is not a number */
} sphinx_status;

typedef struct sphinx_error {
    sphinx_status code;
    char text[1024]; /* one sentence, no newline; empty when code is SPHINX_OK */
} sphinx_error;

/* ---- what long work tells, all optional -------------------------------------------------------------------- */

typedef struct sphinx_report {
    /* done of total of a stage: "load", "clip", "convnext", "dinov2", "qformer", "prefill", "sam". Units are the stage's own. */
    void (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    /* One sentence about something odd that was survived: unknown keys, unused tensors, dropped turns. */
    void (*warn)(void *user, const char *text);
    void *user;
} sphinx_report;

/* ---- models ------------------------------------------------------------------------------------------------ */

typedef struct sphinx_model sphinx_model;

/* Zero means the default throughout. */
typedef struct sphinx_model_options {
    const char
        *llama_type; /* variant, where meta.json is missing or wrong: "llama_ens", "llama_ens5_light", ... */
    const char *config_path;    /* instead of config.json of the last path */
    const char *tokenizer_path; /* instead of tokenizer.model of the last path */
    const char *cpu; /* instruction level: "auto", "portable", "avx2", "avx512", "avx512vnni", "amx" */
    int threads;     /* of each session; 0: one per processor */
    int context;     /* positions, image words included; 0: 4096 */
    int chunk; /* positions of a prompt that are computed at once, 33 or more: others in a batch wait for no more; 0: 2048 */
    /* Adapters that are put on the model, "FILE.safetensors" or "FILE.safetensors:0.5": [n_adapters]. */
    const char *const *adapters;
    int n_adapters;
    bool precise;         /* never round activations or keys and values to 16 bits */
    bool clip_exact_gelu; /* CLIP with GELU, not QuickGELU: upstream's default path, not what was trained */
    const char *image_cache;    /* folder that keeps images' features between runs; NULL: none */
    uint64_t image_cache_bytes; /* what all its files may take; 0: 4 GiB */
    /* Memory for what sessions leave behind, keys and values of prompts and images' features, for sessions that begin alike;
     * 0: an eighth of the machine's memory, at most 1 GiB; -1: none. */
    int64_t prefix_cache_bytes;
    sphinx_report report;
} sphinx_model_options;

/* Opens the checkpoints at `paths` (directories in upstream's layout or of safetensors, or .gguf files), left to right: a later one
 * replaces or, a diff, is added. Weights are mapped, not read: opening takes well under a second. options may be NULL. */
SPHINX_API sphinx_status sphinx_model_open(sphinx_model **model, const char *const *paths, int n_paths,
                                           const sphinx_model_options *options, sphinx_error *error);
/* After all its sessions. NULL is allowed. */
SPHINX_API void sphinx_model_close(sphinx_model *model);

typedef struct sphinx_model_info {
    const char *llama_type, *name; /* "llama_ens5", "SPHINX-1k" */
    const char *cpu;               /* the instruction level in use */
    bool sees;                     /* has encoders: images may be given */
    int image_size, views, image_words;
    int context, vocab, width, layers;
    int threads; /* of each session, unless its options say otherwise */
    uint64_t parameters;
    double seconds_load;
} sphinx_model_info;

/* Pointers are borrowed from the model. */
SPHINX_API void sphinx_model_get_info(const sphinx_model *model, sphinx_model_info *info);

/* Tells models apart by the content of their weights and their sizes: hexadecimal, in hex [65]. Takes some 10 ms. */
SPHINX_API void sphinx_model_identity(const sphinx_model *model, char *hex);

/* Token ids of a text, begin-of-sentence first if `bos`; *ids is released with sphinx_free. */
SPHINX_API sphinx_status sphinx_tokenize(const sphinx_model *model, const char *text, size_t size, bool bos,
                                         int32_t **ids, size_t *n_ids, sphinx_error *error);
/* And back; *text ends in NUL, which *size (may be NULL) does not count, and is released with sphinx_free. */
SPHINX_API sphinx_status sphinx_detokenize(const sphinx_model *model, const int32_t *ids, size_t n_ids,
                                           char **text, size_t *size, sphinx_error *error);
/* The bytes that one token stands for in the middle of a text, with the space it begins with: those of some tokens are a part of a character.
 * Control tokens have none. Ends and is released as above. */
SPHINX_API sphinx_status sphinx_token_text(const sphinx_model *model, int32_t id, char **text, size_t *size,
                                           sphinx_error *error);
SPHINX_API void sphinx_free(void *p);

/* ---- sessions ---------------------------------------------------------------------------------------------- */

typedef struct sphinx_session sphinx_session;

enum { SPHINX_CLIP = 1, SPHINX_CONVNEXT = 2, SPHINX_DINOV2 = 4, SPHINX_QFORMER = 8, SPHINX_VIEW = 16 };

typedef struct sphinx_session_options {
    /* What is switched off, as a sum of the above: features of these encoders are zero, and of view i, SPHINX_VIEW << i: 0 is the whole
     * picture, then come its parts row by row. */
    unsigned without;
    bool apply_exif;    /* turn photographs as their EXIF says; upstream does not */
    size_t pixels_max;  /* largest image; 0: 64 Mi pixels */
    int threads;        /* 0: the model's */
    const char *system; /* instead of upstream's system sentence */
    const char *
        kv_type; /* key/value cache: "f32", "f16", "bf16", "q8_0"; NULL: f32 if precise or the weights are, else f16 */
    /* A smaller model with the same vocabulary that guesses ahead: the answers are the same, only sooner. It looks at the image too, if it
     * has encoders. Closed after the session. NULL: none. */
    sphinx_model *draft;
    /* An answer depends on the image, the dialogue and the options alone, to the last bit, whatever was asked before or beside it: of earlier
     * work only the image's own rows of the key/value cache are used, and these are always computed by themselves. Without it more is used again,
     * and last bits may differ. */
    bool independent;
    sphinx_report report;
} sphinx_session_options;

SPHINX_API sphinx_status sphinx_session_open(sphinx_session **session, sphinx_model *model,
                                             const sphinx_session_options *options, sphinx_error *error);
SPHINX_API void sphinx_session_close(sphinx_session *session); /* NULL is allowed */

/* Sets the image, encodes it, and starts the conversation anew: a dialogue belongs to one image. "-" is standard input.
 * On failure the session is as it was. */
SPHINX_API sphinx_status sphinx_session_image_file(sphinx_session *session, const char *path,
                                                   sphinx_error *error);
/* The same for a file in memory; `name` stands for it in messages. */
SPHINX_API sphinx_status sphinx_session_image_memory(sphinx_session *session, const void *data, size_t size,
                                                     const char *name, sphinx_error *error);
/* The same in two halves, of which the first needs no model and may run in any thread: an image is decoded once, ahead of time, and any
 * number of sessions look at it. options: apply_exif and pixels_max count, and must be those of the sessions; may be NULL. */
typedef struct sphinx_image sphinx_image;
SPHINX_API sphinx_status sphinx_image_open(sphinx_image **image, const void *data, size_t size,
                                           const char *name, const sphinx_session_options *options,
                                           sphinx_error *error);
SPHINX_API void sphinx_image_close(sphinx_image *image); /* NULL is allowed */
SPHINX_API void sphinx_image_size(const sphinx_image *image, int *width, int *height);
SPHINX_API sphinx_status sphinx_session_image(sphinx_session *session, const sphinx_image *image,
                                              sphinx_error *error);
SPHINX_API bool sphinx_session_has_image(const sphinx_session *session);
/* Takes the image away and starts anew. */
SPHINX_API void sphinx_session_image_clear(sphinx_session *session);

/* The conversation: how many turns; one of them (borrowed until the next change); drop the last; drop all; append one that took
 * place elsewhere. The image stays. */
SPHINX_API size_t sphinx_session_turns(const sphinx_session *session);
SPHINX_API bool sphinx_session_turn(const sphinx_session *session, size_t i, const char **question,
                                    const char **answer);
SPHINX_API bool sphinx_session_undo(sphinx_session *session);
SPHINX_API void sphinx_session_clear(sphinx_session *session);
SPHINX_API sphinx_status sphinx_session_append(sphinx_session *session, const char *question,
                                               const char *answer, sphinx_error *error);
/* Another system sentence, NULL: upstream's. Image and conversation stay. */
SPHINX_API sphinx_status sphinx_session_system(sphinx_session *session, const char *system,
                                               sphinx_error *error);

/* Writes the session to a file, which is replaced whole or not at all: image, conversation, system sentence, and the keys and values that
 * were computed (for 13B 0.8 MB a position in f16), so that a session that is restored computes none of it again. */
SPHINX_API sphinx_status sphinx_session_save(const sphinx_session *session, const char *path,
                                             sphinx_error *error);
/* Makes the session what it was when it was saved; one that was opened with a system sentence keeps its own. `image` [image_size], unless
 * NULL, is the image file that the conversation is to be about. SPHINX_UNSUPPORTED: saved with another model, image, instruction
 * level, key/value type or set of encoders, or too long for the context. SPHINX_BAD_FORMAT: damaged, or not saved by the
 * above. On failure, but for lack of memory, the session is as it was. */
SPHINX_API sphinx_status sphinx_session_restore(sphinx_session *session, const char *path, const void *image,
                                                size_t image_size, sphinx_error *error);

/* Stops the work that the session is doing: encoding an image, or answering from the question to the returned or taken answer. When it does
 * none, the next work stops as it begins. It never reaches from one piece of work into the next: one that comes too late to be
 * noticed ends with the work that it was meant for. May be called from any thread and from a signal handler. */
SPHINX_API void sphinx_session_cancel(sphinx_session *session);

/* ---- questions --------------------------------------------------------------------------------------------- */

/* What the next token might be, and the natural logarithm of its probability under the model. */
typedef struct sphinx_candidate {
    int32_t id;
    float logprob;
} sphinx_candidate;

enum { SPHINX_TOP_MAX = 20 };

typedef struct sphinx_ask_options {
    int max_tokens;          /* of the answer; -1: as many as the context holds */
    float temperature;       /* 0: greedy */
    float top_p;             /* 1: off */
    int top_k;               /* 0: off */
    float min_p;             /* 0: off */
    float repeat_penalty;    /* 1: off */
    int repeat_last_n;       /* ids that the penalty looks back at; -1: all */
    uint64_t seed;           /* same seed, same answer, for any number of threads */
    const char *const *stop; /* [n_stop] texts that end the answer besides "\n###" */
    size_t n_stop;
    bool ignore_eos; /* goes on to max_tokens: for measurements */
    bool
        raw; /* the question is the whole prompt, behind BOS and the image, and its end is no more than that: no template, no dialogue, no stop at "\n###" */
    /* What the answer begins with, put in the model's mouth right behind "### Assistant:": " The answer is". Not in the answer's text. NULL:
     * nothing. */
    const char *answer_prefix;
    /* What the answer must look like, whatever the model would rather say; copied before the call returns. Either a grammar in llama.cpp's
     * notation (GBNF), whose rule "root" is the whole answer, or "boxes" or "points": coordinates as SPHINX writes them. The space that the answer begins
     * with is not part of it. The answer ends when the grammar says that it may (SPHINX_FINISH_STOP), or unfinished at max_tokens or at a text of
     * `stop`. One that cannot be followed is BAD_ARGUMENT before anything is computed. Does not go together with ignore_eos. NULL: nothing is ruled out. */
    const char *grammar;
    /* Or a JSON schema that the answer, one line of JSON, is to follow: {"type":"object"} for any object. What cannot be kept to, minimum, maximum and
     * pattern among it, is BAD_ARGUMENT with the keyword's name, not passed over. Not together with grammar. NULL: none. */
    const char *json_schema;
    /* Guessing ahead, which changes no answer: several tokens are checked in one step. */
    int lookup;        /* tokens at a time that the prompt and the answer so far suggest, 0 to 16; 0: off */
    int draft_max;     /* tokens at a time that the session's draft model suggests, 0 to 16 */
    int draft_min;     /* fewer than this are not checked */
    float draft_p_min; /* the draft model goes on while its tokens are at least so probable to it */
    /* Called with each piece of text as it is settled (never half a character), not NUL-terminated. Nonzero stops the
     * answer, which then ends with SPHINX_FINISH_CANCELLED. */
    int (*piece)(void *user, const char *text, size_t size);
    /* Called with each token as it is drawn, before the text that it settles, and with the n_top likeliest ones in its place, best first. NULL:
     * nobody wants to know. */
    void (*token)(void *user, const sphinx_candidate *token, const sphinx_candidate *top, int n_top);
    int n_top; /* 0 to SPHINX_TOP_MAX */
    void *user;
} sphinx_ask_options;

/* 512 tokens, temperature 0.1, top_p 0.75, seed 0, nothing else on: upstream's demo. */
SPHINX_API sphinx_ask_options sphinx_ask_options_default(void);

typedef enum sphinx_finish {
    SPHINX_FINISH_STOP,
    SPHINX_FINISH_LENGTH,
    SPHINX_FINISH_CANCELLED
} sphinx_finish;

/* The bytes begin <= i < end of a text. */
typedef struct sphinx_span {
    size_t begin, end;
} sphinx_span;

/* Coordinates in pixels of the original image, clamped to it; `square` as the model wrote them, fractions of the square that the
 * image was padded to. confidence is the probability of the tokens that spell the coordinates, 0..1. */
typedef struct sphinx_box {
    const char *label; /* the phrase it belongs to; "" if none */
    double box[4];     /* x1, y1, x2, y2 */
    double square[4];
    double confidence;
    int color; /* 0..4 red, blue, green, purple, orange: as upstream's demo hands them out */
} sphinx_box;

typedef struct sphinx_point {
    const char *label;
    double point[2]; /* x, y */
    double square[2];
    double confidence;
    int color;
    int person; /* which of several people this joint belongs to, from 0; -1: not a joint */
} sphinx_point;

/* A phrase with what it points at, or a bare list of coordinates. */
typedef struct sphinx_region {
    const char *label;
    sphinx_span text; /* in the answer's text: from its <p>, or bracket, to behind the closing bracket */
    int color;
    size_t box_first, n_boxes, point_first, n_points; /* in the answer's lists */
} sphinx_region;

typedef struct sphinx_timing {
    const char *
        stage; /* "load", "encode", "clip", "convnext", "dinov2", "qformer", "image_cache", "prefill", "decode" */
    double seconds;
} sphinx_timing;

/* Read-only; everything belongs to the answer. */
typedef struct sphinx_answer {
    const char *text;
    const int32_t *tokens; /* [n_tokens] generated ids, the stop text's included, end-of-sentence not */
    const float *logprobs; /* [n_tokens] natural logarithms of their probabilities under the model */
    /* [n_tokens] what each gave of the text; tokens that make one character together share it, and of the stop text's it is empty. */
    const sphinx_span *spans;
    size_t n_tokens;
    size_t prompt_tokens; /* text ids of the prompt, begin-of-sentence included */
    size_t image_tokens;  /* image words before them */
    size_t cached_tokens; /* of both: those that an earlier turn, or another session, had computed */
    bool image_cached;    /* the image's features came from a cache, not from the encoders */
    size_t drafted_tokens, accepted_tokens; /* guessed ahead; of those, right */
    size_t dropped_turns;                   /* oldest turns left out because the context is full */
    sphinx_finish finish;
    const sphinx_box *boxes; /* in reading order */
    size_t n_boxes;
    const sphinx_point *points;
    size_t n_points;
    const sphinx_region *regions; /* of the boxes and points, in reading order */
    size_t n_regions;
    size_t malformed; /* bracketed lists of numbers that are neither boxes nor points */
    const sphinx_timing *timings;
    size_t n_timings;
} sphinx_answer;

/* Asks the next question of the conversation, which may be empty where there is an image. options may be NULL. A cancelled answer is an answer (what there is of it, status OK) once
 * its first token is out; before that SPHINX_CANCELLED, and the conversation is as it was, as after any failure. */
SPHINX_API sphinx_status sphinx_ask(sphinx_session *session, const char *question,
                                    const sphinx_ask_options *options, sphinx_answer **answer,
                                    sphinx_error *error);
SPHINX_API void sphinx_answer_free(sphinx_answer *answer); /* NULL is allowed */

/* ---- how well a text is foreseen ----------------------------------------------------------------------------- */

typedef struct sphinx_score {
    size_t tokens;  /* that were foreseen: all but the begin-of-sentence of each window */
    size_t windows; /* the text is cut into stretches that fill the context, each foreseen for itself */
    size_t right;   /* tokens that were the likeliest */
    double
        logprob; /* sum of the natural logarithms of their probabilities: perplexity = exp(-logprob / tokens) */
    double seconds;
} sphinx_score;

/* Of every token of a text (UTF-8), how probable it was behind all before it and the session's image, if it has one. The conversation is not
 * read, and stays. `window`: positions of a stretch, image words included; 0: the context. Progress is told as "score". */
SPHINX_API sphinx_status sphinx_session_score(sphinx_session *session, const char *text, size_t size,
                                              int window, sphinx_score *score, sphinx_error *error);

/* What a text, behind the session's image if it has one, is like, as [width] floats of length 1: the mean of the language model's last states over
 * all positions but BOS; cosines tell how alike two are. The text may be empty where there is an image. The conversation is not read, and stays.
 * *tokens: positions that were computed. */
SPHINX_API sphinx_status sphinx_session_embed(sphinx_session *session, const char *text, size_t size,
                                              float *vector, size_t *tokens, sphinx_error *error);

/* ---- many questions at once --------------------------------------------------------------------------------- */

/*
 * Questions of several sessions of one model, answered together: each step reads the weights once for all of them.
 *
 *     sphinx_batch_open(&batch, model, NULL, &error);
 *     sphinx_batch_add(batch, session, "What's in the image?", &options, &error);         any number, at any time
 *     while (sphinx_batch_step(batch)) {
 *         while (sphinx_batch_take(batch, &session, &answer, &error)) ...                 whoever is finished leaves
 *     }
 *
 * Every answer is, to the last bit, the one that sphinx_ask would have given with the same part of the prompt in the caches; one that
 * fails or is cancelled does not disturb the others. One thread uses a batch, and meanwhile nothing else uses its sessions, except that sphinx_session_cancel may be called from
 * any thread.
 */
typedef struct sphinx_batch sphinx_batch;

/* threads: of each step; 0: the model's. */
SPHINX_API sphinx_status sphinx_batch_open(sphinx_batch **batch, sphinx_model *model, int threads,
                                           sphinx_error *error);
/* Gives up what is not finished: those conversations are as they were. NULL is allowed. */
SPHINX_API void sphinx_batch_close(sphinx_batch *batch);

/* A question joins; options are as for sphinx_ask (stop texts are copied, `user` is not). BAD_ARGUMENT for a session of another model, or
 * whose last answer was not taken yet. */
SPHINX_API sphinx_status sphinx_batch_add(sphinx_batch *batch, sphinx_session *session, const char *question,
                                          const sphinx_ask_options *options, sphinx_error *error);

/* One step: a token (or, with guessing, several) for each that is answering, and for one whose prompt is long the next `chunk` of it. How many
 * are in the batch, finished ones not yet taken included: 0 when there is nothing to do any more. */
SPHINX_API size_t sphinx_batch_step(sphinx_batch *batch);

/* Takes out one that is finished, in the order of joining; false when none is. *answer is NULL and *error says why when it failed;
 * error may be NULL. */
SPHINX_API bool sphinx_batch_take(sphinx_batch *batch, sphinx_session **session, sphinx_answer **answer,
                                  sphinx_error *error);

/* Asks n sessions of one model n questions, all different sessions, and waits for all answers. options [n] may be NULL. answers [n] are
 * released one by one, NULL where errors [n] (may be NULL) says why. Returns the first failure. */
SPHINX_API sphinx_status sphinx_ask_many(sphinx_session *const *sessions, const char *const *questions,
                                         const sphinx_ask_options *options, size_t n, sphinx_answer **answers,
                                         sphinx_error *errors);

/* The answer as one JSON object (see the manual); released with sphinx_free. NULL when out of memory. */
SPHINX_API char *sphinx_answer_json(const sphinx_answer *answer);

/* Draws the answer's boxes, points and skeletons on the session's image and writes a PNG, with the phrases beside them if `labels`.
 * BAD_ARGUMENT when the session has no image. */
SPHINX_API sphinx_status sphinx_answer_draw(const sphinx_session *session, const sphinx_answer *answer,
                                            const char *path, bool labels, sphinx_error *error);

/* The same of an image that no session need hold, as a PNG file in memory, which is released with sphinx_free. */
SPHINX_API sphinx_status sphinx_answer_png(const sphinx_image *image, const sphinx_answer *answer,
                                           bool labels, unsigned char **png, size_t *size,
                                           sphinx_error *error);

/* What a text that somebody else wrote points at, as if it were the answer to a question about the image: without tokens, so that all
 * confidences are 0. */
SPHINX_API sphinx_status sphinx_answer_read(sphinx_answer **answer, const sphinx_image *image,
                                            const char *text, sphinx_error *error);

/* ---- where the model looked ---------------------------------------------------------------------------------- */

/* How much of its attention the model gave each patch of the image, the mean over tokens, layers and heads: all weights together are below 1, the rest
 * went to words. Read-only. */
typedef struct sphinx_attention {
    int views,
        side; /* the whole picture, then its parts row by row, if the model sees these, too; each a grid of side * side */
    const float *weights; /* [views][side][side] */
} sphinx_attention;

/* As it wrote the n tokens of the answer from `first` on, n >= 1. BAD_ARGUMENT: that answer is not the session's last, or there is no image.
 * UNSUPPORTED: the variant has no patches. Costs about as much as writing the tokens again; the session stays as it is. */
SPHINX_API sphinx_status sphinx_session_attention(sphinx_session *session, const sphinx_answer *answer,
                                                  size_t first, size_t n, sphinx_attention **attention,
                                                  sphinx_error *error);
/* As it would write the bytes begin .. end - 1 of `answer`, were that its answer to `question` in the session's conversation, which stays as it is. Costs the reading
 * of what of that is not in the cache yet. BAD_ARGUMENT: no such bytes, or there is no image. */
SPHINX_API sphinx_status sphinx_session_attention_to(sphinx_session *session, const char *question,
                                                     const char *answer, size_t begin, size_t end,
                                                     sphinx_attention **attention, sphinx_error *error);
SPHINX_API void sphinx_attention_free(sphinx_attention *attention); /* NULL is allowed */

/* The session's image, glowing where the model looked, as a PNG; with parts, beside it the same as seen in the parts. */
SPHINX_API sphinx_status sphinx_attention_draw(const sphinx_session *session,
                                               const sphinx_attention *attention, const char *path,
                                               sphinx_error *error);
/* The same of an image that no session need hold, as a PNG file in memory, which is released with sphinx_free. */
SPHINX_API sphinx_status sphinx_attention_png(const sphinx_image *image, const sphinx_attention *attention,
                                              unsigned char **png, size_t *size, sphinx_error *error);

/* ---- masks ------------------------------------------------------------------------------------------------- */

/*
 * What is meant by a box or by points of an image, cut out by Segment Anything, whose weights are a file of their own:
 *
 *     sphinx_segmenter_open(&segmenter, "sam_vit_b_01ec64.pth", NULL, &error);         maps the file: a moment
 *     sphinx_segmenter_image(segmenter, image, &error);                                seconds; again, nothing
 *     sphinx_segmenter_mask(segmenter, &prompt, &mask, &error);                        much less; as many as wanted
 *     sphinx_mask_free(mask);  sphinx_segmenter_close(segmenter);
 *
 * It knows nothing of models and sessions. One thread at a time uses a segmenter.
 */
typedef struct sphinx_segmenter sphinx_segmenter;

typedef struct sphinx_segmenter_options {
    const char *cpu;      /* as for models */
    int threads;          /* 0: one per processor */
    int images;           /* whose embeddings are kept, 4 MB each with the published sizes; 0: 8 */
    bool precise;         /* never round activations to 16 or 8 bits */
    sphinx_report report; /* stage "sam" */
} sphinx_segmenter_options;

/* Opens the weights: .pth as they are published, or .safetensors or .gguf with their names. options may be NULL. */
SPHINX_API sphinx_status sphinx_segmenter_open(sphinx_segmenter **segmenter, const char *path,
                                               const sphinx_segmenter_options *options, sphinx_error *error);
SPHINX_API void sphinx_segmenter_close(sphinx_segmenter *segmenter); /* NULL is allowed */

/* Looks at an image, which the prompts from now on are about. It may be closed afterwards. On failure there is none. */
SPHINX_API sphinx_status sphinx_segmenter_image(sphinx_segmenter *segmenter, const sphinx_image *image,
                                                sphinx_error *error);

/* In pixels of the image. */
typedef struct sphinx_mask_point {
    double x, y;
    bool background; /* what is meant is not here */
} sphinx_mask_point;

/* One thing: that in a box, that at points, or both. */
typedef struct sphinx_mask_prompt {
    const double *box;               /* x1, y1, x2, y2: two opposite corners. NULL: none */
    const sphinx_mask_point *points; /* [n_points] */
    size_t n_points;
} sphinx_mask_prompt;

/* Read-only; everything belongs to the mask. */
typedef struct sphinx_mask {
    int width, height;           /* the image's */
    const unsigned char *pixels; /* [height, width] 255 where it is, 0 elsewhere */
    const char *counts;   /* the same as COCO's compressed run lengths, beside "size": [height, width] */
    size_t area;          /* pixels that it has */
    double predicted_iou; /* intersection over union with what was meant, as the network expects it */
} sphinx_mask;

/* BAD_ARGUMENT: no image yet, neither a box nor points, or places that are no numbers or a million pixels away. */
SPHINX_API sphinx_status sphinx_segmenter_mask(sphinx_segmenter *segmenter, const sphinx_mask_prompt *prompt,
                                               sphinx_mask **mask, sphinx_error *error);
SPHINX_API void sphinx_mask_free(sphinx_mask *mask); /* NULL is allowed */
/* As a PNG, white where it is. */
SPHINX_API sphinx_status sphinx_mask_write(const sphinx_mask *mask, const char *path, sphinx_error *error);

/* Stops the looking or the mask that is under way; when none is, the next stops as it begins. As sphinx_session_cancel, from anywhere. */
SPHINX_API void sphinx_segmenter_cancel(sphinx_segmenter *segmenter);

/* The demo's second picture, as a PNG: over the session's image the masks of the answer's boxes, each in its box's color, half transparent;
 * without boxes the image as it is. BAD_ARGUMENT when the session has no image. */
SPHINX_API sphinx_status sphinx_answer_masks(const sphinx_session *session, const sphinx_answer *answer,
                                             sphinx_segmenter *segmenter, const char *path,
                                             sphinx_error *error);

/* The same picture of masks [n_boxes] that were made before, one for each of the answer's boxes, as a PNG file in memory, which is released with
 * sphinx_free. BAD_ARGUMENT: a mask of another size than the image. */
SPHINX_API sphinx_status sphinx_masks_png(const sphinx_image *image, const sphinx_answer *answer,
                                          sphinx_mask *const *masks, unsigned char **png, size_t *size,
                                          sphinx_error *error);

#ifdef __cplusplus
}
#endif

#endif
