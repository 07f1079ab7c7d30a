/*
 * cmd_bench.c - what the machine can do, what the model takes on it, and how far apart the two are (model/measure.h).
 *
 *   limits, then one line a part: seconds (least .. most), tokens/s, work, the fraction of the limit that binds
 */
#include <jansson.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/setup.h"
#include "model/measure.h"

enum { QUESTION_TOKENS = 50 /* "What's in the image?" in upstream's template, with BOS */ };

/* ---- what is to be measured ---------------------------------------------------------------------------------- */

/* Positions of the prompts: those asked for, else an image's with a short question. */
static int read_prompts(struct measure_options *o, const struct settings *s, int image_words)
{
    for (size_t i = 0; i < s->prefill.count; i++) {
        const char *at = s->prefill.item[i];

        for (char *end;; at = end + 1) {
            long n = strtol(at, &end, 10);

            if (end == at || n < 1 || n > 1000000 || (*end != '\0' && *end != ','))
                return usage_error(s->command, "--prefill '%s': numbers of positions, separated by commas",
                                   s->prefill.item[i]);
            if (o->n_prompts == MEASURE_PROMPTS_MAX)
                return usage_error(s->command, "--prefill: at most %d lengths", MEASURE_PROMPTS_MAX);
            o->prompts[o->n_prompts++] = (int)n;
            if (*end == '\0') break;
        }
    }
    if (o->n_prompts == 0) o->prompts[o->n_prompts++] = image_words + QUESTION_TOKENS;
    return CODE_OK;
}

static enum dtype cache_type(const struct setup *u)
{
    const char *name = u->settings->kv_keys != NULL ? u->settings->kv_keys : "f16";
    enum dtype t = DTYPE_F16;

    dtype_find(name, &t); /* the parser has let only known ones through */
    return t;
}

/* ---- as text ---------------------------------------------------------------------------------------------------- */

static const char *const units[LIMIT_COUNT] = {
#define X(code, name, unit) [LIMIT_##code] = unit,
    LIMIT_MAP(X)
#undef X
};

static void print_part(void *user, const struct measure *m, int i)
{
    const struct measure_part *p = &m->parts[i];
    struct setup *u = user;

    progress_bar_clear(&u->bar);
    if (u->settings->json) return;
    output_printf("%-14s %9.3f s (%.3f .. %.3f)", p->name, p->seconds, p->least, p->most);
    if (p->tokens > 0) output_printf(" %9.2f tokens/s", p->tokens / p->seconds);
    output_printf(" %9.1f GFLOP %8.2f GB", p->work.flop / 1e9, p->work.bytes / 1e9);
    if (p->cost > 0) output_printf(" a step costs %.2f of one token", p->cost);
    if (p->fraction > 0) output_printf(" %5.1f %% of the %s limit", 100 * p->fraction, limit_name(p->limit));
    output_printf("\n");
    output_flush();
}

static void print_end(const struct measure *m, double first_token)
{
    for (enum limit i = 0; i < LIMIT_COUNT; i++) {
        if (m->limits[i] > 0)
            output_printf("limit %-8s %9.1f G%s\n", limit_name(i), m->limits[i] / 1e9, units[i]);
    }
    output_printf("load           %9.3f s\n", m->seconds_load);
    output_printf("first token    %9.3f s (load, image, first prefill)\n", first_token);
    output_printf("weights        %9.2f GB, resident at most %.2f GB\n", (double)m->weight_bytes / 1e9,
                  (double)m->resident_bytes / 1e9);
}

/* ---- as JSON ---------------------------------------------------------------------------------------------------- */

static json_t *part_json(const struct measure_part *p)
{
    json_t *part =
        json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "name", p->name, "seconds", p->seconds, "least", p->least,
                  "most", p->most, "flop", p->work.flop, "bytes", p->work.bytes);

    if (p->tokens > 0) {
        json_object_set_new(part, "tokens", json_real(p->tokens));
        json_object_set_new(part, "tokens_per_second", json_real(p->tokens / p->seconds));
    }
    if (p->cost > 0) json_object_set_new(part, "cost", json_real(p->cost));
    if (p->fraction > 0) {
        json_object_set_new(part, "limit", json_string(limit_name(p->limit)));
        json_object_set_new(part, "fraction", json_real(p->fraction));
    }
    return part;
}

static int print_json(const struct measure *m, const struct sphinx_model *model, double first_token)
{
    json_t *limits = json_object(), *parts = json_array(), *all;
    sphinx_model_info info;
    char *text;

    sphinx_model_get_info(model, &info);
    for (enum limit i = 0; i < LIMIT_COUNT; i++)
        json_object_set_new(limits, limit_name(i), json_real(m->limits[i]));
    for (int i = 0; i < m->n_parts; i++) json_array_append_new(parts, part_json(&m->parts[i]));
    all = json_pack("{s:s, s:s, s:i, s:o, s:o, s:f, s:f, s:I, s:I}", "name", info.name, "cpu", info.cpu,
                    "threads", model->threads, "limits", limits, "parts", parts, "load", m->seconds_load,
                    "first_token", first_token, "weight_bytes", (json_int_t)m->weight_bytes, "resident_bytes",
                    (json_int_t)m->resident_bytes);
    text = all != NULL ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(all);
    if (text == NULL) return fail("out of memory for the JSON");
    output_printf("%s\n", text);
    free(text);
    return CODE_OK;
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

/* Until an answer begins to appear: what a user waits for. */
static double seconds_first_token(const struct measure *m)
{
    double seconds = m->seconds_load;
    bool prefilled = false;

    for (int i = 0; i < m->n_parts; i++) {
        bool prefill = m->parts[i].kind == MEASURE_PREFILL;

        if (m->parts[i].kind == MEASURE_IMAGE || (prefill && !prefilled)) seconds += m->parts[i].seconds;
        prefilled = prefilled || prefill;
    }
    return seconds;
}

static int measure(struct setup *u)
{
    const struct settings *s = u->settings;
    struct report report = { .progress = u->report.progress,
                             .user = u->report.user,
                             .cancel = interrupt_flag() };
    struct measure_options o = { .runs = s->runs,
                                 .tokens = s->tokens,
                                 .sequences = s->sequences,
                                 .no_image = s->no_image,
                                 .kv_type = cache_type(u),
                                 .report = &report,
                                 .done = print_part,
                                 .user = u };
    struct measure m;
    struct err e = { 0 };
    sphinx_model_info info;
    enum status st;
    int code;

    sphinx_model_get_info(u->model, &info);
    code = read_prompts(&o, s, info.sees ? info.image_words : 0);
    if (code != CODE_OK) return code;
    interrupt_begin(NULL);
    st = measure_model(&m, u->model, &o, &e);
    interrupt_end();
    progress_bar_clear(&u->bar);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    if (st != STATUS_OK) return fail("%s", e.text);
    if (s->json) return print_json(&m, u->model, seconds_first_token(&m));
    print_end(&m, seconds_first_token(&m));
    return CODE_OK;
}

int cmd_bench(struct settings *s)
{
    struct setup u = { 0 };
    int code = setup_model(&u, s);

    if (code == CODE_OK) code = measure(&u);
    setup_close(&u);
    return code;
}
