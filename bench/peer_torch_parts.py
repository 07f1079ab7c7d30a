#!/usr/bin/env python3
"""What PyTorch takes for the parts of a full-size SPHINX, with random weights: the peer of `sphinx bench`.

    peer_torch_parts.py [-d float32|bfloat16] [-t THREADS] [-r RUNS] PART...

Parts: clip, convnext256, convnext512, dinov2, eva, qformer (one view each); tiny, 13b (a stack of the language model's layers:
prefill of 309 and 341 positions, and one token behind them; a few layers are timed and scaled to all, so that 13B fits).
One line a part: its name, the median of the runs in seconds.
"""
import argparse

import timm
import torch
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel
from transformers import DynamicCache, LlamaConfig, LlamaModel

from timing import median

VIEW = (1, 3, 224, 224)
# width, feed-forward, heads, key/value heads, layers in all, layers timed, positions of the prompt with its image
LANGUAGE = {"tiny": (2048, 5632, 32, 4, 22, 22, 309), "13b": (5120, 13824, 40, 40, 40, 4, 341)}


def encoder(part: str):
    if part == "clip":
        return timm.create_model("vit_large_patch14_clip_quickgelu_224", num_classes=0), VIEW
    if part.startswith("convnext"):
        side = int(part.removeprefix("convnext"))
        return timm.create_model("convnext_xxlarge", num_classes=0, global_pool=""), (1, 3, side, side)
    if part == "dinov2":
        return timm.create_model("vit_giant_patch14_dinov2", img_size=224, num_classes=0, global_pool=""), VIEW
    return Blip2VisionModel(Blip2VisionConfig()), VIEW


def time_qformer(args) -> None:
    model = Blip2QFormerModel(Blip2QFormerConfig()).to(args.dtype).eval()
    queries, image = torch.randn(1, 32, 768).to(args.dtype), torch.randn(1, 257, 1408).to(args.dtype)
    work = lambda: model(query_embeds=queries, encoder_hidden_states=image)
    print(f"qformer\t{median(args.r, work):.3f}", flush=True)


def time_encoder(part: str, args) -> None:
    model, shape = encoder(part)
    model = model.to(args.dtype).eval()
    pixels = torch.randn(shape).to(args.dtype)
    print(f"{part}\t{median(args.r, lambda: model(pixels)):.3f}", flush=True)


def time_language(part: str, args) -> None:
    width, ffn, heads, kv_heads, layers, timed, positions = LANGUAGE[part]
    config = LlamaConfig(hidden_size=width, intermediate_size=ffn, num_attention_heads=heads, num_key_value_heads=kv_heads,
                         num_hidden_layers=timed, vocab_size=32000)
    torch.set_default_dtype(args.dtype)
    model = LlamaModel(config).eval()
    head = torch.nn.Linear(width, 32000, bias=False)
    torch.set_default_dtype(torch.float32)
    prompt, one = torch.randn(1, positions, width).to(args.dtype), torch.randn(1, 1, width).to(args.dtype)
    scale = layers / timed
    prefill = median(args.r, lambda: model(inputs_embeds=prompt, use_cache=True)) * scale
    cache = DynamicCache(config=config)
    model(inputs_embeds=prompt, past_key_values=cache)
    decode = median(5 * args.r, lambda: model(inputs_embeds=one, past_key_values=cache)) * scale
    decode += median(5 * args.r, lambda: head(one))
    print(f"{part} prefill {positions}\t{prefill:.3f}\n{part} token\t{decode:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", default="float32")
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-r", type=int, default=3)
    parser.add_argument("parts", nargs="+")
    args = parser.parse_args()
    args.dtype = getattr(torch, args.d)
    torch.set_num_threads(args.t)
    for part in args.parts:
        if part in LANGUAGE:
            time_language(part, args)
        elif part == "qformer":
            time_qformer(args)
        else:
            time_encoder(part, args)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
