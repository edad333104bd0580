"""Adam at any loss."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping, Optional

import torch
from torch import Tensor

from ._far import _LN_2_HI, _Far, _frame
from ._loss import _wide
from ._optimizer import _LogOptimizer, _needed, _number

__all__ = ["ScaleFreeAdam"]


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
