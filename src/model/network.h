/*
 * network.h - all of a model's networks and their weights.
 */
#ifndef SPHINX_MODEL_NETWORK_H
#define SPHINX_MODEL_NETWORK_H

#include "model/config.h"

struct network {
    struct model_config config;
    struct clip clip;
    struct convnext convnext;
    struct dinov2 dinov2;
    struct qformer qformer;
    struct mixer mixer;
    struct llama llama;
    bool sees;          /* false: only the language model's weights are there */
    unsigned without;   /* of encode.h, for every image; 0 unless a run of the trainer leaves encoders out */
    struct arena arena; /* weights' structs, and the few weights that are converted at loading */
};

/* Lays out the structs; the weights come from load.h or elsewhere, through network_params. */
enum status network_init(struct network *n, const struct model_config *config, struct err *e);
void network_free(struct network *n); /* accepts a zeroed one */

/* Components in the order of the data's way, for listings. */
enum component {
    COMPONENT_CLIP,
    COMPONENT_CONVNEXT,
    COMPONENT_DINOV2,
    COMPONENT_QFORMER,
    COMPONENT_MIXER,
    COMPONENT_LLAMA,
    COMPONENT_COUNT
};
extern const char *const component_names[COMPONENT_COUNT];
bool network_has(const struct network *n, enum component component);
void network_component_params(struct network *n, enum component component, struct param_visitor *v);

/* Visits every parameter of the model (those of the encoders only if it sees). */
void network_params(struct network *n, struct param_visitor *v);

#endif
