"""One side of a race in a process of its own, confined to the first cores of this one."""

import os
import subprocess
import sys


def pinned(command, threads, **variables):
    """Runs a command on the first `threads` cores and returns what it prints; ends the race where it fails."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        env={**os.environ, **variables},
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()}")
    return done.stdout
