"""Image file -> normalised square -> the views that the encoders look at (float32 throughout).

PIL does the resampling of pixels, torch that of normalised values; both are the definitions.
"""

import torch
import torch.nn.functional as F
from PIL import Image

from variants import Variant

CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
CLIP_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
PAD_COLOUR = tuple(int(255 * m) for m in (0.48145466, 0.4578275, 0.40821073))


def padded_square(image: Image.Image) -> Image.Image:
    width, height = image.size
    side = max(width, height)
    square = Image.new("RGB", (side, side), PAD_COLOUR)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def padded_resize(image: Image.Image, size: int) -> torch.Tensor:
    """[3, size, size], normalised for CLIP."""
    square = padded_square(image.convert("RGB")).resize((size, size), Image.BICUBIC)
    pixels = torch.frombuffer(bytearray(square.tobytes()), dtype=torch.uint8).view(size, size, 3)
    return (pixels.permute(2, 0, 1).float() / 255 - CLIP_MEAN) / CLIP_STD


def bicubic(image: torch.Tensor, size: int) -> torch.Tensor:
    if image.shape[-1] == size:
        return image
    return F.interpolate(image[None], size=(size, size), mode="bicubic", align_corners=False)[0]


def nearest(views: torch.Tensor, size: int) -> torch.Tensor:
    return F.interpolate(views, size=(size, size), mode="nearest")


def tiles(image: torch.Tensor, per_side: int) -> list[torch.Tensor]:
    """per_side x per_side equal crops, row by row."""
    side = image.shape[-1] // per_side
    return [
        image[:, y * side : (y + 1) * side, x * side : (x + 1) * side]
        for y in range(per_side)
        for x in range(per_side)
    ]


def make_views(variant: Variant, vision: dict, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """image [3, S, S] -> what the ViTs see [V, 3, s, s] and what ConvNeXt sees [V, 3, c, c]."""
    view, cnn, n = vision["view_size"], vision["convnext"]["image_size"], variant.tiles
    whole = [bicubic(image, view)]
    if not variant.cnn_sees_image:
        vit = torch.stack(whole + (tiles(image, n) if n > 1 else []))
        return vit, nearest(vit, cnn)
    if n == 1:
        return torch.stack(whole), image[None]
    # The tiles for the ViTs come from a smaller copy of the image, those for ConvNeXt from itself.
    return (
        torch.stack(whole + tiles(bicubic(image, n * view), n)),
        torch.stack([bicubic(image, cnn)] + tiles(image, n)),
    )
