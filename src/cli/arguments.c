/* arguments.c - see arguments.h. */
#include "cli/arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"
#include "core/file.h"

enum { QUESTION_SIZE_MAX = 1 << 24 }; /* more than any context holds */

static bool is_standard_input(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

int arguments_check(const struct settings *s)
{
    bool question_piped = is_standard_input(s->prompt) || is_standard_input(s->prompt_file);

    if (s->prompt != NULL && s->prompt_file != NULL)
        return usage_error(s->command, "--prompt and --file are two questions; give one");
    if (question_piped && is_standard_input(s->image))
        return usage_error(s->command, "--image and the question cannot both come from standard input");
    if (s->kv_keys != NULL && s->kv_values != NULL && strcmp(s->kv_keys, s->kv_values) != 0)
        return usage_error(s->command, "-ctk %s and -ctv %s: keys and values share one type", s->kv_keys,
                           s->kv_values);
    if (s->image_cache_size > 0 && s->model.image_cache == NULL)
        return usage_error(s->command, "--image-cache-size needs a folder to bound: --image-cache DIR");
    if (s->prompt_cache_ro && s->prompt_cache == NULL)
        return usage_error(s->command, "--prompt-cache-ro needs a file to read: --prompt-cache FILE");
    if (s->prompt_cache != NULL && !s->prompt_cache_ro)
        return arguments_check_output("--prompt-cache", s->prompt_cache);
    return CODE_OK;
}

static int question_read(const char *path, char **question)
{
    struct err e = { 0 };
    unsigned char *data;
    size_t size;

    if (file_read(path, QUESTION_SIZE_MAX, &data, &size, &e) != STATUS_OK) return fail("%s", e.text);
    if (memchr(data, '\0', size) != NULL) {
        free(data);
        return fail("%s: a question holds no NUL characters",
                    is_standard_input(path) ? "standard input" : path);
    }
    if (size > 0 && data[size - 1] == '\n') data[--size] = '\0';
    if (size > 0 && data[size - 1] == '\r') data[--size] = '\0';
    *question = (char *)data;
    return CODE_OK;
}

int arguments_question(const struct settings *s, char **question)
{
    const char *path = s->prompt_file;
    int code = CODE_OK;

    *question = NULL;
    if (s->prompt == NULL && s->prompt_file == NULL)
        return usage_error(s->command, "a question is missing: --prompt TEXT or --file FILE");
    if (is_standard_input(s->prompt)) path = "-";
    if (path != NULL) {
        code = question_read(path, question);
    } else {
        *question = strdup(s->prompt);
        if (*question == NULL) code = fail("out of memory for the question");
    }
    if (code == CODE_OK && (*question)[0] == '\0') {
        free(*question);
        *question = NULL;
        return fail("the question is empty");
    }
    return code;
}

int arguments_check_output(const char *option, const char *path)
{
    const char *base = path_base(path);
    char *folder;
    int code = CODE_OK;

    if (path[0] == '\0') return fail("%s: the file name is empty", option);
    if (file_is_directory(path) || base[0] == '\0') return fail("%s %s: is a directory", option, path);
    folder = base == path ? strdup(".") : strndup(path, (size_t)(base - path));
    if (folder == NULL) return fail("out of memory for %s", option);
    if (!file_is_directory(folder))
        code = fail("%s %s: there is no folder %s", option, path, folder);
    else if (access(folder, W_OK) != 0)
        code = fail("%s %s: cannot write to %s: %s", option, path, folder, strerror(errno));
    free(folder);
    return code;
}
