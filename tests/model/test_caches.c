/*
 * test_caches.c - the caches as sessions use them: what was looked at or computed once is not again, in the next session, the next
 * run, or from a saved file; the answers stay the same; and what decides an image's words tells models apart.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "core/file.h"
#include "model/identity.h"
#include "model/session.h"

#define TINY "tests/data/tiny/"

static const char scene[] = "tests/data/images/scene.png", question[] = "What is in the image?",
                  second[] = "And where is it?";

static void look(sphinx_session *session, const char *picture)
{
    sphinx_error error = { 0 };

    if (sphinx_session_image_file(session, picture, &error) != SPHINX_OK) fail_msg("%s", error.text);
}

static sphinx_answer *ask_shortly(sphinx_session *session, const char *text)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.temperature = 0;
    o.max_tokens = 12;
    o.ignore_eos = true;
    return ask(session, text, &o);
}

static bool has_timing(const sphinx_answer *a, const char *stage)
{
    for (size_t i = 0; i < a->n_timings; i++) {
        if (strcmp(a->timings[i].stage, stage) == 0) return true;
    }
    return false;
}

/* A picture of its own for each seed, as a PPM. */
static const char *picture(const struct scratch *s, const char *name, int seed)
{
    const char *path = scratch_path(s, name);
    unsigned char ppm[11 + 8 * 6 * 3] = "P6 8 6 255\n";

    for (size_t i = 11; i < sizeof ppm; i++) ppm[i] = (unsigned char)((int)i * seed);
    scratch_write(path, ppm, sizeof ppm);
    return path;
}

/* ---- images on disk ---------------------------------------------------------------------------------------------- */

static void test_restart(void **state)
{
    struct scratch scratch;
    sphinx_model_options options = { 0 };
    sphinx_answer *first = NULL;

    (void)state;
    scratch_open(&scratch);
    options.image_cache = scratch_path(&scratch, "images");
    for (int run = 0; run < 3; run++) {
        sphinx_model *model = open_model(TINY "llama_ens", &options);
        sphinx_session *session = open_session(model, NULL, scene);
        sphinx_answer *answer = ask_shortly(session, question);

        assert_int_equal(answer->image_cached, run > 0);
        assert_int_equal(has_timing(answer, "encode"), run == 0);
        assert_int_equal(has_timing(answer, "clip"), run == 0);
        assert_int_equal(has_timing(answer, "image_cache"), run > 0);
        assert_int_equal(answer->cached_tokens, 0);
        if (run == 0) first = answer;
        assert_same_answer(first, answer);
        if (run > 0) sphinx_answer_free(answer);
        sphinx_session_close(session);
        sphinx_model_close(model);
    }
    sphinx_answer_free(first);
    scratch_close(&scratch);
}

/* What changes the words must miss, whoever wrote the entry. */
static void test_settings_miss(void **state)
{
    struct scratch scratch;
    sphinx_model_options options = { 0 };
    sphinx_session_options plain = { 0 }, turned = { .apply_exif = true }, blind = { .without = SPHINX_CLIP };
    const sphinx_session_options *const each[] = { &plain, &turned, &blind };

    (void)state;
    scratch_open(&scratch);
    options.image_cache = scratch_path(&scratch, "images");
    for (int run = 0; run < 2; run++) {
        sphinx_model *model = open_model(TINY "llama_ens", &options);

        for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
            sphinx_session *session = open_session(model, each[i], scene);
            sphinx_answer *answer = ask_shortly(session, question);

            assert_int_equal(answer->image_cached, run > 0);
            sphinx_answer_free(answer);
            sphinx_session_close(session);
        }
        sphinx_model_close(model);
    }
    scratch_close(&scratch);
}

/* ---- identities ---------------------------------------------------------------------------------------------------- */

static struct digest sight_of(const char *path, bool precise, bool exact_gelu)
{
    sphinx_model_options options = { .clip_exact_gelu = exact_gelu };
    sphinx_model *model = open_model(path, &options);
    struct digest d;

    identity_sight(&d, &model->network, "portable", precise);
    sphinx_model_close(model);
    return d;
}

static struct digest model_of(const char *path)
{
    sphinx_model *model = open_model(path, NULL);
    struct digest d;

    identity_model(&d, &model->network);
    sphinx_model_close(model);
    return d;
}

static void test_identity(void **state)
{
    struct digest one = sight_of(TINY "llama_ens", false, false),
                  again = sight_of(TINY "llama_ens", false, false),
                  shards = sight_of(TINY "llama_ens-2shards", false, false),
                  safetensors = sight_of(TINY "llama_ens-safetensors", false, false),
                  precise = sight_of(TINY "llama_ens", true, false),
                  gelu = sight_of(TINY "llama_ens", false, true),
                  other = sight_of(TINY "llama_ens5", false, false), all = model_of(TINY "llama_ens"),
                  all_shards = model_of(TINY "llama_ens-2shards"), all_other = model_of(TINY "llama_ens5");

    (void)state;
    assert_true(digest_equal(&one, &again) && digest_equal(&one, &shards) &&
                digest_equal(&one, &safetensors));
    assert_false(digest_equal(&one, &precise));
    assert_false(digest_equal(&one, &gelu));
    assert_false(digest_equal(&one, &other));
    assert_true(digest_equal(&all, &all_shards));
    assert_false(digest_equal(&all, &all_other));
}

/* Gives the tensor that `left` counts down to other content, and back. */
struct change {
    int left;
    struct tensor *changed;
    void *kept, *copy;
};

static void change_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct change *c = v->user;
    size_t size;

    (void)p;
    if (slot == NULL || slot->data == NULL || --c->left != 0) return;
    size = dtype_bytes(slot->dtype, (size_t)(tensor_rows(slot) * slot->stride));
    c->changed = slot;
    c->kept = slot->data;
    c->copy = malloc(size);
    assert_non_null(c->copy);
    for (size_t i = 0; i < size; i++) ((unsigned char *)c->copy)[i] = ((unsigned char *)c->kept)[i] ^ 1;
    slot->data = c->copy;
}

/* Whichever tensor changes throughout, as training changes it, so does the identity; and back. */
static void test_weights_change(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    struct digest before, after;
    int i = 1;

    (void)state;
    identity_model(&before, &model->network);
    for (;; i++) {
        struct change c = { .left = i };
        struct param_visitor v = { .visit = change_visit, .user = &c };

        network_params(&model->network, &v);
        if (c.changed == NULL) break;
        identity_model(&after, &model->network);
        if (digest_equal(&before, &after)) fail_msg("the %dth tensor is not noticed", i);
        c.changed->data = c.kept;
        free(c.copy);
    }
    assert_true(i > 100);
    identity_model(&after, &model->network);
    assert_true(digest_equal(&before, &after));
    sphinx_model_close(model);
}

/* ---- in memory ---------------------------------------------------------------------------------------------------- */

/* The next session about the same image encodes nothing and computes only what is new; of the same question, one token. */
static void test_next_session(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, NULL, scene);
    sphinx_answer *first = ask_shortly(session, question), *next, *again;
    size_t prompt = first->image_tokens + first->prompt_tokens;

    (void)state;
    assert_false(first->image_cached);
    sphinx_session_close(session);
    session = open_session(model, NULL, scene);
    again = ask_shortly(session, question);
    assert_true(again->image_cached && !has_timing(again, "encode"));
    assert_int_equal(again->cached_tokens, prompt - 1);
    assert_same_tokens(first, again);
    sphinx_answer_free(again);
    sphinx_session_clear(session);

    next = ask_shortly(session, second); /* shares image and system sentence */
    assert_true(next->cached_tokens > next->image_tokens + 1 && next->cached_tokens < prompt);
    sphinx_answer_free(next);
    sphinx_session_close(session);

    /* A session of another type or about another image has nothing to gain but the words. */
    session = open_session(model, &(sphinx_session_options){ .kv_type = "bf16" }, scene);
    next = ask_shortly(session, question);
    assert_true(next->image_cached);
    assert_int_equal(next->cached_tokens, 0);
    sphinx_answer_free(next);
    sphinx_session_close(session);
    sphinx_answer_free(first);
    sphinx_model_close(model);
}

/* A second question computes only its own tokens, and so does the first after images went and came back. */
static void test_images_in_turn(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session;
    sphinx_answer *a, *b, *again;
    struct scratch scratch;
    const char *other;

    (void)state;
    scratch_open(&scratch);
    other = picture(&scratch, "other.ppm", 37);
    session = open_session(model, NULL, scene);
    a = ask_shortly(session, question);
    b = ask_shortly(session, second);
    assert_true(b->cached_tokens >= a->image_tokens + a->prompt_tokens);
    sphinx_answer_free(b);
    look(session, other);
    b = ask_shortly(session, question);
    assert_int_equal(b->cached_tokens, 0);
    look(session, scene);
    again = ask_shortly(session, question);
    assert_true(again->image_cached);
    assert_int_equal(again->cached_tokens, a->image_tokens + a->prompt_tokens - 1);
    assert_same_tokens(a, again);
    sphinx_answer_free(again);
    look(session, scene); /* the same once more: all that is there stays */
    again = ask_shortly(session, question);
    assert_int_equal(again->cached_tokens, a->image_tokens + a->prompt_tokens - 1);
    sphinx_answer_free(again);
    sphinx_answer_free(a);
    sphinx_answer_free(b);
    sphinx_session_close(session);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

static void test_off(void **state)
{
    sphinx_model_options options = { .prefix_cache_bytes = -1 };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_answer *first = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        sphinx_session *session = open_session(model, NULL, scene);
        sphinx_answer *answer = ask_shortly(session, question);

        assert_false(answer->image_cached);
        assert_int_equal(answer->cached_tokens, 0);
        if (i == 0) first = answer;
        assert_same_answer(first, answer);
        if (i > 0) sphinx_answer_free(answer);
        sphinx_session_close(session);
    }
    sphinx_answer_free(first);
    sphinx_model_close(model);
}

/* ---- saved sessions -------------------------------------------------------------------------------------------------- */

static void expect(sphinx_status got, sphinx_status want, const sphinx_error *error, const char *part)
{
    if (got != want || strstr(error->text, part) == NULL) fail_msg("status %d: %s", (int)got, error->text);
}

/* Restored elsewhere, a conversation goes on as if nothing had happened: to the last bit, with no encoding and no prefill but of
 * the new tokens. */
static void test_save_and_restore(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL),
                 *later = open_model(TINY "llama_ens-2shards", NULL);
    sphinx_session_options options = { .system = "You are brief." };
    sphinx_session *session = open_session(model, &options, scene), *restored;
    sphinx_answer *first, *here, *there;
    const char *q, *a, *path;
    sphinx_error error = { 0 };
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    path = scratch_path(&scratch, "talk");
    first = ask_shortly(session, question);
    if (sphinx_session_save(session, path, &error) != SPHINX_OK) fail_msg("%s", error.text);
    here = ask_shortly(session, second);

    restored = open_session(later, NULL, NULL);
    if (sphinx_session_restore(restored, path, NULL, 0, &error) != SPHINX_OK) fail_msg("%s", error.text);
    assert_int_equal(sphinx_session_turns(restored), 1);
    assert_true(sphinx_session_turn(restored, 0, &q, &a));
    assert_string_equal(q, question);
    assert_string_equal(a, first->text);
    there = ask_shortly(restored, second);
    assert_same_answer(here, there);
    assert_int_equal(here->cached_tokens, there->cached_tokens);
    assert_true(there->image_cached && !has_timing(there, "encode"));
    expect(sphinx_answer_draw(restored, there, scratch_path(&scratch, "drawn.png"), true, &error), SPHINX_OK,
           &error, "");

    /* Undone and cleared it still has its image and its rows. */
    sphinx_answer_free(there);
    sphinx_session_clear(restored);
    there = ask_shortly(restored, question);
    assert_same_tokens(first, there);
    assert_int_equal(there->cached_tokens, first->image_tokens + first->prompt_tokens - 1);
    sphinx_answer_free(there);
    sphinx_answer_free(here);
    sphinx_answer_free(first);
    sphinx_session_close(restored);
    sphinx_session_close(session);
    sphinx_model_close(later);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

/* A session that holds only an image, or nothing, is a session too. */
static void test_save_little(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, NULL, NULL), *restored = open_session(model, NULL, scene);
    sphinx_error error = { 0 };
    struct scratch scratch;
    sphinx_answer *answer;
    const char *path;

    (void)state;
    scratch_open(&scratch);
    path = scratch_path(&scratch, "talk");
    assert_int_equal(sphinx_session_save(session, path, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_restore(restored, path, NULL, 0, &error), SPHINX_OK);
    answer = ask_shortly(restored, question);
    assert_int_equal(answer->image_tokens, 0);
    sphinx_answer_free(answer);
    look(session, scene);
    assert_int_equal(sphinx_session_save(session, path, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_restore(restored, path, NULL, 0, &error), SPHINX_OK);
    answer = ask_shortly(restored, question);
    assert_int_equal(answer->image_tokens, session->n_words);
    assert_true(answer->image_cached);
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_session_close(restored);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

static void test_refusals(void **state)
{
    static const char text[] = "no image at all";
    sphinx_model *model = open_model(TINY "llama_ens", NULL), *other = open_model(TINY "llama_ens5", NULL),
                 *small = open_model(TINY "llama_ens", &(sphinx_model_options){ .context = 40 });
    sphinx_session *session = open_session(model, NULL, scene), *x;
    sphinx_answer *before = ask_shortly(session, question), *after;
    sphinx_error error = { 0 };
    struct scratch scratch;
    const char *path;

    (void)state;
    scratch_open(&scratch);
    path = scratch_path(&scratch, "talk");
    assert_int_equal(sphinx_session_save(session, path, &error), SPHINX_OK);
    x = open_session(other, NULL, NULL);
    expect(sphinx_session_restore(x, path, NULL, 0, &error), SPHINX_UNSUPPORTED, &error, "of another model");
    sphinx_session_close(x);
    x = open_session(small, NULL, NULL);
    expect(sphinx_session_restore(x, path, NULL, 0, &error), SPHINX_UNSUPPORTED, &error,
           "the context has 40");
    sphinx_session_close(x);
    x = open_session(model, &(sphinx_session_options){ .kv_type = "bf16" }, NULL);
    expect(sphinx_session_restore(x, path, NULL, 0, &error), SPHINX_UNSUPPORTED, &error,
           "this session has bf16");
    sphinx_session_close(x);
    x = open_session(model, &(sphinx_session_options){ .without = SPHINX_DINOV2 }, NULL);
    expect(sphinx_session_restore(x, path, NULL, 0, &error), SPHINX_UNSUPPORTED, &error,
           "encoders switched off");
    sphinx_session_close(x);
    expect(sphinx_session_restore(session, path, text, sizeof text, &error), SPHINX_UNSUPPORTED, &error,
           "about another image");
    expect(sphinx_session_restore(session, scene, NULL, 0, &error), SPHINX_BAD_FORMAT, &error,
           "not a safetensors file");
    expect(sphinx_session_restore(session, scratch_path(&scratch, "none"), NULL, 0, &error), SPHINX_NOT_FOUND,
           &error, "cannot open");
    expect(sphinx_session_save(session, scratch_path(&scratch, "none/x"), &error), SPHINX_NOT_FOUND, &error,
           "cannot write");

    /* None of which the session noticed. */
    assert_int_equal(sphinx_session_turns(session), 1);
    assert_true(sphinx_session_undo(session));
    after = ask_shortly(session, question);
    assert_same_tokens(before, after);
    sphinx_answer_free(after);
    sphinx_answer_free(before);
    sphinx_session_close(session);
    sphinx_model_close(small);
    sphinx_model_close(other);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart),      cmocka_unit_test(test_settings_miss),
        cmocka_unit_test(test_identity),     cmocka_unit_test(test_weights_change),
        cmocka_unit_test(test_next_session), cmocka_unit_test(test_images_in_turn),
        cmocka_unit_test(test_off),          cmocka_unit_test(test_save_and_restore),
        cmocka_unit_test(test_save_little),  cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
