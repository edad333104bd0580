"""The race track: our side and its peers in one sitting, interleaved, with medians and ratios.

    python bench/race.py --all                             # everything, some ten minutes
    python bench/race.py steps                             # one part of it: steps, loss, many or far
    python bench/race.py steps --only toy-40x5-40 mlp-300x64-256 --threads 2 --rounds 5
    python bench/race.py --all --peers DIR --python PYTHON

steps   seconds per gradient step of ln L beside PyTorch and JAX (`torch_step.py` and `jax_step.py` of a folder of peers, looked
        for in `shared/bench` beside the project, or --peers; a peer that is not there is left out)
loss    seconds to a loss of 1e-38 and 1e-100 from the same weights (time_to_loss.py)
many    a thousand small runs to 1e-100 (many_runs.py)
far     seconds of our own runs to where nothing else gets: 300 digits to 1e-1000, 1e-100000 and 10^-(10^11) by the bundle and by the
        implicit flow, ten classes of MNIST (with --mnist) to 1e-100000, and `latephase limit` by the flow from the digits' 1e-1000 to a
        speed of 1e-3 per unit of ln rho

In every round each side has its turn, in a process of its own on the same cores (A B C A B C ...). Every round also times a
large product of matrices and a copy of memory: `of_product` is the speed of a step's products, counted as its layers need
them, over that product's. Beside the ratio of medians stands the ratio of the best blocks, which a busy machine disturbs
less. A part that is run replaces its part of docs/results/race.json.
"""

import argparse
import json
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
PLACES = [ROOT / "shared/bench", ROOT.parent / "shared/bench"]
PARTS = ("steps", "loss", "many", "far")

MLPS = {
    "toy-40x5-40": (40, (5, 40, 1)),
    "toy-100x20-200": (100, (20, 200, 1)),
    "mlp-300x64-256": (300, (64, 256, 1)),
    "mlp-1797x64-1024": (1797, (64, 1024, 1)),
    "mlp-5000x784-1024": (5000, (784, 1024, 1)),
    "mlp-500x784-1000-1000": (500, (784, 1000, 1000, 1)),
}
CNN = "cnn-mnist-100"
# JAX's convolutions take a second a step here.
WITHOUT_JAX = (CNN,)
FIXED = ["algorithm.kappa=0.003", "algorithm.epsilon=0.012"]
IMPLICIT = ['algorithm={ kind = "implicit", tolerance = 0.05 }']
FAR = {
    "digits to 1e-1000": ["quickstart", "stop.log10_loss=-1000", *FIXED],
    "digits to 1e-100000": ["quickstart", "stop.log10_loss=-100000", *FIXED],
    "digits to 10^-(10^11)": ["quickstart", "stop.log10_loss=-1e11", 'algorithm={ kind = "bundle", tolerance = 0.1 }'],
    "digits to 1e-1000, implicit": ["quickstart", "stop.log10_loss=-1000", *IMPLICIT],
    "digits to 1e-100000, implicit": ["quickstart", "stop.log10_loss=-100000", *IMPLICIT],
    "digits to 10^-(10^11), implicit": ["quickstart", "stop.log10_loss=-1e11", *IMPLICIT],
    "MNIST to 1e-100000": [ROOT / "bench/mnist_ten.toml"],
}


def flops(workload):
    """Multiplications and additions of one step's products; the first layer needs no gradient of its inputs."""
    if workload == CNN:
        forward = [28 * 28 * 32 * 25, 14 * 14 * 64 * 288, 3136 * 1024, 1024 * 10]
        examples = 100
    else:
        examples, widths = MLPS[workload]
        forward = [a * b for a, b in zip(widths[:-1], widths[1:])]
    return sum(2 * examples * f * (2 if k == 0 else 3) for k, f in enumerate(forward))


def lines(command, threads):
    """Runs one side on the first `threads` cores and returns its lines."""
    return [json.loads(line) for line in pinned(command, threads).splitlines() if line.startswith("{")]


def target():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def build():
    """Everything at once: a package alone has other features of what it depends on, and is built anew."""
    subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--bins", "--examples"], cwd=ROOT, check=True)


def steps(args):
    """A row for each workload and number of threads."""
    build()
    ours = target() / "examples/step_times"
    mnist = ["--mnist", args.mnist] if args.mnist else []
    scripts = {peer: args.peers / f"{peer}_step.py" for peer in ("torch", "jax")} if args.peers else {}
    scripts = {peer: path for peer, path in scripts.items() if path.exists()}
    if not scripts:
        print("no peers beside this project (see --peers): our side alone")
    table, all_lines = [], []
    for threads in args.threads:
        for workload in args.only or [*MLPS, CNN]:
            options = ["--threads", threads, "--seconds", args.seconds]
            peers = [p for p in scripts if not (p == "jax" and workload in WITHOUT_JAX)]
            sides = {side: [] for side in ("ours", *peers, "product", "copy")}
            for _ in range(args.rounds):
                sides["ours"] += lines([ours, workload, *options], threads)
                for peer in peers:
                    sides[peer] += lines([args.python, scripts[peer], workload, *options, *mnist], threads)
                short = ["--threads", threads, "--seconds", 0.3]
                sides["product"] += lines([ours, "product", *short], threads)
                sides["copy"] += lines([ours, "copy", *short], threads)
            all_lines += [line for side in sides.values() for line in side]
            timed = ("ours", *peers)
            time_of = {side: median(r["seconds_per_step"] for r in sides[side]) for side in timed}
            best = {side: min(r["best_seconds_per_step"] for r in sides[side]) for side in timed}
            product = median(r["gflops"] for r in sides["product"])
            gflops = {side: flops(workload) / time_of[side] / 1e9 for side in timed}
            row = dict(
                workload=workload,
                threads=threads,
                seconds=time_of,
                best_seconds=best,
                least_seconds=min(r["least_seconds_per_step"] for r in sides["ours"]),
                ratio={peer: time_of[peer] / time_of["ours"] for peer in peers},
                ratio_of_bests={peer: best[peer] / best["ours"] for peer in peers},
                gflops=gflops,
                product_gflops=product,
                copy_gigabytes_per_second=median(r["gigabytes_per_second"] for r in sides["copy"]),
                of_product={side: gflops[side] / product for side in timed},
            )
            table.append(row)
            beside = ", ".join(f"{p} {row['ratio'][p]:.2f} (bests {row['ratio_of_bests'][p]:.2f})" for p in peers)
            print(
                f"{workload:24} {threads} threads  ours {1e3 * time_of['ours']:10.4f} ms, {gflops['ours']:6.1f} GFLOP/s, "
                f"{row['of_product']['ours']:.2f} of a large product; {beside}",
                flush=True,
            )
    return dict(rounds=args.rounds, seconds=args.seconds, table=table, lines=all_lines)


def loss(args):
    """The summary of time_to_loss.py."""
    build()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "loss.json"
        command = [args.python, ROOT / "bench/time_to_loss.py", "--threads", *args.threads[:1], "--repetitions", args.loss_rounds]
        for setting in ("algorithm.kappa=0.003", "algorithm.epsilon=0.012", 'probes=["margin"]'):
            command += ["--set", setting]
        subprocess.run([str(part) for part in [*command, "--binary", target() / "latephase", "--out", out]], check=True)
        return json.loads(out.read_text())


def many(args):
    """The table of many_runs.py."""
    import many_runs

    build()
    given = ["--rounds", args.rounds, "--python", args.python, "--binary", target() / "examples/many_runs"]
    given += ["--threads", *args.threads]
    table, all_lines = many_runs.race(many_runs.arguments([str(part) for part in given]))
    return dict(rounds=args.rounds, table=table, lines=all_lines)


def far(args):
    """Whole processes, files and report included."""
    build()
    table = []
    threads = max(args.threads)
    for name, (spec, *settings) in FAR.items():
        if spec != "quickstart":
            if args.mnist is None:
                print(f"skipped: {name}, for want of --mnist")
                continue
            settings = [*settings, f"data.path={json.dumps(str(Path(args.mnist).resolve()))}"]
        seconds, in_loop, last = [], [], {}
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                command = [target() / "latephase", "run", spec, 'probes=["margin"]', *settings, "--threads", threads, "--quiet",
                           "--out", out]
                start = time.perf_counter()
                pinned(command, threads)
                seconds.append(time.perf_counter() - start)
                in_loop.append(json.loads((out / "manifest.json").read_text())["seconds"])
                names, *_, values = (out / "rows.csv").read_text().splitlines()
                last = dict(zip(names.split(","), map(float, values.split(","))))
        row = dict(target=name, threads=threads, seconds=median(seconds), seconds_in_loop=median(in_loop),
                   evaluations=last["evaluations"], log10_loss=last["log10_loss"], margin=last["margin"],
                   precision=last["precision"])
        table.append(row)
        print(f"{name}: {row['seconds']:.2f} s ({row['seconds_in_loop']:.2f} in the loop), "
              f"{row['evaluations']:.0f} evaluations, margin {row['margin']:.5f}", flush=True)
    return dict(rounds=args.rounds, table=table, limit=to_the_limit(threads))


def to_the_limit(threads):
    """The flow at temperature zero from the digits' 1e-1000, until the direction turns by 1e-3 per unit of ln rho."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        pinned([target() / "latephase", "run", "quickstart", "--threads", threads, "--quiet", "--out", out], threads)
        start = time.perf_counter()
        pinned([target() / "latephase", "limit", out, "--method", "flow", "--max-seconds", 600, "--quiet"], threads)
        seconds = time.perf_counter() - start
        way = json.loads((out / "limit/limit.json").read_text())["ways"][0]
    keys = ("ending", "steps", "speed", "residual", "ln_rho_gained", "margin_before", "margin", "angle", "support", "kinks")
    row = dict(seconds=seconds) | {key: way[key] for key in keys}
    print(f"limit by the flow: {row['seconds']:.1f} s, speed {row['speed']:.1e} after {row['ln_rho_gained']:.0f} units of ln rho, "
          f"margin {row['margin']:.5f}", flush=True)
    return row


def versions(python):
    """What the peers are, as far as they are there."""
    code = "import json, importlib.metadata as m\nfound = {}\nfor p in ('torch', 'jax', 'numpy'):\n    try: found[p] = m.version(p)\n" \
           "    except m.PackageNotFoundError: pass\nprint(json.dumps(found))"
    return json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)


def machine(python):
    """What the numbers depend on, and nothing that names the machine."""
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        info = ""
    return dict(
        machine=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        vectors=next((name for name in ("avx512f", "avx2") if f" {name} " in info), "others"),
        load=os.getloadavg()[0],
        peers=versions(python),
        dtype="f64",
        ratio="a peer's median time over ours: above 1 we are faster",
    )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("parts", nargs="*", choices=[*PARTS, []], help="steps, loss, many, far")
    p.add_argument("--all", action="store_true", help="every part")
    p.add_argument("--only", nargs="+", metavar="WORKLOAD", help=f"of the steps; default: {', '.join([*MLPS, CNN])}")
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--rounds", type=int, default=3, help="how often each side has its turn")
    p.add_argument("--seconds", type=float, default=0.5, help="measuring time of a side's turn at a step")
    p.add_argument("--loss-rounds", type=int, default=1, help="the peer needs a minute for each")
    p.add_argument("--peers", type=Path, default=next((x for x in PLACES if x.exists()), None))
    p.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch and JAX")
    p.add_argument("--mnist", metavar="DIR", help="folder with the MNIST IDX files, for the peers and for the farthest run")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/race.json")
    args = p.parse_args()
    parts = PARTS if args.all else args.parts
    if not parts:
        p.error(f"which part? {', '.join(PARTS)}, or --all")
    unknown = [w for w in args.only or [] if w not in MLPS and w != CNN]
    if unknown:
        p.error(f"unknown workload {unknown[0]!r}; choose from {', '.join([*MLPS, CNN])}")
    record = json.loads(args.out.read_text()) if args.out.exists() else {}
    for part in parts:
        record[part] = {"about": machine(args.python)} | globals()[part](args)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
