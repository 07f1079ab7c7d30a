/* cmd_synth.c - drawn scenes with questions and answers: data to learn from (synth/world.h). */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "core/file.h"
#include "synth/world.h"

static enum split split_named(const char *name)
{
    enum split split = SPLIT_TRAIN;

    while (split < SPLIT_COUNT - 1 && strcmp(split_names[split], name) != 0) split++;
    return split;
}

static enum domain domain_named(const char *name)
{
    return strcmp(name, "vector") == 0  ? DOMAIN_VECTOR
           : strcmp(name, "photo") == 0 ? DOMAIN_PHOTO
                                        : DOMAIN_BOTH;
}

static void print_counts(const struct world_result *r)
{
    for (enum task t = 0; t < TASK_COUNT; t++) {
        if (r->n_questions[t] > 0) output_printf("%-18s %zu\n", task_rows[t].name, r->n_questions[t]);
    }
    if (r->n_masks > 0) output_printf("%-18s %zu\n", "masks", r->n_masks);
}

static int run(const struct settings *s, struct world_options *o)
{
    struct progress_bar bar;
    struct report report = { .progress = progress_bar_update, .user = &bar, .cancel = interrupt_flag() };
    struct world_result result;
    struct err e = { 0 };
    enum status st;

    o->report = &report;
    progress_bar_init(&bar, s->quiet);
    interrupt_begin(NULL);
    st = world_write(o, &result, &e);
    interrupt_end();
    progress_bar_clear(&bar);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    if (st != STATUS_OK) return fail("%s", e.text);
    if (s->quiet) return CODE_OK;
    message("written: %s: %zu scenes", o->out, o->count);
    print_counts(&result);
    return CODE_OK;
}

int cmd_synth(struct settings *s)
{
    struct world_options o = { .out = s->operands.item[0],
                               .seed = s->ask.seed,
                               .count = s->count,
                               .domain = domain_named(s->domain),
                               .split = split_named(s->split),
                               .kinds = s->scenes,
                               .side = s->side,
                               .turns = s->turns,
                               .patches = s->patches,
                               .masks = s->synth_masks,
                               .threads = s->model.threads > 0 ? s->model.threads : cpu_threads_default() };

    for (enum task t = 0; t < TASK_COUNT; t++)
        o.task[t] = s->synth_tasks == 0 ? t < TASK_LESSON : (s->synth_tasks >> t & 1u) != 0;
    return run(s, &o);
}
