"""Losses and optimisers for PyTorch loops that go on below 1e-16.

The currency here is **ln L and its gradient**, never L and its gradient: past a loss of about 1e-16 the stock losses return
gradients that point elsewhere, and past 1e-308 the loss itself is no longer a number. A loop changes in two lines::

    ln_loss = latephase.torch.log_loss(model(x), y)      # instead of F.cross_entropy(model(x), y)
    ln_loss.backward()                                   # p.grad is now the gradient of ln L

The optimisers of this module take these gradients. Stock optimisers take them too: SGD with a rate h on ln L is gradient
descent on L with the rate h/L (Lyu & Li 2020).

What is computed
----------------
For L the sum (or mean) of l(margin): ``cross-entropy`` is -ln softmax(out)_y, ``logistic`` ln(1 + exp(-q)) and ``exponential``
exp(-q) with q = +-out. The gradient of the right class is minus the *sum* of the others, never p_y - 1, and differences of
outputs are taken exactly, so that weights are right at margins of 1e6.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import torch
from torch import Tensor

__all__ = ["log_loss", "SteepestDescent", "ScaleFreeAdam", "LyuLiRate"]

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


# ---------------------------------------------------------------------------------------------------------------------------
# Geometry
# ---------------------------------------------------------------------------------------------------------------------------

NORMS = ("l2", "l1", "linf", "lp", "spectral", "nuclear", "blockwise", "frobenius-max")
Norm = Union[str, Mapping[str, Any]]


def _parsed(norm: Norm) -> dict:
    norm = {"kind": norm} if isinstance(norm, str) else dict(norm)
    kind = norm.get("kind")
    if kind not in NORMS:
        raise ValueError(f"unknown norm {kind!r}, expected one of {', '.join(map(repr, NORMS))}")
    allowed = {"lp": {"p"}, "blockwise": {"combine", "inner", "vectors", "blocks"}}.get(kind, set())
    unknown = set(norm) - allowed - {"kind"}
    if unknown:
        some = ", ".join(sorted(map(repr, allowed))) or "no settings"
        raise ValueError(f"the norm {kind!r} takes {some}, not {sorted(unknown)[0]!r}")
    if kind == "lp" and not (isinstance(norm.get("p"), (int, float)) and 1 <= norm["p"] < math.inf):
        raise ValueError(f"p of the norm 'lp' is a number of at least 1, not {norm.get('p')!r}; 'linf' is the norm of p = inf")
    if kind == "frobenius-max":
        norm = {"kind": "blockwise", "inner": "l2"}
    if norm["kind"] == "blockwise":
        norm.setdefault("combine", "max")
        if norm["combine"] not in ("max", "sum", "euclid"):
            raise ValueError(f"combine is 'max', 'sum' or 'euclid', not {norm['combine']!r}")
        if "inner" not in norm:
            raise ValueError("the norm 'blockwise' needs inner = the norm of a matrix block")
        norm["inner"] = _parsed(norm["inner"])
        norm["vectors"] = _parsed(norm.get("vectors", "l2"))
        norm["blocks"] = {name: _parsed(own) for name, own in norm.get("blocks", {}).items()}
    return norm


def _check_norm(norm: dict, shapes: Sequence[torch.Size], names: Sequence[str]) -> None:
    kind = norm["kind"]
    if kind in ("spectral", "nuclear"):
        for shape, name in zip(shapes, names):
            if len(shape) < 2:
                raise ValueError(
                    f"the {kind} norm is for matrices, and {name} has shape {tuple(shape)}; "
                    f'use {{"kind": "blockwise", "inner": "{kind}"}}, which takes l2 of vectors'
                )
    elif kind == "blockwise":
        for name in norm["blocks"]:
            if name not in names:
                raise ValueError(f"there is no block {name!r}; the parameters are {', '.join(map(repr, names))}")
        for shape, name in zip(shapes, names):
            _check_norm(_own(norm, name, shape), [shape], [name])


def _own(norm: dict, name: str, shape: torch.Size) -> dict:
    return norm["blocks"].get(name) or (norm["inner"] if len(shape) > 1 else norm["vectors"])


def _leveled(g: Sequence[Tensor]) -> tuple[list[Tensor], float]:
    """The tensors divided by a power of two near their largest entry, so that squares are numbers, and that power."""
    largest = max(float(t.abs().max()) if t.numel() else 0.0 for t in g)
    if largest == 0.0 or not math.isfinite(largest):
        return list(g), 1.0
    unit = 2.0 ** max(min(math.frexp(largest)[1], 1000), -1000)
    return [t / unit for t in g], unit


def _steepest(norm: dict, g: Sequence[Tensor], names: Sequence[str]) -> tuple[list[Tensor], float]:
    """argmax <g, d> over ||d|| <= 1, and the maximum, the dual norm of g."""
    kind = norm["kind"]
    if kind == "blockwise":
        parts = [_steepest(_own(norm, name, t.shape), [t], [name]) for t, name in zip(g, names)]
        directions, duals = [d for (d,), _ in parts], [dual for _, dual in parts]
        if norm["combine"] == "max":
            return directions, math.fsum(duals)
        if norm["combine"] == "sum":
            first = max(range(len(duals)), key=lambda l: duals[l])
            return [d if l == first else torch.zeros_like(d) for l, d in enumerate(directions)], duals[first]
        dual = math.hypot(*duals)
        return [d * (own / dual) if dual > 0.0 else d for d, own in zip(directions, duals)], dual
    if kind == "lp" and norm["p"] == 1:
        kind = "l1"
    if kind == "linf":
        return [t.sign() for t in g], math.fsum(float(t.abs().sum()) for t in g)
    if kind == "l1":
        largest, at, index = 0.0, None, 0
        for l, t in enumerate(g):
            size = t.abs().flatten()
            top = float(size.max()) if t.numel() else 0.0
            if top > largest:
                # The first of several equal ones, as argmax of a comparison gives it.
                largest, at, index = top, l, int((size == top).to(torch.uint8).argmax())
        d = [torch.zeros_like(t) for t in g]
        if at is not None:
            d[at].view(-1)[index] = math.copysign(1.0, float(g[at].flatten()[index]))
        return d, largest
    g, unit = _leveled(g)
    if kind == "l2":
        dual = math.sqrt(math.fsum(float(t.square().sum()) for t in g))
        return [t / dual if dual > 0.0 else t for t in g], dual * unit
    if kind == "lp":
        power = 1.0 / (norm["p"] - 1.0)
        largest = max(float(t.abs().max()) for t in g)
        if largest == 0.0:
            return [torch.zeros_like(t) for t in g], 0.0
        scaled = [t / largest for t in g]
        sum_ = math.fsum(float(t.abs().pow(power + 1.0).sum()) for t in scaled)
        ratio = sum_ ** (1.0 / (power + 1.0))
        below = ratio**power
        return [t.abs().pow(power).div(below).copysign(t) for t in scaled], ratio * largest * unit
    svds = [_svd(t) for t in g]
    if kind == "spectral":
        d = [(u @ v).reshape(t.shape) for t, (u, s, v) in zip(g, svds)]
        return d, math.fsum(math.fsum(s.tolist()) for _, s, _ in svds) * unit
    tops = [float(s[0]) if s.numel() else 0.0 for _, s, _ in svds]
    first = max(range(len(tops)), key=lambda l: tops[l])
    d = [torch.zeros_like(t) for t in g]
    if tops[first] > 0.0:
        u, _, v = svds[first]
        d[first] = (u[:, :1] @ v[:1]).reshape(g[first].shape)
    return d, tops[first] * unit


def _svd(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triplets above rounding; a convolution is the matrix out x (in, height, width)."""
    matrix = t.reshape(t.shape[0], -1)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    floor = max(matrix.shape) * 2.0**-52 * (float(s[0]) if s.numel() else 0.0)
    rank = int((s > floor).sum())
    return u[:, :rank], s[:rank], v[:rank]


# ---------------------------------------------------------------------------------------------------------------------------
# Optimisers
# ---------------------------------------------------------------------------------------------------------------------------


def _number(name: str, value: float, least: float, strict: bool = True, below: float = math.inf) -> None:
    good = isinstance(value, (int, float)) and (value > least if strict else value >= least) and value < below
    if not good:
        allowed = f"{'above' if strict else 'at least'} {least:g}" + (f" and below {below:g}" if below < math.inf else "")
        raise ValueError(f"{name} = {value!r} is not allowed; use a number {allowed}")


PACES = ("unit-decrease", "loss-scaled", "constant", "normalized", "lyu-li")


class _LogOptimizer(torch.optim.Optimizer):
    """What both optimisers share: gradients of ln L in, and a step whose length is found in logarithms."""

    def __init__(self, params: Any, defaults: dict) -> None:
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                f"{type(self).__name__} takes one group of parameters, not {len(self.param_groups)}: its geometry is that of all of them"
            )
        _number("lr", defaults["lr"], 0.0)
        if defaults["pace"] not in PACES:
            raise ValueError(f"unknown pace {defaults['pace']!r}, expected one of {', '.join(map(repr, PACES))}")
        group = self.param_groups[0]
        group.setdefault("taken", 0)
        group.setdefault("ln_loss_full", None)

    def add_param_group(self, param_group: dict) -> None:
        if self.param_groups:
            raise ValueError(f"{type(self).__name__} takes one group of parameters: its geometry is that of all of them")
        super().add_param_group(param_group)

    def _names(self) -> list[str]:
        group = self.param_groups[0]
        return list(group.get("param_names") or [str(i) for i in range(len(group["params"]))])

    def _gradients(self) -> list[Tensor]:
        grads = []
        for p, name in zip(self.param_groups[0]["params"], self._names()):
            if p.grad is not None and p.grad.is_sparse:
                raise ValueError(f"the gradient of {name} is sparse, which {type(self).__name__} does not take")
            g = torch.zeros_like(p) if p.grad is None else p.grad
            grads.append(_wide(g.detach()))
        if not all(bool(g.isfinite().all()) for g in grads):
            raise FloatingPointError("a gradient of ln L is no longer finite; nothing was moved")
        return grads

    def _ln_loss(self, ln_loss: Any, closure: Optional[Callable[[], Any]]) -> tuple[Any, Optional[float]]:
        if closure is not None:
            with torch.enable_grad():
                ln_loss = closure()
        if ln_loss is None:
            return None, None
        value = _value(ln_loss)
        if not value < math.inf:
            raise FloatingPointError(f"ln L is {value}; nothing was moved")
        return ln_loss, value

    def _length(self, slope: float, ln_scale: Callable[[], float], ln_loss: Optional[float]) -> float:
        group = self.param_groups[0]
        lr, pace = group["lr"], group["pace"]
        if pace == "unit-decrease":
            if slope <= 0.0:
                raise FloatingPointError(
                    "the direction points uphill, where a predicted fall means nothing; use the pace 'constant' or 'loss-scaled'"
                )
            return lr / slope
        if pace == "normalized":
            return lr
        if pace == "constant":
            return math.exp(math.log(lr) + ln_scale())
        if pace == "loss-scaled":
            return lr * math.exp(ln_scale() - _needed(ln_loss, "the pace 'loss-scaled'"))
        if group["ln_loss_full"] is None:
            raise ValueError("the pace 'lyu-li' is set by LyuLiRate; make one with this optimiser")
        return lr * math.exp(ln_scale() - group["ln_loss_full"])

    def _move(self, h: float, directions: Sequence[Tensor]) -> None:
        if not math.isfinite(h):
            raise FloatingPointError(f"the length {h} of a step is no longer finite; nothing was moved")
        for p, d in zip(self.param_groups[0]["params"], directions):
            p.copy_((_wide(p) - h * d).to(p.dtype))
        self.param_groups[0]["taken"] += 1


def _value(ln_loss: Any) -> float:
    return float(ln_loss.detach()) if isinstance(ln_loss, Tensor) else float(ln_loss)


def _needed(ln_loss: Optional[float], who: str) -> float:
    if ln_loss is None:
        raise ValueError(f"{who} needs ln L: call step(ln_loss=...), or step(closure) with a closure that returns it")
    return ln_loss


class SteepestDescent(_LogOptimizer):
    """Steepest descent in a norm, theta <- theta - h d with d = argmax { <g, d> : ||d|| <= 1 } for g the gradient of **ln L**.

    Parameters
    ----------
    params
        Parameters, or ``module.named_parameters()``; one group.
    lr
        The rate of the pace.
    norm
        ``"l2"`` (gradient descent), ``"l1"`` (coordinate descent), ``"linf"`` (sign descent), ``"spectral"`` and ``"nuclear"``
        (matrices), ``"frobenius-max"``, ``{"kind": "lp", "p": 3}``, or ``{"kind": "blockwise", "inner": "spectral", "combine": "max",
        "vectors": "l2", "blocks": {name: norm}}``. The norm is one of all parameters together; polar factors are exact.
    pace
        ``"unit-decrease"`` (default): the step whose predicted fall of ln L is ``lr``, whatever the weights' size; 0.02 follows the
        flow. ``"loss-scaled"``: gradient descent with the rate lr/L. ``"constant"``: the textbook's rate on L, which needs
        ``step(ln_loss=...)`` and stalls as it should. ``"normalized"``: length lr, for schedulers to decay. ``"lyu-li"``: set by
        `LyuLiRate`.

    Raises
    ------
    ValueError
        Unknown norms and paces, a matrix norm of a vector, sparse gradients.
    FloatingPointError
        When a gradient or a step is not finite; parameters are then as they were.

    Examples
    --------
    >>> import torch, latephase.torch as lt
    >>> w = torch.nn.Parameter(torch.tensor([[0.1, 0.0]], dtype=torch.float64))
    >>> x = torch.tensor([[2.0, 1.0], [-1.0, -2.0]], dtype=torch.float64)
    >>> descent = lt.SteepestDescent([w], lr=0.5, norm="linf")
    >>> for _ in range(2000):
    ...     descent.zero_grad()
    ...     ln_loss = lt.log_loss(x @ w.T, torch.tensor([1, 0]), kind="logistic")
    ...     ln_loss.backward()
    ...     descent.step()
    >>> ln_loss.item() < -900
    True
    """

    def __init__(self, params: Any, lr: float = 0.02, norm: Norm = "l2", pace: str = "unit-decrease") -> None:
        self.norm = _parsed(norm)
        super().__init__(params, {"lr": lr, "pace": pace})
        _check_norm(self.norm, [p.shape for p in self.param_groups[0]["params"]], self._names())

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None, *, ln_loss: Any = None) -> Any:
        """Moves the parameters against the direction.

        ``ln_loss`` is ln L of the batch, as `log_loss` gave it; only the pace ``constant`` needs it. A ``closure`` computes it again,
        calls ``backward`` and returns it.
        """
        ln_loss, value = self._ln_loss(ln_loss, closure)
        directions, dual = _steepest(self.norm, self._gradients(), self._names())
        if dual == 0.0:
            raise FloatingPointError("the gradient of ln L is exactly 0: there is no direction")
        if self.param_groups[0]["pace"] == "loss-scaled":
            # L cancels, so it need not be known.
            self._move(self.param_groups[0]["lr"] * dual, directions)
            return ln_loss
        pace = f"the pace {self.param_groups[0]['pace']!r}"
        h = self._length(dual, lambda: _needed(value, pace) + math.log(dual), value)
        self._move(h, directions)
        return ln_loss


# f64 numbers without an end to their exponents: x * 2^(512 k) with 2^-256 <= |x| < 2^256, or 0. Every operation is the one of
# f64, rounded once, beside exact powers of two.
_TOP, _BOTTOM, _UP, _DOWN = 2.0**256, 2.0**-256, 2.0**512, 2.0**-512
_ZERO = -(2**60)
_LN_2_HI, _LN_2_LO = math.log(2.0), 2.319046813846299615494855e-17


class _Far:
    __slots__ = ("x", "k")

    def __init__(self, x: Tensor, k: Tensor) -> None:
        self.x, self.k = x, k

    @staticmethod
    def settled(x: Tensor, k: Tensor) -> "_Far":
        size = x.abs()
        high, low = size >= _TOP, size < _BOTTOM
        k = torch.where(x == 0.0, _ZERO, k + high.long() - low.long())
        return _Far(torch.where(high, x * _DOWN, torch.where(low, x * _UP, x)), k)

    @staticmethod
    def of(x: Tensor) -> "_Far":
        once = _Far.settled(x, torch.zeros_like(x, dtype=torch.long))
        return _Far.settled(once.x, once.k)

    @staticmethod
    def zeros(like: Tensor) -> "_Far":
        return _Far(torch.zeros_like(like), torch.full_like(like, _ZERO, dtype=torch.long))

    def mul(self, b: "_Far") -> "_Far":
        return _Far.settled(self.x * b.x, self.k + b.k)

    def number(self, c: float, exponent: int) -> "_Far":
        """Times c 2^exponent."""
        k = (exponent + 256) >> 9
        return _Far.settled(self.x * (c * 2.0 ** (exponent - (k << 9))), self.k + k)

    def scale(self, c: float) -> "_Far":
        return _Far.settled(self.x * c, self.k)

    def over(self, c: float) -> "_Far":
        return _Far.settled(self.x / c, self.k)

    def add(self, b: "_Far") -> "_Far":
        k = torch.maximum(self.k, b.k)
        # Two steps apart the smaller is below 2^-512 of the larger: rounding drops it.
        a, c = (torch.where(o.k == k, o.x, torch.where(o.k == k - 1, o.x * _DOWN, 0.0)) for o in (self, b))
        return _Far.settled(a + c, k)

    def sqrt(self) -> "_Far":
        odd = self.k & 1
        return _Far.settled(torch.where(odd == 1, self.x * _UP, self.x).sqrt(), (self.k - odd) >> 1)

    def div(self, b: "_Far") -> "_Far":
        """0 for a = 0 whatever b is: a coordinate without a gradient does not move."""
        return _Far.settled(torch.where(self.x == 0.0, 0.0, self.x / b.x), self.k - b.k)

    def top(self) -> Optional[int]:
        """The power p with 2^p <= largest |entry| < 2^(p + 1); None where all are 0."""
        if self.x.numel() == 0:
            return None
        k = int(self.k.max())
        largest = float(torch.where(self.k == k, self.x.abs(), 0.0).max())
        return (k << 9) + math.frexp(largest)[1] - 1 if largest > 0.0 else None

    def times_power(self, p: int) -> Tensor:
        """As f64, times 2^p."""
        e = (self.k.clamp(min=_ZERO // 512) * 512 + p).clamp(-2000, 2000)
        third = torch.div(e, 3, rounding_mode="trunc")
        one = torch.ones_like(self.x)
        return self.x * torch.ldexp(one, e - 2 * third) * torch.ldexp(one, third) * torch.ldexp(one, third)


def _frame(ln: float) -> tuple[float, int]:
    """e^ln as a factor in [1, 2] and a power of two."""
    if ln == -math.inf:
        return 0.0, 0
    exponent = math.floor(ln / _LN_2_HI)
    rest = float(Fraction(ln) - exponent * Fraction(_LN_2_HI)) - exponent * _LN_2_LO
    return math.exp(rest), exponent


class _Rule:
    """The settings of a step of Adam."""

    def __init__(self, group: Mapping[str, Any], t: int) -> None:
        self.betas, self.eps = group["betas"], group["eps"]
        self.gathered = [1.0 - b**t if group["bias_correction"] else 1.0 for b in self.betas]


# Numbers of a plain step stay within 2^-400 and 2^400, mean squares within 2^-800 and 2^800: no operation leaves f64's range there.
_WITHIN = 400


def _is_within(x: Tensor, power: int) -> bool:
    size = x.abs()
    return bool(((size == 0.0) | ((size >= 2.0**-power) & (size < 2.0**power))).all())


def _plain_step(rule: _Rule, state: dict, g: Tensor, factor: float, exponent: int) -> Optional[tuple[dict, Any]]:
    """A step with the moments in units of one power of two, in f64; None where that might not be exact.

    Both ways are f64 arithmetic rounded once an operation beside exact powers of two, so they give the same bits.
    """
    e, m, v = state["exponent"], state["m"], state["v"]
    if e is None:
        return None
    if abs(e - exponent) > 100:
        if abs(e - exponent) > 300:
            return None
        m, v, e = m * 2.0 ** (e - exponent), v * 4.0 ** (e - exponent), exponent
    (beta1, beta2), eps = rule.betas, rule.eps
    g = g * (factor * 2.0 ** (exponent - e))
    m = m * beta1 + g * (1.0 - beta1)
    v = v * beta2 + (g * g) * (1.0 - beta2)
    if not (_is_within(g, _WITHIN) and _is_within(m, _WITHIN) and _is_within(v, 2 * _WITHIN)):
        return None
    root = (v / rule.gathered[1]).sqrt()
    if eps:
        mantissa, power = math.frexp(eps)
        if power - e > _WITHIN:
            return None
        root = root + math.ldexp(mantissa, power - e)
    step = torch.where(m == 0.0, 0.0, m / rule.gathered[0] / root)
    return {"m": m, "v": v, "exponent": e}, step if _is_within(step, _WITHIN) else _Far.of(step)


def _far_step(rule: _Rule, state: dict, g: Tensor, factor: float, exponent: int) -> tuple[dict, _Far]:
    """A step with an exponent for every entry."""
    e, m, v = state["exponent"], state["m"], state["v"]
    m, v = (_Far(*m), _Far(*v)) if e is None else (_Far.of(m).number(1.0, e), _Far.of(v).number(1.0, 2 * e))
    (beta1, beta2), eps = rule.betas, rule.eps
    g = _Far.of(g).number(factor, exponent)
    m = m.scale(beta1).add(g.scale(1.0 - beta1))
    v = v.scale(beta2).add(g.mul(g).scale(1.0 - beta2))
    root = v.over(rule.gathered[1]).sqrt()
    if eps:
        mantissa, power = math.frexp(eps)
        root = root.add(_Far.of(torch.ones_like(m.x)).number(mantissa, power))
    step = m.over(rule.gathered[0]).div(root)
    plain = {"m": m.times_power(-exponent), "v": v.times_power(-2 * exponent), "exponent": exponent}
    if (
        _is_within(plain["m"], _WITHIN)
        and _is_within(plain["v"], 2 * _WITHIN)
        and bool(((plain["m"] == 0.0) == (m.x == 0.0)).all())
        and bool(((plain["v"] == 0.0) == (v.x == 0.0)).all())
    ):
        return plain, step
    return {"m": (m.x, m.k), "v": (v.x, v.k), "exponent": None}, step


def _copied(part: Any, device: torch.device) -> Any:
    if isinstance(part, tuple):
        return tuple(_copied(own, device) for own in part)
    return part.to(device, copy=True) if isinstance(part, Tensor) else part


class ScaleFreeAdam(_LogOptimizer):
    """Adam that stays Adam at any loss: it takes gradients of **ln L**, and ln L itself, and keeps the moments of the true gradient.

    The true gradient is L times the gradient of ln L. Stock Adam turns into gradient descent with the rate lr/eps once that is
    below eps, and divides by 0 below 1e-162. Here the moments are numbers without an end to their exponents, so eps = 0 (of which
    theory speaks: the l-infinity margin, Zhang, Zou & Cao 2024) works at any loss, and eps > 0 is exact to the end (the l2 margin,
    Wang et al. 2021).

    Parameters
    ----------
    params
        Parameters, or ``module.named_parameters()``; one group.
    lr
        The rate: with the pace ``"constant"`` (default) the step is lr * m/(sqrt(v) + eps), as everywhere.
    betas
        What a step keeps of the mean gradient and of the mean square.
    eps
        0 by default. In the unit of the true gradient, not of that of ln L.
    weight_decay
        lambda of the decoupled decay (AdamW).
    bias_correction
        Divide the means by the weight that they have gathered.
    pace
        As for `SteepestDescent`; ``"unit-decrease"`` scales each step to a predicted fall of ln L by lr.

    Raises
    ------
    ValueError
        Settings out of range; ``step`` without ln L.
    FloatingPointError
        When a gradient or a step is not finite; parameters and moments are then as they were.

    Examples
    --------
    >>> import torch, latephase.torch as lt
    >>> w = torch.nn.Parameter(torch.tensor([[0.1, 0.0]], dtype=torch.float64))
    >>> x = torch.tensor([[2.0, 1.0], [-1.0, -2.0]], dtype=torch.float64)
    >>> adam = lt.ScaleFreeAdam([w], lr=0.5, pace="unit-decrease")
    >>> for _ in range(2000):
    ...     adam.zero_grad()
    ...     ln_loss = lt.log_loss(x @ w.T, torch.tensor([1, 0]), kind="logistic")
    ...     ln_loss.backward()
    ...     _ = adam.step(ln_loss=ln_loss)
    >>> ln_loss.item() < -900
    True
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 0.0,
        weight_decay: float = 0.0,
        *,
        bias_correction: bool = True,
        pace: str = "constant",
    ) -> None:
        _number("betas[0]", betas[0], 0.0, strict=False, below=1.0)
        _number("betas[1]", betas[1], 0.0, strict=False, below=1.0)
        _number("eps", eps, 0.0, strict=False)
        _number("weight_decay", weight_decay, 0.0, strict=False)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "bias_correction": bias_correction, "pace": pace})
        self.param_groups[0].setdefault("t", 0)
        if any(p.device.type == "mps" for p in self.param_groups[0]["params"]):
            raise ValueError("ScaleFreeAdam keeps its moments in float64, which this device does not have; move the parameters to the CPU")

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes a saved state; the moments keep their float64 whatever the parameters' dtype is."""
        super().load_state_dict(dict(state_dict))
        # The parent casts all that it loads to the parameters' dtype, which moments and exponents do not survive.
        for index, p in enumerate(self.param_groups[0]["params"]):
            saved = state_dict["state"].get(index)
            if saved:
                self.state[p] = {name: _copied(part, p.device) for name, part in saved.items()}

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None, *, ln_loss: Any = None) -> Any:
        """Takes the gradient into the moments and moves the parameters.

        ``ln_loss`` is ln L of the batch, as `log_loss` gave it. A ``closure`` computes it again, calls ``backward`` and returns it.
        """
        ln_loss, value = self._ln_loss(ln_loss, closure)
        factor, exponent = _frame(_needed(value, "ScaleFreeAdam"))
        group, grads = self.param_groups[0], self._gradients()
        t = group["t"] + 1
        rule = _Rule(group, t)
        states, steps = [], []
        for p, g in zip(group["params"], grads):
            state = self.state[p]
            if not state:
                state = {"m": torch.zeros_like(g), "v": torch.zeros_like(g), "exponent": exponent}
            made = _plain_step(rule, state, g, factor, exponent)
            state, step = made if made is not None else _far_step(rule, state, g, factor, exponent)
            if isinstance(step, Tensor):
                step = step + _wide(p) * group["weight_decay"] if group["weight_decay"] else step
            elif group["weight_decay"]:
                step = step.add(_Far.of(_wide(p)).scale(group["weight_decay"]))
            states.append(state)
            steps.append(step)
        if not all(bool((s if isinstance(s, Tensor) else s.x).isfinite().all()) for s in steps):
            raise FloatingPointError("a denominator of Adam's step is exactly 0 (use an eps above 0, or beta2 above 0)")
        # Up to 2^500 a step is taken as it is, so that a rate means what it means everywhere.
        out = 0
        if not all(isinstance(s, Tensor) for s in steps):
            steps = [_Far.of(s) if isinstance(s, Tensor) else s for s in steps]
            top = max((s.top() for s in steps if s.top() is not None), default=0)
            out = 0 if abs(top) <= 500 else top
        d = [s if isinstance(s, Tensor) else s.times_power(-out) for s in steps]
        slope = math.fsum(float((g * own).sum()) for g, own in zip(grads, d))
        self._move(self._length(slope, lambda: out * _LN_2_HI, value), d)
        for p, state in zip(group["params"], states):
            self.state[p] = state
        group["t"] = t
        return ln_loss


class LyuLiRate:
    """The loss-based rate of Lyu & Li (2020, App. K.1): the rate is alpha/L on the true gradient, judged epoch by epoch.

    An epoch that lowers the full training loss is kept and alpha grows by 2^(1/5); otherwise parameters and optimiser go back to the
    start of the epoch and alpha shrinks by 2^(1/10). The caller repeats a refused epoch with new batches.

    Parameters
    ----------
    optimizer
        A `SteepestDescent` or `ScaleFreeAdam`; its pace becomes ``"lyu-li"``.
    ln_loss
        ln L of the full training set now, in the reduction of the batches' losses.
    alpha, grow, shrink
        The rate at the start and its factors.

    Examples
    --------
    >>> import torch, latephase.torch as lt
    >>> w = torch.nn.Parameter(torch.tensor([[0.1, 0.0]], dtype=torch.float64))
    >>> x, y = torch.tensor([[2.0, 1.0], [-1.0, -2.0]], dtype=torch.float64), torch.tensor([1, 0])
    >>> ln_loss = lambda: lt.log_loss(x @ w.T, y, kind="logistic")
    >>> descent = lt.SteepestDescent([w], norm="l2")
    >>> rate = lt.LyuLiRate(descent, ln_loss())
    >>> for epoch in range(100):
    ...     descent.zero_grad()
    ...     batch = ln_loss()
    ...     batch.backward()
    ...     _ = descent.step(ln_loss=batch)
    ...     kept = rate.step(ln_loss())
    >>> bool(kept) and ln_loss().item() < -1000
    True
    """

    SMALLEST = 1e-50

    def __init__(
        self,
        optimizer: _LogOptimizer,
        ln_loss: Any,
        alpha: float = 0.1,
        grow: float = 2.0**0.2,
        shrink: float = 2.0**0.1,
    ) -> None:
        if not isinstance(optimizer, _LogOptimizer):
            raise ValueError(
                f"LyuLiRate takes an optimiser of latephase.torch, which knows gradients of ln L, not {type(optimizer).__name__}"
            )
        _number("alpha", alpha, 0.0)
        _number("grow", grow, 1.0)
        _number("shrink", shrink, 1.0)
        self.optimizer, self.alpha, self.grow, self.shrink = optimizer, float(alpha), grow, shrink
        self.refused = 0
        optimizer.param_groups[0]["pace"] = "lyu-li"
        self._begin(_value(ln_loss))

    def _begin(self, ln_loss: float) -> None:
        group = self.optimizer.param_groups[0]
        self.ln_loss = group["ln_loss_full"] = ln_loss
        group["lr"] = self.alpha
        # Moments are replaced and never written into, so the tuples that hold them are a copy.
        self._state = {p: dict(own) for p, own in self.optimizer.state.items()}
        self._weights = [p.detach().clone() for p in group["params"]]
        self._counts = {name: group[name] for name in ("t", "taken") if name in group}

    @torch.no_grad()
    def step(self, ln_loss: Any) -> bool:
        """Judges the epoch that has ended by ln L of the full training set (NaN if it diverged), and says whether it is kept.

        Raises
        ------
        FloatingPointError
            When alpha has fallen below 1e-50: no rate lowers the loss any more.
        """
        after = _value(ln_loss)
        if after < self.ln_loss:
            self.alpha *= self.grow
            self._begin(after)
            return True
        group = self.optimizer.param_groups[0]
        for p, before in zip(group["params"], self._weights):
            p.copy_(before)
        self.optimizer.state.clear()
        self.optimizer.state.update({p: dict(own) for p, own in self._state.items()})
        group.update(self._counts)
        self.refused += 1
        self.alpha /= self.shrink
        group["lr"] = self.alpha
        if self.alpha < self.SMALLEST:
            raise FloatingPointError("no learning rate lowers the loss over an epoch any more (alpha underflowed)")
        return False

    def state_dict(self) -> dict:
        """What must survive a checkpoint, beside the optimiser's own state."""
        return {"alpha": self.alpha, "ln_loss": self.ln_loss, "refused": self.refused}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes a saved state; parameters and optimiser have been restored before."""
        self.alpha, self.refused = state["alpha"], state["refused"]
        self._begin(state["ln_loss"])
