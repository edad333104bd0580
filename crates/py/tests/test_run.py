"""Runs from Python: what goes in, what comes out, and how they end."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import latephase

SPEC = {
    "seed": 1,
    "data": {"kind": "two-points"},
    "model": "linear",
    "loss": "exponential",
    "algorithm": {"kind": "flow", "norm": "l2"},
    "stop": {"log10_loss": -1000},
}
#: Steps for hours.
ENDLESS = {
    "data": {"kind": "two-points"},
    "model": "linear",
    "loss": "exponential",
    "algorithm": {"kind": "stepped", "descent": {"kind": "steepest", "norm": "l2"}, "pace": {"kind": "unit-decrease", "eta": 1e-9}},
    "stop": {"log10_loss": -1000},
}


def run(spec=SPEC, **settings):
    return latephase.run(spec, progress=False, **settings)


def test_a_dict_runs_to_a_loss_that_no_float_holds():
    ran = run()
    assert ran.outcome.reached and ran.outcome.kind == "reached"
    assert ran.last("log10_loss") <= -1000
    columns = ran.columns
    assert columns["step"].dtype == np.float64 and columns["step"].flags.writeable and columns["step"].flags.owndata is not None
    lengths = {len(values) for values in columns.values()}
    assert len(lengths) == 1 and lengths.pop() > 10
    assert np.allclose(columns["log10_loss"] * np.log(10), columns["ln_loss"], rtol=1e-15)
    assert {"tally", "claims", "rates"} <= set(ran.findings)
    assert set(ran.verdicts.values()) <= {"holds", "violated", "undecided", "not-applicable"}


def test_theta_has_the_norm_that_the_rows_say():
    ran = run()
    flat = np.concatenate([block.ravel() for block in ran.theta.values()])
    assert np.linalg.norm(flat) == pytest.approx(ran.last("rho"), rel=1e-12)
    assert all(block.dtype == np.float64 for block in ran.theta.values())
    assert set(ran.theta) == {"0.weight"} and ran.theta["0.weight"].ndim == 2


def test_the_ways_to_give_a_spec_are_one(tmp_path):
    first = run()
    text = (first.dir / "spec.toml").read_text()
    path = tmp_path / "spec.toml"
    path.write_text(text)
    runs = [run(), run(text), run(path), run(str(path)), run(first)]
    rows = {(r.dir / "rows.csv").read_bytes() for r in runs}
    assert len(rows) == 1


def test_the_resolved_spec_is_a_dict_that_gives_the_same_bytes():
    first = run(overrides={"loss": "logistic"})
    again = run(first.spec)
    assert first.spec["stop"]["log10_loss"] == -1000.0
    assert (first.dir / "rows.csv").read_bytes() == (again.dir / "rows.csv").read_bytes()


def test_overrides_are_a_dict_or_texts_and_numpy_values_are_values():
    for overrides in [
        {"algorithm.norm": "linf", "stop.log10_loss": -20, "keep": {"log10_loss": [-5, -10.0]}},
        {"algorithm.norm": np.array(["linf"])[0], "stop.log10_loss": np.float64(-20), "keep.log10_loss": np.array([-5.0, -10.0])},
        ["algorithm.norm=linf", "stop.log10_loss=-20", "keep.log10_loss=[-5, -10.0]"],
    ]:
        ran = run(overrides=overrides)
        assert ran.spec["algorithm"]["norm"] in ("linf", {"kind": "linf"})
        assert list(ran.snapshots) == [-5.0, -10.0]
        assert ran.snapshots[-5.0]["0.weight"].shape == ran.theta["0.weight"].shape
        assert -21 < ran.last("log10_loss") <= -20


def test_none_leaves_a_key_out_and_what_toml_cannot_hold_is_named():
    assert run({**SPEC, "name": None}).outcome.reached
    with pytest.raises(latephase.SpecError, match="stop.log10_loss"):
        run({**SPEC, "stop": {"log10_loss": float("nan")}})
    with pytest.raises(latephase.SpecError, match=r"model.*object") as caught:
        run({**SPEC, "model": object()})
    assert caught.value.key == "model"
    with pytest.raises(TypeError, match="dict"):
        run(7)


def test_a_wrong_key_is_named_with_the_nearest(tmp_path):
    with pytest.raises(latephase.SpecError, match="did you mean `logistic`") as caught:
        run({**SPEC, "loss": "logistics"})
    error = caught.value
    assert (error.key, error.file, error.line) == ("loss", None, None)
    assert isinstance(error, ValueError) and not str(error).startswith("<")
    with pytest.raises(latephase.SpecError, match="norm") as caught:
        run(overrides={"algorithm.nrom": "l2"})
    assert caught.value.key == "algorithm.nrom"
    path = tmp_path / "mine.toml"
    path.write_text("data = 'two-points'\nmodel = 'linear'\nloss = 'exponential'\nalgorithm = { kind = 'flow', norm = 'l22' }\n")
    with pytest.raises(latephase.SpecError) as caught:
        run(path)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.file, error.line) == (str(path), 4) and str(error) == str(caught.value)
    with pytest.raises(ValueError, match="did you mean `quickstart`"):
        run("quickstrat")


def test_files_that_are_not_there_are_oserrors(tmp_path):
    missing = tmp_path / "none.toml"
    for spec in [missing, str(missing)]:
        with pytest.raises(FileNotFoundError) as caught:
            run(spec)
        assert caught.value.filename == str(missing)
    with pytest.raises(FileNotFoundError):
        latephase.load(tmp_path)
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError):
            run(out=tmp_path / "run")


def test_a_panic_is_an_exception_with_its_place():
    for on_thread in [False, True]:
        with pytest.raises(latephase.InternalError, match=r"on purpose .*errors\.rs"):
            latephase._native.panic_on_purpose(on_thread)


def test_a_directory_is_kept_and_read_and_not_run_twice(tmp_path):
    out = tmp_path / "run"
    first = run(out=out)
    manifest = (out / "manifest.json").read_text()
    assert run(out=out).dir == out and (out / "manifest.json").read_text() == manifest
    with pytest.raises(FileExistsError, match="another spec"):
        run(overrides={"seed": 2}, out=out)
    assert latephase.load(out).outcome == first.outcome


def test_a_temporary_directory_goes_with_its_run_unless_it_is_saved(tmp_path):
    ran = run()
    dir = ran.dir
    kept = ran.save(tmp_path / "kept")
    assert dir.is_dir()
    del ran
    assert not dir.exists()
    assert kept.last("log10_loss") <= -1000


def test_a_run_out_of_time_is_resumed_to_the_bytes_of_one_that_was_not(tmp_path):
    longer = {**ENDLESS, "stop": {"steps": 400_000}}
    first = run(longer, out=tmp_path / "a", max_seconds=0.01)
    assert first.outcome.kind == "interrupted"
    with pytest.raises(FileExistsError, match="latephase.resume"):
        run(longer, out=tmp_path / "a")
    resumed = latephase.resume(first, progress=False)
    whole = run(longer, out=tmp_path / "b")
    assert resumed.outcome.kind == whole.outcome.kind == "reached"
    for name in ["rows.csv", "theta.safetensors", "findings.json"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_other_threads_of_python_go_on_while_rust_runs():
    counts, ended = [0], threading.Event()

    def count():
        while not ended.is_set():
            counts[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    run(ENDLESS, max_seconds=0.5)
    ended.set()
    thread.join()
    assert counts[0] > 20


def test_a_callback_is_told_and_its_exception_ends_the_run_saved(tmp_path):
    told = []

    def watch(at):
        told.append(at)
        if len(told) == 3:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        latephase.run(ENDLESS, out=tmp_path / "run", progress=watch)
    assert [type(at) for at in told] == [latephase.Progress] * 3
    assert told[0].step < told[1].step < told[2].step and "loss" in told[2].text
    assert latephase.load(tmp_path / "run").outcome.kind == "interrupted"


CHILD = """
import json, signal, sys, latephase
# A parent that runs in the background may have left it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun", flush=True)
try:
    latephase.run(json.loads(sys.argv[1]), out=sys.argv[2] or None, progress=False)
except KeyboardInterrupt as stop:
    print("stopped:", stop, flush=True)
    sys.exit(130)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_saves_everything_and_says_how_to_go_on(tmp_path, kept):
    out = str(tmp_path / "run") if kept else ""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(ENDLESS), out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "begun\n"
        time.sleep(1.0)
        child.send_signal(signal.SIGINT)
        said, errors = child.communicate(timeout=60)
    finally:
        # What fails before the signal leaves no endless run behind.
        child.kill()
    assert child.returncode == 130, errors
    assert "everything is saved; latephase.resume(" in said
    place = json.loads(said.split("latephase.resume(")[1].split(")")[0])
    assert not kept or place == out
    saved = latephase.load(place)
    assert saved.outcome.kind == "interrupted" and saved.last("step") > 0
    further = latephase.resume(place, progress=False, max_seconds=0.1)
    assert further.manifest["counts"]["steps"] > saved.manifest["counts"]["steps"]


def test_a_notebook_shows_pictures_that_need_no_network():
    ran = run()
    text = ran._repr_html_()
    assert text.count("<svg") >= 2 and "href" not in text and "<script" not in text
    level = int(np.floor(ran.last("log10_loss")))
    assert f"e{level}" in text and f"e{level}" in repr(ran) and "reached" in repr(ran)


def test_the_report_is_one_page(tmp_path):
    ran = run()
    page = ran.report(tmp_path / "page.html")
    assert page == tmp_path / "page.html" and page.stat().st_size > 1_000_000


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="threads = 0"):
        run(threads=0)
    with pytest.raises(ValueError, match="max_seconds"):
        run(max_seconds=-1)
