/*
 * torch_file.c - see torch_file.h.
 *
 *   zip_open -> <top>/data.pkl -> pickle_read -> the state dictionary -> one raw_tensor per tensor in it
 */
#include "store/torch_file.h"

#include <stdlib.h>
#include <string.h>

#include "store/pickle.h"
#include "store/torch_names.h"

enum { ID_REBUILD_TENSOR = DTYPE_COUNT, ID_REBUILD_PARAMETER, ID_DICT };

/* All that a checkpoint of plain tensors calls. The id of a storage class is its dtype. */
static const struct pickle_global globals[] = {
#define X(dtype, name) { TORCH_MODULE_STORAGE, name, DTYPE_##dtype, false },
    TORCH_STORAGE_MAP(X)
#undef X
        { TORCH_MODULE_REBUILD, TORCH_REBUILD_TENSOR, ID_REBUILD_TENSOR, false },
    { TORCH_MODULE_REBUILD, TORCH_REBUILD_PARAM, ID_REBUILD_PARAMETER, false },
    { TORCH_MODULE_DICT, TORCH_DICT, ID_DICT, true },
};

/* One opening: the archive's folder and the tensor being read, for messages. */
struct reading {
    struct torch_file *f;
    const char *top;
    char tensor[SHAPE_TEXT_MAX];
    struct err *e;
};

static enum status bad_tensor(const struct reading *r, const char *what)
{
    return err_set(r->e, STATUS_BAD_FORMAT, "%s: tensor %s: %s", r->f->path, r->tensor, what);
}

/* Files that older versions of torch wrote, with the line that makes a new one of them. */
static enum status older_format(const char *path, const unsigned char *data, size_t size, struct err *e)
{
    static const unsigned char magic[] = { 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                           0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };
    const char *kind = NULL, *option = "";

    if (size > 2 + sizeof magic && data[0] == 0x80 && memcmp(data + 2, magic, sizeof magic) == 0) {
        kind = "torch's format before 1.6";
    } else if (size > 262 && memcmp(data + 257, "ustar", 5) == 0) {
        kind = "a tar archive, torch's format before 0.2";
        option = ", weights_only=False"; /* torch reads tar files in no other way */
    }
    if (kind != NULL) {
        return err_set(
            e, STATUS_UNSUPPORTED,
            "%s: is in %s; save it anew with this line of Python, if you trust the file: import torch; "
            "torch.save(torch.load(\"%s\", map_location=\"cpu\"%s), \"new.pth\")",
            path, kind, path, option);
    }
    if (size > 2 && data[0] == 0x80 && data[1] <= 5) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: is a bare pickle, not a ZIP archive as torch.save writes it", path);
    }
    return STATUS_OK;
}

/* The member <top>/data.pkl tells the name of the top folder, which depends on the name that the file once
 * had. */
static enum status top_find(struct reading *r, const struct zip_member **pickle)
{
    const struct zip *z = &r->f->zip;
    const size_t suffix = strlen(TORCH_MEMBER_PICKLE);
    char *top;

    *pickle = NULL;
    for (size_t i = 0; i < z->count; i++) {
        size_t n = strlen(z->members[i].name);

        if (n <= suffix || strcmp(z->members[i].name + n - suffix, TORCH_MEMBER_PICKLE) != 0) continue;
        if (*pickle != NULL) {
            return err_set(r->e, STATUS_BAD_FORMAT, "%s: holds two checkpoints, %s and %s", r->f->path,
                           (*pickle)->name, z->members[i].name);
        }
        *pickle = &z->members[i];
    }
    if (*pickle == NULL) {
        return err_set(r->e, STATUS_BAD_FORMAT,
                       "%s: a ZIP archive of %zu members, none of them data.pkl: not a "
                       "checkpoint of torch",
                       r->f->path, z->count);
    }
    top = arena_strdup(&r->f->arena, (*pickle)->name);
    if (top == NULL) return err_no_memory(r->e, r->f->path);
    top[strlen(top) - suffix] = '\0';
    r->top = top;
    return STATUS_OK;
}

/* The bytes of a member: in place when stored, unpacked once when deflated. */
static enum status member_bytes(struct reading *r, const struct zip_member *m, const void **data)
{
    struct torch_file *f = r->f;
    size_t i = (size_t)(m - f->zip.members);
    const unsigned char *stored;
    enum status st;

    if (!m->deflated) {
        st = zip_member_data(&f->zip, m, &stored, r->e);
        *data = stored;
        return st;
    }
    if (f->unpacked[i] == NULL) {
        f->unpacked[i] = malloc(m->size + 1);
        if (f->unpacked[i] == NULL) return err_no_memory(r->e, m->name);
        st = zip_member_unpack(&f->zip, m, f->unpacked[i], r->e);
        if (st != STATUS_OK) return st;
    }
    *data = f->unpacked[i];
    return STATUS_OK;
}

static const struct zip_member *member_find(struct reading *r, const char *suffix, const char *key,
                                            size_t n_key)
{
    struct arena_mark mark = arena_mark(&r->f->arena);
    char *name = arena_printf(&r->f->arena, "%s%s%.*s", r->top, suffix, (int)n_key, key);
    const struct zip_member *m = name != NULL ? zip_find(&r->f->zip, name) : NULL;

    arena_reset(&r->f->arena, mark);
    return m;
}

/* Files from before torch 2.1 do not say; they are little-endian. */
static enum status byteorder_check(struct reading *r)
{
    const struct zip_member *m = member_find(r, TORCH_MEMBER_BYTEORDER, "", 0);
    const void *text;
    char shown[SHAPE_TEXT_MAX];
    enum status st;

    if (m == NULL) return STATUS_OK;
    st = member_bytes(r, m, &text);
    if (st != STATUS_OK) return st;
    if (m->size == 6 && memcmp(text, "little", 6) == 0) return STATUS_OK;
    return err_set(r->e, STATUS_UNSUPPORTED,
                   "%s: its numbers are in %s-endian byte order, only little can be read", r->f->path,
                   bytes_text(shown, text, m->size));
}

static bool take_int(const struct pickle_value *v, int64_t *value)
{
    if (v->kind != PICKLE_INT || v->integer < 0) return false;
    *value = v->integer;
    return true;
}

static enum status take_ints(struct reading *r, const struct pickle_value *v, int64_t *out, const char *what)
{
    if (v->kind != PICKLE_TUPLE) return bad_tensor(r, what);
    if (v->tuple.count > RAW_DIMS_MAX) return bad_tensor(r, "it has more than 8 dimensions");
    for (size_t i = 0; i < v->tuple.count; i++) {
        if (!take_int(v->tuple.items[i], &out[i])) return bad_tensor(r, what);
    }
    return STATUS_OK;
}

/* ("storage", class, key, location, elements) -> dtype and the member data/<key> of just that size. */
static enum status storage_take(struct reading *r, const struct pickle_value *v, struct raw_tensor *t,
                                int64_t *elements)
{
    const struct pickle_value *const *id = NULL;
    char key[SHAPE_TEXT_MAX];
    size_t bytes;

    if (v->kind == PICKLE_PERSISTENT && v->persistent->kind == PICKLE_TUPLE &&
        v->persistent->tuple.count == 5) {
        id = v->persistent->tuple.items;
    }
    if (id == NULL || !pickle_is_string(id[0], "storage") || id[1]->kind != PICKLE_GLOBAL ||
        id[1]->global->id >= DTYPE_COUNT || id[2]->kind != PICKLE_STRING || !take_int(id[4], elements)) {
        return bad_tensor(r, "its storage is not described as torch does");
    }
    t->dtype = (enum dtype)id[1]->global->id;
    bytes_text(key, id[2]->string.bytes, id[2]->string.size);
    if (strlen(key) == id[2]->string.size) {
        t->member = member_find(r, TORCH_MEMBER_STORAGE, key, strlen(key));
    }
    if (t->member == NULL) {
        return err_set(r->e, STATUS_BAD_FORMAT,
                       "%s: tensor %s: the archive has no member %s" TORCH_MEMBER_STORAGE "%s", r->f->path,
                       r->tensor, r->top, key);
    }
    if (!shape_bytes(t->dtype, elements, 1, &bytes) || bytes != t->member->size) {
        return err_set(r->e, STATUS_BAD_FORMAT,
                       "%s: tensor %s: its storage of %lld %s elements does not fit member %s of %llu bytes",
                       r->f->path, r->tensor, (long long)*elements, dtype_info(t->dtype)->name,
                       t->member->name, (unsigned long long)t->member->size);
    }
    return STATUS_OK;
}

/* Whether the farthest element, at offset + sum of (dim - 1) * stride, is one of the storage's. */
static bool extent_fits(const struct raw_tensor *t, int64_t offset, int64_t elements)
{
    int64_t last = offset;

    for (int i = 0; i < t->n_dims; i++) {
        int64_t reach;

        if (__builtin_mul_overflow(t->dim[i] - 1, t->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last)) {
            return false;
        }
    }
    return last < elements;
}

/* _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks[, metadata]) */
static enum status tensor_take(struct reading *r, const struct pickle_value *v, struct raw_tensor *t)
{
    const struct pickle_value *arguments = v->call.arguments;
    const struct pickle_value *const *a = arguments->tuple.items;
    int64_t offset = 0, elements = 0;
    size_t n, bytes;
    enum status st;

    if (arguments->tuple.count != 6 && arguments->tuple.count != 7) {
        return bad_tensor(r, "it is not made from 6 or 7 arguments");
    }
    st = storage_take(r, a[0], t, &elements);
    if (st != STATUS_OK) return st;
    if (!take_int(a[1], &offset)) return bad_tensor(r, "its offset in the storage is not a number from 0 up");
    st = take_ints(r, a[2], t->dim, "its shape is not a tuple of numbers from 0 up");
    if (st == STATUS_OK)
        st = take_ints(r, a[3], t->stride, "its strides are not a tuple of numbers from 0 up");
    if (st != STATUS_OK) return st;
    if (a[2]->tuple.count != a[3]->tuple.count)
        return bad_tensor(r, "it has not as many strides as dimensions");
    t->n_dims = (int)a[2]->tuple.count;
    if (!shape_elements(t->dim, t->n_dims, &n) || !shape_bytes(t->dtype, t->dim, t->n_dims, &bytes)) {
        return bad_tensor(r, "its shape is too large for any memory");
    }
    if (n > 0 && !extent_fits(t, offset, elements)) {
        char shape[SHAPE_TEXT_MAX], stride[SHAPE_TEXT_MAX];

        return err_set(r->e, STATUS_BAD_FORMAT,
                       "%s: tensor %s: shape %s with strides %s from %lld on reaches beyond its storage of "
                       "%lld elements",
                       r->f->path, r->tensor, shape_text(shape, t->dim, t->n_dims),
                       shape_text(stride, t->stride, t->n_dims), (long long)offset, (long long)elements);
    }
    t->zip = &r->f->zip;
    t->offset = n > 0 ? dtype_bytes(t->dtype, (size_t)offset) : 0;
    if (t->member->deflated) {
        const void *base;

        st = member_bytes(r, t->member, &base);
        if (st == STATUS_OK) t->data = (const char *)base + t->offset;
    }
    return st;
}

/* True for values that stand for a tensor; *call is then the _rebuild_tensor_v2. */
static bool is_tensor(const struct pickle_value *v, const struct pickle_value **call)
{
    if (v->kind != PICKLE_CALL) return false;
    if (v->call.global->id == ID_REBUILD_PARAMETER) {
        const struct pickle_value *arguments = v->call.arguments;

        if (arguments->tuple.count != 3 || arguments->tuple.items[0]->kind != PICKLE_CALL) return false;
        v = arguments->tuple.items[0];
    }
    *call = v;
    return v->call.global->id == ID_REBUILD_TENSOR;
}

static int by_name(const void *a, const void *b)
{
    const struct raw_tensor *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static enum status state_take(struct reading *r, const struct pickle_value *state)
{
    struct torch_file *f = r->f;
    const struct pickle_value *call;
    size_t n = 0;

    for (const struct pickle_item *i = state->list.first; i != NULL; i = i->next)
        n += is_tensor(i->value, &call);
    if (n == 0) {
        return err_set(r->e, STATUS_BAD_FORMAT,
                       "%s: holds no tensors; wanted {\"model\": {name: tensor}} or {name: tensor}", f->path);
    }
    f->tensors = arena_calloc(&f->arena, n, sizeof *f->tensors);
    if (f->tensors == NULL) return err_no_memory(r->e, f->path);
    for (const struct pickle_item *i = state->list.first; i != NULL; i = i->next) {
        struct raw_tensor *t = &f->tensors[f->count];
        char *name;
        enum status st;

        if (!is_tensor(i->value, &call)) continue;
        if (i->key->kind != PICKLE_STRING || i->key->string.size == 0 ||
            memchr(i->key->string.bytes, 0, i->key->string.size) != NULL) {
            return err_set(r->e, STATUS_BAD_FORMAT, "%s: a tensor's name is %s, not a proper string", f->path,
                           pickle_kind_text(i->key->kind));
        }
        name = arena_alloc(&f->arena, i->key->string.size + 1);
        if (name == NULL) return err_no_memory(r->e, f->path);
        memcpy(name, i->key->string.bytes, i->key->string.size);
        name[i->key->string.size] = '\0';
        t->name = name_without_prefix(name);
        bytes_text(r->tensor, t->name, strlen(t->name));
        st = tensor_take(r, call, t);
        if (st != STATUS_OK) return st;
        f->count++;
    }
    qsort(f->tensors, f->count, sizeof *f->tensors, by_name);
    for (size_t i = 1; i < f->count; i++) {
        if (strcmp(f->tensors[i - 1].name, f->tensors[i].name) != 0) continue;
        bytes_text(r->tensor, f->tensors[i].name, strlen(f->tensors[i].name));
        return bad_tensor(r, "it is there twice");
    }
    return STATUS_OK;
}

static enum status contents_read(struct reading *r)
{
    struct torch_file *f = r->f;
    const struct pickle_value *root = NULL, *model;
    const struct zip_member *m = NULL;
    struct arena values = { 0 };
    const void *pickle = NULL;
    char *where;
    enum status st;

    f->n_unpacked = f->zip.count;
    f->unpacked = calloc(f->zip.count + 1, sizeof *f->unpacked);
    if (f->unpacked == NULL) return err_no_memory(r->e, f->path);
    st = top_find(r, &m);
    if (st == STATUS_OK) st = byteorder_check(r);
    if (st != STATUS_OK) return st;
    if (m->size > PICKLE_SIZE_MAX) {
        return err_set(r->e, STATUS_BAD_FORMAT, "%s: %s of %llu bytes is larger than any list of tensors",
                       f->path, m->name, (unsigned long long)m->size);
    }
    where = arena_printf(&f->arena, "%s (%s)", f->path, m->name);
    if (where == NULL) return err_no_memory(r->e, f->path);
    st = member_bytes(r, m, &pickle);
    if (st == STATUS_OK) {
        st = pickle_read(&root, &values, pickle, m->size, globals, sizeof globals / sizeof *globals, where,
                         r->e);
    }
    if (st == STATUS_OK && root->kind != PICKLE_DICT) {
        st = err_set(r->e, STATUS_BAD_FORMAT,
                     "%s: holds %s; wanted {\"model\": {name: tensor}} or {name: tensor}", f->path,
                     pickle_kind_text(root->kind));
    }
    if (st == STATUS_OK) {
        model = pickle_get(root, "model");
        st = state_take(r, model != NULL && model->kind == PICKLE_DICT ? model : root);
    }
    arena_free(&values);
    return st;
}

static enum status file_read_memory(struct torch_file *f, const void *data, size_t size, const char *path,
                                    struct err *e)
{
    struct reading r = { .f = f, .e = e };
    enum status st;

    f->path = arena_strdup(&f->arena, path);
    if (f->path == NULL) return err_no_memory(e, path);
    st = weights_sniff(path, data, size, e);
    if (st == STATUS_OK) st = older_format(path, data, size, e);
    if (st == STATUS_OK) st = zip_open(&f->zip, data, size, f->path, e);
    if (st == STATUS_OK) st = contents_read(&r);
    if (st != STATUS_OK) torch_file_close(f);
    return st;
}

enum status torch_file_open_memory(struct torch_file *f, const void *data, size_t size, const char *path,
                                   struct err *e)
{
    memset(f, 0, sizeof *f);
    return file_read_memory(f, data, size, path, e);
}

enum status torch_file_open(struct torch_file *f, const char *path, struct err *e)
{
    enum status st;

    memset(f, 0, sizeof *f);
    st = file_map_open(&f->map, path, e);
    return st == STATUS_OK ? file_read_memory(f, f->map.data, f->map.size, path, e) : st;
}

void torch_file_close(struct torch_file *f)
{
    for (size_t i = 0; i < f->n_unpacked && f->unpacked != NULL; i++) free(f->unpacked[i]);
    free(f->unpacked);
    zip_close(&f->zip);
    file_map_close(&f->map);
    arena_free(&f->arena);
    memset(f, 0, sizeof *f);
}
