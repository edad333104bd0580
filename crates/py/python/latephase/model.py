"""Networks of your own in the laboratory: any code that gives scores and their derivative.

    model = latephase.Model.from_torch(module)
    run = latephase.run(spec, model=model, data=(X, y))

All losses, algorithms, probes and claims work on it, in float64. What is known of a built-in network from its layers is measured here:
the degree of homogeneity is tested at random points before the first step, and a model that is not a function of its parameters
(dropout, batch norm in training mode) is refused by name.

A run's spec holds a name and a fingerprint. Another process that has the same model can go on with the run
(``latephase.resume(dir, model=model)``); the command line reads and shows it, and says that it cannot run it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import weakref
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

import numpy as np

from . import _native
from ._arrays import ConversionWarning, _array, _float64, _labels
from ._code import ROWS, SAMPLES, Degree, Layout, _blocks, _Callables, _called, _Code, _Jax, _split, _start, _Torch
from ._spec import inline

__all__ = ["Model", "Degree", "ConversionWarning"]


class Model:
    """A network in code: made by :meth:`from_callables`, :meth:`from_torch` or :meth:`from_jax`.

    Attributes:
        name: what the spec and messages call it.
        sha256: digest of its blocks, code, frozen numbers and start.
        layout: the trained blocks, ``{name: shape}``.
        outputs: numbers in one output; None before it is known.
    """

    def __init__(self, code: "_Code", name: str, degree: Optional[float], rows: Optional[int]) -> None:
        if degree is not None and not (isinstance(degree, (int, float)) and 0 < degree < math.inf):
            raise ValueError(f"degree = {degree!r}: a number above 0, or None to have it measured")
        if rows is not None and not (isinstance(rows, int) and rows >= 1):
            raise ValueError(f"rows = {rows!r}: how many rows the code is given at once, 1 or more, or None for all")
        self.name = name
        self.layout = {block: shape for block, shape, is_trained in code.blocks if is_trained}
        self._code, code.name, code.claimed, code.rows = code, name, degree, rows
        self.sha256 = code.fingerprint(name, degree)
        _native.hold_model(self.sha256, id(code), code)
        weakref.finalize(self, _native.release_model, self.sha256, id(code))

    @property
    def outputs(self) -> Optional[int]:
        return self._code.outputs

    @property
    def theta(self) -> Dict[str, np.ndarray]:
        """Where it starts: the trained blocks by name."""
        parts = dict(_split(self._code.start, self._code.blocks))
        return {name: parts[name].copy() for name in self.layout}

    def spec(self) -> Dict[str, str]:
        """What stands for it in a spec."""
        return {"kind": "foreign", "name": self.name, "sha256": self.sha256}

    def degree(self, examples: Any) -> Degree:
        """Tests the degree of homogeneity at random points near the start, on some inputs.

        Args:
            examples: (n, ...) inputs; the first four are used.

        Raises:
            ValueError: a model that is not a deterministic function of each row, a claimed degree that does not hold.
        """
        x = _float64(examples, "examples")
        return self._code.measured(x[:SAMPLES].reshape(min(len(x), SAMPLES), -1), x.shape[1:])

    def defect(self, inputs: Any) -> float:
        """How far from homogeneous it is at its start: the largest |<theta, grad f> - L f| over the largest L |f|.

        <theta, grad f> is the derivative of f(c theta) at c = 1, by differences that are right to about 1e-9. NaN where there is no
        degree.

        Args:
            inputs: (n, ...) inputs.
        """
        degree = self.degree(inputs)
        if degree.kind == "none":
            return math.nan
        x, theta, h = _float64(inputs, "inputs"), self._code.start[: self._code.dim], 1e-4
        x = x.reshape(len(x), -1)
        f, one, two = (self._code.forward(c * theta, x)[0] for c in (1.0, 1.0 + h, 1.0 - h))
        three, four = (self._code.forward(c * theta, x)[0] for c in (1.0 + 2 * h, 1.0 - 2 * h))
        along = (8 * (one - two) - (three - four)) / (12 * h)
        size = degree.order * float(np.abs(f).max())
        return float(np.abs(along - degree.order * f).max()) / size if size > 0 else math.nan

    def __repr__(self) -> str:
        size = sum(math.prod(shape) for shape in self.layout.values())
        return f"<latephase.Model {self.name!r}: {size} parameters in {len(self.layout)} blocks, SHA-256 {self.sha256[:12]}>"

    @classmethod
    def from_callables(
        cls,
        scores: Callable[[np.ndarray, np.ndarray], Any],
        pullback: Callable[[np.ndarray, np.ndarray, np.ndarray], Any],
        layout: Layout,
        *,
        theta: Any,
        degree: Optional[float] = None,
        name: Optional[str] = None,
        rows: Optional[int] = ROWS,
    ) -> "Model":
        """A model of two functions on flat float64 arrays.

        Args:
            scores: ``scores(theta, x)`` with theta (dim,) and x (n, inputs) gives (n, outputs), or (n,) for one output.
            pullback: ``pullback(theta, x, cot)`` with cot (n, outputs) gives Σ_i cot_i · ∂scores_i/∂theta, (dim,).
            layout: names and shapes of the blocks of theta, in order.
            theta: where it starts, (dim,) or by block name.
            degree: L of f(c theta) = c^L f(theta), which is tested and refused where it does not hold; None to have it measured.
            name: what the spec calls it; by default the name of ``scores``.
            rows: most rows given at once; None for all.

        Raises:
            ValueError: shapes that do not fit each other; later, from ``run``, scores that are not deterministic or that rows
                influence in each other, a pullback that is not their derivative, a degree that does not hold.

        Example:
            A diagonal network, f = <u * v, x>, of degree 2:

            >>> import numpy as np
            >>> import latephase
            >>> def scores(theta, x):
            ...     u, v = theta[:2], theta[2:]
            ...     return x @ (u * v)
            >>> def pullback(theta, x, cot):
            ...     u, v = theta[:2], theta[2:]
            ...     g = x.T @ cot[:, 0]
            ...     return np.concatenate([g * v, g * u])
            >>> model = latephase.Model.from_callables(
            ...     scores, pullback, {"u": (2,), "v": (2,)}, theta=[1.0, 0.5, 0.5, 1.0], degree=2
            ... )
            >>> spec = {"loss": "exponential", "algorithm": "flow", "stop": {"log10_loss": -1000}}
            >>> data = (np.array([[2.0, 1.0], [-1.0, -2.0]]), np.array([1, -1]))
            >>> run = latephase.run(spec, model=model, data=data, progress=False)
            >>> run.outcome.kind
            'reached'
        """
        blocks = _blocks(layout)
        start = _start(theta, blocks)
        return cls(_Callables(scores, pullback, blocks, start), name or _called(scores), degree, rows)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        *,
        degree: Optional[float] = None,
        name: Optional[str] = None,
        rows: Optional[int] = ROWS,
        input_shape: Optional[Sequence[int]] = None,
    ) -> "Model":
        """A ``torch.nn.Module``, copied, in float64, on its own device.

        Parameters with ``requires_grad`` are trained and start where they are; frozen parameters and buffers keep their values. The
        module itself is not touched.

        Args:
            module: takes (n, ...) inputs and gives (n, outputs), or (n,) for one output.
            degree: L of f(c theta) = c^L f(theta), which is tested and refused where it does not hold; None to have it measured.
            name: what the spec calls it; by default the name of its class.
            rows: most rows given at once; None for all.
            input_shape: shape of one input, where it is not the shape of the data's.

        Raises:
            ValueError: a module without parameters to train; later, from ``run``, one that is not deterministic (dropout in training
                mode) or whose rows influence each other (batch norm in training mode), named; call ``module.eval()``.
        """
        return cls(_Torch(module, input_shape), name or type(module).__name__, degree, rows)

    @classmethod
    def from_jax(
        cls,
        apply: Callable[[Any, Any], Any],
        params: Any,
        *,
        degree: Optional[float] = None,
        name: Optional[str] = None,
        rows: Optional[int] = ROWS,
        input_shape: Optional[Sequence[int]] = None,
    ) -> "Model":
        """A function ``apply(params, x)`` of JAX, jitted, in float64 whatever ``jax_enable_x64`` is.

        Args:
            apply: gives (n, outputs), or (n,) for one output, for (n, ...) inputs; traced once a number of rows.
            params: a pytree of floating-point arrays: where it starts. All are trained; close over what is not.
            degree, name, rows, input_shape: as for :meth:`from_torch`.
        """
        return cls(_Jax(apply, params, input_shape), name or _called(apply), degree, rows)


class Data:
    """Arrays as the data of a spec. Made by ``latephase.run(spec, data=(X, y))``; make one yourself to use it twice.

    Args:
        X: (n, ...) inputs; whatever is not contiguous float64 is converted, with a :class:`ConversionWarning`.
        y: (n,) class indices 0, 1, ...; for a binary loss 0/1 or -1/+1, where 1 is the class of positive scores.
        X_test, y_test: a test set, or none.
        classes: names of the classes, in the order of the labels.
        name: what the spec calls them.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite; later, from ``run``, labels outside the classes.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        X_test: Any = None,
        y_test: Any = None,
        *,
        classes: Optional[Sequence[str]] = None,
        name: str = "arrays",
    ) -> None:
        if (X_test is None) != (y_test is None):
            raise ValueError("X_test and y_test come together")
        x = _float64(X, "X")
        train = (x.reshape(len(x), -1), _labels(y, len(x), "y"))
        test = None
        if X_test is not None:
            x_test = _float64(X_test, "X_test")
            if x_test.shape[1:] != x.shape[1:]:
                raise ValueError(f"an input of X_test has shape {x_test.shape[1:]}, one of X has {x.shape[1:]}")
            test = (x_test.reshape(len(x_test), -1), _labels(y_test, len(x_test), "y_test"))
        self.name, self.shape, named = name, x.shape[1:], [str(c) for c in classes or []]
        self.inputs = x[:ROWS].copy()
        digest = hashlib.sha256(repr((name, self.shape, named)).encode())
        for part in train + (test or ()):
            digest.update(repr(part.shape).encode() + part.tobytes())
        self.sha256 = digest.hexdigest()
        _native.hold_data(self.sha256, id(self), train, test, list(self.shape), named)
        weakref.finalize(self, _native.release_data, self.sha256, id(self))

    def spec(self) -> Dict[str, str]:
        """What stands for them in a spec."""
        return {"kind": "arrays", "name": self.name, "sha256": self.sha256}


def data_of(value: Any) -> Data:
    """``Data`` from what a user gives as ``data=``."""
    if isinstance(value, Data):
        return value
    if isinstance(value, Mapping):
        return Data(**value)
    if isinstance(value, (tuple, list)) and len(value) in (2, 4):
        return Data(*value)
    raise TypeError("data are (X, y) or (X, y, X_test, y_test)")


@contextlib.contextmanager
def attached(model: Optional[Model], data: Any, made: Optional[Mapping[str, Any]] = None) -> Iterator[List[str]]:
    """Overrides of a spec that put the model and the data in, which are held meanwhile; what the model's code raised is raised
    again at the end. ``made`` is the spec of a run that they have to be of."""
    is_source = isinstance(data, str) or isinstance(data, Mapping) and "kind" in data
    held = data_of(data) if data is not None and not is_source else None
    if model is not None and not isinstance(model, Model):
        raise TypeError(f"model is a latephase.Model, not {type(model).__name__}; see Model.from_torch, from_jax, from_callables")
    parts = {"model": model and model.spec(), "data": data if is_source else held and held.spec()}
    for key, part in parts.items():
        was = (made or {}).get(key)
        if made is not None and part is not None and was != part:
            named = was.get("name", was.get("kind")) if isinstance(was, Mapping) else was
            raise ValueError(f"the run has the {key} {named!r}, which is not the one given: {part}")
    overrides = [f"{key}={inline(part, key)}" for key, part in parts.items() if part is not None]
    if model is None:
        yield overrides
        return
    # Once more, and last: this run's code, whatever else has the same fingerprint.
    code = model._code
    _native.hold_model(model.sha256, id(model), code)
    try:
        try:
            yield overrides
        except Exception:
            fault = _native.take_fault(model.sha256)
            if fault is None:
                raise
            raise fault from None
        fault = _native.take_fault(model.sha256)
        if fault is not None:
            raise fault
    finally:
        _native.release_model(model.sha256, id(model))
