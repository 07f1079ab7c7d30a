/*
 * cmd_mix.c - the domain mix: models of one kind, weighted and added up (store/checkpoint.h), and the difference of two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/conversion.h"
#include "cli/message.h"
#include "core/file.h"

struct mix {
    struct setup u;
    char **paths; /* [n] of our own making: "A:0.3" */
    size_t n;
    struct ckpt_mix_rule *rules; /* [n_rules] */
    size_t n_rules;
};

/* ---- weights --------------------------------------------------------------------------------------------------- */

/* Two models may be without weights of their own: then --beta is the first one's, or a half. Else they are given as A:0.5 B:0.3 C:0.2. */
static bool wants_beta(const struct settings *s)
{
    return s->operands.count == 2 && !s->delta && file_exists(s->operands.item[0]) &&
           file_exists(s->operands.item[1]);
}

static int weigh_paths(struct mix *m, const struct settings *s)
{
    double beta = 0.5;
    char *end = "";

    if (s->beta != NULL) beta = strtod(s->beta, &end);
    if (s->beta != NULL && (end == s->beta || *end != '\0'))
        return usage_error(s->command, "--beta is '%s', which is not a number", s->beta);
    m->paths = calloc(m->n + 1, sizeof(char *));
    if (m->paths == NULL) return fail("out of memory for the models' paths");
    for (size_t i = 0; i < m->n; i++) {
        const char *path = s->operands.item[i];
        double weight = i == 0 ? beta : 1 - beta;
        size_t size = strlen(path) + 32;

        m->paths[i] = malloc(size);
        if (m->paths[i] == NULL) return fail("out of memory for the models' paths");
        snprintf(m->paths[i], size, wants_beta(s) ? "%s:%.17g" : "%s", path, weight);
    }
    return CODE_OK;
}

/* "0.5,0.3,0.2" of n models, or the first one's weight of two. */
static bool read_weights(double *weight, size_t n, const char *text)
{
    size_t count = 0;
    char *end;

    for (;; text = end + 1) {
        if (count == n) return false;
        weight[count++] = strtod(text, &end);
        if (end == text) return false;
        if (*end != ',') break;
    }
    if (count == 1 && n == 2) weight[count++] = 1 - weight[0];
    return *end == '\0' && count == n;
}

static int read_rules(struct mix *m, const struct settings *s)
{
    m->rules = calloc(s->tensor_betas.count + 1, sizeof *m->rules);
    if (m->rules == NULL) return fail("out of memory for the patterns");
    for (size_t i = 0; i < s->tensor_betas.count; i++) {
        const char *text = s->tensor_betas.item[i], *equal = strrchr(text, '=');
        double *weight = calloc(m->n, sizeof *weight);

        m->rules[i].pattern = equal != NULL ? strndup(text, (size_t)(equal - text)) : NULL;
        m->rules[i].weight = weight;
        m->n_rules = i + 1;
        if (equal == NULL || equal == text || weight == NULL || !read_weights(weight, m->n, equal + 1)) {
            return usage_error(s->command,
                               "--tensor-beta: '%s' is not PATTERN=BETA, nor PATTERN with a weight for each "
                               "of the %zu models",
                               text, m->n);
        }
    }
    return CODE_OK;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static int check(const struct settings *s)
{
    if (s->output == NULL) return usage_error(s->command, "-o OUT is missing: where to write");
    if (s->delta && (s->beta != NULL || s->tensor_betas.count > 0 || s->operands.count != 2))
        return usage_error(s->command,
                           "--delta takes two models, the tuned one and its base, and no weights");
    if (s->beta != NULL && !wants_beta(s))
        return usage_error(s->command, "--beta is for two models that are there and have no weights of their "
                                       "own: of more, each carries its own, A:0.5 B:0.3 C:0.2");
    return CODE_OK;
}

static int run(struct mix *m, struct settings *s)
{
    struct policy policy = { .keep = !s->delta, .type = DTYPE_F16 };
    struct ckpt_options o = { .allow_missing = s->allow_missing, .delta = s->delta };
    int code = weigh_paths(m, s);

    if (code == CODE_OK) code = read_rules(m, s);
    if (code != CODE_OK) return code;
    o.rules = m->rules;
    o.n_rules = m->n_rules;
    s->models = (struct text_list){ (const char **)m->paths, m->n };
    code = setup_begin(&m->u, s);
    return code == CODE_OK ? conversion_run(&m->u, s->output, &policy, &o) : code;
}

int cmd_mix(struct settings *s)
{
    struct mix m = { .n = s->operands.count };
    int code = check(s);

    if (code == CODE_OK) code = run(&m, s);
    s->models = (struct text_list){ 0 };
    setup_close(&m.u);
    for (size_t i = 0; i < m.n && m.paths != NULL; i++) free(m.paths[i]);
    for (size_t i = 0; i < m.n_rules; i++) {
        free((char *)(uintptr_t)m.rules[i].pattern);
        free((double *)(uintptr_t)m.rules[i].weight);
    }
    free(m.paths);
    free(m.rules);
    return code;
}
