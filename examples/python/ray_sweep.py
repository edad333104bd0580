"""A sweep over Ray: each task runs one part, and the head merges them.

    python examples/python/ray_sweep.py spec.toml big seed=0..64 algorithm.descent.norm=l2,linf --parts 8

The directory has to be one that all nodes see. Starting Ray takes longer than many a sweep: `--local` runs the parts as plain
processes of this machine instead, which is also what to do where there is no Ray.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor


def part(spec, out, axes, shard, parts):
    """Runs one part; returns its exit code and what it said."""
    command = ["latephase", "run", spec, "--out", out, "--quiet", "--threads", "1"]
    command += ["--shard", f"{shard}/{parts}", "--sweep", *axes]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


def over_ray(spec, out, axes, parts):
    import ray

    ray.init()
    remote = ray.remote(num_cpus=1)(part)
    return ray.get([remote.remote(spec, out, axes, k, parts) for k in range(1, parts + 1)])


def over_processes(spec, out, axes, parts):
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(lambda k: part(spec, out, axes, k, parts), range(1, parts + 1)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("out")
    parser.add_argument("axes", nargs="+")
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--local", action="store_true")
    asked = parser.parse_args()
    run = over_processes if asked.local else over_ray
    ends = run(asked.spec, asked.out, asked.axes, asked.parts)
    for shard, (code, said) in enumerate(ends, 1):
        # 3 is an outcome that the spec does not name, such as too few steps: a result all the same.
        if code not in (0, 3):
            print(f"part {shard} ended with {code}: {said}", file=sys.stderr)
    return subprocess.run(["latephase", "merge", asked.out]).returncode


if __name__ == "__main__":
    sys.exit(main())
