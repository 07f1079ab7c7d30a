/*
 * fuzz_grounding.c - any bytes as an answer: the parser returns, and what it returns is consistent.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "text/grounding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_region(const struct grounding *g, size_t i, const char *text, size_t size)
{
    const struct ground_region *r = &g->regions[i];

    assert(r->whole.begin <= r->phrase.begin && r->phrase.begin <= r->phrase.end &&
           r->phrase.end <= r->list.begin);
    assert(r->list.begin < r->list.end && r->list.end == r->whole.end && r->whole.end <= size);
    assert(text[r->list.begin] == '[' && text[r->list.end - 1] == ']');
    assert(r->n_parts > 0 && r->part_first + r->n_parts <= g->n_parts);
    assert(r->color < GROUND_COLOR_COUNT);
    if (i > 0) {
        assert(g->regions[i - 1].whole.end <= r->whole.begin);
        assert(g->regions[i - 1].part_first + g->regions[i - 1].n_parts == r->part_first);
    }
}

static void check_part(const struct grounding *g, size_t i)
{
    const struct ground_part *p = &g->parts[i];
    struct span list;
    unsigned k;

    assert(p->region < g->n_regions && (p->n_values == 2 || p->n_values == 4));
    list = g->regions[p->region].list;
    for (k = 0; k < p->n_values; k++) {
        assert(p->values[k] >= 0.0f && p->values[k] <= 1.0501f);
        assert(list.begin < p->numbers[k].begin && p->numbers[k].begin < p->numbers[k].end &&
               p->numbers[k].end < list.end);
    }
    if (p->n_values == 4) assert(p->values[0] <= p->values[2] && p->values[1] <= p->values[3]);
}

static void check_person(const struct grounding *g, size_t i)
{
    size_t joint, n_seen = 0;

    for (joint = 0; joint < GROUND_JOINT_COUNT; joint++) {
        int32_t part = g->persons[i].joints[joint];

        if (part < 0) continue;
        assert((size_t)part < g->n_parts && g->parts[part].n_values == 2);
        n_seen++;
    }
    assert(n_seen > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct grounding g;
    size_t i;

    if (grounding_parse(&g, text, size, NULL) != STATUS_OK) return 0;
    for (i = 0; i < g.n_regions; i++) check_region(&g, i, text, size);
    for (i = 0; i < g.n_parts; i++) {
        struct span token = { 0, size };
        float logprob = -1.0f;

        check_part(&g, i);
        assert(grounding_confidence(&g.parts[i], &token, &logprob, 1).n_tokens == 1);
    }
    for (i = 0; i < g.n_persons; i++) check_person(&g, i);
    grounding_free(&g);
    return 0;
}
