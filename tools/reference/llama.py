"""The language model in plain PyTorch (float32, no cache), and the same by transformers as a check.

    rows [T, D] -> n_layers x (attention, feed-forward) -> RMSNorm -> output -> logits [T, vocab]

RoPE turns neighbouring pairs (2i, 2i+1), as in Meta's code. transformers turns halves instead, so its
wq and wk are the same weights with each head's rows reordered (see `halved`).
"""

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from layout import ffn_width

Weights = dict[str, torch.Tensor]


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rope(x: torch.Tensor, theta: float, scaling: float | None) -> torch.Tensor:
    """x [T, H, d]; row t stands at position t, or t * scaling."""
    T, _, d = x.shape
    position = torch.arange(T, dtype=torch.float32) * (1.0 if scaling is None else scaling)
    frequency = theta ** (-torch.arange(0, d, 2, dtype=torch.float32) / d)
    angle = torch.outer(position, frequency)[:, None]  # [T, 1, d/2]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = (even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos())
    return torch.stack(turned, dim=-1).flatten(-2)


def linear(w: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    """W x, and what the checkpoint has beside W: a bias, a low-rank product."""
    y = x @ w[f"{name}.weight"].T
    if f"{name}.bias" in w:
        y = y + w[f"{name}.bias"]
    if f"{name}.lora_a.weight" in w:
        y = y + (x @ w[f"{name}.lora_a.weight"].T) @ w[f"{name}.lora_b.weight"].T
    return y


def attention(w: Weights, config: dict, layer: str, x: torch.Tensor) -> torch.Tensor:
    T, D = x.shape
    heads = config["n_heads"]
    kv_heads = config["n_kv_heads"] or heads
    d = D // heads
    q = linear(w, f"{layer}.wq", x).view(T, heads, d)
    k = linear(w, f"{layer}.wk", x).view(T, kv_heads, d)
    v = linear(w, f"{layer}.wv", x).view(T, kv_heads, d)
    q = rope(q, config["rope_theta"], config["rope_scaling"])
    k = rope(k, config["rope_theta"], config["rope_scaling"])
    k = k.repeat_interleave(heads // kv_heads, dim=1)  # query head j reads kv head j / (H / K)
    v = v.repeat_interleave(heads // kv_heads, dim=1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / d**0.5
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(future, float("-inf")).softmax(-1)
    return linear(w, f"{layer}.wo", torch.einsum("hqk,khd->qhd", weights, v).reshape(T, D))


def feed_forward(w: Weights, layer: str, x: torch.Tensor) -> torch.Tensor:
    gate, up = linear(w, f"{layer}.w1", x), linear(w, f"{layer}.w3", x)
    return linear(w, f"{layer}.w2", F.silu(gate) * up)


def mixture(w: Weights, config: dict, layer: str, x: torch.Tensor, taps: Weights) -> torch.Tensor:
    """Each row goes to its best experts, whose probabilities are scaled to sum to one; taps["router.*"] keep these.

    taps["router.lead"] keeps the smallest lead of a chosen expert over one left out: near zero, rounding
    would decide which expert runs.
    """
    experts, chosen = config["moe"]["num_experts"], config["moe"]["num_experts_per_tok"]
    w1, w2, w3 = (w[f"{layer}.{n}"].view(experts, -1, x.shape[1]) for n in ("w1", "w2", "w3"))
    probability = (x @ w[f"{layer}.gate.weight"].T).softmax(-1)
    share, index = probability.topk(chosen + 1, dim=-1)
    lead = (share[:, chosen - 1] - share[:, chosen]).min()
    taps["router.lead"] = min(lead, taps.get("router.lead", lead))
    share, index = share[:, :chosen], index[:, :chosen]
    taps[f"router.{layer}"], taps[f"router.{layer}.index"] = probability, index
    share = share / share.sum(-1, keepdim=True)
    out = torch.zeros_like(x)
    for row in range(x.shape[0]):
        for s, e in zip(share[row], index[row].tolist()):
            out[row] += s * ((F.silu(w1[e] @ x[row]) * (w3[e] @ x[row])) @ w2[e])  # w2 [F, D]
    return out


def forward(w: Weights, config: dict, rows: torch.Tensor, taps: Weights) -> torch.Tensor:
    """rows [T, D] -> logits [T, vocab]."""
    h, eps = rows, config["norm_eps"]
    for i in range(config["n_layers"]):
        layer = f"layers.{i}"
        h = h + attention(w, config, f"{layer}.attention", rms_norm(h, w[f"{layer}.attention_norm.weight"], eps))
        x = rms_norm(h, w[f"{layer}.ffn_norm.weight"], eps)
        ffn = f"{layer}.feed_forward"
        h = h + (mixture(w, config, ffn, x, taps) if "moe" in config else feed_forward(w, ffn, x))
        taps[f"llama.layer.{i}"] = h
    return rms_norm(h, w["norm.weight"], eps) @ w["output.weight"].T


# The same network by transformers.


def merged(w: Weights) -> Weights:
    """The same weights without adapters: W + B A."""
    out = {k: v for k, v in w.items() if ".lora_" not in k}
    for name in [k.removesuffix(".lora_a.weight") for k in w if k.endswith(".lora_a.weight")]:
        weight = f"{name}.weight" if f"{name}.weight" in w else f"{name}_weight"  # CLIP's in_proj_weight
        product = w[f"{name}.lora_b.weight"] @ w[f"{name}.lora_a.weight"]
        out[weight] = w[weight] + product.view_as(w[weight])
    return out


def halved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorders each head's rows from pairs (0 1)(2 3).. to halves 0 2 .. | 1 3 .."""
    rows, columns = weight.shape
    return weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def biases(w: Weights, config: dict) -> Weights:
    """Of all matrices that transformers can give one, zero where the checkpoint has none."""
    out, kv_heads = {}, config["n_kv_heads"] or config["n_heads"]
    for i in range(config["n_layers"]):
        src, dst = f"layers.{i}", f"model.layers.{i}"
        for ours, theirs in (("wq", "q_proj"), ("wk", "k_proj"), ("wv", "v_proj"), ("wo", "o_proj")):
            name, rows = f"{src}.attention.{ours}", w[f"{src}.attention.{ours}.weight"].shape[0]
            bias = w.get(f"{name}.bias", torch.zeros(rows))
            if ours in ("wq", "wk"):
                bias = halved(bias[:, None], config["n_heads"] if ours == "wq" else kv_heads)[:, 0]
            out[f"{dst}.self_attn.{theirs}.bias"] = bias
        for ours, theirs in (("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")):
            name, rows = f"{src}.feed_forward.{ours}", w[f"{src}.feed_forward.{ours}.weight"].shape[0]
            out[f"{dst}.mlp.{theirs}.bias"] = w.get(f"{name}.bias", torch.zeros(rows))
    return out


def transformers_state(w: Weights, config: dict) -> Weights:
    w = merged(w)
    heads = config["n_heads"]
    kv_heads = config["n_kv_heads"] or heads
    out = {
        "model.embed_tokens.weight": w["tok_embeddings.weight"],
        "model.norm.weight": w["norm.weight"],
        "lm_head.weight": w["output.weight"],
    }
    for i in range(config["n_layers"]):
        src, dst = f"layers.{i}", f"model.layers.{i}"
        out[f"{dst}.self_attn.q_proj.weight"] = halved(w[f"{src}.attention.wq.weight"], heads)
        out[f"{dst}.self_attn.k_proj.weight"] = halved(w[f"{src}.attention.wk.weight"], kv_heads)
        out[f"{dst}.self_attn.v_proj.weight"] = w[f"{src}.attention.wv.weight"]
        out[f"{dst}.self_attn.o_proj.weight"] = w[f"{src}.attention.wo.weight"]
        out[f"{dst}.input_layernorm.weight"] = w[f"{src}.attention_norm.weight"]
        out[f"{dst}.post_attention_layernorm.weight"] = w[f"{src}.ffn_norm.weight"]
        if "moe" in config:
            shape = (config["moe"]["num_experts"], -1, config["dim"])
            w1, w2, w3 = (w[f"{src}.feed_forward.{n}"].view(shape) for n in ("w1", "w2", "w3"))
            out[f"{dst}.mlp.experts.gate_up_proj"] = torch.cat([w1, w3], dim=1)
            out[f"{dst}.mlp.experts.down_proj"] = w2.transpose(1, 2)
            out[f"{dst}.mlp.gate.weight"] = w[f"{src}.feed_forward.gate.weight"]
        else:
            for ours, theirs in (("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")):
                out[f"{dst}.mlp.{theirs}.weight"] = w[f"{src}.feed_forward.{ours}.weight"]
    return out


def transformers_logits(w: Weights, config: dict, rows: torch.Tensor) -> torch.Tensor:
    sizes = dict(
        hidden_size=config["dim"],
        intermediate_size=ffn_width(config),
        num_hidden_layers=config["n_layers"],
        num_attention_heads=config["n_heads"],
        num_key_value_heads=config["n_kv_heads"] or config["n_heads"],
        vocab_size=w["output.weight"].shape[0],
        rms_norm_eps=config["norm_eps"],
        rope_parameters={"rope_type": "default", "rope_theta": config["rope_theta"]},
        tie_word_embeddings=False,
    )
    if config["rope_scaling"] is not None:
        sizes["rope_parameters"] |= {"rope_type": "linear", "factor": 1 / config["rope_scaling"]}
    state = transformers_state(w, config)
    if "moe" in config:
        moe = config["moe"]
        sizes |= dict(num_local_experts=moe["num_experts"], num_experts_per_tok=moe["num_experts_per_tok"])
        model = MixtralForCausalLM(MixtralConfig(**sizes))
    else:
        biased = any(k.startswith("layers.") and k.endswith(".bias") for k in w)
        model = LlamaForCausalLM(LlamaConfig(**sizes, attention_bias=biased, mlp_bias=biased))
        state |= biases(w, config) if biased else {}
    model.load_state_dict(state, strict=True)
    return model.eval()(inputs_embeds=rows[None], use_cache=False).logits[0]
