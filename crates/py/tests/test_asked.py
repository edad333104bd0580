"""What is answered without a run, or beside one, held to what is known otherwise."""

import numpy as np
import pytest

import latephase

#: The maximal l2 margin of these data is known by construction.
GAMMA = 0.375
SPEC = {
    "data": {"kind": "gaussian-margin", "n": 12, "dim": 4, "margin": GAMMA},
    "model": "linear",
    "loss": "logistic",
    "algorithm": {
        "kind": "stepped",
        "descent": {"kind": "steepest", "norm": "l2"},
        "pace": {"kind": "unit-decrease", "eta": 0.05},
    },
    "stop": {"log10_loss": -300},
    "keep": {"log10_loss": [-30]},
}


@pytest.fixture(scope="module")
def ran():
    return latephase.run(SPEC, progress=False)


def test_the_list_names_what_a_spec_can_name():
    every = latephase.list()
    assert {"data", "models", "losses", "norms", "paces", "probes", "recipes", "claims", "exports"} <= set(every)
    for name in [entry.name for entry in latephase.list("losses")]:
        assert latephase.check_spec({**SPEC, "loss": name}).train == 12
    with pytest.raises(ValueError, match="norms"):
        latephase.list("norm")


def test_a_spec_is_checked_without_a_step(ran):
    checked = latephase.check_spec(SPEC)
    assert (checked.train, checked.inputs, checked.parameters) == (12, 4, 4)
    assert "degree 1" in checked.degree
    assert checked.columns == [*ran.columns]
    assert latephase.check_spec(checked.toml).hash == checked.hash
    with pytest.raises(latephase.SpecError) as caught:
        latephase.check_spec({**SPEC, "data": {"kind": "gaussian-margin", "n": 0, "dim": 4, "margin": 0.5}})
    assert caught.value.key == "data.n"


def test_the_exact_margin_is_the_one_of_the_construction_and_no_run_exceeds_it(ran):
    [best] = latephase.exact(SPEC, norms="l2", only="linear")
    assert best.value == pytest.approx(GAMMA, rel=1e-9) and best.bound >= best.value * (1 - 1e-12)
    assert best.gap < 1e-9 and np.isnan(best.run) and best.failure is None
    [beside] = latephase.exact(ran, norms=["l2"], only=["linear"])
    assert beside.run == ran.last("margin") <= beside.bound * (1 + 1e-9)
    assert 0 < beside.below < 0.5 and (ran.dir / "exact.json").is_file()
    for norm, column in [("linf", "margin_linf"), ({"kind": "lp", "p": 3}, "margin_l3")]:
        found = latephase.exact(SPEC, norms=[norm], only="linear")
        assert [one.column for one in found] == [column]
    with pytest.raises(ValueError, match="did you mean `linear`"):
        latephase.exact(SPEC, only="linar")


def test_data_that_nothing_separates_have_no_optimum_and_say_which_examples_show_it(tmp_path):
    table = tmp_path / "points.csv"
    table.write_text("x,y,label\n1,0,a\n2,0,b\n1,0,b\n2,0,a\n")
    spec = {**SPEC, "data": {"kind": "csv", "path": str(table), "label": "label"}, "stop": {"steps": 1}, "keep": None}
    found = latephase.exact(spec, norms="l2", only="linear")
    assert found[0].failure and np.isnan(found[0].value) and found[0].certificate


def test_degrees_are_derived_layer_by_layer():
    for depth in [1, 2, 3]:
        model = {"kind": "mlp", "widths": [5] * depth, "activation": "relu"}
        assert latephase.degree(SPEC, overrides={"model": model}).order == depth + 1
    biased = latephase.degree({**SPEC, "model": {"kind": "mlp", "widths": [5], "bias": "all"}}, radius=2.0)
    assert biased.radius == 2.0 and str(biased) == biased.sentence and len(biased.layers) >= 3


def test_a_run_compared_with_itself_is_itself_and_with_another_is_read_at_equal_loss(ran):
    same = latephase.compare(ran, ran.dir)
    a, b = same.columns["margin"]
    assert np.array_equal(a, b) and len(a) == len(same.log10_loss) > 3
    assert all(cosine == pytest.approx(1.0, abs=1e-15) for cosine in same.cosines.values())
    other = latephase.run(SPEC, overrides={"algorithm.descent.norm": "linf"}, progress=False)
    cosine = latephase.compare(ran, other).cosines["theta.safetensors"]
    x, y = ran.theta["0.weight"].ravel(), other.theta["0.weight"].ravel()
    assert cosine == pytest.approx(x @ y / np.linalg.norm(x) / np.linalg.norm(y), rel=1e-12)


def test_works_are_cited_for_specs_and_runs(ran):
    assert latephase.cite(ran) == latephase.cite(ran.dir) == latephase.cite(SPEC)
    assert any("Soudry" in work for work in latephase.cite(ran)) or latephase.cite(ran)


def test_runs_are_exported_to_what_numpy_reads(ran, tmp_path):
    place = latephase.export(ran, "npz", tmp_path / "run.npz")
    with np.load(place) as arrays:
        for name, values in ran.columns.items():
            assert np.array_equal(arrays[name], values, equal_nan=True), name
        assert np.array_equal(arrays["theta/0.weight"], ran.theta["0.weight"])
        assert np.array_equal(arrays["snapshot/-30/0.weight"], ran.snapshots[-30.0]["0.weight"])
    with pytest.raises(ValueError, match="did you mean"):
        latephase.export(ran, "tensorbord", tmp_path / "x")
    with pytest.raises(ValueError):
        latephase.export(ran, "npz", place)
    assert latephase.export(ran.dir, "npz", place, force=True) == place
