"""Exports read back by the tools that they are for."""

import json

import numpy as np
import pytest

import latephase

pytestmark = pytest.mark.full

SPEC = {
    "name": "exported",
    "data": {"kind": "digits", "classes": "even-odd", "train": 40},
    "model": {"kind": "mlp", "widths": [8]},
    "loss": "logistic",
    "keep": {"log10_loss": [-10]},
    "stop": {"log10_loss": -400, "steps": 5000},
    "algorithm": {"kind": "bundle", "kappa": 1e-3},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return latephase.run(SPEC, out=tmp_path_factory.mktemp("runs") / "r", progress=False)


def known(run, name):
    """The steps and values of a column where it was measured."""
    values = run.columns[name]
    there = ~np.isnan(values)
    return run.columns["step"][there].astype(int).tolist(), values[there]


def test_tensorboard_reads_every_column_in_all_digits(run, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.util import tensor_util

    out = latephase.export(run, "tensorboard", tmp_path / "board")
    read = accumulator.EventAccumulator(str(out / "r"), size_guidance={"tensors": 0})
    read.Reload()
    for name in run.columns:
        steps, values = known(run, name)
        if name == "step" or not steps:
            continue
        exact = read.Tensors(f"double/{name}")
        found = [tensor_util.make_ndarray(event.tensor_proto) for event in exact]
        assert all(array.dtype == np.float64 for array in found), name
        assert [event.step for event in exact] == steps, name
        assert np.array_equal([array.item() for array in found], values), name
        drawn = [tensor_util.make_ndarray(event.tensor_proto).item() for event in read.Tensors(name)]
        assert np.array_equal(drawn, values.astype(np.float32)), name
    loss = read.summary_metadata["log10_loss"]
    assert loss.plugin_data.plugin_name == "scalars"


def test_tensorboard_has_the_settings_as_hyperparameters(run, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.plugins.hparams import plugin_data_pb2

    out = latephase.export(run, "tensorboard", tmp_path / "board")
    read = accumulator.EventAccumulator(str(out / "r"))
    read.Reload()
    content = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.hparams["algorithm.kappa"].number_value == 0.001
    assert start.hparams["model.kind"].string_value == "mlp"


def test_the_default_server_of_tensorboard_lists_the_scalars(run, tmp_path):
    """It leaves out what it cannot draw without a word, so the whole way is gone."""
    pytest.importorskip("tensorboard_data_server")
    import socket
    import subprocess
    import sys
    import time
    import urllib.request

    out = latephase.export(run, "tensorboard", tmp_path / "board")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(out), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        tags = []
        for _ in range(240):
            time.sleep(0.5)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/tags") as answer:
                    tags = list(json.load(answer).get("r", {}))
            except OSError:
                continue
            if tags:
                break
        assert "log10_loss" in tags and "margin" in tags
    finally:
        server.terminate()
        server.wait()


def test_mlflow_reads_its_own_store(run, tmp_path):
    tracking = pytest.importorskip("mlflow.tracking")
    out = latephase.export(run, "mlflow", tmp_path / "mlflow.db")
    latephase.export(run, "mlflow", out)  # what is there is not logged again
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{out}")
    experiment = client.get_experiment_by_name("latephase")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED" and found.info.run_name == "r"
    assert found.data.params["algorithm.kind"] == "bundle"
    for name in ["log10_loss", "margin", "test_accuracy"]:
        history = client.get_metric_history(found.info.run_id, name)
        steps, values = known(run, name)
        assert [m.step for m in history] == steps and np.array_equal([m.value for m in history], values), name
    names = {artifact.path for artifact in client.list_artifacts(found.info.run_id)}
    assert {"spec.toml", "findings.json"} <= names
    latephase.export(run, "mlflow", out, force=True)
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_pandas_and_polars_read_the_tables(run, tmp_path):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    wide = latephase.export(run, "csv", tmp_path / "wide.csv")
    long = latephase.export(run, "csv-long", tmp_path / "long.csv")
    for frame in [pandas.read_csv(wide), polars.read_csv(wide, infer_schema_length=None)]:
        assert set(frame["run"]) == {"r"}
        margin = np.array(frame["margin"], dtype=float)
        assert np.allclose(margin, run.columns["margin"], rtol=1e-15, equal_nan=True)
    table = pandas.read_csv(long)
    loss = table[table["column"] == "log10_loss"].set_index("step")["value"]
    assert np.allclose(loss.to_numpy(), run.columns["log10_loss"], rtol=1e-15)


def test_lightnings_layout_is_read_as_lightning_does(run, tmp_path):
    pandas = pytest.importorskip("pandas")
    yaml = pytest.importorskip("yaml")
    out = latephase.export(run, "lightning", tmp_path / "logs") / "r" / "version_0"
    metrics = pandas.read_csv(out / "metrics.csv")
    assert list(metrics.columns[:2]) == ["epoch", "step"]
    assert np.allclose(metrics["beta"], run.columns["beta"], rtol=1e-15, equal_nan=True)
    settings = yaml.safe_load((out / "hparams.yaml").read_text())
    assert settings["algorithm"]["kappa"] == 0.001 and settings["model"]["widths"] == [8]


def test_parquet_is_read_by_pyarrow_or_refused_by_name(run, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    try:
        out = latephase.export(run, "parquet", tmp_path / "t.parquet")
    except Exception as error:
        assert "--features parquet" in str(error)
        return
    frame = pandas.read_parquet(out)
    assert np.array_equal(frame["margin"].to_numpy(), run.columns["margin"], equal_nan=True)
