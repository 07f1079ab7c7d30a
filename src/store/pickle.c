/*
 * pickle.c - see pickle.h. What torch.save wrote for {"model": {"llma.norm.weight": tensor}} with two numbers
 * in it, protocol 2, is this; each line has its case in step().
 *
 *     0: \x80 PROTO      2
 *     2: }    EMPTY_DICT                             the root
 *     3: q    BINPUT     0
 *     5: X    BINUNICODE 'model'
 *    15: q    BINPUT     1
 *    17: }    EMPTY_DICT
 *    18: q    BINPUT     2
 *    20: X    BINUNICODE 'llma.norm.weight'
 *    41: q    BINPUT     3
 *    43: c    GLOBAL     'torch._utils _rebuild_tensor_v2'
 *    76: q    BINPUT     4
 *    78: (    MARK                                   its arguments:
 *    79: (        MARK                               1. the storage, by its persistent id
 *    80: X            BINUNICODE 'storage'
 *    92: q            BINPUT     5
 *    94: c            GLOBAL     'torch BFloat16Storage'
 *   117: q            BINPUT     6
 *   119: X            BINUNICODE '0'                 the member data/0
 *   125: q            BINPUT     7
 *   127: X            BINUNICODE 'cpu'
 *   135: q            BINPUT     8
 *   137: K            BININT1    2                   elements of the storage
 *   139: t            TUPLE      (MARK at 79)
 *   140: q        BINPUT     9
 *   142: Q        BINPERSID
 *   143: K        BININT1    0                       2. offset
 *   145: K        BININT1    2
 *   147: \x85     TUPLE1                             3. shape
 *   148: q        BINPUT     10
 *   150: K        BININT1    1
 *   152: \x85     TUPLE1                             4. strides
 *   153: q        BINPUT     11
 *   155: \x89     NEWFALSE                           5. needs a gradient
 *   156: c        GLOBAL     'collections OrderedDict'
 *   181: q        BINPUT     12
 *   183: )        EMPTY_TUPLE
 *   184: R        REDUCE                             6. hooks
 *   185: q        BINPUT     13
 *   187: t        TUPLE      (MARK at 78)
 *   188: q    BINPUT     14
 *   190: R    REDUCE                                 the tensor
 *   191: q    BINPUT     15
 *   193: s    SETITEM                                into the inner dictionary; SETITEMS when there are several
 *   194: s    SETITEM                                into the root
 *   195: .    STOP
 *
 * Protocols 4 and 5 write FRAME, SHORT_BINUNICODE, MEMOIZE and STACK_GLOBAL where this has BINUNICODE, BINPUT
 * and GLOBAL.
 */
#include "store/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "store/raw_tensor.h"

enum {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_BINUNICODE = 'X',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_EMPTY_DICT = '}',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_EMPTY_LIST = ']',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_EMPTY_TUPLE = ')',
    OP_SETITEMS = 'u',
    OP_BINFLOAT = 'G',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_BINBYTES = 'B',
    OP_SHORT_BINBYTES = 'C',
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE8 = 0x8d,
    OP_BINBYTES8 = 0x8e,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95,
};

/* Small blocks cut from larger ones: an arena block of its own would cost 64 bytes for each value. */
struct pool {
    struct arena *arena;
    char *next;
    size_t left;
};

struct machine {
    const unsigned char *data;
    size_t size, at; /* at: the next byte */
    size_t op_at;    /* where the current opcode is */
    const struct pickle_global *allowed;
    size_t n_allowed;
    const char *where;
    struct err *e;
    struct pool pool;

    struct pickle_value **stack;
    size_t n_stack, stack_capacity;
    size_t *marks; /* heights of the stack */
    size_t n_marks, marks_capacity;
    struct pickle_value **memo;
    size_t memo_size, memo_capacity; /* size: one past the highest index set */
    bool stopped;
};

static const char *const kind_texts[] = {
    [PICKLE_NONE] = "None",     [PICKLE_BOOL] = "a bool",     [PICKLE_INT] = "an int",
    [PICKLE_FLOAT] = "a float", [PICKLE_STRING] = "a string", [PICKLE_BYTES] = "bytes",
    [PICKLE_TUPLE] = "a tuple", [PICKLE_LIST] = "a list",     [PICKLE_DICT] = "a dictionary",
    [PICKLE_GLOBAL] = "a name", [PICKLE_CALL] = "a tensor",   [PICKLE_PERSISTENT] = "a storage",
};

const char *pickle_kind_text(enum pickle_kind kind)
{
    return kind_texts[kind];
}

static enum status malformed(struct machine *m, const char *what)
{
    return err_set(m->e, STATUS_BAD_FORMAT, "%s: broken pickle at offset %zu: %s", m->where, m->op_at, what);
}

static void *pool_alloc(struct machine *m, size_t size)
{
    enum { BLOCK = 64 << 10 };
    struct pool *p = &m->pool;
    void *result;

    size = (size + 15) / 16 * 16;
    if (size > BLOCK / 4) {
        result = arena_alloc(p->arena, size);
    } else {
        if (size > p->left) {
            p->next = arena_alloc(p->arena, BLOCK);
            p->left = p->next != NULL ? BLOCK : 0;
        }
        result = p->next;
        if (p->next != NULL) p->next += size, p->left -= size;
    }
    if (result == NULL) err_no_memory(m->e, m->where);
    return result;
}

/* Makes room for one more element; the array at least doubles. */
static enum status reserve(struct machine *m, void *array, size_t *capacity, size_t needed, size_t element)
{
    void **slot = array, *larger;
    size_t n = *capacity * 2 > needed ? *capacity * 2 : needed;

    if (needed <= *capacity) return STATUS_OK;
    if (n < 64) n = 64;
    larger = realloc(*slot, n * element);
    if (larger == NULL) return err_no_memory(m->e, m->where);
    *slot = larger;
    *capacity = n;
    return STATUS_OK;
}

static enum status push(struct machine *m, struct pickle_value *v)
{
    enum status st = reserve(m, &m->stack, &m->stack_capacity, m->n_stack + 1, sizeof(void *));

    if (st == STATUS_OK) m->stack[m->n_stack++] = v;
    return st;
}

static struct pickle_value *value_new(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value *v = pool_alloc(m, sizeof *v);

    if (v == NULL) return NULL;
    memset(v, 0, sizeof *v);
    v->kind = kind;
    return v;
}

static enum status push_new(struct machine *m, enum pickle_kind kind, int64_t integer)
{
    struct pickle_value *v = value_new(m, kind);

    if (v == NULL) return STATUS_NO_MEMORY;
    if (kind == PICKLE_INT || kind == PICKLE_BOOL) v->integer = integer;
    return push(m, v);
}

/* The stack above the last mark belongs to whoever consumes the mark; nobody may reach below it. */
static size_t available(const struct machine *m)
{
    return m->n_stack - (m->n_marks > 0 ? m->marks[m->n_marks - 1] : 0);
}

static enum status pop(struct machine *m, struct pickle_value **v)
{
    if (available(m) == 0) return malformed(m, "the stack is empty");
    *v = m->stack[--m->n_stack];
    return STATUS_OK;
}

/* The value that the next item or state goes into. */
static struct pickle_value *top(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value *v = available(m) > 0 ? m->stack[m->n_stack - 1] : NULL;

    return v != NULL && v->kind == kind ? v : NULL;
}

static enum status mark_pop(struct machine *m, size_t *height)
{
    if (m->n_marks == 0) return malformed(m, "no mark on the stack");
    *height = m->marks[--m->n_marks];
    return STATUS_OK;
}

static enum status take(struct machine *m, uint64_t n, const unsigned char **p)
{
    if (n > m->size - m->at) {
        return err_set(m->e, STATUS_BAD_FORMAT,
                       "%s: broken pickle at offset %zu: %llu more bytes wanted, %zu are left", m->where,
                       m->op_at, (unsigned long long)n, m->size - m->at);
    }
    *p = m->data + m->at;
    m->at += n;
    return STATUS_OK;
}

/* A little-endian unsigned number of n bytes. */
static enum status take_number(struct machine *m, unsigned n, uint64_t *value)
{
    const unsigned char *p = NULL;
    enum status st = take(m, n, &p);

    *value = 0;
    if (st != STATUS_OK) return st;
    for (unsigned i = 0; i < n; i++) *value |= (uint64_t)p[i] << (8 * i);
    return STATUS_OK;
}

static enum status op_string(struct machine *m, enum pickle_kind kind, unsigned length_bytes)
{
    const unsigned char *p = NULL;
    struct pickle_value *v;
    uint64_t n = 0;
    enum status st = take_number(m, length_bytes, &n);

    if (st == STATUS_OK) st = take(m, n, &p);
    if (st != STATUS_OK) return st;
    v = value_new(m, kind);
    if (v == NULL) return STATUS_NO_MEMORY;
    v->string.bytes = (const char *)p;
    v->string.size = n;
    return push(m, v);
}

static enum status op_int(struct machine *m, unsigned bytes)
{
    uint64_t n = 0;
    enum status st = take_number(m, bytes, &n);

    if (st != STATUS_OK) return st;
    return push_new(m, PICKLE_INT, bytes == 4 ? (int64_t)(int32_t)(uint32_t)n : (int64_t)n);
}

static enum status op_long(struct machine *m)
{
    uint64_t n = 0, value = 0;
    enum status st = take_number(m, 1, &n);

    if (st != STATUS_OK) return st;
    if (n > 8) return malformed(m, "an integer of more than 64 bits");
    st = take_number(m, (unsigned)n, &value);
    if (st != STATUS_OK) return st;
    if (n > 0 && n < 8 && value >> (8 * n - 1) != 0) value |= UINT64_MAX << (8 * n);
    return push_new(m, PICKLE_INT, (int64_t)value);
}

static enum status op_float(struct machine *m)
{
    const unsigned char *p = NULL;
    struct pickle_value *v;
    uint64_t bits = 0;
    enum status st = take(m, 8, &p); /* the one big-endian number of the format */

    if (st != STATUS_OK) return st;
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    v = value_new(m, PICKLE_FLOAT);
    if (v == NULL) return STATUS_NO_MEMORY;
    memcpy(&v->number, &bits, sizeof bits);
    return push(m, v);
}

static bool text_is(const char *bytes, size_t size, const char *text)
{
    return strlen(text) == size && memcmp(bytes, text, size) == 0;
}

static enum status push_global(struct machine *m, const char *module, size_t n_module, const char *name,
                               size_t n_name)
{
    char a[SHAPE_TEXT_MAX], b[SHAPE_TEXT_MAX];

    for (size_t i = 0; i < m->n_allowed; i++) {
        struct pickle_value *v;

        if (!text_is(module, n_module, m->allowed[i].module) || !text_is(name, n_name, m->allowed[i].name))
            continue;
        v = value_new(m, PICKLE_GLOBAL);
        if (v == NULL) return STATUS_NO_MEMORY;
        v->global = &m->allowed[i];
        return push(m, v);
    }
    return err_set(
        m->e, STATUS_BAD_FORMAT,
        "%s: refused to run pickled code: %s.%s at offset %zu; a checkpoint of plain tensors has no "
        "such thing",
        m->where, bytes_text(a, module, n_module), bytes_text(b, name, n_name), m->op_at);
}

static enum status op_global(struct machine *m)
{
    const char *text = (const char *)m->data + m->at;
    const char *end_module = memchr(text, '\n', m->size - m->at), *end_name = NULL;

    if (end_module != NULL) {
        end_name = memchr(end_module + 1, '\n', m->size - m->at - (size_t)(end_module + 1 - text));
    }
    if (end_name == NULL) return malformed(m, "the name of a global does not end");
    m->at += (size_t)(end_name + 1 - text);
    return push_global(m, text, (size_t)(end_module - text), end_module + 1,
                       (size_t)(end_name - end_module - 1));
}

static enum status op_stack_global(struct machine *m)
{
    struct pickle_value *module = NULL, *name = NULL;
    enum status st = pop(m, &name);

    if (st == STATUS_OK) st = pop(m, &module);
    if (st != STATUS_OK) return st;
    if (module->kind != PICKLE_STRING || name->kind != PICKLE_STRING) {
        return malformed(m, "the name of a global is not a string");
    }
    return push_global(m, module->string.bytes, module->string.size, name->string.bytes, name->string.size);
}

static enum status op_reduce(struct machine *m)
{
    struct pickle_value *callee = NULL, *arguments = NULL, *v;
    enum status st = pop(m, &arguments);

    if (st == STATUS_OK) st = pop(m, &callee);
    if (st != STATUS_OK) return st;
    if (callee->kind != PICKLE_GLOBAL || arguments->kind != PICKLE_TUPLE) {
        return malformed(m, "a call of what is no function");
    }
    if (callee->global->makes_dict) {
        if (arguments->tuple.count != 0) return malformed(m, "an OrderedDict made from arguments");
        return push_new(m, PICKLE_DICT, 0);
    }
    v = value_new(m, PICKLE_CALL);
    if (v == NULL) return STATUS_NO_MEMORY;
    v->call.global = callee->global;
    v->call.arguments = arguments;
    return push(m, v);
}

/* Sets attributes of an object. On a state dictionary this is `_metadata`, which holds module versions. */
static enum status op_build(struct machine *m)
{
    struct pickle_value *state;
    enum status st = pop(m, &state);

    if (st != STATUS_OK) return st;
    if (top(m, PICKLE_DICT) == NULL) return malformed(m, "a state for what is no dictionary");
    return STATUS_OK;
}

static enum status op_persistent(struct machine *m)
{
    struct pickle_value *id = NULL, *v;
    enum status st = pop(m, &id);

    if (st != STATUS_OK) return st;
    v = value_new(m, PICKLE_PERSISTENT);
    if (v == NULL) return STATUS_NO_MEMORY;
    v->persistent = id;
    return push(m, v);
}

/* A tuple of the topmost `count` values. */
static enum status tuple_make(struct machine *m, size_t count)
{
    const struct pickle_value **items;
    struct pickle_value *v = value_new(m, PICKLE_TUPLE);

    if (v == NULL) return STATUS_NO_MEMORY;
    if (available(m) < count) return malformed(m, "the stack is empty");
    items = pool_alloc(m, count * sizeof *items);
    if (items == NULL) return STATUS_NO_MEMORY;
    m->n_stack -= count;
    for (size_t i = 0; i < count; i++) items[i] = m->stack[m->n_stack + i];
    v->tuple.items = items;
    v->tuple.count = count;
    return push(m, v);
}

static enum status op_tuple(struct machine *m)
{
    size_t height = 0;
    enum status st = mark_pop(m, &height);

    return st == STATUS_OK ? tuple_make(m, m->n_stack - height) : st;
}

/* Moves the topmost `count` values into the dict (pairs) or list below them. */
static enum status items_add(struct machine *m, enum pickle_kind kind, size_t count)
{
    size_t per_item = kind == PICKLE_DICT ? 2 : 1;
    struct pickle_value *into, **from;

    if (count % per_item != 0) return malformed(m, "a key without a value");
    if (available(m) < count) return malformed(m, "the stack is empty");
    m->n_stack -= count;
    from = m->stack + m->n_stack;
    into = top(m, kind);
    if (into == NULL) return malformed(m, "an item for what is no list or dictionary");
    for (size_t i = 0; i < count; i += per_item) {
        struct pickle_item *item = pool_alloc(m, sizeof *item);

        if (item == NULL) return STATUS_NO_MEMORY;
        item->key = kind == PICKLE_DICT ? from[i] : NULL;
        item->value = from[i + per_item - 1];
        item->next = NULL;
        if (into->list.last != NULL) into->list.last->next = item;
        if (into->list.last == NULL) into->list.first = item;
        into->list.last = item;
    }
    return STATUS_OK;
}

static enum status op_items(struct machine *m, enum pickle_kind kind)
{
    size_t height = 0;
    enum status st = mark_pop(m, &height);

    return st == STATUS_OK ? items_add(m, kind, m->n_stack - height) : st;
}

static enum status op_mark(struct machine *m)
{
    enum status st = reserve(m, &m->marks, &m->marks_capacity, m->n_marks + 1, sizeof *m->marks);

    if (st == STATUS_OK) m->marks[m->n_marks++] = m->n_stack;
    return st;
}

static enum status memo_put(struct machine *m, uint64_t index)
{
    enum status st;

    /* Python counts up from 0, one entry per opcode, so a larger index is a trick to waste memory. */
    if (index >= m->size) return malformed(m, "a memo index larger than the pickle");
    if (available(m) == 0) return malformed(m, "the stack is empty");
    st = reserve(m, &m->memo, &m->memo_capacity, index + 1, sizeof(void *));
    if (st != STATUS_OK) return st;
    if (index >= m->memo_size) {
        memset(m->memo + m->memo_size, 0, (index + 1 - m->memo_size) * sizeof *m->memo);
        m->memo_size = index + 1;
    }
    m->memo[index] = m->stack[m->n_stack - 1];
    return STATUS_OK;
}

static enum status op_put(struct machine *m, unsigned bytes)
{
    uint64_t index = 0;
    enum status st = take_number(m, bytes, &index);

    return st == STATUS_OK ? memo_put(m, index) : st;
}

static enum status op_get(struct machine *m, unsigned bytes)
{
    uint64_t index = 0;
    enum status st = take_number(m, bytes, &index);

    if (st != STATUS_OK) return st;
    if (index >= m->memo_size || m->memo[index] == NULL)
        return malformed(m, "a memo entry that was never set");
    return push(m, m->memo[index]);
}

static enum status op_stop(struct machine *m)
{
    if (m->n_stack != 1 || m->n_marks != 0) return malformed(m, "it ends with other than one value");
    m->stopped = true;
    return STATUS_OK;
}

static enum status op_proto(struct machine *m)
{
    uint64_t protocol = 0;
    enum status st = take_number(m, 1, &protocol);

    if (st != STATUS_OK) return st;
    if (protocol < 2 || protocol > 5) return malformed(m, "a protocol other than 2 to 5");
    return STATUS_OK;
}

/* Frames only tell a reader how much to buffer. */
static enum status op_frame(struct machine *m)
{
    uint64_t size = 0;
    enum status st = take_number(m, 8, &size);

    if (st == STATUS_OK && size > m->size - m->at) return malformed(m, "a frame longer than the pickle");
    return st;
}

static enum status step(struct machine *m)
{
    unsigned char op = m->data[m->at];

    m->op_at = m->at++;
    switch (op) {
    case OP_PROTO: return op_proto(m);
    case OP_FRAME: return op_frame(m);
    case OP_STOP: return op_stop(m);
    case OP_MARK: return op_mark(m);
    case OP_NONE: return push_new(m, PICKLE_NONE, 0);
    case OP_NEWTRUE: return push_new(m, PICKLE_BOOL, 1);
    case OP_NEWFALSE: return push_new(m, PICKLE_BOOL, 0);
    case OP_BININT: return op_int(m, 4);
    case OP_BININT1: return op_int(m, 1);
    case OP_BININT2: return op_int(m, 2);
    case OP_LONG1: return op_long(m);
    case OP_BINFLOAT: return op_float(m);
    case OP_BINUNICODE: return op_string(m, PICKLE_STRING, 4);
    case OP_SHORT_BINUNICODE: return op_string(m, PICKLE_STRING, 1);
    case OP_BINUNICODE8: return op_string(m, PICKLE_STRING, 8);
    case OP_BINBYTES: return op_string(m, PICKLE_BYTES, 4);
    case OP_SHORT_BINBYTES: return op_string(m, PICKLE_BYTES, 1);
    case OP_BINBYTES8: return op_string(m, PICKLE_BYTES, 8);
    case OP_EMPTY_DICT: return push_new(m, PICKLE_DICT, 0);
    case OP_EMPTY_LIST: return push_new(m, PICKLE_LIST, 0);
    case OP_EMPTY_TUPLE: return tuple_make(m, 0);
    case OP_TUPLE1: return tuple_make(m, 1);
    case OP_TUPLE2: return tuple_make(m, 2);
    case OP_TUPLE3: return tuple_make(m, 3);
    case OP_TUPLE: return op_tuple(m);
    case OP_SETITEM: return items_add(m, PICKLE_DICT, 2);
    case OP_SETITEMS: return op_items(m, PICKLE_DICT);
    case OP_APPEND: return items_add(m, PICKLE_LIST, 1);
    case OP_APPENDS: return op_items(m, PICKLE_LIST);
    case OP_GLOBAL: return op_global(m);
    case OP_STACK_GLOBAL: return op_stack_global(m);
    case OP_REDUCE: return op_reduce(m);
    case OP_BUILD: return op_build(m);
    case OP_BINPERSID: return op_persistent(m);
    case OP_MEMOIZE: return memo_put(m, m->memo_size);
    case OP_BINPUT: return op_put(m, 1);
    case OP_LONG_BINPUT: return op_put(m, 4);
    case OP_BINGET: return op_get(m, 1);
    case OP_LONG_BINGET: return op_get(m, 4);
    default: break;
    }
    return err_set(
        m->e, STATUS_BAD_FORMAT,
        "%s: refused pickle opcode 0x%02x at offset %zu: a checkpoint of plain tensors does not need it",
        m->where, op, m->op_at);
}

enum status pickle_read(const struct pickle_value **root, struct arena *arena, const void *data, size_t size,
                        const struct pickle_global *allowed, size_t n_allowed, const char *where,
                        struct err *e)
{
    struct machine m = { .data = data,
                         .size = size,
                         .allowed = allowed,
                         .n_allowed = n_allowed,
                         .where = where,
                         .e = e,
                         .pool = { .arena = arena } };
    enum status st = STATUS_OK;

    *root = NULL;
    if (size > PICKLE_SIZE_MAX) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: a pickle of %zu bytes is larger than any list of tensors",
                       where, size);
    }
    if (size < 2 || m.data[0] != OP_PROTO) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: not a pickle of protocol 2 or later", where);
    }
    while (st == STATUS_OK && !m.stopped) {
        st = m.at < size ? step(&m) : malformed(&m, "it ends without STOP");
    }
    if (st == STATUS_OK) *root = m.stack[0];
    free(m.stack);
    free(m.marks);
    free(m.memo);
    return st;
}

bool pickle_is_string(const struct pickle_value *v, const char *text)
{
    return v->kind == PICKLE_STRING && text_is(v->string.bytes, v->string.size, text);
}

const struct pickle_value *pickle_get(const struct pickle_value *v, const char *key)
{
    const struct pickle_value *found = NULL;

    if (v->kind != PICKLE_DICT) return NULL;
    for (const struct pickle_item *i = v->list.first; i != NULL; i = i->next) {
        if (pickle_is_string(i->key, key)) found = i->value;
    }
    return found;
}
