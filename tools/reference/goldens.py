"""Writes tests/data/golden/: what the reference computes for every tiny checkpoint.

One safetensors file per case, with the tensors of `sphinx dump` under the same names, intermediates that
help to find a first difference, and the greedy continuation. texts.json holds the questions and answers,
given and generated.

Weights are read back from the checkpoints' files (weights_only, so no pickle runs), the language model is
checked against transformers, and a golden whose greedy path passes a near tie is refused.
"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from sentencepiece import SentencePieceProcessor

import llama
from sphinx import Sphinx, render
from variants import VARIANTS

QUESTION = "What is in the image?"
SECOND_QUESTION = "And where is it?"
GREEDY = 24
LEAD = 5e-3  # of a greedy token over the runner-up; float32 noise on these logits is about 1e-5
ROUTER_LEAD = 2e-4  # of a chosen expert's probability over one left out
AGREEMENT = 1e-5  # relative, between llama.py and transformers
BRIEF = ("prompt_ids", "image_tokens", "logits", "greedy_ids")


def read(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("consolidated.00-of-01.model*.pth")
    weights = torch.load(file, weights_only=True)["model"]
    return {k.removeprefix("llma."): v.float() for k, v in weights.items()}


def load(folder: Path, base: Path | None = None, below: Path | None = None) -> Sphinx:
    """`below`: the checkpoint that this one is part of; `base`: what its differences are added to."""
    config = json.loads((folder / "config.json").read_text())
    llama_type = json.loads((folder / "meta.json").read_text())["llama_type"]
    tokenizer = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    weights = ({} if below is None else read(below)) | read(folder)
    if base is not None:  # differences: added in float32 where the base has the tensor, rounded to its dtype
        for name, value in torch.load(base / "consolidated.00.pth", weights_only=True).items():
            if name in weights:
                weights[name] = (value.float() + weights[name]).to(value.dtype).float()
    return Sphinx(llama_type, config, weights, tokenizer)


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float:
    return ((got - want).abs().max() / want.abs().max()).item()


class Report:
    """Prints one line per golden and keeps the texts."""

    def __init__(self, out: Path):
        self.out, self.texts = out, {}

    def write(self, name: str, model: Sphinx, turns: list, image: Image.Image | None, brief: bool) -> str:
        model.taps.clear()
        words = None if image is None else model.encode_image(image)
        ids = model.prompt_ids(render(turns))
        logits = model.logits(ids, words)
        tensors = {k: v.clone() for k, v in model.taps.items()}
        tensors |= {"prompt_ids": torch.tensor(ids), "logits": logits[-1].clone()}
        if words is not None:
            tensors["image_tokens"] = words
        public = llama.transformers_logits(model.weights, model.config, model.rows(ids, words))
        error = relative_error(logits, public)
        greedy, lead = model.greedy(ids, words, GREEDY)
        tensors = {k: v for k, v in tensors.items() if not k.startswith("router.")}
        router_lead = float(model.taps.get("router.lead", 1))
        tensors["greedy_ids"] = torch.tensor(greedy)
        assert error <= AGREEMENT, f"{name}: llama.py differs from transformers by {error:.1e}"
        assert lead >= LEAD, f"{name}: near tie, {lead:.1e}"
        assert router_lead >= ROUTER_LEAD, f"{name}: near tie in the router, {router_lead:.1e}"
        assert all(torch.isfinite(t).all() for t in tensors.values())
        if brief:
            tensors = {k: v for k, v in tensors.items() if k in BRIEF}
        elif model.variant.views > 1:  # the same networks as with one view; intermediates would be large
            tensors = {k: v for k, v in tensors.items() if "." not in k and k != "eva"}
        file = self.out / f"{name}.safetensors"
        save_file({k: v.contiguous() for k, v in tensors.items()}, file)
        self.texts[name] = {"questions": [q for q, _ in turns], "answers": [a for _, a in turns[:-1]]}
        self.texts[name]["answers"].append(model.answer(greedy))
        print(
            f"{name:24} rows {len(ids) + (0 if words is None else len(words)):4}  vs transformers {error:.1e}  "
            f"smallest lead {lead:.4f}  distinct ids {len(set(greedy)):2}  {file.stat().st_size:6} bytes"
        )
        return model.tokenizer.decode(greedy[:8])


def write_all(tiny: Path, image: Image.Image, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    report, one_turn = Report(out), [(QUESTION, None)]
    for llama_type in VARIANTS:
        below = tiny / "llama_ens" if llama_type.endswith("_peft") else None
        report.write(llama_type, load(tiny / llama_type, below=below), one_turn, image, brief=below is not None)
    for kind in ("bf16", "f16", "rope_scaling"):
        report.write(f"llama_ens-{kind}", load(tiny / f"llama_ens-{kind}"), one_turn, image, brief=True)
    diff = load(tiny / "llama_ens-diff", base=tiny / "llama-meta")
    report.write("llama_ens-diff", diff, one_turn, image, brief=True)
    model = load(tiny / "llama_ens")
    report.write("llama_ens-text", model, one_turn, None, brief=False)
    ids = model.greedy(model.prompt_ids(render(one_turn)), model.encode_image(image), 8)[0]
    first = model.tokenizer.decode(ids)
    report.write("llama_ens-two_turns", model, [(QUESTION, first), (SECOND_QUESTION, None)], image, brief=True)
    texts = {"image": "tests/data/images/scene.png", "goldens": report.texts}
    (out / "texts.json").write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    write_all(Path(sys.argv[1]), Image.open(sys.argv[2]), Path(sys.argv[3]))
