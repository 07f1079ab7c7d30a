/*
 * test_runner.c - many questions on one model: the same bits for any number at once, any number of threads, any division over ranks, begun
 * anew or gone on with; and questions that cannot be answered.
 */
#include "support/pattern.h"
#include "support/scratch.h"

#include "core/file.h"
#include "eval/runner.h"

#define TINY "tests/data/tiny/"

enum { IMAGES = 5, PER_IMAGE = 4, TEXTS = 3, JOBS = IMAGES * PER_IMAGE + TEXTS, TOKENS = 6 };

static struct scratch scratch;
static char image[IMAGES][300], prompt[JOBS][80];
static struct job jobs[JOBS];

/* Small pictures as PPM; the questions about them by turns, so that they have to be grouped, some without an image between. */
static int setup(void **state)
{
    struct err e = { 0 };

    (void)state;
    scratch_open(&scratch);
    for (int i = 0; i < IMAGES; i++) {
        struct image im;
        FILE *f;

        snprintf(image[i], sizeof image[i], "%s/%d.ppm", scratch.path, i);
        assert_int_equal(img_init(&im, 40 + 8 * i, 32, &e), STATUS_OK);
        pattern_image(&im, (uint32_t)i);
        f = fopen(image[i], "wb");
        assert_non_null(f);
        fprintf(f, "P6\n%d %d\n255\n", im.width, im.height);
        assert_int_equal(fwrite(im.rgb, 3, (size_t)(im.width * im.height), f), im.width * im.height);
        fclose(f);
        img_free(&im);
    }
    for (int i = 0; i < JOBS; i++) {
        bool text = i % 7 == 6;

        snprintf(prompt[i], sizeof prompt[i], "Question %d: what is %.*s?", i, i % 5 * 8,
                 "to be seen here, and where is it");
        jobs[i] = (struct job){ .index = 100 + i,
                                .image = text ? NULL : image[i % IMAGES],
                                .prompt = prompt[i],
                                .answer_prefix = i % 3 == 0 ? " The answer is" : NULL,
                                .max_tokens = TOKENS - i % 2 };
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

struct got {
    size_t n_tokens[JOBS];
    int32_t tokens[JOBS][TOKENS];
    float logprobs[JOBS][TOKENS];
    char why[JOBS][1024];
    int answers, failures, encodes;
    int stop_after;
    atomic_bool cancel;
};

static enum status take(void *user, const struct job *job, const sphinx_answer *answer,
                        const sphinx_error *why, struct err *e)
{
    struct got *got = user;
    size_t i = (size_t)(job->index - 100);

    (void)e;
    assert_true(got->n_tokens[i] == 0 && got->why[i][0] == '\0'); /* none twice */
    if (answer == NULL) {
        snprintf(got->why[i], sizeof got->why[i], "%s", why->text);
        got->failures++;
        return STATUS_OK;
    }
    assert_true(answer->n_tokens > 0 && answer->n_tokens <= TOKENS);
    got->n_tokens[i] = answer->n_tokens;
    memcpy(got->tokens[i], answer->tokens, answer->n_tokens * sizeof(int32_t));
    memcpy(got->logprobs[i], answer->logprobs, answer->n_tokens * sizeof(float));
    for (size_t k = 0; k < answer->n_timings; k++)
        got->encodes += strcmp(answer->timings[k].stage, "encode") == 0;
    if (++got->answers == got->stop_after) atomic_store(&got->cancel, true);
    return STATUS_OK;
}

static sphinx_model *open_model(const char *path, int64_t memory)
{
    sphinx_model_options o = { .prefix_cache_bytes = memory };
    sphinx_error error = { 0 };
    sphinx_model *model;

    if (sphinx_model_open(&model, &path, 1, &o, &error) != SPHINX_OK) fail_msg("%s", error.text);
    return model;
}

static struct runner_options options(int batch, int threads)
{
    struct runner_options o = { .batch = batch, .ask = sphinx_ask_options_default() };

    o.ask.temperature = 0;
    o.ask.ignore_eos = true;
    o.session.threads = threads;
    return o;
}

static struct runner_totals run(struct got *got, sphinx_model *model, const struct job *list, size_t n,
                                const struct runner_options *o, enum status wanted)
{
    struct runner_totals totals;
    struct err e = { 0 };

    if (runner_run(model, list, n, o, take, got, &totals, &e) != wanted) fail_msg("%s", e.text);
    return totals;
}

static void assert_same(const struct got *got, const struct got *want)
{
    assert_memory_equal(got->n_tokens, want->n_tokens, sizeof want->n_tokens);
    assert_memory_equal(got->tokens, want->tokens, sizeof want->tokens);
    assert_memory_equal(got->logprobs, want->logprobs, sizeof want->logprobs);
}

/* Each question by a model of its own. */
static void ask_alone(struct got *want, const char *path)
{
    struct runner_options o = options(1, 1);

    for (int i = 0; i < JOBS; i++) {
        sphinx_model *model = open_model(path, 0);

        run(want, model, &jobs[i], 1, &o, STATUS_OK);
        sphinx_model_close(model);
    }
    assert_int_equal(want->answers, JOBS);
}

static void check_same_bits(const char *path)
{
    static const int batches[] = { 1, 3, 8, 40 };
    static struct got want;
    sphinx_model *model = open_model(path, 0);

    memset(&want, 0, sizeof want);
    ask_alone(&want, path);
    for (int k = 0; k < 4; k++) {
        static struct got got;
        struct runner_options o = options(batches[k], 1 + k % 2);
        struct runner_totals totals;

        memset(&got, 0, sizeof got);
        totals = run(&got, model, jobs, JOBS, &o, STATUS_OK);
        assert_same(&got, &want);
        assert_int_equal(totals.n_answers, JOBS);
        assert_int_equal(totals.n_images, IMAGES);
        assert_true(totals.seconds >= totals.seconds_encode + totals.seconds_steps);
    }
    sphinx_model_close(model);
}

static void test_same_bits(void **state)
{
    (void)state;
    check_same_bits(TINY "llama_ens-bf16");
    check_same_bits(TINY "llama_ens5");
}

/* An image is encoded once, also where the memory for what helpers need is too small; then nobody helps. */
static void test_encoded_once(void **state)
{
    static const int64_t memories[] = { 0, -1 };

    (void)state;
    for (int k = 0; k < 2; k++) {
        static struct got got;
        sphinx_model *model = open_model(TINY "llama_ens", memories[k]);
        struct runner_options o = options(2, 1);

        memset(&got, 0, sizeof got);
        run(&got, model, jobs, JOBS, &o, STATUS_OK);
        assert_int_equal(got.answers, JOBS);
        assert_in_range(got.encodes, IMAGES, k == 0 ? IMAGES : IMAGES + 1);
        sphinx_model_close(model);
    }
}

static void test_ranks(void **state)
{
    static struct got got, want;
    sphinx_model *model = open_model(TINY "llama_ens", 0);
    struct runner_options o = options(4, 1);
    size_t n_images = 0;

    (void)state;
    run(&want, model, jobs, JOBS, &o, STATUS_OK);
    for (o.rank = 0, o.ranks = 3; o.rank < o.ranks; o.rank++) {
        int before = got.answers;
        struct runner_totals totals = run(&got, model, jobs, JOBS, &o, STATUS_OK);

        assert_int_equal(got.answers - before, totals.n_answers);
        assert_in_range(totals.n_jobs, 2, JOBS - 2);
        n_images += totals.n_images;
    }
    assert_same(&got, &want);
    assert_int_equal(n_images, IMAGES);
    o.rank = 40;
    o.ranks = 41;
    assert_int_equal(run(&got, model, jobs, JOBS, &o, STATUS_OK).n_jobs, 0);
    sphinx_model_close(model);
}

static void test_cancelled_and_resumed(void **state)
{
    static struct got got, want;
    sphinx_model *model = open_model(TINY "llama_ens", 0);
    struct runner_options o = options(3, 1);
    struct job rest[JOBS];
    size_t n = 0;

    (void)state;
    run(&want, model, jobs, JOBS, &o, STATUS_OK);
    got.stop_after = 7;
    o.cancel = &got.cancel;
    run(&got, model, jobs, JOBS, &o, STATUS_CANCELLED);
    assert_in_range(got.answers, 7, 9); /* what was finished in the same step is kept */
    for (int i = 0; i < JOBS; i++)
        if (got.n_tokens[i] == 0) rest[n++] = jobs[i];
    run(&got, model, rest, n, &o, STATUS_CANCELLED); /* it still is */
    atomic_store(&got.cancel, false);
    run(&got, model, rest, n, &o, STATUS_OK);
    assert_same(&got, &want);
    sphinx_model_close(model);
}

static void test_images_in_memory(void **state)
{
    static struct got got, want;
    sphinx_model *model = open_model(TINY "llama_ens", 0);
    struct runner_options o = options(4, 1);
    struct job list[JOBS];
    unsigned char *data[IMAGES];
    size_t size[IMAGES];

    (void)state;
    run(&want, model, jobs, JOBS, &o, STATUS_OK);
    for (int i = 0; i < IMAGES; i++)
        assert_int_equal(file_read(image[i], 1 << 20, &data[i], &size[i], NULL), STATUS_OK);
    for (int i = 0; i < JOBS; i++) {
        list[i] = jobs[i];
        if (list[i].image == NULL) continue;
        list[i].image = strrchr(image[i % IMAGES], '/') + 1; /* no file of that name */
        list[i].image_data = data[i % IMAGES];
        list[i].image_size = size[i % IMAGES];
    }
    run(&got, model, list, JOBS, &o, STATUS_OK);
    assert_same(&got, &want);
    for (int i = 0; i < IMAGES; i++) free(data[i]);
    sphinx_model_close(model);
}

static void test_failures(void **state)
{
    static struct got got, want;
    sphinx_model *model = open_model(TINY "llama_ens", 0);
    struct runner_options o = options(4, 1);
    struct job list[JOBS];
    char broken[300], *endless = malloc(40001);

    (void)state;
    run(&want, model, jobs, JOBS, &o, STATUS_OK);
    snprintf(broken, sizeof broken, "%s", scratch_path(&scratch, "broken.ppm"));
    scratch_write(broken, "P6\n9 9\n255\nxx", 13);
    for (int i = 0; i < 40000; i++) endless[i] = i % 5 == 0 ? ' ' : 'x';
    endless[40000] = '\0';
    memcpy(list, jobs, sizeof list);
    list[0].image = list[9].image = "/none/of/this/name.jpg";
    list[2].image = broken;
    list[3].prompt = endless;
    list[4].prompt = "";
    list[4].image = NULL;
    list[6].prompt = "\xff";
    run(&got, model, list, JOBS, &o, STATUS_OK);
    assert_int_equal(got.failures, 6);
    assert_int_equal(got.answers, JOBS - 6);
    assert_non_null(strstr(got.why[0], "/none/of/this/name.jpg: cannot open"));
    assert_string_equal(got.why[0], got.why[9]);
    assert_non_null(strstr(got.why[2], "broken.ppm"));
    assert_non_null(strstr(got.why[3], "the prompt has "));
    assert_non_null(strstr(got.why[4], "the question is empty"));
    assert_non_null(strstr(got.why[6], "UTF-8"));
    for (int i = 0; i < JOBS; i++) {
        if (got.why[i][0] != '\0') continue;
        assert_int_equal(got.n_tokens[i], want.n_tokens[i]);
        assert_memory_equal(got.logprobs[i], want.logprobs[i], sizeof want.logprobs[i]);
    }
    free(endless);
    sphinx_model_close(model);
}

static enum status take_and_fail(void *user, const struct job *job, const sphinx_answer *answer,
                                 const sphinx_error *why, struct err *e)
{
    int *n = user;

    (void)job;
    (void)answer;
    (void)why;
    return ++*n == 3 ? err_set(e, STATUS_IO, "the disk is full") : STATUS_OK;
}

static void test_taker_fails(void **state)
{
    sphinx_model *model = open_model(TINY "llama_ens", 0);
    struct runner_options o = options(4, 1);
    struct runner_totals totals;
    struct err e = { 0 };
    int n = 0;

    (void)state;
    assert_int_equal(runner_run(model, jobs, JOBS, &o, take_and_fail, &n, &totals, &e), STATUS_IO);
    assert_string_equal(e.text, "the disk is full");
    assert_int_equal(n, 3);
    err_clear(&e);
    n = 10;
    assert_int_equal(runner_run(model, jobs, 0, &o, take_and_fail, &n, &totals, &e), STATUS_OK);
    assert_int_equal(n, 10);
    sphinx_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_encoded_once),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_cancelled_and_resumed),
        cmocka_unit_test(test_images_in_memory),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_taker_fails),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
