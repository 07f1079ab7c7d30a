/*
 * test_session.c - the public API's promises: same bytes for any threads, shards, formats and levels; turns that compute only their new
 * tokens; contexts that fill up; cancelling; many sessions at once; errors that leave the session as it was.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "backend/cpu/cpu.h"
#include "core/file.h"
#include "model/dump.h"
#include "model/variant.h"
#include "store/safetensors.h"

#include <pthread.h>

#define TINY "tests/data/tiny/"

static const char image[] = "tests/data/images/scene.png", question[] = "What is in the image?";

static sphinx_ask_options greedy(int n)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.temperature = 0;
    o.max_tokens = n;
    return o;
}

/* ---- same bytes ---------------------------------------------------------------------------------------------- */

static void dump_to(const char *model_path, const char *level, int threads, const char *out)
{
    sphinx_model_options options = { .cpu = level, .threads = threads };
    struct dump_options dump = { image, question, out, true };
    sphinx_model *model = open_model(model_path, &options);
    sphinx_session *session = open_session(model, NULL, NULL);
    struct err e = { 0 };

    if (dump_write(session, &dump, &e) != STATUS_OK) fail_msg("%s", e.text);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void assert_same_file(const char *a, const char *b)
{
    struct file_map x, y;
    struct err e = { 0 };

    assert_int_equal(file_map_open(&x, a, &e), STATUS_OK);
    assert_int_equal(file_map_open(&y, b, &e), STATUS_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    file_map_close(&x);
    file_map_close(&y);
}

/* All intermediates, to the last bit: the layout of the weights on disk and the number of threads change nothing. */
static void test_same_bytes(void **state)
{
    static const char *const same[][3] = {
        { TINY "llama_ens", TINY "llama_ens-2shards", TINY "llama_ens-safetensors" },
        { TINY "mixtral_sparse_ens", TINY "mixtral_sparse_ens-2shards", NULL },
        { TINY "llama_ens_light", TINY "llama_ens_light-2shards", TINY "llama_ens_light-safetensors" },
    };
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    for (enum cpu_level level = CPU_REF; level <= cpu_level_best(); level++) {
        for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
            const char *name = cpu_level_name(level), *one = scratch_path(&scratch, "one");

            dump_to(same[i][0], name, 1, one);
            for (int j = 0; j < 3 && same[i][j] != NULL; j++) {
                const char *other = scratch_path(&scratch, "other");

                dump_to(same[i][j], name, 2, other);
                assert_same_file(one, other);
            }
        }
    }
    scratch_close(&scratch);
}

/* The same text and tokens from every level, sampled too. */
static void test_same_text_on_levels(void **state)
{
    static const char *const models[] = { TINY "llama_ens", TINY "llama_ens5_light",
                                          TINY "mixtral_sparse_ens5" };

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        sphinx_answer *first = NULL;

        for (enum cpu_level level = CPU_REF; level <= cpu_level_best(); level++) {
            sphinx_model_options options = { .cpu = cpu_level_name(level), .threads = 1 + (int)level % 2 };
            sphinx_ask_options o = greedy(40);
            sphinx_model *model = open_model(models[i], &options);
            sphinx_session *session = open_session(model, NULL, image);
            sphinx_answer *answer;

            o.temperature = 0.8f;
            o.seed = 7;
            o.ignore_eos = true;
            answer = ask(session, question, &o);
            if (first != NULL) assert_same_tokens(first, answer);
            if (first != NULL) sphinx_answer_free(answer);
            if (first == NULL) first = answer;
            sphinx_session_close(session);
            sphinx_model_close(model);
        }
        sphinx_answer_free(first);
    }
}

/* ---- turns --------------------------------------------------------------------------------------------------- */

static void read_golden_ids(const char *path, const char *name, int64_t *ids, size_t n)
{
    struct safetensors_file f;
    struct err e = { 0 };
    bool found = false;

    assert_int_equal(safetensors_open(&f, path, &e), STATUS_OK);
    for (size_t i = 0; i < f.count; i++) {
        if (strcmp(f.tensors[i].name, name) != 0) continue;
        assert_true((size_t)f.tensors[i].dim[0] >= n);
        memcpy(ids, f.tensors[i].data, n * sizeof *ids);
        found = true;
    }
    assert_true(found);
    safetensors_close(&f);
}

#define TWO_TURNS "tests/data/golden/llama_ens-two_turns.safetensors"
/* The golden's second question; its first answer is the first 8 greedy tokens. */
static const char second[] = "And where is it?";

static void test_two_turns(void **state)
{
    enum { N = 24 };
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, NULL, image), *other;
    sphinx_ask_options o = greedy(8);
    sphinx_answer *first, *again, *next;
    const char *q, *a;
    int64_t want[N];

    (void)state;
    read_golden_ids(TWO_TURNS, "greedy_ids", want, N);
    o.ignore_eos = true;
    first = ask(session, question, &o);
    assert_int_equal(first->cached_tokens, 0);
    o.max_tokens = N;
    next = ask(session, second, &o);
    for (int i = 0; i < N; i++) assert_int_equal(next->tokens[i], want[i]);
    /* Everything up to the first answer was computed before; only the rest is new. */
    assert_true(next->cached_tokens >= first->prompt_tokens + first->image_tokens);
    assert_true(next->cached_tokens < next->prompt_tokens + next->image_tokens);
    assert_int_equal(sphinx_session_turns(session), 2);

    /* A session that only heard of the first turn answers the same without any cache. */
    other = open_session(model, NULL, image);
    assert_int_equal(sphinx_session_append(other, question, first->text, NULL), SPHINX_OK);
    again = ask(other, second, &o);
    assert_int_equal(again->cached_tokens, 0);
    assert_same_tokens(next, again);
    sphinx_answer_free(again);

    /* Undo and ask again: the same answer. */
    assert_true(sphinx_session_undo(session));
    again = ask(session, second, &o);
    assert_same_tokens(next, again);
    assert_true(sphinx_session_turn(session, 1, &q, &a) && !sphinx_session_turn(session, 2, &q, &a));
    assert_string_equal(q, second);
    assert_string_equal(a, again->text);
    sphinx_answer_free(again);
    sphinx_answer_free(next);
    sphinx_answer_free(first);
    sphinx_session_close(other);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* ---- pieces, cancelling, finishing --------------------------------------------------------------------------- */

struct collected {
    char text[4096];
    size_t size, pieces, stop_after;
    sphinx_session *cancel;
};

static int collect(void *user, const char *text, size_t size)
{
    struct collected *c = user;

    assert_true(c->size + size < sizeof c->text);
    memcpy(c->text + c->size, text, size);
    c->size += size;
    c->text[c->size] = '\0';
    c->pieces++;
    if (c->cancel != NULL && c->pieces == 3) sphinx_session_cancel(c->cancel);
    return c->pieces == c->stop_after;
}

static void test_pieces_and_cancel(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, NULL, image);
    sphinx_ask_options o = greedy(30);
    struct collected c = { .pieces = 0 };
    sphinx_answer *answer;
    sphinx_error error;

    (void)state;
    o.piece = collect;
    o.user = &c;
    answer = ask(session, question, &o);
    assert_string_equal(c.text, answer->text);
    assert_true(answer->n_tokens <= 30 && c.pieces >= 2);
    sphinx_answer_free(answer);

    c = (struct collected){ .stop_after = 2 };
    answer = ask(session, question, &o);
    assert_int_equal(answer->finish, SPHINX_FINISH_CANCELLED);
    assert_true(answer->n_tokens < 30);
    sphinx_answer_free(answer);

    c = (struct collected){ .cancel = session };
    o.max_tokens = 3000;
    o.ignore_eos = true;
    answer = ask(session, question, &o);
    assert_int_equal(answer->finish, SPHINX_FINISH_CANCELLED);
    assert_true(answer->n_tokens < 20);
    sphinx_answer_free(answer);

    /* Cancelled before it began: no answer, and the conversation is as it was. */
    sphinx_session_cancel(session);
    assert_int_equal(sphinx_ask(session, question, &o, &answer, &error), SPHINX_CANCELLED);
    assert_null(answer);
    assert_int_equal(sphinx_session_turns(session), 3);
    sphinx_session_cancel(session);
    assert_int_equal(sphinx_session_image_file(session, image, &error), SPHINX_CANCELLED);
    assert_int_equal(sphinx_session_turns(session), 3);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void test_limits(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, NULL, NULL);
    const char *stop[] = { "e" };
    sphinx_ask_options o = greedy(0);
    sphinx_answer *answer;

    (void)state;
    answer = ask(session, question, &o);
    assert_int_equal(answer->n_tokens, 0);
    assert_int_equal(answer->finish, SPHINX_FINISH_LENGTH);
    assert_string_equal(answer->text, "");
    sphinx_answer_free(answer);
    o = greedy(200);
    o.stop = stop;
    o.n_stop = 1;
    answer = ask(session, question, &o);
    assert_null(strchr(answer->text, 'e'));
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* ---- full contexts ------------------------------------------------------------------------------------------- */

struct warnings {
    size_t n;
    char last[1024];
};

static void warn(void *user, const char *text)
{
    struct warnings *w = user;

    w->n++;
    snprintf(w->last, sizeof w->last, "%s", text);
}

/* How many of the oldest turns are left out of those from `first` to before `end`, which differ in length. */
static size_t dropped_of(sphinx_session *s, size_t first, size_t end)
{
    sphinx_ask_options o = greedy(1);
    sphinx_answer *answer;
    size_t dropped;

    sphinx_session_clear(s);
    for (size_t i = first; i < end; i++) {
        char text[64];

        memset(text, 'y', sizeof text);
        text[1 + i * 7 % 40] = '\0';
        assert_int_equal(sphinx_session_append(s, text, "yes", NULL), SPHINX_OK);
    }
    answer = ask(s, question, &o);
    dropped = answer->dropped_turns;
    sphinx_answer_free(answer);
    return dropped;
}

/* No turn more than it takes, of any number of turns, thousands too. */
static void test_dropped_turns(void **state)
{
    sphinx_model_options options = { .context = 300 };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_session *session = open_session(model, NULL, image);

    (void)state;
    for (size_t n = 0; n < 3000; n = n < 24 ? n + 1 : n * 5) {
        size_t dropped = dropped_of(session, 0, n);

        assert_true(n < 24 || dropped > 0);
        assert_int_equal(dropped_of(session, dropped, n), 0);
        if (dropped > 0) assert_int_equal(dropped_of(session, dropped - 1, n), 1);
    }
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void test_full_context(void **state)
{
    sphinx_model_options options = { .context = 300 };
    struct warnings w = { 0 };
    sphinx_session_options heard = { .report = { .warn = warn, .user = &w } };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_session *session = open_session(model, &heard, image);
    sphinx_ask_options o = greedy(20);
    sphinx_answer *answer;
    sphinx_error error;
    char text[2000];

    (void)state;
    o.ignore_eos = true;
    for (int i = 0; i < 8; i++) { /* more turns than fit: the oldest are left out, none fails */
        answer = ask(session, question, &o);
        assert_int_equal(answer->n_tokens, 20);
        if (i == 7) assert_true(answer->dropped_turns > 0);
        sphinx_answer_free(answer);
    }
    assert_non_null(strstr(w.last, "oldest"));
    sphinx_session_clear(session);

    /* A question that leaves less room than the answer wants is cut behind BOS. */
    memset(text, 'x', sizeof text);
    text[110] = '\0';
    o.max_tokens = 200;
    answer = ask(session, text, &o);
    assert_non_null(strstr(w.last, "are cut"));
    assert_true(answer->prompt_tokens + answer->image_tokens + answer->n_tokens <= 300);
    sphinx_answer_free(answer);

    /* One that is longer than the context is refused, and the session goes on. */
    sphinx_session_clear(session);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(sphinx_ask(session, text, &o, &answer, &error), SPHINX_BAD_ARGUMENT);
    assert_non_null(strstr(error.text, "the context of 300 positions"));
    o.max_tokens = 5;
    answer = ask(session, question, &o);
    assert_int_equal(answer->n_tokens, 5);
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* ---- encoders switched off ----------------------------------------------------------------------------------- */

static void test_without(void **state)
{
    sphinx_session_options without = { .without = SPHINX_CLIP | SPHINX_QFORMER };
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = open_session(model, &without, NULL);
    struct dump_options dump = { image, question, NULL, false };
    struct safetensors_file f;
    struct scratch scratch;
    struct err e = { 0 };
    int zero = 0, seen = 0;

    (void)state;
    scratch_open(&scratch);
    dump.out = scratch_path(&scratch, "without");
    assert_int_equal(dump_write(session, &dump, &e), STATUS_OK);
    assert_int_equal(safetensors_open(&f, dump.out, &e), STATUS_OK);
    for (size_t i = 0; i < f.count; i++) {
        const struct raw_tensor *t = &f.tensors[i];
        bool off = strcmp(t->name, "clip") == 0 || strcmp(t->name, "qformer") == 0;
        bool on = strcmp(t->name, "convnext") == 0 || strcmp(t->name, "dinov2") == 0;
        size_t n = 0;
        float sum = 0;

        if (!off && !on) continue;
        assert_true(shape_elements(t->dim, t->n_dims, &n));
        for (size_t j = 0; j < n; j++) sum += ((const float *)t->data)[j] * ((const float *)t->data)[j];
        zero += off && sum == 0;
        seen += on && sum > 0;
    }
    assert_int_equal(zero, 2);
    assert_int_equal(seen, 2);
    safetensors_close(&f);
    scratch_close(&scratch);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

/* ---- views switched off -------------------------------------------------------------------------------------- */

/* Sum of squares of the rows of one of `count` views. */
static double view_energy(const struct raw_tensor *t, size_t view, size_t count)
{
    size_t n = 0;
    double sum = 0;

    assert_true(shape_elements(t->dim, t->n_dims, &n));
    n /= count;
    for (size_t j = view * n; j < (view + 1) * n; j++)
        sum += (double)((const float *)t->data)[j] * (double)((const float *)t->data)[j];
    return sum;
}

/* Of five views the first and the last are off: every encoder's features of these are zero, and of no others. */
static void test_without_views(void **state)
{
    sphinx_session_options without = { .without = SPHINX_VIEW << 0 | SPHINX_VIEW << 4 };
    sphinx_model *model = open_model(TINY "llama_ens5", NULL);
    sphinx_session *session = open_session(model, &without, NULL);
    struct dump_options dump = { image, question, NULL, false };
    struct safetensors_file f;
    struct scratch scratch;
    struct err e = { 0 };
    int seen = 0;

    (void)state;
    scratch_open(&scratch);
    dump.out = scratch_path(&scratch, "without");
    assert_int_equal(dump_write(session, &dump, &e), STATUS_OK);
    assert_int_equal(safetensors_open(&f, dump.out, &e), STATUS_OK);
    for (size_t i = 0; i < f.count; i++) {
        const struct raw_tensor *t = &f.tensors[i];

        for (enum encoder k = 0; k < ENCODER_COUNT; k++) {
            if (strcmp(t->name, encoder_names[k]) != 0) continue;
            for (size_t view = 0; view < 5; view++)
                assert_int_equal(view_energy(t, view, 5) == 0, view == 0 || view == 4);
            seen++;
        }
    }
    assert_int_equal(seen, ENCODER_COUNT);
    safetensors_close(&f);
    scratch_close(&scratch);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

static void test_without_too_many(void **state)
{
    sphinx_session_options without = { .without = SPHINX_VIEW << 1 };
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *session = NULL;
    sphinx_error error = { 0 };

    (void)state;
    assert_int_equal(sphinx_session_open(&session, model, &without, &error), SPHINX_BAD_ARGUMENT);
    assert_non_null(strstr(error.text, "view 1"));
    assert_null(session);
    sphinx_model_close(model);
}

/* ---- many sessions ------------------------------------------------------------------------------------------- */

enum { SESSIONS = 4 };

struct talker {
    sphinx_model *model;
    sphinx_answer *answer;
};

static void *talk(void *user)
{
    struct talker *t = user;
    sphinx_session_options options = { .threads = 1 };
    sphinx_ask_options o = greedy(24);
    sphinx_session *session;

    o.ignore_eos = true;
    o.temperature = 0.7f;
    o.seed = 3;
    if (sphinx_session_open(&session, t->model, &options, NULL) != SPHINX_OK) return NULL;
    if (sphinx_session_image_file(session, image, NULL) == SPHINX_OK)
        sphinx_ask(session, question, &o, &t->answer, NULL);
    sphinx_session_close(session);
    return NULL;
}

static void test_many_sessions(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens5", NULL);
    struct talker talkers[SESSIONS] = { 0 };
    pthread_t threads[SESSIONS];

    (void)state;
    for (int i = 0; i < SESSIONS; i++) {
        talkers[i].model = model;
        assert_int_equal(pthread_create(&threads[i], NULL, talk, &talkers[i]), 0);
    }
    for (int i = 0; i < SESSIONS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SESSIONS; i++) {
        assert_non_null(talkers[i].answer);
        assert_same_tokens(talkers[0].answer, talkers[i].answer);
    }
    for (int i = 0; i < SESSIONS; i++) sphinx_answer_free(talkers[i].answer);
    sphinx_model_close(model);
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

static void expect(sphinx_status got, sphinx_status want, const sphinx_error *error, const char *part)
{
    if (got != want || strstr(error->text, part) == NULL) fail_msg("status %d: %s", (int)got, error->text);
}

static void test_refusals(void **state)
{
    static const char *const text_only = TINY "llama-meta", *const missing = TINY "no-such-model";
    sphinx_model_options o = { .llama_type = "llama_ens", .tokenizer_path = "tests/data/tokenizer.model" };
    sphinx_model *model;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error error = { 0 };
    sphinx_session_options kv = { .kv_type = "q9" };
    sphinx_ask_options bad = greedy(5);

    (void)state;
    expect(sphinx_model_open(&model, &missing, 1, NULL, &error), SPHINX_NOT_FOUND, &error,
           "no such file or folder");
    assert_null(model);
    o.cpu = "mmx";
    expect(sphinx_model_open(&model, &text_only, 1, &o, &error), SPHINX_UNSUPPORTED, &error, "mmx");
    o.cpu = NULL;
    model = open_model(text_only, &o);
    expect(sphinx_session_open(&session, model, &kv, &error), SPHINX_BAD_ARGUMENT, &error, "q9");
    kv.kv_type = "q8_0";
    expect(sphinx_session_open(&session, model, &kv, &error), SPHINX_UNSUPPORTED, &error, "multiple of 32");
    session = open_session(model, NULL, NULL);
    expect(sphinx_session_image_file(session, image, &error), SPHINX_UNSUPPORTED, &error,
           "cannot look at an image");
    expect(sphinx_ask(session, "", &bad, &answer, &error), SPHINX_BAD_ARGUMENT, &error, "empty");
    expect(sphinx_ask(session, "a\xff", &bad, &answer, &error), SPHINX_BAD_ARGUMENT, &error, "the question");
    bad.temperature = -1;
    expect(sphinx_ask(session, "a", &bad, &answer, &error), SPHINX_BAD_ARGUMENT, &error, "temperature");
    bad = greedy(5);
    answer = ask(session, "a", &bad);
    assert_int_equal(answer->image_tokens, 0);
    expect(sphinx_answer_draw(session, answer, "x.png", true, &error), SPHINX_BAD_ARGUMENT, &error,
           "no image");
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),    cmocka_unit_test(test_same_text_on_levels),
        cmocka_unit_test(test_two_turns),     cmocka_unit_test(test_pieces_and_cancel),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_dropped_turns),
        cmocka_unit_test(test_full_context),  cmocka_unit_test(test_without),
        cmocka_unit_test(test_without_views), cmocka_unit_test(test_without_too_many),
        cmocka_unit_test(test_many_sessions), cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
