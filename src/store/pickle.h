/*
 * pickle.h - reads a pickle as data. Nothing is ever run: a global is looked up in a short list of allowed
 * ones and a call of one of them stays a value, CALL, for the reader of the file to make sense of.
 *
 * Understood are the opcodes that Python writes for dictionaries, lists, tuples, numbers, strings and calls
 * in protocols 2 to 5. Everything else is refused by name and offset. Memory is at most a fixed multiple of
 * the pickle's size, and nothing recurses, neither here nor in a caller that follows a fixed path; note that
 * a hostile pickle can make a dictionary that contains itself.
 */
#ifndef SPHINX_STORE_PICKLE_H
#define SPHINX_STORE_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/status.h"

/* A pickle larger than this is refused: 100 000 tensors need less. */
enum { PICKLE_SIZE_MAX = 16 << 20 };

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_STRING,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL,
    PICKLE_CALL,
    PICKLE_PERSISTENT,
};

/* An allowed global. `id` is the caller's. A call of one that makes_dict (with no arguments) is a DICT. */
struct pickle_global {
    const char *module, *name;
    int id;
    bool makes_dict;
};

struct pickle_value;

struct pickle_item { /* of a list (key NULL) or dict, in the order of insertion */
    const struct pickle_value *key, *value;
    struct pickle_item *next;
};

struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer; /* INT, and BOOL as 0 or 1 */
        double number;
        struct {
            const char *bytes; /* not NUL-terminated, borrowed from the pickle */
            size_t size;
        } string; /* STRING, BYTES */
        struct {
            const struct pickle_value *const *items;
            size_t count;
        } tuple;
        struct {
            struct pickle_item *first, *last;
        } list; /* LIST, DICT; a key set twice occurs twice */
        const struct pickle_global *global;
        struct {
            const struct pickle_global *global;
            const struct pickle_value *arguments; /* a TUPLE */
        } call;
        const struct pickle_value *persistent; /* the id that stands for it */
    };
};

/* The value that `data` holds, in memory of `arena`; it borrows data and allowed. `where` names the file and
 * member in messages. BAD_FORMAT: not a pickle, or one with anything not allowed. */
enum status pickle_read(const struct pickle_value **root, struct arena *arena, const void *data, size_t size,
                        const struct pickle_global *allowed, size_t n_allowed, const char *where,
                        struct err *e);

bool pickle_is_string(const struct pickle_value *v, const char *text);
/* The last value set for a string key, NULL when there is none or v is no dict. */
const struct pickle_value *pickle_get(const struct pickle_value *v, const char *key);
const char *pickle_kind_text(enum pickle_kind kind);

#endif
