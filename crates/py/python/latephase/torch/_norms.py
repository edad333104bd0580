"""Norms and their steepest directions, as `latephase list norms` has them."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence, Union

import torch
from torch import Tensor

NORMS = ("l2", "l1", "linf", "lp", "spectral", "nuclear", "blockwise", "frobenius-max")
Norm = Union[str, Mapping[str, Any]]


def _parsed(norm: Norm) -> dict:
    norm = {"kind": norm} if isinstance(norm, str) else dict(norm)
    kind = norm.get("kind")
    if kind not in NORMS:
        raise ValueError(f"unknown norm {kind!r}, expected one of {', '.join(map(repr, NORMS))}")
    allowed = {"lp": {"p"}, "blockwise": {"combine", "inner", "vectors", "blocks"}}.get(kind, set())
    unknown = set(norm) - allowed - {"kind"}
    if unknown:
        some = ", ".join(sorted(map(repr, allowed))) or "no settings"
        raise ValueError(f"the norm {kind!r} takes {some}, not {sorted(unknown)[0]!r}")
    if kind == "lp" and not (isinstance(norm.get("p"), (int, float)) and 1 <= norm["p"] < math.inf):
        raise ValueError(f"p of the norm 'lp' is a number of at least 1, not {norm.get('p')!r}; 'linf' is the norm of p = inf")
    if kind == "frobenius-max":
        norm = {"kind": "blockwise", "inner": "l2"}
    if norm["kind"] == "blockwise":
        norm.setdefault("combine", "max")
        if norm["combine"] not in ("max", "sum", "euclid"):
            raise ValueError(f"combine is 'max', 'sum' or 'euclid', not {norm['combine']!r}")
        if "inner" not in norm:
            raise ValueError("the norm 'blockwise' needs inner = the norm of a matrix block")
        norm["inner"] = _parsed(norm["inner"])
        norm["vectors"] = _parsed(norm.get("vectors", "l2"))
        norm["blocks"] = {name: _parsed(own) for name, own in norm.get("blocks", {}).items()}
    return norm


def _check_norm(norm: dict, shapes: Sequence[torch.Size], names: Sequence[str]) -> None:
    kind = norm["kind"]
    if kind in ("spectral", "nuclear"):
        for shape, name in zip(shapes, names):
            if len(shape) < 2:
                raise ValueError(
                    f"the {kind} norm is for matrices, and {name} has shape {tuple(shape)}; "
                    f'use {{"kind": "blockwise", "inner": "{kind}"}}, which takes l2 of vectors'
                )
    elif kind == "blockwise":
        for name in norm["blocks"]:
            if name not in names:
                raise ValueError(f"there is no block {name!r}; the parameters are {', '.join(map(repr, names))}")
        for shape, name in zip(shapes, names):
            _check_norm(_own(norm, name, shape), [shape], [name])


def _own(norm: dict, name: str, shape: torch.Size) -> dict:
    return norm["blocks"].get(name) or (norm["inner"] if len(shape) > 1 else norm["vectors"])


def _leveled(g: Sequence[Tensor]) -> tuple[list[Tensor], float]:
    """The tensors divided by a power of two near their largest entry, so that squares are numbers, and that power."""
    largest = max(float(t.abs().max()) if t.numel() else 0.0 for t in g)
    if largest == 0.0 or not math.isfinite(largest):
        return list(g), 1.0
    unit = 2.0 ** max(min(math.frexp(largest)[1], 1000), -1000)
    return [t / unit for t in g], unit


def _steepest(norm: dict, g: Sequence[Tensor], names: Sequence[str]) -> tuple[list[Tensor], float]:
    """argmax <g, d> over ||d|| <= 1, and the maximum, the dual norm of g."""
    kind = norm["kind"]
    if kind == "blockwise":
        parts = [_steepest(_own(norm, name, t.shape), [t], [name]) for t, name in zip(g, names)]
        directions, duals = [d for (d,), _ in parts], [dual for _, dual in parts]
        if norm["combine"] == "max":
            return directions, math.fsum(duals)
        if norm["combine"] == "sum":
            first = max(range(len(duals)), key=lambda l: duals[l])
            return [d if l == first else torch.zeros_like(d) for l, d in enumerate(directions)], duals[first]
        dual = math.hypot(*duals)
        return [d * (own / dual) if dual > 0.0 else d for d, own in zip(directions, duals)], dual
    if kind == "lp" and norm["p"] == 1:
        kind = "l1"
    if kind == "linf":
        return [t.sign() for t in g], math.fsum(float(t.abs().sum()) for t in g)
    if kind == "l1":
        largest, at, index = 0.0, None, 0
        for l, t in enumerate(g):
            size = t.abs().flatten()
            top = float(size.max()) if t.numel() else 0.0
            if top > largest:
                # The first of several equal ones, as argmax of a comparison gives it.
                largest, at, index = top, l, int((size == top).to(torch.uint8).argmax())
        d = [torch.zeros_like(t) for t in g]
        if at is not None:
            d[at].view(-1)[index] = math.copysign(1.0, float(g[at].flatten()[index]))
        return d, largest
    g, unit = _leveled(g)
    if kind == "l2":
        dual = math.sqrt(math.fsum(float(t.square().sum()) for t in g))
        return [t / dual if dual > 0.0 else t for t in g], dual * unit
    if kind == "lp":
        power = 1.0 / (norm["p"] - 1.0)
        largest = max(float(t.abs().max()) for t in g)
        if largest == 0.0:
            return [torch.zeros_like(t) for t in g], 0.0
        scaled = [t / largest for t in g]
        sum_ = math.fsum(float(t.abs().pow(power + 1.0).sum()) for t in scaled)
        ratio = sum_ ** (1.0 / (power + 1.0))
        below = ratio**power
        return [t.abs().pow(power).div(below).copysign(t) for t in scaled], ratio * largest * unit
    svds = [_svd(t) for t in g]
    if kind == "spectral":
        d = [(u @ v).reshape(t.shape) for t, (u, s, v) in zip(g, svds)]
        return d, math.fsum(math.fsum(s.tolist()) for _, s, _ in svds) * unit
    tops = [float(s[0]) if s.numel() else 0.0 for _, s, _ in svds]
    first = max(range(len(tops)), key=lambda l: tops[l])
    d = [torch.zeros_like(t) for t in g]
    if tops[first] > 0.0:
        u, _, v = svds[first]
        d[first] = (u[:, :1] @ v[:1]).reshape(g[first].shape)
    return d, tops[first] * unit


def _svd(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular triplets above rounding; a convolution is the matrix out x (in, height, width)."""
    matrix = t.reshape(t.shape[0], -1)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    floor = max(matrix.shape) * 2.0**-52 * (float(s[0]) if s.numel() else 0.0)
    rank = int((s > floor).sum())
    return u[:, :rank], s[:rank], v[:rank]
