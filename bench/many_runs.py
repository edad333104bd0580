"""Many small runs to a loss of 1e-100: ours in memory beside a loop in PyTorch and beside JAX.

    python bench/many_runs.py                                # 1 and 2 threads, 3 rounds
    python bench/many_runs.py --rounds 1 --decades 30
    python bench/many_runs.py --side jax-map --runs 100      # one side alone: a line of JSON

Twenty points of the unit sphere in five dimensions, labelled by the sign of the product of their first two coordinates; a
bias-free ReLU network 5-50-1 under the exponential loss, full batch, float64, each run from weights of its own (normal,
variance 2/fan-in). Sides:

steps      ours: steps whose predicted fall of ln L is 0.1, none refused
bundle     ours: the flow through kinks (kappa 0.015), to the same loss; its margin is within 1 % of the steps'
torch      the same steps: eager PyTorch, one run after the other
jax-map    the same steps in one compiled program, one run after the other
jax-vmap   the same, all runs at once by `vmap`

Peers see ln L itself, so that nothing underflows. With two threads the loops of torch and jax-map are two processes of one
thread each, which is the faster way; jax-vmap has both threads. Fewer peer runs are timed than ours, and compared by seconds
per run, compilation and the first run left out. Margins at the end say that all arrived at the same place.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
N, DIM, WIDTH, ETA = 20, 5, 50, 0.1
PEERS = ("torch", "jax-map", "jax-vmap")
OURS = {
    "steps": f'{{ kind = "stepped", pace = {{ kind = "unit-decrease", eta = {ETA}, factor = inf }} }}',
    "bundle": '{ kind = "bundle", kappa = 0.015, epsilon = 0.06, members = 40 }',
}


def problem():
    """Inputs of length 1, and signs."""
    x = np.random.default_rng(7).standard_normal((N, DIM))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.where(x[:, 0] * x[:, 1] > 0, 1.0, -1.0)


def starts(runs):
    """Two stacks of matrices (out x in), a pair a run."""
    rng = np.random.default_rng(11)
    shapes = ((runs, WIDTH, DIM), (runs, 1, WIDTH))
    return [rng.standard_normal(shape) * math.sqrt(2.0 / shape[-1]) for shape in shapes]


def spec(folder, side, decades, look):
    """Our spec, beside the data in a table."""
    x, y = problem()
    rows = [",".join([*(repr(float(v)) for v in row), f"{label:.0f}"]) for row, label in zip(x, y)]
    (folder / "points.csv").write_text("\n".join(rows) + "\n")
    text = f'''data = {{ kind = "csv", path = "{folder / "points.csv"}" }}
model = {{ kind = "mlp", widths = [{WIDTH}] }}
loss = "exponential"
algorithm = {OURS[side]}
probes = ["margin"]
look = {{ per_decade_of_ln_loss = {look} }}
stop = {{ steps = 1000000, log10_loss = -{decades:g} }}
'''
    path = folder / f"{side}.toml"
    path.write_text(text)
    return path


def result(side, runs, seconds, steps, ln_loss, margin, version):
    return dict(side=side, peer=version, runs=runs, seconds=seconds, seconds_per_run=seconds / runs, steps=float(np.mean(steps)),
                log10_loss=float(np.mean(ln_loss)) / math.log(10), margin=float(np.mean(margin)))


def torch_loop(runs, decades):
    import torch

    torch.set_num_threads(1)
    x, y = (torch.tensor(a) for a in problem())
    goal = -decades * math.log(10)

    def train(first, second, most=10**9):
        first, second = torch.tensor(first).requires_grad_(), torch.tensor(second).requires_grad_()
        steps = 0
        while True:
            ln_loss = torch.logsumexp(-y * (torch.relu(x @ first.T) @ second.T)[:, 0], 0)
            if ln_loss.item() <= goal or steps >= most:
                break
            grads = torch.autograd.grad(ln_loss, (first, second))
            with torch.no_grad():
                rate = ETA / (grads[0].square().sum() + grads[1].square().sum())
                first -= rate * grads[0]
                second -= rate * grads[1]
            steps += 1
        with torch.no_grad():
            q = y * (torch.relu(x @ first.T) @ second.T)[:, 0]
            return steps, ln_loss.item(), (q.min() / (first.square().sum() + second.square().sum())).item()

    pairs = list(zip(*starts(runs)))
    train(*pairs[0], most=50)
    start = time.perf_counter()
    ends = [train(*pair) for pair in pairs]
    return result("torch", runs, time.perf_counter() - start, *zip(*ends), f"torch {torch.__version__.split('+')[0]}")


def jax_runs(side, runs, decades):
    import jax
    import jax.numpy as jnp
    from jax import lax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    x, y = (jnp.asarray(a) for a in problem())
    goal = -decades * math.log(10)

    def outputs(weights):
        return y * (jax.nn.relu(x @ weights[0].T) @ weights[1].T)[:, 0]

    def ln_loss(weights):
        return jax.nn.logsumexp(-outputs(weights))

    def train(weights):
        def go_on(state):
            return state[2] > goal

        def step(state):
            weights, grads, _, steps = state
            rate = ETA / (jnp.sum(grads[0] ** 2) + jnp.sum(grads[1] ** 2))
            weights = [w - rate * g for w, g in zip(weights, grads)]
            value, grads = jax.value_and_grad(ln_loss)(weights)
            return weights, grads, value, steps + 1

        value, grads = jax.value_and_grad(ln_loss)(weights)
        weights, _, value, steps = lax.while_loop(go_on, step, (weights, grads, value, 0))
        return steps, value, outputs(weights).min() / (jnp.sum(weights[0] ** 2) + jnp.sum(weights[1] ** 2))

    whole = jax.jit(jax.vmap(train) if side == "jax-vmap" else lambda stacks: lax.map(train, stacks))
    stacks = [jnp.asarray(s) for s in starts(runs)]
    compiled = whole.lower(stacks).compile()
    start = time.perf_counter()
    ends = jax.block_until_ready(compiled(stacks))
    return result(side, runs, time.perf_counter() - start, *ends, f"jax {jax.__version__}")


def one_side(args):
    """A peer's runs in this process."""
    run = torch_loop(args.runs, args.decades) if args.side == "torch" else jax_runs(args.side, args.runs, args.decades)
    print(json.dumps(run))


def start(command, cores):
    return subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, cores))


def ended(process):
    out = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"a side of the race failed: {process.args}")
    return json.loads(out.splitlines()[-1])


def timed(args, side, threads, folder):
    """One side with so many threads; seconds per run."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    if side in OURS:
        path = spec(folder, side, args.decades, args.look)
        command = [args.binary, path, "--runs", args.runs, "--threads", threads]
        line = ended(start(command, cores))
        return line | dict(side=side, seconds_per_run=line["seconds"] / args.runs)
    runs = {"torch": args.torch_runs, "jax-map": args.map_runs, "jax-vmap": args.vmap_runs}[side]
    command = [args.python, __file__, "--side", side, "--runs", runs, "--decades", args.decades]
    if side == "jax-vmap" or threads == 1:
        return ended(start(command, cores))
    lines = [ended(p) for p in [start(command, [core]) for core in cores]]
    line = max(lines, key=lambda line: line["seconds"])
    return line | dict(runs=runs * threads, seconds_per_run=line["seconds"] / (runs * threads))


def arguments(given=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--side", choices=PEERS, help="one peer alone, in this process")
    p.add_argument("--runs", type=int, default=1000, help="of ours, or of the one side")
    p.add_argument("--torch-runs", type=int, default=2)
    p.add_argument("--map-runs", type=int, default=100)
    p.add_argument("--vmap-runs", type=int, default=200)
    p.add_argument("--decades", type=float, default=100.0)
    p.add_argument("--look", type=int, default=1, help="our looks in a decade of ln of the loss")
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--binary", type=Path, default=ROOT / "target/release/examples/many_runs")
    p.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch and JAX")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/many_runs.json")
    return p.parse_args(given)


def race(args):
    """A row for each number of threads, and all lines."""
    table, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        for threads in args.threads:
            sides = {side: [] for side in (*OURS, *PEERS)}
            for turn in range(args.rounds):
                for side, of_side in sides.items():
                    of_side.append(timed(args, side, threads, Path(folder)) | dict(threads=threads, round=turn))
            lines += [line for of_side in sides.values() for line in of_side]
            time_of = {side: median(line["seconds_per_run"] for line in of_side) for side, of_side in sides.items()}
            best_peer = min(PEERS, key=time_of.get)
            row = dict(threads=threads, runs=args.runs, target=f"1e-{args.decades:g}",
                       seconds={side: args.runs * seconds for side, seconds in time_of.items()},
                       steps={side: of_side[-1]["steps"] for side, of_side in sides.items()},
                       margin={side: of_side[-1]["margin"] for side, of_side in sides.items()},
                       best_peer=best_peer, **{f"ratio_{side}": time_of[best_peer] / time_of[side] for side in OURS},
                       **{f"{peer}_over_steps": time_of[peer] / time_of["steps"] for peer in PEERS})
            table.append(row)
            shown = ", ".join(f"{side} {args.runs * seconds:.2f} s" for side, seconds in time_of.items())
            print(f"{args.runs} runs to {row['target']}, {threads} threads: {shown}; against {best_peer}: "
                  f"steps {row['ratio_steps']:.1f}, bundle {row['ratio_bundle']:.1f}", flush=True)
    return table, lines


def main():
    args = arguments()
    if args.side:
        return one_side(args)
    build = ["cargo", "build", "--release", "-q", "-p", "latephase-lab", "--example", "many_runs"]
    subprocess.run(build, cwd=ROOT, check=True)
    table, lines = race(args)
    args.out.write_text(json.dumps(dict(table=table, lines=lines), indent=1) + "\n")


if __name__ == "__main__":
    main()
