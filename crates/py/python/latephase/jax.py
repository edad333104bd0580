"""ln of a loss for JAX, with a gradient that is right at any margin.

The currency is **ln L and its gradient**: ``jax.grad`` of `log_loss` is the gradient of ln L, which descends L with the rate h/L
for a rate h. optax's own losses return gradients that point elsewhere past a loss of about 1e-15 in float64 (1e-7 in float32).

    ln_loss, grads = jax.value_and_grad(lambda p: latephase.jax.log_loss(apply(p, x), y))(params)

The work is done in float64 where ``jax_enable_x64`` is on, and in float32 otherwise; differences of outputs are exact in both.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["log_loss"]

KINDS = ("cross-entropy", "logistic", "exponential")


def log_loss(outputs: Any, targets: Any, kind: str = "cross-entropy", reduction: str = "sum") -> jax.Array:
    """ln of a loss; jit, vmap, grad, jvp and hessian go through it.

    Parameters
    ----------
    outputs
        ``(n, classes)`` logits for ``cross-entropy``; ``(n,)`` or ``(n, 1)`` for the binary kinds.
    targets
        ``(n,)`` class indices; for the binary kinds 0/1, False/True or -1/+1, where 1 is the class of positive outputs.
        Where they are known (not traced) they are checked.
    kind
        ``"cross-entropy"`` -ln softmax(out)_y, ``"logistic"`` ln(1 + exp(-q)) or ``"exponential"`` exp(-q).
    reduction
        ``"sum"`` or ``"mean"``; the gradient is the same for both.

    Raises
    ------
    ValueError
        Shapes that do not fit, known targets outside the classes, an unknown kind or reduction.

    Examples
    --------
    >>> import jax, latephase.jax
    >>> jax.config.update("jax_enable_x64", True)
    >>> out = jax.numpy.array([[1e6, 0.0, -3.0]])
    >>> g = jax.grad(latephase.jax.log_loss)(out, jax.numpy.array([0]))
    >>> [round(float(v), 4) for v in g[0]]
    [-1.0, 0.9526, 0.0474]
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r} of loss, expected one of {', '.join(map(repr, KINDS))}")
    if reduction not in ("sum", "mean"):
        raise ValueError(f"unknown reduction {reduction!r}, expected 'sum' or 'mean'")
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    if not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise ValueError(f"outputs have to be floating-point numbers, not {outputs.dtype}")
    if kind == "cross-entropy":
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            raise ValueError(f"cross-entropy takes outputs of shape (n, classes) with 2 classes or more, not {outputs.shape}")
        if targets.shape != outputs.shape[:1]:
            raise ValueError(f"targets have shape {targets.shape}; outputs of shape {outputs.shape} need {outputs.shape[:1]}")
        if not jnp.issubdtype(targets.dtype, jnp.integer):
            raise ValueError(f"targets of cross-entropy are class indices of an integer dtype, not {targets.dtype}")
        _check(targets, lambda t: (t >= 0) & (t < outputs.shape[1]), f"0 to {outputs.shape[1] - 1}")
        labels = targets
    else:
        if outputs.ndim == 2 and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if outputs.ndim != 1 or outputs.shape != targets.shape:
            raise ValueError(
                f"the {kind} loss takes outputs and targets of shape (n,) or (n, 1), not {outputs.shape} and {targets.shape}"
            )
        _check(targets, lambda t: (t == 1) | (t == (-1 if (t == -1).any() else 0)), "0 and 1, or -1 and +1")
        labels = jnp.where(targets > 0, 1, -1)
    if outputs.shape[0] == 0:
        raise ValueError("outputs hold no example")
    wide = jnp.promote_types(jax.dtypes.canonicalize_dtype(jnp.float64), jnp.float32)
    ln_loss = _ln_loss(outputs.astype(wide), labels, kind)
    return ln_loss - math.log(outputs.shape[0]) if reduction == "mean" else ln_loss


def _check(targets: jax.Array, good: Any, allowed: str) -> None:
    if isinstance(targets, jax.core.Tracer):
        return
    known = np.asarray(targets)
    bad = np.flatnonzero(~good(known))
    if bad.size:
        raise ValueError(f"target {bad[0]} is {known[bad[0]]}, allowed are {allowed}")


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _ln_loss(out: jax.Array, labels: jax.Array, kind: str) -> jax.Array:
    return _evaluate(out, labels, kind)[0]


@_ln_loss.defjvp
def _along(kind: str, primals: tuple, tangents: tuple) -> tuple:
    out, labels = primals
    ln_loss, cotangent = _evaluate(out, labels, kind)
    return ln_loss, jnp.sum(cotangent * tangents[0])


def _evaluate(out: jax.Array, labels: jax.Array, kind: str) -> tuple[jax.Array, jax.Array]:
    """ln L and its gradient with respect to the outputs. Scales are constants to derivatives: nothing depends on them."""
    still = jax.lax.stop_gradient
    if kind != "cross-entropy":
        q = labels * out
        if kind == "exponential":
            shift = still(jnp.max(-q))
            e = jnp.exp(-q - shift)
            total = jnp.sum(e)
            return shift + jnp.log(total), -labels * e / total
        # Past 37 the corrections to e^-q are below half a unit in the last place.
        late, right = q > 37.0, q > 0.0
        anchor = jnp.where(late, -q, 0.0)
        shift = still(jnp.max(anchor))
        far = jnp.exp(jnp.where(late, -q, shift) - shift)
        # A branch that is not taken must not be infinite either: derivatives multiply it by 0.
        e = jnp.exp(jnp.where(right, -jnp.where(late, 0.0, q), q))
        near = jnp.where(right, jnp.log1p(e), jnp.log1p(e) - q) * jnp.exp(-shift)
        slope = jnp.where(right, e, 1.0) / (1.0 + e) * jnp.exp(-shift)
        total = jnp.sum(jnp.where(late, far, jnp.where(late, 0.0, near)))
        return shift + jnp.log(total), -labels * jnp.where(late, far, slope) / total
    right = jnp.arange(out.shape[1]) == labels[:, None]
    own = jnp.take_along_axis(out, labels[:, None], axis=1)
    hi = out - own
    back = still(hi - out)
    # What the difference lost to rounding: outputs of 1e6 differ by more digits than one number holds.
    lo = still((out - (hi - back)) + (-own - back))
    top = jnp.max(jnp.where(right, -jnp.inf, still(hi)), axis=1)
    late = top < -(37.0 + math.log(out.shape[1]))
    shift = jnp.max(jnp.where(late, top, 0.0))
    m = jnp.where(late, shift, jnp.maximum(top, 0.0))
    e = jnp.where(right, 0.0, jnp.exp(jnp.where(right, -1.0, (hi - m[:, None]) + lo)))
    total = jnp.sum(e, axis=1)
    z = jnp.where(late, 1.0, jnp.where(m > 0.0, jnp.exp(jnp.where(late, 0.0, -m)) + total, 1.0 + total))
    # Where the example is late its loss is the plain sum; elsewhere the shift is 0.
    value = jnp.where(late, total, jnp.where(m > 0.0, m + jnp.log(z), jnp.log1p(total)))
    sum_ = jnp.sum(value)
    cotangent = e / (z * sum_)[:, None]
    cotangent = jnp.where(right, -jnp.sum(cotangent, axis=1, keepdims=True), cotangent)
    return shift + jnp.log(sum_), cotangent
