/* test_run_plot.c - the picture of a log: as many points as it can show, inside of its frame, whatever the log holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "support/scratch.h"
#include "train/run_plot.h"

static struct scratch scratch;

static char *svg_of(const char *log)
{
    const char *path = scratch_path(&scratch, "log.jsonl"), *svg = scratch_path(&scratch, "loss.svg");
    unsigned char *text = NULL;
    size_t size;
    struct err e = { 0 };

    unlink(svg);
    scratch_write(path, log, strlen(log));
    if (run_plot_write(path, svg, &e) != STATUS_OK) fail_msg("%s", e.text);
    if (!file_exists(svg)) return NULL;
    assert_int_equal(file_read(svg, 1 << 20, &text, &size, &e), STATUS_OK);
    return (char *)text;
}

/* Of the polyline; each must lie in the frame. */
static int points(const char *svg)
{
    const char *at = strstr(svg, "<polyline");
    double x, y;
    int n = 0, used;

    assert_non_null(at);
    at = strstr(at, "points='") + strlen("points='");
    for (; sscanf(at, "%lf,%lf %n", &x, &y, &used) == 2; at += used, n++)
        assert_true(x >= 64 && x <= 840 && y >= 36 && y <= 376);
    return n;
}

static void test_points(void **state)
{
    char *log = calloc(1, 1 << 20), *svg;
    size_t at = 0;

    (void)state;
    for (int i = 1; i <= 3000; i++)
        at += (size_t)sprintf(log + at, "{\"step\":%d,\"loss\":%.3f}\n", i, 2.0 + 100.0 / i + i % 7 * 0.1);
    svg = svg_of(log);
    assert_int_equal(points(svg), 400);
    assert_null(strstr(svg, "validation"));
    free(svg);
    free(log);
    svg = svg_of(
        "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":1.5}\n{\"step\":2,\"validation\":{\"loss\":1.75}}\n");
    assert_int_equal(points(svg), 2);
    assert_non_null(strstr(svg, "<title>step 2: 1.75</title>"));
    free(svg);
}

static void test_odd_logs(void **state)
{
    char *svg;

    (void)state;
    assert_null(svg_of(""));
    assert_null(svg_of("{\"step\":1,\"loss\":null}\n{\"step\":2,\"validation\":{\"loss\":1}}\n"));
    svg = svg_of("{\"step\":1,\"loss\":0}\n");
    assert_int_equal(points(svg), 1);
    free(svg);
    svg = svg_of("{\"step\":1,\"loss\":1e300}\n{\"step\":1e18,\"loss\":-1e300}\n{\"loss\":3}\n{\"step\":-1,"
                 "\"loss\":3}\n");
    assert_int_equal(points(svg), 2);
    free(svg);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_points), cmocka_unit_test(test_odd_logs) };

    return cmocka_run_group_tests(tests, setup, teardown);
}
