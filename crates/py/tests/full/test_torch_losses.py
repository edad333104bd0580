"""ln of a loss in torch and in JAX, against the core, against extended precision, against themselves."""

import doctest
import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import latephase.torch as lt
from latephase import losses

pytestmark = pytest.mark.full
KINDS = ["cross-entropy", "logistic", "exponential"]


def cases(kind):
    """Outputs and labels at margins of every size and sign, and mixed ones."""
    rng = np.random.default_rng(1)
    k = 4 if kind == "cross-entropy" else 1
    for size in (0.0, 1.0, 10.0, 36.0, 38.0, 60.0, 300.0, 800.0, 1e4, 1e6):
        for sign in (1.0, -1.0, None):
            out, labels = rng.standard_normal((6, k)), rng.integers(0, max(k, 2), 6)
            for i in range(6):
                margin = size * (sign if sign else (-1.0) ** i)
                if k > 1:
                    out[i, labels[i]] += margin
                else:
                    out[i, 0] += margin * (1 if labels[i] else -1)
            yield out, labels


def close(ours, theirs):
    """1e-12 relative, entry by entry, down to where f64 has no digits left."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert np.all(np.abs(ours - theirs) <= 1e-12 * np.abs(theirs) + 1e-300), (ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_torch_gives_what_the_core_gives(kind, reduction):
    for out, labels in cases(kind):
        ln_loss, gradient = losses.evaluate({"kind": kind, "reduction": reduction}, out, labels)
        outputs = torch.tensor(out, requires_grad=True)
        ours = lt.log_loss(outputs, torch.tensor(labels), kind, reduction)
        ours.backward()
        assert ours.item() == pytest.approx(ln_loss, rel=1e-12, abs=1e-12)
        close(outputs.grad, gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_jax_gives_what_the_core_gives_jitted_and_mapped(kind):
    jax = pytest.importorskip("jax")
    import latephase.jax as lj

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(lambda o, y: lj.log_loss(o, y, kind)))
        many = list(cases(kind))
        for out, labels in many:
            ln_loss, gradient = losses.evaluate(kind, out, labels)
            value, ours = both(out, labels)
            assert float(value) == pytest.approx(ln_loss, rel=1e-12, abs=1e-12)
            close(ours, gradient)
        outs, ys = np.stack([o for o, _ in many]), np.stack([y for _, y in many])
        mapped = jax.vmap(jax.grad(lambda o, y: lj.log_loss(o, y, kind)))(outs, ys)
        close(mapped, [losses.evaluate(kind, o, y)[1] for o, y in many])


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_every_order_agree(kind):
    labels = torch.tensor([0, 1, 1, 0, 1])
    loss = lambda o: lt.log_loss(o, labels, kind)
    out = torch.randn(5, 3 if kind == "cross-entropy" else 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (out,)) and torch.autograd.gradgradcheck(loss, (out,))
    hessian = torch.func.hessian(loss)(out.detach())
    assert torch.allclose(hessian, torch.autograd.functional.hessian(loss, out.detach()), atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_hessians_of_torch_and_jax_agree_late(kind):
    jax = pytest.importorskip("jax")
    import latephase.jax as lj

    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        for out, labels in cases(kind):
            v = rng.standard_normal(out.shape)
            ours = torch.autograd.functional.hvp(lambda o: lt.log_loss(o, torch.tensor(labels), kind), torch.tensor(out), torch.tensor(v))[1]
            theirs = jax.jvp(jax.grad(lambda o: lj.log_loss(o, labels, kind)), (out,), (v,))[1]
            # Two terms of size |g||v| may cancel.
            np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-12)


def test_torch_maps_over_batches():
    out, labels = torch.randn(7, 5, 3, dtype=torch.float64), torch.randint(0, 3, (7, 5))
    mapped = torch.func.vmap(torch.func.grad(lt.log_loss))(out, labels)
    for o, y, g in zip(out, labels, mapped):
        close(g, losses.evaluate("cross-entropy", o.numpy(), y.numpy())[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_outputs_lose_nothing_more(dtype):
    out = (30 * torch.randn(6, 4)).to(dtype).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    ln_loss = lt.log_loss(out, labels)
    ln_loss.backward()
    true, gradient = losses.evaluate("cross-entropy", out.detach().double().numpy(), labels.numpy())
    assert ln_loss.dtype == torch.float64 and ln_loss.item() == pytest.approx(true, rel=1e-12)
    assert out.grad.dtype == dtype
    assert torch.equal(out.grad, torch.tensor(gradient).to(dtype))


def test_the_stock_loss_points_elsewhere_where_ours_does_not():
    out = torch.tensor([[79.0, 0.0, -30.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0])
    (stock,) = torch.autograd.grad(torch.nn.functional.cross_entropy(out, labels), out)
    (ours,) = torch.autograd.grad(lt.log_loss(out, labels), out)
    # torch's cosine takes vectors shorter than 1e-8 for 0.
    assert torch.cosine_similarity(stock / stock.abs().max(), ours).item() == pytest.approx(0.5**0.5, abs=1e-6)


def test_wrong_arguments_are_named():
    out = torch.zeros(3, 2)
    for arguments, said in [
        ((out, torch.tensor([0, 1, 2])), "target 2 is 2"),
        ((out, torch.tensor([0, 1])), "shape"),
        ((out, torch.tensor([0.0, 1.0, 1.0])), "integer"),
        ((out, torch.tensor([0, 1, 1]), "hinge"), "unknown kind"),
        ((out, torch.tensor([0, 1, 1]), "cross-entropy", "none"), "reduction"),
        ((out, torch.tensor([0, 1, 1]), "logistic"), r"\(n, 1\)"),
        ((out[:, 0], torch.tensor([-1, 0, 1]), "logistic"), "-1 and"),
        ((out.long(), torch.tensor([0, 1, 1])), "floating"),
        ((out[:0], torch.zeros(0, dtype=torch.long)), "no example"),
    ]:
        with pytest.raises(ValueError, match=said):
            lt.log_loss(*arguments)


@pytest.mark.parametrize("name", ["torch._loss", "torch._steepest", "torch._adam", "torch._rate", "jax"])
def test_examples(name):
    pytest.importorskip(name.partition(".")[0])
    ran = doctest.testmod(importlib.import_module(f"latephase.{name}"))
    assert ran.attempted > 0 and ran.failed == 0
