"""Writes the tiny random checkpoints under tests/data/tiny/, in upstream's exact layout.

    <llama_type>/            consolidated.00-of-01.model.pth, config.json, meta.json, tokenizer.model
    <llama_type>-2shards/    the same weights cut in two
    llama_ens-bf16/ -f16/    the same weights rounded
    llama_ens-rope_scaling/  the same weights, positions halved by config.json
    llama_ens-safetensors/   the same weights in one file     (llama_ens_light-safetensors/: indexed)
    llama-meta/              a language model as Meta shipped it: no prefix, no "model" key, params.json
    llama_ens-diff/          fp16 differences: llama-meta + these = nearly llama_ens
    llama_ens_peft/          adapters, biases and norms alone, as upstream saves what was trained: to follow llama_ens

Types that differ only in their views have the same tensors and share the file through a link. Each tensor
is drawn from its own name, so the same tensor is the same in every type.
"""

import json
import math
import os
import shutil
import sys
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file

from layout import Shapes, adapter_shapes, language_shapes, model_shapes, shard
from variants import VARIANTS

SEED = 5  # one under which no golden comes near a tie and no answer repeats itself
VOCAB = 512
FIRST_WORD = 259  # the ids before are <unk>, <s>, </s> and the 256 bytes
BEFORE_A_NORM = tuple(
    f"{layer}.{end}"
    for layer in ("conv1", "patch_embed.proj", "patch_embedding", "stem.0", "visual_proj.0", "qformer_proj.0")
    for end in ("weight", "bias")
)
Weights = dict[str, torch.Tensor]

# Small, and still with a head width of 11, widths that no vector register divides, a Q-Former layer with
# cross-attention and one without, position tables that need resampling (7 x 7 -> 4 x 4), grouped queries.
CLIP = {"patch_size": 7, "width": 16, "layers": 2, "heads": 2, "mlp_width": 32, "act": "quick_gelu"}
DINOV2 = {"patch_size": 7, "pretrain_size": 49, "width": 24, "layers": 2, "heads": 2, "ffn": "swiglu", "ffn_width": 32}
QFORMER = {"patch_size": 7, "vision_width": 22, "vision_layers": 2, "vision_heads": 2, "vision_mlp_width": 28}
QFORMER |= {"queries": 3, "width": 20, "layers": 2, "heads": 2, "mlp_width": 24, "cross_every": 2}
VIEW = 28


def vision_config(llama_type: str) -> dict:
    """ConvNeXt's map is 2 x 2 (repeated) where it sees enlarged views and 4 x 4 where it sees the image."""
    variant = VARIANTS[llama_type]
    cnn = 128 if variant.cnn_sees_image else 64
    vision = {"image_size": variant.tiles * (cnn if variant.cnn_sees_image else VIEW), "view_size": VIEW}
    vision["convnext"] = {"image_size": cnn, "depths": [1, 1, 2, 1], "dims": [4, 8, 12, 20]}
    vision["dinov2"] = DINOV2
    if variant.four_encoders:
        vision |= {"clip": CLIP, "qformer": QFORMER}
    return vision


def model_config(llama_type: str) -> dict:
    """Upstream's ModelArgs, as its training code writes them, plus the encoders' sizes."""
    config = {"dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": None, "vocab_size": -1}
    if VARIANTS[llama_type].mixture:
        config |= {"head_dim": 128, "hidden_dim": 24, "n_kv_heads": 2}  # head_dim is ignored upstream
        config |= {"moe": {"num_experts_per_tok": 2, "num_experts": 4}, "load_balancing_weight": 0.1}
        config |= {"rope_theta": 1000000.0}
    else:
        config |= {"multiple_of": 16, "ffn_dim_multiplier": 0.5, "rope_theta": 10000.0}
    if not VARIANTS[llama_type].four_encoders:
        config |= {"n_kv_heads": 2, "trainable_mode": "mm_stage2"}
    config |= {"norm_eps": 1e-05, "rope_scaling": None, "max_batch_size": 32, "max_seq_len": 2048}
    if llama_type.endswith("_peft"):
        config |= {"lora_rank": 3, "bias_tuning": True, "norm_tuning": True}
    return config | {"load_pretrained_visual_encoder": False, "vision": vision_config(llama_type)}


def draw(name: str, shape: tuple[int, ...], salt: str = "") -> torch.Tensor:
    """Random values under which every part of the network matters.

    What enters a first norm is small, as in trained models, so that a wrong eps shows; everything later keeps
    activations near one and attention uneven.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(f"{SEED} {salt} {name}".encode()))
    x = torch.randn(shape, generator=generator)
    last = name.rsplit(".", 1)[-1]
    if last == "gamma":
        return 0.5 + 0.1 * x  # LayerScale
    if last in ("bias", "in_proj_bias"):
        return 0.1 * x * (0.1 if name.endswith(BEFORE_A_NORM) else 1)
    if last == "weight" and len(shape) == 1:
        return 1 + 0.1 * x  # norms
    if last in ("start_img", "end_img"):
        return x
    if len(shape) < 2 or "embeddings.weight" in name or last.endswith(("embedding", "embed", "token", "tokens")):
        return 0.05 * x
    if name == "output.weight":
        x[:FIRST_WORD] *= 0.6  # control and byte pieces are rarer than words, so that answers can be read
    fan_in = shape[0] // 4 if name.endswith("feed_forward.w2") else math.prod(shape[1:])
    gain = 3.0 if name == "output.weight" else 0.05 if name.endswith(BEFORE_A_NORM) else 1.5
    return x * gain / math.sqrt(fan_in)


def draw_all(shapes: Shapes, salt: str = "") -> Weights:
    return {name: draw(name, shape, salt) for name, shape in shapes.items()}


def weights_of(llama_type: str) -> Weights:
    return draw_all(model_shapes(llama_type, model_config(llama_type), VOCAB))


def tuned_weights(config: dict) -> Weights:
    """What a run of llama_ens_peft trains. B A is half as large as W: larger, and attention is so uneven that rounding
    shows in its gradients."""
    norms = {k: v for k, v in language_shapes(config, 1).items() if "norm" in k}
    weights = draw_all(adapter_shapes(config) | norms, salt="tuned")
    return {k: v / 3 if ".lora_b." in k else v for k, v in weights.items()}


def prefixed(weights: Weights) -> Weights:
    return {f"llma.{name}": tensor for name, tensor in weights.items()}


class Writer:
    def __init__(self, top: Path, tokenizer: Path):
        self.top, self.tokenizer = top, tokenizer

    def folder(self, name: str, config: dict | None = None) -> Path:
        """An empty model folder; with a config, also the files that upstream looks for beside the weights."""
        path = self.top / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        if config is not None:
            (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
            (path / "meta.json").write_text(json.dumps({"llama_type": name.split("-")[0]}) + "\n")
            (path / "tokenizer.model").symlink_to(os.path.relpath(self.tokenizer, path))
        return path

    def pth(self, name: str, config: dict, weights: Weights, shards: int = 1) -> None:
        path = self.folder(name, config)
        for i in range(shards):
            part = {k: shard(k, v, i, shards, config) for k, v in weights.items()}
            # One slice stays a strided view of the full tensor, as torch.save allows.
            keep = "layers.0.attention.wo.weight"
            part = {k: v if k == keep else v.clone().contiguous() for k, v in part.items()}
            torch.save({"model": prefixed(part)}, path / f"consolidated.{i:02d}-of-{shards:02d}.model.pth")

    def link(self, name: str, config: dict, to: str) -> None:
        path = self.folder(name, config)
        for file in sorted((self.top / to).glob("consolidated.*")):
            (path / file.name).symlink_to(f"../{to}/{file.name}")

    def safetensors(self, name: str, config: dict, weights: Weights) -> None:
        save_file(prefixed(weights), self.folder(name, config) / "model.safetensors")

    def safetensors_indexed(self, name: str, config: dict, weights: Weights, files: int) -> None:
        path, index = self.folder(name, config), {}
        names = sorted(prefixed(weights))
        for i in range(files):
            file = f"model-{i + 1:05d}-of-{files:05d}.safetensors"
            mine = names[i::files]  # interleaved: neighbours are rarely in the same file
            save_file({k: prefixed(weights)[k] for k in mine}, path / file)
            index |= {k: file for k in mine}
        size = sum(v.numel() * v.element_size() for v in weights.values())
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}
        (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")

    def meta_and_diff(self, config: dict, tuned: Weights) -> None:
        base = {k: v.bfloat16() for k, v in draw_all(language_shapes(config, VOCAB), salt="base").items()}
        path = self.folder("llama-meta")
        half = config["dim"] // config["n_heads"] // 2
        rope = {"rope.freqs": torch.linspace(1, 0.01, half)}  # Meta ships this table; nobody reads it
        torch.save(base | rope, path / "consolidated.00.pth")
        keys = ("dim", "multiple_of", "n_heads", "n_layers", "norm_eps", "vocab_size", "ffn_dim_multiplier")
        (path / "params.json").write_text(json.dumps({k: config[k] for k in keys}) + "\n")
        zero = torch.zeros(())
        diff = {k: (v - base.get(k, zero).float()).half() for k, v in tuned.items()}
        path = self.folder("llama_ens-diff", config)
        torch.save({"model": prefixed(diff)}, path / "consolidated.00-of-01.model-diff.pth")


def write_all(top: Path, tokenizer: Path) -> None:
    writer = Writer(top, tokenizer)
    ens, light, moe = (model_config(t) for t in ("llama_ens", "llama_ens_light", "mixtral_sparse_ens"))
    ens_weights = weights_of("llama_ens")
    light_weights = weights_of("llama_ens_light")
    moe_weights = weights_of("mixtral_sparse_ens")
    for kind, shards in (("", 1), ("-2shards", 2)):
        writer.pth(f"llama_ens{kind}", ens, ens_weights, shards)
        writer.pth(f"llama_ens_light{kind}", light, light_weights, shards)
        writer.pth(f"mixtral_sparse_ens{kind}", moe, moe_weights, shards)
        for name in ("llama_ens5", "llama_ens10", "llama_ens5p2"):
            writer.link(f"{name}{kind}", model_config(name), f"llama_ens{kind}")
        writer.link(f"llama_ens5_light{kind}", model_config("llama_ens5_light"), f"llama_ens_light{kind}")
        writer.link(f"mixtral_sparse_ens5{kind}", model_config("mixtral_sparse_ens5"), f"mixtral_sparse_ens{kind}")
    writer.pth("llama_ens-bf16", ens, {k: v.bfloat16() for k, v in ens_weights.items()})
    writer.pth("llama_ens-f16", ens, {k: v.half() for k, v in ens_weights.items()})
    writer.link("llama_ens-rope_scaling", ens | {"rope_scaling": 0.5}, "llama_ens")
    writer.safetensors("llama_ens-safetensors", ens, ens_weights)
    writer.safetensors_indexed("llama_ens_light-safetensors", light, light_weights, files=3)
    writer.meta_and_diff(ens, ens_weights)
    peft = model_config("llama_ens_peft")
    for kind, shards in (("", 1), ("-2shards", 2)):
        writer.pth(f"llama_ens_peft{kind}", peft, tuned_weights(peft), shards)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
