"""Many runs: sweeps and their bands, recipes, theorems, searches."""

import numpy as np
import pytest

import latephase

GAMMA = 0.5
SPEC = {
    "data": {"kind": "gaussian-margin", "n": 20, "dim": 5, "margin": GAMMA},
    "model": "linear",
    "loss": "logistic",
    "algorithm": {
        "kind": "stepped",
        "descent": {"kind": "steepest", "norm": "l2"},
        "pace": {"kind": "unit-decrease", "eta": 0.05},
    },
    "stop": {"log10_loss": -30},
}
AXES = {"algorithm.descent.norm": ["l2", "linf"], "seed": range(3)}


@pytest.fixture(scope="module")
def swept():
    return latephase.sweep(SPEC, AXES, progress=False)


def test_a_sweep_is_its_runs_in_the_order_of_its_axes(swept):
    assert len(swept) == 6 and swept.labels[1] == "norm=l2 seed=1"
    assert list(swept.groups) == ["norm=l2", "norm=linf"] and not swept.failures
    alone = latephase.run(SPEC, overrides={"algorithm.descent.norm": "linf", "seed": 2}, progress=False)
    for name, values in swept["norm=linf seed=2"].columns.items():
        assert np.array_equal(values, alone.columns[name], equal_nan=True), name
    assert (swept.columns["outcome"] == "reached").all()
    assert np.array_equal(swept.columns["margin"], [run.last("margin") for run in swept])
    with pytest.raises(KeyError, match="seed=2"):
        swept["seed=9"]


def test_seeds_make_a_band_that_holds_every_run(swept):
    for label, band in swept.bands("margin").items():
        assert band.runs == 3 and (band.low <= band.mean).all() and (band.mean <= band.high).all()
        assert band.high.max() <= GAMMA * (1 + 1e-9)
        curves = []
        for run in swept.groups[label]:
            x, y = -run.columns["ln_loss"], run.columns["margin"]
            kept = x > 0.5
            curves.append(np.interp(np.log(band.x), np.log(x[kept]), y[kept]))
        assert np.allclose(np.mean(curves, axis=0), band.mean, rtol=1e-9)
        assert np.allclose(np.min(curves, axis=0), band.low, rtol=1e-9)
    mean, deviation = swept.last("margin")["norm=l2"]
    values = [run.last("margin") for run in swept.groups["norm=l2"]]
    assert mean == pytest.approx(np.mean(values)) and deviation == pytest.approx(np.std(values, ddof=1))
    assert swept._repr_html_().count("<polygon") >= 2 * 2


def test_an_interrupted_sweep_goes_on_with_the_same_call(tmp_path, swept):
    class Enough(Exception):
        pass

    def watch(at):
        raise Enough

    with pytest.raises(Enough):
        latephase.sweep(SPEC, AXES, out=tmp_path / "sweep", progress=watch, threads=1)
    whole = latephase.sweep(SPEC, AXES, out=tmp_path / "sweep", progress=False)
    assert [(run.dir / "rows.csv").read_bytes() for run in whole] == [(run.dir / "rows.csv").read_bytes() for run in swept]
    assert whole.report().is_file() and (whole.dir / "sweep_seeds.csv").is_file()
    with pytest.raises(ValueError, match="another sweep"):
        latephase.sweep(SPEC, {"seed": [7]}, out=tmp_path / "sweep", progress=False)


def test_axes_are_lists_arrays_ranges_or_the_command_lines_text():
    for values in [[-5, -6], np.array([-5, -6]), "-5,-6"]:
        found = latephase.sweep(SPEC, {"stop.log10_loss": values}, progress=False)
        assert found.labels == ["log10_loss=-5", "log10_loss=-6"]
    assert latephase.sweep(SPEC, {"seed": "0..2"}, progress=False).labels == ["seed=0", "seed=1"]
    with pytest.raises(latephase.SpecError, match="did you mean `l2`"):
        latephase.sweep(SPEC, {"algorithm.descent.norm": ["l1", "l22"]}, progress=False)
    with pytest.raises(TypeError, match="seed"):
        latephase.sweep(SPEC, {"seed": 3}, progress=False)
    with pytest.raises(ValueError, match="axis"):
        latephase.sweep(SPEC, {}, progress=False)


def test_a_temporary_sweep_lives_as_long_as_any_of_its_runs():
    swept = latephase.sweep(SPEC, {"seed": range(2)}, progress=False)
    run = swept[1]
    place = swept.dir
    del swept
    assert run.outcome.reached and place.is_dir()
    del run
    assert not place.exists()


def test_a_recipe_is_held_against_its_paper(tmp_path):
    found = latephase.recipe("steepest-linear", "quick", out=tmp_path / "recipe", progress=False)
    assert found.held and found.rows and found.page.is_file()
    assert all(run.outcome.kind != "interrupted" for seeds in found.runs.values() for run in seeds)
    with pytest.raises(ValueError, match="did you mean `quickstart`"):
        latephase.recipe("quickstrat", "quick", progress=False)
    with pytest.raises(ValueError, match="size"):
        latephase.recipe("quickstart", "quickly")


def test_theorems_are_held_against_a_run_with_its_twin():
    run = latephase.run(SPEC, progress=False)
    before = run.verdicts
    claims = latephase.check(run, twin=True, progress=False)
    assert (run.dir / "twin" / "rows.csv").is_file() and run.findings["twin"] is True
    assert set(claims) == set(before) and "violated" not in {claim["verdict"] for claim in claims.values()}
    decided = lambda verdicts: sum(v == "holds" for v in verdicts)  # noqa: E731
    assert decided(run.verdicts.values()) >= decided(before.values()) > 0
    one = next(iter(claims))
    assert list(latephase.check(run.dir, only=one, progress=False)) == [one]
    with pytest.raises(ValueError):
        latephase.check(run, only="lyu-li/no-such-claim", progress=False)


def test_a_false_conjecture_is_refuted_by_a_run_that_is_given_as_a_spec(tmp_path):
    found = latephase.refute("sign-descent-raises-l2-margin", budget=60, out=tmp_path / "found", progress=False)
    assert found.refuted and found.decided <= found.tried
    run = latephase.run(found.spec, progress=False)
    claims = latephase.check(run, claim=tmp_path / "found" / "claim.toml", progress=False)
    assert [claim["verdict"] for claim in claims.values()] == ["violated"]


def test_the_limit_of_a_linear_run_is_the_known_maximal_margin():
    run = latephase.run(SPEC, progress=False)
    found = latephase.limit(run, method="both", tolerance=1e-6, progress=False)
    assert found.found and {way["way"] for way in found.ways} == {"flow", "short-cut"}
    for way in found.ways:
        assert way["margin"] == pytest.approx(GAMMA, rel=1e-5)
    direction = found.theta["0.weight"].ravel()
    assert np.linalg.norm(direction) == pytest.approx(1.0, rel=1e-12)
    assert (found.dir / "limit.json").is_file() or any(found.dir.iterdir())
    with pytest.raises(ValueError, match="method"):
        latephase.limit(run, method="walk")
