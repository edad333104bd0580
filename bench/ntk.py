"""The tangent kernel of a 64-512-512-1 ReLU network on 300 digits, beside PyTorch, interleaved.

    python bench/ntk.py                                # 1 and 2 threads, 5 rounds
    python bench/ntk.py --threads 1 --rounds 3 --examples 100

All sides use the same float64 weights. PyTorch computes the same kernel in two ways: the sum of layer-wise products of
Gram matrices, and explicit per-example Jacobians (`vmap(jacrev)`). Sides alternate, each in a process of its own confined to
the same cores; the kernels are compared entry by entry.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from pinned import pinned

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--rounds", type=int, default=5, help="how often each side is started")
    p.add_argument("--repeats", type=int, default=20, help="kernels in each start; the median counts")
    p.add_argument("--examples", type=int, default=300)
    p.add_argument("--width", type=int, default=512)
    p.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch and scikit-learn")
    p.add_argument("--ours", type=Path, help="the example `ntk`, built; by default it is built here")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/ntk.json")
    p.add_argument("--side", help=argparse.SUPPRESS)
    p.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return p.parse_args()


def timed(kernel, repeats):
    """(median, best) seconds of `repeats` calls after one that warms up, and the last kernel."""
    kernel()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        k = kernel()
        spent.append(time.perf_counter() - start)
    return median(spent), min(spent), k


def torch_side(args):
    import numpy as np
    import torch
    from torch.func import jacrev, vmap

    threads = args.threads[0]
    torch.set_num_threads(threads)
    widths = (64, args.width, args.width, 1)
    numbers = np.fromfile(args.folder / "inputs.f64")
    x = torch.tensor(numbers[: args.examples * 64].reshape(-1, 64))
    weights, at = [], args.examples * 64
    for a, b in zip(widths[:-1], widths[1:]):
        weights.append(torch.tensor(numbers[at : at + a * b].reshape(b, a)))
        at += a * b

    def by_layers():
        inputs, gates = [x], []
        for w in weights[:-1]:
            z = inputs[-1] @ w.T
            gates.append(z > 0)
            inputs.append(torch.relu(z))
        delta = torch.ones(len(x), 1, dtype=x.dtype)
        k = torch.zeros(len(x), len(x), dtype=x.dtype)
        for layer in reversed(range(len(weights))):
            k += (inputs[layer] @ inputs[layer].T) * (delta @ delta.T)
            if layer:
                delta = (delta @ weights[layer]) * gates[layer - 1]
        return k

    def output(weights, row):
        for w in weights[:-1]:
            row = torch.relu(w @ row)
        return (weights[-1] @ row)[0]

    def by_jacobians():
        rows = vmap(jacrev(output), in_dims=(None, 0))(weights, x)
        return sum(j.reshape(len(x), -1) @ j.reshape(len(x), -1).T for j in rows)

    ways = {"layers": ("layer-wise Gram products", by_layers), "jacobians": ("vmap(jacrev)", by_jacobians)}
    method, kernel = ways[args.side]
    with torch.no_grad():
        seconds, best, k = timed(kernel, args.repeats if args.side == "layers" else 2)
    k.numpy().tofile(args.folder / f"{args.side}.f64")
    line = {"peer": f"torch {torch.__version__}", "seconds": seconds, "best_seconds": best, "method": method}
    print(json.dumps({**line, "trace": float(k.trace()), "threads": threads}))


def run(command, threads):
    """One side on the first `threads` cores; its line."""
    return json.loads(pinned(command, threads))


def main():
    args = arguments()
    if args.side:
        return torch_side(args)
    import numpy as np
    from sklearn.datasets import load_digits

    ours = args.ours
    if ours is None:
        build = ["cargo", "build", "--release", "-q", "-p", "latephase-core", "--example", "ntk"]
        subprocess.run(build, cwd=ROOT, check=True)
        ours = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/ntk"
    widths = (64, args.width, args.width, 1)
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((b, a)) / math.sqrt(a) for a, b in zip(widths[:-1], widths[1:])]
    x = load_digits().data[: args.examples] / 16.0
    table, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        np.concatenate([x.ravel(), *(w.ravel() for w in weights)]).tofile(folder / "inputs.f64")
        for threads in args.threads:
            here = ["--threads", threads, "--repeats", args.repeats]
            names = ",".join(map(str, widths))
            sides = {
                "ours": [ours, folder / "inputs.f64", args.examples, *here, "--widths", names]
                + ["--kernel", folder / "ours.f64"]
            }
            for side in ("layers", "jacobians"):
                peer = [args.python, __file__, "--side", side, "--folder", folder, *here]
                sides[side] = [*peer, "--examples", args.examples, "--width", args.width]
            found = {side: [] for side in sides}
            for k in range(args.rounds):
                for side, command in sides.items():
                    # Two hundred times slower: one round of it says enough.
                    if side != "jacobians" or k == 0:
                        found[side].append(run(command, threads))
            kernels = {side: np.fromfile(folder / f"{side}.f64").reshape(args.examples, -1) for side in sides}
            size = np.sqrt(np.outer(np.diag(kernels["ours"]), np.diag(kernels["ours"])))
            off = {s: float(np.max(np.abs(kernels[s] - kernels["ours"]) / size)) for s in ("layers", "jacobians")}
            seconds = {side: median(r["seconds"] for r in rows) for side, rows in found.items()}
            best = {side: min(r["best_seconds"] for r in rows) for side, rows in found.items()}
            table.append(
                {
                    "threads": threads,
                    "seconds": seconds["ours"],
                    "peer_seconds": seconds["layers"],
                    "peer_jacobians_seconds": seconds["jacobians"],
                    "ratio": seconds["layers"] / seconds["ours"],
                    "ratio_of_bests": best["layers"] / best["ours"],
                    "ratio_to_jacobians": seconds["jacobians"] / seconds["ours"],
                    "largest_difference": off["layers"],
                    "largest_difference_to_jacobians": off["jacobians"],
                }
            )
            lines += [line for rows in found.values() for line in rows]
            row = table[-1]
            print(
                f"{threads} threads  ours {1e3 * row['seconds']:8.3f} ms  torch, layer-wise "
                f"{1e3 * row['peer_seconds']:8.3f} ms  ratio {row['ratio']:5.2f} (bests {row['ratio_of_bests']:5.2f})  "
                f"Jacobians {1e3 * row['peer_jacobians_seconds']:9.2f} ms ({row['ratio_to_jacobians']:.0f})  "
                f"off by {row['largest_difference_to_jacobians']:.1e}",
                flush=True,
            )
    if args.rounds < 3:
        print("fewer than 3 rounds: nothing is written")
        return
    about = {
        "workload": f"ntk {args.examples}x{args.examples} {'-'.join(map(str, widths))}",
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": args.rounds,
        "repeats": args.repeats,
        "dtype": "f64",
        "ratio": "the peer's median over ours: above 1 we are faster",
        "difference": "largest |K - K'| over the product of the two members' norms",
    }
    args.out.write_text(json.dumps({"about": about, "table": table, "lines": lines}, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
