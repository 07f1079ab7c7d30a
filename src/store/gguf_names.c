/* gguf_names.c - see gguf_names.h. */
#include "store/gguf_names.h"

#include <stdio.h>
#include <string.h>

struct spelling {
    const char *upstream, *gguf;
};

static const struct spelling wholes[] = {
    { "tok_embeddings.weight", "token_embd.weight" },
    { "norm.weight", "output_norm.weight" },
};

/* What may follow "layers.N." and "blk.N.". */
static const struct spelling layer_parts[] = {
    { "attention_norm.weight", "attn_norm.weight" },
    { "attention.wq.weight", "attn_q.weight" },
    { "attention.wk.weight", "attn_k.weight" },
    { "attention.wv.weight", "attn_v.weight" },
    { "attention.wo.weight", "attn_output.weight" },
    { "ffn_norm.weight", "ffn_norm.weight" },
    { "feed_forward.w1.weight", "ffn_gate.weight" },
    { "feed_forward.w2.weight", "ffn_down.weight" },
    { "feed_forward.w3.weight", "ffn_up.weight" },
    { "feed_forward.gate.weight", "ffn_gate_inp.weight" },
    { "feed_forward.w1", "ffn_gate_exps.weight" },
    { "feed_forward.w3", "ffn_up_exps.weight" },
    { "feed_forward.w2_turned", "ffn_down_exps.weight" },
};

static const struct spelling beginnings[] = {
    { "qformer.qformer.encoder.layer.", "qformer.layer." },
    { "qformer.vision_model.encoder.layers.", "qformer.vision." },
    { "mask_decoder.transformer.", "decoder." },
};

static const struct spelling layer_beginning = { "layers.", "blk." };

enum { N_LAYER_PARTS = sizeof layer_parts / sizeof *layer_parts };

enum side { UPSTREAM, GGUF };

static const char *spelled(const struct spelling *s, enum side side)
{
    return side == UPSTREAM ? s->upstream : s->gguf;
}

/* first, then n_middle bytes of middle, then last. */
static bool write_text(char *text, size_t size, const char *first, const char *middle, size_t n_middle,
                       const char *last)
{
    int n = snprintf(text, size, "%s%.*s%s", first, (int)n_middle, middle, last);

    return n >= 0 && (size_t)n < size;
}

/* The part of "<layer beginning>N.<part>" in one side's spelling; NULL: the name is no such. */
static const char *layer_part(const char *name, enum side side)
{
    size_t n = strlen(spelled(&layer_beginning, side)), digits;

    if (strncmp(name, spelled(&layer_beginning, side), n) != 0) return NULL;
    digits = strspn(name + n, "0123456789");
    return digits > 0 && name[n + digits] == '.' ? name + n + digits + 1 : NULL;
}

static bool translate(const char *name, enum side from, char *text, size_t size)
{
    enum side to = from == UPSTREAM ? GGUF : UPSTREAM;
    const char *part = layer_part(name, from);

    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        if (strcmp(name, spelled(&wholes[i], from)) == 0)
            return write_text(text, size, spelled(&wholes[i], to), "", 0, "");
    }
    for (size_t i = 0; i < N_LAYER_PARTS && part != NULL; i++) {
        const struct spelling *s = &layer_parts[i];
        const char *number = name + strlen(spelled(&layer_beginning, from));

        if (strcmp(part, spelled(s, from)) != 0) continue;
        return write_text(text, size, spelled(&layer_beginning, to), number, (size_t)(part - number),
                          spelled(s, to));
    }
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t n = strlen(spelled(&beginnings[i], from));

        if (strncmp(name, spelled(&beginnings[i], from), n) != 0) continue;
        return write_text(text, size, spelled(&beginnings[i], to), "", 0, name + n);
    }
    return write_text(text, size, name, "", 0, "");
}

bool gguf_name_from_upstream(const char *name, char *text, size_t size)
{
    return translate(name, UPSTREAM, text, size);
}

bool gguf_name_to_upstream(const char *name, char *text, size_t size)
{
    return translate(name, GGUF, text, size);
}

bool gguf_name_is_experts(const char *name)
{
    static const char ending[] = "_exps.weight";
    const char *part = layer_part(name, GGUF);
    size_t n = part != NULL ? strlen(part) : 0;

    return n > sizeof ending - 1 && strcmp(part + n - (sizeof ending - 1), ending) == 0;
}
