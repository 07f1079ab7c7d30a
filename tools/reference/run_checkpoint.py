"""Checks that PyTorch reads a checkpoint of `sphinx train`: python tools/reference/run_checkpoint.py RUN/epoch0 BASE

The model's file must load with weights_only, have upstream's names and BASE's shapes, equal the masters of training.state once these are
rounded, and leave frozen tensors as they were. BASE is the folder that the run began with.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load as parse


def model_of(folder: Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for file in sorted(folder.glob("consolidated.*.model.pth")):
        tensors |= torch.load(file, weights_only=True, map_location="cpu")["model"]
    return tensors


def main(run: Path, base: Path) -> None:
    tuned, before = model_of(run), model_of(base)
    state = parse((run / "training.state").read_bytes())
    masters = {name.removeprefix("master/"): x for name, x in state.items() if name.startswith("master/")}
    assert tuned and masters
    for name, x in tuned.items():
        assert name.startswith("llma."), name
        assert x.shape == before[name].shape, name
        master = masters.get(name.removeprefix("llma."))
        want = before[name] if master is None else master
        assert torch.equal(x, want.to(x.dtype).reshape(x.shape)), name
    for name, master in masters.items():
        assert "llma." + name in tuned, name
        assert state["mean/" + name].shape == state["square/" + name].shape == master.shape, name
        assert (state["square/" + name] >= 0).all(), name
    moved = 0
    for name in ("llma." + n for n in masters):
        moved += not torch.equal(tuned[name], before[name].to(tuned[name].dtype))
    print(f"{len(tuned)} tensors, {len(masters)} trained, {moved} of them moved")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
