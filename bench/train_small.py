#!/usr/bin/env python3
"""Trains the language model of a small checkpoint with PyTorch until it recites: weights that mean something, for bench/same_tokens.

    train_small.py FOLDER [-t THREADS] [-s SECONDS] < PAIRS      (1 thread, 600 seconds)

FOLDER is a checkpoint in upstream's layout that `sphinx init --type f32` wrote; its weights are replaced. PAIRS: [{"prompt": [ids],
"answer": [ids]}, ...]. Training ends when every token of every answer has the probability SURE, or after SECONDS. Prints what
it came to, and what the mean loss would be without each of the layers: one that does nothing would leave it as it is.
"""
import argparse
import json
import os
import random
import sys
import time

import torch
import torch.nn.functional as F

SURE = 0.98
BATCH, RATE, LOOK_EVERY = 8, 2e-3, 20


def rotate(x, angles):
    """Positions, as upstream has them: neighbours [2i, 2i + 1] of a head are one complex number. x [B, T, H, d], angles [T, d/2]"""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[:, None]).flatten(-2)


def forward(w, config, ids, without=None):
    """Logits [B, T, vocab] of ids [B, T]."""
    eps, heads, kv_heads = config["norm_eps"], config["n_heads"], config["n_kv_heads"]
    width = config["dim"] // heads
    angles = torch.arange(ids.shape[1])[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    norm = lambda x, name: F.rms_norm(x, x.shape[-1:], w[name], eps)
    x = w["tok_embeddings.weight"][ids]
    for i in range(config["n_layers"]):
        if i == without:
            continue
        linear = lambda x, name: x @ w[f"layers.{i}.{name}.weight"].T
        y = norm(x, f"layers.{i}.attention_norm.weight")
        q, k, v = (linear(y, f"attention.w{c}").unflatten(-1, (-1, width)) for c in "qkv")
        q, k, v = (a.transpose(1, 2) for a in (rotate(q, angles), rotate(k, angles), v))
        k, v = (a.repeat_interleave(heads // kv_heads, 1) for a in (k, v))
        x = x + linear(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2), "attention.wo")
        y = norm(x, f"layers.{i}.ffn_norm.weight")
        x = x + linear(F.silu(linear(y, "feed_forward.w1")) * linear(y, "feed_forward.w3"), "feed_forward.w2")
    return norm(x, "norm.weight") @ w["output.weight"].T


def losses(w, config, pairs, without=None):
    """Of each token of the answers, given all before it."""
    longest = max(len(p["prompt"] + p["answer"]) for p in pairs)
    ids, counts = torch.zeros(len(pairs), longest, dtype=torch.long), torch.zeros(len(pairs), longest, dtype=torch.bool)
    for row, p in enumerate(pairs):
        end = len(p["prompt"] + p["answer"])
        ids[row, :end] = torch.tensor(p["prompt"] + p["answer"])
        counts[row, len(p["prompt"]):end] = True
    logits = forward(w, config, ids[:, :-1], without)
    return F.cross_entropy(logits[counts[:, 1:]], ids[:, 1:][counts[:, 1:]], reduction="none")


def train(w, config, pairs, seconds) -> int:
    optimiser = torch.optim.Adam(w.values(), lr=RATE)
    draw, step, end = random.Random(1), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for batch in (draw.sample(pairs, min(BATCH, len(pairs))) for _ in range(LOOK_EVERY)):
            step += 1
            optimiser.param_groups[0]["lr"] = RATE * min(1, step / 50)
            optimiser.zero_grad()
            losses(w, config, batch).mean().backward()
            torch.nn.utils.clip_grad_norm_(w.values(), 1.0)
            optimiser.step()
        with torch.no_grad():
            found = losses(w, config, pairs)
        print(f"step {step}: loss {found.mean():.4f}, least sure {torch.exp(-found.max()):.3f}", file=sys.stderr)
        if torch.exp(-found.max()) >= SURE:
            break
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("-t", type=int, default=1)
    parser.add_argument("-s", type=float, default=600)
    args = parser.parse_args()
    torch.set_num_threads(args.t)
    path, prefix = os.path.join(args.folder, "consolidated.00-of-01.model.pth"), "llma."
    with open(os.path.join(args.folder, "config.json")) as f:
        config = json.load(f)
    pairs = json.load(sys.stdin)
    model = torch.load(path)
    w = {name.removeprefix(prefix): x.requires_grad_() for name, x in model["model"].items()}
    w = {name: x for name, x in w.items() if name.split(".")[0] in ("tok_embeddings", "layers", "norm", "output")}
    step = train(w, config, pairs, args.s)
    with torch.no_grad():
        loss = [losses(w, config, pairs, without).mean() for without in [None, *range(config["n_layers"])]]
    model["model"] = {name: x.detach() for name, x in model["model"].items()}
    torch.save(model, path)
    print(f"{step} steps; loss {loss[0]:.5f}; without a layer " + ", ".join(f"{x:.2f}" for x in loss[1:]))


if __name__ == "__main__":
    main()
