/*
 * gguf_names.h - what GGUF files call the tensors that upstream's checkpoints have.
 *
 *   upstream                               GGUF
 *   tok_embeddings.weight                  token_embd.weight
 *   norm.weight, output.weight             output_norm.weight, output.weight
 *   layers.N.attention_norm.weight         blk.N.attn_norm.weight
 *   layers.N.attention.w{q,k,v,o}.weight   blk.N.attn_{q,k,v,output}.weight
 *   layers.N.ffn_norm.weight               blk.N.ffn_norm.weight
 *   layers.N.feed_forward.w{1,2,3}.weight  blk.N.ffn_{gate,down,up}.weight
 *   layers.N.feed_forward.gate.weight      blk.N.ffn_gate_inp.weight
 *   layers.N.feed_forward.w{1,3}           blk.N.ffn_{gate,up}_exps.weight, [E*F, D] as [E, F, D]
 *   layers.N.feed_forward.w2_turned        blk.N.ffn_down_exps.weight, [E*D, F] as [E, D, F]
 *   qformer.qformer.encoder.layer.*        qformer.layer.*      these three would be longer than
 *   qformer.vision_model.encoder.layers.*  qformer.vision.*     the 63 bytes that ggml takes
 *   mask_decoder.transformer.*             decoder.*
 *
 * All other names are the same in both. Upstream's layers.N.feed_forward.w2 of experts is one of them: it holds each expert's
 * transpose [E*F, D], and our own full files keep that. Upstream has no w2_turned; the network takes either.
 * Meta's interleaved rotary layout of wq and wk is the one that GGUF's `llama` architecture means: no permutation.
 */
#ifndef SPHINX_STORE_GGUF_NAMES_H
#define SPHINX_STORE_GGUF_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the other spelling to text [size]; false if it does not fit. */
bool gguf_name_from_upstream(const char *name, char *text, size_t size);
bool gguf_name_to_upstream(const char *name, char *text, size_t size);

/* Whether a GGUF name is that of all experts of a layer, with the expert as the slowest of three dims. */
bool gguf_name_is_experts(const char *name);

#endif
