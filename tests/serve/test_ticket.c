/* test_ticket.c - what a reader of a ticket hears, and when. */
#include "serve/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/report.h"

static struct ticket *new_ticket(void)
{
    struct inquiry nothing = { 0 };
    struct ticket *t = ticket_make(&nothing);

    assert_non_null(t);
    return t;
}

/* Waits, and checks which text is new. */
static void hears(struct ticket *t, struct ticket_news *news, const char *text)
{
    assert_true(ticket_wait(t, 5, news));
    assert_non_null(news->text);
    assert_string_equal(news->text, text);
    free(news->text);
    free(news->tokens);
}

/* The first piece comes at once, what follows in pieces at least a hundredth of a second apart, and nothing is lost. */
static void text_comes_in_pieces(void **state)
{
    struct ticket *t = new_ticket();
    struct ticket_news news = { 0 };
    double first;

    (void)state;
    ticket_tell_text(t, "one", 3);
    hears(t, &news, "one");
    first = clock_seconds();
    ticket_tell_text(t, " two", 4);
    ticket_tell_text(t, " three", 6);
    hears(t, &news, " two three");
    assert_true(clock_seconds() - first > 0.009);
    assert_false(news.ended);
    assert_false(ticket_wait(t, 0.02, &news));
    ticket_drop(t);
}

static void *end_it(void *ticket)
{
    static const sphinx_error error = { SPHINX_CANCELLED, "no more" };

    ticket_tell_text(ticket, " two", 4);
    ticket_end(ticket, NULL, &error);
    return NULL;
}

/* The end is heard by a reader that waits for the next piece, together with the last text. */
static void the_end_brings_the_rest(void **state)
{
    struct ticket *t = new_ticket();
    struct ticket_news news = { 0 };
    pthread_t engine;

    (void)state;
    ticket_tell_text(t, "one", 3);
    hears(t, &news, "one");
    assert_int_equal(pthread_create(&engine, NULL, end_it, t), 0);
    while (!news.ended) {
        assert_true(ticket_wait(t, 5, &news));
        if (news.n_text > 0) assert_string_equal(news.text, " two");
        free(news.text);
        free(news.tokens);
    }
    pthread_join(engine, NULL);
    assert_string_equal(t->error.text, "no more");
    assert_int_equal(news.size, 7);
    ticket_drop(t);
}

/* Numbers of the same stage are taken when something else wakes the reader; a new stage wakes it. */
static void of_progress_the_newest_counts(void **state)
{
    struct ticket *t = new_ticket();
    struct ticket_news news = { 0 };

    (void)state;
    ticket_tell_progress(t, "queue", "", 0, 3);
    ticket_tell_progress(t, "queue", "", 2, 3);
    assert_true(ticket_wait(t, 5, &news));
    assert_true(news.progressed);
    assert_string_equal(news.progress.stage, "queue");
    assert_int_equal(news.progress.done, 2);
    assert_false(ticket_wait(t, 0.01, &news));
    assert_false(news.progressed);
    ticket_drop(t);
}

/* A ticket that was just submitted, and one that has text: no progress. */
static void what_is_quick_has_none(void **state)
{
    struct ticket *t = new_ticket();
    struct ticket_news news = { 0 };

    (void)state;
    t->submitted = clock_seconds() + 1000;
    ticket_tell_progress(t, "prefill", "", 0, 3);
    assert_false(ticket_wait(t, 0.01, &news));
    assert_false(news.progressed);
    t->submitted = 0;
    assert_true(ticket_wait(t, 0.01, &news));
    assert_true(news.progressed);
    ticket_tell_progress(t, "prefill", "", 1, 3);
    ticket_tell_text(t, "one", 3);
    hears(t, &news, "one");
    assert_false(news.progressed);
    ticket_drop(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(text_comes_in_pieces),
                                        cmocka_unit_test(the_end_brings_the_rest),
                                        cmocka_unit_test(of_progress_the_newest_counts),
                                        cmocka_unit_test(what_is_quick_has_none) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
