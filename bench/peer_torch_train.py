#!/usr/bin/env python3
"""What a step of training takes PyTorch: the peer of bench_train, on the same model and the same made-up samples.

    peer_torch_train.py MODEL [-t THREADS] [-b SAMPLES] [-w WORDS] [-a ANSWER] [-s SECONDS] [-f FILTER] [--compile]

MODEL is a checkpoint's folder of llama_ens: sizes are read from it, weights are random. Written as a PyTorch user would: encoders of
timm and transformers, scaled_dot_product_attention, fused AdamW, clip_grad_norm_; all samples are equally long, so nothing is
padded, and logits are computed where an answer is. float32, and bf16 by autocast over float32 masters. One line a way of training:
its name, the median of its steps in seconds.
"""
import argparse
import json
import os

import timm
import torch
import torch.nn.functional as F
from timm.layers import SwiGLU
from timm.models.convnext import ConvNeXt
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel

from timing import median_within


class Layer(nn.Module):
    """A block of LLaMA. x [B, T, D]; cosine, sine [T, d/2]"""

    def __init__(self, width, heads, ffn, eps):
        super().__init__()
        self.heads = heads
        self.norm, self.ffn_norm = nn.RMSNorm(width, eps), nn.RMSNorm(width, eps)
        self.wqkv, self.wo = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.w13, self.w2 = nn.Linear(width, 2 * ffn, bias=False), nn.Linear(ffn, width, bias=False)

    def rotate(self, x, cosine, sine):
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((a * cosine - b * sine, b * cosine + a * sine), -1).flatten(-2)

    def forward(self, x, cosine, sine):
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.wqkv(self.norm(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(self.rotate(q, cosine, sine).to(v.dtype), self.rotate(k, cosine, sine).to(v.dtype), v,
                                           is_causal=True)
        x = x + self.wo(y.transpose(1, 2).flatten(2))
        gate, up = self.w13(self.ffn_norm(x)).chunk(2, -1)
        return x + self.w2(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, config, vocab, ffn):
        super().__init__()
        width, eps = config["dim"], config["norm_eps"]
        self.head_width, self.theta = width // config["n_heads"], config["rope_theta"]
        self.embeddings, self.output = nn.Embedding(vocab, width), nn.Linear(width, vocab, bias=False)
        self.layers = nn.ModuleList(Layer(width, config["n_heads"], ffn, eps) for _ in range(config["n_layers"]))
        self.norm = nn.RMSNorm(width, eps)

    def forward(self, x, answer):
        """Logits behind the last `answer` rows of x [B, T, D]."""
        angles = torch.arange(x.shape[1])[:, None] * self.theta ** (-torch.arange(0, self.head_width, 2) / self.head_width)
        cosine, sine = angles.cos(), angles.sin()
        for layer in self.layers:
            x = layer(x, cosine, sine)
        return self.output(self.norm(x[:, -answer:]))


class Encoders(nn.Module):
    def __init__(self, k):
        super().__init__()
        clip, cnn, dino, q = k["clip"], k["convnext"], k["dinov2"], k["qformer"]
        side = k["view_size"]
        self.grid, self.cnn_side = side // clip["patch_size"], cnn["image_size"]
        vit = lambda c, **more: VisionTransformer(side, c["patch_size"], num_classes=0, global_pool="", embed_dim=c["width"],
                                                  depth=c["layers"], num_heads=c["heads"], **more)
        self.clip = vit(clip, mlp_ratio=clip["mlp_width"] / clip["width"], pre_norm=True, act_layer="quick_gelu")
        self.dinov2 = vit(dino, mlp_ratio=dino["ffn_width"] / dino["width"], init_values=1.0, mlp_layer=SwiGLU)
        self.convnext = ConvNeXt(num_classes=0, global_pool="", depths=cnn["depths"], dims=cnn["dims"])
        self.eva = Blip2VisionModel(Blip2VisionConfig(
            hidden_size=q["vision_width"], intermediate_size=q["vision_mlp_width"], num_hidden_layers=q["vision_layers"],
            num_attention_heads=q["vision_heads"], image_size=side, patch_size=q["patch_size"]))
        self.qformer = Blip2QFormerModel(Blip2QFormerConfig(
            hidden_size=q["width"], num_hidden_layers=q["layers"], num_attention_heads=q["heads"], intermediate_size=q["mlp_width"],
            cross_attention_frequency=q["cross_every"], encoder_hidden_size=q["vision_width"], hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0))
        self.queries = nn.Parameter(torch.randn(1, q["queries"], q["width"]))

    def forward(self, views, cnn_views):
        map = self.convnext(cnn_views)
        spread = map.repeat_interleave(self.grid // map.shape[2], 2).repeat_interleave(self.grid // map.shape[3], 3)
        map = torch.cat((map.mean((2, 3))[:, None], spread.flatten(2).transpose(1, 2)), 1)
        mixed = torch.cat((self.clip(views), map, self.dinov2(views)), -1)
        seen = self.eva(views).last_hidden_state
        return mixed, self.qformer(query_embeds=self.queries.expand(len(views), -1, -1), encoder_hidden_states=seen).last_hidden_state


class Sphinx(nn.Module):
    def __init__(self, folder):
        super().__init__()
        with open(os.path.join(folder, "config.json")) as f:
            config = json.load(f)
        weights = torch.load(os.path.join(folder, "consolidated.00-of-01.model.pth"), mmap=True)["model"]
        shape = lambda name: weights[f"llma.{name}.weight"].shape
        self.vocab = shape("tok_embeddings")[0]
        self.vision = config["vision"]
        self.llama = Llama(config, self.vocab, shape("layers.0.feed_forward.w1")[0])
        self.encoders = Encoders(self.vision)
        channels = sum(self.vision[name]["width"] for name in ("clip", "dinov2")) + self.vision["convnext"]["dims"][-1]
        project = lambda n: nn.Sequential(nn.Linear(n, config["dim"]), nn.LayerNorm(config["dim"]))
        self.visual_proj, self.qformer_proj = project(channels), project(self.vision["qformer"]["width"])
        self.start, self.end = (nn.Parameter(torch.rand(1, 1, config["dim"])) for _ in range(2))

    def loss(self, ids, mixed, queries, answer):
        text, end = self.llama.embeddings(ids[:, :-1]), (len(ids), -1, -1)
        words = (self.start.expand(end), self.qformer_proj(queries), self.visual_proj(mixed), self.end.expand(end))
        logits = self.llama(torch.cat((text[:, :1], *(w.to(text.dtype) for w in words), text[:, 1:]), 1), answer)
        return F.cross_entropy(logits.flatten(0, 1).float(), ids[:, -answer:].flatten())


def step_of(model, args, bf16, encoders):
    """A function that takes one step, of the language model and the mixer, or of everything."""
    ids = torch.randint(1, model.vocab, (args.b, args.w))
    views, cnn_views = (torch.rand(args.b, 3, side, side) for side in (model.vision["view_size"], model.encoders.cnn_side))
    for p in model.encoders.parameters():
        p.requires_grad_(encoders)
    with torch.no_grad():
        kept = model.encoders(views, cnn_views)

    def loss():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.loss(ids, *(model.encoders(views, cnn_views) if encoders else kept), args.a)

    loss = torch.compile(loss) if args.compile else loss
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, betas=(0.9, 0.95), fused=True)

    def step(_):
        optimizer.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-b", type=int, default=16)
    parser.add_argument("-w", type=int, default=100)
    parser.add_argument("-a", type=int, default=50)
    parser.add_argument("-s", type=float, default=3)
    parser.add_argument("-f", default="")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.t)
    for way in ("f32 language", "f32 trained", "bf16 language", "bf16 trained"):
        if args.f not in way:
            continue
        step = step_of(Sphinx(args.model), args, way.startswith("bf16"), way.endswith("trained"))
        print(f"{way}\t{median_within(args.s, step):.4f}", flush=True)


if __name__ == "__main__":
    main()
