"""Writes tests/data/gguf/, GGUF files as the public gguf package makes them.

    python tools/reference/gguf_files.py tests/data/tiny tests/data/tokenizer.model tests/data/gguf

    kinds.gguf     a key of every kind, a tensor of every type; data aligned to 64
    sphinx.gguf    tiny/llama_ens-f16, all of it
    llama.gguf     the language model of tiny/llama_ens as converters for llama.cpp write it: the ecosystem's keys only
    mixtral.gguf   the same of tiny/mixtral_sparse_ens

The tensors' names in llama.gguf and mixtral.gguf are the package's own translation of Meta's.
"""

import json
import pathlib
import sys

import gguf
import numpy
import sentencepiece
import torch
from gguf import GGMLQuantizationType as Type

def kinds(path):
    w = gguf.GGUFWriter(path, "kinds")
    w.add_custom_alignment(64)
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_float32("t.f32", 0.15625)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "caf\u00e9")
    w.add_uint64("t.u64", 2**63)
    w.add_int64("t.i64", -(2**62))
    w.add_float64("t.f64", 1e300)
    w.add_array("t.strings", ["a", "", "ccc"])
    w.add_array("t.floats", [0.5, -2.0])
    w.add_array("t.ints", [7, -8, 9])
    w.add_key_value("t.bytes", b"\x00\x01\xff", gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT8)
    plain = {"f32": numpy.float32, "f16": numpy.float16, "f64": numpy.float64}
    plain |= {f"i{n}": getattr(numpy, f"int{n}") for n in (8, 16, 32, 64)}
    for name, dtype in plain.items():
        w.add_tensor(f"p.{name}", numpy.arange(-6, 6).reshape(2, 3, 2).astype(dtype))
    x = (numpy.arange(512, dtype=numpy.float32).reshape(2, 256) - 200) / 64
    for kind in (Type.BF16, Type.Q8_0, Type.Q4_0):
        w.add_tensor(f"q.{kind.name.lower()}", gguf.quants.quantize(x, kind), raw_dtype=kind)
    for kind in (Type.Q4_K, Type.Q6_K):
        size = gguf.GGML_QUANT_SIZES[kind][1]
        blocks = (numpy.arange(2 * size) % 120).astype(numpy.uint8).reshape(2, size)
        w.add_tensor(f"q.{kind.name.lower()}", blocks, raw_dtype=kind)
    write(w)


def write(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def weights(folder):
    found = torch.load(folder / "consolidated.00-of-01.model.pth", map_location="cpu", weights_only=True)
    found = found.get("model", found)
    return {k.removeprefix("llma."): v.detach() for k, v in found.items()}


def sphinx(path, folder, tokenizer):
    """Names that ggml would cut off are shortened as the program's documentation says; the rest of the language model's by the
    package."""
    w = gguf.GGUFWriter(path, "sphinx")
    w.add_string("sphinx.llama_type", json.loads((folder / "meta.json").read_text())["llama_type"])
    w.add_string("sphinx.config", (folder / "config.json").read_text())
    w.add_key_value("sphinx.tokenizer", tokenizer.read_bytes(), gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT8)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, x in weights(folder).items():
        name = names.get_name(name, try_suffixes=(".weight",)) or name
        name = name.replace("qformer.qformer.encoder.layer.", "qformer.layer.")
        name = name.replace("qformer.vision_model.encoder.layers.", "qformer.vision.")
        w.add_tensor(name, x.numpy())
    write(w)


def llama(path, folder, tokenizer):
    config = json.loads((folder / "config.json").read_text())
    heads = config["n_heads"]
    w = gguf.GGUFWriter(path, "llama")
    found = weights(folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["n_layers"])
    experts = config.get("moe", {}).get("num_experts", 0)
    width = 0
    for name, x in found.items():
        stem, _, last = name.rpartition(".")
        if last in ("w1", "w2", "w3"):
            x = x.reshape(experts, -1, x.shape[1])
            width = x.shape[1]
            x = x.transpose(1, 2).contiguous() if last == "w2" else x
            name = names.get_name(f"{stem}.experts.{last}") + ".weight"
        else:
            width = x.shape[0] if name == "layers.0.feed_forward.w1.weight" else width
            name = names.get_name(name, try_suffixes=(".weight",))
        if name is not None:
            w.add_tensor(name, x.numpy())
    w.add_name(folder.name)
    w.add_context_length(2048)
    w.add_embedding_length(config["dim"])
    w.add_block_count(config["n_layers"])
    w.add_feed_forward_length(width)
    w.add_head_count(heads)
    w.add_head_count_kv(config["n_kv_heads"] or heads)
    w.add_layer_norm_rms_eps(config["norm_eps"])
    w.add_rope_dimension_count(config["dim"] // heads)
    w.add_rope_freq_base(config["rope_theta"])
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(config["moe"]["num_experts_per_tok"])
    sp = sentencepiece.SentencePieceProcessor(str(tokenizer))
    n = sp.vocab_size()
    w.add_vocab_size(n)
    w.add_tokenizer_model("llama")
    w.add_token_list([sp.id_to_piece(i) for i in range(n)])
    w.add_token_scores([sp.get_score(i) for i in range(n)])
    w.add_token_types([kind(sp, i) for i in range(n)])
    w.add_unk_token_id(sp.unk_id())
    w.add_bos_token_id(sp.bos_id())
    w.add_eos_token_id(sp.eos_id())
    w.add_add_space_prefix(True)
    write(w)


def kind(sp, i):
    types = gguf.TokenType
    for test, value in (
        (sp.is_unknown, types.UNKNOWN),
        (sp.is_control, types.CONTROL),
        (sp.is_unused, types.UNUSED),
        (sp.is_byte, types.BYTE),
    ):
        if test(i):
            return value
    return types.NORMAL


def main():
    tiny, tokenizer, out = (pathlib.Path(a) for a in sys.argv[1:])
    out.mkdir(exist_ok=True)
    kinds(out / "kinds.gguf")
    sphinx(out / "sphinx.gguf", tiny / "llama_ens-f16", tokenizer)
    llama(out / "llama.gguf", tiny / "llama_ens", tokenizer)
    llama(out / "mixtral.gguf", tiny / "mixtral_sparse_ens", tokenizer)


main()
