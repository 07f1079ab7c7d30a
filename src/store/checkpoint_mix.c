/*
 * checkpoint_mix.c - which weights the parts of a mix have (see checkpoint.h). What is computed with them stands in checkpoint_tensor.c.
 */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/checkpoint_parts.h"

enum { LISTED = 10 }; /* names in a message */

static const double sum_tolerance = 1e-6;

static bool is_part(const struct ckpt_source *s)
{
    return s->format != CKPT_CONSOLIDATED_DIFF;
}

enum status ckpt_mix_weight(struct ckpt_source *s, struct arena *arena, struct err *e)
{
    const char *colon = strrchr(s->path, ':');
    char *end, *path;

    s->weight = 1;
    if (colon == NULL || colon[1] == '\0' || file_exists(s->path)) return STATUS_OK;
    s->weight = strtod(colon + 1, &end);
    if (*end != '\0') { /* a name with a colon, that does not exist */
        s->weight = 1;
        return STATUS_OK;
    }
    if (!isfinite(s->weight))
        return err_set(e, STATUS_BAD_ARGUMENT, "%s: the weight is not a finite number", s->path);
    path = arena_strdup(arena, s->path);
    if (path == NULL) return err_no_memory(e, s->path);
    path[colon - s->path] = '\0';
    s->path = path;
    s->weighted = true;
    return STATUS_OK;
}

/* ---- before the names are merged ------------------------------------------------------------------------------- */

static enum status check_sum(const struct checkpoint *c, const double *weight, const char *what,
                             struct err *e)
{
    double sum = 0;

    for (int i = 0; i < c->n_sources; i++)
        if (is_part(&c->sources[i])) sum += weight != NULL ? weight[i] : c->sources[i].weight;
    if (fabs(sum - 1) <= sum_tolerance) return STATUS_OK;
    return err_set(e, STATUS_BAD_ARGUMENT, "%s: the weights of what is mixed add up to %.9g, they must to 1",
                   what, sum);
}

static enum status begin_delta(struct checkpoint *c, struct err *e)
{
    for (int i = 0; i < c->n_sources; i++) {
        if (c->n_sources == 2 && is_part(&c->sources[i]) && !c->sources[i].weighted) continue;
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "a difference is that of two full checkpoints without weights: the tuned one and its base");
    }
    c->sources[1].weight = -1;
    c->mixing = true;
    return STATUS_OK;
}

enum status ckpt_mix_begin(struct checkpoint *c, const struct ckpt_options *o, struct err *e)
{
    const struct ckpt_source *with = NULL, *without = NULL;
    enum status st;

    if (o->delta) return begin_delta(c, e);
    for (int i = 0; i < c->n_sources; i++) {
        if (!is_part(&c->sources[i])) continue;
        *(c->sources[i].weighted ? &with : &without) = &c->sources[i];
    }
    if (with != NULL && without != NULL) {
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "%s has a weight and %s has none: to be mixed, all must have one", with->path,
                       without->path);
    }
    c->mixing = with != NULL;
    if (!c->mixing) return STATUS_OK;
    st = check_sum(c, NULL, with->path, e);
    for (size_t i = 0; i < o->n_rules && st == STATUS_OK; i++)
        st = check_sum(c, o->rules[i].weight, o->rules[i].pattern, e);
    return st;
}

/* ---- after it -------------------------------------------------------------------------------------------------- */

static int parts_of(const struct checkpoint *c, const struct ckpt_name *n)
{
    int count = 0;

    for (int k = 0; k < n->n_layers; k++) count += is_part(&c->sources[n->layers[k].source]);
    return count;
}

/* Removes layer k. */
static void drop(struct ckpt_name *n, int k)
{
    memmove(n->layers + k, n->layers + k + 1, (size_t)(n->n_layers - k - 1) * sizeof *n->layers);
    n->n_layers--;
}

/* A name that not all parts have: the first that has it stands for all. */
static void take_first(const struct checkpoint *c, struct ckpt_name *n)
{
    n->layers[0].weight = 1;
    for (int k = n->n_layers - 1; k > 0; k--)
        if (is_part(&c->sources[n->layers[k].source])) drop(n, k);
}

static void weigh(const struct checkpoint *c, const struct ckpt_options *o, struct ckpt_name *n)
{
    const double *weight = NULL;

    for (size_t i = 0; i < o->n_rules; i++)
        if (fnmatch(o->rules[i].pattern, n->entry.name, 0) == 0) weight = o->rules[i].weight;
    for (int k = n->n_layers - 1; k >= 0; k--) {
        struct ckpt_layer *layer = &n->layers[k];

        if (!is_part(&c->sources[layer->source])) continue;
        if (weight != NULL) layer->weight = (float)weight[layer->source];
        if (layer->weight == 0)
            drop(n, k); /* so that a weight of 1 leaves the other as it is, to the last bit */
    }
    n->mixed = parts_of(c, n) > 1;
}

/* Whoever asks for one of the names that are not in all parts is told of the first of them. */
enum status ckpt_mix_missing(const struct checkpoint *c, struct err *e)
{
    char list[LISTED * 64] = "";
    size_t size = 0, count = 0;

    for (size_t i = 0; i < c->n_names; i++) {
        if (!c->names[i].lacking || count++ >= LISTED) continue;
        size += (size_t)snprintf(list + size, sizeof list - size, "%s%.60s", count > 1 ? ", " : "",
                                 c->names[i].entry.name);
    }
    return err_set(e, STATUS_BAD_FORMAT,
                   "%s and what it is mixed with do not have the same tensors: %zu are not in all: %s%s",
                   c->sources[0].path, count, list, count > LISTED ? ", ..." : "");
}

static enum status rules_used(const struct checkpoint *c, const struct ckpt_options *o, struct err *e)
{
    for (size_t i = 0; i < o->n_rules; i++) {
        bool used = false;

        for (size_t k = 0; k < c->n_names && !used; k++)
            used = fnmatch(o->rules[i].pattern, c->names[k].entry.name, 0) == 0;
        if (!used)
            return err_set(e, STATUS_BAD_ARGUMENT, "%s: no tensor's name matches this pattern",
                           o->rules[i].pattern);
    }
    return STATUS_OK;
}

enum status ckpt_mix_end(struct checkpoint *c, const struct ckpt_options *o, struct err *e)
{
    int parts = 0;

    if (!c->mixing) return STATUS_OK;
    for (int i = 0; i < c->n_sources; i++) parts += is_part(&c->sources[i]);
    for (size_t i = 0; i < c->n_names; i++) {
        struct ckpt_name *n = &c->names[i];
        bool all = parts_of(c, n) == parts, tuned_only = o->delta && n->layers[0].source == 0;

        n->lacking = !all && !o->allow_missing && !tuned_only;
        if (!all)
            take_first(c, n);
        else if (!o->delta)
            weigh(c, o, n);
    }
    return rules_used(c, o, e);
}
