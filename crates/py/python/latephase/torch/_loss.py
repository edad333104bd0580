"""ln of a loss with a gradient that is right at any margin."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["log_loss"]

KINDS = ("cross-entropy", "logistic", "exponential")


def log_loss(outputs: Tensor, targets: Tensor, kind: str = "cross-entropy", reduction: str = "sum") -> Tensor:
    """ln of a loss, with a gradient that is right at any margin.

    Parameters
    ----------
    outputs
        ``(n, classes)`` logits for ``cross-entropy``; ``(n,)`` or ``(n, 1)`` for the binary kinds. Any floating dtype; the work is
        done in float64 where the device has it.
    targets
        ``(n,)`` class indices; for the binary kinds 0/1, False/True or -1/+1, where 1 is the class of positive outputs, as in
        ``binary_cross_entropy_with_logits``.
    kind
        ``"cross-entropy"``, ``"logistic"`` or ``"exponential"``.
    reduction
        ``"sum"`` (the thresholds of the theory are for it) or ``"mean"``. The gradient is the same for both.

    Returns
    -------
    A scalar: ln L, float64 where the device has it. It can be differentiated again and again; vmap, torch.func.grad and hessian work.

    Raises
    ------
    ValueError
        Shapes that do not fit, targets outside the classes, an unknown kind or reduction.

    Examples
    --------
    A margin of a million, where ``F.cross_entropy`` is 0 and has the gradient 0:

    >>> import torch, latephase.torch
    >>> out = torch.tensor([[1e6, 0.0, -3.0]], dtype=torch.float64, requires_grad=True)
    >>> ln_loss = latephase.torch.log_loss(out, torch.tensor([0]))
    >>> round(ln_loss.item(), 3)
    -999999.951
    >>> (g,) = torch.autograd.grad(ln_loss, out)
    >>> [round(v, 4) for v in g[0].tolist()]
    [-1.0, 0.9526, 0.0474]
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r} of loss, expected one of {', '.join(map(repr, KINDS))}")
    if reduction not in ("sum", "mean"):
        raise ValueError(f"unknown reduction {reduction!r}, expected 'sum' or 'mean'")
    if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
        raise ValueError(f"outputs have to be a tensor of floating-point numbers, not {_named(outputs)}")
    targets = torch.as_tensor(targets, device=outputs.device)
    if kind == "cross-entropy":
        if outputs.dim() != 2 or outputs.shape[1] < 2:
            raise ValueError(
                f"cross-entropy takes outputs of shape (n, classes) with 2 classes or more, not {tuple(outputs.shape)}"
            )
        if targets.dim() != 1 or targets.shape[0] != outputs.shape[0]:
            raise ValueError(
                f"targets have shape {tuple(targets.shape)}; outputs of shape {tuple(outputs.shape)} need ({outputs.shape[0]},)"
            )
        if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
            raise ValueError(f"targets of cross-entropy are class indices of an integer dtype, not {targets.dtype}")
        _check_targets(targets, (targets >= 0) & (targets < outputs.shape[1]), f"0 to {outputs.shape[1] - 1}")
        labels = targets.long()
    else:
        if outputs.dim() == 2 and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        if targets.dim() == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if outputs.dim() != 1 or outputs.shape != targets.shape:
            raise ValueError(
                f"the {kind} loss takes outputs and targets of shape (n,) or (n, 1), not {tuple(outputs.shape)} and {tuple(targets.shape)}"
            )
        if targets.dtype == torch.bool:
            targets = targets.long()
        minus = (targets == -1).any()
        low = torch.where(minus, -1, 0)
        _check_targets(targets, (targets == 1) | (targets == low), "0 and 1, or -1 and +1")
        labels = torch.where(targets > 0, 1, -1)
    if outputs.shape[0] == 0:
        raise ValueError("outputs hold no example")
    ln_loss = _LnLoss.apply(outputs, labels, kind)
    return ln_loss - math.log(outputs.shape[0]) if reduction == "mean" else ln_loss


def _named(value: Any) -> str:
    return f"a tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _check_targets(targets: Tensor, good: Tensor, allowed: str) -> None:
    try:
        is_good = bool(good.all())
    except RuntimeError:
        # Under vmap a value cannot be looked at.
        return
    if not is_good:
        at = int((~good).nonzero()[0, 0])
        raise ValueError(f"target {at} is {targets[at].item()}, allowed are {allowed}")


def _wide(x: Tensor) -> Tensor:
    """float64 where the device has it."""
    return x.float() if x.device.type == "mps" else x.double()


def _difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a - b as an exact pair: outputs of 1e6 differ by more digits than one number holds."""
    hi = a - b
    back = hi - a
    return hi, (a - (hi - back)) + (-b - back)


def _binary(out: Tensor, sign: Tensor, kind: str, of: str) -> tuple[Tensor, ...]:
    """Value, cotangent and, for ``of == "second"``, l''/L of a binary loss, all in the scale e^shift."""
    q = sign * out
    one = torch.ones_like(q)
    if kind == "exponential":
        anchor, value, slope, second = -q, one, one, one
    else:
        # Past 37 the corrections to e^-q are below half a unit in the last place.
        late, right = q > 37.0, q > 0.0
        e = torch.exp(-q.abs())
        anchor = torch.where(late, -q, torch.zeros_like(q))
        value = torch.where(late, one, torch.where(right, e.log1p(), e.log1p() - q))
        # 1/(1 + e^q), without an overflow on either side.
        slope = torch.where(late, one, torch.where(right, e, one) / (1.0 + e))
        second = torch.where(late, one, e / (1.0 + e).square())
    shift = anchor.max()
    scale = torch.exp(anchor - shift)
    total = (value * scale).sum()
    if of == "value":
        return shift + total.log(), -sign * slope * scale / total
    return (second * scale / total,)


def _cross_entropy(out: Tensor, labels: Tensor, of: str) -> tuple[Tensor, ...]:
    """ln L and its cotangent; for ``of == "second"`` the wrong classes' probabilities instead."""
    right = torch.arange(out.shape[1], device=out.device) == labels[:, None]
    hi, lo = _difference(out, out.gather(1, labels[:, None]))
    zero = torch.zeros((), dtype=out.dtype, device=out.device)
    top = torch.where(right, -torch.inf, hi).amax(dim=1)
    # From here on ln(1 + r) = r and softplus(r) = 0 to rounding: the example is a plain sum of exponentials.
    late = top < -(37.0 + math.log(out.shape[1]))
    shift = torch.where(late, top, zero).max()
    m = torch.where(late & (of == "value"), shift, top.clamp(min=0.0))
    e = torch.where(right, zero, torch.exp((hi - m[:, None]) + lo))
    total = e.sum(dim=1)
    z = torch.where(m > 0.0, torch.exp(-m) + total, 1.0 + total)
    if of == "second":
        return (e / z[:, None],)
    value = torch.where(m > 0.0, m + z.log(), total.log1p())
    value = torch.where(late, total, value)
    z = torch.where(late, torch.ones_like(z), z)
    sum_ = value.sum()
    cot = e / (z * sum_)[:, None]
    cot = torch.where(right, -cot.sum(dim=1, keepdim=True), cot)
    return shift + sum_.log(), cot


class _LnLoss(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(outputs: Tensor, labels: Tensor, kind: str) -> Tensor:
        out = _wide(outputs)
        both = _cross_entropy(out, labels, "value") if kind == "cross-entropy" else _binary(out, labels, kind, "value")
        return both[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        outputs, labels, ctx.kind = inputs
        ctx.save_for_backward(outputs, labels)
        ctx.save_for_forward(outputs, labels)

    @staticmethod
    def jvp(ctx: Any, along: Tensor, *_: Any) -> Tensor:
        outputs, labels = ctx.saved_tensors
        return (_Cotangent.apply(_wide(outputs), labels, ctx.kind) * _wide(along)).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        outputs, labels = ctx.saved_tensors
        return (grad * _Cotangent.apply(_wide(outputs), labels, ctx.kind)).to(outputs.dtype), None, None


class _Cotangent(torch.autograd.Function):
    """The gradient of ln L with respect to the outputs, with a gradient of its own."""

    generate_vmap_rule = True

    @staticmethod
    def forward(out: Tensor, labels: Tensor, kind: str) -> Tensor:
        both = _cross_entropy(out, labels, "value") if kind == "cross-entropy" else _binary(out, labels, kind, "value")
        return both[1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        out, labels, ctx.kind = inputs
        ctx.save_for_backward(out, labels, output)
        ctx.save_for_forward(out, labels, output)

    @staticmethod
    def jvp(ctx: Any, along: Tensor, *_: Any) -> Tensor:
        return _second(*ctx.saved_tensors, ctx.kind, along)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple:
        # The Hessian is symmetric.
        return _second(*ctx.saved_tensors, ctx.kind, v), None, None


def _second(out: Tensor, labels: Tensor, g: Tensor, kind: str, v: Tensor) -> Tensor:
    """The Hessian of ln L with respect to the outputs times v, given the gradient g."""
    inner = (g * v).sum()
    if kind != "cross-entropy":
        (second,) = _binary(out, labels, kind, "second")
        return second * v - g * inner
    # In d_j = v_j - v_y the right class has dropped out, so nothing cancels late.
    (p,) = _cross_entropy(out, labels, "second")
    right = torch.arange(out.shape[1], device=out.device) == labels[:, None]
    d = torch.where(right, torch.zeros_like(v), v - v.gather(1, labels[:, None]))
    wrong = torch.where(right, torch.zeros_like(g), g * (d - (p * d).sum(dim=1, keepdim=True)))
    return torch.where(right, -wrong.sum(dim=1, keepdim=True), wrong) - g * inner
