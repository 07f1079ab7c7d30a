"""Writes tests/data/quant_golden.txt: blocks of quantised weights as the gguf package and ggml make and read them.

    python tools/reference/quant.py [--ggml libggml-base.so]

Lines, all numbers in hex as they lie in memory:
    read  TYPE  block  float32 values
    write TYPE  block  float32 values
The gguf package reads all four types and writes q8_0 and q4_0. What q4_K and q6_K are written as only ggml knows: its
library, for instance the one in the llama-cpp-python package, is asked if it is named; without it those lines stay as they
are. Needs gguf and numpy.
"""

import argparse
import ctypes
import pathlib

import numpy
from gguf import GGMLQuantizationType, quants

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "quant_golden.txt"
TYPES = {"q8_0": (32, 34), "q4_0": (32, 18), "q4_K": (256, 144), "q6_K": (256, 210)}
WRITTEN_BY_GGML = ("q4_K", "q6_K")


def line(verb, name, block, values):
    values = numpy.asarray(values, dtype=numpy.float32)
    return f"{verb} {name} {block.tobytes().hex()} {values.tobytes().hex()}"


def blocks(rng, name):
    """Random bytes, with scales that are finite."""
    size = TYPES[name][1]
    for _ in range(3):
        block = rng.integers(0, 256, size, dtype=numpy.uint8)
        for at in {"q4_K": (0, 2), "q6_K": (size - 2,)}.get(name, (0,)):
            block[at : at + 2] = numpy.float16(rng.normal(0, 0.01)).reshape(1).view(numpy.uint8)
        yield block


def values(rng, name):
    """Weights of several distributions."""
    n = TYPES[name][0]
    yield rng.normal(0, 0.02, n)
    yield rng.standard_t(3, n) * 0.02
    yield rng.uniform(0.5, 1, n)
    yield -rng.uniform(0, 1, n) ** 4
    yield rng.normal(0, 1, n) * numpy.repeat(10.0 ** rng.uniform(-1, 1, n // 16), 16)


def ggml_write(library, kind, x, size):
    block = numpy.empty(size, dtype=numpy.uint8)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, block)]
    n = ctypes.c_int64(x.size)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk(kind, *pointers, ctypes.c_int64(0), ctypes.c_int64(1), n, None)
    return block


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ggml", help="ggml's library")
    library = parser.parse_args().ggml
    library = ctypes.CDLL(library) if library else None
    kept = [] if library or not OUT.exists() else OUT.read_text().splitlines()
    rng = numpy.random.default_rng(3)
    lines = ["# tools/reference/quant.py: read or write, type, block, float32 values; bytes in hex"]
    for name, (_, size) in TYPES.items():
        kind = getattr(GGMLQuantizationType, name.upper())
        for block in blocks(rng, name):
            lines.append(line("read", name, block, quants.dequantize(block, kind)))
        for x in values(rng, name):
            x = x.astype(numpy.float16).astype(numpy.float32)
            if name not in WRITTEN_BY_GGML:
                lines.append(line("write", name, quants.quantize(x, kind), x))
            elif library:
                lines.append(line("write", name, ggml_write(library, int(kind), x, size), x))
    lines += [old for old in kept if old.split()[:2] in [["write", name] for name in WRITTEN_BY_GGML]]
    OUT.write_text("\n".join(lines) + "\n")


main()
