/* cmd_convert.c - a model in another format, or in other types (model/convert.h). */
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/conversion.h"
#include "cli/message.h"

static int read_policy(struct policy *k, const struct settings *s)
{
    struct err e = { 0 };

    *k = (struct policy){ .keep = s->convert_type == NULL, .n_rules = s->tensor_types.count };
    if (s->convert_type != NULL)
        policy_type(s->convert_type, &k->type); /* the parser has let only known ones through */
    k->rules = calloc(k->n_rules + 1, sizeof *k->rules);
    if (k->rules == NULL) return fail("out of memory for the patterns");
    for (size_t i = 0; i < k->n_rules; i++) {
        if (policy_rule_parse(&k->rules[i], s->tensor_types.item[i], &e) != STATUS_OK)
            return usage_error(s->command, "--tensor-type: %s", e.text);
    }
    return CODE_OK;
}

int cmd_convert(struct settings *s)
{
    static const struct ckpt_options no_rules;
    struct setup u = { 0 };
    struct policy policy = { 0 };
    const char *out = s->operands.item[s->operands.count - 1];
    int code;

    s->models = s->operands; /* all but the last */
    s->models.count--;
    s->operands = (struct text_list){ 0 };
    code = setup_begin(&u, s);
    if (code == CODE_OK) code = read_policy(&policy, s);
    if (code == CODE_OK) code = conversion_run(&u, out, &policy, &no_rules);
    setup_close(&u);
    free(policy.rules);
    return code;
}
