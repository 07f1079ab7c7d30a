"""Upstream's tensor names, shapes and the axis along which tensor-parallel shards cut them.

Written from the published layout, not from the packages: encoders.py and llama.py load these names
strictly, so a wrong name or shape here cannot pass. Names are without the checkpoint's `llma.` prefix.
"""

from variants import VARIANTS

Shapes = dict[str, tuple[int, ...]]


def linear(shapes: Shapes, name: str, rows: int, columns: int) -> None:
    shapes[f"{name}.weight"] = (rows, columns)
    shapes[f"{name}.bias"] = (rows,)


def norm(shapes: Shapes, name: str, width: int) -> None:
    shapes[f"{name}.weight"] = (width,)
    shapes[f"{name}.bias"] = (width,)


def conv(shapes: Shapes, name: str, rows: int, columns: int, side: int) -> None:
    shapes[f"{name}.weight"] = (rows, columns, side, side)
    shapes[f"{name}.bias"] = (rows,)


def clip_shapes(c: dict, view: int) -> Shapes:
    s, width = {}, c["width"]
    text, joint = width // 2, width // 2  # the text tower's remains: stored, never used
    s["clip.positional_embedding"] = (5, text)
    s["clip.text_projection"] = (text, joint)
    s["clip.logit_scale"] = ()
    s["clip.visual.class_embedding"] = (width,)
    s["clip.visual.positional_embedding"] = ((view // c["patch_size"]) ** 2 + 1, width)
    s["clip.visual.proj"] = (width, joint)
    s["clip.visual.conv1.weight"] = (width, 3, c["patch_size"], c["patch_size"])
    norm(s, "clip.visual.ln_pre", width)
    for i in range(c["layers"]):
        block = f"clip.visual.transformer.resblocks.{i}"
        norm(s, f"{block}.ln_1", width)
        s[f"{block}.attn.in_proj_weight"] = (3 * width, width)
        s[f"{block}.attn.in_proj_bias"] = (3 * width,)
        linear(s, f"{block}.attn.out_proj", width, width)
        norm(s, f"{block}.ln_2", width)
        linear(s, f"{block}.mlp.c_fc", c["mlp_width"], width)
        linear(s, f"{block}.mlp.c_proj", width, c["mlp_width"])
    norm(s, "clip.visual.ln_post", width)
    s["clip.token_embedding.weight"] = (7, text)
    norm(s, "clip.ln_final", text)
    return s


def convnext_shapes(c: dict) -> Shapes:
    s, dims, top = {}, c["dims"], "openclip_convnext_xxl"
    conv(s, f"{top}.stem.0", dims[0], 3, 4)
    norm(s, f"{top}.stem.1", dims[0])
    for stage, (depth, width) in enumerate(zip(c["depths"], dims)):
        if stage > 0:
            norm(s, f"{top}.stages.{stage}.downsample.0", dims[stage - 1])
            conv(s, f"{top}.stages.{stage}.downsample.1", width, dims[stage - 1], 2)
        for i in range(depth):
            block = f"{top}.stages.{stage}.blocks.{i}"
            s[f"{block}.gamma"] = (width,)
            conv(s, f"{block}.conv_dw", width, 1, 7)
            norm(s, f"{block}.norm", width)
            linear(s, f"{block}.mlp.fc1", 4 * width, width)
            linear(s, f"{block}.mlp.fc2", width, 4 * width)
    norm(s, f"{top}.head.norm", dims[-1])
    return s


def dinov2_shapes(c: dict) -> Shapes:
    s, width, top = {}, c["width"], "dinov2_vitg14"
    s[f"{top}.cls_token"] = (1, 1, width)
    s[f"{top}.pos_embed"] = (1, (c["pretrain_size"] // c["patch_size"]) ** 2 + 1, width)
    s[f"{top}.mask_token"] = (1, width)  # stored, never used
    conv(s, f"{top}.patch_embed.proj", width, 3, c["patch_size"])
    for i in range(c["layers"]):
        block = f"{top}.blocks.{i}"
        norm(s, f"{block}.norm1", width)
        linear(s, f"{block}.attn.qkv", 3 * width, width)
        linear(s, f"{block}.attn.proj", width, width)
        s[f"{block}.ls1.gamma"] = (width,)
        norm(s, f"{block}.norm2", width)
        linear(s, f"{block}.mlp.w12", 2 * c["ffn_width"], width)
        linear(s, f"{block}.mlp.w3", width, c["ffn_width"])
        s[f"{block}.ls2.gamma"] = (width,)
    norm(s, f"{top}.norm", width)
    return s


def qformer_shapes(c: dict, view: int) -> Shapes:
    s, width, image_width = {}, c["width"], c["vision_width"]
    s["qformer.query_tokens"] = (1, c["queries"], width)
    vision = "qformer.vision_model"
    s[f"{vision}.embeddings.class_embedding"] = (1, 1, image_width)
    s[f"{vision}.embeddings.position_embedding"] = (1, (view // c["patch_size"]) ** 2 + 1, image_width)
    conv(s, f"{vision}.embeddings.patch_embedding", image_width, 3, c["patch_size"])
    for i in range(c["vision_layers"]):
        layer = f"{vision}.encoder.layers.{i}"
        linear(s, f"{layer}.self_attn.qkv", 3 * image_width, image_width)
        linear(s, f"{layer}.self_attn.projection", image_width, image_width)
        norm(s, f"{layer}.layer_norm1", image_width)
        linear(s, f"{layer}.mlp.fc1", c["vision_mlp_width"], image_width)
        linear(s, f"{layer}.mlp.fc2", image_width, c["vision_mlp_width"])
        norm(s, f"{layer}.layer_norm2", image_width)
    norm(s, f"{vision}.post_layernorm", image_width)
    norm(s, "qformer.qformer.layernorm", width)
    for i in range(c["layers"]):
        layer = f"qformer.qformer.encoder.layer.{i}"
        kinds = ["attention"] + (["crossattention"] if i % c["cross_every"] == 0 else [])
        for kind in kinds:
            source = width if kind == "attention" else image_width
            linear(s, f"{layer}.{kind}.attention.query", width, width)
            linear(s, f"{layer}.{kind}.attention.key", width, source)
            linear(s, f"{layer}.{kind}.attention.value", width, source)
            linear(s, f"{layer}.{kind}.output.dense", width, width)
            norm(s, f"{layer}.{kind}.output.LayerNorm", width)
        linear(s, f"{layer}.intermediate_query.dense", c["mlp_width"], width)
        linear(s, f"{layer}.output_query.dense", width, c["mlp_width"])
        norm(s, f"{layer}.output_query.LayerNorm", width)
    return s


def ffn_width(config: dict) -> int:
    if "moe" in config:
        return config["hidden_dim"]
    width = int(2 * 4 * config["dim"] / 3)
    if config["ffn_dim_multiplier"] is not None:
        width = int(config["ffn_dim_multiplier"] * width)
    return -(-width // config["multiple_of"]) * config["multiple_of"]


def language_shapes(config: dict, vocab: int) -> Shapes:
    s, dim = {}, config["dim"]
    head = dim // config["n_heads"]
    kv = (config["n_kv_heads"] or config["n_heads"]) * head
    s["tok_embeddings.weight"] = (vocab, dim)
    for i in range(config["n_layers"]):
        layer = f"layers.{i}"
        for name, shape in (("wq", (dim, dim)), ("wk", (kv, dim)), ("wv", (kv, dim)), ("wo", (dim, dim))):
            s[f"{layer}.attention.{name}.weight"] = shape
        width = ffn_width(config)
        if "moe" in config:
            experts = config["moe"]["num_experts"]
            for name in ("w1", "w2", "w3"):  # no .weight suffix, w2 transposed
                s[f"{layer}.feed_forward.{name}"] = (experts * width, dim)
            s[f"{layer}.feed_forward.gate.weight"] = (experts, dim)
        else:
            s[f"{layer}.feed_forward.w1.weight"] = (width, dim)
            s[f"{layer}.feed_forward.w2.weight"] = (dim, width)
            s[f"{layer}.feed_forward.w3.weight"] = (width, dim)
        s[f"{layer}.attention_norm.weight"] = (dim,)
        s[f"{layer}.ffn_norm.weight"] = (dim,)
    s["norm.weight"] = (dim,)
    s["output.weight"] = (vocab, dim)
    return s


def adapter_shapes(config: dict) -> Shapes:
    """What a checkpoint of llama_ens_peft has beside those of llama_ens: two thin matrices for each matrix of a layer,
    and biases for all but wk and wv."""
    s, r = {}, config["lora_rank"]
    for name, shape in language_shapes(config, 1).items():
        if not name.startswith("layers.") or len(shape) < 2:
            continue
        stem = name.removesuffix(".weight")
        s[f"{stem}.lora_a.weight"] = (r, shape[1])
        s[f"{stem}.lora_b.weight"] = (shape[0], r)
        if not stem.endswith((".wk", ".wv")):
            s[f"{stem}.bias"] = (shape[0],)
    return s


def model_shapes(llama_type: str, config: dict, vocab: int) -> Shapes:
    """Every tensor of a checkpoint of this type, in upstream's order of modules."""
    variant, vision, dim = VARIANTS[llama_type], config["vision"], config["dim"]
    s = language_shapes(config, vocab)
    mixed = vision["convnext"]["dims"][-1] + vision["dinov2"]["width"]
    if variant.four_encoders:
        s |= qformer_shapes(vision["qformer"], vision["view_size"])
        linear(s, "qformer_proj.0", dim, vision["qformer"]["width"])
        norm(s, "qformer_proj.1", dim)
        s |= clip_shapes(vision["clip"], vision["view_size"])
        mixed += vision["clip"]["width"]
    s |= convnext_shapes(vision["convnext"]) | dinov2_shapes(vision["dinov2"])
    linear(s, "visual_proj.0", dim, mixed)
    norm(s, "visual_proj.1", dim)
    return s | {"start_img": (1, 1, dim), "end_img": (1, 1, dim)}


def shard(name: str, tensor, index: int, count: int, config: dict):
    """The part of a full tensor that shard `index` of `count` holds (a view where it can be one)."""
    last = name.removesuffix(".weight").removesuffix(".bias").rsplit(".", 1)[-1]
    if last in ("lora_a", "lora_b"):  # the sum over columns and the rows of the result are what is cut
        linear = name.split(".")[-3]
        cut = {"lora_a": linear in ("wo", "w2"), "lora_b": linear not in ("wo", "w2")}[last]
        return tensor.chunk(count, dim=int(last == "lora_a"))[index] if cut else tensor
    if name.endswith(".bias") and last in ("wo", "w2"):  # added once, to the sum
        return tensor
    if name.startswith(("layers.", "tok_embeddings.", "output.")):
        if name.endswith((".w1", ".w2", ".w3")):  # every expert's rows are cut
            experts = config["moe"]["num_experts"]
            parts = tensor.view(experts, -1, tensor.shape[-1]).chunk(count, dim=1)
            return parts[index].reshape(-1, tensor.shape[-1])
        if last in ("tok_embeddings", "wo", "w2"):
            return tensor.chunk(count, dim=1)[index]
        if last in ("wq", "wk", "wv", "w1", "w3", "output"):
            return tensor.chunk(count, dim=0)[index]
    return tensor
