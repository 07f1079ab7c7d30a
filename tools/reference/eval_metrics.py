"""Writes tests/data/eval/: answers of every kind, good, odd and malformed, and what each metric makes of them.

Computed without our C: by pycocotools where its code is the definition (average precision of boxes and of joints), else
derived here from the metrics' descriptions, with Python's own strings, floats and regular expressions, which is what
the official scripts are written in.
"""

import json
import random
import re
import sys
from fractions import Fraction
from itertools import product
from math import comb
from pathlib import Path

import numpy as np

from eval_cases import Generator, by, case, clean, letter, mean, number, percent, usual
from eval_objects import detection, pose


# ---- VQA ------------------------------------------------------------------------------------------------------------


class Vqa:
    PUNCTUATION = list(';/[]"{}()=+\\_-><@`,?!')
    NUMBERS = dict(none="0", **{w: str(i) for i, w in enumerate(
        "zero one two three four five six seven eight nine ten".split())})

    def __init__(self, contractions: dict):
        self.contractions = contractions

    def punctuation(self, text: str) -> str:
        thousands = re.search(r"[0-9],[0-9]", text)
        out = text
        for p in self.PUNCTUATION:
            beside = p + " " in text or " " + p in text
            out = out.replace(p, "" if beside or thousands else " ")
        return re.sub(r"\.(?![0-9])", "", out, count=32)

    def prediction(self, text: str) -> str:
        text = self.punctuation(text.replace("\n", " ").replace("\t", " ").strip())
        words = [self.NUMBERS.get(w, w) for w in text.lower().split()]
        return " ".join(self.contractions.get(w, w) for w in words if w not in ("a", "an", "the"))

    def score(self, record: dict, answer: str) -> tuple[float, bool]:
        p = self.prediction(clean(answer))
        texts = record["answers"]
        entries = record.get("same", list(range(len(texts))))
        if len(set(texts)) > 1:
            texts = [self.punctuation(t) for t in texts]
        if len(texts) == 1:
            return float(p == self.prediction(texts[0]) if p else clean(answer) == texts[0]), p == ""
        parts = []
        for i in entries:
            agree = sum(t == p for t, e in zip(texts, entries) if e != i)
            parts.append(min(1, agree / 3))
        return sum(parts) / len(parts), p == ""


def contractions_of(path: Path) -> dict:
    """The table as the C has it; its rows are compared with the published one when that is at hand."""
    return dict(re.findall(r'\{ "([^"]+)", "([^"]+)" \}', path.read_text()))


def vqa(root: Path) -> dict:
    g, cases = Generator(1), []
    metric = Vqa(contractions_of(root / "src/eval/vqa_contractions.c"))
    words = ["yes", "no", "The", "a", "an", "1,000", "km/h", "wi-fi", "u.s.a.", "3.5", "3.", ".5", "10:30", "dont", "Isnt",
             "two", "NONE", "Ten", "red", "Café", "ÉCLAIR", "$5", "and/or", "somebody'd", "ive", "twas", "yall'd've",
             "…", "naïve", "50%", "'ow'sat", "[", "(blue)", "x" * 30, "." * 40, "Ⱥ", "K"]
    for i in range(320):
        size = g.pick(1, 2, 10, 10, 10, 10)
        pool = [g.noise(words) for _ in range(g.random.randint(1, 4))] + [g.pick(*words)]
        texts = [g.pick(*pool) for _ in range(size)] if g.chance(0.8) else [pool[-1]] * size
        record = {"answers": texts, "category": g.pick("what is", "how many", "is the"),
                  "kind": g.pick("yes/no", "number", "other")}
        if g.chance(0.3):  # a file whose entries have no id: equal ones are one
            record["same"] = [texts.index(t) for t in texts]
        answer = g.wrapped(g.pick(*texts) if g.chance(0.8) else g.noise(words))
        cases.append(case(record, answer, *metric.score(record, answer)))
    for text in metric.contractions:  # every row of the table
        record = {"answers": [metric.contractions[text], metric.contractions[text] + "!", "other"] * 3,
                  "category": "table", "kind": "other"}
        cases.append(case(record, text, *metric.score(record, text)))
    return {"cases": cases, "figures": usual("accuracy", cases)}


# ---- texts ----------------------------------------------------------------------------------------------------------


def exact_score(record: dict, answer: str) -> tuple[float, bool]:
    text = clean(answer)
    reference = record["answers"][0]
    if reference in list("ABCDE"):
        got = letter(text, 5)
        return float(got == reference), got == ""
    plain = lambda t: t.replace(".", "").strip().lower()
    return float(plain(text) == plain(reference)), plain(text) == ""


def exact() -> dict:
    g, cases = Generator(2), []
    words = ["yes", "no", "Left", "u.s.", "St. John", "ÄRGER", "ωΔ", "décor", "A", "F", "true", "2", "...", "Ǆ", "ЖУК"]
    for i in range(300):
        reference = g.pick(*words, *"ABCDE", *"ABCDE")
        forms = ["{}", "{}.", "({})", "{}) text", "{}. text", "({}) text", "{}: text", "{} text", "The answer is {}", "{}text",
                 "({}", " {}\n", "{}.text", "{}###B"]
        answer = g.pick(*forms).format(g.pick(reference, reference, "A", "B", "b", "F"))
        if g.chance(0.4):
            answer = g.wrapped(reference)
        if g.chance(0.1):
            answer = g.noise(words)
        record = {"answers": [reference], "category": g.pick("a", "b", "c")}
        cases.append(case(record, answer, *exact_score(record, answer)))
    return {"cases": cases, "figures": usual("accuracy", cases)}


def relaxed_number(text: str):
    return None if (x := number(text.rstrip("%"))) is None else x / 100 if text.endswith("%") else x


def relaxed_score(record: dict, answer: str, quirks: bool) -> tuple[float, bool]:
    text, reference = clean(answer), record["answers"][0]
    p, t = relaxed_number(text), relaxed_number(reference)
    base = p if quirks else t
    if p is not None and t is not None and base:
        return float(abs(p - t) / abs(base) <= 0.05), text == ""
    return float(text.lower() == reference.lower()), text == ""


def relaxed(quirks: bool) -> dict:
    g, cases = Generator(3), []
    for i in range(260):
        t = g.pick(0, 1, 0.57, 14, 2008, 1.216666667, -120, 1e-3, 96.0, 50, 3.3e5)
        reference = g.pick(str(t), str(t), f"{t}%", "Yes", "green line", f"{t} cm", f"{t:,}", "nan")
        near = t * (1 + g.pick(0, 0.049, 0.0501, -0.05, 0.05, -0.0476, 0.0526, 0.3))
        answer = g.pick(f"{near}", f"{near:.3f}", f"{near}%", f"{near * 100}%", f"{near} %", f"+{near}", f"{near}%%", "", ".", "-",
                        "1e", "inf", "1_000", "0x10", reference.upper(), f"{near}\n", f"{near:.0e}", f"{near:,}", "yes.")
        if g.chance(0.3):
            answer = g.wrapped(reference)
        record = {"answers": [reference], "category": g.pick("human", "augmented")}
        cases.append(case(record, answer, *relaxed_score(record, answer, quirks)))
    return {"options": {"upstream_quirks": quirks, "mean_of_categories": not quirks}, "cases": cases,
            "figures": usual("accuracy", cases, not quirks)}


def levenshtein(s: str, t: str) -> int:
    previous = list(range(len(t) + 1))
    for i, c in enumerate(s, 1):
        row = [i]
        for j, d in enumerate(t, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (c != d)))
        previous = row
    return previous[-1]


def anls_score(record: dict, answer: str) -> tuple[float, bool]:
    text, best = clean(answer), 0.0
    fold = lambda t: " ".join(t.lower().split())
    for reference in record["answers"]:
        longest = max(len(reference), len(text))
        similar = 1 - (levenshtein(fold(reference), fold(text)) / longest if longest else 0)
        best = max(best, similar if similar >= 0.5 else 0)
    return best, text == ""


def anls() -> dict:
    g, cases = Generator(4), []
    words = ["0.28", "Lee A. Waller", "University of California", "ITC   Limited", "‘actual’", "ÉTAT", "Paul", "$ 975.00", "12:00 noon",
             "ЖУРНАЛ", "日本語のテキスト", "x\ty\nz", "4"]
    for i in range(260):
        references = [g.pick(*words) for _ in range(g.random.randint(1, 3))]
        text = list(g.wrapped(g.pick(*references)))
        for _ in range(g.pick(0, 0, 1, 2, 4, 8)):
            at = g.random.randint(0, len(text))
            text[at:at + g.pick(0, 1)] = g.pick([], ["q"], ["é"], [" "], ["Z", "Z"])
        record = {"answers": references}
        answer = "".join(text) if g.chance(0.92) else g.pick("", "   ", "###", "no idea " * 40)
        cases.append(case(record, answer, *anls_score(record, answer)))
    return {"cases": cases, "figures": usual("ANLS", cases)}


def fraction(text: str):
    parts = text.split("/", 1)
    values = [number(p) for p in parts]
    if None in values or (len(values) == 2 and values[1] == 0):
        return None
    return values[0] if len(values) == 1 else values[0] / values[1]


def math_score(record: dict, answer: str) -> tuple[float, bool]:
    text, malformed = clean(answer), clean(answer) == ""
    for reference in record["answers"]:
        right = text == reference
        if (t := fraction(reference)) is not None:
            p = fraction(text)
            malformed = p is None
            if p is not None and not right:
                right = round(p) == t if t == int(t) else abs(p - t) / abs(t) <= 0.04
        if right:
            return 1.0, malformed
    return 0.0, malformed


def mathematics() -> dict:
    g, cases = Generator(5), []
    for i in range(220):
        t = g.pick(0, 3, 0.5, 12.5, -7, 1 / 3, 2.5, 1000)
        reference = g.pick([str(t), str(t)], [f"{t}", repr(float(t))], ["(B)", "B"], ["3/4", "0.75"], ["yes"])
        answer = g.pick(str(t * 1.039), str(t * 1.041), str(t + 0.4), str(t + 0.5), str(t - 0.5), "3/4", "6/8", "1/0", "/", "1/2/3",
                        " 3 / 4 ", "", "eval(1)", reference[0], f"{reference[0]}\n", "B", "2**3", f"-{t}", "0.72", "0.7199")
        record = {"answers": reference, "category": g.pick("algebra", "geometry")}
        cases.append(case(record, answer, *math_score(record, answer)))
    return {"cases": cases, "figures": usual("accuracy", cases)}


# ---- boxes ----------------------------------------------------------------------------------------------------------


def box_score(record: dict, answer: str) -> tuple[float, bool]:
    f32 = np.float32
    text = clean(answer)
    found = re.search(r"\[(.*?)\]", text)
    values = [number(t) for t in (found[1] if found else text.split("]")[0]).split(",")]
    if len(values) != 4 or None in values or max(map(abs, values)) > 3e38:
        return 0.0, True
    w, h = record["width"], record["height"]
    truth = list(record["box"])
    shift = (0, (w - h) // 2) if w > h else ((h - w) // 2, 0)
    truth = [f32(v + shift[k % 2]) for k, v in enumerate(truth)]
    box = [f32(v) * f32(max(w, h)) for v in values]
    if not (box[2] > box[0] and box[3] > box[1]):
        return 0.0, False
    area = lambda b: (b[2] - b[0]) * (b[3] - b[1])
    zero = f32(0)
    inside = max(min(box[2], truth[2]) - max(box[0], truth[0]), zero) * max(min(box[3], truth[3]) - max(box[1], truth[1]), zero)
    return float(inside / (area(box) + area(truth) - inside)), False


def box() -> dict:
    g, cases = Generator(6), []
    for i in range(320):
        w, h = g.pick((640, 480), (480, 640), (500, 333), (333, 500), (427, 427), (640, 427), (375, 500))
        x1, y1 = g.random.uniform(0, w * 0.7), g.random.uniform(0, h * 0.7)
        truth = [round(v, 2) for v in (x1, y1, g.random.uniform(x1 + 5, w), g.random.uniform(y1 + 5, h))]
        side, dx, dy = max(w, h), max(h - w, 0) // 2, max(w - h, 0) // 2
        wobble = g.pick(0, 0, 0.02, 0.1, 0.3)
        p = [(v + (dx, dy)[k % 2]) / side + g.random.uniform(-wobble, wobble) for k, v in enumerate(truth)]
        digits = g.pick(2, 3, 3, 6)
        t = [f"{max(v, 0):.{digits}f}" for v in p]
        j = ",".join(t)
        answer = g.pick(*[f"[{j}]"] * 8, f"<p>{g.pick('dog', 'a[b')}</p>[{j}]", f"[{','.join(t[:3])}]", f"[{j};{j}]", j, j + "]",
                        f"[{', '.join(t)}]\n", f"[\n{j}]", f"[[{j}]]", f"[{j},]", f"[{t[2]},{t[3]},{t[0]},{t[1]}]", "", "[]",
                        "I see no box", f"[{j}", f"text\n[{j}] [0,0,1,1]", f"[{t[0]} {t[1]} {t[2]} {t[3]}]", f"[a,b,c,d] [{j}]",
                        f"[nan,{','.join(t[1:])}]", f"[-1e-1,{','.join(t[1:])}]", "[0,0,1,1]", f"[{j}]### Human", f"[1e60,0,1,1]",
                        f"[ {j.replace(',', ' , ')} ]", "[" * 20, f"[.5,.5,.5,.5]", f"] {j}")
        record = {"box": truth, "width": w, "height": h, "category": g.pick("refcoco_val", "refcoco_testA")}
        cases.append(case(record, answer, *box_score(record, answer)))
    right = lambda c: float(c["s"] >= 0.5)
    return {"cases": cases, "figures": {"accuracy": percent(right(c) for c in cases), "mean IoU": percent(c["s"] for c in cases)}
            | by(cases, "category", "category", right)}


# ---- yes or no ------------------------------------------------------------------------------------------------------

PERCEPTION = "existence count position color posters celebrity scene landmark artwork OCR".split()
COGNITION = "commonsense_reasoning numerical_calculation text_translation code_reasoning".split()
YES_NO = ["Yes", "No", "yes", "no", "Yes.", "No.", " No.", "NO", "not sure", "Yes, it is", "No, it is not", "yeah", "nothing", "",
          "I think so", "It is not.", "There is no dog", "unknown", "y", "ja", "是 yes", "\u2028no", "Yes\nNo", "no\nyes",
          "There is a dog. no", "no,yes", "Not", "yes no", "###", "Yes### Human: no", "n o", "\u00e9\u00e9\u00e9yes", "ÉÉÉÉno"]


def mme_said(answer: str) -> str:
    start = clean(answer).lower()[:4]
    return "yes" if "yes" in start else "no" if "no" in start else ""


def mme() -> dict:
    g, cases = Generator(7), []
    for category in PERCEPTION + COGNITION + ["unheard_of"]:
        for image in range(g.random.randint(5, 9)):
            for k in range(2):
                record = {"id": str(2 * image + k), "image": f"{category}/{image}.jpg", "answers": [g.pick("Yes", "No")],
                          "category": category, "group": f"{image}"}
                answer = record["answers"][0] if g.chance(0.5) else g.pick(*YES_NO)
                said = mme_said(answer)
                cases.append(case(record, answer, float(said == record["answers"][0].lower()), said == ""))
    g.random.shuffle(cases)
    points = {}
    for category in sorted({c["r"]["category"] for c in cases}):
        own = [c for c in cases if c["r"]["category"] == category]
        images = {c["r"]["group"] for c in own}
        acc = percent(c["s"] for c in own)
        plus = percent(all(c["s"] == 1 for c in own if c["r"]["group"] == i) for i in images)
        points |= {f"category: {category}": acc + plus, f"acc: {category}": acc, f"acc+: {category}": plus}
    total = lambda names: sum(points[f"category: {n}"] for n in names)
    sums = {"perception": total(PERCEPTION), "cognition": total(COGNITION), "both": total(PERCEPTION + COGNITION)}
    return {"cases": cases, "figures": sums | points}


def pope_said(answer: str) -> str:
    words = clean(answer).split(".")[0].replace(",", "").split(" ")
    return "no" if "No" in words or "not" in words or "no" in words else "yes"


def pope() -> dict:
    g, cases = Generator(8), []
    for i in range(330):
        record = {"answers": [g.pick("yes", "no")], "category": g.pick("random", "popular", "adversarial")}
        answer = g.pick("yes", "no", *record["answers"] * 2) if g.chance(0.6) else g.pick(*YES_NO)
        said = pope_said(answer)
        words = clean(answer).split(".")[0].replace(",", "").split(" ")
        cases.append(case(record, answer, float(said == record["answers"][0]),
                          not {"yes", "Yes", "no", "No", "not"} & set(words)))
    splits = {}
    for split in sorted({c["r"]["category"] for c in cases}):
        own = [c for c in cases if c["r"]["category"] == split]
        pairs = [(c["r"]["answers"][0] == "yes", (c["r"]["answers"][0] == "yes") == (c["s"] == 1)) for c in own]
        tp, fp = sum(t and p for t, p in pairs), sum(p and not t for t, p in pairs)
        precision, recall = tp / (tp + fp), tp / sum(t for t, p in pairs)
        splits[split] = {"F1": 2 * precision * recall / (precision + recall), "accuracy": mean(t == p for t, p in pairs),
                         "precision": precision, "recall": recall, "yes ratio": mean(p for t, p in pairs)}
    names = splits["random"].keys()
    figures = {n: percent(s[n] for s in splits.values()) for n in names}
    return {"cases": cases, "figures": figures | {f"{n}: {k}": 100 * s[n] for k, s in splits.items() for n in names}}


# ---- choices --------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    return text.replace(".", "").strip().lower()


def choice_index(text: str, record: dict):
    choices = record.get("choices", [])
    if found := letter(text, len(choices) or 26):
        return found
    same = [chr(ord("A") + i) for i, c in enumerate(choices) if plain(c) == plain(text)]
    return same[0] if len(same) == 1 else ""


FORMS = ["{}", "{}", "{}.", "({})", "{}) {}", "{}. {}", "({}) {}", "{}: {}", "Answer: {}", "{}\n", "{}, {}", "[{}]", "{}\u3000"]


def choice() -> dict:
    g, cases = Generator(9), []
    words = ["red", "Blue.", "2", "a dog", "the cat", "ÉTÉ", "None of these", "U.S.", "left"]
    for q in range(110):
        n = g.random.randint(2, 5)
        texts = g.random.sample(words, n)
        right = g.random.randrange(n)
        rotations = n if q % 2 else 1
        kind, category = g.pick("LR", "AR"), g.pick("color", "count", "ocr")
        known = g.chance(0.6)  # whether this model knows the answer
        for k in range(rotations):
            turned = texts[k:] + texts[:k]
            at = (right - k) % n
            record = {"answers": [chr(65 + at) if q % 5 else turned[at]], "choices": turned, "category": category, "kind": kind}
            if q % 2:
                record["group"] = f"q{q}"
            pick = at if known and g.chance(0.95) else g.random.randrange(n)
            answer = g.pick(*FORMS, *FORMS, "{1}", "{1}.", "{1}\n", "", "Z", "a", g.noise(words)).format(chr(65 + pick), turned[pick])
            got = choice_index(clean(answer), record)
            cases.append(case(record, answer, float(got != "" and got == chr(65 + at)), got == ""))
    g.random.shuffle(cases)
    units = {}
    for i, c in enumerate(cases):
        u = units.setdefault(c["r"].get("group", i), {"r": c["r"], "s": 1.0})
        u["s"] = min(u["s"], c["s"])
    return {"cases": cases, "figures": usual("accuracy", list(units.values())) | {"single questions": percent(c["s"] for c in cases)}}


def mmmu() -> dict:
    g, cases = Generator(10), []
    for i in range(220):
        reference = g.pick("A", "B", "C", "D", "1.06", "-141", "30", "hydrogen bond", "242110.62")
        answer = g.pick(*FORMS).format(g.pick(reference, reference, "B"), "text")
        if len(reference) > 1:
            answer = g.pick(reference, g.wrapped(reference), "1.0601", "1.07", "30.00", "-141.004", "", "about 30", "Hydrogen Bond.")
        record = {"image": f"a/validation_X_{i}.jpg", "answers": [reference], "category": g.pick("Art", "Math")}
        text = clean(answer)
        if len(reference) == 1:
            got = letter(text, 26)
            score, malformed = float(got == reference), got == ""
        else:
            p, t = number(text), number(reference)
            score = float(plain(text) == plain(reference) or (p is not None and t is not None and round(p * 100) == round(t * 100)))
            malformed = plain(text) == ""
        cases.append(case(record, answer, score, malformed))
    return {"cases": cases, "figures": usual("accuracy", cases)}


def class_words(text: str) -> list:
    text = re.sub("[%s]" % re.escape(".,;:!?\"'`()[]{}<>/\\_-"), " ", text.lower())
    return [w for w in text.split() if w not in ("a", "an", "the")]


def classes() -> dict:
    g, cases, equal = Generator(11), [], []
    names = ["tench, Tinca tinca", "great white shark, white shark, man-eater", "hen", "African grey, African gray", "Petri dish",
             "jack-o'-lantern", "Crêpe", "bow", "bow tie, bow-tie, bowtie"]
    for i in range(240):
        reference = g.pick(*names)
        name = g.pick(*(reference if g.chance(0.7) else g.pick(*names)).split(", "))
        answer = g.wrapped(g.pick("{}", "{}", "a {}", "The {}.", "It is an {}", "{}s", "{} or hen", "photo of the {}, maybe", "x{}", "")
                           .format(name))
        record = {"answers": [reference], "category": g.pick("fish", "bird")}
        words = class_words(clean(answer))
        own = [w for part in reference.split(",") if (w := class_words(part))]
        inside = any(words[k:k + len(w)] == w for w in own for k in range(len(words)))
        equal.append(float(words in own))
        cases.append(case(record, answer, float(inside), clean(answer) == ""))
    return {"cases": cases, "figures": usual("accuracy", cases) | {"equal": percent(equal)}}


# ---- what a judge said ----------------------------------------------------------------------------------------------


def grade(value) -> float | None:
    if isinstance(value, str):
        value = number(value.strip().split(" ")[0]) if value.strip() else None
    return float(value) if value is not None and 0 <= value <= 1 else None


def mmvet(out: Path) -> dict:
    g, cases, grades = Generator(14), [], {}
    capabilities = ["rec", "ocr", "know", "gen", "spat", "math"]
    for i in range(220):
        record = {"id": f"v1_{i}", "question": "?", "answers": ["a <AND> b"],
                  "kind": ",".join(sorted(g.random.sample(capabilities, g.random.randint(1, 3))))}
        answer = g.pick("a cat", "", "  \n", "x = 1", "###")
        one = lambda: g.pick(0.0, 0.1, 0.5, 1.0, 0.7, "0.4", "0.9 because", "1", "-1", "two", 1.5, "", " 0.3")
        said = g.pick(None, one(), one(), {"score": [one() for _ in range(g.pick(1, 1, 5))], "content": ["0.5"], "model": ["m"]},
                      {"content": one()}, {"content": []})
        if said is not None:
            grades[record["id"]] = said
        value = said
        if isinstance(said, dict):
            value = said["score"] if "score" in said else said["content"]
        values = [x for v in (value if isinstance(value, list) else [value]) if (x := grade(v)) is not None]
        c = case(record, answer, mean(values) or 0.0, clean(answer) == "")
        if not values:
            c["p"] = 1
        cases.append(c)
    (out / "mmvet_grades.json").write_text(json.dumps(grades, indent=0) + "\n")
    judged = [c for c in cases if "p" not in c]
    unread = sum("p" in c and c["r"]["id"] in grades for c in cases)
    figures = {"score": percent(c["s"] for c in judged)}
    for k in capabilities:
        figures[f"capability: {k}"] = percent(c["s"] for c in judged if k in c["r"]["kind"].split(","))
    return {"options": {"judgements": "tests/data/eval/mmvet_grades.json"}, "cases": cases,
            "figures": figures | by(judged, "kind", "capabilities") | {"unparsed reviews": unread}}


def llava_points(review: dict):
    pair = review.get("tuple")
    if pair is None:
        pair = [number(t) for t in review["content"].split("\n")[0].replace(",", " ").split()]
    return pair if len(pair) == 2 and None not in pair and min(pair) >= 0 else None


def llava_bench(out: Path) -> dict:
    g, cases, lines, points = Generator(15), [], [], []
    for i in range(210):
        record = {"id": str(i), "question": "?", "answers": ["reference"], "category": g.pick("conv", "detail", "complex")}
        answer = g.pick("a long answer", "short", "")
        content = g.pick("7 8\nBoth", "9, 6\n...", "8.5 7\n", "10 10", "8,5\nx", "Assistant 1: 8", "", "7\n8", "7 8 9\nx", "-1 -1")
        review = {"question_id": g.pick(i, str(i)), "content": content}
        if g.chance(0.3):
            review["tuple"] = g.pick([7, 8], [9.5, 3], [-1, -1])
        pair = None
        if g.chance(0.9):
            lines.append(json.dumps(review))
            pair = llava_points(review)
        c = case(record, answer, min(pair[1] / 10, 1) if pair else 0.0, answer == "")
        if pair:
            points.append((record["category"], pair))
        else:
            c["p"] = 1
        cases.append(c)
    (out / "llava_reviews.jsonl").write_text("\n".join(lines) + "\n")
    relative = lambda pairs: 100 * sum(m for _, m in pairs) / sum(r for r, _ in pairs)
    figures = {"relative score": relative([p for _, p in points])}
    figures |= {f"category: {k}": relative([p for c, p in points if c == k]) for k in ("complex", "conv", "detail")}
    return {"options": {"judgements": "tests/data/eval/llava_reviews.jsonl"}, "cases": cases,
            "figures": figures | {"unparsed reviews": len(lines) - len(points)}}


# ---- intervals ------------------------------------------------------------------------------------------------------


def wilson(hits: int, n: int) -> list:
    """The shares p from which hits / n is 1.96 standard deviations away, by bisection on exactly that."""
    z, share = 1.959963984540054, hits / n
    far = lambda p: (share - p) ** 2 * n > z * z * p * (1 - p)
    ends = []
    for outer in (0.0, 1.0):
        a, b = outer, share
        for _ in range(200):
            middle = (a + b) / 2
            a, b = (middle, b) if far(middle) else (a, middle)
        ends.append((a + b) / 2)
    return ends


def intervals() -> dict:
    """Not answers, but cases all the same: [hits, n, low, high], [a, b, p of McNemar], [differences, p of sign flips]."""
    g = Generator(16)
    shares = [[0, 1], [1, 1], [0, 7], [7, 7], [3, 9], [50, 100], [1, 1000], [777, 1000], [12570, 12578]]
    coins = [[b, w] for b in (0, 1, 3, 10, 60, 400) for w in (0, 1, 5, 12, 60, 333)]
    coin = lambda b, w: float(min(Fraction(1), 2 * Fraction(sum(comb(b + w, k) for k in range(min(b, w) + 1)), 2 ** (b + w))))
    flips = []
    for n in (1, 2, 3, 5, 8, 12, 16):
        d = [g.pick(-3, -1, 1, 2, 3, 7) for _ in range(n)]  # tenths
        sums = [sum(s * x for s, x in zip(signs, d)) for signs in product((1, -1), repeat=n)]
        flips.append([[x / 10 for x in d], sum(abs(s) >= abs(sum(d)) for s in sums) / len(sums)])
    return {"shares": [s + wilson(*s) for s in shares], "coins": [[b, w, coin(b, w)] for b, w in coins], "flips": flips}


# ---- all ------------------------------------------------------------------------------------------------------------


def write(path: Path, golden: dict) -> None:
    """One case a line."""
    line = lambda x: json.dumps(x, ensure_ascii=False, separators=(",", ":"))
    if "cases" not in golden:
        path.write_text("{\n" + ",\n".join(f'"{k}":[\n' + ",\n".join(map(line, v)) + "\n]" for k, v in golden.items()) + "\n}\n")
        return
    cases = ",\n".join(line(c) for c in golden["cases"])
    path.write_text('{"options":%s,\n"figures":%s,\n"cases":[\n%s\n]}\n' % (
        line(golden.get("options")), line(golden["figures"]), cases))
    print(f"{path.name}: {len(golden['cases'])} cases, {sum('m' in c for c in golden['cases'])} malformed, "
          f"{next(iter(golden['figures'].items()))}")


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    out = root / "tests/data/eval"
    out.mkdir(parents=True, exist_ok=True)
    goldens = {"vqa": lambda: vqa(root), "exact": exact, "relaxed": lambda: relaxed(False),
               "relaxed_quirks": lambda: relaxed(True), "anls": anls, "math": mathematics, "box": box,
               "mme": mme, "pope": pope, "choice": choice, "mmmu": mmmu, "class": classes,
               "detection": detection, "pose": pose, "mmvet": lambda: mmvet(out), "llava_bench": lambda: llava_bench(out),
               "intervals": intervals}
    for name in sys.argv[1:] or goldens:
        write(out / f"{name}.json", goldens[name]())


if __name__ == "__main__":
    main()
