"""Models and data of the user's own, in numpy alone."""

import math
import traceback
import warnings

import numpy as np
import pytest

import latephase
from latephase import Model, losses, norms
from latephase.model import ConversionWarning, Data

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 3)) + 0.0
Y = np.where(X @ np.array([1.0, -2.0, 0.5]) > 0, 1, -1)
START = np.random.default_rng(1).standard_normal(20)
STEPPED = {"kind": "stepped", "pace": {"kind": "unit-decrease", "eta": 0.1}}
SPEC = {"loss": "logistic", "algorithm": STEPPED, "stop": {"log10_loss": -30}, "probes": ["margin", "alignment", "kkt"]}


def linear(theta, x):
    return x @ theta


def linear_back(theta, x, cot):
    return x.T @ cot[:, 0]


def mlp(width=5, inputs=3):
    """A two-layer ReLU network: scores, pullback, layout."""
    cut = width * inputs

    def scores(theta, x):
        return np.maximum(x @ theta[:cut].reshape(width, inputs).T, 0.0) @ theta[cut:]

    def pullback(theta, x, cot):
        w, v = theta[:cut].reshape(width, inputs), theta[cut:]
        z = x @ w.T
        return np.concatenate([((cot * v * (z > 0)).T @ x).ravel(), np.maximum(z, 0.0).T @ cot[:, 0]])

    return scores, pullback, {"0.weight": (width, inputs), "2.weight": (1, width)}


def test_a_model_of_callables_runs_as_the_built_in_one_does():
    scores, pullback, layout = mlp()
    model = Model.from_callables(scores, pullback, layout, theta=START, degree=2)
    own = latephase.run(SPEC, model=model, data=(X, Y), progress=False)
    built = {"kind": "mlp", "widths": [5], "init": {"kind": "values", "values": START.tolist()}}
    points = {"kind": "points", "inputs": X.tolist(), "labels": Y.tolist()}
    theirs = latephase.run({**SPEC, "model": built, "data": points}, progress=False)
    assert own.outcome.kind == theirs.outcome.kind == "reached"
    for column in ("log10_loss", "margin", "beta", "kkt_epsilon_fit", "ln_rho"):
        a, b = own.columns[column], theirs.columns[column]
        keep = ~np.isnan(b)
        # Sums in another order, amplified along 1000 steps.
        np.testing.assert_allclose(a[keep], b[keep], rtol=1e-7, err_msg=column)
    assert {name: block.shape for name, block in own.theta.items()} == layout


def test_the_spec_holds_a_fingerprint_that_knows_the_start_and_the_code():
    scores, pullback, layout = mlp()
    make = lambda theta, **k: Model.from_callables(scores, pullback, layout, theta=theta, **k)
    one = make(np.ones(20), name="mine")
    assert one.sha256 == make(np.ones(20), name="mine").sha256
    assert one.sha256 != make(2 * np.ones(20), name="mine").sha256
    assert one.sha256 != Model.from_callables(linear, linear_back, {"w": (20,)}, theta=np.ones(20), name="mine").sha256
    assert one.spec() == {"kind": "foreign", "name": "mine", "sha256": one.sha256}


def test_a_run_has_the_code_that_it_was_given_whatever_else_is_the_same():
    def make(factor):
        box = [factor]
        return Model.from_callables(lambda t, x: box[0] * (x @ t), lambda t, x, c: box[0] * (x.T @ c[:, 0]), {"w": (3,)}, theta=np.ones(3))

    one, ten = make(1.0), make(10.0)
    assert one.sha256 == ten.sha256
    spec = {**SPEC, "stop": {"steps": 0}}
    margins = [latephase.run(spec, model=m, data=(X, Y), progress=False).columns["q_min"][0] for m in (one, ten, one)]
    assert margins[1] == pytest.approx(10 * margins[0]) and margins[2] == margins[0]


def test_a_run_without_its_model_says_whose_it_is(tmp_path):
    model = Model.from_callables(linear, linear_back, {"w": (3,)}, theta=np.ones(3), name="my model")
    data = Data(X, Y, name="my data")
    spec = {**SPEC, "stop": {"steps": 3}, "model": model.spec(), "data": data.spec()}
    # The fingerprints stand for what this process holds.
    assert latephase.run(spec, progress=False).last("step") == 3
    del model
    with pytest.raises(latephase.SpecError, match="`my model`"):
        latephase.run(spec, progress=False)
    del data
    with pytest.raises(latephase.SpecError, match="`my data`"):
        latephase.run({**spec, "model": "linear"}, progress=False)


def test_an_interrupted_run_goes_on_with_its_model(tmp_path):
    scores, pullback, layout = mlp()
    make = lambda: Model.from_callables(scores, pullback, layout, theta=START)
    whole = latephase.run(SPEC, model=make(), data=(X, Y), progress=False)
    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    slow = lambda theta, x: (__import__("time").sleep(2e-3), scores(theta, x))[1]
    out = tmp_path / "run"
    model = Model.from_callables(slow, pullback, layout, theta=START)
    with pytest.raises(KeyboardInterrupt):
        latephase.run(SPEC, model=model, data=(X, Y), out=out, progress=stop)
    again = latephase.resume(out, model=model, data=(X, Y), progress=False)
    assert again.outcome.reached
    np.testing.assert_array_equal(again.columns["log10_loss"], whole.columns["log10_loss"])


def test_what_the_code_raises_is_raised_with_its_traceback():
    calls = []

    def scores(theta, x):
        calls.append(1)
        if len(calls) > 60:
            raise ZeroDivisionError("on purpose")
        return x @ theta

    model = Model.from_callables(scores, linear_back, {"w": (3,)}, theta=np.ones(3))
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        latephase.run(SPEC, model=model, data=(X, Y), progress=False)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "scores"
    # The fault is of that run alone.
    fine = Model.from_callables(linear, linear_back, {"w": (3,)}, theta=np.ones(3))
    assert latephase.run(SPEC, model=fine, data=(X, Y), progress=False).outcome.reached


@pytest.mark.parametrize(
    ("scores", "pullback", "degree", "said"),
    [
        (linear, lambda t, x, c: 1.1 * linear_back(t, x, c), None, "not the derivative"),
        (linear, linear_back, 2, "degree 2 was claimed"),
        (lambda t, x: x @ t + RNG.standard_normal(), linear_back, None, "not deterministic"),
        (lambda t, x: (x - x.mean(axis=0)) @ t, linear_back, None, "influence each other"),
        (lambda t, x: np.stack([x @ t, x @ t], axis=1), lambda t, x, c: x.T @ c.sum(axis=1), None, "2 outputs"),
        (lambda t, x: (x @ t).astype(np.float32), linear_back, None, "float32"),
        (lambda t, x: (x @ t)[:-1], linear_back, None, "rows"),
        (linear, lambda t, x, c: np.zeros(2), None, r"\(3,\) is needed"),
        (lambda t, x: x @ t / 0.0, linear_back, None, "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_that_is_not_what_it_says_is_refused_by_name(scores, pullback, degree, said):
    model = Model.from_callables(scores, pullback, {"w": (3,)}, theta=np.ones(3), degree=degree, name="mine")
    with pytest.raises(ValueError, match=said):
        latephase.run(SPEC, model=model, data=(X, Y), progress=False)


@pytest.mark.parametrize("power", [1, 2, 3.5])
def test_the_degree_is_measured(power):
    """f = <sign(w)|w|^p, x>, of degree p in w."""
    signed = lambda t: np.sign(t) * np.abs(t) ** power
    model = Model.from_callables(
        lambda t, x: x @ signed(t),
        lambda t, x, c: power * np.abs(t) ** (power - 1) * (x.T @ c[:, 0]),
        {"w": (3,)},
        theta=[1.0, -1.0, 0.5],
    )
    degree = model.degree(X)
    assert (degree.kind, degree.order, degree.blocks) == ("exact", power, {"w": power})


def test_a_bias_makes_it_near_and_an_exponential_none():
    def scores(t, x):
        return np.maximum(x @ t[:3] + t[3], 0.0) * t[4] + t[5]

    def pullback(t, x, c):
        z, c = x @ t[:3] + t[3], c[:, 0]
        inner = c * t[4] * (z > 0)
        return np.concatenate([x.T @ inner, [inner.sum(), (c * np.maximum(z, 0)).sum(), c.sum()]])

    near = Model.from_callables(scores, pullback, {"all": (6,)}, theta=[1, 2, 3, 0.5, 1, 0.3]).degree(X)
    assert (near.kind, near.order, near.power) == ("near", 2.0, 1.0)
    none = Model.from_callables(
        lambda t, x: x @ np.exp(t), lambda t, x, c: np.exp(t) * (x.T @ c[:, 0]), {"w": (3,)}, theta=np.ones(3)
    ).degree(X)
    assert none.kind == "none" and math.isnan(none.order)


def test_several_outputs_and_small_chunks_give_the_run_of_the_whole():
    labels = np.argmax(X, axis=1)
    scores = lambda t, x: x @ t.reshape(3, 3).T
    pullback = lambda t, x, c: (c.T @ x).ravel()
    theta = RNG.standard_normal(9)
    spec = {**SPEC, "loss": "cross-entropy"}
    runs = [
        latephase.run(
            spec,
            model=Model.from_callables(scores, pullback, {"w": (3, 3)}, theta=theta, rows=rows),
            data=(X, labels, X[:5], labels[:5]),
            overrides={"probes": ["margin", "accuracy"], "stop": {"steps": steps}},
            progress=False,
        )
        for rows, steps in ((None, 25), (5, 25), (5, 1000))
    ]
    assert runs[2].last("test_accuracy") == 1.0
    # Later on, ties between support vectors amplify the rounding of sums in another order.
    np.testing.assert_allclose(runs[0].columns["margin"], runs[1].columns["margin"], rtol=1e-11)


def test_arrays_are_converted_with_a_warning_and_bad_ones_named():
    with pytest.warns(ConversionWarning, match="float32 to float64"):
        Data(X.astype(np.float32), Y)
    with pytest.warns(ConversionWarning, match="contiguous"):
        Data(X[::-1].T.copy().T, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Data(X, Y)
    holed = X.copy()
    holed[4, 1] = np.nan
    for x, y, said in [
        (X[:, 0], Y, "one row an example"),
        (X, Y[:-1], r"\(12,\)"),
        (holed, Y, "example 4"),
        (X, Y + 0.5, "not whole"),
        (X.astype(str), Y, "numbers are needed"),
    ]:
        with pytest.raises(ValueError, match=said):
            Data(x, y)
    with pytest.raises(ValueError, match="labels of 3 classes"):
        latephase.run({**SPEC, "loss": "cross-entropy", "model": "linear"}, data=Data(X, [0, 1, 2, 3] * 3, classes="abc"), progress=False)
    with pytest.raises(ValueError, match="go from 0 to 3"):
        latephase.run({**SPEC, "model": "linear"}, data=(X, [0, 1, 2, 3] * 3), progress=False)


@pytest.mark.parametrize("labels", [Y, (Y > 0).astype(int), Y > 0])
def test_label_1_is_the_class_of_positive_scores(labels):
    run = latephase.run({**SPEC, "model": "linear"}, data=(X, labels), progress=False)
    (w,) = run.theta.values()
    assert ((X @ w.ravel() > 0) == (Y > 0)).all()


def test_losses_are_those_of_extended_precision():
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 50
    out = np.array([[1e6, 3.0, -2.0], [-40.0, 2.0, 1.0], [0.3, 0.1, 38.5]])
    labels = np.array([0, 1, 2])
    ln_loss, gradient = losses.evaluate({"kind": "cross-entropy", "reduction": "mean"}, out, labels)
    rows = [[mpmath.mpf(v) for v in row] for row in out.tolist()]
    sums = [sum(mpmath.exp(v - row[y]) for j, v in enumerate(row) if j != y) for row, y in zip(rows, labels)]
    total = sum(mpmath.log1p(s) for s in sums)
    assert ln_loss == pytest.approx(float(mpmath.log(total / 3)), rel=1e-14)
    for i, (row, y) in enumerate(zip(rows, labels)):
        for j, v in enumerate(row):
            true = mpmath.exp(v - row[y]) / (1 + sums[i]) if j != y else -sums[i] / (1 + sums[i])
            assert gradient[i, j] == pytest.approx(float(true / total), rel=1e-12)


def test_losses_and_norms_say_what_is_wrong():
    for call, said in [
        (lambda: losses.evaluate("hinge", [[1.0, 2.0]], [0]), "unknown loss"),
        (lambda: losses.evaluate("cross-entropy", [[1.0, 2.0]], [2]), "allowed are 0 to 1"),
        (lambda: losses.evaluate("logistic", [1.0, 2.0], [0, 3]), "allowed are 0 and 1"),
        (lambda: losses.evaluate("logistic", [[1.0, 2.0]], [0]), r"\(n, 1\)"),
        (lambda: norms.steepest("l3", {"w": [1.0]}), "unknown norm"),
        (lambda: norms.steepest("spectral", {"w": [1.0]}), "matri"),
    ]:
        with pytest.raises(ValueError, match=said):
            call()
