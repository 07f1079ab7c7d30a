"""The whole model: an image and a prompt in, logits and greedy tokens out (float32).

    image -> views -> encoders -> concatenate -> project -> [start, queries, mixed, end] per view
    BOS | image words | prompt -> language model -> logits -> next token
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from PIL import Image
from sentencepiece import SentencePieceProcessor

import encoders
import llama
from variants import VARIANTS, image_words
from views import make_views, padded_resize

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
STOP = "\n###"


def render(turns: list[tuple[str, str | None]]) -> str:
    """The conversation as text; the last answer may be open (None)."""
    text = SYSTEM + "\n\n###"
    for question, answer in turns:
        text += f" Human: {question}\n### Assistant:"
        if answer is not None:
            text += f" {answer}\n###"
    return text


def stop_sequences(tokenizer: SentencePieceProcessor, stop: str) -> list[list[int]]:
    """The id sequences that end an answer: EOS, the stop string on its own, and as a continuation."""
    sequences = [[tokenizer.eos_id()], tokenizer.encode(stop.lstrip(" "))]
    for prefix in "@\n\\=>`":
        head, both = tokenizer.encode(prefix), tokenizer.encode(prefix + stop)
        if both[: len(head)] == head:
            return sequences + [both[len(head) :]]
    raise ValueError(f"no prefix leaves the ids of {stop!r} unchanged")


@dataclass
class Sphinx:
    llama_type: str
    config: dict
    weights: dict[str, torch.Tensor]
    tokenizer: SentencePieceProcessor
    taps: dict[str, torch.Tensor] = field(default_factory=dict)  # named intermediates of the last call

    def __post_init__(self):
        self.variant = VARIANTS[self.llama_type]
        self.weights = {k: v.float() for k, v in self.weights.items()}

    def project(self, name: str, x: torch.Tensor) -> torch.Tensor:
        w = self.weights
        x = F.linear(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"])
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.1.weight"], w[f"{name}.1.bias"], eps=1e-5)

    def encode_image(self, image: Image.Image) -> torch.Tensor:
        """[image_words, D], markers included."""
        self.see(padded_resize(image, self.config["vision"]["image_size"]))
        return self.mix(self.taps)

    def see(self, planes: torch.Tensor) -> None:
        """planes [3, S, S] -> what each encoder makes of them, into the taps."""
        vision, w, taps = self.config["vision"], self.weights, self.taps
        grid = vision["view_size"] // vision["dinov2"]["patch_size"]
        vit, cnn = make_views(self.variant, vision, planes)
        taps["views"] = vit
        if self.variant.four_encoders:
            taps["clip"] = encoders.clip_features(w, vision["clip"], vit, taps)
        taps["convnext"] = encoders.convnext_features(w, vision["convnext"], cnn, grid, taps)
        taps["dinov2"] = encoders.dinov2_features(w, vision["dinov2"], vit, taps)
        if self.variant.four_encoders:
            taps["qformer"] = encoders.qformer_features(w, vision["qformer"], vit, taps)

    def mix(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        """The encoders' features -> [image_words, D]."""
        vision, w = self.config["vision"], self.weights
        grid = vision["view_size"] // vision["dinov2"]["patch_size"]
        mixed = torch.cat([seen[k] for k in ("clip", "convnext", "dinov2") if k in seen], dim=-1)
        queries = self.project("qformer_proj", seen["qformer"]) if self.variant.four_encoders else None
        words = []
        for v in range(self.variant.views):
            tokens = mixed[v]
            if self.variant.halve_tiles and v > 0:
                tokens = halve(tokens, grid)
            words += [w["start_img"][0]]
            words += [queries[v]] if queries is not None else []
            words += [self.project("visual_proj", tokens), w["end_img"][0]]
        words = torch.cat(words)
        assert words.shape[0] == image_words(self.variant, vision)
        return words

    def prompt_ids(self, prompt: str) -> list[int]:
        return [self.tokenizer.bos_id()] + self.tokenizer.encode(prompt)

    def rows(self, ids: list[int], image: torch.Tensor | None) -> torch.Tensor:
        """BOS, the image's words, the rest of the text."""
        text = self.weights["tok_embeddings.weight"][torch.tensor(ids)]
        return text if image is None else torch.cat([text[:1], image, text[1:]])

    def logits(self, ids: list[int], image: torch.Tensor | None) -> torch.Tensor:
        """At every position, [T, vocab]."""
        return llama.forward(self.weights, self.config, self.rows(ids, image), self.taps)

    def greedy(self, ids: list[int], image: torch.Tensor | None, count: int) -> tuple[list[int], float]:
        """The next `count` ids, and the smallest lead that a chosen id had over the runner-up."""
        ids, start, lead = list(ids), len(ids), float("inf")
        for _ in range(count):
            best = self.logits(ids, image)[-1].topk(2)
            lead = min(lead, (best.values[0] - best.values[1]).item())
            ids.append(best.indices[0].item())
        return ids[start:], lead

    def answer(self, ids: list[int]) -> str:
        """Generated ids as text, cut before the first stop sequence."""
        stops = stop_sequences(self.tokenizer, STOP)
        for n in range(1, len(ids) + 1):
            for stop in stops:
                if ids[:n][-len(stop) :] == stop:
                    return self.tokenizer.decode(ids[: n - len(stop)])
        return self.tokenizer.decode(ids)


def halve(tokens: torch.Tensor, grid: int) -> torch.Tensor:
    """[1 + g*g, C] -> [1 + g*g/4, C]: patches averaged 2 x 2, cls kept."""
    patches = tokens[1:].T.view(1, -1, grid, grid)
    return torch.cat([tokens[:1], F.avg_pool2d(patches, 2)[0].flatten(1).T])
