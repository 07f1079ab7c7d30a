/*
 * test_trainer.c - a run: its losses are those of its steps done by hand, its checkpoints are kept as asked and survive what comes after
 * them, and what is no number ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "store/safetensors.h"
#include "support/scratch.h"
#include "train/trainer_parts.h"

enum { ITEMS = 12, STEPS = 5, SEEN_MAX = 64 };

static struct scratch scratch;

/* What a run told. */
struct heard {
    struct step_result step[SEEN_MAX];
    size_t n_steps, n_saved;
    char saved[SEEN_MAX][600];
    size_t n_validated, validated_after[SEEN_MAX];
    double validation_loss; /* the last */
    size_t limit_after;     /* files stay small after so many checkpoints; 0: never */
};

static void hear_step(void *user, const struct step_result *r)
{
    struct heard *h = user;

    assert_true(h->n_steps < SEEN_MAX);
    h->step[h->n_steps++] = *r;
}

static void hear_validated(void *user, const struct validation_result *r)
{
    struct heard *h = user;

    assert_true(h->n_validated < SEEN_MAX && r->n_types == 1 && r->types[0].loss == r->loss);
    assert_int_equal(r->n_items, r->types[0].n_items);
    h->validated_after[h->n_validated++] = r->step;
    h->validation_loss = r->loss;
}

static void hear_saved(void *user, const char *folder)
{
    struct heard *h = user;
    struct rlimit limit;

    assert_true(h->n_saved < SEEN_MAX);
    snprintf(h->saved[h->n_saved++], sizeof h->saved[0], "%s", folder);
    if (h->n_saved != h->limit_after) return;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 20000; /* enough for the log, not for a model */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void config_read(struct train_config *c, const char *output, const char *const *overrides, size_t n)
{
    char set[600];
    const char *all[16] = { set };
    struct err e = { 0 };

    assert_true(n < 15);
    snprintf(set, sizeof set, "output_dir=%s", scratch_path(&scratch, output));
    for (size_t i = 0; i < n; i++) all[i + 1] = overrides[i];
    if (train_config_read(c, scratch_path(&scratch, "c.yaml"), all, n + 1, &e) != STATUS_OK)
        fail_msg("%s", e.text);
}

static struct trainer *trainer_of(const struct train_config *c, struct heard *h, const char *resume)
{
    struct trainer_options o = { .threads = 1, .cpu = "portable", .resume = resume };
    struct train_listener l = {
        .step = hear_step, .validated = hear_validated, .saved = hear_saved, .user = h
    };
    struct trainer *t;
    struct err e = { 0 };

    memset(h, 0, sizeof *h);
    if (trainer_open(&t, c, &o, &l, &e) != STATUS_OK) fail_msg("%s", e.text);
    return t;
}

static void run(struct trainer *t)
{
    struct err e = { 0 };

    if (trainer_run(t, &e) != STATUS_OK) fail_msg("%s", e.text);
}

/* ---- the steps --------------------------------------------------------------------------------------------- */

/* The same step from the parts. */
static double step_by_hand(struct trainer *t, size_t step, double *norm)
{
    double sum = 0;
    struct err e = { 0 };

    trainees_zero_grad(&t->trainees);
    for (int a = 0; a < 2; a++) {
        const struct feed_batch *b;
        struct train_item items[2];
        struct train_loss loss;

        assert_int_equal(feed_next(t->feed, &b, NULL, &e), STATUS_OK);
        for (size_t i = 0; i < 2; i++) items[i] = (struct train_item){ .sample = &b->items[i].sample };
        train_micro_batch(&t->ctx, &t->network, items, 2, 0.5, 1, &loss);
        sum += loss.answers / 2;
    }
    assert_int_equal(
        optimizer_step(&t->optimizer, &t->trainees, schedule_lr(&t->schedule, (double)step), 1, norm, &e),
        STATUS_OK);
    assert_true(isfinite(*norm));
    return sum;
}

static void test_steps(void **state)
{
    struct train_config c, other;
    struct heard h, unheard;
    struct trainer *t, *hand;

    (void)state;
    config_read(&c, "steps", NULL, 0);
    config_read(&other, "hand", NULL, 0);
    t = trainer_of(&c, &h, NULL);
    hand = trainer_of(&other, &unheard, NULL);
    run(t);
    assert_int_equal(h.n_steps, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        double norm, loss = step_by_hand(hand, i, &norm);

        assert_int_equal(h.step[i].step, i + 1);
        assert_int_equal(h.step[i].n_steps, STEPS);
        assert_int_equal(h.step[i].epoch, i / 3);
        assert_int_equal(h.step[i].n_items, 4);
        assert_true(h.step[i].n_tokens > h.step[i].n_targets && h.step[i].n_targets > 0);
        assert_true(loss == h.step[i].loss && norm == h.step[i].grad_norm && loss > 0);
        assert_true(h.step[i].lr == schedule_lr(&hand->schedule, (double)i));
    }
    assert_true(h.step[0].lr == 0 && h.step[1].lr == 1e-3); /* warm-up of one step */
    assert_true(memcmp(t->trainees.item[0].master, hand->trainees.item[0].master,
                       t->trainees.item[0].n * sizeof(float)) == 0);
    trainer_close(t);
    trainer_close(hand);
    train_config_free(&c);
    train_config_free(&other);
}

/* Looking does not change the weights, and the loss is that of all items. */
static void test_validation(void **state)
{
    char set[600];
    const char *overrides[] = { "validate_every=2", set };
    struct train_config plain, c;
    struct heard h, unheard;
    struct trainer *t, *unseen;
    struct err e = { 0 };
    double sum = 0;
    size_t n_all = 0;

    (void)state;
    snprintf(set, sizeof set, "validation=%s", scratch_path(&scratch, "c.yaml"));
    config_read(&plain, "unseen", NULL, 0);
    config_read(&c, "validated", overrides, 2);
    t = trainer_of(&c, &h, NULL);
    unseen = trainer_of(&plain, &unheard, NULL);
    run(t);
    run(unseen);
    assert_int_equal(unheard.n_validated, 0);
    assert_int_equal(h.n_validated, 3);
    assert_true(h.validated_after[0] == 2 && h.validated_after[1] == 4 && h.validated_after[2] == STEPS);
    for (size_t i = 0; i < t->trainees.n; i++)
        assert_memory_equal(t->trainees.item[i].master, unseen->trainees.item[i].master,
                            t->trainees.item[i].n * sizeof(float));
    for (size_t i = 0; i < ITEMS; i++) {
        struct train_item item = { 0 };
        struct sample s;
        char *image;
        struct train_loss loss;

        assert_int_equal(corpus_read(t->corpus, i, 0, t->tokenizer, 120, &s, &image, &e), STATUS_OK);
        item.sample = &s;
        train_micro_batch(&t->ctx, &t->network, &item, 1, 0, 1, &loss);
        sum += loss.answers * (double)loss.n_targets;
        n_all += loss.n_targets;
        sample_free(&s);
    }
    assert_true(fabs(sum / (double)n_all - h.validation_loss) < 1e-12 * h.validation_loss);
    trainer_close(t);
    trainer_close(unseen);
    train_config_free(&c);
    train_config_free(&plain);
}

/* Frozen encoders' features are the same whether they were kept or not. */
static void test_feature_cache(void **state)
{
    static const char *const sizes[] = { "feature_cache=64", "feature_cache=1", "feature_cache=0" };
    struct heard h[3];
    struct trainer *t[3];
    struct train_config c[3];
    char yaml[600];

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *overrides[] = { sizes[i], yaml };

        snprintf(yaml, sizeof yaml, "data_config=%s", scratch_path(&scratch, "seen.yaml"));
        config_read(&c[i], sizes[i], overrides, 2);
        t[i] = trainer_of(&c[i], &h[i], NULL);
        assert_int_equal(t[i]->cache != NULL, i < 2);
        run(t[i]);
    }
    for (size_t i = 0; i < STEPS; i++) {
        assert_true(h[0].step[i].loss == h[1].step[i].loss && h[0].step[i].n_tokens == h[2].step[i].n_tokens);
        /* Without the cache several images go through an encoder at once. */
        assert_true(fabs(h[0].step[i].loss - h[2].step[i].loss) <= 1e-4 * h[2].step[i].loss);
    }
    for (int i = 0; i < 3; i++) {
        trainer_close(t[i]);
        train_config_free(&c[i]);
    }
}

/* ---- checkpoints ------------------------------------------------------------------------------------------- */

static bool is_there(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0;
}

static void test_keep(void **state)
{
    static const char *const names[STEPS] = { "epoch0-iter1", "epoch0-iter3", "epoch0", "epoch1-iter1",
                                              "epoch1-iter3" };

    (void)state;
    for (size_t keep = 0; keep <= 3; keep++) {
        char folder[16], set[16];
        const char *overrides[] = { "save_every=1", set };
        struct train_config c;
        struct heard h;
        struct trainer *t;

        snprintf(folder, sizeof folder, "keep%zu", keep);
        snprintf(set, sizeof set, "keep=%zu", keep);
        config_read(&c, folder, overrides, 2);
        t = trainer_of(&c, &h, NULL);
        run(t);
        assert_int_equal(h.n_saved, STEPS);
        for (size_t i = 0; i < STEPS; i++) {
            char path[600];

            snprintf(path, sizeof path, "%s/%s", c.output_dir, names[i]);
            assert_string_equal(h.saved[i], path);
            assert_int_equal(is_there(path), keep == 0 || i + keep >= STEPS);
        }
        trainer_close(t);
        train_config_free(&c);
    }
}

/* The disk is full when the second checkpoint is written. */
static void test_full_disk(void **state)
{
    static const char *const overrides[] = { "save_every=1", "keep=1" };
    struct rlimit unlimited;
    struct train_config c;
    struct heard h;
    struct trainer *t;
    struct err e = { 0 };
    char path[600];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    signal(SIGXFSZ, SIG_IGN); /* writing fails instead */
    config_read(&c, "full", overrides, 2);
    t = trainer_of(&c, &h, NULL);
    h.limit_after = 1;
    assert_int_equal(trainer_run(t, &e), STATUS_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    trainer_close(t);
    assert_int_equal(h.n_saved, 1);
    snprintf(path, sizeof path, "%s/epoch0-iter3", c.output_dir);
    assert_false(is_there(path));

    /* What was there before is whole, and the run goes on from it. */
    t = trainer_of(&c, &h, c.output_dir);
    assert_int_equal(t->position.step, 1);
    run(t);
    assert_int_equal(h.n_steps, STEPS - 1);
    trainer_close(t);
    train_config_free(&c);
}

/* ---- what is refused --------------------------------------------------------------------------------------- */

static void check_refused_with(const char *override, const char *const *more, size_t n_more,
                               const char *resume, const char *want)
{
    const char *overrides[8] = { override };
    struct trainer_options o = { .threads = 1, .cpu = "portable", .resume = resume };
    struct train_listener l = { .report = NULL };
    struct train_config c;
    struct trainer *t;
    struct err e = { 0 };

    for (size_t i = 0; i < n_more; i++) overrides[i + 1] = more[i];
    config_read(&c, "refused", overrides, n_more + 1);
    if (trainer_open(&t, &c, &o, &l, &e) == STATUS_OK) fail_msg("not refused: %s", override);
    assert_null(t);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
    assert_false(is_there(c.output_dir)); /* nothing is left behind */
    train_config_free(&c);
}

static void check_refused(const char *override, const char *resume, const char *want)
{
    check_refused_with(override, NULL, 0, resume, want);
}

static void test_refused(void **state)
{
    static const char *const large[] = { "save_every=1", "max_steps=0", "epochs=1000000" };
    static const char *const blind[] = { "llama_type=llama_ens",
                                         "tokenizer_path=tests/data/tokenizer.model" };
    char seen[600];
    char resume[600], none[600];
    struct train_config c;
    struct heard h;
    struct trainer *t;

    (void)state;
    check_refused("model=none", NULL, "none");
    check_refused("max_words=60", NULL, "leave no room for text");
    check_refused("train=nothing.like.this", NULL, "is named like \"nothing.like.this\"");
    check_refused("warmup_steps=5", NULL, "the warm-up of 5 steps is not shorter than the run of 5");
    check_refused("accum_iter=10", NULL, "type \"default\" has 12 items");
    check_refused("mix={song: 2}", NULL, "the data has items of type \"default\", and the mix has none");
    check_refused_with("keep=1000000000", large, 3, NULL, "GB are free");
    snprintf(seen, sizeof seen, "data_config=%s", scratch_path(&scratch, "seen.yaml"));
    check_refused_with("model=tests/data/tiny/llama-meta", (const char *[]){ blind[0], blind[1], seen }, 3,
                       NULL, "have images, and the model has no encoders");

    config_read(&c, "first", NULL, 0);
    t = trainer_of(&c, &h, NULL);
    run(t);
    trainer_close(t);
    snprintf(resume, sizeof resume, "%s/epoch1-iter3", c.output_dir);
    snprintf(none, sizeof none, "%s/none", c.output_dir);
    check_refused("batch_size=1", c.output_dir,
                  "/epoch1-iter3/training.state: is the state of a run with batch_size 2, not 1");
    check_refused("train=norm.weight", resume, "is the state of a run with trained weights ");
    check_refused("model=tests/data/tiny/llama_ens-bf16", resume, "is the state of a run with another model");
    check_refused("seed=1", resume, "is the state of a run with seed 0, not 1");
    check_refused("seed=0", none, "none: cannot be resumed: it is neither a checkpoint of a run");
    train_config_free(&c);
}

/* ---- items that fail ----------------------------------------------------------------------------------------- */

static enum status run_on(const char *file, const char *share, struct err *e)
{
    char yaml[600];
    const char *overrides[] = { yaml, share, "batch_size=1", "accum_iter=1", "epochs=4", "max_steps=20" };
    struct train_config c;
    struct heard h;
    struct trainer *t;
    enum status st;

    snprintf(yaml, sizeof yaml, "data_config=%s", scratch_path(&scratch, file));
    config_read(&c, "failing", overrides, 6);
    t = trainer_of(&c, &h, NULL);
    st = trainer_run(t, e);
    trainer_close(t);
    scratch_remove(c.output_dir);
    train_config_free(&c);
    return st;
}

static void check_fails(const char *file, const char *share, const char *want)
{
    struct err e = { 0 };

    assert_int_equal(run_on(file, share, &e), STATUS_BAD_FORMAT);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
}

static void test_items_that_fail(void **state)
{
    struct err e = { 0 };

    (void)state;
    check_fails("bad.yaml", "skip_bad=0", "bad.jsonl, line 6: turn 1 does not say whom it is \"from\"");
    check_fails("bad.yaml", "skip_bad=0.05", "bad.jsonl, line 6");
    if (run_on("bad.yaml", "skip_bad=0.5", &e) != STATUS_OK) fail_msg("%s", e.text);
    check_fails("nothing.yaml", "skip_bad=0", "nothing.jsonl, line 1: there is nothing to learn");
    check_fails("nothing.yaml", "skip_bad=1", "no item of type \"default\" can be learned from");
    check_fails("unseen.yaml", "skip_bad=0", "/none.png: ");
}

/* ---- what is no number --------------------------------------------------------------------------------------- */

static void set_weight(struct trainer *t, const char *name, float value)
{
    size_t k = 0;

    while (k < t->trainees.n && strcmp(t->trainees.item[k].name, name) != 0) k++;
    assert_true(k < t->trainees.n);
    for (size_t i = 0; i < t->trainees.item[k].n; i++) t->trainees.item[k].master[i] = value;
    trainees_round(&t->trainees, 1);
}

static void test_loss_not_finite(void **state)
{
    struct safetensors_file f;
    struct train_config c;
    struct heard h;
    struct trainer *t;
    struct err e = { 0 };
    char path[600];

    (void)state;
    config_read(&c, "nan", NULL, 0);
    t = trainer_of(&c, &h, NULL);
    set_weight(t, "norm.weight", NAN);
    assert_int_equal(trainer_run(t, &e), STATUS_NUMERIC);
    assert_non_null(strstr(e.text, "step 1, micro-batch 0: the loss is not a finite number: of "));
    assert_non_null(strstr(e.text, "texts.jsonl, line "));
    assert_non_null(strstr(e.text, "all of it is in the folder of the run"));
    assert_int_equal(h.n_saved, 0);
    snprintf(path, sizeof path, "%s/failed-step1.safetensors", c.output_dir);
    memset(&e, 0, sizeof e);
    if (safetensors_open(&f, path, &e) != STATUS_OK) fail_msg("%s", e.text);
    assert_int_equal(f.count, 4);
    assert_string_equal(safetensors_metadata(&f, "step"), "1");
    assert_non_null(strstr(safetensors_metadata(&f, "item 1"), "texts.jsonl, line "));
    assert_int_equal(*(const int32_t *)safetensors_find(&f, "ids/0")->data, tok_bos(t->tokenizer));
    safetensors_close(&f);
    trainer_close(t);
    train_config_free(&c);
}

/* Gradients that are not finite are skipped, ten times. Here what goes forward is 0 and what comes back is multiplied by 1e50. */
static void test_gradients_not_finite(void **state)
{
    static const char *const overrides[] = { "max_steps=40", "epochs=20" };
    struct train_config c;
    struct heard h;
    struct trainer *t;
    struct err e = { 0 };

    (void)state;
    config_read(&c, "inf", overrides, 2);
    t = trainer_of(&c, &h, NULL);
    set_weight(t, "layers.0.attention_norm.weight", 0);
    set_weight(t, "layers.0.attention.wv.weight", 1e30f);
    set_weight(t, "layers.0.attention.wo.weight", 1e20f);
    assert_int_equal(trainer_run(t, &e), STATUS_NUMERIC);
    assert_non_null(strstr(e.text, "step 10: the gradients are not finite, 10 times in a row"));
    assert_int_equal(t->optimizer.skipped, 10);
    assert_int_equal(h.n_steps, 9); /* the tenth ends the run */
    for (size_t i = 0; i < h.n_steps; i++) {
        assert_true(h.step[i].skipped && !isfinite(h.step[i].grad_norm));
        assert_true(isfinite(h.step[i].loss));
    }
    trainer_close(t);
    train_config_free(&c);
}

/* ---- the data ---------------------------------------------------------------------------------------------- */

/* Three pictures, each asked about four times. */
static void write_seen(void)
{
    FILE *f = fopen(scratch_path(&scratch, "seen.jsonl"), "w");

    for (int i = 0; i < ITEMS; i++) {
        struct image im;
        struct err e = { 0 };
        char name[32];

        fprintf(f,
                "{\"image\": \"%d.png\", \"conversations\": [{\"from\": \"human\", \"value\": \"What?\"}, "
                "{\"from\": \"gpt\", \"value\": \"%d\"}]}\n",
                i % 3, i);
        snprintf(name, sizeof name, "%d.png", i % 3);
        assert_int_equal(img_init(&im, 20, 30, &e), STATUS_OK);
        for (int j = 0; j < im.width * im.height * 3; j++) im.rgb[j] = (unsigned char)(j * (i % 3 + 3));
        assert_int_equal(img_png_write(&im, scratch_path(&scratch, name), &e), STATUS_OK);
        img_free(&im);
    }
    fclose(f);
    f = fopen(scratch_path(&scratch, "seen.yaml"), "w");
    fputs("META: [{path: seen.jsonl}]\n", f);
    fclose(f);
}

static void write_text(const char *name, const char *text)
{
    scratch_write(scratch_path(&scratch, name), text, strlen(text));
}

#define TURNS                                                                                                \
    "\"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}, {\"from\": \"gpt\", \"value\": \"Ho\"}]"
#define GOOD "{" TURNS "}\n"

static void write_failing(void)
{
    write_text("bad.jsonl", GOOD GOOD GOOD GOOD GOOD
               "{\"conversations\": [{\"value\": \"Hi\"}, {\"value\": \"Ho, ho, ho\"}]}\n");
    write_text("bad.yaml", "META: [{path: bad.jsonl}]\n");
    write_text("nothing.jsonl", "{\"conversations\": [{\"from\": \"human\", \"value\": \"Hi\"}]}\n");
    write_text("nothing.yaml", "META: [{path: nothing.jsonl}]\n");
    write_text("unseen.jsonl", "{\"image\": \"none.png\", " TURNS "}\n");
    write_text("unseen.yaml", "META: [{path: unseen.jsonl}]\n");
}

static int setup(void **state)
{
    FILE *f;
    char cwd[400];

    (void)state;
    scratch_open(&scratch);
    write_seen();
    write_failing();
    f = fopen(scratch_path(&scratch, "texts.jsonl"), "w");
    for (int i = 0; i < ITEMS; i++)
        fprintf(f,
                "{\"conversations\": [{\"from\": \"human\", \"value\": \"Number %d?\"}, {\"from\": \"gpt\", "
                "\"value\": \"%0*d\"}]}\n",
                i, i % 4 + 1, i);
    fclose(f);
    f = fopen(scratch_path(&scratch, "c.yaml"), "w");
    fprintf(f,
            "model: %s/tests/data/tiny/llama_ens\nMETA: [{path: texts.jsonl}]\nbatch_size: 2\naccum_iter: 2\n"
            "max_words: 120\nepochs: 2\nmax_steps: %d\nlr: 1.0e-3\nmin_lr: 1.0e-4\nwarmup_steps: 1\n",
            getcwd(cwd, sizeof cwd), STEPS);
    fclose(f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_validation),
        cmocka_unit_test(test_feature_cache),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_items_that_fail),
        cmocka_unit_test(test_loss_not_finite),
        cmocka_unit_test(test_gradients_not_finite),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
