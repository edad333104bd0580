"""Logs the runs on standard input to an MLflow store in sqlite, through MLflow's own client."""

import json
import os
import re
import sys
import time
from pathlib import Path

try:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient
except ImportError:
    sys.exit(64)

EXPERIMENT = "latephase"
# What one call may hold.
METRICS, PARAMS = 1000, 100
LONGEST = 6000


def name_of(key):
    """A name that MLflow takes: letters, digits, and _ - . space : /."""
    return re.sub(r"[^\w\-. :/]", "_", key, flags=re.ASCII)


def experiment(client, store):
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return found.experiment_id
    beside = store.with_name(store.stem + "-artifacts")
    return client.create_experiment(EXPERIMENT, artifact_location=beside.as_uri())


def is_there(client, where, run):
    """Whether this run, ended in this way after as many looks, is in the store."""
    same = " and ".join(
        f"tags.`latephase.{key}` = '{value}'"
        for key, value in [("spec", run["spec"]), ("outcome", run["outcome"]), ("looks", len(run["steps"]))]
    )
    return bool(client.search_runs([where], same, max_results=1))


def log(client, where, run):
    begin = int(time.time() * 1000)
    tags = {
        "mlflow.runName": run["name"],
        "mlflow.source.name": "latephase " + (run["version"] or ""),
        "mlflow.note.content": run["sentence"] or "",
        "latephase.spec": run["spec"],
        "latephase.outcome": str(run["outcome"]),
        "latephase.looks": str(len(run["steps"])),
        "latephase.dir": run["dir"],
    }
    logged = client.create_run(where, start_time=begin, tags=tags).info.run_id
    params = [Param(name_of(key), value[:LONGEST]) for key, value in run["params"].items()]
    for k in range(0, len(params), PARAMS):
        client.log_batch(logged, params=params[k : k + PARAMS])
    metrics = [
        Metric(name_of(name), value, begin + int(1000 * second), step)
        for name, values in run["columns"].items()
        if name != "step"
        for value, second, step in zip(values, run["seconds"], run["steps"])
        if value is not None
    ]
    for k in range(0, len(metrics), METRICS):
        client.log_batch(logged, metrics=metrics[k : k + METRICS])
    for file in ["spec.toml", "findings.json", "theta.safetensors"]:
        if (Path(run["dir"]) / file).exists():
            client.log_artifact(logged, str(Path(run["dir"]) / file))
    end = begin + int(1000 * max(run["seconds"], default=0))
    status = {"interrupted": "KILLED", "failed": "FAILED", "diverged": "FAILED", None: "RUNNING"}
    client.set_terminated(logged, status.get(run["outcome"], "FINISHED"), end_time=end)


def main():
    # Nothing leaves this machine.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    job = json.load(sys.stdin)
    store = Path(job["store"]).resolve()
    store.parent.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=f"sqlite:///{store}")
    where = experiment(client, store)
    for run in job["runs"]:
        if job["again"] or not is_there(client, where, run):
            log(client, where, run)


main()
