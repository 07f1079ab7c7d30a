"""Writes tests/data/train/: what PyTorch makes of training a tiny checkpoint (autograd, torch.optim.AdamW, clip_grad_norm_).

<case>.safetensors holds a made-up corpus (images, ids, labels), then

    loss, grad/<tensor>                   of the first micro-batch, frozen encoders
    <run>/loss, <run>/norm, <run>/lr      of every step: the mean over its micro-batches, before clipping
    <run>/<steps>/<tensor>                the parameters after so many steps

A large tensor is kept as every n-th of its numbers, with its 2-norm under .../<tensor>.norm.
"""

import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import save_file

import llama
from goldens import load
from sphinx import Sphinx
from views import padded_resize

ENCODERS = ("qformer.", "openclip_convnext_xxl.", "clip.", "dinov2_vitg14.")
SAMPLES, BATCH, ACCUMULATE = 12, 2, 2
STEPS, WARMUP, LR, LR_MIN, DECAY = 50, 5.0, 5e-4, 5e-5, 0.1
SNAPSHOTS = (20, 50)
KEEP_GRADIENT, KEEP_PARAMETER = 1024, 96

Sample = tuple[torch.Tensor, torch.Tensor, int]  # ids, labels, image


def is_trained(name: str) -> bool:
    return not name.startswith(ENCODERS)


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


def batch_loss(model: Sphinx, samples: list[Sample], seen: list[dict]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy, and what is minimised: with experts, their balance is added.

    Rows from a sample's last target on are no part of the balance (upstream's includes them, and padding).
    """
    logits, targets, routed = [], [], []
    for ids, labels, image in samples:
        last = int(labels.nonzero()[-1])
        words = model.mix(seen[image]) if image >= 0 else None
        rows = model.logits(ids[:last].tolist(), words)
        logits.append(rows if words is None else rows[len(words) :])
        targets.append(labels[1 : last + 1])
        routed.append({k: v for k, v in model.taps.items() if k.startswith("router.layers")})
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


def learning_rate(step: int) -> float:
    if step < WARMUP:
        return LR * step / WARMUP
    return LR_MIN + (LR - LR_MIN) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def trainable(model: Sphinx, start: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The model's trained weights as fresh leaves."""
    leaves = {k: v.clone().requires_grad_() for k, v in start.items() if is_trained(k)}
    for v in leaves.values():
        v.grad = torch.zeros_like(v)  # the projections' without an image: none would mean no decay either
    model.weights = start | leaves
    return leaves


def run(model: Sphinx, start: dict, samples: list[Sample], seen: list[dict], clip: float, out: dict, name: str) -> None:
    leaves = trainable(model, start)
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
        rate = learning_rate(step)
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
    model = load(tiny / case)
    samples, images = corpus(model)
    seen = []
    with torch.no_grad():
        for planes in images if images.numel() > 0 else ():
            model.taps.clear()
            model.see(planes)
            seen.append({k: model.taps[k] for k in ("clip", "convnext", "dinov2", "qformer") if k in model.taps})
    start = model.weights
    out = {
        **({"planes": images} if images.numel() > 0 else {}),
        "length": torch.tensor([len(ids) for ids, _, _ in samples], dtype=torch.int32),
        "ids": torch.cat([ids for ids, _, _ in samples]).int(),
        "labels": torch.cat([labels for _, labels, _ in samples]).int(),
        "image": torch.tensor([image for _, _, image in samples], dtype=torch.int32),
    }
    leaves = trainable(model, start)
    loss, objective = batch_loss(model, samples[:BATCH], seen)
    objective.backward()
    out["loss"] = loss.detach().reshape(1)
    for k, v in leaves.items():
        kept(out, f"grad/{k}", v.grad, KEEP_GRADIENT)
    run(model, start, samples, seen, 1e8, out, "free")
    run(model, start, samples, seen, 0.5, out, "clipped")
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{case}.safetensors"
    save_file({k: v.contiguous() for k, v in out.items()}, file)
    print(f"{case}: {len(leaves)} trained tensors, loss {loss.item():.6f}, {file.stat().st_size} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in ("llama_ens", "mixtral_sparse_ens"):
        write(Path(sys.argv[1]), name, Path(sys.argv[2]))
