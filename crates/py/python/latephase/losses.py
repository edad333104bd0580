"""The laboratory's losses, on arrays: ln L and its gradient, exact at any margin."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from . import _native
from ._spec import as_toml

__all__ = ["evaluate"]


def evaluate(kind: Any, outputs: Any, labels: Any) -> Tuple[float, np.ndarray]:
    """ln of a loss and its gradient with respect to the outputs.

    Args:
        kind: a loss as a spec has it: ``"cross-entropy"``, ``"logistic"``, ``"exponential"``, or ``{"kind": ..., "reduction": "mean"}``.
        outputs: (n, k) scores; (n,) or (n, 1) for the binary losses.
        labels: (n,) class indices for cross-entropy; 0/1 or -1/+1 for the binary losses, where 1 is the class of positive outputs.

    Returns:
        ln L, and ∂ ln L/∂outputs in the shape of ``outputs``.

    Raises:
        ValueError: an unknown loss, shapes that do not fit, labels outside the classes.

    Example:
        >>> from latephase import losses
        >>> ln_loss, gradient = losses.evaluate("cross-entropy", [[1e6, 0.0]], [0])
        >>> ln_loss, gradient.tolist()
        (-1000000.0, [[-1.0, 1.0]])
    """
    table = {"kind": kind} if isinstance(kind, str) else dict(kind)
    outputs = np.ascontiguousarray(outputs, dtype=np.float64)
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are integers of shape (n,), not {labels.dtype} of shape {labels.shape}")
    if table.get("kind") in ("logistic", "exponential"):
        if outputs.ndim not in (1, 2) or outputs.size != len(outputs):
            raise ValueError(f"a binary loss takes outputs of shape (n,) or (n, 1), not {outputs.shape}")
        low = -1 if (labels == -1).any() else 0
        wrong = np.flatnonzero((labels != 1) & (labels != low))
        if wrong.size:
            raise ValueError(f"label {wrong[0]} is {labels[wrong[0]]}, allowed are 0 and 1, or -1 and +1")
        labels = (labels < 1).astype(np.int64)
    elif outputs.ndim != 2:
        raise ValueError(f"outputs have shape (n, classes), not {outputs.shape}")
    flat = outputs.reshape(len(outputs), -1)
    ln_loss, gradient = _native.evaluate_loss(as_toml(table), flat, np.ascontiguousarray(labels, dtype=np.int64))
    return ln_loss, gradient.reshape(outputs.shape)
