/* grammar_state.c - see grammar_state.h. */
#include "text/grammar_state.h"

#include <stdlib.h>
#include <string.h>

enum {
    PLACES_MAX = 4096,  /* in one step: such grammars are hostile or hopelessly ambiguous */
    WORK_MAX = 1 << 22, /* places looked at for one token, which takes about 0.1 s */
    SEEN_SIZE = 4 * PLACES_MAX,
    BUCKETS = 1 << 12,
    SETS_FEW =
        1 << 13, /* above, and if places or nodes have doubled, those that are not needed any more go */
    PLACES_FEW = 1 << 16,
    NODES_FEW = 1 << 16,
    NODES_MAX = 1 << 20,
};

struct walk_node {
    struct walk_place place; /* behind the rule, `at` goes on, and then `below` */
    int32_t next;            /* of the same bucket; -1: none */
};

struct walk_set {
    size_t first, n; /* its places */
    int32_t next;    /* of the same bucket; -1: none */
    bool complete;   /* the text may end here */
    bool over, ending;
    bool loops_known;
    struct walk_loops loops;
};

struct walk_seen {
    struct walk_place place;
    uint32_t step; /* the entry is empty unless it is the present one */
};

/* ---- memory --------------------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes. */
static bool grow(void *array, size_t n, size_t *capacity, size_t size)
{
    void **data = array, *grown;
    size_t larger = *capacity == 0 ? 256 : 2 * *capacity;

    if (n < *capacity) return true;
    grown = realloc(*data, larger * size);
    if (grown == NULL) return false;
    *data = grown;
    *capacity = larger;
    return true;
}

static bool equal(struct walk_place a, struct walk_place b)
{
    return a.at == b.at && a.below == b.below;
}

static enum status node_find(struct grammar_walk *w, struct walk_place place, int32_t *node, struct err *e)
{
    int32_t *bucket = &w->node_buckets[walk_hash(place.at, place.below) % BUCKETS];

    for (*node = *bucket; *node >= 0; *node = w->nodes[*node].next)
        if (equal(w->nodes[*node].place, place)) return STATUS_OK;
    if (w->n_nodes == NODES_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the answer's text is in too many rules of the grammar at once, within each other");
    if (!grow(&w->nodes, w->n_nodes, &w->nodes_capacity, sizeof *w->nodes))
        return err_no_memory(e, "the grammar");
    *node = (int32_t)w->n_nodes++;
    w->nodes[*node] = (struct walk_node){ place, *bucket };
    *bucket = *node;
    return STATUS_OK;
}

static void forget_nodes(struct grammar_walk *w)
{
    w->n_nodes = 0;
    for (size_t i = 0; i < BUCKETS; i++) w->node_buckets[i] = -1;
}

/* ---- sets ----------------------------------------------------------------------------------------------- */

static bool add_place(struct grammar_walk *w, struct walk_place place)
{
    if (!grow(&w->places, w->n_places, &w->places_capacity, sizeof *w->places)) return false;
    w->places[w->n_places++] = place;
    return true;
}

/* What is to be known of a set of places, the last of w->places. */
static struct walk_set describe(const struct grammar_walk *w, size_t first, bool complete)
{
    struct walk_set s = { .first = first, .n = w->n_places - first, .complete = complete };

    s.over = s.n > 0 || complete;
    for (size_t i = first; i < w->n_places; i++) {
        int32_t at = w->places[i].at;

        if (at < w->g->tail)
            s.over = false;
        else if (w->g->elements[at - 1].kind != ELEMENT_ALT)
            s.ending = true;
    }
    return s;
}

/* The number of the set of w->places from `first` on, which are taken away if it is there already. */
static enum status set_find(struct grammar_walk *w, size_t first, bool complete, int32_t *set, struct err *e)
{
    struct walk_set s = describe(w, first, complete);
    size_t hash = complete;
    int32_t *bucket;

    for (size_t i = first; i < w->n_places; i++)
        hash = hash * 31 + walk_hash(w->places[i].at, w->places[i].below);
    bucket = &w->set_buckets[hash % BUCKETS];
    for (*set = *bucket; *set >= 0; *set = w->sets[*set].next) {
        const struct walk_set *t = &w->sets[*set];
        size_t i = 0;

        if (t->n != s.n || t->complete != complete) continue;
        while (i < s.n && equal(w->places[t->first + i], w->places[first + i])) i++;
        if (i < s.n) continue;
        w->n_places = first;
        return STATUS_OK;
    }
    if (!grow(&w->sets, w->n_sets, &w->sets_capacity, sizeof *w->sets))
        return err_no_memory(e, "the grammar");
    *set = (int32_t)w->n_sets++;
    w->sets[*set] = s;
    w->sets[*set].next = *bucket;
    *bucket = *set;
    return STATUS_OK;
}

/* No set is left but the one without places. */
static enum status forget_sets(struct grammar_walk *w, struct err *e)
{
    int32_t dead;

    w->n_sets = w->n_places = 0;
    for (size_t i = 0; i < BUCKETS; i++) w->set_buckets[i] = -1;
    memset(w->moves, 0, WALK_MOVES * sizeof *w->moves);
    return set_find(w, 0, false, &dead, e);
}

enum status walk_init(struct grammar_walk *w, const struct grammar *g, struct err *e)
{
    enum status st;

    *w = (struct grammar_walk){ .g = g };
    w->node_buckets = malloc(BUCKETS * sizeof *w->node_buckets);
    w->set_buckets = malloc(BUCKETS * sizeof *w->set_buckets);
    w->moves = malloc(WALK_MOVES * sizeof *w->moves);
    w->seen = calloc(SEEN_SIZE, sizeof *w->seen);
    w->todo = malloc(PLACES_MAX * sizeof *w->todo);
    if (w->node_buckets == NULL || w->set_buckets == NULL || w->moves == NULL || w->seen == NULL ||
        w->todo == NULL) {
        walk_free(w);
        return err_no_memory(e, "the grammar");
    }
    forget_nodes(w);
    st = forget_sets(w, e);
    if (st != STATUS_OK) walk_free(w);
    return st;
}

void walk_free(struct grammar_walk *w)
{
    free(w->places);
    free(w->sets);
    free(w->nodes);
    free(w->node_buckets);
    free(w->set_buckets);
    free(w->moves);
    free(w->seen);
    free(w->todo);
    *w = (struct grammar_walk){ 0 };
}

/* ---- one step ------------------------------------------------------------------------------------------- */

static void begin_step(struct grammar_walk *w)
{
    w->n_seen = w->n_todo = 0;
    if (++w->step != 0) return;
    memset(w->seen, 0, SEEN_SIZE * sizeof *w->seen); /* the count went round */
    w->step = 1;
}

/* Marks a place as seen in this step and puts it on the list, unless it was. */
static enum status visit(struct grammar_walk *w, struct walk_place place, struct err *e)
{
    size_t i = walk_hash(place.at, place.below) % SEEN_SIZE;

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

/* Visits the beginnings of a rule. Where nothing follows it, there is nothing to return to: it takes the place of the one that it is in. */
static enum status visit_rule(struct grammar_walk *w, struct walk_place p, struct err *e)
{
    const struct element *x = w->g->elements;
    int32_t below = p.below, at = w->g->rules[x[p.at].value];
    enum status st = STATUS_OK;

    if (!element_is_end(&x[p.at + 1])) st = node_find(w, (struct walk_place){ p.at + 1, p.below }, &below, e);
    while (st == STATUS_OK) {
        st = visit(w, (struct walk_place){ at, below }, e);
        while (!element_is_end(&x[at])) at++;
        if (x[at++].kind == ELEMENT_END) break;
    }
    return st;
}

/* Follows what was visited to the elements that want a character, which are a set. */
static enum status finish_step(struct grammar_walk *w, int32_t *to, struct err *e)
{
    enum status st = STATUS_OK;
    size_t first = w->n_places;
    bool complete = false;

    while (w->n_todo > 0 && st == STATUS_OK) {
        struct walk_place p = w->todo[--w->n_todo];
        const struct element *x = &w->g->elements[p.at];

        if (x->kind == ELEMENT_SET) {
            if (!add_place(w, p)) st = err_no_memory(e, "the grammar");
        } else if (x->kind == ELEMENT_RULE) {
            st = visit_rule(w, p, e);
        } else if (p.below >= 0) {
            st = visit(w, w->nodes[p.below].place, e);
        } else {
            complete = true;
        }
    }
    w->work += w->n_seen;
    if (st == STATUS_OK) st = set_find(w, first, complete, to, e);
    if (st != STATUS_OK) w->n_places = first;
    return st;
}

static enum status make_move(struct grammar_walk *w, int32_t set, int32_t class, int32_t *to, struct err *e)
{
    uint32_t code = w->g->classes[class - 1];
    enum status st = STATUS_OK;

    if (w->work > WORK_MAX)
        return err_set(e, STATUS_BAD_ARGUMENT,
                       "the grammar is too ambiguous: to find out what may come next takes too long");
    w->work += w->sets[set].n;
    begin_step(w);
    for (size_t i = 0; i < w->sets[set].n && st == STATUS_OK; i++) {
        struct walk_place p = w->places[w->sets[set].first + i];

        if (grammar_set_meets(w->g, w->g->elements[p.at].value, code, code))
            st = visit(w, (struct walk_place){ p.at + 1, p.below }, e);
    }
    return st == STATUS_OK ? finish_step(w, to, e) : st;
}

enum status walk_class(struct grammar_walk *w, int32_t set, int32_t class, int32_t *to, struct err *e)
{
    enum status st;

    *to = WALK_DEAD;
    if (set == WALK_DEAD || class == 0 || walk_recall(w, set, class, to)) return STATUS_OK;
    st = make_move(w, set, class, to, e);
    if (st == STATUS_OK) w->moves[walk_hash(set, class) % WALK_MOVES] = (struct walk_move){ set, class, *to };
    return st;
}

/* Whether a class holds nothing but surrogates, or numbers that are no characters. */
static bool is_no_text(const struct grammar *g, int32_t class)
{
    uint32_t first = g->classes[class - 1];

    if (first > CODE_MAX) return true;
    return first == CODE_SURROGATE_FIRST && (size_t) class < g->n_classes &&
           g->classes[class] == CODE_SURROGATE_LAST + 1;
}

static enum status find_others(struct grammar_walk *w, int32_t set, bool *others, struct err *e)
{
    enum { CLASSES_MAX = 64 }; /* that are tried */
    const struct grammar *g = w->g;
    int32_t first = grammar_class(g, 128), n = (int32_t)g->n_classes, to;
    enum status st = STATUS_OK;

    *others = first > 0 && n - first < CLASSES_MAX;
    for (int32_t class = first; class <= n && *others && st == STATUS_OK; class ++) {
        if (is_no_text(g, class)) continue;
        st = walk_class(w, set, class, &to, e);
        *others = to == set;
    }
    return st;
}

enum status walk_find_loops(struct grammar_walk *w, int32_t set, struct walk_loops *loops, struct err *e)
{
    enum status st = STATUS_OK;

    *loops = w->sets[set].loops;
    if (w->sets[set].loops_known) return STATUS_OK;
    *loops = (struct walk_loops){ 0 };
    for (unsigned code = 0; code < 128 && st == STATUS_OK; code++) {
        int32_t to;

        st = walk_class(w, set, w->g->ascii[code], &to, e);
        if (to == set) loops->ascii[code / 64] |= (uint64_t)1 << code % 64;
    }
    if (st == STATUS_OK) st = find_others(w, set, &loops->others, e);
    w->sets[set].loops = *loops;
    w->sets[set].loops_known = st == STATUS_OK;
    return st;
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

enum status walk_start(struct grammar_walk *w, struct grammar_state *s, struct err *e)
{
    enum status st;

    *s = (struct grammar_state){ 0 };
    begin_step(w);
    st = visit(w, (struct walk_place){ w->g->rules[w->g->start], -1 }, e);
    return st == STATUS_OK ? finish_step(w, &s->set, e) : st;
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

bool walk_meets(const struct grammar_walk *w, int32_t set, uint32_t first, uint32_t last)
{
    const struct walk_set *s = &w->sets[set];

    for (size_t i = s->first; i < s->first + s->n; i++)
        if (grammar_set_meets(w->g, w->g->elements[w->places[i].at].value, first, last)) return true;
    return false;
}

enum status walk_byte(struct grammar_walk *w, const struct grammar_state *from, unsigned char byte,
                      struct grammar_state *to, struct err *e)
{
    struct grammar_state read = *from;
    uint32_t first, last;

    *to = (struct grammar_state){ .set = WALK_DEAD };
    if (!take_byte(&read, byte)) return STATUS_OK;
    if (read.left == 0) return walk_class(w, read.set, grammar_class(w->g, read.code), &to->set, e);
    first = read.code << 6 * read.left;
    last = first | ((1u << 6 * read.left) - 1);
    if (first < read.least) first = read.least; /* overlong ones */
    if (first <= last && walk_meets(w, read.set, first, last)) *to = read;
    return STATUS_OK;
}

bool walk_is_complete(const struct grammar_walk *w, const struct grammar_state *s)
{
    return s->left == 0 && w->sets[s->set].complete;
}

bool walk_is_over(const struct grammar_walk *w, const struct grammar_state *s)
{
    return s->left == 0 && w->sets[s->set].over;
}

bool walk_is_ending(const struct grammar_walk *w, const struct grammar_state *s)
{
    return w->sets[s->set].ending;
}

/* ---- making room ---------------------------------------------------------------------------------------- */

/* Drops the nodes that these places do not lead to, and gives the others new numbers. A node stands behind the one it returns to. */
static enum status drop_nodes(struct grammar_walk *w, struct walk_place *places, size_t n_places,
                              struct err *e)
{
    size_t n_nodes = w->n_nodes;
    int32_t *number = calloc(n_nodes + 1, sizeof *number);

    if (number == NULL) return err_no_memory(e, "the grammar");
    for (size_t i = 0; i < n_places; i++)
        if (places[i].below >= 0) number[places[i].below] = 1;
    for (size_t i = n_nodes; i-- > 0;)
        if (number[i] != 0 && w->nodes[i].place.below >= 0) number[w->nodes[i].place.below] = 1;
    forget_nodes(w);
    for (size_t i = 0; i < n_nodes; i++) {
        struct walk_place p = w->nodes[i].place;
        int32_t *bucket;

        if (number[i] == 0) continue;
        if (p.below >= 0) p.below = number[p.below];
        bucket = &w->node_buckets[walk_hash(p.at, p.below) % BUCKETS];
        number[i] = (int32_t)w->n_nodes++;
        w->nodes[number[i]] = (struct walk_node){ p, *bucket };
        *bucket = number[i];
    }
    for (size_t i = 0; i < n_places; i++)
        if (places[i].below >= 0) places[i].below = number[places[i].below];
    w->nodes_kept = w->n_nodes;
    free(number);
    return STATUS_OK;
}

/* The n sets of `places`, one behind the other, are all there is from now on. old: what they were; sets: their numbers. */
static enum status replace_sets(struct grammar_walk *w, const struct walk_place *places,
                                const struct walk_set *old, int32_t *sets, size_t n, struct err *e)
{
    enum status st = forget_sets(w, e);

    w->n_renumbered++;
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        size_t first = w->n_places;

        for (size_t k = 0; k < old[i].n; k++)
            if (!add_place(w, *places++)) return err_no_memory(e, "the grammar");
        st = set_find(w, first, old[i].complete, &sets[i], e);
    }
    w->places_kept = w->n_places;
    return st;
}

static bool is_crowded(const struct grammar_walk *w)
{
    return w->n_sets > SETS_FEW || (w->n_places > PLACES_FEW && w->n_places > 2 * w->places_kept) ||
           (w->n_nodes > NODES_FEW && w->n_nodes > 2 * w->nodes_kept);
}

enum status walk_make_room(struct grammar_walk *w, int32_t *sets, size_t n, struct err *e)
{
    struct walk_set *old;
    struct walk_place *places;
    size_t n_places = 0;
    enum status st = STATUS_OK;

    if (!is_crowded(w)) return STATUS_OK;
    for (size_t i = 0; i < n; i++) n_places += w->sets[sets[i]].n;
    old = malloc((n + 1) * sizeof *old);
    places = malloc((n_places + 1) * sizeof *places);
    if (old == NULL || places == NULL) st = err_no_memory(e, "the grammar");
    n_places = 0;
    for (size_t i = 0; i < n && st == STATUS_OK; i++) {
        old[i] = w->sets[sets[i]];
        if (old[i].n > 0) memcpy(places + n_places, w->places + old[i].first, old[i].n * sizeof *places);
        n_places += old[i].n;
    }
    if (st == STATUS_OK) st = drop_nodes(w, places, n_places, e);
    if (st == STATUS_OK) st = replace_sets(w, places, old, sets, n, e);
    free(old);
    free(places);
    return st;
}

enum status walk_settle(struct grammar_walk *w, struct grammar_state *s, struct err *e)
{
    w->work = 0;
    return walk_make_room(w, &s->set, 1, e);
}
