"""The laboratory's norms, on arrays: steepest directions and dual norms."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

import numpy as np

from . import _native
from ._spec import as_toml

__all__ = ["steepest"]


def steepest(norm: Any, gradient: Mapping[str, Any]) -> Tuple[Dict[str, np.ndarray], float, float]:
    """The steepest direction of a gradient in a norm: argmax <g, d> over ||d|| <= 1.

    Args:
        norm: a norm as a spec has it: ``"l2"``, ``"linf"``, ``"spectral"``, ``{"kind": "blockwise", "inner": "spectral"}``, ...
        gradient: arrays by block name, in the order of the blocks.

    Returns:
        The direction in the same blocks, the dual norm of the gradient, and the norm of the gradient itself.

    Raises:
        ValueError: an unknown norm, or one that is not for these blocks.

    Example:
        >>> from latephase import norms
        >>> d, dual, size = norms.steepest("linf", {"w": [3.0, -4.0]})
        >>> d["w"].tolist(), dual, size
        ([1.0, -1.0], 7.0, 4.0)
    """
    arrays = {name: np.asarray(block, dtype=np.float64) for name, block in gradient.items()}
    flat = np.concatenate([block.ravel() for block in arrays.values()]) if arrays else np.zeros(0)
    blocks = [(name, list(block.shape)) for name, block in arrays.items()]
    d, dual, size = _native.steepest(as_toml(norm), blocks, flat)
    parts = np.split(d, np.cumsum([block.size for block in arrays.values()])[:-1])
    return {name: part.reshape(arrays[name].shape) for name, part in zip(arrays, parts)}, dual, size
