/*
 * test_guess.c - guessing ahead changes nothing but the number of steps: answers, tokens and logprobs are those of plain decoding, greedy
 * and sampled, whoever guesses, alone and in a batch.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "backend/cpu/cpu.h"
#include "core/file.h"

#define TINY "tests/data/tiny/"

static const char image[] = "tests/data/images/scene.png";

static sphinx_session *open_guessing(sphinx_model *model, sphinx_model *draft, bool picture)
{
    sphinx_session_options o = { .draft = draft };

    return open_session(model, &o, picture ? image : NULL);
}

static void check_same(const sphinx_answer *got, const sphinx_answer *want)
{
    assert_same_answer(got, want);
    assert_true(got->accepted_tokens <= got->drafted_tokens);
}

static sphinx_ask_options plain(float temperature, uint64_t seed)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.temperature = temperature;
    o.top_p = 1;
    o.seed = seed;
    o.max_tokens = 60;
    o.ignore_eos = seed % 2 == 0;
    o.repeat_penalty = seed % 5 == 4 ? 1.3f : 1;
    return o;
}

/* ---- the same answers ---------------------------------------------------------------------------------------- */

/* What guessing came to over many answers. */
struct tally {
    size_t drafted, accepted, tokens;
};

static void tally_add(struct tally *t, const sphinx_answer *a)
{
    t->drafted += a->drafted_tokens;
    t->accepted += a->accepted_tokens;
    t->tokens += a->n_tokens;
}

/* Two turns, without and with guesses. */
static void compare(sphinx_model *model, sphinx_model *draft, bool picture, const sphinx_ask_options *without,
                    const sphinx_ask_options *with, struct tally *tally)
{
    static const char *const questions[] = { "Name the things one by one: one, two, one, two, one",
                                             "Again?" };
    sphinx_session *a = open_guessing(model, NULL, picture), *b = open_guessing(model, draft, picture);

    for (int turn = 0; turn < 2; turn++) {
        sphinx_answer *want = ask(a, questions[turn], without), *got = ask(b, questions[turn], with);

        assert_int_equal(want->drafted_tokens, 0);
        check_same(got, want);
        tally_add(tally, got);
        sphinx_answer_free(want);
        sphinx_answer_free(got);
    }
    sphinx_session_close(a);
    sphinx_session_close(b);
}

/* What one session leaves for others in memory would be computed in other rows. */
static const sphinx_model_options no_memory = { .prefix_cache_bytes = -1 };

static void test_lookup(void **state)
{
    static const char *const models[] = { TINY "llama_ens", TINY "llama_ens-bf16",
                                          TINY "mixtral_sparse_ens" };
    struct tally tally = { 0 };

    (void)state;
    for (enum cpu_level level = CPU_PORTABLE; level <= cpu_level_best(); level++) {
        for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
            sphinx_model_options options = no_memory;
            sphinx_model *model;

            options.cpu = cpu_level_name(level);
            options.threads = 1 + (int)i % 2;
            model = open_model(models[i], &options);
            for (uint64_t seed = 0; seed < 6; seed++) {
                sphinx_ask_options without = plain(seed < 2 ? 0 : 0.2f * (float)seed, seed), with = without;

                with.lookup = seed == 1 ? 1 : 4 + 4 * (int)(seed % 4);
                compare(model, NULL, i != 1, &without, &with, &tally);
            }
            sphinx_model_close(model);
        }
    }
    assert_true(tally.drafted > 0 && tally.accepted > 0);
}

/* A draft that is the model itself: with the luck of the same draws all its guesses are right. Sampled with luck of its own, they would be
 * right only by chance. */
static void test_draft_with_the_same_luck(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", &no_memory);
    struct tally tally = { 0 };

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        sphinx_ask_options without = plain(seed == 0 ? 0 : 1.0f, seed), with = without;

        with.draft_p_min = 0;
        with.draft_max = 5;
        compare(model, model, true, &without, &with, &tally);
    }
    assert_true(tally.drafted > tally.tokens / 2);
    assert_true(tally.accepted >= tally.drafted - tally.drafted / 20); /* the ends of answers */
    sphinx_model_close(model);
}

static void test_draft_of_another_model(void **state)
{
    static const char *const drafts[] = { TINY "llama_ens_light", TINY "llama_ens-bf16", TINY "llama_ens5" };
    struct tally tally = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        sphinx_model_options small = no_memory;
        sphinx_model *model = open_model(TINY "llama_ens", &no_memory), *draft;

        small.context = i == 0 ? 100 : 0; /* shorter than the answer: guessing ends there */
        draft = open_model(drafts[i], &small);
        for (uint64_t seed = 0; seed < 6; seed++) {
            sphinx_ask_options without = plain(seed < 2 ? 0 : 0.7f, seed), with = without;

            with.draft_p_min = 0;
            with.draft_max = (int)(seed % 3) * 8;
            with.draft_min = (int)seed % 2 * 3;
            with.lookup = seed == 5 ? 8 : 0;
            compare(model, draft, seed % 2 == 0, &without, &with, &tally);
        }
        sphinx_model_close(draft);
        sphinx_model_close(model);
    }
    assert_true(tally.drafted > 0);
}

static void test_in_a_batch(void **state)
{
    enum { N = 6 };
    sphinx_model *model = open_model(TINY "llama_ens", &no_memory),
                 *draft = open_model(TINY "llama_ens_light", NULL);
    const char *questions[N];
    sphinx_ask_options options[N];
    sphinx_session *alone[N], *together[N];
    sphinx_answer *want[N], *got[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        questions[i] = i % 2 == 0 ? "one two three one two three one two" : "What?";
        alone[i] = open_guessing(model, NULL, i % 2 == 0);
        together[i] = open_guessing(model, i % 3 == 0 ? NULL : draft, i % 2 == 0);
        options[i] = plain(i < 2 ? 0 : 0.8f, (uint64_t)i);
        want[i] = ask(alone[i], questions[i], &options[i]);
        options[i].lookup = i % 3 == 2 ? 0 : 16;
        options[i].draft_p_min = 0;
    }
    assert_int_equal(sphinx_ask_many(together, questions, options, N, got, NULL), SPHINX_OK);
    for (int i = 0; i < N; i++) {
        check_same(got[i], want[i]);
        sphinx_answer_free(got[i]);
        sphinx_answer_free(want[i]);
        sphinx_session_close(alone[i]);
        sphinx_session_close(together[i]);
    }
    sphinx_model_close(draft);
    sphinx_model_close(model);
}

/* ---- the distribution ---------------------------------------------------------------------------------------- */

/* Chi-square of the third token over many seeds, with guesses and without: two samples of one distribution. Seeds differ, or the samples
 * would be equal. */
static void test_distribution(void **state)
{
    enum { RUNS = 800, CLASSES = 8 };
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_model *draft = open_model(TINY "llama_ens_light", NULL);
    sphinx_session *with = open_guessing(model, draft, false), *without = open_guessing(model, NULL, false);
    double count[2][CLASSES] = { { 0 } }, chi = 0;
    size_t drafted = 0;

    (void)state;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        for (int i = 0; i < 2; i++) {
            sphinx_ask_options o = plain(1, 2 * seed + (uint64_t)i);
            sphinx_session *s = i == 0 ? with : without;
            sphinx_answer *answer;

            o.max_tokens = 3;
            o.ignore_eos = true;
            o.repeat_penalty = 1;
            o.top_k = CLASSES; /* few enough to count */
            o.draft_p_min = 0;
            o.draft_max = 4;
            answer = ask(s, "one two one two", &o);
            count[i][answer->tokens[2] % CLASSES]++;
            drafted += answer->drafted_tokens;
            sphinx_answer_free(answer);
            sphinx_session_clear(s);
        }
    }
    for (int k = 0; k < CLASSES; k++) {
        double sum = count[0][k] + count[1][k], difference = count[0][k] - count[1][k];

        if (sum > 0) chi += difference * difference / sum;
    }
    assert_true(drafted > RUNS / 2);
    assert_true(chi < 24.3); /* 7 degrees of freedom: one in a thousand is above */
    sphinx_session_close(with);
    sphinx_session_close(without);
    sphinx_model_close(draft);
    sphinx_model_close(model);
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

static void refuse(sphinx_session *session, const sphinx_ask_options *o, const char *part)
{
    sphinx_error error = { 0 };
    sphinx_answer *answer;

    assert_int_equal(sphinx_ask(session, "a", o, &answer, &error), SPHINX_BAD_ARGUMENT);
    if (strstr(error.text, part) == NULL) fail_msg("%s", error.text);
}

/* The tokenizer with one piece spelt otherwise. */
static void change_a_piece(const char *path)
{
    unsigned char *data, *at;
    struct err e = { 0 };
    size_t size;
    FILE *f;

    assert_int_equal(file_read("tests/data/tokenizer.model", 1 << 24, &data, &size, &e), STATUS_OK);
    at = memmem(data, size, "\xe2\x96\x81the", 6);
    assert_non_null(at);
    memcpy(at + 3, "\xe2\x98\x83", 3);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    free(data);
}

static void test_refusals(void **state)
{
    struct scratch scratch;
    sphinx_model_options other = { .prefix_cache_bytes = -1 };
    sphinx_session_options options = { 0 };
    sphinx_model *model = open_model(TINY "llama_ens", &no_memory), *draft;
    sphinx_session *session = open_guessing(model, NULL, false), *none;
    sphinx_ask_options o = plain(0, 1);
    sphinx_error error = { 0 };

    (void)state;
    o.lookup = 17;
    refuse(session, &o, "lookup is 17");
    o.lookup = 0;
    o.draft_max = -1;
    refuse(session, &o, "draft_max is -1");
    o.draft_max = 0;
    o.draft_p_min = 2;
    refuse(session, &o, "draft_p_min is 2");
    scratch_open(&scratch);
    other.tokenizer_path = scratch_path(&scratch, "tokenizer.model");
    change_a_piece(other.tokenizer_path);
    draft = open_model(TINY "llama_ens_light", &other);
    options.draft = draft;
    assert_int_equal(sphinx_session_open(&none, model, &options, &error), SPHINX_UNSUPPORTED);
    assert_null(none);
    if (strstr(error.text, "the draft model does not fit: its token") == NULL) fail_msg("%s", error.text);
    sphinx_model_close(draft);
    scratch_close(&scratch);
    sphinx_session_close(session);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),
        cmocka_unit_test(test_draft_with_the_same_luck),
        cmocka_unit_test(test_draft_of_another_model),
        cmocka_unit_test(test_in_a_batch),
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
