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

from ._adam import ScaleFreeAdam
from ._loss import log_loss
from ._rate import LyuLiRate
from ._steepest import SteepestDescent

__all__ = ["log_loss", "SteepestDescent", "ScaleFreeAdam", "LyuLiRate"]
