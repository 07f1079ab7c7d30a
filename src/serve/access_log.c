/* access_log.c - see access_log.h. */
#include "serve/access_log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/utf8.h"

static void print_time(char *text, size_t size, double seconds)
{
    time_t whole = (time_t)seconds;
    struct tm t;
    char day[32];

    gmtime_r(&whole, &t);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(text, size, "%s.%03dZ", day, (int)((seconds - (double)whole) * 1000));
}

static void disarm(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~') *text = '?';
}

static char *text_line(const struct serve_access *a, const char *when)
{
    char tokens[64] = "", *line = NULL;

    if (a->prompt_tokens > 0) snprintf(tokens, sizeof tokens, " %zu+%zu tokens", a->prompt_tokens, a->tokens);
    if (asprintf(&line, "%s %s %s %s %u %llu bytes %.3f s%s%s", when, a->client, a->method, a->path,
                 a->status, (unsigned long long)a->bytes, a->seconds, tokens,
                 a->whole ? "" : " (cut off)") < 0)
        return NULL;
    disarm(line);
    return line;
}

static char *json_text(const struct serve_access *a, const char *when)
{
    enum { DIGITS = 6 };
    size_t n = utf8_find_bad(a->path, strlen(a->path));
    json_t *o = json_pack("{s:s, s:s, s:s, s:s%, s:i, s:I, s:f, s:b}", "time", when, "client", a->client,
                          "method", a->method, "path", a->path, n, "status", (int)a->status, "bytes",
                          (json_int_t)a->bytes, "seconds", a->seconds, "whole", (int)a->whole);
    char *line;

    if (a->prompt_tokens > 0) {
        json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)a->prompt_tokens));
        json_object_set_new(o, "completion_tokens", json_integer((json_int_t)a->tokens));
    }
    line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
    json_decref(o);
    return line;
}

char *access_line(const struct serve_access *a, bool json)
{
    char when[48];

    print_time(when, sizeof when, a->time);
    return json ? json_text(a, when) : text_line(a, when);
}
