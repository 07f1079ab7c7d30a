/*
 * policy.h - which type a weight is stored in when a model is converted to a type: by what the weight is for, and by
 * patterns that the user gives.
 *
 *   asked for    attention, ffn    tok_embeddings, output    encoders, mixer, sam    small
 *   q4_0         q4_0              q6_K                      q8_0                    f32
 *   q4_K         q4_K              q6_K                      q8_0                    f32
 *   q6_K         q6_K              q6_K                      q8_0                    f32
 *   q8_0         q8_0              q8_0                      q8_0                    f32
 *   f16, bf16    as asked          as asked                  as asked                f32
 *   f32          f32               f32                       f32                     f32
 *
 * The vocabulary's two matrices are a fiftieth of a 13B model; `output` decides between words whose logits lie close together, and
 * every word of a prompt passes through `tok_embeddings`. 6 bits cost 1 % of the file there. The encoders have 3.4 billion weights,
 * but their errors reach every image word, while their speed is a matter of arithmetic, not of bytes: 8 bits. Small ones are
 * norms, biases, positions, adapters and the router of experts: nothing is won by rounding them.
 *
 * Blocks lie along rows. A row that does not fill whole blocks takes the nearest type that fits: q4_K falls to q4_0 and q6_K to
 * q8_0, which have blocks of 32, and these to f16. So do convolutions, whose rows are as short as the kernel is wide.
 */
#ifndef SPHINX_MODEL_POLICY_H
#define SPHINX_MODEL_POLICY_H

#include "core/status.h"
#include "tensor/params.h"

/* X(code, name) */
#define TENSOR_CLASS_MAP(X)                                                                                  \
    X(ATTENTION, "attention")                                                                                \
    X(FFN, "ffn")                                                                                            \
    X(TOK_EMBEDDINGS, "tok_embeddings")                                                                      \
    X(OUTPUT, "output")                                                                                      \
    X(CLIP, "clip")                                                                                          \
    X(CONVNEXT, "convnext")                                                                                  \
    X(DINOV2, "dinov2")                                                                                      \
    X(QFORMER, "qformer")                                                                                    \
    X(MIXER, "mixer")                                                                                        \
    X(SAM, "sam")                                                                                            \
    X(SMALL, "small")

enum tensor_class {
#define X(code, name) TENSOR_CLASS_##code,
    TENSOR_CLASS_MAP(X)
#undef X
        TENSOR_CLASS_COUNT
};

extern const char *const tensor_class_names[TENSOR_CLASS_COUNT];

/* What a parameter is for. Of an encoder only the matrices are in its class; all that is small is SMALL. */
enum tensor_class policy_class(const struct param *p);

/* True for the weights of the four encoders, small ones too: what training leaves as it is. The mixer's are not among them. */
bool policy_is_encoder(const char *name);

/* The types that a model can be converted to, for messages and choices: "f32 f16 ...". */
extern const char policy_types[];

/* The type that is so called, in any case; false when weights cannot have it. */
bool policy_type(const char *name, enum dtype *type);

/* "PATTERN=TYPE": pattern as the shell's, against names such as layers.0.attention.wq.weight. */
struct policy_rule {
    const char *pattern; /* borrowed, `pattern_size` long */
    size_t pattern_size;
    enum dtype type;
    bool used;
};

struct policy {
    bool
        keep; /* every weight stays as it is stored, unless a rule says otherwise; `type` is of no use then */
    bool
        uniform; /* small ones take the type too, as in upstream's files, where all weights have one; it is no quantised one */
    enum dtype type;           /* the one that is asked for */
    struct policy_rule *rules; /* a later one wins */
    size_t n_rules;
};

/* Reads one rule; text is borrowed. BAD_ARGUMENT: no '=', no pattern, or no such type. */
enum status policy_rule_parse(struct policy_rule *rule, const char *text, struct err *e);

/* The type of p, which is stored as `stored`. *wanted is the type before it had to fit the rows; where both differ,
 * p fell back. Marks the rules that match. Rules of a quantised type leave small weights alone. */
enum dtype policy_choose(struct policy *k, const struct param *p, enum dtype stored, enum dtype *wanted);

/* BAD_ARGUMENT names a rule that no weight matched. */
enum status policy_all_used(const struct policy *k, struct err *e);

/* True for types whose blocks hold more than one element. */
bool policy_is_quantised(enum dtype t);

#endif
