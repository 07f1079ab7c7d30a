/*
 * test_feed.c - the micro-batches of a run: the same for any number of threads, from any step on, divided over ranks; and what becomes of
 * items that fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/digest.h"
#include "image/image.h"
#include "image/transform.h"
#include "support/scratch.h"
#include "support/tokenizer_bytes.h"
#include "train/feed.h"

enum { N_SEEN = 30, N_TEXTS = 21, SIDE = 16 };

static struct tokenizer *t;
static struct scratch scratch;
static struct corpus *corpus;

static const struct feed_options plain = {
    .micro_batch = 2,
    .accumulate = 2,
    .ranks = 1,
    .max_words = 200,
    .image_words = 20,
    .image_size = SIDE,
    .bad_share = 0.2,
    .threads = 2,
    .seed = 5,
};

static void image_put(int i)
{
    struct image im;
    struct err e = { 0 };
    char name[32];

    snprintf(name, sizeof name, "%d.png", i);
    assert_int_equal(img_init(&im, 20 + i, 30, &e), STATUS_OK);
    for (int j = 0; j < im.width * im.height * 3; j++) im.rgb[j] = (unsigned char)(j * (i + 3));
    assert_int_equal(img_png_write(&im, scratch_path(&scratch, name), &e), STATUS_OK);
    img_free(&im);
}

/* Item i of "seen" has answer i times "a" and picture i.png; texts are longer and longer, too. */
static struct corpus *corpus_make(void)
{
    FILE *f = fopen(scratch_path(&scratch, "seen.jsonl"), "w"),
         *g = fopen(scratch_path(&scratch, "texts.txt"), "w");
    const char yaml[] = "META: [{path: seen.jsonl, type: seen}, {path: texts.txt, type: texts}]";
    struct corpus *c;
    struct err e = { 0 };

    assert_true(f != NULL && g != NULL);
    for (int i = 0; i < N_SEEN; i++) {
        fprintf(f,
                "{\"image\": \"%d.png\", \"conversations\": [{\"from\": \"human\", \"value\": \"What?\"}, "
                "{\"from\": \"gpt\", \"value\": \"%0*d\"}]}\n",
                i, i + 1, 0);
        image_put(i);
    }
    for (int i = 0; i < N_TEXTS; i++) fprintf(g, "%0*d\n", i + 1, 0);
    fclose(f);
    fclose(g);
    scratch_write(scratch_path(&scratch, "feed.yaml"), yaml, sizeof yaml - 1);
    if (corpus_open(&c, scratch_path(&scratch, "feed.yaml"), 0, NULL, &e) != STATUS_OK)
        fail_msg("%s", e.text);
    return c;
}

static struct feed *feed_of(const struct feed_options *o, uint64_t epoch, size_t step)
{
    struct feed *f;
    struct err e = { 0 };

    if (feed_open(&f, corpus, t, o, epoch, step, &e) != STATUS_OK) fail_msg("%s", e.text);
    return f;
}

static const struct feed_batch *next(struct feed *f, const struct report *report)
{
    const struct feed_batch *b;
    struct err e = { 0 };

    if (feed_next(f, &b, report, &e) != STATUS_OK) fail_msg("%s", e.text);
    return b;
}

/* All of a micro-batch. */
static struct digest digest_of(const struct feed_batch *b)
{
    struct digest_maker m;
    struct digest d;

    digest_begin(&m);
    digest_number(&m, (int64_t)b->epoch);
    digest_number(&m, (int64_t)b->step);
    digest_number(&m, (int64_t)b->micro);
    for (size_t i = 0; i < b->n; i++) {
        const struct feed_item *it = &b->items[i];

        digest_number(&m, (int64_t)it->item);
        digest_add(&m, it->sample.ids, 2 * it->sample.n * sizeof *it->sample.ids); /* labels follow */
        if (it->planes != NULL) digest_add(&m, it->planes, 3 * SIDE * SIDE * sizeof *it->planes);
    }
    digest_end(&m, &d);
    return d;
}

/* ---- what comes ------------------------------------------------------------------------------------------ */

static void test_content(void **state)
{
    struct feed *f = feed_of(&plain, 0, 0);
    int n_times[N_SEEN + N_TEXTS] = { 0 };
    size_t n_steps = N_SEEN / 4 + N_TEXTS / 4;

    (void)state;
    assert_int_equal(feed_steps(f), n_steps);
    for (size_t i = 0; i < 2 * n_steps; i++) {
        const struct feed_batch *b = next(f, NULL);

        assert_true(b->n == 2 && b->epoch == 0 && b->step == i / 2 && b->micro == i % 2);
        for (size_t j = 0; j < b->n; j++) {
            const struct feed_item *it = &b->items[j];
            bool sees = it->item < N_SEEN;
            float planes[3 * SIDE * SIDE];
            struct image im;
            char name[32];

            n_times[it->item]++;
            assert_int_equal(it->planes != NULL, sees);
            assert_true(it->sample.n_targets > 0);
            if (!sees) continue;
            snprintf(name, sizeof name, "%zu.png", it->item);
            assert_int_equal(img_read(&im, scratch_path(&scratch, name), NULL, NULL), STATUS_OK);
            assert_int_equal(img_prepare(planes, NULL, &im, IMG_TRANSFORM_PADDED_RESIZE, SIDE, NULL),
                             STATUS_OK);
            assert_memory_equal(it->planes, planes, sizeof planes);
            img_free(&im);
        }
    }
    for (size_t i = 0; i < N_SEEN + N_TEXTS; i++)
        assert_int_equal(n_times[i], i < N_SEEN ? i < N_SEEN / 4 * 4 : i - N_SEEN < N_TEXTS / 4 * 4);
    assert_int_equal(next(f, NULL)->epoch, 1);
    assert_int_equal(feed_bad(f), 0);
    feed_close(f);
}

enum { RUN = 60 }; /* micro-batches: 2.5 epochs */

static void test_threads_and_resuming(void **state)
{
    struct digest want[RUN], got;
    struct feed_options o = plain;
    struct feed *f;

    (void)state;
    o.threads = 1;
    f = feed_of(&o, 0, 0);
    for (int i = 0; i < RUN; i++) want[i] = digest_of(next(f, NULL));
    feed_close(f);
    for (o.threads = 2; o.threads <= 5; o.threads++) {
        f = feed_of(&o, 0, 0);
        for (int i = 0; i < RUN; i++) {
            got = digest_of(next(f, NULL));
            assert_memory_equal(&got, &want[i], sizeof got);
        }
        feed_close(f);
    }
    o.threads = 3;
    for (size_t from = 0; from < RUN / 2; from += 5) { /* steps of two micro-batches, 12 an epoch */
        f = feed_of(&o, from / 12, from % 12);
        for (size_t i = 2 * from; i < RUN; i++) {
            got = digest_of(next(f, NULL));
            assert_memory_equal(&got, &want[i], sizeof got);
        }
        feed_close(f);
    }
}

/* Two ranks with a micro-batch each learn in a step what one rank learns in two. */
static void test_ranks(void **state)
{
    struct feed_options two = plain;
    struct feed *whole = feed_of(&plain, 3, 0), *part[2];

    (void)state;
    two.ranks = 2;
    two.accumulate = 1;
    for (two.rank = 0; two.rank < 2; two.rank++) part[two.rank] = feed_of(&two, 3, 0);
    for (int i = 0; i < RUN; i++) {
        const struct feed_batch *w = next(whole, NULL), *p = next(part[i % 2], NULL);

        assert_int_equal(w->step, p->step);
        for (size_t j = 0; j < 2; j++) assert_int_equal(w->items[j].item, p->items[j].item);
    }
    feed_close(whole);
    feed_close(part[0]);
    feed_close(part[1]);
}

static void test_views(void **state)
{
    struct feed_options o = plain;
    struct digest first[3], again;

    (void)state;
    for (int view = 0; view < 3; view++) {
        struct feed *f;

        o.view = (enum feed_view)view;
        for (int i = 0; i < 2; i++) {
            const struct feed_batch *b;

            f = feed_of(&o, 1, 0);
            do b = next(f, NULL);
            while (b->items[0].planes == NULL);
            again = digest_of(b);
            if (i == 0) first[view] = again;
            assert_memory_equal(&again, &first[view], sizeof again);
            feed_close(f);
        }
    }
    assert_memory_not_equal(&first[0], &first[1], sizeof again);
    assert_memory_not_equal(&first[0], &first[2], sizeof again);
    assert_memory_not_equal(&first[1], &first[2], sizeof again);
}

/* Nothing waits for what is never taken. */
static void test_closed_early(void **state)
{
    struct feed_options o = plain;

    (void)state;
    for (o.threads = 1; o.threads < 8; o.threads++) {
        struct feed *f = feed_of(&o, 0, 0);

        for (int i = 0; i < o.threads % 3; i++) next(f, NULL);
        feed_close(f);
    }
    feed_close(NULL);
}

/* ---- what fails ------------------------------------------------------------------------------------------ */

struct told {
    char text[16][600];
    size_t n;
};

static void tell(void *user, const char *text)
{
    struct told *told = user;

    assert_true(told->n < 16);
    snprintf(told->text[told->n++], sizeof told->text[0], "%s", text);
}

static void test_replaced(void **state)
{
    static struct told told[2];
    struct feed_options o = plain;
    const char *broken = scratch_path(&scratch, "11.png");

    (void)state;
    assert_int_equal(remove(scratch_path(&scratch, "0.png")), 0);
    assert_int_equal(remove(scratch_path(&scratch, "10.png")), 0);
    scratch_write(broken, "no picture", 10);
    for (int run = 0; run < 2; run++) {
        const struct report report = { .warn = tell, .user = &told[run] };
        struct feed *f;
        int n_times[N_SEEN + N_TEXTS] = { 0 };

        o.threads = run == 0 ? 1 : 4;
        f = feed_of(&o, 0, 0);
        for (size_t i = 0; i < 4 * feed_steps(f); i++) { /* two epochs */
            const struct feed_batch *b = next(f, &report);

            assert_int_equal(b->n, 2);
            for (size_t j = 0; j < 2; j++) n_times[b->items[j].item]++;
        }
        assert_int_equal(feed_bad(f), 3);
        assert_int_equal(told[run].n, 3); /* once each, whatever the epochs */
        assert_true(n_times[0] == 0 && n_times[10] == 0 && n_times[11] == 0);
        assert_int_equal(n_times[9], 6);          /* for 10 and 11, too */
        assert_int_equal(n_times[N_SEEN - 1], 2); /* for 0; its own step is not full */
        feed_close(f);
    }
    assert_memory_equal(told[0].text, told[1].text, sizeof told[0].text);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(strstr(told[0].text[i], "seen.jsonl, line "));
        assert_non_null(strstr(told[0].text[i], ".png"));
    }
    image_put(0);
    image_put(10);
    image_put(11);
}

static void check_fails(const struct feed_options *o, const char *want)
{
    struct feed *f = feed_of(o, 0, 0);
    const struct feed_batch *b = NULL;
    struct err e = { 0 };
    enum status st = STATUS_OK;

    for (size_t i = 0; st == STATUS_OK && i < 2 * feed_steps(f); i++) st = feed_next(f, &b, NULL, &e);
    assert_int_equal(st, STATUS_BAD_FORMAT);
    assert_null(b);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
    feed_close(f);
}

static void test_too_many(void **state)
{
    struct feed_options o = plain;

    (void)state;
    assert_int_equal(remove(scratch_path(&scratch, "5.png")), 0);
    assert_int_equal(remove(scratch_path(&scratch, "6.png")), 0);
    o.bad_share = 0;
    check_fails(&o, "seen.jsonl, line ");
    o.bad_share = 1.5 / (N_SEEN + N_TEXTS);
    check_fails(&o,
                "2 of 51 items cannot be learned from, more than the 2.94118 % that may fail; the last is ");
    for (int i = 0; i < N_SEEN; i++) {
        char name[32];

        snprintf(name, sizeof name, "%d.png", i);
        remove(scratch_path(&scratch, name));
    }
    o.bad_share = 1;
    check_fails(&o, "no item of type \"seen\" can be learned from");
    for (int i = 0; i < N_SEEN; i++) image_put(i);
}

static void check_refused(const struct feed_options *o, size_t step, const char *want)
{
    struct feed *f;
    struct err e = { 0 };

    assert_int_equal(feed_open(&f, corpus, t, o, 0, step, &e), STATUS_BAD_ARGUMENT);
    assert_null(f);
    if (strstr(e.text, want) == NULL) fail_msg("\"%s\" does not say \"%s\"", e.text, want);
}

static void test_refused(void **state)
{
    struct feed_options o = plain;

    (void)state;
    check_refused(&o, 12, "no step 12 in an epoch of 12");
    o.image_words = 1455;
    o.max_words = 512; /* upstream's recipe for five views */
    check_refused(&o, 0, "512 words at most, of which an image takes 1455");
    o.max_words = 1455 + 64;
    check_refused(&o, 0, "take 1520 or more");
    o = plain;
    o.micro_batch = 11;
    check_refused(&o, 0, "type \"texts\" has 21 items, fewer than the 22 of one step");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),      cmocka_unit_test(test_threads_and_resuming),
        cmocka_unit_test(test_ranks),        cmocka_unit_test(test_views),
        cmocka_unit_test(test_closed_early), cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_too_many),     cmocka_unit_test(test_refused),
    };
    int failed;

    t = tokenizer_open();
    scratch_open(&scratch);
    corpus = corpus_make();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    corpus_close(corpus);
    scratch_close(&scratch);
    tok_close(t);
    return failed;
}
