"""Time and peak memory of a step against examples, width, depth and parameters, with fitted exponents.

    python bench/scale.py                                  # some three minutes; one thread
    python bench/scale.py --series width --threads 2

Each point is a process of its own that steps a bias-free ReLU network on Gaussian inputs: the best part of its steps, and the
most memory that it held beyond what it held before the problem was made. Exponents are slopes of least squares on logarithms
over the larger half of a series, where fixed costs have died away. `models` is the memory beyond the examples over that of
the weights: what a step holds for each of them.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

from pinned import pinned

ROOT = Path(__file__).resolve().parent.parent
# Examples, inputs, widths of the hidden layers.
SERIES = {
    "examples": [(n, 20, [64]) for n in (250, 1000, 4000, 16000, 64000)],
    "examples, deep": [(n, 20, [64, 64]) for n in (250, 1000, 4000, 16000)],
    "width": [(400, 20, [w]) for w in (32, 128, 512, 2048, 8192)],
    "depth": [(400, 20, [128] * k) for k in (1, 2, 4, 8, 16)],
    "parameters": [(200, 64, [w, w]) for w in (64, 256, 1024, 2048)],
}


def parameters(inputs, widths):
    return sum(a * b for a, b in zip([inputs, *widths], [*widths, 1]))


def flops(examples, inputs, widths):
    layers = list(zip([inputs, *widths], [*widths, 1]))
    return sum(2 * examples * a * b * (2 if k == 0 else 3) for k, (a, b) in enumerate(layers))


def slope(pairs):
    """Least squares on logarithms, over the larger half."""
    pairs = [(math.log(x), math.log(y)) for x, y in pairs[len(pairs) // 2 - (len(pairs) < 4) :] if y > 0]
    mx, my = (sum(c) / len(pairs) for c in zip(*pairs))
    return sum((x - mx) * (y - my) for x, y in pairs) / sum((x - mx) ** 2 for x, _ in pairs)


def measure(binary, threads, seconds, examples, inputs, widths):
    name = f"mlp-{examples}x{inputs}-" + "-".join(map(str, widths))
    line = json.loads(pinned([binary, name, "--threads", threads, "--seconds", seconds], threads))
    data, model = 8 * examples * inputs, 8 * parameters(inputs, widths)
    memory = 1024 * (line["peak_kilobytes"] - line["start_kilobytes"])
    time = line["least_seconds_per_step"]
    return dict(examples=examples, inputs=inputs, width=widths[0], depth=len(widths), parameters=model // 8, seconds=time,
                gflops=flops(examples, inputs, widths) / time / 1e9, memory=memory, beyond_examples=memory - data,
                models=(memory - data) / model)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seconds", type=float, default=0.5)
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/scale.json")
    args = p.parse_args()
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "latephase-core", "--example", "step_times"], cwd=ROOT, check=True)
    binary = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/step_times"
    result = {"threads": args.threads, "series": {}}
    for name in args.series:
        points = [measure(binary, args.threads, args.seconds, *point) for point in SERIES[name]]
        keys = {"width": "width", "depth": "depth", "parameters": "parameters"}
        against = keys.get(name, "examples")
        fits = {what: slope([(x[against], x[what]) for x in points]) for what in ("seconds", "memory", "beyond_examples")}
        result["series"][name] = dict(against=against, exponents=fits, points=points)
        print(f"{name}: seconds ~ {against}^{fits['seconds']:.2f}, memory ~ {against}^{fits['memory']:.2f}")
        for x in points:
            print(f"   {x[against]:8}  {1e6 * x['seconds']:12.1f} us  {x['gflops']:6.1f} GFLOP/s  {x['memory'] / 1e6:8.1f} MB, "
                  f"{x['models']:.1f} models beyond the examples", flush=True)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
