"""Exports that numpy and the standard library read back."""

import csv

import numpy as np
import pytest

import latephase

SPEC = {
    "data": "four-points",
    "model": {"kind": "mlp", "widths": [4]},
    "loss": "logistic",
    "probes": ["margin", "accuracy"],
    "keep": {"log10_loss": [-10]},
    "stop": {"log10_loss": -40},
    "algorithm": {
        "kind": "stepped",
        "descent": {"kind": "steepest", "norm": "l2"},
        "pace": {"kind": "unit-decrease", "eta": 0.1},
    },
}


@pytest.fixture(scope="module")
def runs():
    return [latephase.run(SPEC, overrides={"seed": seed}, progress=False) for seed in range(2)]


def test_numpy_reads_columns_theta_and_snapshots(runs, tmp_path):
    one = np.load(latephase.export(runs[0], "npz", tmp_path / "one.npz"))
    for name, values in runs[0].columns.items():
        assert one[name].dtype == np.float64 and np.array_equal(one[name], values, equal_nan=True), name
    for name, block in runs[0].theta.items():
        assert np.array_equal(one[f"theta/{name}"], block)
    assert np.array_equal(one["snapshot/-10/0.weight"], runs[0].snapshots[-10.0]["0.weight"])


def test_several_runs_keep_their_names(tmp_path):
    names = ["a", "b"]
    runs = [latephase.run(SPEC, overrides={"seed": k}, out=tmp_path / name, progress=False) for k, name in enumerate(names)]
    both = np.load(latephase.export(runs, "npz", tmp_path / "both.npz"))
    with open(latephase.export(runs, "csv", tmp_path / "both.csv"), newline="") as file:
        table = list(csv.DictReader(file))
    for name, run in zip(names, runs):
        assert np.array_equal(both[f"{name}/margin"], run.columns["margin"], equal_nan=True)
        loss = [float(row["log10_loss"]) for row in table if row["run"] == name]
        assert loss == run.columns["log10_loss"].tolist()


def test_what_is_there_is_replaced_only_by_force(runs, tmp_path):
    path = latephase.export(runs[0], "csv", tmp_path / "t.csv")
    before = path.read_bytes()
    with pytest.raises(Exception, match="--force|is there"):
        latephase.export(runs[1], "csv", path)
    assert path.read_bytes() == before
    latephase.export(runs[1], "csv", path, force=True)
    assert path.read_bytes() != before
