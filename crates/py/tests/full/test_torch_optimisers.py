"""Optimisers for torch against the core: single directions, and whole runs of one spec from the same weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import latephase
import latephase.torch as lt
from latephase import norms
from latephase.torch import _adam
from latephase.torch._norms import _parsed, _steepest

pytestmark = pytest.mark.full
RNG = np.random.default_rng(0)
X = RNG.standard_normal((10, 3))
Y = np.where(X @ np.array([1.0, -2.0, 0.5]) > 0, 1, -1)
W0 = [RNG.standard_normal((4, 3)), RNG.standard_normal((1, 4))]

SPECTRAL = {"kind": "blockwise", "inner": "spectral"}
NORMS = [
    "l2",
    "l1",
    "linf",
    {"kind": "lp", "p": 1.5},
    {"kind": "lp", "p": 3},
    "frobenius-max",
    SPECTRAL,
    {"kind": "blockwise", "inner": "nuclear", "vectors": "l1"},
    {"kind": "blockwise", "inner": "spectral", "combine": "sum"},
    {"kind": "blockwise", "inner": "spectral", "combine": "euclid"},
    {"kind": "blockwise", "inner": "l2", "blocks": {"b": "linf"}},
]


def test_steepest_directions_are_the_cores():
    for norm in NORMS + ["spectral", "nuclear"]:
        blocks = {"a": RNG.standard_normal((4, 3)), "b": RNG.standard_normal(5), "c": RNG.standard_normal((2, 3, 2))}
        if norm in ("spectral", "nuclear"):
            del blocks["b"]
        for unit in (1.0, 1e-200, 1e150):
            scaled = {name: unit * block for name, block in blocks.items()}
            d, dual, _ = norms.steepest(norm, scaled)
            ours, own = _steepest(_parsed(norm), [torch.tensor(b) for b in scaled.values()], list(scaled))
            assert own == pytest.approx(dual, rel=1e-12), norm
            for a, b in zip(ours, d.values()):
                # A polar factor is as ill-conditioned as its matrix, some tens here.
                np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-13, err_msg=str(norm))


def test_a_rank_one_gradient_has_a_rank_one_polar_factor():
    g = np.outer([3.0, 4.0, 0.0], [0.6, 0.8]) * 1e-100
    (ours,), dual = _steepest(_parsed("spectral"), [torch.tensor(g)], ["w"])
    np.testing.assert_allclose(ours.numpy(), np.outer([0.6, 0.8, 0.0], [0.6, 0.8]), atol=1e-15)
    assert dual == pytest.approx(5e-100, rel=1e-14)


def by_core(descent, pace, steps, start=W0):
    """θ after some steps of the laboratory, squared ReLU so that nothing jumps."""
    values = np.concatenate([w.ravel() for w in start]).tolist()
    model = {"kind": "mlp", "widths": [4], "activation": "relu-power", "init": {"kind": "values", "values": values}}
    spec = {
        "data": {"kind": "points", "inputs": X.tolist(), "labels": Y.tolist()},
        "model": model,
        "loss": "logistic",
        "algorithm": {"kind": "stepped", "descent": descent, "pace": pace},
        "stop": {"steps": steps},
        "probes": ["margin"],
    }
    run = latephase.run(spec, progress=False)
    return [run.theta["0.weight"], run.theta["2.weight"]], run.last("ln_loss")


def by_torch(make, steps, start=W0):
    """The same with an optimiser of ours."""
    weights = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    x, y = torch.tensor(X), torch.tensor(Y)
    loss = lambda: lt.log_loss((torch.relu(x @ weights[0].T) ** 2) @ weights[1].T, y, kind="logistic")
    optimiser = make(weights)
    for _ in range(steps):
        optimiser.zero_grad()
        ln_loss = loss()
        ln_loss.backward()
        optimiser.step(ln_loss=ln_loss)
    return [w.detach().numpy() for w in weights], loss().item()


def agree(core, ours, tolerance=1e-12):
    assert ours[1] == pytest.approx(core[1], rel=tolerance)
    for a, b in zip(core[0], ours[0]):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * np.abs(a).max())


@pytest.mark.parametrize("norm", [n for n in NORMS if not (isinstance(n, dict) and "blocks" in n)] + ["spectral", "nuclear"], ids=str)
def test_steepest_descent_follows_the_core(norm):
    core = by_core({"kind": "steepest", "norm": norm}, {"kind": "unit-decrease", "eta": 0.05, "factor": 1e300}, 30)
    agree(core, by_torch(lambda w: lt.SteepestDescent(w, lr=0.05, norm=norm), 30))


@pytest.mark.parametrize(
    ("pace", "spec"),
    [
        ("loss-scaled", {"kind": "loss-scaled", "eta": 0.01}),
        ("constant", {"kind": "constant", "eta": 0.01}),
        ("normalized", {"kind": "normalized", "c": 0.01, "a": 0.0}),
    ],
)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_every_pace_is_the_cores(pace, spec, norm):
    core = by_core({"kind": "steepest", "norm": norm}, spec, 30)
    agree(core, by_torch(lambda w: lt.SteepestDescent(w, lr=0.01, norm=norm, pace=pace), 30))


@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-3])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_follows_the_core(eps, decay):
    descent = {"kind": "adam", "epsilon": eps, "weight_decay": decay}
    core = by_core(descent, {"kind": "constant", "eta": 0.03}, 60)
    agree(core, by_torch(lambda w: lt.ScaleFreeAdam(w, lr=0.03, eps=eps, weight_decay=decay), 60))


@pytest.fixture
def late():
    """Weights of a loss far below 1e-308: relu(<w, x>)^2 - relu(-<w, x>)^2 has the sign of <w, x>, and two neurons beside."""
    w = np.array([1.0, -2.0, 0.5])
    inner = np.stack([w, -w, 0.1 * w + 0.01, 0.1 - 0.2 * w])
    outer = np.array([[1.0, -1.0, 0.03, -0.02]])
    least = ((X @ w) ** 2).min()
    return [(4000.0 / least) ** (1 / 3) * part for part in (inner, outer)]


@pytest.mark.parametrize("eps", [0.0, 1e-8])
@pytest.mark.parametrize(("pace", "rate"), [("unit-decrease", 5.0), ("constant", 1e-3)])
def test_adam_follows_the_core_far_below_f64(late, eps, pace, rate):
    descent = {"kind": "adam", "epsilon": eps, "beta2": 0.9}
    spec = {"kind": pace, "eta": rate} | ({"factor": 1e300} if pace == "unit-decrease" else {})
    core = by_core(descent, spec, 40, late)
    if eps and pace == "constant":
        # Adam is then gradient descent with the rate 1e5 on a gradient of 1e-900.
        assert core[0][0].tolist() == late[0].tolist()
        return
    assert core[1] < -1000
    agree(core, by_torch(lambda w: lt.ScaleFreeAdam(w, lr=rate, betas=(0.9, 0.9), eps=eps, pace=pace), 40, late))


@pytest.mark.parametrize("eps", [1e-8, 1e-3])
def test_adam_is_torchs_own_at_ordinary_scale(eps):
    a, b = (torch.nn.Parameter(torch.tensor(W0[0])) for _ in range(2))
    x, y = torch.tensor(X), torch.arange(10) % 4
    ours, theirs = lt.ScaleFreeAdam([a], lr=0.01, eps=eps), torch.optim.Adam([b], lr=0.01, eps=eps)
    for _ in range(50):
        ours.zero_grad(), theirs.zero_grad()
        ln_loss = lt.log_loss(x @ a.T, y)
        ln_loss.backward()
        ours.step(ln_loss=ln_loss)
        torch.nn.functional.cross_entropy(x @ b.T, y, reduction="sum").backward()
        theirs.step()
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_shifting_the_loss_by_a_power_of_two_changes_no_bit_of_adam():
    def run(shift, plain=True):
        torch.manual_seed(0)
        p = torch.nn.Parameter(torch.randn(20, dtype=torch.float64))
        adam = lt.ScaleFreeAdam([p], lr=0.1)
        for step in range(60):
            p.grad = torch.randn(20, dtype=torch.float64)
            # Falls of 2^-7 a step, and one of 2^-3000.
            exponent = -7 * step - (3000 if step > 30 else 0) + shift
            factor, frame = _adam._frame(0.0)
            assert (factor, frame) == (1.0, 0)
            old, _adam._frame = _adam._frame, lambda _: (1.0, exponent)
            try:
                adam.step(ln_loss=0.0)
            finally:
                _adam._frame = old
        return p.detach()

    one = run(0)
    for shift in (1, -1, -512, -100_000, 3001):
        assert torch.equal(one, run(shift))


def test_plain_and_far_steps_give_the_same_bits(monkeypatch):
    def run(eps, drops):
        torch.manual_seed(1)
        p = torch.nn.Parameter(torch.randn(30, dtype=torch.float64))
        adam, ln_loss, path = lt.ScaleFreeAdam([p], eps=eps, lr=0.1, pace="normalized"), 2.0, []
        for i in range(120):
            p.grad = torch.randn(30, dtype=torch.float64) * (torch.rand(30) > 0.2)
            if i % 50 < 25:
                p.grad[:3] = 0
            ln_loss -= drops[i % len(drops)]
            adam.step(ln_loss=ln_loss)
            path.append(p.detach().clone())
        return torch.stack(path)

    for eps in (0.0, 1e-8, 1e-300):
        for drops in ([0.1], [3.0, -1.0], [0.0] * 40 + [800.0], [0.0] * 60 + [1500.0, -100.0], [20.0]):
            plain = run(eps, drops)
            with monkeypatch.context() as patch:
                patch.setattr(lt, "_plain_step", lambda *_: None)
                assert torch.equal(plain, run(eps, drops)), (eps, drops)


def test_lyu_lis_rate_follows_the_core():
    pace = {"kind": "lyu-li", "alpha": 5.0}
    core = by_core("steepest", pace, 25)
    weights = [torch.nn.Parameter(torch.tensor(w)) for w in W0]
    x, y = torch.tensor(X), torch.tensor(Y)
    loss = lambda: lt.log_loss((torch.relu(x @ weights[0].T) ** 2) @ weights[1].T, y, kind="logistic")
    descent = lt.SteepestDescent(weights)
    rate, kept = lt.LyuLiRate(descent, loss(), alpha=5.0), 0
    while kept < 25:
        descent.zero_grad()
        ln_loss = loss()
        ln_loss.backward()
        descent.step(ln_loss=ln_loss)
        kept += rate.step(loss())
    assert rate.refused > 0
    agree(core, ([w.detach().numpy() for w in weights], loss().item()))


def test_a_refused_epoch_leaves_no_trace_in_adam():
    p = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    adam = lt.ScaleFreeAdam([p])
    p.grad = torch.ones_like(p)
    adam.step(ln_loss=0.0)
    rate = lt.LyuLiRate(adam, 0.0)
    before, moments = p.detach().clone(), {k: v for k, v in adam.state[p].items()}
    p.grad = torch.full_like(p, 2.0)
    adam.step(ln_loss=-1.0)
    assert not rate.step(float("nan"))
    assert torch.equal(p, before) and adam.param_groups[0]["t"] == 1
    assert all(torch.equal(adam.state[p][k], moments[k]) for k in ("m", "v"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_come_back(dtype):
    def steps(adam, p, count):
        torch.manual_seed(5)
        for k in range(count):
            p.grad = torch.randn(6, dtype=dtype)
            p.grad[0] = 0 if k else 1
            adam.step(ln_loss=-400.0 * k)

    p = torch.nn.Parameter(torch.ones(6, dtype=dtype))
    adam = lt.ScaleFreeAdam([p])
    steps(adam, p, 6)
    q = torch.nn.Parameter(p.detach().clone())
    other = lt.ScaleFreeAdam([q])
    other.load_state_dict(adam.state_dict())
    steps(adam, p, 3), steps(other, q, 3)
    assert torch.equal(p, q)


def test_wrong_settings_are_named():
    w = torch.nn.Parameter(torch.ones(2, 2))
    b = torch.nn.Parameter(torch.ones(2))
    for make, said in [
        (lambda: lt.SteepestDescent([w], norm="l3"), "unknown norm"),
        (lambda: lt.SteepestDescent([w, b], norm="spectral"), "blockwise"),
        (lambda: lt.SteepestDescent([w], norm={"kind": "lp", "p": 0.5}), "at least 1"),
        (lambda: lt.SteepestDescent([w], norm={"kind": "blockwise", "inner": "l2", "blocks": {"v": "l1"}}), "no block 'v'"),
        (lambda: lt.SteepestDescent([w], lr=0.0), "lr"),
        (lambda: lt.SteepestDescent([w], pace="armijo"), "unknown pace"),
        (lambda: lt.SteepestDescent([{"params": [w]}, {"params": [b]}]), "one group"),
        (lambda: lt.ScaleFreeAdam([w], betas=(0.9, 1.0)), "betas"),
        (lambda: lt.ScaleFreeAdam([w]).step(), "ln L"),
        (lambda: lt.LyuLiRate(torch.optim.SGD([w], lr=0.1), 0.0), "LyuLiRate takes"),
    ]:
        with pytest.raises(ValueError, match=said):
            make()
    descent = lt.SteepestDescent([w])
    w.grad = torch.full_like(w, float("nan"))
    with pytest.raises(FloatingPointError, match="finite"):
        descent.step()
    w.grad = torch.zeros_like(w)
    with pytest.raises(FloatingPointError, match="exactly 0"):
        descent.step()
    assert torch.equal(w, torch.ones(2, 2))
