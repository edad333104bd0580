"""What the optimisers share: gradients of ln L in, and a step whose length is found in logarithms."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional, Sequence

import torch
from torch import Tensor

from ._loss import _wide


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
