/* test_train_config.c - what a run's YAML says, and the sentences about what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/scratch.h"
#include "train/train_config.h"

static struct scratch scratch;

static const char *put(const char *yaml)
{
    const char *path = scratch_path(&scratch, "c.yaml");

    scratch_write(path, yaml, strlen(yaml));
    return path;
}

#define BASE "model: m\ndata_config: d.yaml\noutput_dir: out\n"

static void read_config(struct train_config *c, const char *yaml, const char *const *overrides, size_t n)
{
    struct err e = { 0 };

    if (train_config_read(c, put(yaml), overrides, n, &e) != STATUS_OK) fail_msg("%s", e.text);
}

static void check_refused(const char *yaml, const char *override, const char *want)
{
    struct train_config c;
    struct err e = { 0 };

    if (train_config_read(&c, put(yaml), &override, override != NULL, &e) == STATUS_OK)
        fail_msg("not refused: %s", yaml);
    assert_null(c.arena.first);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
}

static void test_adapters(void **state)
{
    const char *overrides[] = { "lora_rank=16", "lora_targets=[layers.*.wq.weight, output.weight]",
                                "norm_tuning=true" };
    struct train_config c;

    (void)state;
    read_config(&c, BASE, NULL, 0);
    assert_false(train_config_adapts(&c));
    train_config_free(&c);
    read_config(&c, BASE "bias_tuning: true\n", NULL, 0);
    assert_true(train_config_adapts(&c) && c.lora_rank == 0);
    train_config_free(&c);
    read_config(&c, BASE, overrides, 3);
    assert_true(train_config_adapts(&c) && c.lora_rank == 16 && c.norm_tuning && !c.bias_tuning);
    assert_int_equal(c.lora_targets.n, 2);
    assert_string_equal(c.lora_targets.item[1], "output.weight");
    train_config_free(&c);
    check_refused(BASE "lora_rank: -1\n", NULL, "a whole number from 0");
    check_refused(BASE "lora_targets: output.weight\n", NULL, "without \"lora_rank\"");
    check_refused(BASE "lora_rank: 2\n", "trainable_mode=mm_stage1", "leave one out");
}

static void test_defaults(void **state)
{
    struct train_config c;

    (void)state;
    read_config(&c, BASE, NULL, 0);
    assert_int_equal(c.batch_size, 4);
    assert_int_equal(c.accum_iter, 4);
    assert_true(c.lr == 2e-5 && c.min_lr == 0 && c.clip_grad == 8 && c.weight_decay == 0);
    assert_true(c.warmup_epochs == 0.03 && c.warmup_steps == SIZE_MAX && c.epochs == 1 && c.max_steps == 0);
    assert_int_equal(c.precision, TRAIN_BF16);
    assert_int_equal(c.image_transform, TRAIN_PADDED_RESIZE);
    assert_true(!c.encoders && c.skip_bad == 0 && c.seed == 0 && c.validation == NULL);
    assert_int_equal(c.trainable_mode, TRAIN_MODE_STAGE2);
    train_config_free(&c);
}

static void test_paths(void **state)
{
    struct train_config c;
    char want[600];

    (void)state;
    read_config(
        &c, "model: [m, '/abs/x:0.5', ../y]\nMETA: [{path: a}]\noutput_dir: out\nvalidation: v/meta.yaml\n",
        NULL, 0);
    assert_int_equal(c.model.n, 3);
    assert_string_equal(c.model.item[0], scratch_path(&scratch, "m"));
    assert_string_equal(c.model.item[1], "/abs/x:0.5");
    snprintf(want, sizeof want, "%s/../y", scratch.path);
    assert_string_equal(c.model.item[2], want);
    assert_string_equal(c.data_config, scratch_path(&scratch, "c.yaml"));
    assert_string_equal(c.validation, scratch_path(&scratch, "v/meta.yaml"));
    assert_string_equal(c.output_dir, "out");
    train_config_free(&c);
}

static void test_values(void **state)
{
    const char *overrides[] = { "lr=2.5e-3", "train=[norm.weight, 'layers.*']", "precision=tf32",
                                "model=other/m", "seed=9007199254740992" };
    struct train_config c;

    (void)state;
    read_config(&c,
                BASE
                "lr: 1\nencoders: yes\nfreeze: output.weight\ntrainable_mode: mm_stage2\nwarmup_steps: 0\n"
                "accum_iter: 3\nsave_iteration_interval: 10\nmin_lr: ~\nmax_steps: 7\nsave_type: f32\n",
                overrides, sizeof overrides / sizeof *overrides);
    assert_true(c.lr == 2.5e-3 && c.min_lr == 0);
    assert_int_equal(c.train.n, 2);
    assert_string_equal(c.train.item[1], "layers.*");
    assert_int_equal(c.freeze.n, 1);
    assert_string_equal(c.freeze.item[0], "output.weight");
    assert_int_equal(c.precision, TRAIN_TF32);
    assert_int_equal(c.save_type, TRAIN_SAVE_F32);
    assert_string_equal(c.model.item[0], "other/m"); /* of the command line: below the current folder */
    assert_true(c.encoders && c.warmup_steps == 0 && c.max_steps == 7);
    assert_true(c.seed == 9007199254740992u);
    assert_int_equal(c.save_every, 3); /* 10 micro-batches are 3 whole steps of 3 */
    train_config_free(&c);
}

static void test_mix(void **state)
{
    struct train_config c;

    (void)state;
    read_config(&c, BASE "mix: {caption: 10, text: 1}\nsave_iteration_interval: 22\n", NULL, 0);
    assert_int_equal(c.mix.n, 2);
    assert_string_equal(c.mix.type[1], "text");
    assert_true(c.mix.n_micro[0] == 10 && c.mix.n_micro[1] == 1 && c.accum_iter == 11 && c.save_every == 2);
    train_config_free(&c);
    check_refused(BASE "mix: 3\n", NULL, "line 4: mix: want a number of micro-batches for each type");
    check_refused(BASE "mix: {a: 0}\n", NULL, "line 4: mix: want a whole number from 1 to 65536, not \"0\"");
    check_refused(BASE "mix: {a: 1, a: 2}\n", NULL, "the key \"a\" is there twice");
    check_refused(BASE "mix: {a: 1, b: 2}\naccum_iter: 4\n", NULL,
                  "a step of the mix has 3 micro-batches, not 4");
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    check_refused("", NULL, "want keys with values");
    check_refused("- a", NULL, "want keys with values");
    check_refused("model: m\nlr: [", NULL, "c.yaml: line ");
    check_refused(BASE "bach_size: 3\n", NULL,
                  "c.yaml: line 4: the key \"bach_size\" is unknown; did you mean \"batch_size\"?");
    check_refused(BASE "zzzzzzzzz: 3\n", NULL, "line 4: the key \"zzzzzzzzz\" is unknown (docs/train.md");
    check_refused(BASE "lr: 1\nlr: 2\n", NULL, "line 5: the key \"lr\" is there twice");
    check_refused(BASE "lr: fast\n", NULL, "line 4: lr: want a number from 0 to 1000, not \"fast\"");
    check_refused(BASE "lr: .nan\n", NULL, "line 4: lr: want a number");
    check_refused(BASE "lr: nan\n", NULL, "line 4: lr: want a number");
    check_refused(BASE "lr: [1]\n", NULL, "line 4: lr: want a text or a number");
    check_refused(BASE "batch_size: 0\n", NULL, "batch_size: want a whole number from 1 to 4096, not \"0\"");
    check_refused(BASE "batch_size: 1.5\n", NULL, "batch_size: want a whole number");
    check_refused(BASE "batch_size: 99999999999999999999\n", NULL, "batch_size: want a whole number");
    check_refused(BASE "encoders: 2\n", NULL, "encoders: want true or false, not \"2\"");
    check_refused(BASE "precision: fp8\n", NULL, "precision: \"fp8\" is unknown; known are bf16, f32");
    check_refused(BASE "precision: fp16\n", NULL, "take bf16 or f32");
    check_refused(BASE "train: [a, [b]]\n", NULL, "line 4: train: want a text or a list of texts");
    check_refused(BASE "train: a\ntrainable_mode: mm_stage1\n", NULL, "both say what trains");
    check_refused(BASE "lr: 1\nmin_lr: 2\n", NULL, "min_lr 2 is above lr 1");
    check_refused(BASE "save_iteration_interval: 3\n", NULL, "3 micro-batches are less than a step of 4");
    check_refused("data_config: d\noutput_dir: o\n", NULL, "no key \"model\"");
    check_refused("model: m\noutput_dir: o\n", NULL, "neither a key \"data_config\" nor META");
    check_refused("model: m\ndata_config: d\n", NULL, "no key \"output_dir\"");
    check_refused(BASE, "lr", "--set: want KEY=VALUE, not \"lr\"");
    check_refused(BASE, "min_lrr=1",
                  "--set min_lrr: line 1: the key \"min_lrr\" is unknown; did you mean \"min_lr\"?");
    check_refused(BASE, "META=[]", "META: want to be in the file");
}

static int setup(void **state)
{
    (void)state;
    scratch_open(&scratch);
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
        cmocka_unit_test(test_adapters), cmocka_unit_test(test_defaults),      cmocka_unit_test(test_paths),
        cmocka_unit_test(test_values),   cmocka_unit_test(test_what_is_wrong), cmocka_unit_test(test_mix),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
