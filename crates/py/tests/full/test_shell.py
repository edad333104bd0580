"""Data frames, and what a notebook shows."""

import numpy as np
import pytest

import latephase

pytestmark = pytest.mark.full

SPEC = {
    "data": "two-points",
    "model": "linear",
    "loss": "exponential",
    "algorithm": {"kind": "flow", "norm": "l2"},
    "stop": {"log10_loss": -100},
}


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_frame_has_the_columns(kind):
    pytest.importorskip(kind)
    run = latephase.run(SPEC, progress=False)
    frame = run.frame(kind)
    assert type(frame).__module__.split(".")[0] == kind and [*frame.columns] == [*run.columns]
    assert np.array_equal(frame["log10_loss"].to_numpy(), run.columns["log10_loss"])
    swept = latephase.sweep(SPEC, {"stop.log10_loss": [-5, -6]}, progress=False)
    table = swept.frame(kind)
    assert [*table["label"]] == swept.labels and [*table["outcome"]] == ["reached", "reached"]


def test_a_notebook_shows_pictures_and_a_bar_and_is_interrupted_saved():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    endless = {
        **SPEC,
        "algorithm": {
            "kind": "stepped",
            "descent": {"kind": "steepest", "norm": "l2"},
            "pace": {"kind": "unit-decrease", "eta": 1e-9},
        },
    }
    interrupted = f"""
import os, signal, threading, latephase
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    latephase.run({endless!r})
except KeyboardInterrupt as stop:
    print(stop)
"""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(f"import latephase\nlatephase.run({SPEC!r})"),
        nbformat.v4.new_code_cell(interrupted),
    ]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [output["data"]["text/html"] for output in notebook.cells[0].outputs if "text/html" in output.get("data", {})]
    assert any("<svg" in text for text in shown)
    said = "".join(output.get("text", "") for output in notebook.cells[1].outputs)
    assert "everything is saved; latephase.resume(" in said and "loss" in said
