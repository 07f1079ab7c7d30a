#!/usr/bin/env python3
"""iou.py SPHINX MODEL SCENES - mean IoU of the masks that a segmenter makes of true boxes, for scenes of `sphinx synth --masks`: of all, of
drawings (PNG) and of pictures like photos (JPEG)."""
import json
import os
import subprocess
import sys


def pixels(mask) -> int:
    """COCO's compressed run lengths as a number whose bits are the mask's pixels."""
    runs, text, at = [], mask["counts"], 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            group = ord(text[at]) - 48
            at += 1
            value |= (group & 0x1F) << shift
            shift += 5
            more = group & 0x20
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    bits = start = 0
    for i, run in enumerate(runs):
        if i % 2 == 1:
            bits |= ((1 << run) - 1) << start
        start += run
    return bits


def count(bits) -> int:
    return bin(bits).count("1")


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sphinx, model, scenes = sys.argv[1:]
    with open(os.path.join(scenes, "annotations", "masks.json"), encoding="utf-8") as f:
        told = json.load(f)
    names, things, found = {image["id"]: image["file_name"] for image in told["images"]}, {}, {}
    for thing in told["annotations"]:
        things.setdefault(thing["image_id"], []).append(thing)
    for image, asked in things.items():
        boxes = []
        for x, y, width, height in (thing["bbox"] for thing in asked):
            boxes += ["--box", f"{x},{y},{x + width},{y + height}"]
        done = subprocess.run([sphinx, "segment", "-q", "--json", "--sam", model, "-i", os.path.join(scenes, "images", names[image]), *boxes],
                              stdout=subprocess.PIPE, check=True)
        for thing, mask in zip(asked, json.loads(done.stdout)["masks"]):
            want, got = pixels(thing["segmentation"]), pixels(mask["segmentation"])
            found.setdefault(os.path.splitext(names[image])[1], []).append(count(want & got) / count(want | got))
    found = {"all": sum(found.values(), []), **found}
    for kind, values in found.items():
        print(f"{kind}: IoU {sum(values) / len(values):.4f} of {len(values)} masks")


if __name__ == "__main__":
    main()
