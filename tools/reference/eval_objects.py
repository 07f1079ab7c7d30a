"""Average precision of boxes and of joints, by pycocotools, whose code is the definition; and PCK."""

import random
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval_cases import Generator, case, clean, mean, number

JOINTS = ("nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
          "left_hip right_hip left_knee right_knee left_ankle right_ankle").split()
REGION = re.compile(r"(?:<p>((?:(?!<p>|</p>|\n).)*)</p>[ \t\n\v\f\r]*)?\[([0-9.,; \t\n\v\f\r]*)\]")


def fold_name(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split())


def regions(text: str):
    """(phrase or None, parts of 2 or 4 float32) of each list of the answer, and whether a part was passed over."""
    out, malformed = [], False
    for m in REGION.finditer(text):
        parts, bad = [], False
        for part in m[2].split(";"):
            values = [number(v) for v in part.split(",")] if part.strip() else []
            if len(values) in (2, 4) and None not in values and max(values) <= 1.05:
                if len(values) == 4:
                    values = [min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])]
                parts.append([float(np.float32(v)) for v in values])
            elif values:
                bad = True
        malformed |= bad
        if parts:
            out.append((m[1], parts))
    return out, malformed


def padding(record: dict):
    side = max(record["width"], record["height"])
    return side, (side - record["width"]) // 2, (side - record["height"]) // 2


def coco_eval(kind: str, images: list, annotations: list, categories: list, results: list):
    """pycocotools' own figures, and its matches."""
    coco = COCO()
    coco.dataset = {"info": {}, "images": images, "annotations": annotations,
                    "categories": [{"id": i + 1, "name": n} for i, n in enumerate(categories)]}
    with redirect_stdout(StringIO()):
        coco.createIndex()
        e = COCOeval(coco, coco.loadRes(results), kind)
        e.evaluate()
        e.accumulate()
        e.summarize()
    return e


def or_none(x: float):
    return None if x < 0 else 100 * float(x)


def precision_of(e, category: int):
    values = e.eval["precision"][:, :, category, 0, -1]
    return or_none(values[values > -1].mean()) if (values > -1).any() else None


def detection() -> dict:
    g, cases, names = Generator(12), [], ["person", "dog", "traffic light", "cat", "unseen"]
    images, annotations, results, found = [], [], [], []
    for i in range(220):
        w, h = g.pick((640, 480), (480, 640), (500, 333), (427, 427), (333, 500))
        record = {"width": w, "height": h, "objects": []}
        side, dx, dy = padding(record)
        one = g.chance(0.2)
        for _ in range(g.random.randint(0, 5)):
            bw, bh = (g.random.uniform(8, g.pick(40, 110, 300)) for _ in range(2))
            x, y = g.random.uniform(0, max(w - bw, 1)), g.random.uniform(0, max(h - bh, 1))
            box = [round(v, 1) for v in (x, y, x + bw, y + bh)]
            name = "dog" if one else g.pick(*names[:4])
            record["objects"].append([name, box, round(bw * bh * g.random.uniform(0.5, 1), 1), int(g.chance(0.1))])
            if g.chance(0.15):  # two objects at one place, one perhaps of another range or a crowd
                record["objects"].append([name, box, g.pick(500, 5000, 20000), int(g.chance(0.3))])
        text = []
        for name, box, _, _ in g.random.sample(record["objects"], len(record["objects"])) * g.pick(1, 1, 2):
            wobble = g.pick(0, 2, 8, 30)
            p = [(v + (dx, dy)[k % 2] + g.random.uniform(-wobble, wobble)) / side for k, v in enumerate(box)]
            t = ",".join(f"{min(max(v, 0), 1):.3f}" for v in p)
            phrase = g.pick(name, name, name, name.replace(" ", "_"), name.title(), f" {name} ", g.pick(*names), "zebra")
            text.append(g.pick(*[f"<p>{phrase}</p>[{t}]"] * 9, f"<p>{phrase}</p> [{t};0.1,0.1,0.3,0.4]", f"[{t}]", f"<p>{phrase}</p>[{t},0.5]",
                               f"<p>{phrase}</p>[{t};;0.2,0.2]", f"<p>{phrase}</p>", f"<p>{phrase}</p>[2.0,0.1,0.2,0.3]", t))
        answer = g.pick(" ", ", ", "\n", " and ").join(text) if g.chance(0.95) else g.pick("none", "", "[" * 9, "<p>dog</p>[0.1,0.2,0.5,0.6")
        own = {o[0] for o in record["objects"]}
        parsed, malformed = regions(clean(answer))
        count, wrong = 0, 0
        for phrase, parts in parsed:
            for v in (p for p in parts if len(p) == 4):
                name = fold_name(phrase) if phrase is not None else min(own) if len(own) == 1 else None
                x, y, x2, y2 = (c * side - (dx, dy)[k % 2] for k, c in enumerate(v))
                wrong += name not in own
                if name in names:
                    results.append({"image_id": i + 1, "category_id": names.index(name) + 1, "bbox": [x, y, x2 - x, y2 - y],
                                    "score": 1000 - count})
                count += 1
        images.append({"id": i + 1, "width": w, "height": h})
        for name, b, area, crowd in record["objects"]:
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": names.index(name) + 1, "area": area,
                                "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "iscrowd": crowd})
        cases.append(case(record, answer, 0.0, malformed or (count == 0 and bool(record["objects"]))))
        found.append(wrong)
    e = coco_eval("bbox", images, annotations, names, results)
    for i, c in enumerate(cases):  # F1 at 0.5 among the record's own categories, other names wrong
        own = {names.index(o[0]) + 1 for o in c["r"]["objects"]}
        cells = [x for x in e.evalImgs if x and x["image_id"] == i + 1 and x["category_id"] in own and x["aRng"] == [0, 1e10]]
        right = sum(int(((x["dtMatches"][0] > 0) & ~x["dtIgnore"][0]).sum()) for x in cells)
        wrong = sum(int(((x["dtMatches"][0] == 0) & ~x["dtIgnore"][0]).sum()) for x in cells) + found[i]
        truths = sum(int((np.array(x["gtIgnore"]) == 0).sum()) for x in cells)
        c["s"] = 2 * right / (right + wrong + truths) if right + wrong + truths else 1.0
    s = e.stats
    figures = {"AP": s[0], "AP50": s[1], "AP75": s[2], "AP small": s[3], "AP medium": s[4], "AP large": s[5], "AR": s[8]}
    return {"cases": cases, "figures": {k: or_none(v) for k, v in figures.items()}
            | {f"category: {n}": precision_of(e, k) for k, n in enumerate(names[:4])}}


def pose() -> dict:
    g, cases = Generator(13), []
    images, annotations, results, persons_of = [], [], [], []
    for i in range(210):
        w, h = g.pick((640, 480), (480, 640), (427, 427))
        record = {"width": w, "height": h, "objects": []}
        side, dx, dy = padding(record)
        for _ in range(g.pick(0, 1, 1, 1, 2, 2, 3)):
            bw, bh = g.random.uniform(20, g.pick(90, 200)), g.random.uniform(20, g.pick(90, 250))
            x, y = g.random.uniform(0, w - bw), g.random.uniform(0, h - bh)
            box = [round(v) for v in (x, y, x + bw, y + bh)]
            labelled = 0 if g.chance(0.1) else g.random.uniform(0.2, 1)
            joints = []
            for _ in JOINTS:
                seen = g.chance(labelled)
                joints += [g.random.randint(box[0], box[2]), g.random.randint(box[1], box[3]), g.pick(1, 2)] if seen else [0, 0, 0]
            record["objects"].append(["person", box, round(bw * bh * 0.6, 1), int(g.chance(0.05))] + [joints])
        text, persons = [], []
        for o in g.random.sample(record["objects"], len(record["objects"])) * g.pick(1, 1, 1, 2):
            wobble, person = g.pick(0.5, 2, 6, 20), {}
            for k, name in enumerate(JOINTS):
                if (o[4][3 * k + 2] == 0 and g.chance(0.9)) or g.chance(0.1):
                    continue
                px = [o[4][3 * k] + g.random.uniform(-wobble, wobble) + dx, o[4][3 * k + 1] + g.random.uniform(-wobble, wobble) + dy]
                values = [f"{min(max(v / side, 0), 1):.3f}" for v in px]
                person[k] = [float(np.float32(float(v))) * side - (dx, dy)[j] for j, v in enumerate(values)]
                phrase = g.pick(name, name.replace("_", " "))
                text.append(f"<p>{phrase}</p>[{','.join(values)}]")
            if person:
                text.append("; ")
                persons.append(person)
        # A joint that the present person has begins the next; one that comes after none it has joins the person before.
        merged = []
        for person in persons:
            for k, xy in person.items():
                at = next((m for m in merged[-1:] if k not in m), None)
                if at is None:
                    merged.append(at := {})
                at[k] = xy
        malformed = False
        if g.chance(0.1):
            text.append(g.pick("<p>nose</p>[0.1,0.2,0.3]", "<p>knee</p>[0.1,0.2]", "[0.5,0.5]"))
            malformed = text[-1].endswith("0.3]")
        if g.chance(0.04):
            text, merged, malformed = [g.pick("nobody", "")], [], False
        answer = "".join(text)
        for n, person in enumerate(merged[:20]):
            keypoints = [v for k in range(17) for v in ([*person[k], 2] if k in person else [0, 0, 0])]
            results.append({"image_id": i + 1, "category_id": 1, "keypoints": keypoints, "score": 1000 - n})
        images.append({"id": i + 1, "width": w, "height": h})
        for _, b, area, crowd, joints in record["objects"]:
            annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": 1, "area": area, "iscrowd": crowd,
                                "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]], "keypoints": joints,
                                "num_keypoints": sum(v > 0 for v in joints[2::3])})
        cases.append(case(record, answer, 0.0, malformed or (not merged and bool(record["objects"]))))
        persons_of.append(merged[:20])
    e = coco_eval("keypoints", images, annotations, ["person"], results)
    n, right = np.zeros(17), np.zeros(17)
    for i, c in enumerate(cases):  # PCK: persons in their order take whom they are most like
        objects, alike = c["r"]["objects"], e.ious[i + 1, 1]
        free = [k for k, o in enumerate(objects) if not o[3] and any(o[4][2::3])]
        own_n, own_right = np.zeros(17), np.zeros(17)
        for k in free:
            own_n += np.array(objects[k][4][2::3]) > 0
        for p, person in enumerate(persons_of[i]):
            liked = [k for k in free if alike[p][k] > 0]
            if not liked:
                continue
            best = max(liked, key=lambda k: (alike[p][k], -k))
            free.remove(best)
            _, b, _, _, joints = objects[best]
            for k, (x, y) in person.items():
                if joints[3 * k + 2] > 0:
                    own_right[k] += np.hypot(x - joints[3 * k], y - joints[3 * k + 1]) <= 0.1 * max(b[2] - b[0], b[3] - b[1])
        c["s"] = float(own_right.sum() / own_n.sum()) if own_n.sum() else float(not persons_of[i])
        n, right = n + own_n, right + own_right
    s = e.stats
    figures = {"AP": s[0], "AP50": s[1], "AP75": s[2], "AP medium": s[3], "AP large": s[4], "AR": s[5]}
    return {"cases": cases, "figures": {k: or_none(v) for k, v in figures.items()} | {"PCK": 100 * right.sum() / n.sum()}
            | {f"joint: {name}": 100 * right[k] / n[k] for k, name in enumerate(JOINTS)}}
