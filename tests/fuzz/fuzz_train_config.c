/*
 * fuzz_train_config.c - any bytes as the configuration of a run: refused with a reason, or values within their bounds.
 *
 *   up to the first zero byte: the file; the rest: a --set
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/train_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[256]; /* made when it is first needed */

static void clean(void)
{
    unlink(path);
}

static void put(const void *data, size_t size)
{
    const char *parent = getenv("TMPDIR");
    FILE *f;

    if (path[0] == '\0') {
        int fd;

        snprintf(path, sizeof path, "%s/sphinx-fuzz-XXXXXX", parent != NULL ? parent : P_tmpdir);
        fd = mkstemp(path);
        if (fd < 0) abort();
        close(fd);
        atexit(clean);
    }
    f = fopen(path, "wb");
    if (f == NULL || (size > 0 && fwrite(data, 1, size, f) != size) || fclose(f) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t n_file = end != NULL ? (size_t)(end - data) : size;
    char *override = end != NULL ? strndup((const char *)end + 1, size - n_file - 1) : NULL;
    struct train_config c;
    struct err e = { 0 };

    put(data, n_file);
    if (train_config_read(&c, path, (const char *const *)&override, override != NULL, &e) == STATUS_OK) {
        size_t n_micro = 0;

        for (size_t i = 0; i < c.mix.n; i++) n_micro += c.mix.n_micro[i];
        assert(c.mix.n == 0 || n_micro == c.accum_iter);
        assert(c.model.n > 0 && c.data_config != NULL && c.output_dir[0] != '\0');
        assert(c.batch_size >= 1 && c.accum_iter >= 1 && c.num_workers >= 1 && c.epochs > 0);
        assert(c.lr >= c.min_lr && c.min_lr >= 0 && c.skip_bad >= 0 && c.skip_bad <= 1);
        train_config_free(&c);
    } else {
        assert(e.text[0] != '\0');
    }
    free(override);
    return 0;
}
