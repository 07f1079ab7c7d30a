/*
 * test_independent.c - answers of independent sessions: the same bits whatever was asked before, beside, or by whom. The
 * beginning of an answer that is put in the model's mouth, images decoded ahead, and how well a text is foreseen.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "core/file.h"
#include "model/step.h"

#include <math.h>

#define TINY "tests/data/tiny/"

static const char picture[] = "tests/data/images/scene.png";
static const char *const questions[] = {
    "What is in the image?",
    "Where is the red circle? Give its box, and say what stands beside it, behind it and below it.",
    "Where is the red square?"
};
enum { QUESTIONS = sizeof questions / sizeof *questions };

static sphinx_ask_options greedy(int max_tokens)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.temperature = 0;
    o.max_tokens = max_tokens;
    o.ignore_eos = true;
    return o;
}

/* Each question alone, by a model that was asked nothing before. */
static void ask_alone(const char *path, const sphinx_session_options *so, sphinx_answer *alone[QUESTIONS])
{
    for (int i = 0; i < QUESTIONS; i++) {
        sphinx_model *model = open_model(path, NULL);
        sphinx_session *s = open_session(model, so, picture);
        sphinx_ask_options o = greedy(12);

        alone[i] = ask(s, questions[i], &o);
        sphinx_session_close(s);
        sphinx_model_close(model);
    }
}

/* Others of the same model have left all they computed: the image with a question, in one call. */
static void ask_others(sphinx_model *model)
{
    sphinx_session *s = open_session(model, NULL, picture);
    sphinx_ask_options o = greedy(3);

    for (int i = 0; i < QUESTIONS; i++) sphinx_answer_free(ask(s, questions[i], &o));
    sphinx_session_close(s);
}

static void ask_in_turn(sphinx_model *model, const sphinx_session_options *so,
                        sphinx_answer *const alone[QUESTIONS])
{
    sphinx_session *s = open_session(model, so, picture);
    sphinx_ask_options o = greedy(12);

    for (int i = 0; i < 2 * QUESTIONS; i++) {
        int q = i * 2 % QUESTIONS;
        sphinx_answer *answer = ask(s, questions[q], &o);

        assert_same_answer(answer, alone[q]);
        if (i > 0) assert_int_equal(answer->cached_tokens, answer->image_tokens + 1);
        sphinx_answer_free(answer);
        sphinx_session_clear(s);
    }
    sphinx_session_close(s);
}

static void ask_together(sphinx_model *model, const sphinx_session_options *so,
                         sphinx_answer *const alone[QUESTIONS])
{
    sphinx_session *s[QUESTIONS];
    sphinx_answer *answer[QUESTIONS];
    sphinx_ask_options o[QUESTIONS];

    for (int i = 0; i < QUESTIONS; i++) {
        s[i] = open_session(model, so, picture);
        o[i] = greedy(12);
    }
    assert_int_equal(sphinx_ask_many(s, questions, o, QUESTIONS, answer, NULL), SPHINX_OK);
    for (int i = 0; i < QUESTIONS; i++) {
        assert_same_answer(answer[i], alone[i]);
        sphinx_answer_free(answer[i]);
        sphinx_session_close(s[i]);
    }
}

static void check_independent(const char *path)
{
    sphinx_session_options so = { .independent = true, .threads = 1 };
    sphinx_answer *alone[QUESTIONS];
    sphinx_model *model = open_model(path, NULL);

    ask_alone(path, &so, alone);
    so.threads = 2;
    ask_together(model, &so, alone);
    ask_others(model);
    ask_in_turn(model, &so, alone);
    ask_together(model, &so, alone);
    for (int i = 0; i < QUESTIONS; i++) sphinx_answer_free(alone[i]);
    sphinx_model_close(model);
}

static void test_independent(void **state)
{
    (void)state;
    check_independent(TINY "llama_ens-bf16");
    check_independent(TINY "llama_ens5");
}

/* Rows that a file brings may have been computed in any portions: they are left out. */
static void test_restored(void **state)
{
    sphinx_session_options so = { .independent = true };
    sphinx_model *model = open_model(TINY "llama_ens-bf16", NULL);
    sphinx_session *s = open_session(model, NULL, picture), *restored = open_session(model, &so, picture);
    sphinx_ask_options o = greedy(6);
    sphinx_answer *alone = ask(restored, questions[2], &o), *answer;
    struct scratch scratch;
    const char *path;
    sphinx_error error = { 0 };

    scratch_open(&scratch);
    path = scratch_path(&scratch, "session");
    sphinx_answer_free(ask(s, questions[0], &o));
    assert_int_equal(sphinx_session_save(s, path, &error), SPHINX_OK);
    sphinx_session_close(restored);
    assert_int_equal(sphinx_session_open(&restored, model, &so, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_restore(restored, path, NULL, 0, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_turns(restored), 1);
    sphinx_session_clear(restored);
    answer = ask(restored, questions[2], &o);
    assert_same_answer(answer, alone);
    sphinx_answer_free(answer);
    sphinx_answer_free(alone);
    sphinx_session_close(restored);
    sphinx_session_close(s);
    sphinx_model_close(model);
    scratch_close(&scratch);
    (void)state;
}

static void test_answer_prefix(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *s = open_session(model, NULL, picture);
    sphinx_ask_options o = greedy(5);
    sphinx_answer *answer;
    const char *question, *said;
    char whole[256];
    int32_t *ids;
    size_t n;

    answer = ask(s, "Which?", &o);
    n = answer->prompt_tokens;
    sphinx_answer_free(answer);
    sphinx_session_clear(s);
    o.answer_prefix = " The answer is";
    answer = ask(s, "Which?", &o);
    assert_int_equal(sphinx_tokenize(model, "The answer is", 13, false, &ids, &n, NULL), SPHINX_OK);
    sphinx_free(ids);
    assert_true(answer->prompt_tokens > n);
    assert_int_equal(answer->n_tokens, 5);
    assert_true(sphinx_session_turn(s, 0, &question, &said));
    snprintf(whole, sizeof whole, "The answer is%s", answer->text);
    assert_string_equal(said, whole);
    sphinx_answer_free(answer);
    sphinx_session_close(s);
    sphinx_model_close(model);
    (void)state;
}

static void test_image_ahead(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens_light", NULL);
    sphinx_session_options so = { .independent = true };
    sphinx_session *s = open_session(model, &so, picture);
    sphinx_ask_options o = greedy(5);
    sphinx_session_options turned = { .apply_exif = true };
    sphinx_answer *answer = ask(s, questions[0], &o), *again;
    unsigned char *data;
    size_t size;
    sphinx_error error = { 0 };
    sphinx_image *image;

    assert_int_equal(file_read(picture, 1 << 20, &data, &size, NULL), STATUS_OK);
    assert_int_equal(sphinx_image_open(&image, data, size, picture, NULL, &error), SPHINX_OK);
    sphinx_session_image_clear(s);
    assert_int_equal(sphinx_session_image(s, image, &error), SPHINX_OK);
    again = ask(s, questions[0], &o);
    assert_true(again->image_cached);
    assert_same_answer(again, answer);
    sphinx_image_close(image);
    assert_int_equal(sphinx_image_open(&image, data, size, picture, &turned, &error), SPHINX_OK);
    assert_int_equal(sphinx_session_image(s, image, &error), SPHINX_BAD_ARGUMENT);
    sphinx_image_close(image);
    assert_int_equal(sphinx_image_open(&image, data, 20, "half.png", NULL, &error), SPHINX_BAD_FORMAT);
    assert_null(image);
    assert_non_null(strstr(error.text, "half.png"));
    free(data);
    sphinx_answer_free(answer);
    sphinx_answer_free(again);
    sphinx_session_close(s);
    sphinx_model_close(model);
    (void)state;
}

/* ---- how well a text is foreseen ------------------------------------------------------------------------------- */

/* The same sum, each token by a prompt of its own. */
static double one_by_one(sphinx_session *s, const int32_t *ids, size_t n, size_t *right)
{
    int64_t vocab = s->model->network.config.llama.vocab, best;
    double total = 0, sum;

    *right = 0;
    for (size_t i = 1; i < n; i++) {
        struct step_part p = { .session = s, .ids = ids, .n = i, .n_logits = 1 }, *part = &p;

        s->n_rows = 0;
        do step_run(&s->ctx, &part, 1);
        while (p.err.code == STATUS_OK && p.logits == NULL);
        assert_int_equal(p.err.code, STATUS_OK);
        best = 0;
        sum = 0;
        for (int64_t v = 0; v < vocab; v++) {
            sum += exp((double)p.logits[v]);
            if (p.logits[v] > p.logits[best]) best = v;
        }
        total += (double)p.logits[ids[i]] - log(sum);
        *right += best == ids[i];
    }
    return total;
}

static void test_score(void **state)
{
    static const char text[] =
        "The red circle stands left of the blue square, and below it there are two small green triangles; "
        "nobody knows what the man in the picture thinks of them, nor why he holds a sign with words.";
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *s = open_session(model, NULL, picture);
    sphinx_score score, again, cut;
    sphinx_error error = { 0 };
    size_t n, right, size = sizeof text - 1;
    int32_t *ids;
    double want;
    int words = (int)session_words(s);

    assert_int_equal(sphinx_session_score(s, text, size, 0, &score, &error), SPHINX_OK);
    assert_int_equal(sphinx_tokenize(model, text, size, true, &ids, &n, &error), SPHINX_OK);
    assert_true(n > 40);
    want = one_by_one(s, ids, n, &right);
    assert_int_equal(score.tokens, n - 1);
    assert_int_equal(score.windows, 1);
    assert_int_equal(score.right, right);
    assert_true(fabs(score.logprob - want) < 1e-4 * fabs(want));
    assert_int_equal(sphinx_session_score(s, text, size, 0, &again, &error), SPHINX_OK);
    assert_true(again.logprob == score.logprob);

    /* windows of two tokens: each knows less */
    assert_int_equal(sphinx_session_score(s, text, size, words + 3, &cut, &error), SPHINX_OK);
    assert_int_equal(cut.tokens, n - 1);
    assert_int_equal(cut.windows, n / 2);
    assert_true(cut.logprob != score.logprob);
    assert_int_equal(sphinx_session_score(s, text, size, words + 1, &cut, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_session_score(s, "\xff", 1, 0, &cut, &error), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_session_score(s, "", 0, 0, &cut, &error), SPHINX_OK);
    assert_int_equal(cut.tokens, 0);
    sphinx_free(ids);
    sphinx_session_close(s);
    sphinx_model_close(model);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_independent),   cmocka_unit_test(test_restored),
        cmocka_unit_test(test_answer_prefix), cmocka_unit_test(test_image_ahead),
        cmocka_unit_test(test_score),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
