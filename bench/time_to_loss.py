"""Races latephase against PyTorch to the same loss, from the same weights, in alternation.

Prints one line of JSON per result and a table of medians at the end; writes both to docs/results.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import resource
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES, INPUTS, WIDTH = 300, 64, 256
WORKLOAD = f"digits n={EXAMPLES} {INPUTS}-{WIDTH}-1"


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--decades", type=float, nargs="+", default=[38.0, 100.0], help="targets N of 1e-N")
    p.add_argument("--repetitions", type=int, default=3)
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts, one race each")
    p.add_argument("--loss", choices=("exponential", "logistic"), default="exponential")
    p.add_argument("--reduction", choices=("sum", "mean"), default="sum")
    p.add_argument("--rules", nargs="*", default=["loss-based"], help="loss-based, unit-decrease, or none")
    p.add_argument("--seed", type=int, default=0, help="of the initial weights")
    p.add_argument("--max-seconds", type=float, default=600.0, help="for one run of one side")
    p.add_argument("--data", type=Path, default=ROOT / "crates/lab/data/digits.csv.gz")
    p.add_argument("--binary", type=Path, default=ROOT / "target/release/latephase")
    p.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                   help="a further setting of our spec; may be repeated")
    p.add_argument("--no-ours", action="store_true", help="run the peer alone")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/time_to_loss.json")
    args = p.parse_args()
    args.decades.sort()
    # Ascending, so that the peer's thread pool is made when it is needed.
    args.threads.sort()
    if not args.no_ours and not args.binary.exists():
        p.error(f"{args.binary} is missing: run `cargo build --release`, or pass --no-ours")
    return args


def digits(path):
    """The first examples: pixels scaled to [0, 1], +1 for even digits and -1 for odd ones."""
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", max_rows=EXAMPLES)
    return table[:, :INPUTS] / 16.0, np.where(table[:, INPUTS] % 2 == 0, 1.0, -1.0)


def he_weights(seed):
    """One matrix (out x in) per layer, entries normal with variance 2/in."""
    rng = np.random.default_rng(seed)
    shapes = ((WIDTH, INPUTS), (1, WIDTH))
    return [rng.standard_normal(shape) * np.sqrt(2.0 / shape[1]) for shape in shapes]


def write_safetensors(path, tensors):
    """The format by hand: length of the header (u64, little-endian), JSON header, raw row-major numbers."""
    header, blobs, end = {}, [], 0
    for name, tensor in tensors.items():
        blob = np.ascontiguousarray(tensor, dtype="<f8").tobytes()
        header[name] = {"dtype": "F64", "shape": list(tensor.shape), "data_offsets": [end, end + len(blob)]}
        blobs.append(blob)
        end += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def our_command(args, threads, target, weights, out):
    """THE command line of our side. If the CLI changes, change it here and nowhere else."""
    return [
        str(args.binary), "run", "quickstart",
        "model.init.kind=file", f"model.init.path={weights}",
        f"loss.kind={args.loss}", f"loss.reduction={args.reduction}",
        f"stop.log10_loss={-target:g}",
        *args.settings,
        "--threads", str(threads), "--json", "--out", str(out),
    ]


def our_seconds(run):
    """Seconds of the run without the start of the process, from its manifest; None where it has none."""
    manifest = json.loads((run / "manifest.json").read_text())
    timings = manifest.get("timings", manifest)
    if isinstance(timings, (int, float)):
        return float(timings)
    for key in ("run", "run_seconds", "seconds", "total"):
        if isinstance(timings.get(key), (int, float)):
            return float(timings[key])
    return None


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(args, threads, target, weights):
    """Runs our binary to one target. `seconds` is the wall clock of the whole process, files included."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = our_command(args, threads, target, weights, out)
        env = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        start, start_cpu = time.perf_counter(), cpu_of_children()
        try:
            limit = args.max_seconds
            done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=limit)
        except subprocess.TimeoutExpired:
            return dict(peer="latephase", seconds=args.max_seconds, target=f"1e-{target:g}", reached=False)
        seconds, cpu_seconds = time.perf_counter() - start, cpu_of_children() - start_cpu
        if not (out / "rows.csv").exists():
            raise SystemExit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr or done.stdout}")
        with open(out / "rows.csv") as file:
            last = list(csv.DictReader(file))[-1]
        return dict(
            peer="latephase",
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            seconds_in_run=our_seconds(out),
            target=f"1e-{target:g}",
            reached=float(last["log10_loss"]) <= -target,
            evaluations=int(float(last["evaluations"])),
            log10_loss=float(last["log10_loss"]),
            margin=float(last["margin"]),
            rho=float(last["rho"]) if "rho" in last else None,
        )


def pin(threads):
    """Confines this process and what it starts to the first `threads` of its cores."""
    os.sched_setaffinity(0, CORES[:threads])


def table(results):
    """Medians per thread count, target and peer, and each peer's time over ours."""
    groups = {}
    for r in results:
        groups.setdefault((r["threads"], r["target"], r["peer"]), []).append(r)
    summary = []
    for (threads, target, peer), runs in groups.items():
        done = [r["seconds"] for r in runs if r["reached"]]
        base = [r["seconds"] for r in groups.get((threads, target, "latephase"), []) if r["reached"]]
        spent = median(done) if done else None
        summary.append(dict(
            threads=threads,
            target=target,
            peer=peer,
            seconds=spent,
            ratio=spent / median(base) if done and base else None,
            evaluations=runs[-1].get("evaluations"),
            margin=runs[-1].get("margin"),
            reached=f"{len(done)}/{len(runs)}",
        ))
    return summary


def print_table(summary):
    columns = ("threads", "target", "peer", "seconds", "ratio", "evaluations", "margin", "reached")
    shown = lambda v: f"{v:.4g}" if isinstance(v, float) else "-" if v is None else str(v)  # noqa: E731
    text = [[shown(row[column]) for column in columns] for row in summary]
    widths = [max(map(len, column)) for column in zip(columns, *text)]
    for line in (columns, *text):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def machine():
    """What the numbers depend on, and nothing that names the machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.machine()
    return dict(cpu=cpu, cores=len(CORES), system=platform.system(), python=platform.python_version())


args = arguments()
CORES = sorted(os.sched_getaffinity(0))
pin(args.threads[0])

import torch  # noqa: E402  (after pinning: the library sizes its thread pool on import)
from torch_peer import RULES, race  # noqa: E402

if unknown := set(args.rules) - set(RULES):
    raise SystemExit(f"unknown rule {unknown.pop()!r}; choose from {', '.join(RULES)}")

x, y = digits(args.data)
weights = he_weights(args.seed)
results = []


def emit(threads, repetition, fields):
    row = dict(peer=None, workload=WORKLOAD, loss=args.loss, reduction=args.reduction, threads=threads)
    row |= dict(seed=args.seed, repetition=repetition) | fields
    results.append(row)
    print(json.dumps({k: v for k, v in row.items() if v is not None}), flush=True)


with tempfile.TemporaryDirectory() as folder:
    start = Path(folder) / "theta0.safetensors"
    write_safetensors(start, {"0.weight": weights[0], "2.weight": weights[1]})
    for threads in args.threads:
        pin(threads)
        torch.set_num_threads(threads)
        for repetition in range(args.repetitions):
            if not args.no_ours:
                for target in args.decades:
                    emit(threads, repetition, ours(args, threads, target, start))
            for rule in args.rules:
                peer = f"torch {torch.__version__.split('+')[0]}, {rule}"
                settings = (args.loss, args.reduction, rule, args.decades, args.max_seconds)
                for r in race(x, y, weights, *settings):
                    emit(threads, repetition, dict(peer=peer) | r)

summary = table(results)
print()
print_table(summary)
args.out.parent.mkdir(parents=True, exist_ok=True)
record = dict(workload=WORKLOAD, machine=machine(), summary=summary, results=results)
args.out.write_text(json.dumps(record, indent=1) + "\n")
