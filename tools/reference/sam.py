"""Writes tests/data/sam/: a tiny Segment Anything checkpoint of random weights, in the published layout, and what the
public segment-anything package computes with it.

    python sam.py tests/data/sam tests/data/images/scene.png

    tiny.pth                  name -> float32 tensor, as torch.save writes it: no wrapper, no prefix
    scene.safetensors         of the picture, which is enlarged; rows are cells of the map, row by row, or tokens
        block.N [g*g, C], embedding [g*g, D]              of the image encoder
        <case>.tokens [n, D], .dense [g*g, D]             of the prompt encoder (dense: only with a mask)
        <case>.logits [m, 4g, 4g], .iou [m], .full [m, h, w]   of the decoder: m = 4 all masks, or 1 the first; resized
    tall.safetensors          embedding and box.iou of a picture that is upright and made smaller, see tall()
    expanded.pth              what no memory may be spent on: the names and shapes of ViT-B, all views of one number
    The cases are in CASES below; their pixels are those of the original picture. What `mask` gets is the logits of `box`.
"""

import sys
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide

SIDE, PATCH, WINDOW, WIDTH, HEADS, DIM = 160, 8, 6, 16, 2, 32  # a grid of 20, which windows of 6 do not fill
SMALL = ("upscaling.0", "downscaling.0", "self_attn.out_proj")
Case = dict[str, list | bool]
CASES: dict[str, Case] = {
    "box": {"box": [20, 15, 70, 60], "all": True},
    "wide": {"box": [90.5, 70.25, 30, 10]},  # reversed
    "outside": {"box": [-30, 40, 400, 41]},
    "points": {"points": [[40, 30, 1], [100, 20, 0]]},
    "both": {"points": [[40, 30, 1]], "box": [20, 15, 70, 60]},
    "mask": {"box": [20, 15, 70, 60], "mask": True},
}


def build() -> Sam:
    grid = SIDE // PATCH
    encoder = ImageEncoderViT(
        depth=2, embed_dim=WIDTH, img_size=SIDE, mlp_ratio=3, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=HEADS, patch_size=PATCH, qkv_bias=True, use_rel_pos=True, global_attn_indexes=[1],
        window_size=WINDOW, out_chans=DIM,
    )  # fmt: skip
    prompt = PromptEncoder(
        embed_dim=DIM, image_embedding_size=(grid, grid), input_image_size=(SIDE, SIDE), mask_in_chans=24
    )
    transformer = TwoWayTransformer(depth=2, embedding_dim=DIM, mlp_dim=24, num_heads=8)
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer=transformer, transformer_dim=DIM, iou_head_depth=3, iou_head_hidden_dim=20
    )
    return Sam(encoder, prompt, decoder).eval()


def draw(name: str, shape: torch.Size) -> torch.Tensor:
    """Random values under which every part matters. What enters a norm is small, so that a wrong eps shows."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    x = torch.randn(shape, generator=generator)
    if "norm" in name or any(s in name for s in ("neck.1", "neck.3", "upscaling.1", "downscaling.1", "downscaling.4")):
        return 1 + 0.3 * x if name.endswith("weight") else 0.3 * x
    if name.endswith("bias"):
        x = 0.3 * x
    elif "rel_pos" in name:
        x = 0.7 * x
    elif len(shape) > 1 and "embed" not in name.rsplit(".", 2)[0].replace("patch_embed", "") and "token" not in name:
        x = x / (x.numel() / shape[0]) ** 0.5
    for parts, scale in ((("patch_embed", "pos_embed", "neck.0", "neck.2"), 0.01), (SMALL, 0.3)):
        if any(part in name for part in parts):
            return scale * x
    return x


def rows(x: torch.Tensor) -> torch.Tensor:
    """[1, D, g, g] -> [g*g, D]"""
    return x[0].flatten(1).T.contiguous()


def prompt_of(case: Case, transform: ResizeLongestSide, size: tuple[int, int]) -> dict[str, torch.Tensor]:
    prompt = {}
    if "points" in case:
        p = np.array(case["points"], dtype=np.float32)
        prompt["points"] = (
            torch.from_numpy(transform.apply_coords(p[:, :2], size)).float()[None],
            torch.from_numpy(p[:, 2])[None],
        )
    if "box" in case:
        box = transform.apply_boxes(np.array([case["box"]], dtype=np.float32), size)
        prompt["boxes"] = torch.from_numpy(box).float()
    return prompt


def tall() -> np.ndarray:
    y, x, c = np.mgrid[0:301, 0:97, 0:3]
    return ((x * 7 + y * 3 + c * 50 + x * y // 40) % 256).astype(np.uint8)


def shrink(picture: np.ndarray, transform: ResizeLongestSide) -> np.ndarray:
    """transform.apply_image, rows before columns, as Pillow did always when SAM was published. Pillow 13 takes the columns of
    upright pictures first, which rounds some pixels to the next level."""
    height, width = transform.get_preprocess_shape(*picture.shape[:2], SIDE)
    rows_first = Image.fromarray(picture).resize((width, picture.shape[0]), Image.Resampling.BILINEAR)
    return np.array(rows_first.resize((width, height), Image.Resampling.BILINEAR))


@torch.no_grad()
def goldens(sam: Sam, picture: np.ndarray) -> dict[str, torch.Tensor]:
    transform = ResizeLongestSide(SIDE)
    small = torch.from_numpy(shrink(picture, transform)).permute(2, 0, 1)
    golden: dict[str, torch.Tensor] = {}
    for i, block in enumerate(sam.image_encoder.blocks):
        block.register_forward_hook(
            lambda _m, _x, y, i=i: golden.update({f"block.{i}": y[0].flatten(0, 1).contiguous()})
        )
    features = sam.image_encoder(sam.preprocess(small.float())[None])
    golden["embedding"] = rows(features)
    for name, case in CASES.items():
        prompt = prompt_of(case, transform, picture.shape[:2])
        if "mask" in case:
            prompt["masks"] = golden["box.logits"][None, :1]
        tokens, dense = sam.prompt_encoder(**({"points": None, "boxes": None, "masks": None} | prompt))
        logits, iou = sam.mask_decoder.predict_masks(
            image_embeddings=features, image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=tokens, dense_prompt_embeddings=dense,
        )  # fmt: skip
        n = 4 if "all" in case else 1
        golden[f"{name}.iou"] = iou[0, :n].contiguous()
        if name in ("box", "points", "mask"):
            golden[f"{name}.logits"] = logits[0, :n].contiguous()
        golden[f"{name}.tokens"] = tokens[0].contiguous()
        if "mask" in case:
            golden[f"{name}.dense"] = rows(dense)
        if "all" in case:
            full = sam.postprocess_masks(logits[:, :1], small.shape[1:], picture.shape[:2])
            golden[f"{name}.full"] = full[0].contiguous()
    return golden


def main() -> None:
    out, scene = Path(sys.argv[1]), np.array(Image.open(sys.argv[2]).convert("RGB"))
    torch.set_num_threads(1)
    sam = build()
    state = {name: draw(name, x.shape) for name, x in sam.state_dict().items()}
    sam.load_state_dict(state)
    out.mkdir(parents=True, exist_ok=True)
    torch.save(state, out / "tiny.pth")
    save_file(goldens(sam, scene), out / "scene.safetensors")
    golden = goldens(sam, tall())
    save_file({name: golden[name] for name in ("embedding", "box.iou")}, out / "tall.safetensors")
    zero = torch.zeros(1)
    with torch.device("meta"):
        shapes = {name: x.shape for name, x in sam_model_registry["vit_b"]().state_dict().items()}
    torch.save({name: zero.as_strided(shape, [0] * len(shape)) for name, shape in shapes.items()}, out / "expanded.pth")


if __name__ == "__main__":
    main()
