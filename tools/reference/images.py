"""Writes the goldens of image/: what Pillow decodes and resizes, and what torch interpolates.

    python tools/reference/images.py            (from the source root)

    tests/fuzz/corpus/image/*        small files of every kind, also the seeds of the fuzzer
    tests/data/decode_golden.txt     file, size, CRC-32 of convert("RGB")'s bytes
    tests/data/resize_golden.txt     formula, sizes, CRC-32 of Pillow's resized bytes
    tests/data/planes_golden.txt     formula, sizes, some values of torch's interpolation and of the views
    tests/data/draw_golden.txt       CRC-32 of ImageDraw's rectangles and ellipses

Pictures come from the formula of tests/support/pattern.h.
"""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageOps

import views
from variants import VARIANTS

DATA = Path("tests/data")
CORPUS = Path("tests/fuzz/corpus/image")


# ---- the formula ----------------------------------------------------------------------------------------------


def pattern_hash(x, y, c, seed):
    h = x * np.uint32(374761393) + y * np.uint32(668265263) + c * np.uint32(2246822519)
    h = h + np.uint32(seed * 3266489917 % 2**32)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    return h ^ (h >> np.uint32(16))


def pattern_image(width, height, seed):
    y, x, c = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (height, width, 3)), indexing="ij")
    if seed % 3 == 0:
        v = pattern_hash(x, y, c, seed) & np.uint32(255)
    elif seed % 3 == 1:
        v = (x * np.uint32(7) + y * np.uint32(3) + c * np.uint32(50) + x * y // np.uint32(16) + np.uint32(seed)) & np.uint32(255)
    else:
        v = (pattern_hash(x // np.uint32(5), y // np.uint32(3), c, seed) >> np.uint32(9) & np.uint32(1)) * np.uint32(255)
    return Image.fromarray(v.astype(np.uint8), "RGB")


def pattern_planes(planes, height, width, seed):
    p, y, x = np.meshgrid(*(np.arange(n, dtype=np.uint32) for n in (planes, height, width)), indexing="ij")
    v = (pattern_hash(x, y, p, seed) >> np.uint32(8)).astype(np.float32) / np.float32(4194304) - np.float32(2)
    return torch.from_numpy(v)


def crc(image):
    return f"{zlib.crc32(image.tobytes()):08x}"


# ---- resizing -------------------------------------------------------------------------------------------------

ODD_SIZES = [
    (1, 1), (1, 37), (37, 1), (2, 3), (3, 2), (7, 5), (9, 6), (100, 67), (67, 100), (223, 224), (224, 223), (225, 224),
    (224, 224), (333, 500), (500, 333), (448, 447), (511, 512), (512, 512), (513, 211), (211, 513), (640, 480), (480, 641),
    (672, 671), (1, 2000), (2000, 1), (1023, 1025), (1280, 719), (719, 1281), (1999, 1501), (31, 1777),
]
TARGETS = [224, 448, 512, 672, 1024]


def center_crop(image, size):
    width, height = image.size
    short = min(width, height)
    resized = image.resize((int(size * width / short), int(size * height / short)), Image.BICUBIC)
    left, top = int(round((resized.width - size) / 2.0)), int(round((resized.height - size) / 2.0))
    return resized.crop((left, top, left + size, top + size))


def write_resize():
    lines = ["# kind, width, height, seed, target width and height, CRC-32 of the RGB bytes (tools/reference/images.py)"]
    for seed, (width, height) in enumerate(ODD_SIZES):
        image = pattern_image(width, height, seed)
        for size in TARGETS:
            square = views.padded_square(image).resize((size, size), Image.BICUBIC)
            lines.append(f"padded {width} {height} {seed} {size} {size} {crc(square)}")
        if max(width, height) < 1000:
            for size in (224, 448):
                lines.append(f"crop {width} {height} {seed} {size} {size} {crc(center_crop(image, size))}")
        other = (1 + seed * 17 % 150, 1 + seed * 29 % 190)
        # In two steps: where the aspect changes, recent Pillows may go vertically first, and upstream's did not.
        plain = image.resize((other[0], height), Image.BICUBIC).resize(other, Image.BICUBIC)
        lines.append(f"plain {width} {height} {seed} {other[0]} {other[1]} {crc(plain)}")
    (DATA / "resize_golden.txt").write_text("\n".join(lines) + "\n")


# ---- float planes and views -----------------------------------------------------------------------------------


def samples(tensor, n, seed):
    """`n` times flat index and value."""
    flat = tensor.flatten()
    picked = random.Random(seed).sample(range(flat.numel()), n)
    return " ".join(f"{i} {flat[i].item():.9g}" for i in sorted(picked))


def write_planes():
    lines = ["# bicubic: planes, in height and width, out height and width, factor (0: by size), seed, then index value ..."]
    cases = [
        (3, 448, 448, 224, 224, 0), (3, 672, 672, 224, 224, 0), (3, 512, 512, 224, 224, 0), (3, 1024, 1024, 448, 448, 0),
        (3, 1024, 1024, 224, 224, 0), (5, 37, 37, 16, 16, 16.1 / 37), (2, 37, 37, 16, 16, 0), (2, 5, 7, 23, 19, 0),
        (1, 1, 1, 4, 4, 0), (2, 3, 2, 3, 2, 0), (4, 7, 7, 4, 4, 4.1 / 7),
    ]
    for seed, (p, h, w, oh, ow, factor) in enumerate(cases):
        x = pattern_planes(p, h, w, seed)[None]
        if factor:
            y = F.interpolate(x, scale_factor=(factor, factor), mode="bicubic", align_corners=False)
        else:
            y = F.interpolate(x, size=(oh, ow), mode="bicubic", align_corners=False)
        assert y.shape[-2:] == (oh, ow)
        n = min(24, y.numel())
        lines.append(f"bicubic {p} {h} {w} {oh} {ow} {factor!r} {seed} {samples(y, n, seed)}")

    lines.append("# views: kind, parts a side, image, view and cnn size, seed, then index value ...")
    vision_sizes = {
        "llama_ens": (224, 224, 256), "llama_ens5": (448, 224, 256), "llama_ens10": (672, 224, 256),
        "llama_ens_light": (512, 224, 512), "llama_ens5_light": (1024, 224, 512),
    }
    small = {
        "llama_ens": (28, 28, 32), "llama_ens5": (56, 28, 32), "llama_ens10": (84, 28, 32),
        "llama_ens_light": (64, 28, 64), "llama_ens5_light": (128, 28, 64),
    }
    for sizes in (vision_sizes, small):
        for seed, (name, (image_size, view, cnn)) in enumerate(sizes.items()):
            variant = VARIANTS[name]
            x = pattern_planes(3, image_size, image_size, seed)
            vit, conv = views.make_views(variant, {"view_size": view, "convnext": {"image_size": cnn}}, x)
            for kind, t in (("vit", vit), ("cnn", conv)):
                lines.append(f"{kind} {variant.tiles} {image_size} {view} {cnn} {seed} {samples(t, 20, seed)}")
    (DATA / "planes_golden.txt").write_text("\n".join(lines) + "\n")


# ---- drawing --------------------------------------------------------------------------------------------------


def write_draw():
    lines = ["# shape, its numbers, CRC-32 of a 64 x 48 black image with the shape in red"]

    def draw(shape, numbers):
        image = Image.new("RGB", (64, 48))
        d = ImageDraw.Draw(image)
        if shape == "box":
            d.rectangle(numbers, outline="red", width=2)
        else:
            x, y = numbers
            d.ellipse((x - 5, y - 5, x + 5, y + 5), fill="red")
        lines.append(f"{shape} {' '.join(map(repr, numbers))} {crc(image)}")

    for box in [(5, 6, 40, 30), (0, 0, 63, 47), (-8, -3, 20, 60), (10.7, 3.2, 33.9, 20.99), (3, 3, 6, 6), (5, 5, 8, 40),
                (60, 40, 100, 100), (70, 70, 90, 90), (-0.9, -0.9, 10, 10)]:
        draw("box", box)
    for point in [(20, 20), (0, 0), (63, 47), (-3, 10), (31.5, 22.25), (10.9, 40.1), (3.5, 2.75), (-20, -20)]:
        draw("disc", point)
    (DATA / "draw_golden.txt").write_text("\n".join(lines) + "\n")


# ---- files ----------------------------------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(width, height, depth, color, rows, before=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    raw = b"".join(b"\0" + row for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def pack_bits(values, bits):
    """Rows of small numbers, first in the high bits, padded to whole bytes."""
    out = bytearray((len(values) * bits + 7) // 8)
    for i, v in enumerate(values):
        out[i * bits // 8] |= v << (8 - bits - i * bits % 8)
    return bytes(out)


def indices(width, height, n, seed):
    return [[int(v) for v in row] for row in np.random.default_rng(seed).integers(0, n, (height, width))]


def bmp_bytes(width, height, bits, rows, palette=b"", compression=0, masks=b"", header_size=40, data=None, colors=0):
    if data is None:
        data = b"".join(r + b"\0" * (-len(r) % 4) for r in (rows if height < 0 else rows[::-1]))
    if header_size == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colors, 0)
    head = header + masks + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(data), 0, 0, 14 + len(head)) + head + data


def encoded(image, fmt, **options):
    out = io.BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def exif(orientation):
    e = Image.Exif()
    e[0x0112] = orientation
    return e


def photo(width, height):
    """Something smooth enough for lossy formats."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    v = np.stack([128 + 100 * np.sin(x / 5) * np.cos(y / 7), 255 * x / width, 255 * (1 - y / height) * (x % 9 < 5)], -1)
    return Image.fromarray(v.clip(0, 255).astype(np.uint8), "RGB")


def jpeg_files():
    rgb = photo(45, 33)
    files = {f"jpeg_{s}.jpg": encoded(rgb, "JPEG", quality=80, subsampling=n) for s, n in (("444", 0), ("422", 1), ("420", 2))}
    files["jpeg_progressive.jpg"] = encoded(rgb, "JPEG", progressive=True)
    files["jpeg_grey.jpg"] = encoded(rgb.convert("L"), "JPEG")
    files["jpeg_cmyk.jpg"] = encoded(rgb.convert("CMYK"), "JPEG", quality=90)
    files["jpeg_restart.jpg"] = encoded(rgb, "JPEG", restart_marker_blocks=2)
    for i in range(1, 9):
        files[f"jpeg_exif{i}.jpg"] = encoded(photo(19, 11), "JPEG", exif=exif(i))
    return files


def png_files():
    rgb = photo(29, 17)
    noise = pattern_image(13, 9, 3)
    rgba = noise.convert("RGBA")
    rgba.putalpha(pattern_image(13, 9, 6).convert("L"))
    files = {
        "png_rgb.png": encoded(rgb, "PNG"), "png_rgba.png": encoded(rgba, "PNG"), "png_grey.png": encoded(rgb.convert("L"), "PNG"),
        "png_grey_alpha.png": encoded(rgba.convert("LA"), "PNG"), "png_1bit.png": encoded(rgb.convert("1"), "PNG"),
        "png_palette.png": encoded(rgb.quantize(60), "PNG"), "png_exif6.png": encoded(rgb, "PNG", exif=exif(6)),
    }
    palette = bytes(range(3, 3 + 30, 1))[:30] + bytes(18)
    for bits in (2, 4):
        rows = [pack_bits(r, bits) for r in indices(11, 7, 2**bits, bits)]
        files[f"png_grey{bits}.png"] = png_bytes(11, 7, bits, 0, rows)
        files[f"png_palette{bits}.png"] = png_bytes(11, 7, bits, 3, rows, chunk(b"PLTE", palette[: 3 * 2**bits]) + chunk(b"tRNS", b"\0\x80"))
    wide = np.random.default_rng(5).integers(0, 65536, (6, 5, 4)).astype(">u2")
    files["png_rgb16.png"] = png_bytes(5, 6, 16, 2, [r.tobytes() for r in wide[:, :, :3]])
    files["png_rgba16.png"] = png_bytes(5, 6, 16, 6, [r.tobytes() for r in wide])
    files["png_grey16.png"] = png_bytes(5, 6, 16, 0, [r.tobytes() for r in wide[:, :, :1]])
    files["png_rgb_trns.png"] = png_bytes(5, 6, 8, 2, [r.astype(np.uint8).tobytes() for r in wide[:, :, :3]], chunk(b"tRNS", bytes(6)))
    # Adam7 of 3 x 3: passes of 1x1, (none), (none), 1x1, 2x1 (row 2), 1x2 (column 1 of rows 0, 2), 3x1 (row 1).
    p = noise.crop((0, 0, 3, 3)).tobytes()
    at = lambda x, y: p[(y * 3 + x) * 3 :][:3]
    passes = [[at(0, 0)], [at(2, 0)], [at(0, 2) + at(2, 2)], [at(1, 0)], [at(1, 2)], [at(0, 1) + at(1, 1) + at(2, 1)]]
    files["png_interlaced.png"] = png_bytes(3, 3, 8, 2, [r for rows in passes for r in rows], interlace=1)
    return files


def bmp_files():
    rgb = photo(21, 10)
    files = {
        "bmp_24.bmp": encoded(rgb, "BMP"), "bmp_8.bmp": encoded(rgb.quantize(200), "BMP"), "bmp_1.bmp": encoded(rgb.convert("1"), "BMP"),
        "bmp_grey.bmp": encoded(rgb.convert("L"), "BMP"), "bmp_32.bmp": encoded(rgb.convert("RGBA"), "BMP"),
    }
    four = [pack_bits(r, 4) for r in indices(9, 5, 16, 1)]
    palette = np.random.default_rng(2).integers(0, 256, (256, 4)).astype(np.uint8)
    palette[:, 3] = 0
    files["bmp_4.bmp"] = bmp_bytes(9, 5, 4, four, palette[:16].tobytes())
    files["bmp_4_few.bmp"] = bmp_bytes(9, 5, 4, four, palette[:5].tobytes(), colors=5)
    files["bmp_os2.bmp"] = bmp_bytes(9, 5, 4, four, palette[:16, :3].tobytes(), header_size=12)
    files["bmp_top_down.bmp"] = bmp_bytes(9, -5, 4, four, palette[:16].tobytes())
    sixteen = [r.tobytes() for r in np.random.default_rng(3).integers(0, 65536, (5, 7)).astype("<u2")]
    files["bmp_16.bmp"] = bmp_bytes(7, 5, 16, sixteen)
    files["bmp_565.bmp"] = bmp_bytes(7, 5, 16, sixteen, compression=3, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F))
    long = [r.tobytes() for r in np.random.default_rng(4).integers(0, 2**32, (5, 7)).astype("<u4")]
    files["bmp_fields32.bmp"] = bmp_bytes(7, 5, 32, long, compression=3, masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00))
    # Runs, literals (one of odd length), rows that end early, a move.
    rle8 = bytes([5, 7, 0, 3, 1, 2, 3, 0, 2, 200, 0, 0]) + bytes([10, 9, 0, 0]) + bytes([3, 4, 0, 2, 2, 1, 2, 6, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 1])
    files["bmp_rle8.bmp"] = bmp_bytes(10, 5, 8, None, palette.tobytes(), compression=1, data=rle8)
    rle4 = bytes([5, 0x12, 0, 5, 0x34, 0x56, 0x70, 0, 0, 0]) + bytes([10, 0x9A, 0, 0]) + bytes([3, 0x45, 0, 2, 2, 1, 2, 0x60, 0, 0, 9, 0x78, 0, 0, 0, 1])
    files["bmp_rle4.bmp"] = bmp_bytes(10, 5, 4, None, palette[:16].tobytes(), compression=2, data=rle4)
    return files


def gif_files():
    rgb = photo(23, 14)
    frames = [pattern_image(23, 14, s).quantize(16) for s in (0, 3)]
    files = {
        "gif_plain.gif": encoded(rgb.quantize(100), "GIF", interlace=0), "gif_interlaced.gif": encoded(rgb.quantize(64), "GIF", interlace=1),
        "gif_grey.gif": encoded(rgb.convert("L"), "GIF"), "gif_animated.gif": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
    }
    # Four pixels of a 2 x 2 frame, 4 colours: LZW with codes clear 0 1 2 3 end of 3 bits.
    codes, bits, n = [4, 0, 1, 2, 3, 5], 0, 0
    for i, code in enumerate(codes):
        width = 3 if i < 4 else 4
        bits |= code << n
        n += width
    pixels = b"\2" + bytes([(n + 7) // 8]) + bits.to_bytes((n + 7) // 8, "little") + b"\0"
    colors = bytes([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])

    def small(screen, left, top, control=b""):
        return (b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, 3, 0) + colors + control + b","
                + struct.pack("<HHHHB", left, top, 2, 2, 0) + pixels + b";")

    files["gif_small_frame.gif"] = small((6, 5), 2, 1)
    files["gif_small_transparent.gif"] = small((6, 5), 1, 2, b"!\xf9\4\1\0\0\2\0")
    files["gif_overhang.gif"] = small((3, 3), 2, 2)
    return files


def pnm_files():
    grey = np.random.default_rng(7).integers(0, 256, (5, 9))
    text = lambda rows: b"\n".join(b" ".join(b"%d" % v for v in r) for r in rows) + b"\n"
    wide = np.random.default_rng(8).integers(0, 1001, (4, 6)).astype(">u2")
    return {
        "pnm_p1.pbm": b"P1\n# a comment\n9 3\n101010101\n0 0 0 1 1 1 0 0 0\n111000111\n", "pnm_p2.pgm": b"P2 9 5\n100\n" + text(grey % 101),
        "pnm_p3.ppm": b"P3\n3 5 # size\n255\n" + text(grey), "pnm_p4.pbm": b"P4\n9 3\n" + bytes([0xAA, 0x80, 0x1C, 0, 0xE3, 0x80]),
        "pnm_p5.pgm": b"P5\n9 5\n255\n" + grey.astype(np.uint8).tobytes(), "pnm_p5_max6.pgm": b"P5\n9 5\n6\n" + (grey % 8).astype(np.uint8).tobytes(),
        "pnm_p6.ppm": b"P6 3 5 255\n" + grey.astype(np.uint8).tobytes(), "pnm_p6_16.ppm": b"P6 2 4 1000\n" + wide.tobytes(),
    }


def webp_files():
    rgb = photo(37, 21)
    rgba = rgb.convert("RGBA")
    rgba.putalpha(pattern_image(37, 21, 1).convert("L"))
    frames = [photo(24, 16), pattern_image(24, 16, 1)]
    return {
        "webp_lossy.webp": encoded(rgb, "WEBP", quality=70), "webp_lossless.webp": encoded(rgb, "WEBP", lossless=True),
        "webp_alpha.webp": encoded(rgba, "WEBP", lossless=True, exact=True), "webp_lossy_alpha.webp": encoded(rgba, "WEBP", quality=60),
        "webp_animated.webp": encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, lossless=True),
        "webp_animated_lossy.webp": encoded(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(180)], duration=50),
        "webp_exif8.webp": encoded(rgb, "WEBP", lossless=True, exif=exif(8)),
    }


def write_files():
    CORPUS.mkdir(parents=True, exist_ok=True)
    lines = ["# file, width, height, CRC-32 of Pillow's convert('RGB'); then the same after exif_transpose"]
    files = {**jpeg_files(), **png_files(), **bmp_files(), **gif_files(), **pnm_files(), **webp_files()}
    for name, data in files.items():
        (CORPUS / name).write_bytes(data)
        image = Image.open(io.BytesIO(data))
        if name == "png_grey16.png":  # Pillow clips these to white; the high byte is what sense asks for
            image = Image.fromarray((np.array(image) >> 8).astype(np.uint8), "L")
        turned = ImageOps.exif_transpose(image).convert("RGB")
        image = image.convert("RGB")
        lines.append(f"{name} {image.width} {image.height} {crc(image)} {turned.width} {turned.height} {crc(turned)}")
    (DATA / "decode_golden.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_resize()
    write_planes()
    write_draw()
    write_files()
