"""Writes the files of tests/data/store: what torch saves, in every form that must be read or refused.

    python tools/reference/store.py

Every readable .pth holds the same tensors (see TENSORS), of values i * 0.5 - 3 in the order of their storage:
    p2.pth .. p5.pth   pickle protocols 2 to 5; 2 and 4 as {"model": {"llma.x": ...}}, 3 and 5 flat
    deflated.pth       p2 with its members deflated
    zip64.pth          p2 with ZIP64 fields in every local header, data at odd addresses
    renamed.pth        p2 under another top folder
    old.pth            torch's format before 1.6
    code.pth           a pickle that would run a command when loaded
    numpy.pth          a value of a class that is no tensor
Needs torch and numpy.
"""

import collections
import os
import pathlib
import zipfile

import numpy
import torch

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "store"


def ramp(n, dtype=torch.float32):
    return (torch.arange(n, dtype=torch.float64) * 0.5 - 3).to(dtype)


def tensors():
    base = ramp(24).reshape(4, 6)
    return {
        "base": base,
        "columns": base[:, 2:4],  # offset 2, strides (6, 1): rows of the base's storage
        "transposed": base.t(),  # strides (1, 6)
        "every_other": base[::2, ::2],
        "cube": ramp(24).reshape(2, 3, 4).transpose(0, 1),
        "expanded": ramp(3).expand(4, 3),
        "scalar": torch.tensor(1.5, dtype=torch.float16),
        "half": ramp(8, torch.float16).reshape(2, 4),
        "brain": ramp(8, torch.bfloat16),
        "double": ramp(4, torch.float64),
        "integers": torch.arange(5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(ramp(6).reshape(2, 3)),
        "again": base,
    }


class Command:
    """Pickles as a call of os.system."""

    def __reduce__(self):
        return (os.system, ("exit 7",))


def rezip(source, target, compression, rename=None, zip64=False):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for info in old.infolist():
            name = info.filename
            if rename is not None:
                name = rename + name[name.index("/") :]
            member = zipfile.ZipInfo(name)
            member.compress_type = compression
            with new.open(member, "w", force_zip64=zip64) as f:
                f.write(old.read(info))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    flat = tensors()
    model = collections.OrderedDict(("llma." + k, v) for k, v in flat.items())
    nested = {"model": model, "epoch": 3, "args": {"lr": 0.1}}
    for protocol in (2, 3, 4, 5):
        torch.save(nested if protocol % 2 == 0 else flat, OUT / f"p{protocol}.pth", pickle_protocol=protocol)
    rezip(OUT / "p2.pth", OUT / "deflated.pth", zipfile.ZIP_DEFLATED)
    rezip(OUT / "p2.pth", OUT / "zip64.pth", zipfile.ZIP_STORED, zip64=True)
    rezip(OUT / "p2.pth", OUT / "renamed.pth", zipfile.ZIP_STORED, rename="a top folder/of two parts.x")
    torch.save(nested, OUT / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"model": {"x": ramp(2), "y": Command()}}, OUT / "code.pth")
    torch.save({"model": {"x": numpy.float32(1)}}, OUT / "numpy.pth")


if __name__ == "__main__":
    main()
