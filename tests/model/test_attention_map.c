/*
 * test_attention_map.c - where the model looked: against the whole sequence computed at once without a cache, in which nothing of the session's bookkeeping
 * is left; and that looking leaves the session as it was.
 */
#include "support/scratch.h"
#include "support/sessions.h"

#include "model/session.h"

#include <math.h>

#define TINY "tests/data/tiny/"

static const char image[] = "tests/data/images/scene.png", question[] = "What is in the image?";

static sphinx_answer *ask_greedy(sphinx_session *s, const char *text, int n)
{
    sphinx_ask_options o = sphinx_ask_options_default();

    o.temperature = 0;
    o.max_tokens = n;
    o.ignore_eos = true;
    return ask(s, text, &o);
}

/* [T, 1 + words] of every row of BOS, image, prompt and answer. */
static struct tensor *attention_plainly(struct sphinx_session *s, const sphinx_answer *a)
{
    struct ctx *c = &s->ctx;
    const struct llama *m = &s->model->network.llama;
    int64_t words = session_words(s), n = (int64_t)(a->prompt_tokens + a->n_tokens), T = words + n;
    int64_t D = m->config.dim;
    int32_t *ids = ctx_alloc(c, (size_t)n, sizeof *ids),
            *position = ctx_alloc(c, (size_t)T, sizeof *position);
    int32_t *first = ctx_alloc(c, (size_t)T, sizeof *first);
    struct tensor *x = tensor_new(c, T, D, false), *text;
    struct llama_batch b = { .T = T, .position = position, .first = first };

    memcpy(ids, s->cached, a->prompt_tokens * sizeof *ids);
    memcpy(ids + a->prompt_tokens, a->tokens, a->n_tokens * sizeof *ids);
    c->backend = s->model->backend;
    c->exec.precise = true;
    text = llama_embed(c, m, ids, n);
    memcpy(tensor_f32(x), tensor_f32(text), (size_t)D * sizeof(float));
    memcpy(tensor_f32(x) + D, s->words, (size_t)(words * D) * sizeof(float));
    memcpy(tensor_f32(x) + (1 + words) * D, tensor_f32(text) + D, (size_t)((n - 1) * D) * sizeof(float));
    for (int64_t t = 0; t < T; t++) {
        position[t] = (int32_t)t;
        first[t] = 0;
    }
    b.attention = tensor_new(c, T, 1 + words, false);
    memset(tensor_f32(b.attention), 0, (size_t)(T * (1 + words)) * sizeof(float));
    llama_forward(c, m, x, &b, NULL);
    assert_int_equal(c->err.code, STATUS_OK);
    return b.attention;
}

/* Weights of tokens first .. first + n - 1 against rows of the plain ones. */
static void check_map(struct sphinx_session *s, const sphinx_answer *a, const struct tensor *plain,
                      size_t first, size_t n)
{
    const struct mixer_config *k = &s->model->network.config.mixer;
    sphinx_attention *map;
    sphinx_error e = { 0 };
    double all = 0;

    if (sphinx_session_attention(s, a, first, n, &map, &e) != SPHINX_OK) fail_msg("%s", e.text);
    assert_int_equal(map->side, k->grid);
    for (int view = 0; view < map->views; view++) {
        int64_t side, word = mixer_view_patches(k, view, &side), factor = map->side / side;

        for (int i = 0; i < map->side * map->side; i++) {
            int64_t patch = word + i / map->side / factor * side + i % map->side / factor;
            double want = 0, got = (double)map->weights[view * map->side * map->side + i];

            for (size_t t = 0; t < n; t++)
                want += (double)tensor_f32(
                    plain)[(session_words(s) + (int64_t)(a->prompt_tokens + first + t) - 1) *
                               tensor_columns(plain) +
                           1 + patch];
            want /= (double)n * (double)(factor * factor);
            if (!(fabs(got - want) <= 1e-5 * want + 1e-9))
                fail_msg("view %d, %d: %g, not %g", view, i, got, want);
            all += got;
        }
    }
    assert_true(all > 0.01 && all < 1);
    sphinx_attention_free(map);
}

static void check_variant(const char *path, int views)
{
    sphinx_model_options options = { .precise = true, .threads = 2 };
    sphinx_model *model = open_model(path, &options);
    sphinx_session *s = open_session(model, NULL, image);
    sphinx_answer *a = ask_greedy(s, question, 40);
    struct arena_mark scope = scope_begin(&s->ctx);
    struct tensor *plain = attention_plainly(s, a);
    sphinx_model_info info;

    sphinx_model_get_info(model, &info);
    assert_int_equal(info.views, views);
    check_map(s, a, plain, 0, 1);
    check_map(s, a, plain, 7, 3);
    check_map(s, a, plain, 0, a->n_tokens); /* more than a call holds */
    scope_end(&s->ctx, scope);
    sphinx_answer_free(a);
    sphinx_session_close(s);
    sphinx_model_close(model);
}

static void test_weights(void **state)
{
    (void)state;
    check_variant(TINY "llama_ens", 1);
    check_variant(TINY "llama_ens5", 5);
    check_variant(TINY "llama_ens5p2", 5);
    check_variant(TINY "llama_ens10", 10);
}

/* The next answer is the same, whether one looked or not. */
static void test_nothing_changes(void **state)
{
    sphinx_model_options options = { .prefix_cache_bytes = -1 };
    sphinx_model *model = open_model(TINY "llama_ens", &options);
    sphinx_answer *next[2];

    (void)state;
    for (int looked = 0; looked < 2; looked++) {
        sphinx_session *s = open_session(model, NULL, image);
        sphinx_answer *a = ask_greedy(s, question, 12);
        sphinx_attention *map;

        if (looked) {
            assert_int_equal(sphinx_session_attention(s, a, 0, a->n_tokens, &map, NULL), SPHINX_OK);
            sphinx_attention_free(map);
        }
        next[looked] = ask_greedy(s, "And where?", 12);
        assert_true(next[looked]->cached_tokens > a->prompt_tokens);
        sphinx_answer_free(a);
        sphinx_session_close(s);
    }
    assert_same_tokens(next[0], next[1]);
    for (size_t i = 0; i < next[0]->n_tokens; i++) assert_true(next[0]->logprobs[i] == next[1]->logprobs[i]);
    sphinx_answer_free(next[0]);
    sphinx_answer_free(next[1]);
    sphinx_model_close(model);
}

/* A text read as an answer: the map of what a token wrote is that of the token. The bundled model writes texts in the tokens that they are read in. */
static void test_given_answer(void **state)
{
    static const char asked[] =
        "Describe the image concisely. Include the bounding box for each mentioned object.";
    sphinx_model_options options = { .precise = true };
    sphinx_model *model = open_model("models/sphinx-nano.gguf", &options);
    sphinx_session *s = open_session(model, NULL, "examples/pictures/rings.jpg"),
                   *other = open_session(model, NULL, "examples/pictures/rings.jpg");
    sphinx_answer *first = ask_greedy(s, "Hello", 4), *a;
    sphinx_error e = { 0 };
    size_t n_checked = 0;

    (void)state;
    assert_int_equal(sphinx_session_append(other, "Hello", first->text, &e), SPHINX_OK);
    a = ask_greedy(s, asked, 200);
    for (size_t t = 0; t < a->n_tokens; t += 3) {
        sphinx_attention *want, *got;

        if (a->spans[t].begin == a->spans[t].end) continue;
        assert_int_equal(sphinx_session_attention(s, a, t, 1, &want, &e), SPHINX_OK);
        if (sphinx_session_attention_to(other, asked, a->text, a->spans[t].begin, a->spans[t].end, &got,
                                        &e) != SPHINX_OK)
            fail_msg("%s", e.text);
        for (int i = 0; i < got->side * got->side; i++)
            if (!(fabsf(got->weights[i] - want->weights[i]) <= 1e-3f * want->weights[i] + 1e-6f))
                fail_msg("token %zu, %d: %g, not %g", t, i, (double)got->weights[i],
                         (double)want->weights[i]);
        n_checked++;
        sphinx_attention_free(want);
        sphinx_attention_free(got);
    }
    assert_true(n_checked > 5);
    assert_int_equal(sphinx_session_turns(other), 1);
    sphinx_answer_free(first);
    sphinx_answer_free(a);
    sphinx_session_close(other);
    sphinx_session_close(s);
    sphinx_model_close(model);
}

static void check_refused(sphinx_session *s, const sphinx_answer *a, size_t first, size_t n, const char *why)
{
    sphinx_attention *map = (sphinx_attention *)1;
    sphinx_error e = { 0 };

    assert_int_equal(sphinx_session_attention(s, a, first, n, &map, &e), SPHINX_BAD_ARGUMENT);
    assert_null(map);
    assert_non_null(strstr(e.text, why));
}

static void test_refused(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", NULL);
    sphinx_session *s = open_session(model, NULL, image), *blind = open_session(model, NULL, NULL);
    sphinx_answer *a = ask_greedy(s, question, 6), *b = ask_greedy(blind, question, 6), *last;
    sphinx_attention *map;
    sphinx_error e = { 0 };

    (void)state;
    check_refused(s, a, 0, 0, "has 6 tokens, not 0");
    check_refused(s, a, 6, 1, "not 1 from 6 on");
    check_refused(s, a, 3, SIZE_MAX, "has 6 tokens");
    check_refused(blind, b, 0, 1, "no image");
    check_refused(s, b, 0, 1, "not the session's last");
    assert_int_equal(sphinx_session_attention_to(s, question, "yes", 2, 4, &map, &e), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_session_attention_to(s, question, "yes", 1, 1, &map, &e), SPHINX_BAD_ARGUMENT);
    assert_int_equal(sphinx_session_attention_to(blind, question, "yes", 0, 3, &map, &e),
                     SPHINX_BAD_ARGUMENT);
    assert_null(map);
    last = ask_greedy(s, "And now something quite different?", 6);
    sphinx_session_clear(s);
    sphinx_answer_free(ask_greedy(s, "Hello", 2));
    check_refused(s, last, 0, 6, "not the session's last");
    sphinx_answer_free(last);
    sphinx_answer_free(b);
    sphinx_answer_free(a);
    sphinx_session_close(blind);
    sphinx_session_close(s);
    sphinx_model_close(model);
}

static void test_picture(void **state)
{
    static const int panels[] = { 1, 2 };
    static const char *const models[] = { TINY "llama_ens", TINY "llama_ens5" };
    struct scratch scratch;

    (void)state;
    scratch_open(&scratch);
    for (int i = 0; i < 2; i++) {
        sphinx_model *model = open_model(models[i], NULL);
        sphinx_session *s = open_session(model, NULL, image);
        sphinx_answer *a = ask_greedy(s, question, 4);
        sphinx_attention *map;
        struct image im = { 0 };
        sphinx_error e = { 0 };

        assert_int_equal(sphinx_session_attention(s, a, 1, 2, &map, &e), SPHINX_OK);
        if (sphinx_attention_draw(s, map, scratch_path(&scratch, "map.png"), &e) != SPHINX_OK)
            fail_msg("%s", e.text);
        assert_int_equal(img_read(&im, scratch_path(&scratch, "map.png"), NULL, NULL), STATUS_OK);
        assert_int_equal(im.width, panels[i] * s->image.width);
        assert_int_equal(im.height, s->image.height);
        img_free(&im);
        sphinx_attention_free(map);
        sphinx_answer_free(a);
        sphinx_session_close(s);
        sphinx_model_close(model);
    }
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),      cmocka_unit_test(test_nothing_changes),
        cmocka_unit_test(test_given_answer), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
