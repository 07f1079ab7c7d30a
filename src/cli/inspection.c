/* inspection.c - see inspection.h. */
#include "cli/inspection.h"

#include <string.h>

#include "model/encode.h"

struct type_count {
    uint64_t tensors, bytes;
};

struct inspection {
    struct network *network;
    struct checkpoint *checkpoint;
    json_t *report, *components, *tensors, *missing, *misshapen; /* tensors NULL: not asked for */
    enum component component; /* the one that is walked, and what it has: */
    uint64_t n_tensors, parameters, bytes;
    bool types[DTYPE_COUNT];
    struct type_count all_types[DTYPE_COUNT]; /* of all components so far */
};

static json_t *shape_json(const int64_t *dim, int n_dims)
{
    json_t *shape = json_array();

    for (int i = 0; i < n_dims; i++) json_array_append_new(shape, json_integer(dim[i]));
    return shape;
}

static json_t *tensor_json(const char *name, const int64_t *dim, int n_dims)
{
    return json_pack("{s:s, s:o}", "name", name, "shape", shape_json(dim, n_dims));
}

/* ---- one tensor --------------------------------------------------------------------------------------------- */

static void count(struct inspection *x, const struct param *p, const struct ckpt_entry *entry)
{
    enum dtype type = entry->shard[0]->dtype;
    size_t elements = 0, bytes = 0;

    shape_elements(p->dim, p->n_dims, &elements);
    shape_bytes(type, p->dim, p->n_dims, &bytes);
    x->n_tensors++;
    x->parameters += elements;
    x->bytes += bytes;
    x->types[type] = true;
    x->all_types[type].tensors++;
    x->all_types[type].bytes += bytes;
    if (x->tensors == NULL) return;
    json_array_append_new(x->tensors,
                          json_pack("{s:s, s:s, s:s, s:o, s:i}", "name", p->name, "component",
                                    component_names[x->component], "type", dtype_info(type)->name, "shape",
                                    shape_json(p->dim, p->n_dims), "shards", entry->shards));
}

static void look_at(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct inspection *x = v->user;
    const struct ckpt_entry *entry = ckpt_find(x->checkpoint, p->name);
    struct ckpt_rule rule = ckpt_param_rule(p);
    struct tensor unused;
    struct err e = { 0 };
    char parts[2][LOAD_NAME_MAX];

    if (slot == NULL) return; /* upstream stores it, nobody uses it */
    if (entry == NULL) {
        if (load_separate_biases(x->checkpoint, p->name, parts))
            count(x, p, ckpt_find(x->checkpoint, parts[0]));
        else
            json_array_append_new(x->missing, tensor_json(p->name, p->dim, p->n_dims));
        return;
    }
    if (ckpt_tensor(x->checkpoint, p->name, &rule, 0, 1, &unused, &e) == STATUS_OK) {
        count(x, p, entry);
    } else {
        json_t *tensor = tensor_json(p->name, p->dim, p->n_dims);

        json_object_set_new(tensor, "problem", json_string(e.text));
        json_array_append_new(x->misshapen, tensor);
    }
    ckpt_forget(x->checkpoint, p->name);
}

/* ---- the parts of the report -------------------------------------------------------------------------------- */

static void add_component(struct inspection *x, enum component component)
{
    struct param_visitor v = { .visit = look_at, .user = x };
    json_t *types = json_array();

    x->component = component;
    x->n_tensors = x->parameters = x->bytes = 0;
    memset(x->types, 0, sizeof x->types);
    network_component_params(x->network, component, &v);
    for (enum dtype t = 0; t < DTYPE_COUNT; t++) {
        if (x->types[t]) json_array_append_new(types, json_string(dtype_info(t)->name));
    }
    json_array_append_new(
        x->components, json_pack("{s:s, s:I, s:I, s:I, s:o}", "name", component_names[component], "tensors",
                                 (json_int_t)x->n_tensors, "parameters", (json_int_t)x->parameters, "bytes",
                                 (json_int_t)x->bytes, "types", types));
}

static json_t *types_json(const struct inspection *x)
{
    json_t *types = json_array();

    for (enum dtype t = 0; t < DTYPE_COUNT; t++) {
        const struct type_count *n = &x->all_types[t];

        if (n->tensors == 0) continue;
        json_array_append_new(types, json_pack("{s:s, s:I, s:I}", "type", dtype_info(t)->name, "tensors",
                                               (json_int_t)n->tensors, "bytes", (json_int_t)n->bytes));
    }
    return types;
}

struct search {
    const struct checkpoint *checkpoint;
    bool found;
};

static void search_visit(struct param_visitor *v, const struct param *p, struct tensor *slot)
{
    struct search *s = v->user;

    (void)slot;
    if (ckpt_has(s->checkpoint, p->name)) s->found = true;
}

/* A checkpoint without a single tensor of the encoders is a language model alone, as upstream's loader has it. */
static bool sees(struct network *n, const struct checkpoint *c)
{
    struct search s = { c, false };
    struct param_visitor v = { .visit = search_visit, .user = &s };

    n->sees = true;
    for (enum component i = 0; i < COMPONENT_COUNT; i++) {
        if (i != COMPONENT_LLAMA && network_has(n, i)) network_component_params(n, i, &v);
    }
    return s.found;
}

static json_t *keys_json(const struct gguf_file *f)
{
    json_t *keys = json_array();

    for (size_t i = 0; i < f->n_values; i++) {
        const struct gguf_value *v = &f->values[i];
        char name[SHAPE_TEXT_MAX], text[SHAPE_TEXT_MAX];

        json_array_append_new(keys,
                              json_pack("{s:s, s:s, s:s}", "key", bytes_text(name, v->key, strlen(v->key)),
                                        "kind", v->is_array ? "array" : gguf_kind_text(v->kind), "value",
                                        gguf_value_text(v, text, sizeof text)));
    }
    return keys;
}

static json_t *paths_json(const struct checkpoint *c)
{
    json_t *paths = json_array();

    for (int i = 0; i < ckpt_paths(c); i++) {
        json_t *path = json_pack("{s:s, s:s, s:i}", "path", ckpt_path(c, i), "format",
                                 ckpt_format_text(ckpt_path_format(c, i)), "shards", ckpt_shards(c, i));
        const struct gguf_file *gguf = ckpt_gguf(c, i);

        if (gguf != NULL) json_object_set_new(path, "keys", keys_json(gguf));
        json_array_append_new(paths, path);
    }
    return paths;
}

static json_t *config_json(const struct network *n)
{
    const struct llama_config *l = &n->config.llama;
    const struct img_views *v = &n->config.views;
    json_t *config =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f}", "dim", l->dim, "n_layers",
                  l->n_layers, "n_heads", l->n_heads, "n_kv_heads", l->n_kv_heads, "ffn_width", l->ffn_width,
                  "vocab_size", l->vocab, "n_experts", l->n_experts, "norm_eps", (double)l->norm_eps,
                  "rope_theta", (double)l->rope_theta, "rope_scale", (double)l->rope_scale);

    if (!n->sees || config == NULL) return config;
    json_object_set_new(config, "image_size", json_integer(v->image_size));
    json_object_set_new(config, "view_size", json_integer(v->view_size));
    json_object_set_new(config, "cnn_size", json_integer(v->cnn_size));
    json_object_set_new(config, "views", json_integer(img_views_count(v->layout)));
    json_object_set_new(config, "image_words", json_integer(encode_words(n)));
    return config;
}

/* Names that were not asked for and that upstream is not known to store in vain. */
static json_t *extra_json(struct network *n, const struct checkpoint *c)
{
    json_t *extra = json_array();

    for (size_t i = 0; i < ckpt_count(c); i++) {
        const struct ckpt_entry *entry = ckpt_entry(c, i);
        const char *bias = strstr(entry->name, "_bias");

        if (ckpt_used(c, i) || load_is_unused(n, entry->name)) continue;
        if (bias != NULL && strstr(entry->name, "self_attn.") != NULL) continue; /* load_separate_biases */
        json_array_append_new(extra, tensor_json(entry->name, entry->shard[0]->dim, entry->shard[0]->n_dims));
    }
    return extra;
}

enum status inspection_make(json_t **report, struct network *n, struct checkpoint *c, bool list_tensors,
                            struct err *e)
{
    struct inspection x = { .network = n,
                            .checkpoint = c,
                            .report = json_object(),
                            .components = json_array(),
                            .tensors = list_tensors ? json_array() : NULL,
                            .missing = json_array(),
                            .misshapen = json_array() };
    bool complete;

    n->sees = sees(n, c);
    for (enum component i = 0; i < COMPONENT_COUNT; i++) {
        if (network_has(n, i)) add_component(&x, i);
    }
    complete = json_array_size(x.missing) + json_array_size(x.misshapen) == 0;
    json_object_set_new(x.report, "llama_type", json_string(n->config.variant->llama_type));
    json_object_set_new(x.report, "name", json_string(n->config.variant->name));
    json_object_set_new(x.report, "paths", paths_json(c));
    json_object_set_new(x.report, "config", config_json(n));
    json_object_set_new(x.report, "components", x.components);
    json_object_set_new(x.report, "types", types_json(&x));
    if (list_tensors) json_object_set_new(x.report, "tensors", x.tensors);
    json_object_set_new(x.report, "missing", x.missing);
    json_object_set_new(x.report, "misshapen", x.misshapen);
    json_object_set_new(x.report, "extra", extra_json(n, c));
    *report = x.report;
    if (json_object_set_new(x.report, "complete", json_boolean(complete)) == 0) return STATUS_OK;
    json_decref(x.report);
    *report = NULL;
    return err_no_memory(e, "the report");
}
