/*
 * log.h - the answers of a run on disk: one JSON object a line (journal.h), appended as soon as it is known, so that whatever ends a run,
 * nothing that was computed is lost and nothing is asked twice.
 *
 *   OUT/answers.jsonl        line 1: the header: what was asked of whom, how
 *                            then a line per answer, in the order of finishing
 *   OUT/answers.1.jsonl ...  the same of other ranks, while they run; brought together at the end
 *
 * Invariants: (1) A line is written by one call and then flushed to the system, so a killed process leaves at most one broken line, the
 * last, which a reader drops and a writer cuts off. (2) The header is written whole before the first answer (by renaming), so a log has
 * one or is none. (3) Of lines with the same index the first that has an answer counts, or, if none has, the first. (4) A log is only appended
 * to by a run with the same header; the first key in which they differ is named. (5) One process at a time appends to a file.
 *
 * Of the header only `eval` means something to this module: it is what makes a line a header. What trial.h writes into it stands there.
 */
#ifndef SPHINX_EVAL_LOG_H
#define SPHINX_EVAL_LOG_H

#include "core/arena.h"
#include "core/status.h"

#include <jansson.h>
#include <stdint.h>

/* One line. Texts are borrowed from the caller when written, from the log when read. */
struct log_entry {
    int64_t index;
    const char *id, *image, *question; /* for people and other programs; the index is the key */
    const char *prompt;                /* as it was put to the model */
    const char *answer;
    const char *error;     /* why there is no answer ("image not found: ..."); NULL: there is one */
    const int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    const char *finish; /* "stop", "length" */
    double score;       /* as judged when it was written */
    bool malformed, pending;
    const char *taken;
    double seconds_encode, seconds_prefill, seconds_decode;
    size_t prompt_tokens, image_tokens, cached_tokens;
};

struct log_file; /* one that is being appended to */

/* Opens OUT/answers.jsonl (rank 0) or OUT/answers.RANK.jsonl to append to, making folder and header where there are none. `header` must equal
 * the one that is there: else BAD_ARGUMENT names the first key that differs, unless force, which keeps the old answers and
 * writes the new header. BAD_ARGUMENT also where another process is at it. */
enum status log_open(struct log_file **l, const char *directory, int rank, json_t *header, bool force,
                     struct err *e);
/* On failure (a full disk) the broken line is cut off again. */
enum status log_append(struct log_file *l, const struct log_entry *entry, struct err *e);
enum status log_close(struct log_file *l, struct err *e); /* accepts NULL; flushed to the disk */

/* All answers of a folder, of all ranks, sorted by index, one per index. */
struct log_answers {
    json_t *header;          /* NULL: there is no log */
    struct log_entry *entry; /* [n] */
    size_t n;
    struct arena memory;
};

/* Errors name file and line. Of a log whose files have different headers, that of the lowest rank counts. */
enum status log_read(struct log_answers *a, const char *directory, struct err *e);
/* The same for one file that is in memory. */
enum status log_read_memory(struct log_answers *a, const char *name, const char *data, size_t size,
                            struct err *e);
void log_answers_free(struct log_answers *a); /* accepts a zeroed one */

/* Of an answer or failure of this index, or NULL. */
const struct log_entry *log_find(const struct log_answers *a, int64_t index);

/* Brings the files of all ranks together into answers.jsonl, atomically (journal.h). For one rank when none has a file open. */
enum status log_merge(const char *directory, struct err *e);

#endif
