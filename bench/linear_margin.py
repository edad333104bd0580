"""The exact l2 maximum margin beside scikit-learn's LinearSVC, interleaved, on data scaled alike.

    python bench/linear_margin.py --mnist mnist
    python bench/linear_margin.py --mnist mnist --rounds 5 --peer PEER/linear_margin.py

Ours is `latephase exact SPEC --norm l2 --json`, whose `seconds` are those of the solver and of its verification, without
reading the data; the peer's are those of `fit` (hinge loss, no intercept, C = 1e6, tol = 1e-9), without reading them either.
Both have one thread. Beside the ratio of medians stands that of the best rounds, which a busy machine disturbs less; beside
the times stands what each margin is worth: our certified gap, and how far the peer's margin is below our bound.
"""

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from statistics import median

from pinned import pinned

ROOT = Path(__file__).resolve().parent.parent
PLACES = [ROOT / "shared/bench/linear_margin.py", ROOT.parent / "shared/bench/linear_margin.py"]

SPEC = """
data = {data}
model = "linear"
loss = "logistic"
stop = {{ steps = 1 }}
[algorithm]
kind = "stepped"
descent = {{ kind = "steepest", norm = "l2" }}
pace = {{ kind = "unit-decrease", eta = 0.5 }}
"""


def workloads(args):
    yield f"digits even/odd n={args.examples}", (
        f'{{ kind = "digits", classes = "even-odd", train = {args.examples} }}',
        None,
    )
    if args.mnist:
        folder = Path(args.mnist).resolve()
        yield "mnist 0/1", (f'{{ kind = "idx", path = "{folder}", classes = [0, 1] }}', folder)


def run(command):
    return pinned(command, 1, OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1")


def ours(args, data):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(SPEC.format(data=data))
        file.flush()
        out = json.loads(run([args.binary, "exact", file.name, "--norm", "l2", "--json"]))
    return out["references"][0]


def peers(args, names):
    command = [args.python, args.peer, "--examples", args.examples]
    if args.mnist:
        command += ["--mnist", Path(args.mnist).resolve()]
    lines = [json.loads(line) for line in run(command).splitlines() if line.startswith("{")]
    return {line["workload"]: line for line in lines if line["workload"] in names}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mnist", metavar="DIR", help="folder with the MNIST IDX files; adds MNIST 0 against 1")
    p.add_argument("--examples", type=int, default=300, help="how many digits (300 are separable)")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--binary", type=Path, default=ROOT / "target/release/latephase")
    p.add_argument("--peer", type=Path, default=next((x for x in PLACES if x.exists()), None))
    p.add_argument("--python", default=sys.executable, help="the interpreter that has scikit-learn")
    p.add_argument("--out", type=Path, default=ROOT / "docs/results/linear_margin.json")
    args = p.parse_args()
    if args.peer is None:
        p.error("the peer's linear_margin.py is not beside this project; give its path with --peer")

    work = dict(workloads(args))
    lines, table = [], []
    for turn in range(args.rounds):
        for name, (data, _) in work.items():
            lines.append({"round": turn, "side": "latephase", "workload": name, **ours(args, data)})
        for name, line in peers(args, work).items():
            lines.append({"round": turn, "side": "scikit-learn", **line})
    for name in work:
        mine = [x for x in lines if x["side"] == "latephase" and x["workload"] == name]
        other = [x for x in lines if x["side"] == "scikit-learn" and x["workload"] == name]
        seconds, peer = median(x["seconds"] for x in mine), median(x["seconds"] for x in other)
        bests = min(x["seconds"] for x in other) / min(x["seconds"] for x in mine)
        table.append(
            {
                "workload": name,
                "value": mine[0]["value"],
                "bound": mine[0]["bound"],
                "gap": mine[0]["gap"],
                "support": mine[0]["support"],
                "seconds": seconds,
                "peer_seconds": peer,
                "ratio": peer / seconds,
                "ratio_of_bests": bests,
                "peer_margin": other[0]["margin"],
                "peer_below": 1 - other[0]["margin"] / mine[0]["bound"],
                "peer_converged": other[0]["converged"],
            }
        )
        print(
            f"{name}: ours {seconds:.3f} s, gap {mine[0]['gap']:.1e}; scikit-learn {peer:.3f} s, "
            f"{table[-1]['peer_below']:.1e} below; ratio {peer / seconds:.2f} (of bests {bests:.2f})"
        )
    about = {
        "machine": platform.machine(),
        "build": args.binary.resolve().parent.name,
        "threads": 1,
        "rounds": args.rounds,
        "ratio": "the peer's median time over ours: above 1 we are faster",
    }
    args.out.write_text(json.dumps({"about": about, "table": table, "lines": lines}, indent=1) + "\n")


main()
