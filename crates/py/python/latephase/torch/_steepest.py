"""Steepest descent in a norm."""

from __future__ import annotations

import math
from typing import Any, Callable, Optional

import torch

from ._norms import Norm, _check_norm, _parsed, _steepest
from ._optimizer import _LogOptimizer, _needed

__all__ = ["SteepestDescent"]


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
