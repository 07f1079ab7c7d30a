/* grammar_state.c - see grammar_state.h. */
#include "text/grammar_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    PLACES_MAX = 4096, /* looked at in one step: such grammars are hostile or hopelessly ambiguous */
    SEEN_SIZE = 4 * PLACES_MAX,
    BUCKETS = 1 << 14,
    NODES_FEW = 1 << 16, /* above, and if they have doubled, those that are not needed any more go */
    NODES_MAX = 1 << 20,
};

struct walk_node {
    struct walk_place place; /* behind the rule, `at` goes on, and then `below` */
    int32_t next;            /* of the same bucket; -1: none */
};

struct walk_seen {
    struct walk_place place;
    uint32_t step; /* the entry is empty unless it is the present one */
};

enum status walk_init(struct grammar_walk *w, const struct grammar *g, struct err *e)
{
    *w = (struct grammar_walk){ .g = g };
    w->buckets = malloc(BUCKETS * sizeof *w->buckets);
    w->seen = calloc(SEEN_SIZE, sizeof *w->seen);
    w->todo = malloc(PLACES_MAX * sizeof *w->todo);
    if (w->buckets == NULL || w->seen == NULL || w->todo == NULL) {
        walk_free(w);
        return err_no_memory(e, "the grammar");
    }
    for (size_t i = 0; i < BUCKETS; i++) w->buckets[i] = -1;
    return STATUS_OK;
}

void walk_free(struct grammar_walk *w)
{
    free(w->places);
    free(w->nodes);
    free(w->buckets);
    free(w->seen);
    free(w->todo);
    *w = (struct grammar_walk){ 0 };
}

/* ---- places --------------------------------------------------------------------------------------------- */

static size_t hash_of(struct walk_place p)
{
    uint64_t x = ((uint64_t)(uint32_t)p.at << 32 | (uint32_t)p.below) * 0x9e3779b97f4a7c15u;

    return (size_t)(x >> 40);
}

static bool equal(struct walk_place a, struct walk_place b)
{
    return a.at == b.at && a.below == b.below;
}

static enum status node_find(struct grammar_walk *w, struct walk_place place, int32_t *node, struct err *e)
{
    size_t bucket = hash_of(place) % BUCKETS;

    for (*node = w->buckets[bucket]; *node >= 0; *node = w->nodes[*node].next)
        if (equal(w->nodes[*node].place, place)) return STATUS_OK;
    if (w->n_nodes == NODES_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the answer's text is in too many rules of the grammar at once, within each other");
    if (w->n_nodes == w->nodes_capacity) {
        size_t capacity = w->nodes_capacity == 0 ? 256 : 2 * w->nodes_capacity;
        struct walk_node *nodes = realloc(w->nodes, capacity * sizeof *nodes);

        if (nodes == NULL) return err_no_memory(e, "the grammar");
        w->nodes = nodes;
        w->nodes_capacity = capacity;
    }
    *node = (int32_t)w->n_nodes++;
    w->nodes[*node] = (struct walk_node){ place, w->buckets[bucket] };
    w->buckets[bucket] = *node;
    return STATUS_OK;
}

/* Marks a place as seen in this step and puts it on the list, unless it was. */
static enum status visit(struct grammar_walk *w, struct walk_place place, struct err *e)
{
    size_t i = hash_of(place) % SEEN_SIZE;

    for (; w->seen[i].step == w->step; i = (i + 1) % SEEN_SIZE)
        if (equal(w->seen[i].place, place)) return STATUS_OK;
    if (w->n_seen == PLACES_MAX)
        return err_set(
            e, STATUS_BAD_ARGUMENT,
            "the grammar is too ambiguous: there are more than %d ways to understand the answer so far",
            PLACES_MAX);
    w->seen[i] = (struct walk_seen){ place, w->step };
    w->n_seen++;
    w->todo[w->n_todo++] = place; /* each place stands there once: there is room */
    return STATUS_OK;
}

static bool ends_alternative(const struct element *x)
{
    return x->kind == ELEMENT_ALT || x->kind == ELEMENT_END;
}

/* Visits the beginnings of a rule. Where nothing follows it, there is nothing to return to: it takes the place of the one that it is in. */
static enum status visit_rule(struct grammar_walk *w, struct walk_place p, struct err *e)
{
    const struct element *x = w->g->elements;
    int32_t below = p.below, at = w->g->rules[x[p.at].value];
    enum status st = STATUS_OK;

    if (!ends_alternative(&x[p.at + 1]))
        st = node_find(w, (struct walk_place){ p.at + 1, p.below }, &below, e);
    while (st == STATUS_OK) {
        st = visit(w, (struct walk_place){ at, below }, e);
        while (!ends_alternative(&x[at])) at++;
        if (x[at++].kind == ELEMENT_END) break;
    }
    return st;
}

static bool add_place(struct grammar_walk *w, struct grammar_state *s, struct walk_place place)
{
    size_t i = s->first + s->n;

    if (i == w->places_capacity) {
        size_t capacity = i == 0 ? 256 : 2 * i;
        struct walk_place *places = realloc(w->places, capacity * sizeof *places);

        if (places == NULL) return false;
        w->places = places;
        w->places_capacity = capacity;
    }
    w->places[i] = place;
    s->n++;
    return true;
}

static void begin_step(struct grammar_walk *w)
{
    w->n_seen = w->n_todo = 0;
    if (++w->step != 0) return;
    memset(w->seen, 0, SEEN_SIZE * sizeof *w->seen); /* the count went round */
    w->step = 1;
}

/* Follows what was visited to the elements that want a character. */
static enum status finish_step(struct grammar_walk *w, struct grammar_state *to, struct err *e)
{
    enum status st = STATUS_OK;

    while (w->n_todo > 0 && st == STATUS_OK) {
        struct walk_place p = w->todo[--w->n_todo];
        const struct element *x = &w->g->elements[p.at];

        if (x->kind == ELEMENT_SET) {
            if (!add_place(w, to, p)) st = err_no_memory(e, "the grammar");
        } else if (x->kind == ELEMENT_RULE) {
            st = visit_rule(w, p, e);
        } else if (p.below >= 0) {
            st = visit(w, w->nodes[p.below].place, e);
        } else {
            to->complete = true;
        }
    }
    return st;
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

enum status walk_start(struct grammar_walk *w, struct grammar_state *s, struct err *e)
{
    enum status st;

    *s = (struct grammar_state){ 0 };
    begin_step(w);
    st = visit(w, (struct walk_place){ w->g->rules[w->g->start], -1 }, e);
    return st == STATUS_OK ? finish_step(w, s, e) : st;
}

bool walk_is_dead(const struct grammar_state *s)
{
    return s->n == 0 && !s->complete;
}

/* Takes a byte to the character that is being read; false where it cannot be. */
static bool take_byte(struct grammar_state *s, unsigned char byte)
{
    if (s->left > 0) {
        if ((byte & 0xc0) != 0x80) return false;
        s->code = s->code << 6 | (byte & 0x3fu);
        s->left--;
        return true;
    }
    s->left = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    s->least = s->left == 0 ? 0 : s->left == 1 ? 0x80 : s->left == 2 ? 0x800 : 0x10000;
    s->code = s->left == 0 ? byte : byte & (0x3fu >> s->left);
    return byte < 0x80 || (byte >= 0xc0 && byte < 0xf8);
}

enum status walk_byte(struct grammar_walk *w, const struct grammar_state *from, unsigned char byte,
                      struct grammar_state *to, struct err *e)
{
    struct grammar_state read = *from;
    const struct grammar_state old = *from; /* `to` may be `from` */
    uint32_t first, last;
    enum status st = STATUS_OK;
    bool possible;

    *to = (struct grammar_state){ .first = old.first + old.n };
    possible = take_byte(&read, byte);
    if (!possible) return STATUS_OK;
    first = read.code << 6 * read.left;
    last = first | ((1u << 6 * read.left) - 1);
    if (first < read.least) first = read.least;
    if (first > last) return STATUS_OK;
    begin_step(w);
    for (size_t i = old.first; i < old.first + old.n && st == STATUS_OK; i++) {
        struct walk_place p = w->places[i];

        if (!grammar_set_meets(w->g, w->g->elements[p.at].value, first, last)) continue;
        if (read.left > 0) { /* some character is possible: the places stay until it is whole */
            *to = read;
            to->complete = false;
            return STATUS_OK;
        }
        st = visit(w, (struct walk_place){ p.at + 1, p.below }, e);
    }
    return st == STATUS_OK ? finish_step(w, to, e) : st;
}

/* Drops the nodes that the state's places do not lead to. A node stands behind the one it returns to. */
static enum status drop_nodes(struct grammar_walk *w, const struct grammar_state *s, struct err *e)
{
    int32_t *number = calloc(w->n_nodes, sizeof *number), n = 0;

    if (number == NULL) return err_no_memory(e, "the grammar");
    for (size_t i = 0; i < s->n; i++)
        if (w->places[s->first + i].below >= 0) number[w->places[s->first + i].below] = 1;
    for (size_t i = w->n_nodes; i-- > 0;)
        if (number[i] != 0 && w->nodes[i].place.below >= 0) number[w->nodes[i].place.below] = 1;
    for (size_t i = 0; i < BUCKETS; i++) w->buckets[i] = -1;
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct walk_place p = w->nodes[i].place;
        size_t bucket;

        if (number[i] == 0) continue;
        if (p.below >= 0) p.below = number[p.below];
        bucket = hash_of(p) % BUCKETS;
        w->nodes[n] = (struct walk_node){ p, w->buckets[bucket] };
        w->buckets[bucket] = n;
        number[i] = n++;
    }
    for (size_t i = 0; i < s->n; i++)
        if (w->places[s->first + i].below >= 0)
            w->places[s->first + i].below = number[w->places[s->first + i].below];
    w->n_nodes = w->nodes_kept = (size_t)n;
    w->n_renumbered++;
    free(number);
    return STATUS_OK;
}

enum status walk_keep(struct grammar_walk *w, struct grammar_state *s, struct err *e)
{
    if (s->n > 0) memmove(w->places, w->places + s->first, s->n * sizeof *w->places);
    s->first = 0;
    return w->n_nodes > NODES_FEW && w->n_nodes > 2 * w->nodes_kept ? drop_nodes(w, s, e) : STATUS_OK;
}

bool walk_is_over(const struct grammar_walk *w, const struct grammar_state *s)
{
    if (s->left > 0 || walk_is_dead(s)) return false;
    for (size_t i = s->first; i < s->first + s->n; i++)
        if (w->places[i].at < w->g->tail) return false;
    return true;
}

bool walk_is_ending(const struct grammar_walk *w, const struct grammar_state *s)
{
    for (size_t i = s->first; i < s->first + s->n; i++) {
        int32_t at = w->places[i].at;

        if (at >= w->g->tail && w->g->elements[at - 1].kind != ELEMENT_ALT) return true;
    }
    return false;
}
