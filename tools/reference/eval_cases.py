"""What the derivations of metrics share: reading answers, and making up answers of every kind, good, odd and malformed."""

import random
import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000"


def clean(answer: str) -> str:
    return answer.split("###")[0].strip()


def number(text: str):
    """float(), but for what is no plain number: nan, inf, 1_000."""
    return float(text) if NUMBER.fullmatch(text.strip()) else None


def mean(values) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None


def percent(values):
    m = mean(values)
    return None if m is None else 100 * m


def case(record: dict, answer: str, score: float, malformed: bool) -> dict:
    out = {"r": record, "a": answer, "s": score}
    if malformed:
        out["m"] = 1
    return out


def by(cases: list, key: str, prefix: str, value=lambda c: c["s"]) -> dict:
    keys = sorted({c["r"][key] for c in cases if key in c["r"]})
    return {f"{prefix}: {k}": percent(value(c) for c in cases if c["r"].get(key) == k) for k in keys}


def usual(name: str, cases: list, mean_of_categories: bool = False) -> dict:
    categories = by(cases, "category", "category")
    first = mean(categories.values()) if mean_of_categories else percent(c["s"] for c in cases)
    return {name: first} | categories | by(cases, "kind", "kind")


def letter(text: str, count: int) -> str:
    found = re.match(r"(?:\(([A-Z])\))|(?:([A-Z])(?=$|[.)]))", text)
    found = "" if not found else found[1] or found[2]
    return found if found and ord(found) - ord("A") < count else ""


class Generator:
    """Random answers: pieces of words, numbers, punctuation, white space of every kind, and noise."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def pick(self, *things):
        return self.random.choice(things)

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def noise(self, words: list) -> str:
        n = self.random.randint(0, 5)
        glue = lambda: self.pick(" ", " ", " ", "", "-", ", ", ".", "\n", "\t", "/", "? ", "'", *SPACE)
        return "".join(self.pick(*words) + glue() for _ in range(n))

    def wrapped(self, text: str) -> str:
        """The same answer as a model may write it."""
        k = self.random.randint(0, 12)
        return [text, text, text, text.upper(), text.capitalize(), text + ".", text + "\n", f" {text} ", text + "###",
                text + "\n### Human: more", f'"{text}"', f"{text}\u00a0", f"\u3000{text}.\n"][k]
