/* network.c - see network.h. */
#include "model/network.h"

#include "model/adapter.h"

const char *const component_names[COMPONENT_COUNT] = { "clip",    "convnext", "dinov2",
                                                       "qformer", "mixer",    "llama" };

enum status network_init(struct network *n, const struct model_config *config, struct err *e)
{
    enum status st;

    memset(n, 0, sizeof *n);
    n->config = *config;
    n->sees = true;
    st = llama_init(&n->llama, &config->llama, &n->arena, e);
    mixer_init(&n->mixer, &config->mixer);
    if (st == STATUS_OK && network_has(n, COMPONENT_CLIP))
        st = clip_init(&n->clip, &config->clip, &n->arena, e);
    if (st == STATUS_OK) st = convnext_init(&n->convnext, &config->convnext, &n->arena, e);
    if (st == STATUS_OK) st = dinov2_init(&n->dinov2, &config->dinov2, &n->arena, e);
    if (st == STATUS_OK && network_has(n, COMPONENT_QFORMER)) {
        st = qformer_init(&n->qformer, &config->qformer, &n->arena, e);
    }
    if (st == STATUS_OK && (config->lora_rank > 0 || config->bias_tuning)) {
        struct adapter_rule rule =
            adapter_rule_default(config->variant, config->lora_rank, config->bias_tuning, false);

        st = adapter_lay_out(n, &rule, e);
    }
    if (st != STATUS_OK) network_free(n);
    return st;
}

void network_free(struct network *n)
{
    arena_free(&n->arena);
    memset(n, 0, sizeof *n);
}

bool network_has(const struct network *n, enum component component)
{
    if (component == COMPONENT_LLAMA) return true;
    if (component == COMPONENT_MIXER) return n->sees;
    return n->sees &&
           (n->config.variant->encoders >> component & 1) != 0; /* the first four are enum encoder's */
}

void network_component_params(struct network *n, enum component component, struct param_visitor *v)
{
    switch (component) {
    case COMPONENT_CLIP: clip_params(&n->clip, v); break;
    case COMPONENT_CONVNEXT: convnext_params(&n->convnext, v); break;
    case COMPONENT_DINOV2: dinov2_params(&n->dinov2, v); break;
    case COMPONENT_QFORMER: qformer_params(&n->qformer, v); break;
    case COMPONENT_MIXER: mixer_params(&n->mixer, v); break;
    case COMPONENT_LLAMA: llama_params(&n->llama, v); break;
    case COMPONENT_COUNT: break;
    }
}

void network_params(struct network *n, struct param_visitor *v)
{
    for (enum component i = 0; i < COMPONENT_COUNT; i++) {
        if (network_has(n, i)) network_component_params(n, i, v);
    }
}
