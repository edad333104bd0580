"""Networks of torch and JAX in the laboratory."""

import traceback

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn

import latephase
from latephase import Model

pytestmark = pytest.mark.full
RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 6))
Y = np.where(X[:, 0] + 0.5 * X[:, 1] > 0, 1, 0)
K = np.argmax(X[:, :3], axis=1)
STEPPED = {"kind": "stepped", "pace": {"kind": "unit-decrease", "eta": 0.1}}
SPEC = {"loss": "logistic", "algorithm": STEPPED, "stop": {"log10_loss": -50}, "probes": ["margin", "alignment", "kkt"]}


def mlp(outputs=1, bias=False):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8, bias=bias), nn.ReLU(), nn.Linear(8, outputs, bias=bias)).double()


def built_in(module, outputs):
    values = np.concatenate([p.detach().numpy().ravel() for p in module.parameters()]).tolist()
    return {"kind": "mlp", "widths": [8], "init": {"kind": "values", "values": values}}


def points(labels):
    return {"kind": "points", "inputs": X.tolist(), "labels": labels.tolist()}


def same(a, b, columns=("log10_loss", "margin", "beta", "kkt_epsilon_fit", "ln_rho")):
    for column in columns:
        keep = ~np.isnan(b.columns[column])
        np.testing.assert_allclose(a.columns[column][keep], b.columns[column][keep], rtol=1e-7, err_msg=column)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_torch_module_runs_as_the_built_in_one_does(outputs):
    module = mlp(outputs)
    before = [p.detach().clone() for p in module.parameters()]
    spec, labels = ({**SPEC, "loss": "cross-entropy"}, K) if outputs > 1 else (SPEC, Y)
    own = latephase.run(spec, model=Model.from_torch(module, degree=2), data=(X, labels), progress=False)
    signs = labels if outputs > 1 else 2 * labels - 1
    same(own, latephase.run({**spec, "model": built_in(module, outputs), "data": points(signs)}, progress=False))
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters()))
    module.load_state_dict({name: torch.tensor(block) for name, block in own.theta.items()})
    assert ((module(torch.tensor(X)).argmax(1).numpy() == K).all()) if outputs > 1 else True


def test_a_jax_function_runs_as_the_built_in_one_does():
    jax = pytest.importorskip("jax")
    module = mlp(3)
    w, v = (p.detach().numpy() for p in module.parameters())
    apply = lambda p, x: jax.nn.relu(x @ p["0.weight"].T) @ p["2.weight"].T
    model = Model.from_jax(apply, {"0.weight": w, "2.weight": v}, degree=2)
    spec = {**SPEC, "loss": "cross-entropy"}
    own = latephase.run(spec, model=model, data=(X, K), progress=False)
    same(own, latephase.run({**spec, "model": built_in(module, 3), "data": points(K)}, progress=False))


def test_minibatches_and_every_kind_of_algorithm_work_on_it():
    for algorithm in (
        "flow",
        "bundle",
        "prgd",
        {**STEPPED, "descent": "adam"},
        {**STEPPED, "descent": {"kind": "steepest", "norm": {"kind": "blockwise", "inner": "spectral"}}},
        {"kind": "stepped", "pace": "lyu-li", "batch": {"kind": "shuffle", "size": 4}},
    ):
        spec = {**SPEC, "algorithm": algorithm, "stop": {"steps": 20}}
        run = latephase.run(spec, model=Model.from_torch(mlp(), rows=5), data=(X, Y), progress=False)
        assert run.last("step") >= 1 and np.isfinite(run.last("log10_loss")), algorithm


def test_frozen_parameters_and_buffers_keep_their_values():
    module = nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1, bias=False)).double()
    module(torch.tensor(X))
    module.eval()
    module[0].weight.requires_grad_(False)
    model = Model.from_torch(module)
    assert "0.weight" not in model.layout
    run = latephase.run({**SPEC, "stop": {"steps": 5}}, model=model, data=(X, Y), progress=False)
    theta = run.theta
    for name in ("0.weight", "1.running_mean", "1.running_var"):
        np.testing.assert_array_equal(theta[name], module.state_dict()[name].numpy())
    assert not np.array_equal(theta["3.weight"], module[3].weight.detach().numpy())


@pytest.mark.parametrize(
    ("layer", "said"),
    [(nn.Dropout(0.5), "Dropout `1` in training mode"), (nn.BatchNorm1d(8), "BatchNorm1d `1` in training mode")],
)
def test_what_is_not_a_function_of_its_parameters_is_named(layer, said):
    module = nn.Sequential(nn.Linear(6, 8), layer, nn.ReLU(), nn.Linear(8, 1))
    model = Model.from_torch(module)
    with pytest.raises(ValueError, match=said):
        latephase.run(SPEC, model=model, data=(X, Y), progress=False)
    latephase.run({**SPEC, "stop": {"steps": 2}}, model=Model.from_torch(module.eval()), data=(X, Y), progress=False)


class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.ones(6)), [0]

    def forward(self, x):
        self.calls[0] += 1
        if self.calls[0] > 80:
            raise KeyError("on purpose")
        return x @ self.weight


def test_what_a_module_raises_is_raised_with_its_traceback():
    with pytest.raises(KeyError, match="on purpose") as caught:
        latephase.run({**SPEC, "stop": {"steps": 1000}}, model=Model.from_torch(Faulty()), data=(X, Y), progress=False)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "forward"


def test_the_degrees_of_networks():
    cnn = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3, bias=False))
    images = RNG.standard_normal((4, 1, 8, 8))
    exact = Model.from_torch(cnn).degree(images)
    assert (exact.kind, exact.order, set(exact.blocks.values())) == ("exact", 2.0, {1.0})
    near = Model.from_torch(mlp(3, bias=True)).degree(X)
    assert (near.kind, near.order, near.power) == ("near", 2.0, 1.0)
    gelu = Model.from_torch(nn.Sequential(nn.Linear(6, 8, bias=False), nn.GELU(), nn.Linear(8, 3, bias=False))).degree(X)
    assert (gelu.kind, gelu.order) == ("near", 2.0)
    with pytest.raises(ValueError, match="degree 3 was claimed"):
        Model.from_torch(cnn, degree=3).degree(images)


def test_float32_modules_and_data_are_taken_in_float64():
    with pytest.warns(latephase.model.ConversionWarning):
        run = latephase.run(SPEC, model=Model.from_torch(mlp().float()), data=(torch.tensor(X).float(), torch.tensor(Y)), progress=False)
    assert run.outcome.reached and run.theta["0.weight"].dtype == np.float64


def test_an_audit_says_what_the_command_line_says_of_the_same_weights():
    module = mlp(3)
    run = latephase.run({**SPEC, "loss": "cross-entropy"}, model=Model.from_torch(module), data=(X, K), progress=False)
    module.load_state_dict({name: torch.tensor(block) for name, block in run.theta.items()})
    audit = latephase.audit(module, (X, K), name="mine")
    assert audit.is_separated and "degree 2" in audit.degree
    for column in ("margin", "beta", "kkt_epsilon_fit", "ln_rho"):
        assert audit.row[column] == pytest.approx(run.last(column), rel=1e-9), column
    assert audit.row["euler_defect"] < 1e-12 and audit.homogeneity_defect < 1e-9
    assert sum(s.share for s in audit.support) == pytest.approx(1.0)
    # At 1e-50 every example is past what float64 can add to 1.
    stock = {s.precision: s for s in audit.stock}
    assert stock["float64"].is_wrong or stock["float64"].cosine < 0.999
    assert "mine" in str(audit)


def test_the_defect_of_a_bias_is_that_of_the_bias():
    """Against <theta, grad f> - 2 f example by example."""
    module = mlp(1, bias=True)
    x = torch.tensor(X)
    f = module(x)[:, 0]
    euler = torch.stack(
        [sum((g * p).sum() for g, p in zip(torch.autograd.grad(q, list(module.parameters()), retain_graph=True), module.parameters())) for q in f]
    )
    true = ((euler - 2 * f).abs().max() / (2 * f.abs().max())).item()
    assert true > 0.01 and Model.from_torch(module).defect(X) == pytest.approx(true, rel=1e-7)


def test_the_report_of_an_audit_is_one_page(tmp_path):
    audit = latephase.audit(mlp(), (X, Y))
    page = audit.report(tmp_path / "audit.html")
    text = page.read_text()
    assert "<html" in text and "Support" in text and "The loss that it was trained with" in text
