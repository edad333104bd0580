"""A trained network under the instruments of the late phase, in three lines.

    audit = latephase.audit(module, (X, y))
    print(audit)
    audit.report("audit.html")
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from . import _native
from ._spec import inline
from .model import Data, Model, attached, data_of

__all__ = ["Audit", "Stock", "Supporting", "audit"]


class Supporting(NamedTuple):
    """One margin constraint near the least.

    Attributes:
        example: index in the training set.
        label: its class.
        rival: the class that it is held against; None for two classes with one output.
        margin: the margin.
        relative: the margin over the least one.
        share: its share of the multipliers that explain the parameters best.
    """

    example: int
    label: str
    rival: Optional[str]
    margin: float
    relative: float
    share: float


class Stock(NamedTuple):
    """What a stock loss makes of the network in one precision.

    Attributes:
        precision: ``"float32"`` or ``"float64"``.
        function: the function that is emulated.
        value: its mean over the training set.
        zero: share of the training examples whose gradient with respect to the outputs is 0.
        wrong: share whose gradient is 0 or at a cosine below 0.99 to the true one.
        cosine: of its gradient with respect to the parameters with the true one; NaN where it is 0.
    """

    precision: str
    function: str
    value: float
    zero: float
    wrong: float
    cosine: float

    @property
    def is_wrong(self) -> bool:
        """Whether training with it had already gone wrong: its gradient is 0, or points elsewhere (cosine below 0.99)."""
        return not self.cosine >= 0.99


class Audit:
    """What :func:`audit` found.

    Attributes:
        row: every measured column by name, NaN where not known: ``margin``, ``margin_l1``, ``margin_linf``, ``beta``,
            ``kkt_epsilon_fit``, ``euler_defect``, ``ln_loss_sum``, ``ln_rho``, ...
        support: the examples that support the margin, the largest share first.
        support_residual: the part of the parameters that they leave unexplained: 0 at a KKT point.
        stock: what stock losses make of the network.
        homogeneity_defect: the largest |<theta, grad f> - L f| over the largest L |f|, over at most 1024 training examples: 0 for a
            homogeneous network, to about 1e-9; NaN without a degree, and where the data are not given as arrays.
        degree: how the scores grow with the parameters, in words.
        is_separated: whether every training example is right and the theory's late phase has begun.
        notes: what could not be measured, and why.
        raw: everything, as in ``audit.json`` of the command line.
    """

    def __init__(self, raw: Dict[str, Any], text: str, page: str, homogeneity_defect: float) -> None:
        self.homogeneity_defect = homogeneity_defect
        number = lambda value: float("nan") if value is None else float(value)
        self.raw, self._text, self._page = raw, text, page
        self.row: Dict[str, float] = {name: number(value) for name, value in raw["row"].items()}
        self.support: List[Supporting] = [Supporting(**entry) for entry in raw["support"]]
        self.support_residual = number(raw["support_residual"])
        self.stock: List[Stock] = [Stock(**{k: v if isinstance(v, str) else number(v) for k, v in s.items()}) for s in raw["stock"]]
        self.degree: str = raw["degree"]
        self.is_separated: bool = raw["is_separated"]
        self.notes: List[str] = raw["notes"]

    @property
    def ln_inverse_loss(self) -> float:
        """ln(1/L) of the sum over the training set: how far along the late phase."""
        return -self.row["ln_loss_sum"]

    def report(self, path: Any = None, *, open: bool = False) -> Path:
        """Writes the report, one HTML file that needs no network, by default ``audit.html``; ``open`` shows it in the browser."""
        page = Path(path if path is not None else "audit.html").absolute()
        page.write_text(self._page, encoding="utf-8")
        if open:
            import webbrowser

            webbrowser.open(page.as_uri())
        return page

    def __str__(self) -> str:
        return f"{self._text}defect of homogeneity on the training inputs: {self.homogeneity_defect:.2e}\n"

    def __repr__(self) -> str:
        return f"<latephase.Audit of {self.raw['weights']!r}: {self.degree}, margin {self.row.get('margin', float('nan')):.4g}>"

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self._text)}</pre>"


def audit(
    model: Any,
    data: Any,
    loss: Any = None,
    *,
    degree: Optional[float] = None,
    name: Optional[str] = None,
    robustness: int = 0,
) -> Audit:
    """Looks at a trained network: margins in every geometry, KKT residuals with the best multipliers, which examples support the
    margin, how far the network is from homogeneous and along the late phase, and whether the stock loss that it was trained with had
    already gone wrong.

    Args:
        model: a ``torch.nn.Module`` (copied, in float64; call ``.eval()`` first), or a :class:`~latephase.Model`.
        data: ``(X, y)`` or ``(X, y, X_test, y_test)``: what it was trained on; or a data source of a spec, ``{"kind": "digits"}``.
        loss: a loss as a spec has it; by default cross-entropy for several outputs, logistic for one.
        degree: as for :meth:`latephase.Model.from_torch`.
        name: what the report calls it.
        robustness: how many examples of each set are attacked.

    Raises:
        ValueError: a model that is not deterministic or not of the degree that was claimed; data that do not fit it.

    Example:
        At margins of 90 ``binary_cross_entropy_with_logits`` trains on one class only:

        >>> import numpy as np
        >>> import latephase
        >>> linear = latephase.Model.from_callables(
        ...     lambda theta, x: x @ theta, lambda theta, x, cot: x.T @ cot[:, 0], {"w": (2,)}, theta=[30.0, 30.0]
        ... )
        >>> audit = latephase.audit(linear, (np.array([[2.0, 1.0], [-1.0, -2.0]]), np.array([1, -1])))
        >>> round(audit.row["margin"], 4), len(audit.support), audit.stock[1].is_wrong
        (2.1213, 2, True)
    """
    held = model if isinstance(model, Model) else Model.from_torch(model, degree=degree, name=name)
    if not isinstance(data, str) and not (isinstance(data, dict) and "kind" in data):
        data = data_of(data)
    with attached(held, data) as overrides:
        if loss is None:
            if held.outputs is None and isinstance(data, Data):
                held.degree(data.inputs)
            loss = "logistic" if held.outputs == 1 else "cross-entropy"
        lines = ['algorithm = { kind = "flow", norm = "l2" }', "stop = { steps = 0 }", "probes = []"]
        lines += [f"loss = {inline(loss, 'loss')}"] + [text.replace("=", " = ", 1) for text in overrides]
        found, text, page = _native.audit("\n".join(lines), int(robustness))
        raw = json.loads(found)
        defect = held.defect(data.inputs) if isinstance(data, Data) else float("nan")
    return Audit(raw, text, page, defect)

