/*
 * test_prompt_cache.c - the file of a conversation: all of it comes back to the last bit; what is damaged, of another model or of
 * other settings is refused in one sentence; and a file that cannot be written leaves the old one alone.
 */
#include "model/prompt_cache.h"

#include "core/file.h"
#include "support/scratch.h"

#include <math.h>

enum { LAYERS = 2, WIDTH = 8, WORDS = 3, IDS = 4, SIDE = 5, ROWS = IDS + WORDS };

static const struct prompt_setting setting = {
    .model = { { 7 } },
    .level = "avx2",
    .kv_type = DTYPE_F16,
    .n_layers = LAYERS,
    .vocab = 10,
    .kv_width = WIDTH,
    .context = 16,
    .n_words = WORDS,
    .width = WIDTH,
};

struct fixture {
    struct scratch scratch;
    char path[512];
    struct prompt_turn turns[2];
    int32_t ids[IDS];
    uint16_t rows[2 * LAYERS][ROWS * WIDTH];
    const void *pointers[2 * LAYERS];
    unsigned char pixels[SIDE * (SIDE + 1) * 3];
    float words[WORDS * WIDTH];
    struct prompt_content content;
};

static void setup(struct fixture *t)
{
    memset(t, 0, sizeof *t);
    scratch_open(&t->scratch);
    snprintf(t->path, sizeof t->path, "%s/talk.cache", t->scratch.path);
    t->turns[0] = (struct prompt_turn){ "What is \"this\"?", "A \xf0\x9f\x90\x88,\nand a line." };
    t->turns[1] = (struct prompt_turn){ "Where?", "" };
    for (int i = 0; i < IDS; i++) t->ids[i] = i + 1;
    for (int i = 0; i < 2 * LAYERS; i++) {
        for (int j = 0; j < ROWS * WIDTH; j++) t->rows[i][j] = (uint16_t)(1000 * i + j);
        t->pointers[i] = t->rows[i];
    }
    for (size_t i = 0; i < sizeof t->pixels; i++) t->pixels[i] = (unsigned char)(i * 7);
    for (int i = 0; i < WORDS * WIDTH; i++) t->words[i] = (float)i / 3;
    t->content = (struct prompt_content){
        .system = "Be \xc3\xa4rnest.",
        .turns = t->turns,
        .n_turns = 2,
        .has_image = true,
        .image = { { 9 } },
        .image_width = SIDE + 1,
        .image_height = SIDE,
        .pixels = t->pixels,
        .words = t->words,
        .ids = t->ids,
        .n_ids = IDS,
        .rows = t->pointers,
    };
}

static void save(struct fixture *t, const struct prompt_setting *s)
{
    struct err e = { 0 };

    if (prompt_cache_write(t->path, s, &t->content, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void refused(const struct fixture *t, const struct prompt_setting *s, enum status want,
                    const char *sentence)
{
    struct prompt_cache p;
    struct err e = { 0 };
    enum status st = prompt_cache_open(&p, t->path, s, &e);

    if (st != want || strstr(e.text, sentence) == NULL)
        fail_msg("status %d, wanted %d: %s", st, want, e.text);
    prompt_cache_close(&p);
}

static void test_there_and_back(void **state)
{
    struct prompt_cache p;
    struct fixture t;
    struct err e = { 0 };

    (void)state;
    setup(&t);
    save(&t, &setting);
    if (prompt_cache_open(&p, t.path, &setting, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_string_equal(p.content.system, t.content.system);
    assert_int_equal(p.content.n_turns, 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(p.content.turns[i].question, t.turns[i].question);
        assert_string_equal(p.content.turns[i].answer, t.turns[i].answer);
    }
    assert_true(p.content.has_image && digest_equal(&p.content.image, &t.content.image));
    assert_int_equal(p.content.image_width, SIDE + 1);
    assert_int_equal(p.content.image_height, SIDE);
    assert_memory_equal(p.content.pixels, t.pixels, sizeof t.pixels);
    assert_memory_equal(p.content.words, t.words, sizeof t.words);
    assert_int_equal(p.content.n_ids, IDS);
    assert_memory_equal(p.content.ids, t.ids, sizeof t.ids);
    for (int i = 0; i < 2 * LAYERS; i++) assert_memory_equal(p.content.rows[i], t.rows[i], sizeof t.rows[i]);
    prompt_cache_close(&p);
    scratch_close(&t.scratch);
}

/* Without image, without anything computed, with nothing at all; and keys in a type that safetensors does not know. */
static void test_less(void **state)
{
    struct prompt_setting s = setting;
    struct prompt_cache p;
    struct fixture t;
    struct err e = { 0 };
    unsigned char block[ROWS * 34];

    (void)state;
    setup(&t);
    t.content.has_image = false;
    s.n_words = 0; /* a model that reads only */
    save(&t, &s);
    if (prompt_cache_open(&p, t.path, &s, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_false(p.content.has_image);
    assert_memory_equal(p.content.rows[1], t.rows[1], IDS * WIDTH * 2);
    prompt_cache_close(&p);

    t.content.n_ids = t.content.n_turns = 0;
    save(&t, &s);
    if (prompt_cache_open(&p, t.path, &s, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(p.content.n_ids + p.content.n_turns, 0);
    prompt_cache_close(&p);

    setup(&t);
    s = setting;
    s.kv_type = DTYPE_Q8_0;
    s.kv_width = 32;
    for (size_t i = 0; i < sizeof block; i++) block[i] = (unsigned char)(i * 3);
    for (int i = 0; i < 2 * LAYERS; i++) t.pointers[i] = block;
    save(&t, &s);
    if (prompt_cache_open(&p, t.path, &s, &e) != STATUS_OK) fail_msg("%s", e.text);
    for (int i = 0; i < 2 * LAYERS; i++) assert_memory_equal(p.content.rows[i], block, sizeof block);
    prompt_cache_close(&p);
    scratch_close(&t.scratch);
}

static void test_other_settings(void **state)
{
    struct prompt_setting s = setting;
    struct fixture t;

    (void)state;
    setup(&t);
    save(&t, &setting);
    s.model.byte[31] = 1;
    refused(&t, &s, STATUS_UNSUPPORTED, "of another model");
    s = setting;
    s.level = "avx512";
    refused(&t, &s, STATUS_UNSUPPORTED, "the instruction level avx2, this session has avx512");
    s = setting;
    s.kv_type = DTYPE_F32;
    refused(&t, &s, STATUS_UNSUPPORTED, "a key/value cache in f16, this session has f32");
    s = setting;
    s.precise = true;
    refused(&t, &s, STATUS_UNSUPPORTED, "a precise computation: no, this session has yes");
    s = setting;
    s.without = 4;
    refused(&t, &s, STATUS_UNSUPPORTED, "encoders switched off: 0, this session has 4");
    s = setting;
    s.context = ROWS - 1;
    refused(&t, &s, STATUS_UNSUPPORTED, "holds 7 positions, the context has 6");
    s = setting;
    s.n_words = 0;
    refused(&t, &s, STATUS_UNSUPPORTED, "this model cannot look at one");
    scratch_close(&t.scratch);
}

/* Every byte is guarded, and so is every length. */
static void test_damage(void **state)
{
    unsigned char *data;
    struct fixture t;
    struct err e = { 0 };
    size_t size;

    (void)state;
    setup(&t);
    refused(&t, &setting, STATUS_NOT_FOUND, "cannot open");
    save(&t, &setting);
    assert_int_equal(file_read(t.path, 1 << 20, &data, &size, &e), STATUS_OK);
    for (size_t at = 0; at < size; at++) {
        struct prompt_cache p;
        unsigned char kept = data[at];

        data[at] ^= 1;
        scratch_write(t.path, data, size);
        err_clear(&e);
        if (prompt_cache_open(&p, t.path, &setting, &e) == STATUS_OK) fail_msg("byte %zu may change", at);
        assert_true(e.text[0] != '\0');
        data[at] = kept;
    }
    for (size_t n = 0; n < size; n += 13) {
        scratch_write(t.path, data, n);
        refused(&t, &setting, STATUS_BAD_FORMAT, t.path);
    }
    free(data);
    scratch_write(t.path, "\x89PNG\r\n\x1a\n and so on", 19);
    refused(&t, &setting, STATUS_BAD_FORMAT, "not a safetensors file");
    scratch_close(&t.scratch);
}

/* A checksum that fits does not make a file sane. */
static void test_bad_content(void **state)
{
    struct fixture t;

    (void)state;
    setup(&t);
    t.ids[2] = 10;
    save(&t, &setting);
    refused(&t, &setting, STATUS_BAD_FORMAT, "not in the vocabulary");
    t.ids[2] = -1;
    save(&t, &setting);
    refused(&t, &setting, STATUS_BAD_FORMAT, "not in the vocabulary");
    t.ids[2] = 1;
    t.words[5] = NAN;
    save(&t, &setting);
    refused(&t, &setting, STATUS_BAD_FORMAT, "not finite");
    scratch_close(&t.scratch);
}

static void test_not_written(void **state)
{
    struct fixture t;
    struct err e = { 0 };

    (void)state;
    setup(&t);
    snprintf(t.path, sizeof t.path, "%.250s/none/talk.cache", t.scratch.path);
    assert_int_equal(prompt_cache_write(t.path, &setting, &t.content, &e), STATUS_NOT_FOUND);
    scratch_close(&t.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_less),
        cmocka_unit_test(test_other_settings), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_content),    cmocka_unit_test(test_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
