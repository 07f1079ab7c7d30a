/*
 * test_golden.c - every variant against PyTorch, number by number, at every instruction level that runs here.
 *
 * For each tiny checkpoint the program's dump is compared with the golden that tools/reference wrote with public PyTorch
 * implementations, rung by rung in the order of the data's way, so that the first difference is the one that is named;
 * then the greedy tokens must be the same.
 */
#include "support/scratch.h"

#include "backend/cpu/cpu.h"
#include "model/dump.h"
#include "sphinx.h"
#include "store/safetensors.h"

#include <cmocka.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TINY   "tests/data/tiny/"
#define GOLDEN "tests/data/golden/"

static const char image[] = "tests/data/images/scene.png", question[] = "What is in the image?";

/* Parity in float32 (design.md). Weights in bf16 and f16 are converted exactly and computed in float32 too; only the
 * key/value cache, which is f16 for them by default, is asked to be float32 for the dumps. The greedy tokens are
 * those of the defaults. */
static const double tolerance = 1e-4;

struct golden_case {
    const char *golden;
    const char *paths[2];
    const char *image;
    const char *llama_type;
};

static const struct golden_case cases[] = {
    { "llama_ens", { TINY "llama_ens" }, image, NULL },
    { "llama_ens", { TINY "llama_ens-2shards" }, image, NULL },
    { "llama_ens", { TINY "llama_ens-safetensors" }, image, NULL },
    { "llama_ens-bf16", { TINY "llama_ens-bf16" }, image, NULL },
    { "llama_ens-f16", { TINY "llama_ens-f16" }, image, NULL },
    { "llama_ens-f16", { "tests/data/gguf/sphinx.gguf" }, image, NULL },
    { "llama_ens-diff", { TINY "llama-meta", TINY "llama_ens-diff" }, image, NULL },
    { "llama_ens-rope_scaling", { TINY "llama_ens-rope_scaling" }, image, NULL },
    { "llama_ens-text", { TINY "llama_ens" }, NULL, NULL },
    { "llama_ens-text", { "tests/data/gguf/llama.gguf" }, NULL, NULL },
    { "llama_ens5", { TINY "llama_ens5" }, image, NULL },
    { "llama_ens5", { TINY "llama_ens5-2shards" }, image, NULL },
    { "llama_ens5p2", { TINY "llama_ens5p2" }, image, NULL },
    { "llama_ens5p2", { TINY "llama_ens5p2-2shards" }, image, NULL },
    { "llama_ens10", { TINY "llama_ens10" }, image, NULL },
    { "llama_ens10", { TINY "llama_ens10-2shards" }, image, NULL },
    { "llama_ens_light", { TINY "llama_ens_light" }, image, NULL },
    { "llama_ens_light", { TINY "llama_ens_light-2shards" }, image, NULL },
    { "llama_ens_light", { TINY "llama_ens_light-safetensors" }, image, NULL },
    { "llama_ens5_light", { TINY "llama_ens5_light" }, image, NULL },
    { "llama_ens5_light", { TINY "llama_ens5_light-2shards" }, image, NULL },
    { "mixtral_sparse_ens", { TINY "mixtral_sparse_ens" }, image, NULL },
    { "mixtral_sparse_ens", { TINY "mixtral_sparse_ens-2shards" }, image, NULL },
    { "mixtral_sparse_ens5", { TINY "mixtral_sparse_ens5" }, image, NULL },
    { "mixtral_sparse_ens5", { TINY "mixtral_sparse_ens5-2shards" }, image, NULL },
    { "llama_ens_peft", { TINY "llama_ens", TINY "llama_ens_peft" }, image, NULL },
    { "llama_ens_peft", { TINY "llama_ens-2shards", TINY "llama_ens_peft-2shards" }, image, NULL },
};

static const char *const ladder[] = {
    "views",
    "clip.block.0",
    "clip",
    "convnext.stage.0",
    "convnext.stage.1",
    "convnext.stage.2",
    "convnext.stage.3",
    "convnext",
    "dinov2.block.0",
    "dinov2",
    "eva.block.0",
    "eva",
    "qformer.layer.0",
    "qformer.layer.1",
    "qformer",
    "image_tokens",
    "llama.layer.0",
    "llama.layer.1",
    "logits",
};

static const struct raw_tensor *find(const struct safetensors_file *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    }
    return NULL;
}

static size_t elements(const struct raw_tensor *t)
{
    size_t n = 0;

    assert_true(shape_elements(t->dim, t->n_dims, &n));
    return n;
}

/* ||got - want|| / ||want||, and the same of the largest entries; whichever is larger. NaN counts as infinite. */
static double relative_error(const float *got, const float *want, size_t n)
{
    double difference = 0, size = 0, difference_max = 0, size_max = 0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);

        if (!(d < INFINITY)) return INFINITY;
        difference += d * d;
        size += (double)want[i] * (double)want[i];
        difference_max = fmax(difference_max, d);
        size_max = fmax(size_max, fabs((double)want[i]));
    }
    return fmax(sqrt(difference / size), difference_max / size_max);
}

static void compare_dumps(const struct golden_case *g, const char *level, const char *path)
{
    struct safetensors_file got, want;
    struct err e = { 0 };
    char name[256];
    double worst = 0;
    size_t compared = 0;

    snprintf(name, sizeof name, GOLDEN "%s.safetensors", g->golden);
    assert_int_equal(safetensors_open(&want, name, &e), STATUS_OK);
    assert_int_equal(safetensors_open(&got, path, &e), STATUS_OK);
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        const struct raw_tensor *w = find(&want, ladder[i]), *o = find(&got, ladder[i]);
        double error;

        if (w == NULL) continue;
        if (o == NULL) fail_msg("%s %s: no %s in the dump", g->paths[0], level, ladder[i]);
        assert_int_equal(elements(o), elements(w));
        error = relative_error(o->data, w->data, elements(w));
        if (!(error <= tolerance)) fail_msg("%s %s: %s differs by %g", g->paths[0], level, ladder[i], error);
        worst = fmax(worst, error);
        compared++;
    }
    assert_true(compared >= 2 && find(&got, "prompt_ids") != NULL);
    assert_int_equal(elements(find(&got, "prompt_ids")), elements(find(&want, "prompt_ids")));
    assert_memory_equal(find(&got, "prompt_ids")->data, find(&want, "prompt_ids")->data,
                        elements(find(&want, "prompt_ids")) * sizeof(int64_t));
    print_message("%-28s %-9s %2zu tensors, worst relative error %.1e\n", g->paths[0] + strlen(TINY), level,
                  compared, worst);
    safetensors_close(&got);
    safetensors_close(&want);
}

static void compare_greedy(const struct golden_case *g, sphinx_model *model, const char *level)
{
    sphinx_ask_options ask = sphinx_ask_options_default();
    struct safetensors_file want;
    sphinx_session *session;
    sphinx_answer *answer;
    sphinx_error error;
    struct err e = { 0 };
    const int64_t *ids;
    char name[256];

    snprintf(name, sizeof name, GOLDEN "%s.safetensors", g->golden);
    assert_int_equal(safetensors_open(&want, name, &e), STATUS_OK);
    ids = find(&want, "greedy_ids")->data;
    ask.max_tokens = (int)elements(find(&want, "greedy_ids"));
    ask.temperature = 0;
    ask.ignore_eos = true;
    assert_int_equal(sphinx_session_open(&session, model, NULL, &error), SPHINX_OK);
    if (g->image != NULL) assert_int_equal(sphinx_session_image_file(session, g->image, &error), SPHINX_OK);
    assert_int_equal(sphinx_ask(session, question, &ask, &answer, &error), SPHINX_OK);
    assert_int_equal(answer->n_tokens, ask.max_tokens);
    for (size_t i = 0; i < answer->n_tokens; i++) {
        if (answer->tokens[i] != ids[i]) fail_msg("%s %s: greedy token %zu differs", g->paths[0], level, i);
    }
    sphinx_answer_free(answer);
    sphinx_session_close(session);
    safetensors_close(&want);
}

static void check(const struct golden_case *g, const char *level)
{
    sphinx_model_options options = { .cpu = level, .llama_type = g->llama_type };
    sphinx_session_options exact = { .kv_type = "f32" };
    int n_paths = g->paths[1] != NULL ? 2 : 1;
    struct dump_options dump = { g->image, question, NULL, true };
    sphinx_error error = { 0 };
    sphinx_model *model;
    sphinx_session *session;
    struct err e = { 0 };
    struct scratch scratch;

    scratch_open(&scratch);
    dump.out = scratch_path(&scratch, "dump.safetensors");
    if (sphinx_model_open(&model, g->paths, n_paths, &options, &error) != SPHINX_OK)
        fail_msg("%s", error.text);
    if (sphinx_session_open(&session, model, &exact, &error) != SPHINX_OK) fail_msg("%s", error.text);
    if (dump_write(session, &dump, &e) != STATUS_OK) fail_msg("%s: %s", g->paths[0], e.text);
    compare_dumps(g, level, dump.out);
    sphinx_session_close(session);
    compare_greedy(g, model, level);
    sphinx_model_close(model);
    scratch_close(&scratch);
}

static void test_variants(void **state)
{
    (void)state;
    for (enum cpu_level level = CPU_REF; level < CPU_LEVEL_COUNT; level++) {
        if (level > cpu_level_best()) {
            print_message("SKIPPED: level %s does not run on this processor\n", cpu_level_name(level));
            continue;
        }
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i], cpu_level_name(level));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_variants) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
