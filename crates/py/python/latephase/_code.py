"""Networks in code as the native side calls them: scores and their pullback on flat arrays, tested before the first step."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
import math
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

#: Rows that are given to a model's code at once.
ROWS = 1024
#: Points at which the degree is tested, and rows there.
POINTS, SAMPLES = 3, 4
#: Relative error up to which two numbers of a test agree: far above rounding, far below any term that is left out.
AGREE = 1e-9

Layout = Union[Mapping[str, Sequence[int]], Sequence[Tuple[str, Sequence[int]]]]
Block = Tuple[str, Tuple[int, ...], bool]


class Degree:
    """How scores grow with the parameters, as measured.

    Attributes:
        kind: ``"exact"``: f(c theta) = c^L f(theta) and <theta, grad f> = L f held at every point that was tried; ``"near"``: f(c theta)/c^M
            converges for large c; ``"none"``.
        order: L or M; NaN for none.
        power: for ``"near"``, the power of the norm with which <theta, grad f> - M f grows; else NaN.
        why: what was seen, in a sentence.
        blocks: by block name, the degree in this block alone; NaN where there is none.
    """

    def __init__(self, kind: str, order: float, power: float, why: str, blocks: Dict[str, float]) -> None:
        self.kind, self.order, self.power, self.why, self.blocks = kind, order, power, why, blocks

    def __repr__(self) -> str:
        if self.kind == "exact":
            return f"<homogeneous of degree {self.order:g} ({self.why})>"
        if self.kind == "near":
            return f"<near-homogeneous of order {self.order:g} ({self.why})>"
        return f"<not homogeneous: {self.why}>"


class _Code:
    """Scores and their pullback on flat arrays, with the tests that come before the first step."""

    name: str
    claimed: Optional[float]
    rows: Optional[int]
    outputs: Optional[int] = None

    def __init__(self, blocks: List[Block], start: np.ndarray) -> None:
        if not any(is_trained for _, _, is_trained in blocks):
            raise ValueError("the model has no parameters to train")
        self.blocks, self.start = blocks, start
        self.dim = sum(math.prod(shape) for _, shape, is_trained in blocks if is_trained)
        if not np.isfinite(start).all():
            raise ValueError("the model's parameters are not all finite")

    def evaluate(self, theta: np.ndarray, x: np.ndarray) -> Tuple[Any, Any]:
        """Scores for (n, inputs), and what the pullback needs."""
        raise NotImplementedError

    def pulled(self, kept: Any, cot: np.ndarray, want_x: bool) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        raise NotImplementedError

    def source(self) -> str:
        """What determines the scores beside blocks and start, as text."""
        raise NotImplementedError

    def suspects(self) -> Tuple[List[str], List[str]]:
        """Parts that draw random numbers, and parts that mix rows."""
        return [], []

    def reshaped(self, shape: Sequence[int]) -> None:
        """Told the shape of one input."""

    def fingerprint(self, name: str, degree: Optional[float]) -> str:
        digest = hashlib.sha256()
        for part in (type(self).__name__, name, repr(degree), repr(self.blocks), self.source()):
            digest.update(part.encode() + b"\0")
        digest.update(np.ascontiguousarray(self.start).tobytes())
        return digest.hexdigest()

    def prepare(self, shape: Sequence[int], outputs: int) -> Tuple[Any, ...]:
        """Tests the model on random inputs of this shape, before the first step."""
        x = np.random.default_rng(0).standard_normal((SAMPLES, math.prod(shape)))
        degree = self.measured(x, tuple(shape))
        if self.outputs != outputs:
            raise ValueError(
                f"the model {self.name!r} gives {self.outputs} outputs, and the loss asks for {outputs}: "
                "cross-entropy takes one for each class, the binary losses take one"
            )
        blocks = [
            (name, list(shape), degree.blocks.get(name, math.nan), is_trained) for name, shape, is_trained in self.blocks
        ]
        return blocks, self.start, (degree.kind, degree.order, degree.power, degree.why), self.rows

    def forward(self, theta: np.ndarray, x: np.ndarray) -> Tuple[np.ndarray, Any]:
        scores, kept = self.evaluate(theta, x)
        return self.checked(scores, len(x)), kept

    def pullback(self, kept: Any, cot: np.ndarray, want_x: bool) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        gradient, of_x = self.pulled(kept, cot, want_x)
        gradient = np.ascontiguousarray(gradient, dtype=np.float64)
        if gradient.shape != (self.dim,):
            raise ValueError(f"the pullback of {self.name!r} gives an array of shape {gradient.shape}; ({self.dim},) is needed")
        return gradient, of_x

    def checked(self, scores: Any, n: int) -> np.ndarray:
        scores = np.asarray(scores)
        if scores.ndim == 1:
            scores = scores[:, None]
        if scores.ndim != 2 or len(scores) != n or scores.shape[1] < 1:
            raise ValueError(f"the model {self.name!r} gives scores of shape {scores.shape} for {n} rows; ({n}, outputs) is needed")
        if not np.issubdtype(scores.dtype, np.floating) or scores.dtype.itemsize < 8:
            raise ValueError(f"the model {self.name!r} gives scores of {scores.dtype}; float64 is needed (does its code convert?)")
        if self.outputs is None:
            self.outputs = scores.shape[1]
        elif self.outputs != scores.shape[1]:
            raise ValueError(f"the model {self.name!r} gives {scores.shape[1]} outputs and gave {self.outputs} before")
        return np.ascontiguousarray(scores, dtype=np.float64)

    # -- tests ---------------------------------------------------------------------------------------------------------------

    def measured(self, x: np.ndarray, shape: Sequence[int]) -> Degree:
        self.reshaped(shape)
        random, mixing = self.suspects()
        if random:
            raise ValueError(f"the model {self.name!r} is not deterministic: {', '.join(random)} in training mode; call module.eval()")
        if mixing:
            raise ValueError(
                f"the rows of a batch influence each other's scores in {self.name!r}: {', '.join(mixing)} in training mode; call module.eval()"
            )
        theta = self.start[: self.dim]
        first, kept = self.forward(theta, x)
        cot = np.random.default_rng(1).standard_normal(first.shape)
        self.pullback(kept, cot, False)
        if not np.isfinite(first).all():
            raise ValueError(f"the scores of {self.name!r} are not finite at its start")
        self._is_function(theta, x, first)
        points = [self._point(k) for k in range(POINTS)]
        for point in points:
            self._is_derivative(point, x)
        found = self._degree(points, x)
        if self.claimed is not None and (found.kind != "exact" or abs(found.order - self.claimed) > 1e-6):
            raise ValueError(f"degree {self.claimed:g} was claimed for {self.name!r}, and it is {found!r}; leave degree=None to take that")
        return found

    def _point(self, k: int) -> np.ndarray:
        """The start, moved: nothing special is 0 there any more, a bias least of all."""
        rng, theta = np.random.default_rng(10 + k), self.start[: self.dim]
        point, at = theta.copy(), 0
        for _, shape, is_trained in self.blocks:
            if is_trained:
                part = slice(at, at + math.prod(shape))
                size = math.sqrt(float(np.mean(theta[part] ** 2))) if part.stop > at else 0.0
                point[part] += 0.3 * (size or 0.1) * rng.standard_normal(part.stop - at)
                at = part.stop
        return point

    def _is_function(self, theta: np.ndarray, x: np.ndarray, first: np.ndarray) -> None:
        if not np.array_equal(first, self.forward(theta, x)[0]):
            raise ValueError(f"the model {self.name!r} is not deterministic: two evaluations at the same point differ")
        alone = np.concatenate([self.forward(theta, row[None])[0] for row in x])
        if np.abs(alone - first).max() > 1e-8 * max(np.abs(first).max(), np.abs(alone).max()):
            raise ValueError(f"the rows of a batch influence each other's scores in {self.name!r}: a row alone is scored differently")

    def _is_derivative(self, theta: np.ndarray, x: np.ndarray) -> None:
        """The pullback against central differences, with a step that halves until a kink is out of the way."""
        rng = np.random.default_rng(2)
        scores, kept = self.forward(theta, x)
        cot, along = rng.standard_normal(scores.shape), rng.standard_normal(self.dim)
        slope = float(self.pullback(kept, cot, False)[0] @ along)
        size = float(np.linalg.norm(theta) / np.linalg.norm(along))
        best = math.inf
        for h in (1e-4 * size, 1e-5 * size, 1e-6 * size):
            up, down = (float((cot * self.forward(theta + s * h * along, x)[0]).sum()) for s in (1, -1))
            best = min(best, abs((up - down) / (2 * h) - slope))
        scale = abs(slope) + float(np.abs(cot * scores).sum()) / size
        if not best <= 1e-4 * scale:
            raise ValueError(
                f"the pullback of {self.name!r} is not the derivative of its scores: along a random direction it gives {slope:.6g}, "
                f"and differences of scores disagree by {best:.2g}"
            )

    def _euler(self, theta: np.ndarray, x: np.ndarray) -> Tuple[np.ndarray, float, float]:
        """Scores f, <theta, grad <c, f>> and <c, f> for a random c."""
        scores, kept = self.forward(theta, x)
        cot = np.random.default_rng(3).standard_normal(scores.shape)
        return scores, float(self.pullback(kept, cot, False)[0] @ theta), float((cot * scores).sum())

    def _degree(self, points: List[np.ndarray], x: np.ndarray) -> Degree:
        order, worst = self._exponent(points[0], x), 0.0
        for theta in points:
            scores, euler, inner = self._euler(theta, x)
            for c in (0.25, 2.0, 3.0):
                scaled, there = self.forward(c * theta, x)[0], c**order * scores
                worst = max(worst, _apart(scaled, there))
            size = order * float(np.abs(scores).sum()) + abs(euler)
            worst = max(worst, abs(euler - order * inner) / size if size > 0 else math.inf)
        if worst <= AGREE:
            why = f"f(c theta) = c^L f(theta) and Euler's identity hold to {worst:.1e} at {len(points)} random points"
            return Degree("exact", order, math.nan, why, self._block_degrees(points[0], x))
        return self._near(points, x, order, worst)

    def _exponent(self, theta: np.ndarray, x: np.ndarray) -> float:
        one, two = self.forward(theta, x)[0], self.forward(2.0 * theta, x)[0]
        large = np.abs(one) > 1e-3 * np.abs(one).max()
        with np.errstate(all="ignore"):
            ratio = np.median(np.abs(two[large] / one[large])) if large.any() else math.nan
            order = float(np.log2(ratio))
        return round(order, 6) if math.isfinite(order) else math.nan

    def _near(self, points: List[np.ndarray], x: np.ndarray, order: float, worst: float) -> Degree:
        """f(c theta)/c^M for growing c: whether it settles, and how fast what is left out of it grows."""
        with np.errstate(all="ignore"):
            limit = self._exponent(2.0**30 * points[0], x)
            whole = round(limit * 4) / 4 if math.isfinite(limit) else math.nan
            settles, power = abs(limit - whole) < 1e-3 and whole > 0, -math.inf
            for theta in points:
                far = [self.forward(2.0**k * theta, x)[0] / 2.0 ** (k * whole) for k in (20, 30)] if settles else []
                settles = settles and _apart(far[0], far[1]) < 1e-3
                if settles:
                    defects = []
                    for k in (16, 17):
                        _, euler, inner = self._euler(2.0**k * theta, x)
                        defects.append(abs(euler - whole * inner))
                    # Below rounding there is nothing to measure.
                    if min(defects) > 1e-12 * abs(inner):
                        power = max(power, round(4.0 * math.log2(defects[1] / defects[0])) / 4.0)
        if not settles:
            seen = f"f(2 theta) is about 2^{order:.4g} f(theta), f(c theta) = c^L f(theta) fails by {worst:.1e}, and f(c theta)/c^M has no limit"
            return Degree("none", math.nan, math.nan, seen, {})
        power = min(max(power, 0.0), whole) if math.isfinite(power) else 0.0
        why = f"measured: f(c theta)/c^{whole:g} settles, and <theta, grad f> - {whole:g} f grows like rho^{power:g}"
        return Degree("near", whole, power, why, {})

    def _block_degrees(self, theta: np.ndarray, x: np.ndarray) -> Dict[str, float]:
        one, degrees, at = self.forward(theta, x)[0], {}, 0
        for name, shape, is_trained in self.blocks:
            if not is_trained:
                continue
            part, order = slice(at, at + math.prod(shape)), None
            at = part.stop
            for c in (2.0, 4.0):
                moved = theta.copy()
                moved[part] *= c
                with np.errstate(all="ignore"):
                    scaled = self.forward(moved, x)[0]
                    large = np.abs(one) > 1e-3 * np.abs(one).max()
                    own = float(np.log(np.median(np.abs(scaled[large] / one[large]))) / np.log(c)) if large.any() else math.nan
                    own = round(own, 6) if math.isfinite(own) else math.nan
                    fits = _apart(scaled, c**own * one) <= AGREE and own >= 0
                order = own if fits and order in (None, own) else math.nan
            degrees[name] = float(order)
        return degrees


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference over the largest number; infinite where something is not finite."""
    size = max(float(np.abs(a).max()), float(np.abs(b).max()))
    apart = float(np.abs(a - b).max())
    return (apart / size if size > 0 else 0.0) if math.isfinite(apart) and math.isfinite(size) else math.inf


class _Callables(_Code):
    def __init__(self, scores: Any, pullback: Any, blocks: List[Block], start: np.ndarray) -> None:
        if not callable(scores) or not callable(pullback):
            raise TypeError("scores and pullback are functions: scores(theta, x) and pullback(theta, x, cot)")
        super().__init__(blocks, start)
        self.scores, self.pull = scores, pullback

    def evaluate(self, theta: np.ndarray, x: np.ndarray) -> Tuple[Any, Any]:
        return self.scores(theta, x), (theta, x)

    def pulled(self, kept: Any, cot: np.ndarray, want_x: bool) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        return np.asarray(self.pull(*kept, cot)), None

    def source(self) -> str:
        return _text_of(self.scores) + _text_of(self.pull)


class _Torch(_Code):
    def __init__(self, module: Any, input_shape: Optional[Sequence[int]]) -> None:
        import torch

        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}")
        self.torch = torch
        self.module = copy.deepcopy(module).double()
        self.given_shape = tuple(input_shape) if input_shape is not None else None
        parameters = list(self.module.named_parameters())
        self.trained = [(name, p) for name, p in parameters if p.requires_grad]
        frozen = [(name, p) for name, p in parameters if not p.requires_grad]
        frozen += [(name, b) for name, b in self.module.named_buffers() if b.is_floating_point()]
        self.device = next((p.device for _, p in parameters), torch.device("cpu"))
        if self.device.type == "mps":
            raise ValueError("the module is on a device without float64; move it to the CPU")
        blocks = [(name, tuple(p.shape) or (1,), True) for name, p in self.trained]
        blocks += [(name, tuple(p.shape) or (1,), False) for name, p in frozen]
        parts = [p.detach().cpu().numpy().ravel() for _, p in self.trained + frozen]
        super().__init__(blocks, np.concatenate(parts) if parts else np.zeros(0))

    def reshaped(self, shape: Sequence[int]) -> None:
        self.shape = self.given_shape or tuple(shape)

    def evaluate(self, theta: np.ndarray, x: np.ndarray) -> Tuple[Any, Any]:
        torch = self.torch
        with torch.enable_grad():
            flat = torch.from_numpy(theta).to(self.device)
            parts = torch.split(flat, [p.numel() for _, p in self.trained])
            leaves = [part.view(p.shape).requires_grad_() for part, (_, p) in zip(parts, self.trained)]
            inputs = torch.from_numpy(x).to(self.device).view(len(x), *self.shape).requires_grad_()
            named = {name: leaf for leaf, (name, _) in zip(leaves, self.trained)}
            scores = torch.func.functional_call(self.module, named, (inputs,))
        if not isinstance(scores, torch.Tensor):
            raise ValueError(f"the module {self.name!r} gives a {type(scores).__name__}; one tensor of scores is needed")
        return scores.detach().cpu().numpy(), (leaves, inputs, scores)

    def pulled(self, kept: Any, cot: np.ndarray, want_x: bool) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        torch, (leaves, inputs, scores) = self.torch, kept
        cot_ = torch.from_numpy(cot).to(self.device).view(scores.shape)
        wanted = leaves + [inputs] if want_x else leaves
        # A look pulls several cotangents back from one forward pass, so the graph stays.
        grads = torch.autograd.grad(scores, wanted, cot_, retain_graph=True, allow_unused=True)
        parts = [(torch.zeros_like(w) if g is None else g).cpu().numpy().ravel() for w, g in zip(wanted, grads)]
        count = len(leaves)
        return np.concatenate(parts[:count]), np.ascontiguousarray(parts[count]) if want_x else None

    def source(self) -> str:
        kinds = {type(m) for m in self.module.modules() if not type(m).__module__.startswith("torch.")}
        integers = [f"{n}={b.tolist()}" for n, b in self.module.named_buffers() if not b.is_floating_point()]
        ordered = sorted(kinds, key=lambda kind: kind.__qualname__)
        return repr(self.module) + repr(self.given_shape) + repr(self.suspects()) + "".join(integers) + "".join(_text_of(kind) for kind in ordered)

    def suspects(self) -> Tuple[List[str], List[str]]:
        nn = self.torch.nn
        dropout = (nn.modules.dropout._DropoutNd,)
        norms = (nn.modules.batchnorm._BatchNorm,)
        found = [(f"{type(m).__name__} `{name}`", m) for name, m in self.module.named_modules() if m.training]
        random = [text for text, m in found if isinstance(m, dropout) and m.p > 0]
        return random, [text for text, m in found if isinstance(m, norms)]


class _Jax(_Code):
    def __init__(self, apply: Any, params: Any, input_shape: Optional[Sequence[int]]) -> None:
        import jax

        if not callable(apply):
            raise TypeError("from_jax takes a function apply(params, x) and its parameters")
        self.jax, self.apply = jax, apply
        self.given_shape = tuple(input_shape) if input_shape is not None else None
        leaves, tree = jax.tree_util.tree_flatten_with_path(params)
        arrays = [np.asarray(leaf) for _, leaf in leaves]
        names = [jax.tree_util.keystr(path, simple=True, separator=".") or "params" for path, _ in leaves]
        for name, array in zip(names, arrays):
            if not np.issubdtype(array.dtype, np.floating):
                raise ValueError(f"the parameter {name} holds {array.dtype}; parameters are floating-point, close over what is not")
        blocks = [(name, array.shape or (1,), True) for name, array in zip(names, arrays)]
        start = [array.astype(np.float64).ravel() for array in arrays]
        super().__init__(blocks, np.concatenate(start) if start else np.zeros(0))
        shapes = [array.shape for array in arrays]
        cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

        def scores(flat: Any, x: Any) -> Any:
            parts = [part.reshape(shape) for part, shape in zip(jax.numpy.split(flat, cuts), shapes)]
            out = apply(jax.tree_util.tree_unflatten(tree, parts), x.reshape(len(x), *self.shape))
            return out[:, None] if out.ndim == 1 else out

        self.both = jax.jit(lambda flat, x: jax.vjp(scores, flat, x))
        # What is not asked for is not computed.
        self.back = jax.jit(lambda pull, cot: pull(cot)[0])
        self.back_x = jax.jit(lambda pull, cot: pull(cot))

    def reshaped(self, shape: Sequence[int]) -> None:
        self.shape = self.given_shape or tuple(shape)

    def evaluate(self, theta: np.ndarray, x: np.ndarray) -> Tuple[Any, Any]:
        with self.jax.enable_x64(True):
            scores, pull = self.both(theta, x)
            return np.asarray(scores), pull

    def pulled(self, kept: Any, cot: np.ndarray, want_x: bool) -> Tuple[np.ndarray, Optional[np.ndarray]]:
        with self.jax.enable_x64(True):
            if not want_x:
                return np.asarray(self.back(kept, cot)), None
            gradient, of_x = self.back_x(kept, cot)
            return np.asarray(gradient), np.ascontiguousarray(np.asarray(of_x).ravel())

    def source(self) -> str:
        return _text_of(self.apply) + repr(self.given_shape)


def _text_of(code: Any) -> str:
    """The source text of a function or class, its name where there is none to read, and the numbers that it closes over."""
    try:
        text = inspect.getsource(code)
    except (OSError, TypeError):
        text = repr(getattr(code, "__qualname__", type(code).__qualname__))
    values = list(getattr(code, "__defaults__", None) or ())
    for cell in getattr(code, "__closure__", None) or ():
        with contextlib.suppress(ValueError):
            values.append(cell.cell_contents)
    for value in values:
        if isinstance(value, np.ndarray):
            text += hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        elif isinstance(value, (int, float, complex, str, bytes, tuple)):
            text += repr(value)
    return text


def _called(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "model" if name == "<lambda>" else name


def _blocks(layout: Layout) -> List[Block]:
    pairs = list(layout.items()) if isinstance(layout, Mapping) else [tuple(pair) for pair in layout]
    blocks = []
    for name, shape in pairs:
        shape = (int(shape),) if isinstance(shape, int) else tuple(int(size) for size in shape)
        if not name or any(name == other for other, _, _ in blocks) or not shape or min(shape) < 1:
            raise ValueError(f"block {name!r} of shape {shape}: blocks have different names, and shapes of 1 or more")
        blocks.append((str(name), shape, True))
    return blocks


def _start(theta: Any, blocks: List[Block]) -> np.ndarray:
    if isinstance(theta, Mapping):
        missing = [name for name, _, _ in blocks if name not in theta] + [n for n in theta if all(n != b[0] for b in blocks)]
        if missing:
            raise ValueError(f"theta and the layout do not have the same blocks: {missing[0]!r} is in one of them only")
        for name, shape, _ in blocks:
            if np.shape(theta[name]) != shape:
                raise ValueError(f"block {name!r} of theta has shape {np.shape(theta[name])}, the layout says {shape}")
        theta = np.concatenate([np.asarray(theta[name], dtype=np.float64).ravel() for name, _, _ in blocks])
    flat = np.array(theta, dtype=np.float64)
    dim = sum(math.prod(shape) for _, shape, _ in blocks)
    if flat.shape != (dim,):
        raise ValueError(f"theta has shape {flat.shape}, the layout asks for ({dim},)")
    return flat


def _split(flat: np.ndarray, blocks: List[Block]) -> Iterator[Tuple[str, np.ndarray]]:
    at = 0
    for name, shape, _ in blocks:
        size = math.prod(shape)
        yield name, flat[at : at + size].reshape(shape)
        at += size
