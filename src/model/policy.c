/* policy.c - see policy.h. */
#include "model/policy.h"

#include <fnmatch.h>
#include <stdio.h>

const char *const tensor_class_names[TENSOR_CLASS_COUNT] = {
#define X(code, name) [TENSOR_CLASS_##code] = name,
    TENSOR_CLASS_MAP(X)
#undef X
};

const char policy_types[] = "f32 f16 bf16 q8_0 q6_K q4_K q4_0";

bool policy_is_quantised(enum dtype t)
{
    return dtype_info(t)->block_elements > 1;
}

bool policy_type(const char *name, enum dtype *type)
{
    return dtype_find(name, type) && dtype_info(*type)->from_f32 != NULL;
}

/* ---- classes ------------------------------------------------------------------------------------------------ */

static bool begins_with(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

/* TENSOR_CLASS_COUNT where the beginning of the name does not say it. */
static enum tensor_class class_of_beginning(const char *name)
{
    static const struct {
        const char *beginning;
        enum tensor_class class;
    } parts[] = { { "clip.", TENSOR_CLASS_CLIP },
                  { "openclip_convnext_xxl.", TENSOR_CLASS_CONVNEXT },
                  { "dinov2_vitg14.", TENSOR_CLASS_DINOV2 },
                  { "qformer.", TENSOR_CLASS_QFORMER },
                  { "visual_proj.", TENSOR_CLASS_MIXER },
                  { "qformer_proj.", TENSOR_CLASS_MIXER },
                  { "image_encoder.", TENSOR_CLASS_SAM },
                  /* SAM's other parts are small, and run once a mask. */
                  { "prompt_encoder.", TENSOR_CLASS_SMALL },
                  { "mask_decoder.", TENSOR_CLASS_SMALL },
                  { "tok_embeddings.", TENSOR_CLASS_TOK_EMBEDDINGS },
                  { "output.", TENSOR_CLASS_OUTPUT } };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (begins_with(name, parts[i].beginning)) return parts[i].class;
    return TENSOR_CLASS_COUNT;
}

bool policy_is_encoder(const char *name)
{
    enum tensor_class class = class_of_beginning(name);

    return class == TENSOR_CLASS_CLIP || class == TENSOR_CLASS_CONVNEXT || class == TENSOR_CLASS_DINOV2 ||
           class == TENSOR_CLASS_QFORMER;
}

enum tensor_class policy_class(const struct param *p)
{
    enum tensor_class class = class_of_beginning(p->name);

    if (p->kind == PARAM_VECTOR || strstr(p->name, ".lora_") != NULL || strstr(p->name, ".rel_pos_") != NULL)
        return TENSOR_CLASS_SMALL;
    if (class != TENSOR_CLASS_COUNT) return class;
    if (strstr(p->name, ".attention.") != NULL) return TENSOR_CLASS_ATTENTION;
    /* The router of experts decides who answers: a matrix, but as small as a norm. */
    if (strstr(p->name, ".feed_forward.gate.") != NULL) return TENSOR_CLASS_SMALL;
    return TENSOR_CLASS_FFN;
}

static enum dtype class_type(enum tensor_class class, enum dtype asked)
{
    switch (class) {
    case TENSOR_CLASS_ATTENTION:
    case TENSOR_CLASS_FFN: return asked;
    case TENSOR_CLASS_TOK_EMBEDDINGS:
    case TENSOR_CLASS_OUTPUT: return asked == DTYPE_Q4_0 || asked == DTYPE_Q4_K ? DTYPE_Q6_K : asked;
    case TENSOR_CLASS_CLIP:
    case TENSOR_CLASS_CONVNEXT:
    case TENSOR_CLASS_DINOV2:
    case TENSOR_CLASS_QFORMER:
    case TENSOR_CLASS_MIXER:
    case TENSOR_CLASS_SAM: return policy_is_quantised(asked) ? DTYPE_Q8_0 : asked;
    case TENSOR_CLASS_SMALL:
    case TENSOR_CLASS_COUNT: break;
    }
    return DTYPE_F32;
}

/* ---- rules -------------------------------------------------------------------------------------------------- */

enum status policy_rule_parse(struct policy_rule *rule, const char *text, struct err *e)
{
    const char *equals = strrchr(text, '=');

    *rule = (struct policy_rule){ .pattern = text };
    if (equals == NULL || equals == text) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "\"%.80s\" is no PATTERN=TYPE, such as \"layers.0.*=q8_0\" or \"output.weight=f16\"",
                       text);
    }
    rule->pattern_size = (size_t)(equals - text);
    if (!policy_type(equals + 1, &rule->type)) {
        return err_set(e, STATUS_BAD_ARGUMENT, "\"%.80s\": there is no type \"%.20s\": known are %s", text,
                       equals + 1, policy_types);
    }
    return STATUS_OK;
}

static bool rule_matches(const struct policy_rule *r, const char *name)
{
    char pattern[256];

    if (r->pattern_size >= sizeof pattern) return false; /* longer than any name */
    snprintf(pattern, sizeof pattern, "%.*s", (int)r->pattern_size, r->pattern);
    return fnmatch(pattern, name, 0) == 0;
}

enum status policy_all_used(const struct policy *k, struct err *e)
{
    for (size_t i = 0; i < k->n_rules; i++) {
        const struct policy_rule *r = &k->rules[i];

        if (r->used) continue;
        return err_set(e, STATUS_BAD_ARGUMENT, "the pattern \"%.*s\" matches no %s of this model",
                       r->pattern_size < 80 ? (int)r->pattern_size : 80, r->pattern,
                       policy_is_quantised(r->type) ? "matrix" : "weight");
    }
    return STATUS_OK;
}

/* ---- choosing ----------------------------------------------------------------------------------------------- */

static enum dtype fit(const struct param *p, enum dtype t)
{
    int64_t columns = p->dim[p->n_dims - 1];

    if (!policy_is_quantised(t)) return t;
    if (p->n_dims > 2) return DTYPE_F16;
    if (columns % (int64_t)dtype_info(t)->block_elements == 0) return t;
    t = t == DTYPE_Q4_K ? DTYPE_Q4_0 : DTYPE_Q8_0;
    return columns % (int64_t)dtype_info(t)->block_elements == 0 ? t : DTYPE_F16;
}

enum dtype policy_choose(struct policy *k, const struct param *p, enum dtype stored, enum dtype *wanted)
{
    enum tensor_class class = policy_class(p);
    enum dtype t = stored;

    if (!k->keep) t = k->uniform ? k->type : class_type(class, k->type);
    for (size_t i = 0; i < k->n_rules; i++) {
        struct policy_rule *r = &k->rules[i];

        if (class == TENSOR_CLASS_SMALL && policy_is_quantised(r->type)) continue;
        if (!rule_matches(r, p->name)) continue;
        r->used = true;
        t = r->type;
    }
    *wanted = t;
    return fit(p, t);
}
