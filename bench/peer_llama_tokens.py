#!/usr/bin/env python3
"""What llama.cpp, by its Python package, answers to prompts of token ids, and how sure it was: the peer of bench/same_tokens.

Standard input: {"model": path, "threads": N, "jobs": [{"prompt": [ids], "answer": [ids]}, ...]}. Standard output, for each job:
    greedy   as many tokens as the answer has, the likeliest each time
    forced   for each token of the answer, when all before it are the answer's: the likeliest token, and how much larger its logit is
             than that of the answer's token (0 where they are the same) and than that of the next likeliest
    logits   after the prompt
"""
import json
import sys

import llama_cpp
import numpy as np


class Peer:
    def __init__(self, path: str, room: int, threads: int):
        self.model = llama_cpp.Llama(path, n_ctx=room, n_batch=room, n_threads=threads, n_threads_batch=threads, verbose=False)

    def logits(self, ids) -> np.ndarray:
        """After ids, which go on behind what was evaluated before."""
        self.model.eval(list(ids))
        found = llama_cpp.llama_get_logits_ith(self.model.ctx, -1)
        return np.ctypeslib.as_array(found, shape=(self.model.n_vocab(),)).copy()

    def job(self, prompt, answer) -> dict:
        self.model.reset()
        first = x = self.logits(prompt)
        forced = []
        for token in answer:
            next_best, best = np.argsort(x)[-2:]
            forced.append([int(best), float(x[best] - x[token]), float(x[best] - x[next_best])])
            x = self.logits([token])
        self.model.reset()
        x, greedy = self.logits(prompt), []
        for _ in answer:
            greedy.append(int(x.argmax()))
            x = self.logits([greedy[-1]])
        return {"greedy": greedy, "forced": forced, "logits": first.tolist()}


def main() -> None:
    asked = json.load(sys.stdin)
    room = max(len(j["prompt"]) + len(j["answer"]) for j in asked["jobs"]) + 8
    peer = Peer(asked["model"], room, asked["threads"])
    json.dump([peer.job(j["prompt"], j["answer"]) for j in asked["jobs"]], sys.stdout)


if __name__ == "__main__":
    main()
