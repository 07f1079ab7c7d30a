/*
 * zip_build.h - makes ZIP archives in memory, sound ones and, by patching them afterwards, broken ones; and
 * torch files from a pickle.
 */
#ifndef TESTS_STORE_ZIP_BUILD_H
#define TESTS_STORE_ZIP_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { ZIP_BUILD_MEMBERS = 32 };

struct zip_build {
    unsigned char *data;
    size_t size, capacity;
    struct {
        char name[64];
        uint32_t crc;
        size_t offset, size, size_packed;
        bool deflated;
    } members[ZIP_BUILD_MEMBERS];
    size_t count;
    size_t directory, end64, end; /* where they begin, after zip_build_end */
};

static inline void zip_build_put(struct zip_build *z, const void *data, size_t size)
{
    if (z->size + size > z->capacity) {
        z->capacity = 2 * (z->size + size);
        z->data = realloc(z->data, z->capacity);
        assert_non_null(z->data);
    }
    if (size > 0) memcpy(z->data + z->size, data, size);
    z->size += size;
}

static inline void zip_build_number(struct zip_build *z, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned char b = (unsigned char)(value >> (8 * i));

        zip_build_put(z, &b, 1);
    }
}

static inline void zip_build_patch(struct zip_build *z, size_t at, unsigned bytes, uint64_t value)
{
    assert_true(at + bytes <= z->size);
    for (unsigned i = 0; i < bytes; i++) z->data[at + i] = (unsigned char)(value >> (8 * i));
}

static inline void zip_build_add(struct zip_build *z, const char *name, const void *data, size_t size,
                                 bool deflated)
{
    unsigned char packed[4096];
    size_t k = z->count++, n = size;

    assert_true(k < ZIP_BUILD_MEMBERS && strlen(name) < sizeof z->members[k].name);
    strcpy(z->members[k].name, name);
    z->members[k].crc = (uint32_t)crc32_z(0, data, size);
    z->members[k].offset = z->size;
    z->members[k].size = size;
    z->members[k].deflated = deflated;
    if (deflated) {
        z_stream s = { 0 };

        assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
        s.next_in = (unsigned char *)(uintptr_t)data;
        s.avail_in = (uInt)size;
        s.next_out = packed;
        s.avail_out = sizeof packed;
        assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
        n = s.total_out;
        deflateEnd(&s);
        data = packed;
    }
    z->members[k].size_packed = n;
    zip_build_number(z, 4, 0x04034b50);
    zip_build_number(z, 2, 20);
    zip_build_number(z, 2, 0);
    zip_build_number(z, 2, deflated ? 8 : 0);
    zip_build_number(z, 4, 0);
    zip_build_number(z, 4, 0); /* as torch: checksum and sizes only in the directory */
    zip_build_number(z, 8, 0);
    zip_build_number(z, 2, strlen(name));
    zip_build_number(z, 2, 0);
    zip_build_put(z, name, strlen(name));
    zip_build_put(z, data, n);
}

/* The directory and the end records; with zip64 every field that can be is moved to its ZIP64 place. */
static inline void zip_build_end(struct zip_build *z, bool zip64)
{
    size_t size;

    z->directory = z->size;
    for (size_t i = 0; i < z->count; i++) {
        zip_build_number(z, 4, 0x02014b50);
        zip_build_number(z, 4, 20 | 20 << 16);
        zip_build_number(z, 2, 0);
        zip_build_number(z, 2, z->members[i].deflated ? 8 : 0);
        zip_build_number(z, 4, 0);
        zip_build_number(z, 4, z->members[i].crc);
        zip_build_number(z, 4, zip64 ? 0xffffffff : z->members[i].size_packed);
        zip_build_number(z, 4, zip64 ? 0xffffffff : z->members[i].size);
        zip_build_number(z, 2, strlen(z->members[i].name));
        zip_build_number(z, 2, zip64 ? 28 : 0);
        zip_build_number(z, 8, 0); /* comment, disk, attributes */
        zip_build_number(z, 2, 0);
        zip_build_number(z, 4, zip64 ? 0xffffffff : z->members[i].offset);
        zip_build_put(z, z->members[i].name, strlen(z->members[i].name));
        if (!zip64) continue;
        zip_build_number(z, 4, 1 | 24 << 16);
        zip_build_number(z, 8, z->members[i].size);
        zip_build_number(z, 8, z->members[i].size_packed);
        zip_build_number(z, 8, z->members[i].offset);
    }
    size = z->size - z->directory;
    z->end64 = z->size;
    if (zip64) {
        zip_build_number(z, 4, 0x06064b50);
        zip_build_number(z, 8, 44);
        zip_build_number(z, 4, 45 | 45 << 16);
        zip_build_number(z, 8, 0);
        zip_build_number(z, 8, z->count);
        zip_build_number(z, 8, z->count);
        zip_build_number(z, 8, size);
        zip_build_number(z, 8, z->directory);
        zip_build_number(z, 4, 0x07064b50);
        zip_build_number(z, 4, 0);
        zip_build_number(z, 8, z->end64);
        zip_build_number(z, 4, 1);
    }
    z->end = z->size;
    zip_build_number(z, 4, 0x06054b50);
    zip_build_number(z, 4, 0);
    zip_build_number(z, 2, zip64 ? 0xffff : z->count);
    zip_build_number(z, 2, zip64 ? 0xffff : z->count);
    zip_build_number(z, 4, zip64 ? 0xffffffff : size);
    zip_build_number(z, 4, zip64 ? 0xffffffff : z->directory);
    zip_build_number(z, 2, 0);
}

/* A torch file around a pickle, with one storage "0" of 24 bytes. The caller frees z->data. */
static inline void zip_build_torch(struct zip_build *z, const void *pickle, size_t size)
{
    static const float storage[6] = { 0, 1, 2, 3, 4, 5 };

    memset(z, 0, sizeof *z);
    zip_build_add(z, "top/data.pkl", pickle, size, false);
    zip_build_add(z, "top/data/0", storage, sizeof storage, false);
    zip_build_add(z, "top/version", "3\n", 2, false);
    zip_build_end(z, false);
}

#endif
