/* adapter.c - see adapter.h. */
#include "model/adapter.h"

#include <fnmatch.h>

#include "model/policy.h"

enum { LAYER_TARGETS = 2 }; /* of default_targets, the first */

static const char *const default_targets[] = {
    "layers.*.attention.w?.weight", "layers.*.feed_forward.w?.weight",
    "clip.visual.transformer.*",    "openclip_convnext_xxl.stages.*.mlp.*",
    "dinov2_vitg14.blocks.*",       "qformer.vision_model.encoder.*",
    "qformer.qformer.encoder.*",
};
static const char *const all_biased[] = { "layers.*.attention.w?.weight", "layers.*.feed_forward.w?.weight" };
static const char *const some_biased[] = { "layers.*.attention.w[qo].weight",
                                           "layers.*.feed_forward.w?.weight" };

struct adapter_rule adapter_rule_default(const struct variant *v, int rank, bool bias, bool encoders)
{
    return (struct adapter_rule){ .rank = rank,
                                  .targets = default_targets,
                                  .n_targets = encoders ? sizeof default_targets / sizeof *default_targets
                                                        : LAYER_TARGETS,
                                  .lenient = true,
                                  .biased = v->all_biased ? all_biased : some_biased,
                                  .n_biased = bias ? 2 : 0 };
}

struct layout {
    struct network *network;
    const struct adapter_rule *rule;
    struct err err;
};

static bool matches(const char *const *patterns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (fnmatch(patterns[i], name, 0) == 0) return true;
    }
    return false;
}

static struct adapter *adapter_of(struct layout *l, struct tensor *slot)
{
    if (slot->adapter == NULL) {
        slot->adapter = arena_calloc(&l->network->arena, 1, sizeof *slot->adapter);
        if (slot->adapter == NULL) err_no_memory(&l->err, "adapters");
    }
    return slot->adapter;
}

bool adapter_fits(const struct param *p)
{
    return p->kind == PARAM_MATRIX && p->experts == 1 && policy_class(p) != TENSOR_CLASS_TOK_EMBEDDINGS;
}

static void lay_out(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct layout *l = v->user;
    const struct adapter_rule *rule = l->rule;
    struct adapter *a;

    if (slot == NULL || l->err.code != STATUS_OK || !adapter_fits(p)) return;
    if (rule->rank > 0 && matches(rule->targets, rule->n_targets, p->name)) {
        int64_t inputs = 1;

        a = adapter_of(l, slot);
        if (a == NULL || a->a.n_dims != 0) return;
        for (int i = 1; i < p->n_dims; i++) inputs *= p->dim[i];
        a->a = tensor_matrix(DTYPE_F32, NULL, rule->rank, inputs);
        a->b = tensor_matrix(DTYPE_F32, NULL, p->dim[0], rule->rank);
    }
    if (matches(rule->biased, rule->n_biased, p->name)) {
        a = adapter_of(l, slot);
        if (a == NULL || a->bias.n_dims != 0) return;
        a->bias =
            (struct tensor){ .dtype = DTYPE_F32, .n_dims = 1, .dim = { p->dim[0] }, .stride = p->dim[0] };
    }
}

/* A target that means nothing is a slip of the pen: each must have its matrix. */
struct target_search {
    const char *pattern;
    bool found;
};

static void look_for_target(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct target_search *s = v->user;

    if (slot != NULL && adapter_fits(p) && fnmatch(s->pattern, p->name, 0) == 0) s->found = true;
}

enum status adapter_lay_out(struct network *n, const struct adapter_rule *rule, struct err *e)
{
    struct layout l = { .network = n, .rule = rule };
    struct param_visitor v = { .visit = lay_out, .user = &l };

    for (size_t i = 0; i < rule->n_targets && rule->rank > 0 && !rule->lenient; i++) {
        struct target_search s = { rule->targets[i], false };
        struct param_visitor search = { .visit = look_for_target, .user = &s };

        network_params(n, &search);
        if (s.found) continue;
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "no matrix that is multiplied with is named like \"%.120s\": there is nothing to adapt",
            s.pattern);
    }
    network_params(n, &v);
    return l.err.code == STATUS_OK ? STATUS_OK : err_set(e, l.err.code, "%s", l.err.text);
}
