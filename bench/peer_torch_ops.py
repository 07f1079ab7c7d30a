#!/usr/bin/env python3
"""PyTorch's times for the products of bench_ops, in its format: op, dtype, M, K, N, milliseconds, figure, unit.

    peer_torch_ops.py [-f filter] [-t threads] [-s seconds]

float32 activations; 16-bit weights are met with activations of the same type, which is what a PyTorch user would run.
"""
import argparse

import torch

from timing import median_within

SIZES = [(1024, 1024), (1024, 3072), (1024, 4096), (4096, 1024), (1536, 4608), (1536, 8192), (4096, 1536),
         (1408, 6144), (2048, 5632), (5120, 5120), (5120, 13824), (13824, 5120), (5632, 5120)]
ROWS = [1, 4, 8, 16, 32, 257, 351, 1515]
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
MEMORY = 512 << 20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-f", default="")
    parser.add_argument("-t", type=int, default=2)
    parser.add_argument("-s", type=float, default=0.3)
    args = parser.parse_args()
    torch.set_num_threads(args.t)
    for name, dtype in TYPES.items():
        for m in ROWS:
            for k, n in SIZES:
                if args.f not in f"linear {name} {m}x{k}x{n}":
                    continue
                size = n * k * torch.finfo(dtype).bits // 8
                weights = [torch.rand(n, k).to(dtype) for _ in range(max(1, min(MEMORY // size, 64)))]
                x = torch.rand(m, k).to(dtype)
                with torch.inference_mode():
                    t = median_within(args.s, lambda i: torch.nn.functional.linear(x, weights[i % len(weights)]))
                figure, unit = (size / t, "GB/s") if m <= 4 else (2 * m * k * n / t, "GFLOP/s")
                print(f"linear\t{name}\t{m}\t{k}\t{n}\t{t * 1e3:.3f}\t{figure / 1e9:.1f}\t{unit}", flush=True)


if __name__ == "__main__":
    main()
