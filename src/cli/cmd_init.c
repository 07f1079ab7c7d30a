/* cmd_init.c - a checkpoint of random weights (model/synthetic.h, segment/sam_random.h). */
#include <string.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/progress_bar.h"
#include "core/report.h"
#include "model/synthetic.h"
#include "segment/sam_random.h"

static enum dtype dtype_named(const char *name)
{
    enum dtype t = DTYPE_COUNT;

    dtype_find(name, &t); /* the parser has let only known ones through */
    return t;
}

static int init_segmenter(const struct settings *s)
{
    struct sam_config k;
    struct err e = { 0 };

    if (sam_random_config(&k, s->sam_sizes, &e) != STATUS_OK ||
        sam_random_write(s->operands.item[0], &k, s->ask.seed, &e) != STATUS_OK)
        return fail("%s", e.text);
    if (!s->quiet) message("written: %s", s->operands.item[0]);
    return CODE_OK;
}

int cmd_init(struct settings *s)
{
    struct progress_bar bar;
    struct report report = { .progress = progress_bar_update, .user = &bar, .cancel = interrupt_flag() };
    struct synthetic_options o = { .llama_type = s->model.llama_type,
                                   .config_path = s->model.config_path,
                                   .tokenizer_path = s->model.tokenizer_path,
                                   .shards = s->shards,
                                   .dtype = dtype_named(s->weight_type),
                                   .seed = s->ask.seed,
                                   .to_train = s->to_train,
                                   .safetensors = s->safetensors,
                                   .report = &report };
    struct err e = { 0 };
    enum status st;

    if (s->sam_sizes != NULL) return init_segmenter(s);
    if (o.llama_type == NULL)
        return usage_error(s->command, "--llama-type TYPE is missing: which variant is it to be?");
    if (o.safetensors && o.shards > 1)
        return usage_error(s->command, "--safetensors writes one file; --shards %d does not go with it",
                           o.shards);
    progress_bar_init(&bar, s->quiet);
    interrupt_begin(NULL);
    st = synthetic_write(s->operands.item[0], &o, &e);
    interrupt_end();
    progress_bar_clear(&bar);
    if (st == STATUS_CANCELLED) return CODE_INTERRUPTED;
    if (st != STATUS_OK) return fail("%s", e.text);
    if (!s->quiet) message("written: %s", s->operands.item[0]);
    return CODE_OK;
}
