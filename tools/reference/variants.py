"""The model types (seven released models, two unreleased ones and one with adapters share them) as rows of one table.

A row says how the image is cut into views, which encoders look at them and which language model
reads the result. Everything else is a size and comes from config.json.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    tiles: int  # 1: the whole image only; n: the whole image, then n x n tiles row by row
    cnn_sees_image: bool  # ConvNeXt gets crops of the big image; otherwise each ViT view, enlarged
    four_encoders: bool  # BLIP-2 and CLIP too; otherwise only ConvNeXt and DINOv2
    mixture: bool  # mixture-of-experts feed-forward
    halve_tiles: bool = False  # tiles' patch grids are averaged 2 x 2 before projection

    @property
    def views(self) -> int:
        return 1 if self.tiles == 1 else 1 + self.tiles**2


VARIANTS = {
    "llama_ens": Variant(1, False, True, False),
    "llama_ens5": Variant(2, False, True, False),
    "llama_ens10": Variant(3, False, True, False),
    "llama_ens5p2": Variant(2, False, True, False, halve_tiles=True),
    "llama_ens_light": Variant(1, True, False, False),
    "llama_ens5_light": Variant(2, True, False, False),
    "mixtral_sparse_ens": Variant(1, True, True, True),
    "mixtral_sparse_ens5": Variant(2, True, True, True),
    "llama_ens_peft": Variant(1, False, True, False),
}


def image_words(variant: Variant, vision: dict) -> int:
    """Rows that the image takes up in the language model's sequence, markers included."""
    side = vision["view_size"] // vision["dinov2"]["patch_size"]
    queries = vision["qformer"]["queries"] if variant.four_encoders else 0
    tile_side = side // 2 if variant.halve_tiles else side
    whole = 2 + queries + 1 + side**2
    tile = 2 + queries + 1 + tile_side**2
    return whole + (variant.views - 1) * tile
