#!/usr/bin/env python3
"""What llama.cpp, by its Python package, takes for a GGUF of a language model: the peer of `sphinx bench --no-image`.

    peer_llama.py MODEL.gguf [--prefill N,N] [--tokens N] [-t THREADS] [-r RUNS] [--flash-attention]

One line a part: its name, the median of the runs in seconds, the tokens of one run. Tokens are random, as in `sphinx bench`.
"""
import argparse
import random

import llama_cpp

from timing import median


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prefill", default="351")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--flash-attention", action="store_true")
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-r", type=int, default=3)
    args = parser.parse_args()
    lengths = [int(n) for n in args.prefill.split(",")]
    room = max(max(lengths), lengths[-1] + args.tokens)
    model = llama_cpp.Llama(args.model, n_ctx=room + 8, n_batch=max(lengths), n_ubatch=512, n_threads=args.t, n_threads_batch=args.t,
                            flash_attn=args.flash_attention, verbose=False)
    draw = random.Random(1)
    ids = [draw.randrange(3, model.n_vocab()) for _ in range(room)]

    def prefill(n: int) -> None:
        model.reset()
        model.eval(ids[:n])

    def decode() -> None:
        for i in range(args.tokens):
            model.eval([ids[lengths[-1] + i]])
        model.n_tokens = lengths[-1]  # the next run goes on behind the prompt again

    for n in lengths:
        print(f"prefill {n}\t{median(args.r, lambda: prefill(n)):.4f}\t{n}", flush=True)
    if args.tokens > 0:
        prefill(lengths[-1])
        print(f"decode\t{median(args.r, decode):.4f}\t{args.tokens}", flush=True)


if __name__ == "__main__":
    main()
