/*
 * zip.c - see zip.h.
 *
 *   end record -> (zip64 locator -> zip64 end record) -> central directory -> members, sorted by offset to
 *   check that they do not overlap, then by name to find them.
 */
#include "store/zip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "store/raw_tensor.h"

enum {
    SIGNATURE_LOCAL = 0x04034b50,
    SIGNATURE_CENTRAL = 0x02014b50,
    SIGNATURE_END = 0x06054b50,
    SIGNATURE_END64 = 0x06064b50,
    SIGNATURE_LOCATOR64 = 0x07064b50,
    SIZE_LOCAL = 30,
    SIZE_CENTRAL = 46,
    SIZE_END = 22,
    SIZE_END64 = 56,
    SIZE_LOCATOR64 = 20,
    COMMENT_MAX = 65535,
    EXTRA_ZIP64 = 1,
    FLAGS_ENCRYPTED = 1 | 1 << 6 | 1 << 13,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    DEFLATE_RATIO_MAX = 1032, /* 258 bytes from two bits, the best that deflate can do */
};

struct directory {
    uint64_t offset, size, entries;
};

static unsigned get16(const unsigned char *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const unsigned char *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* The end record is the last thing in the file but for a comment whose length it tells. */
static enum status end_find(const struct zip *z, size_t *end, struct err *e)
{
    size_t lowest = z->size > SIZE_END + COMMENT_MAX ? z->size - SIZE_END - COMMENT_MAX : 0;

    if (z->size >= 4 && get32(z->data) != SIGNATURE_LOCAL && get32(z->data) != SIGNATURE_END) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: not a ZIP archive: it does not start with PK", z->path);
    }
    for (size_t at = z->size; at >= lowest + SIZE_END; at--) {
        const unsigned char *p = z->data + at - SIZE_END;

        if (get32(p) == SIGNATURE_END && get16(p + 20) == z->size - at) {
            *end = at - SIZE_END;
            return STATUS_OK;
        }
    }
    return err_set(
        e, STATUS_BAD_FORMAT,
        "%s: is truncated: the %zu bytes that are there end before the directory of the ZIP archive; "
        "copy or download the file again",
        z->path, z->size);
}

/* A field of the old end record is either all ones or must agree with the ZIP64 one: two readers must not
 * see two different archives. */
static bool agrees(uint64_t narrow, uint64_t limit, uint64_t wide)
{
    return narrow == limit || narrow == wide;
}

static enum status directory_find64(const struct zip *z, size_t end, struct directory *d, size_t *limit,
                                    struct err *e)
{
    const unsigned char *locator = z->data + end - SIZE_LOCATOR64, *p, *old = z->data + end;
    uint64_t at = get64(locator + 8);

    if (at > end - SIZE_LOCATOR64 || end - SIZE_LOCATOR64 - at < SIZE_END64 ||
        get32(z->data + at) != SIGNATURE_END64) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: is truncated or damaged: the ZIP64 end record should be at offset %llu", z->path,
                       (unsigned long long)at);
    }
    p = z->data + at;
    if (get32(locator + 4) != 0 || get32(locator + 16) > 1 || get32(p + 16) != 0 || get32(p + 20) != 0 ||
        get64(p + 24) != get64(p + 32)) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: a ZIP archive in several parts is not supported", z->path);
    }
    d->entries = get64(p + 32);
    d->size = get64(p + 40);
    d->offset = get64(p + 48);
    *limit = (size_t)at;
    if (!agrees(get16(old + 10), 0xffff, d->entries) || !agrees(get32(old + 12), 0xffffffff, d->size) ||
        !agrees(get32(old + 16), 0xffffffff, d->offset)) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: the two end records of the ZIP archive contradict each other", z->path);
    }
    return STATUS_OK;
}

static enum status directory_find(const struct zip *z, struct directory *d, struct err *e)
{
    const unsigned char *p;
    size_t end = 0, limit;
    enum status st = end_find(z, &end, e);

    if (st != STATUS_OK) return st;
    p = z->data + end;
    limit = end;
    if (get16(p + 4) != 0 || get16(p + 6) != 0 || get16(p + 8) != get16(p + 10)) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: a ZIP archive in several parts is not supported", z->path);
    }
    d->entries = get16(p + 10);
    d->size = get32(p + 12);
    d->offset = get32(p + 16);
    if (end >= SIZE_LOCATOR64 && get32(p - SIZE_LOCATOR64) == SIGNATURE_LOCATOR64) {
        st = directory_find64(z, end, d, &limit, e);
        if (st != STATUS_OK) return st;
    }
    if (d->offset > limit || d->size > limit - d->offset) {
        return err_set(
            e, STATUS_BAD_FORMAT,
            "%s: the ZIP directory should be %llu bytes at offset %llu, but the file has %zu bytes", z->path,
            (unsigned long long)d->size, (unsigned long long)d->offset, z->size);
    }
    if (d->entries > d->size / SIZE_CENTRAL) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: %llu ZIP members cannot be in a directory of %llu bytes",
                       z->path, (unsigned long long)d->entries, (unsigned long long)d->size);
    }
    return STATUS_OK;
}

/* Replaces the fields that are all ones by those of the ZIP64 extra field, which come in this order. */
static bool zip64_apply(const unsigned char *extra, size_t size, uint64_t *full, uint64_t *packed,
                        uint64_t *offset)
{
    uint64_t *fields[] = { full, packed, offset };
    size_t wanted = 0;

    for (int i = 0; i < 3; i++) wanted += *fields[i] == 0xffffffff;
    if (wanted == 0) return true;
    for (size_t at = 0; size - at >= 4;) {
        size_t n = get16(extra + at + 2);
        const unsigned char *p = extra + at + 4;

        if (n > size - at - 4) return false;
        at += 4 + n;
        if (get16(p - 4) != EXTRA_ZIP64) continue;
        if (n < 8 * wanted) return false;
        for (int i = 0; i < 3; i++) {
            if (*fields[i] != 0xffffffff) continue;
            *fields[i] = get64(p);
            p += 8;
        }
        return true;
    }
    return false;
}

/* What one directory entry says, checked for what can be checked alone. */
static enum status member_check(const struct zip *z, const struct zip_member *m, const unsigned char *p,
                                struct err *e)
{
    unsigned flags = get16(p + 8), method = get16(p + 10);

    if ((flags & FLAGS_ENCRYPTED) != 0) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: ZIP member %s is encrypted", z->path, m->name);
    }
    if (method != METHOD_STORED && method != METHOD_DEFLATED) {
        return err_set(e, STATUS_UNSUPPORTED,
                       "%s: ZIP member %s is packed by method %u; only stored and deflated ones can be read",
                       z->path, m->name, method);
    }
    if (get16(p + 34) != 0) {
        return err_set(e, STATUS_UNSUPPORTED, "%s: a ZIP archive in several parts is not supported", z->path);
    }
    if (method == METHOD_STORED && m->size != m->size_packed) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: ZIP member %s is stored, yet its two sizes differ: %llu and %llu", z->path,
                       m->name, (unsigned long long)m->size, (unsigned long long)m->size_packed);
    }
    if (method == METHOD_DEFLATED && m->size / DEFLATE_RATIO_MAX > m->size_packed) {
        return err_set(e, STATUS_BAD_FORMAT,
                       "%s: ZIP member %s claims %llu bytes from %llu packed ones: no data can", z->path,
                       m->name, (unsigned long long)m->size, (unsigned long long)m->size_packed);
    }
    return STATUS_OK;
}

static enum status directory_read(struct zip *z, const struct directory *d, struct err *e)
{
    const unsigned char *p = z->data + d->offset, *end = p + d->size;
    char *names = arena_alloc(&z->arena, d->size + 1);
    char text[SHAPE_TEXT_MAX];

    z->members = arena_calloc(&z->arena, d->entries, sizeof *z->members);
    if (names == NULL || z->members == NULL) return err_no_memory(e, z->path);
    for (uint64_t i = 0; i < d->entries; i++) {
        struct zip_member *m = &z->members[z->count];
        size_t name, extra, comment;
        enum status st;

        if (end - p < SIZE_CENTRAL || get32(p) != SIGNATURE_CENTRAL) {
            return err_set(e, STATUS_BAD_FORMAT, "%s: entry %llu of the ZIP directory is damaged", z->path,
                           (unsigned long long)i);
        }
        name = get16(p + 28), extra = get16(p + 30), comment = get16(p + 32);
        m->crc = get32(p + 16);
        m->size_packed = get32(p + 20);
        m->size = get32(p + 24);
        m->offset = get32(p + 42);
        m->deflated = get16(p + 10) == METHOD_DEFLATED;
        if ((size_t)(end - p) - SIZE_CENTRAL < name + extra + comment || name == 0 ||
            memchr(p + SIZE_CENTRAL, 0, name) != NULL ||
            !zip64_apply(p + SIZE_CENTRAL + name, extra, &m->size, &m->size_packed, &m->offset)) {
            return err_set(e, STATUS_BAD_FORMAT, "%s: entry %llu of the ZIP directory, %s, is damaged",
                           z->path, (unsigned long long)i,
                           bytes_text(text, p + SIZE_CENTRAL,
                                      name < (size_t)(end - p) - SIZE_CENTRAL
                                          ? name
                                          : (size_t)(end - p) - SIZE_CENTRAL));
        }
        memcpy(names, p + SIZE_CENTRAL, name);
        names[name] = '\0';
        m->name = names;
        names += name + 1;
        st = member_check(z, m, p, e);
        if (st != STATUS_OK) return st;
        z->count++;
        p += SIZE_CENTRAL + name + extra + comment;
    }
    return STATUS_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct zip_member *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_name(const void *a, const void *b)
{
    const struct zip_member *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static enum status members_sort(struct zip *z, const struct directory *d, struct err *e)
{
    if (z->count > 0) qsort(z->members, z->count, sizeof *z->members, by_offset);
    for (size_t i = 0; i < z->count; i++) {
        struct zip_member *m = &z->members[i];
        uint64_t room = SIZE_LOCAL + (uint64_t)strlen(m->name);

        m->end = i + 1 < z->count ? m[1].offset : d->offset;
        if (m->end > d->offset) m->end = d->offset;
        if (m->offset > m->end || m->end - m->offset < room || m->end - m->offset - room < m->size_packed) {
            return err_set(e, STATUS_BAD_FORMAT,
                           "%s: ZIP member %s, %llu bytes at offset %llu, runs into %s at offset %llu",
                           z->path, m->name, (unsigned long long)m->size_packed,
                           (unsigned long long)m->offset, m->end == d->offset ? "the directory" : "the next",
                           (unsigned long long)m->end);
        }
    }
    if (z->count > 0) qsort(z->members, z->count, sizeof *z->members, by_name);
    for (size_t i = 1; i < z->count; i++) {
        if (strcmp(z->members[i - 1].name, z->members[i].name) == 0) {
            return err_set(e, STATUS_BAD_FORMAT, "%s: ZIP member %s is there twice", z->path,
                           z->members[i].name);
        }
    }
    return STATUS_OK;
}

enum status zip_open(struct zip *z, const void *data, size_t size, const char *path, struct err *e)
{
    struct directory d = { 0 };
    enum status st;

    memset(z, 0, sizeof *z);
    z->data = data;
    z->size = size;
    z->path = path;
    st = directory_find(z, &d, e);
    if (st == STATUS_OK) st = directory_read(z, &d, e);
    if (st == STATUS_OK) st = members_sort(z, &d, e);
    if (st != STATUS_OK) zip_close(z);
    return st;
}

void zip_close(struct zip *z)
{
    arena_free(&z->arena);
    memset(z, 0, sizeof *z);
}

const struct zip_member *zip_find(const struct zip *z, const char *name)
{
    struct zip_member key = { .name = name };

    if (z->count == 0) return NULL;
    return bsearch(&key, z->members, z->count, sizeof *z->members, by_name);
}

enum status zip_member_data(const struct zip *z, const struct zip_member *m, const unsigned char **data,
                            struct err *e)
{
    const unsigned char *p = z->data + m->offset;
    size_t room = (size_t)(m->end - m->offset) - SIZE_LOCAL, n = strlen(m->name),
           skip = get16(p + 26) + get16(p + 28);

    *data = NULL;
    if (get32(p) != SIGNATURE_LOCAL || get16(p + 26) != n || memcmp(p + SIZE_LOCAL, m->name, n) != 0 ||
        skip > room || room - skip < m->size_packed) {
        return err_set(e, STATUS_BAD_FORMAT, "%s: ZIP member %s has no valid header at offset %llu", z->path,
                       m->name, (unsigned long long)m->offset);
    }
    *data = p + SIZE_LOCAL + skip;
    return STATUS_OK;
}

/* Inflates into out, or with out NULL only to learn the checksum. True when exactly m->size bytes came. */
static bool inflate_member(const struct zip_member *m, const unsigned char *data, unsigned char *out,
                           uLong *crc)
{
    unsigned char scratch[16384];
    const uint64_t step_max = 1u << 30;
    uint64_t fed = 0, done = 0;
    z_stream s = { 0 };
    int rc = Z_OK;

    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return false;
    while (rc == Z_OK) {
        uint64_t left = m->size - done, want = out != NULL && left > 0 ? step_max : sizeof scratch;

        if (s.avail_in == 0) {
            uint64_t n = m->size_packed - fed < step_max ? m->size_packed - fed : step_max;

            s.next_in = (unsigned char *)(uintptr_t)(data + fed);
            s.avail_in = (uInt)n;
            fed += n;
        }
        /* With nothing left to come the scratch takes, and so reveals, what is too much. */
        if (left > 0 && want > left) want = left;
        unsigned char *to = out != NULL && left > 0 ? out + done : scratch;
        s.next_out = to;
        s.avail_out = (uInt)want;
        rc = inflate(&s, Z_NO_FLUSH);
        uint64_t got = want - s.avail_out;
        if (got > left) rc = Z_DATA_ERROR;
        if (rc == Z_OK || rc == Z_STREAM_END) *crc = crc32_z(*crc, to, got);
        done += got;
    }
    inflateEnd(&s);
    return rc == Z_STREAM_END && done == m->size;
}

static enum status packed_damaged(const struct zip *z, const struct zip_member *m, struct err *e)
{
    return err_set(e, STATUS_BAD_FORMAT, "%s: ZIP member %s does not unpack to the %llu bytes it promises",
                   z->path, m->name, (unsigned long long)m->size);
}

enum status zip_member_unpack(const struct zip *z, const struct zip_member *m, void *out, struct err *e)
{
    const unsigned char *data;
    uLong crc = 0;
    enum status st = zip_member_data(z, m, &data, e);

    if (st != STATUS_OK) return st;
    if (!m->deflated) {
        memcpy(out, data, m->size);
        return STATUS_OK;
    }
    return inflate_member(m, data, out, &crc) ? STATUS_OK : packed_damaged(z, m, e);
}

enum status zip_member_check(const struct zip *z, const struct zip_member *m, struct err *e)
{
    const unsigned char *data;
    uLong crc = 0;
    enum status st = zip_member_data(z, m, &data, e);

    if (st != STATUS_OK) return st;
    if (!m->deflated) {
        crc = crc32_z(0, data, m->size);
    } else if (!inflate_member(m, data, NULL, &crc)) {
        return packed_damaged(z, m, e);
    }
    if (crc == m->crc) return STATUS_OK;
    return err_set(e, STATUS_BAD_FORMAT,
                   "%s: ZIP member %s is damaged: its checksum is %08lx, the directory says %08lx", z->path,
                   m->name, crc, (unsigned long)m->crc);
}
