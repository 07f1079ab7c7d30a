"""Writes tests/data/train/: what PyTorch makes of training a tiny checkpoint (autograd, torch.optim.AdamW, clip_grad_norm_).

<case>.safetensors holds a made-up corpus (images, ids, labels), then

    loss, grad/<tensor>                   of the first micro-batch, frozen encoders
    <run>/loss, <run>/norm, <run>/lr      of every step: the mean over its micro-batches, before clipping
    <run>/<steps>/<tensor>                the parameters after so many steps
    start/<tensor>                        adapters as they are at first, where no checkpoint has them

A large tensor is kept as every n-th of its numbers, with its 2-norm under .../<tensor>.norm.
"""

import math
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import save_file

import llama
from goldens import load
from layout import adapter_shapes
from sphinx import Sphinx
from tiny import draw, model_config
from views import padded_resize

ENCODERS = ("qformer.", "openclip_convnext_xxl.", "clip.", "dinov2_vitg14.")
# Matrices that get adapters where encoders learn too: of each encoder some, a convolution, a projection, one of the LLM's.
TARGETS = (
    "clip.visual.conv1.weight",
    "clip.*.attn.in_proj_weight",
    "clip.*.mlp.c_fc.weight",
    "openclip_*.mlp.fc2.weight",
    "dinov2_*.attn.qkv.weight",
    "dinov2_*.mlp.w3.weight",
    "qformer.*.self_attn.qkv.weight",
    "qformer.*.attention.query.weight",
    "visual_proj.0.weight",
    "layers.1.attention.wq.weight",
)
RANK = 2
# What learns there: the adapters, biases that the LLM's layers get, and of each encoder some biases and norms.
LEARNED = (
    "*.lora_?.weight",
    "layers.*.bias",
    "clip.*.ln_1.*",
    "clip.*.c_fc.bias",
    "openclip_*.fc1.bias",
    "openclip_*.blocks.?.norm.*",
    "dinov2_*.norm1.*",
    "dinov2_*.attn.proj.bias",
    "qformer.*.query.bias",
    "qformer.*.LayerNorm.weight",
)
SAMPLES, BATCH, ACCUMULATE = 12, 2, 2
STEPS, WARMUP, LR, LR_MIN, DECAY = 50, 5.0, 5e-4, 5e-5, 0.1
SNAPSHOTS = (20, 50)
KEEP_GRADIENT, KEEP_PARAMETER = 1024, 96

Sample = tuple[torch.Tensor, torch.Tensor, int]  # ids, labels, image


def is_trained(case: str, name: str) -> bool:
    if case == "llama_ens-adapters":
        return any(fnmatchcase(name, pattern) for pattern in LEARNED)
    if case == "llama_ens_peft":
        key_word = any(word in name for word in ("bias", "lora", "norm"))
        return key_word and "_proj" not in name and not name.startswith(ENCODERS)
    return not name.startswith(ENCODERS)


def adapters(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Beside the targets, in the order of names; B is not zero, so that A has a gradient from the first step on."""
    out = {}
    for name in sorted(weights):
        if not any(fnmatchcase(name, pattern) for pattern in TARGETS):
            continue
        stem, w = name[: -len(".weight")], weights[name]
        inputs = w.numel() // w.shape[0]
        out[f"{stem}.lora_a.weight"] = draw(f"{stem}.lora_a.weight", (RANK, inputs))
        out[f"{stem}.lora_b.weight"] = 0.02 * draw(f"{stem}.lora_b.weight", (w.shape[0], RANK))
    return out


def corpus(model: Sphinx) -> tuple[list[Sample], torch.Tensor]:
    """Dialogues of random ids, some of which are targets; and the images' planes [3, 3, S, S]."""
    generator = torch.Generator().manual_seed(7)
    vocab, size = model.weights["output.weight"].shape[0], model.config["vision"]["image_size"]
    if "moe" in model.config:  # the image's way is the same in all types, and these images would be large
        size = None
    scene = Image.open("tests/data/images/scene.png").convert("RGB")
    images = (scene, ImageOps.mirror(scene), ImageOps.flip(scene))
    images = torch.stack([padded_resize(i, size) for i in images if size is not None] or [torch.zeros(0)])
    samples = []
    for i in range(SAMPLES):
        n = int(torch.randint(6, 15, (1,), generator=generator))
        ids = torch.randint(3, vocab, (n,), generator=generator)
        ids[0] = 1
        labels = torch.where(torch.rand(n, generator=generator) < 0.5, ids, 0)
        labels[0] = labels[-1] = 0  # the first id is no target, and something stands behind the last
        labels[3] = ids[3]
        samples.append((ids, labels, -1 if size is None else i % len(images)))
    return samples, images


def see(model: Sphinx, planes: torch.Tensor) -> dict:
    model.taps.clear()
    model.see(planes)
    return {k: model.taps[k] for k in ("clip", "convnext", "dinov2", "qformer") if k in model.taps}


def batch_loss(model: Sphinx, samples: list[Sample], seen: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy, and what is minimised: with experts, their balance is added.

    seen: what the encoders made of each image, or, if these learn, the images' planes, to be seen anew.
    Rows from a sample's last target on are no part of the balance (upstream's includes them, and padding).
    """
    logits, targets, routed = [], [], []
    weights = model.weights
    if isinstance(seen, torch.Tensor):  # the packages know no adapters
        model.weights = llama.merged(weights)
        seen = {i: see(model, seen[i]) for i in {image for _, _, image in samples}}
    for ids, labels, image in samples:
        last = int(labels.nonzero()[-1])
        words = model.mix(seen[image]) if image >= 0 else None
        rows = model.logits(ids[:last].tolist(), words)
        logits.append(rows if words is None else rows[len(words) :])
        targets.append(labels[1 : last + 1])
        routed.append({k: v for k, v in model.taps.items() if k.startswith("router.layers")})
    model.weights = weights
    loss = F.cross_entropy(torch.cat(logits), torch.cat(targets), ignore_index=0)
    if "moe" not in model.config:
        return loss, loss
    experts, balance = model.config["moe"]["num_experts"], 0
    for i in range(model.config["n_layers"]):
        name = f"router.layers.{i}.feed_forward"
        probability, index = (torch.cat([r[name + end] for r in routed]) for end in ("", ".index"))
        count = torch.bincount(index.flatten(), minlength=experts)
        balance += experts / index.numel() * (count * probability.mean(0)).sum() / model.config["n_layers"]
    return loss, loss + model.config["load_balancing_weight"] * balance


def kept(out: dict, name: str, x: torch.Tensor, most: int) -> None:
    x = x.detach().flatten()
    every = -(-x.numel() // most)
    out[name] = x[::every].clone()
    if every > 1:
        out[f"{name}.norm"] = x.double().norm().float().reshape(1)


def learning_rate(step: int, factor: float) -> float:
    if step < WARMUP:
        return factor * LR * step / WARMUP
    return factor * (LR_MIN + (LR - LR_MIN) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))))


def trainable(model: Sphinx, start: dict[str, torch.Tensor], case: str) -> dict[str, torch.Tensor]:
    """The model's trained weights as fresh leaves."""
    leaves = {k: v.clone().requires_grad_() for k, v in start.items() if is_trained(case, k)}
    for v in leaves.values():
        v.grad = torch.zeros_like(v)  # the projections' without an image: none would mean no decay either
    model.weights = start | leaves
    return leaves


def run(model: Sphinx, leaves: dict, samples: list[Sample], seen: list[dict], clip: float, factor: float, out: dict, name: str) -> None:
    plain = [v for k, v in leaves.items() if k.endswith((".bias", "norm.weight"))]
    decayed = [v for k, v in leaves.items() if not k.endswith((".bias", "norm.weight"))]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8)
    losses, norms, rates, at = [], [], [], 0
    for step in range(STEPS):
        total = 0.0
        for _ in range(ACCUMULATE):
            loss, objective = batch_loss(model, [samples[(at + i) % SAMPLES] for i in range(BATCH)], seen)
            (objective / ACCUMULATE).backward()
            total += loss.item() / ACCUMULATE
            at += BATCH
        rate = learning_rate(step, factor)
        for group in optimizer.param_groups:
            group["lr"] = rate
        norms.append(torch.nn.utils.clip_grad_norm_(leaves.values(), clip).item())
        losses.append(total)
        rates.append(rate)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        if step + 1 in SNAPSHOTS:
            for k, v in leaves.items():
                kept(out, f"{name}/{step + 1}/{k}", v, KEEP_PARAMETER)
    for k, v in (("loss", losses), ("norm", norms), ("lr", rates)):
        out[f"{name}/{k}"] = torch.tensor(v)
    print(f"{name}: loss {losses[0]:.4f} .. {losses[-1]:.4f}, norms {min(norms):.3f} .. {max(norms):.3f}")


def write(tiny: Path, case: str, target: Path) -> None:
    model = load(tiny / case.split("-")[0], below=tiny / "llama_ens" if case.endswith("_peft") else None)
    samples, images = corpus(model)
    learned = adapters(model.weights) if case.endswith("-adapters") else {}
    seen = images
    if not learned:
        with torch.no_grad():
            seen = [see(model, planes) for planes in (images if images.numel() > 0 else ())]
    start = model.weights | learned
    if learned:
        peft = adapter_shapes(model_config("llama_ens_peft"))
        start |= {k: torch.zeros(shape) for k, shape in peft.items() if k.endswith(".bias")}
    out = {
        **{f"start/{k}": v for k, v in learned.items()},
        **({"planes": images} if images.numel() > 0 else {}),
        "length": torch.tensor([len(ids) for ids, _, _ in samples], dtype=torch.int32),
        "ids": torch.cat([ids for ids, _, _ in samples]).int(),
        "labels": torch.cat([labels for _, labels, _ in samples]).int(),
        "image": torch.tensor([image for _, _, image in samples], dtype=torch.int32),
    }
    leaves = trainable(model, start, case)
    loss, objective = batch_loss(model, samples[:BATCH], seen)
    objective.backward()
    out["loss"] = loss.detach().reshape(1)
    for k, v in leaves.items():
        kept(out, f"grad/{k}", v.grad, KEEP_GRADIENT)
    small = case not in ("llama_ens", "mixtral_sparse_ens")  # adapters take twice the learning rate
    for name, clip in (({} if small else {"free": 1e8}) | {"clipped": 0.5}).items():
        run(model, trainable(model, start, case), samples, seen, clip, 2.0 if small else 1.0, out, name)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{case}.safetensors"
    save_file({k: v.contiguous() for k, v in out.items()}, file)
    print(f"{case}: {len(leaves)} trained tensors, loss {loss.item():.6f}, {file.stat().st_size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[3:] or ("llama_ens", "mixtral_sparse_ens", "llama_ens_peft", "llama_ens-adapters"):
        write(Path(sys.argv[1]), name, Path(sys.argv[2]))
