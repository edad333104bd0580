"""Seconds per gradient step, beside PyTorch: every workload of the peers' step benchmark, interleaved.

    python bench/step_times.py                                  # everything, 1 and 2 threads, 3 rounds
    python bench/step_times.py cnn-mnist-100 --threads 1 --seconds 2 --rounds 5
    python bench/step_times.py --peer PEER/torch_step.py

Sides alternate (A B A B ...), each in a process of its own confined to the same cores. Every round also times a large
float64 product of matrices with our kernels; `gflops` over its speed is the fraction of the machine's peak that a step
reaches, counting only what the products of its layers need.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

from pinned import pinned

ROOT = Path(__file__).resolve().parent.parent
PLACES = [ROOT / "shared/bench/torch_step.py", ROOT.parent / "shared/bench/torch_step.py"]

MLPS = {
    "toy-40x5-40": (40, (5, 40, 1)),
    "toy-100x20-200": (100, (20, 200, 1)),
    "mlp-300x64-256": (300, (64, 256, 1)),
    "mlp-1797x64-1024": (1797, (64, 1024, 1)),
    "mlp-5000x784-1024": (5000, (784, 1024, 1)),
    "mlp-500x784-1000-1000": (500, (784, 1000, 1000, 1)),
}
CNN = "cnn-mnist-100"


def flops(workload):
    """Multiplications and additions of one step's products; the first layer needs no gradient of its inputs."""
    if workload == CNN:
        forward = [28 * 28 * 32 * 25, 14 * 14 * 64 * 288, 3136 * 1024, 1024 * 10]
        examples = 100
    else:
        examples, widths = MLPS[workload]
        forward = [a * b for a, b in zip(widths[:-1], widths[1:])]
    return sum(2 * examples * f * (2 if k == 0 else 3) for k, f in enumerate(forward))


def results(command, threads):
    """Runs one side on the first `threads` cores and returns its lines."""
    return [json.loads(line) for line in pinned(command, threads).splitlines()]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("workload", nargs="*", help=f"default: {', '.join([*MLPS, CNN])}")
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--rounds", type=int, default=3, help="how often each side is timed")
    p.add_argument("--seconds", type=float, default=3.0, help="measuring time of each side in each round")
    p.add_argument("--peer", type=Path, default=next((x for x in PLACES if x.exists()), None))
    p.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch")
    p.add_argument("--mnist", metavar="DIR", help="folder with the MNIST IDX files, for the peer")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/step_times.json")
    args = p.parse_args()
    args.workload = args.workload or [*MLPS, CNN]
    unknown = [w for w in args.workload if w not in MLPS and w != CNN]
    if unknown:
        p.error(f"unknown workload {unknown[0]!r}; choose from {', '.join([*MLPS, CNN])}")
    if args.peer is None:
        p.error("the peer's torch_step.py is not beside this project; give its path with --peer")
    return args


def main():
    args = arguments()
    build = ["cargo", "build", "--release", "-q", "-p", "latephase-core", "--example", "step_times"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = target / "release/examples/step_times"
    mnist = ["--mnist", args.mnist] if args.mnist else []
    table, lines = [], []
    for threads in args.threads:
        options = ["--threads", threads, "--seconds", args.seconds]
        for workload in args.workload:
            sides = {"ours": [], "peer": [], "product": []}
            for _ in range(args.rounds):
                sides["ours"] += results([ours, workload, *options], threads)
                sides["peer"] += results([args.python, args.peer, workload, *options, *mnist], threads)
                sides["product"] += results([ours, "product", "--threads", threads, "--seconds", 0.5], threads)
            lines += [line for side in sides.values() for line in side]
            time = {side: median(r["seconds_per_step"] for r in sides[side]) for side in ("ours", "peer")}
            best = {side: min(r["best_seconds_per_step"] for r in sides[side]) for side in ("ours", "peer")}
            peak = median(r["gflops"] for r in sides["product"])
            gflops = {side: flops(workload) / time[side] / 1e9 for side in time}
            table.append(
                {
                    "workload": workload,
                    "threads": threads,
                    "seconds_per_step": time["ours"],
                    "peer_seconds_per_step": time["peer"],
                    "ratio": time["peer"] / time["ours"],
                    "ratio_of_bests": best["peer"] / best["ours"],
                    "gflops": gflops["ours"],
                    "peer_gflops": gflops["peer"],
                    "product_gflops": peak,
                    "fraction_of_product": gflops["ours"] / peak,
                    "peer_fraction_of_product": gflops["peer"] / peak,
                }
            )
            row = table[-1]
            print(
                f"{workload:24} {threads} threads  ours {1e3 * time['ours']:10.4f} ms  peer {1e3 * time['peer']:10.4f} ms  "
                f"ratio {row['ratio']:6.2f} (bests {row['ratio_of_bests']:6.2f})  "
                f"of a large product {row['fraction_of_product']:5.2f} (peer {row['peer_fraction_of_product']:5.2f})",
                flush=True,
            )
    if args.rounds < 3:
        print("fewer than 3 rounds: nothing is written")
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "peer": lines[-1]["peer"] if not table else next(r["peer"] for r in lines if r["peer"] != lines[0]["peer"]),
        "rounds": args.rounds,
        "seconds": args.seconds,
        "dtype": "f64",
        "ratio": "the peer's median over ours: above 1 we are faster",
    }
    args.out.write_text(json.dumps({"about": about, "table": table, "lines": lines}, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
