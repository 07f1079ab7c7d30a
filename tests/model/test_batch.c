/*
 * test_batch.c - questions answered together: every answer is, to the last bit, the one given alone, whoever joins, leaves, fails or is
 * cancelled meanwhile.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "backend/cpu/cpu.h"
#include "model/convert.h"
#include "model/synthetic.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define TINY "tests/data/tiny/"

static const char image[] = "tests/data/images/scene.png";

static void check_answer(const sphinx_answer *got, const sphinx_answer *want, size_t i)
{
    if (strcmp(got->text, want->text) != 0) fail_msg("%zu: \"%s\", alone \"%s\"", i, got->text, want->text);
    assert_same_answer(got, want);
    assert_int_equal(got->cached_tokens, want->cached_tokens);
    assert_int_equal(got->prompt_tokens, want->prompt_tokens);
}

/* ---- many users ---------------------------------------------------------------------------------------------- */

enum { USERS = 14, TURNS = 2 };

static uint32_t random_state;

static uint32_t draw(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % n;
}

struct user {
    sphinx_session *session;
    char question[TURNS][200];
    sphinx_ask_options options;
    sphinx_answer *alone[TURNS];
    int turn;
    bool asking;
};

static sphinx_session *open_for(size_t i, sphinx_model *model)
{
    sphinx_session_options o = { .threads = 1 + (int)(i % 2) };

    return open_session(model, &o, i % 3 != 2 ? image : NULL);
}

/* Different lengths of prompts and answers, seeds, temperatures; some without an image. */
static void make_user(struct user *u, size_t i)
{
    memset(u, 0, sizeof *u);
    for (int t = 0; t < TURNS; t++) {
        size_t n = (size_t)snprintf(u->question[t], sizeof u->question[t], "What is in picture %zu", i);

        for (uint32_t words = draw(25); words > 0; words--)
            n += (size_t)snprintf(u->question[t] + n, sizeof u->question[t] - n, " %c%u", 'a' + (int)draw(26),
                                  (unsigned)draw(10));
    }
    u->options = sphinx_ask_options_default();
    u->options.max_tokens = 1 + (int)draw(40);
    u->options.temperature = i % 4 == 0 ? 0 : 0.9f;
    u->options.repeat_penalty = i % 5 == 1 ? 1.2f : 1;
    u->options.seed = i;
    u->options.ignore_eos = i % 2 == 0;
}

static void ask_alone(struct user *u, size_t i, sphinx_model *model)
{
    sphinx_session *s = open_for(i, model);
    sphinx_error error = { 0 };

    for (int t = 0; t < TURNS; t++)
        if (sphinx_ask(s, u->question[t], &u->options, &u->alone[t], &error) != SPHINX_OK)
            fail_msg("%s", error.text);
    sphinx_session_close(s);
}

/* A finished answer is compared, and its session may go on with its next question. */
static void take(sphinx_batch *batch, struct user *users, size_t *left)
{
    sphinx_error error = { 0 };
    sphinx_session *session;
    sphinx_answer *answer;

    while (sphinx_batch_take(batch, &session, &answer, &error)) {
        size_t i = 0;

        if (answer == NULL) fail_msg("%s", error.text);
        while (users[i].session != session) i++;
        check_answer(answer, users[i].alone[users[i].turn], i);
        sphinx_answer_free(answer);
        users[i].turn++;
        users[i].asking = false;
        --*left;
    }
}

static void ask_together(struct user *users, sphinx_model *model, int threads)
{
    size_t left = (size_t)USERS * TURNS;
    sphinx_error error = { 0 };
    sphinx_batch *batch;

    if (sphinx_batch_open(&batch, model, threads, &error) != SPHINX_OK) fail_msg("%s", error.text);
    for (size_t i = 0; i < USERS; i++) {
        users[i].session = open_for(i, model);
        users[i].turn = 0;
    }
    while (left > 0) {
        for (size_t i = 0; i < USERS; i++) {
            struct user *u = &users[i];

            if (u->asking || u->turn == TURNS || draw(6) != 0) continue;
            if (sphinx_batch_add(batch, u->session, u->question[u->turn], &u->options, &error) != SPHINX_OK)
                fail_msg("%s", error.text);
            u->asking = true;
        }
        sphinx_batch_step(batch);
        if (draw(3) == 0) take(batch, users, &left);
    }
    assert_int_equal(sphinx_batch_step(batch), 0);
    sphinx_batch_close(batch);
    for (size_t i = 0; i < USERS; i++) sphinx_session_close(users[i].session);
}

static void check_model(const char *path, const char *level, int chunk, bool precise)
{
    /* What another session computed is reused as it is, so without the prefix cache. */
    sphinx_model_options options = {
        .cpu = level, .chunk = chunk, .threads = 2, .precise = precise, .prefix_cache_bytes = -1
    };
    sphinx_model *model = open_model(path, &options);
    struct user users[USERS];

    for (size_t i = 0; i < USERS; i++) {
        make_user(&users[i], i);
        ask_alone(&users[i], i, model);
    }
    for (int threads = 1; threads <= 2; threads++) ask_together(users, model, threads);
    for (size_t i = 0; i < USERS; i++)
        for (int t = 0; t < TURNS; t++) sphinx_answer_free(users[i].alone[t]);
    sphinx_model_close(model);
}

static void test_same_bits_as_alone(void **state)
{
    static const char *const models[] = { TINY "llama_ens", TINY "llama_ens-bf16", TINY "mixtral_sparse_ens",
                                          TINY "llama_ens5_light" };

    (void)state;
    random_state = 1;
    for (enum cpu_level level = CPU_PORTABLE; level <= cpu_level_best(); level++)
        for (size_t i = 0; i < sizeof models / sizeof *models; i++)
            check_model(models[i], cpu_level_name(level), i % 2 == 0 ? 0 : 37, i == 3);
}

/* Heads that fill blocks of 32, so that keys and values can be q8_0. */
static const char config[] =
    "{\"dim\": 128, \"n_layers\": 2, \"n_heads\": 4, \"n_kv_heads\": 2, \"multiple_of\": 32, \"vision\": {"
    "\"image_size\": 64, \"view_size\": 32, \"convnext\": {\"image_size\": 64, \"depths\": [1, 1, 1, 1], "
    "\"dims\": [8, 8, 16, 16]}, \"dinov2\": {\"patch_size\": 8, \"pretrain_size\": 32, \"width\": 16, "
    "\"layers\": 1, \"heads\": 2, \"ffn_width\": 24}}}";

static sphinx_model *synthetic_model(const struct scratch *scratch)
{
    struct synthetic_options o = { .llama_type = "llama_ens_light",
                                   .tokenizer_path = "tests/data/tokenizer.model",
                                   .config_path = scratch_path(scratch, "config.json"),
                                   .shards = 1,
                                   .safetensors = true,
                                   .dtype = DTYPE_BF16,
                                   .seed = 3 };
    const char *folder = scratch_path(scratch, "model");
    struct err e = { 0 };

    scratch_write(o.config_path, config, sizeof config - 1);
    if (synthetic_write(folder, &o, &e) != STATUS_OK) fail_msg("%s", e.text);
    return open_model(folder, &(sphinx_model_options){ .prefix_cache_bytes = -1 });
}

/* Keys and values of several types at once, alone and together. */
static void test_same_bits_for_types_of_the_cache(void **state)
{
    enum { N = 6 };
    static const char *const types[] = { "q8_0", "f16", "q8_0", "bf16", "q8_0", "f32" };
    struct scratch scratch;
    sphinx_model *model;
    sphinx_session *sessions[N];
    const char *questions[N];
    sphinx_ask_options options[N];
    sphinx_answer *alone[N], *together[N];

    (void)state;
    scratch_open(&scratch);
    model = synthetic_model(&scratch);
    for (int i = 0; i < N; i++) {
        sphinx_session_options with = { .kv_type = types[i] };

        questions[i] = i < 3 ? "What?" : "What is it that stands there beside the house, and how many?";
        options[i] = sphinx_ask_options_default();
        options[i].max_tokens = 20 + 3 * i;
        options[i].temperature = i % 2 == 0 ? 0 : 1;
        options[i].ignore_eos = true;
        assert_int_equal(sphinx_session_open(&sessions[i], model, &with, NULL), SPHINX_OK);
        assert_int_equal(sphinx_ask(sessions[i], questions[i], &options[i], &alone[i], NULL), SPHINX_OK);
        sphinx_session_close(sessions[i]);
        assert_int_equal(sphinx_session_open(&sessions[i], model, &with, NULL), SPHINX_OK);
    }
    assert_int_equal(sphinx_ask_many(sessions, questions, options, N, together, NULL), SPHINX_OK);
    for (int i = 0; i < N; i++) {
        check_answer(together[i], alone[i], (size_t)i);
        sphinx_answer_free(together[i]);
        sphinx_answer_free(alone[i]);
        sphinx_session_close(sessions[i]);
    }
    sphinx_model_close(model);
    scratch_close(&scratch);
}

/* Quantised weights too. */
static void test_same_bits_quantised(void **state)
{
    static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q4_0 };
    static const char *const from[] = { TINY "llama_ens5", TINY "mixtral_sparse_ens" };
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    random_state = 2;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const char *out = scratch_path(&scratch, i == 0 ? "q8_0.gguf" : "q4_0.gguf");
        struct policy policy = { .type = types[i] };
        struct load_options in = { .paths = &from[i], .n_paths = 1, .ranks = 1 };
        struct convert_options to = {
            .out = out, .format = MODEL_GGUF, .shards = 1, .policy = &policy, .threads = 2
        };
        struct convert_result result;
        struct err e = { 0 };

        if (convert_model(&in, &to, &result, &e) != STATUS_OK) fail_msg("%s", e.text);
        for (enum cpu_level level = CPU_PORTABLE; level <= cpu_level_best(); level++)
            check_model(out, cpu_level_name(level), 0, false);
    }
    scratch_close(&scratch);
}

/* ---- failures and cancelling --------------------------------------------------------------------------------- */

struct stopper {
    sphinx_session *session;
    int pieces;
};

static int stop_at_third(void *user, const char *text, size_t size)
{
    struct stopper *s = user;

    (void)text;
    (void)size;
    if (++s->pieces == 3) sphinx_session_cancel(s->session);
    return 0;
}

static void test_failures_stay_alone(void **state)
{
    enum { N = 4 };
    sphinx_model *model = open_model(TINY "llama_ens", NULL), *other = open_model(TINY "llama_ens", NULL);
    const char *questions[N] = { "What is it?", "", "What is it?", "What is it?" };
    sphinx_ask_options options[N];
    sphinx_session *sessions[N], *stranger;
    sphinx_answer *answers[N], *alone;
    sphinx_error errors[N], error;
    struct stopper stopper = { .pieces = 0 };
    sphinx_batch *batch;

    (void)state;
    for (int i = 0; i < N; i++) {
        assert_int_equal(sphinx_session_open(&sessions[i], model, NULL, NULL), SPHINX_OK);
        options[i] = sphinx_ask_options_default();
        options[i].max_tokens = 30;
        options[i].ignore_eos = true;
    }
    stopper.session = sessions[2];
    options[2].piece = stop_at_third;
    options[2].user = &stopper;
    sphinx_session_cancel(sessions[3]);
    assert_int_equal(sphinx_ask_many(sessions, questions, options, N, answers, errors), SPHINX_BAD_ARGUMENT);
    assert_int_equal(errors[0].code, SPHINX_OK);
    assert_int_equal(errors[1].code, SPHINX_BAD_ARGUMENT);
    assert_int_equal(errors[2].code, SPHINX_OK);
    assert_int_equal(errors[3].code, SPHINX_CANCELLED);
    assert_null(answers[1]);
    assert_null(answers[3]);
    assert_int_equal(answers[2]->finish, SPHINX_FINISH_CANCELLED);
    assert_true(answers[2]->n_tokens < 15);
    for (int i = 0; i < N; i++) assert_int_equal(sphinx_session_turns(sessions[i]), i % 2 == 0);
    /* The one that was cancelled before it began answers when it is asked again, as the first did. */
    assert_int_equal(sphinx_ask(sessions[3], questions[3], &options[3], &alone, &error), SPHINX_OK);
    check_answer(answers[0], alone, 0);
    sphinx_answer_free(alone);

    assert_int_equal(sphinx_session_open(&stranger, other, NULL, NULL), SPHINX_OK);
    assert_int_equal(sphinx_batch_open(&batch, model, 5000, &error), SPHINX_BAD_ARGUMENT);
    assert_null(batch);
    assert_int_equal(sphinx_batch_open(&batch, model, 0, &error), SPHINX_OK);
    assert_int_equal(sphinx_batch_add(batch, stranger, "a", NULL, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_batch_add(batch, sessions[0], "a", NULL, &error), SPHINX_OK);
    assert_int_equal(sphinx_batch_add(batch, sessions[0], "b", NULL, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_ask(sessions[0], "b", NULL, &alone, &error), SPHINX_BAD_ARGUMENT);
    sphinx_batch_step(batch);
    sphinx_batch_close(batch); /* gives the question up */
    assert_int_equal(sphinx_session_turns(sessions[0]), 1);
    assert_int_equal(sphinx_ask(sessions[0], "b", &options[0], &alone, &error), SPHINX_OK);
    sphinx_answer_free(alone);

    for (int i = 0; i < N; i++) {
        sphinx_answer_free(answers[i]);
        sphinx_session_close(sessions[i]);
    }
    sphinx_session_close(stranger);
    sphinx_model_close(other);
    sphinx_model_close(model);
}

/* ---- more sessions than a block of the cache has slots ------------------------------------------------------- */

static void test_many_slots(void **state)
{
    enum { N = 70 };
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *sessions[N];
    const char *questions[N];
    sphinx_answer *answers[N];
    sphinx_ask_options options[N];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            sphinx_session_options o = { .threads = 1, .kv_type = i % 2 == 0 ? "f16" : "f32" };

            assert_int_equal(sphinx_session_open(&sessions[i], model, &o, NULL), SPHINX_OK);
            questions[i] = i % 3 == 0 ? "Hi" : "What is in the image, and where?";
            options[i] = sphinx_ask_options_default();
            options[i].max_tokens = 6;
            options[i].ignore_eos = true;
            options[i].seed = (uint64_t)(i % 2);
        }
        assert_int_equal(sphinx_ask_many(sessions, questions, options, N, answers, NULL), SPHINX_OK);
        for (int i = 6; i < N; i++) check_answer(answers[i], answers[i % 6], (size_t)i);
        for (int i = 0; i < N; i++) {
            sphinx_answer_free(answers[i]);
            sphinx_session_close(sessions[(i * 31) % N]); /* in no order */
        }
    }
    sphinx_model_close(model);
}

/* ---- cancelling from another thread -------------------------------------------------------------------------- */

struct canceller {
    sphinx_session *session;
    atomic_bool *stop;
};

static void *cancel_often(void *user)
{
    struct canceller *c = user;

    while (!atomic_load(c->stop)) {
        struct timespec pause = { 0, 1000000 };

        sphinx_session_cancel(c->session);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void test_cancel_from_a_thread(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    const char *questions[] = { "What is it?", "What is it?" };
    sphinx_ask_options options[2];
    sphinx_session *sessions[2];
    sphinx_answer *answers[2];
    sphinx_error errors[2];
    atomic_bool stop = false;
    struct canceller canceller;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sphinx_session_open(&sessions[i], model, NULL, NULL), SPHINX_OK);
        options[i] = sphinx_ask_options_default();
        options[i].max_tokens = 60;
        options[i].ignore_eos = true;
    }
    canceller = (struct canceller){ sessions[0], &stop };
    assert_int_equal(pthread_create(&thread, NULL, cancel_often, &canceller), 0);
    for (int round = 0; round < 5; round++) {
        sphinx_ask_many(sessions, questions, options, 2, answers, errors);
        assert_true(answers[0] == NULL || answers[0]->finish == SPHINX_FINISH_CANCELLED ||
                    answers[0]->n_tokens == 60);
        assert_non_null(answers[1]);
        assert_int_equal(answers[1]->n_tokens, 60);
        sphinx_answer_free(answers[0]);
        sphinx_answer_free(answers[1]);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++) sphinx_session_close(sessions[i]);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_as_alone),
        cmocka_unit_test(test_same_bits_quantised),
        cmocka_unit_test(test_same_bits_for_types_of_the_cache),
        cmocka_unit_test(test_failures_stay_alone),
        cmocka_unit_test(test_many_slots),
        cmocka_unit_test(test_cancel_from_a_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
