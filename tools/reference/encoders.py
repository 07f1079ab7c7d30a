"""The four image encoders, each run by a public package on upstream's weights.

    clip_features      open_clip     [V, 3, s, s] -> [V, 1 + g*g, width]
    convnext_features  timm          [V, 3, c, c] -> [V, 1 + g*g, width]   (mean first, map repeated to g x g)
    dinov2_features    transformers  [V, 3, s, s] -> [V, 1 + g*g, width]
    qformer_features   transformers  [V, 3, s, s] -> [V, queries, width]

`weights` holds a checkpoint's tensors by upstream name. Every package's module is filled strictly: a name
that the package misses or does not know is an error. `taps` collects named intermediates.
"""

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, VisionTransformer
from timm.models.convnext import ConvNeXt
from torch import nn
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    Blip2VisionConfig,
    Blip2VisionModel,
    Dinov2Config,
    Dinov2Model,
)

from views import CLIP_MEAN, CLIP_STD

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

Weights = dict[str, torch.Tensor]


def under(weights: Weights, prefix: str) -> Weights:
    """The tensors below a prefix, without it, in float32."""
    return {k.removeprefix(prefix): v.float() for k, v in weights.items() if k.startswith(prefix)}


def fill(module: nn.Module, state: Weights) -> nn.Module:
    module.load_state_dict(state, strict=True)
    for name, value in state.items():
        if not value.requires_grad:
            continue
        owner, _, leaf = name.rpartition(".")  # a weight that learns is used itself, not a copy
        del module.get_submodule(owner)._parameters[leaf]
        setattr(module.get_submodule(owner), leaf, value)
    return module.eval()


def tap(taps: Weights, name: str, module: nn.Module) -> None:
    """Records a module's output under a name; maps [V, C, h, w] are written as rows [V, h*w, C]."""

    def record(_module, _inputs, output):
        x = output[0] if isinstance(output, tuple) else output
        taps[name] = (x.flatten(2).transpose(1, 2) if x.ndim == 4 else x).contiguous()

    module.register_forward_hook(record)


def clip_features(weights: Weights, c: dict, views: torch.Tensor, taps: Weights) -> torch.Tensor:
    state = under(weights, "clip.visual.")
    model = VisionTransformer(
        image_size=views.shape[-1],
        patch_size=c["patch_size"],
        width=c["width"],
        layers=c["layers"],
        heads=c["heads"],
        mlp_ratio=c["mlp_width"] / c["width"],
        act_layer={"quick_gelu": QuickGELU, "gelu": nn.GELU}[c["act"]],
        output_dim=state["proj"].shape[1],
    )
    fill(model, state)
    # Attention must stay within one view: open_clip's stack takes [V, tokens, width] only if this holds.
    assert model.transformer.batch_first
    tap(taps, "clip.block.0", model.transformer.resblocks[0])
    # ln_post over all tokens, and no `proj`: so not the model's own forward.
    return model.ln_post(model.transformer(model._embeds(views)))


def convnext_features(weights: Weights, c: dict, views: torch.Tensor, grid: int, taps: Weights) -> torch.Tensor:
    model = ConvNeXt(depths=tuple(c["depths"]), dims=tuple(c["dims"]), conv_mlp=False, norm_eps=1e-5)
    model.head.global_pool = nn.Identity()
    model.head.flatten = nn.Identity()
    model.head.fc = nn.Identity()
    fill(model, under(weights, "openclip_convnext_xxl."))
    for i, stage in enumerate(model.stages):
        tap(taps, f"convnext.stage.{i}", stage)
    cells = model(views)  # [V, C, h, w], head.norm applied at each position
    repeat = grid // cells.shape[-1]
    cells = cells.repeat_interleave(repeat, dim=2).repeat_interleave(repeat, dim=3)
    tokens = cells.flatten(2).transpose(1, 2)
    return torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1)


def dinov2_positions(table: torch.Tensor, grid: int) -> torch.Tensor:
    """[1, 1 + n*n, width] -> [1, 1 + grid*grid, width], as facebook's code resamples it: by a scale factor
    with 0.1 added to the grid, so that the sampling step is n / (grid + 0.1)."""
    side = int((table.shape[1] - 1) ** 0.5)
    if side == grid:
        return table
    square = table[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (grid + 0.1) / side
    square = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic", antialias=False)
    assert square.shape[-2:] == (grid, grid)
    return torch.cat([table[:, :1], square.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def dinov2_names(state: Weights, layers: int) -> Weights:
    """facebook's names -> transformers': the fused qkv and w12 are cut into their parts."""
    out = {
        "embeddings.cls_token": state["cls_token"],
        "embeddings.mask_token": state["mask_token"],
        "embeddings.position_embeddings": state["pos_embed"],
        "embeddings.patch_embeddings.projection.weight": state["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": state["patch_embed.proj.bias"],
        "layernorm.weight": state["norm.weight"],
        "layernorm.bias": state["norm.bias"],
    }
    for i in range(layers):
        src, dst = f"blocks.{i}", f"encoder.layer.{i}"
        for end in ("weight", "bias"):
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), state[f"{src}.attn.qkv.{end}"].chunk(3)):
                out[f"{dst}.attention.{part}.{end}"] = piece
            for part, piece in zip(("gate_proj", "up_proj"), state[f"{src}.mlp.w12.{end}"].chunk(2)):
                out[f"{dst}.mlp.{part}.{end}"] = piece
            out[f"{dst}.attention.o_proj.{end}"] = state[f"{src}.attn.proj.{end}"]
            out[f"{dst}.mlp.down_proj.{end}"] = state[f"{src}.mlp.w3.{end}"]
            for norm in ("norm1", "norm2"):
                out[f"{dst}.{norm}.{end}"] = state[f"{src}.{norm}.{end}"]
        for n in (1, 2):
            out[f"{dst}.layer_scale{n}.lambda1"] = state[f"{src}.ls{n}.gamma"]
    return out


def dinov2_features(weights: Weights, c: dict, views: torch.Tensor, taps: Weights) -> torch.Tensor:
    size = views.shape[-1]
    # transformers wants the whole ratio from which it derives the SwiGLU width: two thirds of it.
    ratio = c["ffn_width"] * 3 // (2 * c["width"])
    assert c["ffn"] == "swiglu" and (ratio * c["width"] * 2 // 3 + 7) // 8 * 8 == c["ffn_width"]
    model = Dinov2Model(
        Dinov2Config(
            hidden_size=c["width"],
            num_hidden_layers=c["layers"],
            num_attention_heads=c["heads"],
            mlp_ratio=ratio,
            use_swiglu_ffn=True,
            layer_norm_eps=1e-6,
            image_size=size,  # the table given below already fits, so transformers resamples nothing
            patch_size=c["patch_size"],
        )
    )
    state = under(weights, "dinov2_vitg14.")
    state["pos_embed"] = dinov2_positions(state["pos_embed"], size // c["patch_size"])
    fill(model, dinov2_names(state, c["layers"]))
    tap(taps, "dinov2.block.0", model.encoder.layer[0])
    views = (views * CLIP_STD + CLIP_MEAN - IMAGENET_MEAN) / IMAGENET_STD
    return model(pixel_values=views).last_hidden_state


def qformer_features(weights: Weights, c: dict, views: torch.Tensor, taps: Weights) -> torch.Tensor:
    vision = Blip2VisionModel(
        Blip2VisionConfig(
            hidden_size=c["vision_width"],
            intermediate_size=c["vision_mlp_width"],
            num_hidden_layers=c["vision_layers"],
            num_attention_heads=c["vision_heads"],
            image_size=views.shape[-1],
            patch_size=c["patch_size"],
            layer_norm_eps=1e-6,
            qkv_bias=True,
        )
    )
    fill(vision, under(weights, "qformer.vision_model."))
    tap(taps, "eva.block.0", vision.encoder.layers[0])
    image = vision(pixel_values=views).last_hidden_state
    taps["eva"] = image
    qformer = Blip2QFormerModel(
        Blip2QFormerConfig(
            hidden_size=c["width"],
            intermediate_size=c["mlp_width"],
            num_hidden_layers=c["layers"],
            num_attention_heads=c["heads"],
            cross_attention_frequency=c["cross_every"],
            encoder_hidden_size=c["vision_width"],
            layer_norm_eps=1e-12,
            use_qformer_text_input=False,
        )
    )
    fill(qformer, under(weights, "qformer.qformer."))
    for i, layer in enumerate(qformer.encoder.layer):
        tap(taps, f"qformer.layer.{i}", layer)
    queries = weights["qformer.query_tokens"].float().expand(views.shape[0], -1, -1)
    return qformer(query_embeds=queries, encoder_hidden_states=image).last_hidden_state
