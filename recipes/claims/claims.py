#!/usr/bin/env python3
"""What mixing brings, measured: the claims of the SPHINX paper at the scale of sphinx-nano. One command, one report with plots.

    claims.py SPHINX BASE OUT [--views CONFIG5] [--steps N] [--seeds N] [--questions N] [--only tasks,domains,encoders,views]

BASE is a model that sees, and has begun with all tasks (recipes/sphinx-nano writes it: stage1). From it every run of a comparison learns for
the same number of steps, with the encoders frozen, on pictures that `sphinx synth` draws; then it is put to held-out questions. Every
number in the report is a mean over seeds (of the data's order) with the least and the most. What is there already is not computed
again, so that parts may come one after the other (--only), or after an interruption, and a last call writes the report of all.

    tasks      one model for all tasks beside a model for each, of as many steps in all, and in each
    domains    a model taught on photos, then one on drawings from it, and their weights mixed: both domains over beta
    encoders   all four, each alone, each left out
    views      one view beside five, on pictures of twice the side
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

from plots import bars, lines

ENCODERS = ["clip", "convnext", "dinov2", "qformer"]
TASKS = ["vqa", "rec", "ocr", "det", "caption"]
BETAS = [0, 0.25, 0.5, 0.75, 1]
MIX = "mix"  # the run that learns all tasks with all encoders: of two comparisons
VIEWS = {"one view": "llama_ens", "five views": "llama_ens5"}


class Bench:
    """Data, runs and scores in a folder, each made once."""

    def __init__(self, args):
        self.args = args

    def path(self, *names) -> str:
        return os.path.join(self.args.out, *names)

    def sphinx(self, *words) -> str:
        command = [self.args.sphinx, *map(str, words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def data(self, name, split, scenes, *options) -> str:
        folder = self.path("data", name)
        if not os.path.exists(folder):
            self.sphinx("synth", folder, "-q", "--split", split, "--count", scenes, *options)
        return folder

    def learnt(self, name, base, data, seed, steps, **keys) -> str:
        """The checkpoint of a run from `base`; keys are those of docs/train.md."""
        out = self.path("runs", f"{name}-{seed}")
        final = os.path.join(out, "final")
        if os.path.exists(final):
            return os.readlink(final)
        data = os.path.abspath(data)
        told = {"path": os.path.join(data, "annotations", "mix.json"), "root": os.path.join(data, "images"), "type": "image_text",
                "turns": "apart"}  # else questions about a picture tell each other's answers, and one encoder is as good as four
        config = {
            "model": os.path.abspath(base), "META": [told], "feature_cache": 2048,
            "batch_size": 16, "accum_iter": 1, "epochs": 1000, "max_steps": steps, "warmup_steps": max(1, steps // 20),
            "lr": 5e-4, "min_lr": 0.0, "clip_grad": 1.0, "weight_decay": 0.0, "max_words": 2048, "precision": "f32",
            "seed": seed, "keep": 1, **keys,
        }
        os.makedirs(out, exist_ok=True)
        settings = os.path.join(out, "config.yaml")
        with open(settings, "w", encoding="utf-8") as f:
            f.writelines(f"{key}: {json.dumps(value)}\n" for key, value in config.items())
        shutil.rmtree(os.path.join(out, "run"), ignore_errors=True)  # of an interrupted call
        self.sphinx("train", settings, "-q", "-o", os.path.join(out, "run"), "-t", self.args.threads)
        newest = max((e.path for e in os.scandir(os.path.join(out, "run")) if e.is_dir()), key=os.path.getmtime)
        os.symlink(os.path.abspath(newest), final)
        return newest

    def score(self, name, model, data, *options) -> dict:
        """Task -> its score in percent; "" -> their mean."""
        out = self.path("scores", name)
        report = out + ".json"
        if not os.path.exists(report):
            os.makedirs(self.path("scores"), exist_ok=True)
            text = self.sphinx("eval", "-q", "-m", model, "--data", data, "--task", os.path.join(data, "benchmarks.json"), "--sample",
                               self.args.questions, "-s", 1, "-o", out, "--json", "-t", self.args.threads, *options)
            with open(report, "w", encoding="utf-8") as f:
                f.write(text)
        with open(report, encoding="utf-8") as f:
            scores = {b["name"][len("synth_"):]: b["score"] for b in json.load(f)["benchmarks"]}
        scores[""] = sum(scores.values()) / len(scores)
        return scores


class Figures:
    """Values over seeds, by row and column of a table."""

    def __init__(self):
        self.rows = {}

    def add(self, row, column, value) -> None:
        self.rows.setdefault(row, {}).setdefault(column, []).append(value)

    def mean(self, row, column) -> float:
        values = self.rows[row][column]
        return sum(values) / len(values)

    def table(self, head) -> str:
        columns = list(next(iter(self.rows.values())))
        text = f"| {head} | " + " | ".join(columns) + " |\n" + "|---" * (1 + len(columns)) + "|\n"
        for row, cells in self.rows.items():
            text += f"| {row} |"
            for column in columns:
                v = cells[column]
                text += f" {sum(v) / len(v):.1f} ({min(v):.1f} to {max(v):.1f}) |" if len(v) > 1 else f" {v[0]:.1f} |"
            text += "\n"
        return text


# ---- the comparisons: each returns its section of the report ----------------------------------------------------------------


def tasks(b) -> str:
    held_out = b.data("test", "test", b.args.scenes, "--tasks", ",".join(TASKS))
    learned = {t: b.data(f"train-{t}", "train", b.args.pictures, "--turns", 5, "--tasks", t) for t in TASKS}
    mixed = b.data("train-mix", "train", b.args.pictures, "--turns", 5, "--tasks", ",".join(TASKS))
    figures = Figures()
    for t, score in b.score("base", b.args.base, held_out).items():
        if t:
            figures.add("nothing: the base", t, score)
    for seed in range(b.args.seeds):
        runs = {f"only {t}": (learned[t], b.args.steps) for t in TASKS}
        runs["the mix, as many steps as one task"] = (mixed, b.args.steps)
        runs["the mix, as many steps as all tasks"] = (mixed, b.args.steps * len(TASKS))
        for name, (data, steps) in runs.items():
            short = MIX if name.endswith("as one task") else f"tasks-{name.replace(',', '').replace(' ', '-')}"
            scores = b.score(f"{short}-{seed}", b.learnt(short, b.args.base, data, seed, steps), held_out)
            for t in TASKS:
                figures.add(name, t, scores[t])
    singles = [figures.mean(f"only {t}", t) for t in TASKS]
    mixes = [figures.mean(name, t) for name in list(figures.rows)[-2:] for t in TASKS]
    plot = bars(b.path("tasks.svg"), "Task mix beside one task each", TASKS, {
        "one task": singles, "mix, same steps": mixes[:len(TASKS)], "mix, all steps": mixes[len(TASKS):]})
    return section("Task mix", plot, figures.table("learned"), "Rows are models, columns the held-out questions of a task, in percent.")


def domains(b) -> str:
    held_out = {d: b.data(f"test-{d}", "test", b.args.scenes, "--tasks", "caption,grounded_caption", "--domain", d) for d in ("photo", "vector")}
    learned = {d: b.data(f"train-{d}", "train", b.args.pictures, "--turns", 2, "--tasks", "caption,grounded_caption", "--domain", d)
               for d in ("photo", "vector")}
    figures = Figures()
    for seed in range(b.args.seeds):
        real = b.learnt("domain-photo", b.args.base, learned["photo"], seed, b.args.steps)
        drawn = b.learnt("domain-vector", real, learned["vector"], seed, b.args.steps)
        for beta in BETAS:
            for domain, data in held_out.items():
                scores = b.score(f"beta-{beta}-{domain}-{seed}", f"{real}:{beta},{drawn}:{1 - beta}", data)
                figures.add(f"{beta}", f"{domain}s" if domain == "photo" else "drawings", scores[""])
    for row in figures.rows.values():
        row["both"] = [(p + v) / 2 for p, v in zip(row["photos"], row["drawings"])]
    plot = lines(b.path("domains.svg"), "Domain mix", "beta: share of the model of photos", BETAS, {
        c: [figures.mean(f"{beta}", c) for beta in BETAS] for c in ("photos", "drawings", "both")})
    return section("Domain mix", plot, figures.table("beta"),
                   "Captions with and without boxes, in percent. beta 0 is the model of drawings, which learned from that of photos, beta 1.")


def encoders(b) -> str:
    held_out = b.data("test", "test", b.args.scenes, "--tasks", ",".join(TASKS))
    learned = b.data("train-mix", "train", b.args.pictures, "--turns", 5, "--tasks", ",".join(TASKS))
    figures = Figures()
    kinds = {"all four": []}
    kinds.update({f"only {one}": [e for e in ENCODERS if e != one] for one in ENCODERS})
    kinds.update({f"without {one}": [one] for one in ENCODERS})
    for seed in range(b.args.seeds):
        for name, without in kinds.items():
            short = f"encoders-{name.replace(' ', '-')}" if without else MIX
            model = b.learnt(short, b.args.base, learned, seed, b.args.steps, **({"without": without} if without else {}))
            scores = b.score(f"{short}-{seed}", model, held_out, *(["--without", ",".join(without)] if without else []))
            for t in [*TASKS, ""]:
                figures.add(name, t if t else "mean", scores[t])
    plot = bars(b.path("encoders.svg"), "Encoders", list(kinds), {"mean over tasks": [figures.mean(k, "mean") for k in kinds]})
    return section("Embedding mix", plot, figures.table("encoders"),
                   "Each row's language model learned with these encoders alone; what is left out is zero, in training as afterwards.")


def views(b) -> str:
    """Pictures of twice the side: five views see them whole and in four quarters at full size, one view sees half the pixels."""
    side = 2 * b.args.side
    held_out = b.data("test-large", "test", b.args.scenes, "--tasks", "ocr,det,rec,chart", "--size", side)
    learned = b.data("train-large", "train", b.args.pictures, "--turns", 5, "--tasks", "ocr,det,rec,chart", "--size", side)
    figures = Figures()
    for seed in range(b.args.seeds):
        for name, llama_type in VIEWS.items():
            keys = {"llama_type": llama_type}
            options = ["--llama-type", llama_type]
            if llama_type != "llama_ens":
                keys["llama_config"] = os.path.abspath(b.args.views)
                options += ["--config", b.args.views]
            short = f"views-{llama_type}"
            scores = b.score(f"{short}-{seed}", b.learnt(short, b.args.base, learned, seed, b.args.steps, **keys), held_out, *options)
            for t, score in scores.items():
                figures.add(name, t if t else "mean", score)
    plot = bars(b.path("views.svg"), "Views", list(next(iter(figures.rows.values()))), {
        row: [figures.mean(row, c) for c in cells] for row, cells in figures.rows.items()})
    return section("One view, five views", plot, figures.table("sees"), f"Pictures of {side} pixels.")


def section(title, plot, table, note) -> str:
    return f"## {title}\n\n{note}\n\n![{title}]({os.path.basename(plot)})\n\n{table}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sphinx")
    parser.add_argument("base")
    parser.add_argument("out")
    parser.add_argument("--views", help="config.json of the model with five views")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--pictures", type=int, default=8000, help="to learn from")
    parser.add_argument("--scenes", type=int, default=1000, help="held out")
    parser.add_argument("--side", type=int, default=112, help="pixels that one view sees")
    parser.add_argument("--only", default="tasks,domains,encoders,views")
    parser.add_argument("-t", "--threads", type=int, default=2)
    args = parser.parse_args()
    wanted = args.only.split(",")
    if "views" in wanted and args.views is None:
        parser.error("--views: the config.json of a model with five views is needed to compare views")
    os.makedirs(os.path.join(args.out, "data"), exist_ok=True)
    b = Bench(args)
    text = (f"# What mixing brings\n\nWritten by `recipes/claims/claims.py`: {args.steps} steps of 16 conversations a run, {args.seeds} seeds, "
            f"{args.questions} held-out questions a task; in brackets the least and the most over seeds.\n\n")
    text += "".join({"tasks": tasks, "domains": domains, "encoders": encoders, "views": views}[name](b) for name in wanted)
    with open(b.path("claims.md"), "w", encoding="utf-8") as f:
        f.write(text)
    print(f"written: {b.path('claims.md')}")


if __name__ == "__main__":
    main()
