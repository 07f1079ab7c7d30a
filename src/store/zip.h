/*
 * zip.h - a read-only view of a ZIP archive in memory, normally a mapped file.
 *
 *   [local header][padding][data][descriptor] ... [central directory][zip64 end][zip64 locator][end]
 *
 * Reading starts at the end: sizes and offsets come from the central directory alone (torch leaves them zero
 * in the local headers); only the place where a member's data begins needs its local header, and that is read
 * when somebody asks for the data. So opening 33 GB touches a few pages.
 *
 * Checked at opening: every extent lies inside the archive, none overlaps another or the directory, no name
 * occurs twice. Encrypted, multi-disk and other than stored or deflated members are refused.
 */
#ifndef SPHINX_STORE_ZIP_H
#define SPHINX_STORE_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/status.h"

struct zip_member {
    const char *name; /* NUL-terminated, owned by the zip */
    uint64_t offset;  /* of the local header */
    uint64_t end;     /* where the next member's header or the directory begins: the data ends before it */
    uint64_t size_packed, size;
    uint32_t crc;
    bool deflated;
};

struct zip {
    const unsigned char *data; /* borrowed */
    size_t size;
    const char *path;           /* borrowed, for messages */
    struct zip_member *members; /* sorted by name */
    size_t count;
    struct arena arena;
};

/* Does not copy: data and path must outlive z. Not an archive or a broken one: BAD_FORMAT. */
enum status zip_open(struct zip *z, const void *data, size_t size, const char *path, struct err *e);
void zip_close(struct zip *z); /* accepts a zeroed zip */

/* NULL when there is none. Borrowed. */
const struct zip_member *zip_find(const struct zip *z, const char *name);

/* The packed bytes of a member, size_packed of them, inside the archive. */
enum status zip_member_data(const struct zip *z, const struct zip_member *m, const unsigned char **data,
                            struct err *e);

/* Unpacks a member of any kind into out [m->size]. Data that gives more or fewer bytes is BAD_FORMAT. */
enum status zip_member_unpack(const struct zip *z, const struct zip_member *m, void *out, struct err *e);

/* Reads the whole member and compares its CRC-32 with the directory's. */
enum status zip_member_check(const struct zip *z, const struct zip_member *m, struct err *e);

#endif
