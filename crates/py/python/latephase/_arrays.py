"""Arrays of the user's as the laboratory works in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np


class ConversionWarning(UserWarning):
    """An array was converted to what the laboratory works in."""


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)


def _float64(value: Any, name: str) -> np.ndarray:
    array = _array(value)
    if array.dtype == object or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {array.dtype}; numbers are needed")
    if array.ndim < 2 or len(array) == 0 or array[0].size == 0:
        raise ValueError(f"{name} has shape {array.shape}; (n, ...) with one row an example is needed")
    changes = []
    if array.dtype != np.float64:
        changes.append(f"from {array.dtype} to float64")
    if not array.flags["C_CONTIGUOUS"]:
        changes.append("to contiguous memory")
    if changes:
        warnings.warn(f"{name} was converted {' and '.join(changes)}", ConversionWarning, stacklevel=4)
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0])
        raise ValueError(f"example {row} of {name} is not finite")
    return array


def _labels(value: Any, n: int, name: str) -> np.ndarray:
    array = _array(value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}; ({n},), a label for each example, is needed")
    if array.dtype.kind == "f":
        if not np.array_equal(array, np.round(array)):
            raise ValueError(f"{name} holds {array.dtype} that are not whole; class indices are needed")
    elif array.dtype.kind not in "iub":
        raise ValueError(f"{name} holds {array.dtype}; class indices are needed")
    return np.ascontiguousarray(array, dtype=np.int64)
