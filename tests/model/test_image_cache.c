/*
 * test_image_cache.c - image words on disk come back to the last bit; damaged and foreign files are one warning, and are replaced;
 * the bound holds; folders that cannot be written are survived; and what decides the words is in the key.
 */
#include "model/image_cache.h"

#include "core/file.h"
#include "support/scratch.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>

enum { WORDS = 7, WIDTH = 9, FLOATS = WORDS * WIDTH };

static const struct digest sight = { { 5 } }, cat = { { 1 } }, dog = { { 2 } };

struct heard {
    int n;
    char last[1024];
};

static void warn(void *user, const char *text)
{
    struct heard *h = user;

    h->n++;
    snprintf(h->last, sizeof h->last, "%s", text);
}

struct fixture {
    struct scratch scratch;
    struct image_cache cache;
    struct heard heard;
    struct report report;
    float words[FLOATS], got[FLOATS];
    char folder[512];
};

static void setup(struct fixture *t, uint64_t size_max)
{
    struct err e = { 0 };

    memset(t, 0, sizeof *t);
    scratch_open(&t->scratch);
    snprintf(t->folder, sizeof t->folder, "%s/cache", t->scratch.path);
    assert_int_equal(image_cache_init(&t->cache, t->folder, size_max, &sight, &e), STATUS_OK);
    t->report = (struct report){ .warn = warn, .user = &t->heard };
    for (int i = 0; i < FLOATS; i++) t->words[i] = (float)i / 7 - 3;
}

static void teardown(struct fixture *t)
{
    image_cache_free(&t->cache);
    scratch_close(&t->scratch);
}

static bool load(struct fixture *t, const struct digest *image)
{
    memset(t->got, 0, sizeof t->got);
    return image_cache_load(&t->cache, image, t->got, WORDS, WIDTH, &t->report);
}

static void store(struct fixture *t, const struct digest *image)
{
    image_cache_store(&t->cache, image, t->words, WORDS, WIDTH, &t->report);
}

/* How many files there are; the path of one, not `but`, into other [512] if wanted. */
static int count_files(const char *folder, const char *but, char *other)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    int n = 0;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        char path[512];

        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%.250s/%.250s", folder, entry->d_name);
        if (other != NULL && (but == NULL || strcmp(path, but) != 0)) memcpy(other, path, sizeof path);
        n++;
    }
    if (d != NULL) closedir(d);
    return n;
}

static void test_there_and_back(void **state)
{
    struct image_cache other;
    struct digest other_sight = { { 6 } };
    struct fixture t;
    struct err e = { 0 };

    (void)state;
    setup(&t, 0);
    assert_false(load(&t, &cat));
    assert_false(file_exists(t.folder)); /* looking makes nothing */
    store(&t, &cat);
    assert_true(load(&t, &cat));
    assert_memory_equal(t.got, t.words, sizeof t.words);
    assert_false(load(&t, &dog));
    assert_int_equal(t.heard.n, 0);

    /* Another model, or the same on another level, has words of its own. */
    assert_int_equal(image_cache_init(&other, t.folder, 0, &other_sight, &e), STATUS_OK);
    assert_false(image_cache_load(&other, &cat, t.got, WORDS, WIDTH, &t.report));
    image_cache_store(&other, &cat, t.words, WORDS, WIDTH, &t.report);
    assert_int_equal(count_files(t.folder, NULL, NULL), 2);
    image_cache_free(&other);
    teardown(&t);
}

/* Each is found out, said in one sentence, and replaced by the next store. */
static void test_damage(void **state)
{
    static const struct {
        const char *sentence;
        long at; /* from the end if negative */
        int change;
        long cut;
    } cases[] = {
        { "its checksum does not fit", -3, 1, 0 },
        { "truncated", 0, 0, 1 },
        { "truncated", 0, 0, 200 },
        { "not a safetensors file", 7, 1, 0 },
        { "no \"sphinx image words 1\"", 29, 3, 0 },
        { "is empty", 0, 0, 1 << 20 },
    };
    unsigned char *data;
    char path[512];
    struct fixture t;
    struct err e = { 0 };
    size_t size;

    (void)state;
    setup(&t, 0);
    store(&t, &cat);
    assert_int_equal(count_files(t.folder, NULL, path), 1);
    assert_int_equal(file_read(path, 1 << 20, &data, &size, &e), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t at = cases[i].at < 0 ? size - (size_t)-cases[i].at : (size_t)cases[i].at;
        size_t cut = (size_t)cases[i].cut < size ? (size_t)cases[i].cut : size;

        data[at] = (unsigned char)(data[at] + cases[i].change);
        scratch_write(path, data, size - cut);
        data[at] = (unsigned char)(data[at] - cases[i].change);
        t.heard.n = 0;
        if (load(&t, &cat)) fail_msg("case %zu: damage is not noticed", i);
        if (t.heard.n != 1 || strstr(t.heard.last, cases[i].sentence) == NULL)
            fail_msg("case %zu: %d warnings, the last: %s", i, t.heard.n, t.heard.last);
        store(&t, &cat);
        assert_true(load(&t, &cat));
        assert_memory_equal(t.got, t.words, sizeof t.words);
    }
    free(data);
    teardown(&t);
}

/* A whole file that belongs elsewhere: under another key, of other words, or not of numbers. */
static void test_foreign(void **state)
{
    char cat_path[512], dog_path[512];
    struct fixture t;

    (void)state;
    setup(&t, 0);
    store(&t, &cat);
    assert_int_equal(count_files(t.folder, NULL, cat_path), 1);
    store(&t, &dog);
    assert_int_equal(count_files(t.folder, cat_path, dog_path), 2);
    assert_int_equal(rename(cat_path, dog_path), 0);
    assert_false(load(&t, &dog));
    assert_non_null(strstr(t.heard.last, "holds another image"));
    t.heard.n = 0;
    t.words[FLOATS - 1] = NAN;
    store(&t, &cat);
    assert_false(load(&t, &cat));
    assert_non_null(strstr(t.heard.last, "not finite"));
    assert_false(image_cache_load(&t.cache, &cat, t.got, WORDS - 1, WIDTH, &t.report));
    assert_non_null(strstr(t.heard.last, "wanted [6, 9] of f32, found [7, 9] of f32"));
    assert_int_equal(t.heard.n, 2);
    teardown(&t);
}

static void test_bound(void **state)
{
    char path[512], stranger[512];
    struct stat st;
    struct fixture t;

    (void)state;
    setup(&t, 0);
    store(&t, &cat);
    assert_int_equal(count_files(t.folder, NULL, path), 1);
    assert_int_equal(stat(path, &st), 0);
    snprintf(stranger, sizeof stranger, "%.250s/notes.txt", t.folder);
    scratch_write(stranger, path, 500);
    t.cache.size_max = 3 * (uint64_t)st.st_size;
    for (uint8_t i = 10; i < 14;
         i++) { /* the cat's file is used each time, so it outlives those in between */
        struct timespec now[2] = { { 0, UTIME_OMIT }, { 1000 + i, 0 } };

        store(&t, &(struct digest){ { i } });
        assert_true(load(&t, &(struct digest){ { i } }));
        assert_int_equal(utimensat(AT_FDCWD, path, now, 0), 0);
        assert_true(load(&t, &cat));
    }
    assert_int_equal(count_files(t.folder, NULL, NULL), 3 + 1);
    assert_true(file_exists(stranger));
    assert_true(load(&t, &(struct digest){ { 13 } }));
    assert_false(load(&t, &(struct digest){ { 10 } }));
    assert_int_equal(t.heard.n, 0);

    /* A bound below one entry keeps nothing, and says so once. */
    t.cache.size_max = 100;
    store(&t, &dog);
    store(&t, &dog);
    assert_int_equal(t.heard.n, 1);
    assert_non_null(strstr(t.heard.last, "its bound of 100 bytes"));
    teardown(&t);
}

static void test_no_folder(void **state)
{
    struct fixture t;

    (void)state;
    setup(&t, 0);
    scratch_write(t.folder, "x", 1); /* a file where the folder should be */
    assert_false(load(&t, &cat));
    store(&t, &cat);
    store(&t, &dog);
    assert_int_equal(t.heard.n, 1);
    assert_non_null(strstr(t.heard.last, "images are not kept"));
    teardown(&t);
}

/* ---- several at once --------------------------------------------------------------------------------------------- */

enum { WORKERS = 4, ROUNDS = 20 };

struct worker {
    struct fixture *t;
    bool ok;
};

static void *work(void *user)
{
    struct worker *w = user;
    float got[FLOATS];

    w->ok = true;
    for (int round = 0; round < ROUNDS; round++) {
        struct digest d = { { (uint8_t)(round % 5), 9 } };

        image_cache_store(&w->t->cache, &d, w->t->words, WORDS, WIDTH, &w->t->report);
        if (image_cache_load(&w->t->cache, &d, got, WORDS, WIDTH, &w->t->report) &&
            memcmp(got, w->t->words, sizeof got) != 0)
            w->ok = false;
    }
    return NULL;
}

static void test_several_at_once(void **state)
{
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    struct fixture t;

    (void)state;
    setup(&t, 2000); /* about three entries: much is removed while others read it */
    for (int i = 0; i < WORKERS; i++) {
        workers[i].t = &t;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(workers[i].ok);
    }
    assert_int_equal(t.heard.n, 0);
    teardown(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_foreign),        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_no_folder),      cmocka_unit_test(test_several_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
