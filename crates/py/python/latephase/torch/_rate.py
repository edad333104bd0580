"""The loss-based rate of Lyu and Li."""

from __future__ import annotations

from typing import Any, Mapping

import torch

from ._optimizer import _LogOptimizer, _number, _value

__all__ = ["LyuLiRate"]


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
