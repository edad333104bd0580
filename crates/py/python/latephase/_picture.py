"""Pictures of runs as SVG and HTML that need nothing else, for notebooks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    from ._many import Sweep
    from ._run import Run

COLOURS = ["#3b6fb6", "#d1495b", "#2e8b57", "#8d6bb8", "#c98b1f", "#4c9aa6", "#8c564b", "#7a7a7a"]
SIZE = (360, 230)
#: Left, right, top and bottom of the frame within it; a legend of several curves stands above it, three in a row.
EDGES = (54, 10, 26, 34)


@dataclass
class Curve:
    """A curve, with a band around it where ``low`` and ``high`` are given."""

    name: str
    x: Any
    y: Any
    low: Any = None
    high: Any = None


@dataclass
class Panel:
    """A picture: a title, curves, and which axes are logarithmic."""

    title: str
    x_name: str
    curves: List[Curve] = field(default_factory=list)
    log_x: bool = True
    log_y: bool = False

    def svg(self) -> str:
        """The picture as an ``<svg>`` element."""
        return _svg(self)


def loss(log10_loss: float) -> str:
    """``1.6e-1000`` from its decimal logarithm, whatever its size."""
    if not math.isfinite(log10_loss):
        return "unknown"
    exponent = math.floor(log10_loss)
    mantissa = f"{10 ** (log10_loss - exponent):.1f}"
    return f"1.0e{exponent + 1}" if mantissa == "10.0" else f"{mantissa}e{exponent}"


def number(value: float) -> str:
    """Five digits."""
    return "-" if math.isnan(value) else f"{value:.5g}"


def html(run: "Run") -> str:
    """The outcome, the last values and the pictures of a run."""
    rows = [("outcome", run.outcome.sentence), ("loss", loss(run.last("log10_loss"))), ("steps", f"{run.last('step'):.0f}")]
    names = [
        ("normalised margin", "margin"),
        ("KKT epsilon, fitted multipliers", "kkt_epsilon_fit"),
        ("training accuracy", "train_accuracy"),
        ("test accuracy", "test_accuracy"),
    ]
    rows += [(label, number(run.last(name))) for label, name in names if not math.isnan(run.last(name))]
    if run.findings.get("tally"):
        rows.append(("theorems", str(run.findings["tally"])))
    cells = "".join(f"<tr><th style='text-align:left'>{escape(a)}</th><td style='text-align:left'>{escape(b)}</td></tr>" for a, b in rows)
    pictures = "".join(panel.svg() for panel in panels([(run.name, run.columns)]))
    return f"<div><b>{escape(run.name)}</b><table>{cells}</table><div>{pictures}</div></div>"


def panels(runs: Sequence[Tuple[str, Any]]) -> List[Panel]:
    """The pictures of one run, or of several over each other: those of which something was measured."""
    decay = "ln(1/L)"
    wanted = [
        (Panel("ln(1/L): how far the loss has come", "step", log_y=True), "step", [decay]),
        (Panel("margins", decay), decay, ["margin", "smooth_margin"]),
        (Panel("distance from KKT", decay, log_y=True), decay, ["kkt_epsilon_fit", "kkt_epsilon", "kkt_epsilon_bundle"]),
        (Panel("accuracy", decay), decay, ["train_accuracy", "test_accuracy"]),
    ]
    made = []
    for panel, across, names in wanted:
        for label, columns in runs:
            for name in names[: 1 if len(runs) > 1 else None]:
                x, y = series(columns, across), series(columns, name)
                if x is not None and y is not None and np.isfinite(y).any():
                    panel.curves.append(Curve(label if len(runs) > 1 else name, x, y))
        if panel.curves:
            made.append(panel)
    return made


def series(columns: Any, name: str) -> Optional[Any]:
    """A column, or ln(1/L) by that name."""
    if name == "ln(1/L)":
        return -columns["ln_loss"] if "ln_loss" in columns else None
    return columns.get(name)


def _svg(panel: Panel) -> str:
    curves = [_seen(curve, panel) for curve in panel.curves]
    xs = np.concatenate([c.x for c in curves]) if curves else np.array([])
    bounds = [v for c in curves for v in (c.y, c.low, c.high) if v is not None]
    ys = np.concatenate(bounds) if bounds else np.array([])
    ys = ys[np.isfinite(ys) & ((ys > 0) | (not panel.log_y))]
    (width, height), (left, right, top, bottom) = SIZE, EDGES
    if len(curves) > 1:
        top += 15 * math.ceil(min(len(curves), len(COLOURS)) / 3)
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' "
        "style='font:11px sans-serif;background:#fff;color:#222;margin:2px'>"
        f"<text x='{left}' y='14' font-weight='bold' fill='#222'>{escape(panel.title)}</text>"
    )
    if not len(xs) or not len(ys):
        return head + f"<text x='{left}' y='{height // 2}' fill='#666'>nothing to draw</text></svg>"
    x_axis = _Axis(xs, panel.log_x, left, width - right)
    y_axis = _Axis(ys, panel.log_y, height - bottom, top)
    parts = [head]
    for value, label in x_axis.ticks():
        at = x_axis.at(value)
        parts.append(f"<path d='M{at:.1f} {top}V{height - bottom}' stroke='#e4e4e4'/>")
        parts.append(f"<text x='{at:.1f}' y='{height - bottom + 13}' text-anchor='middle' fill='#444'>{label}</text>")
    for value, label in y_axis.ticks():
        at = y_axis.at(value)
        parts.append(f"<path d='M{left} {at:.1f}H{width - right}' stroke='#e4e4e4'/>")
        parts.append(f"<text x='{left - 4}' y='{at + 4:.1f}' text-anchor='end' fill='#444'>{label}</text>")
    parts.append(f"<path d='M{left} {top}V{height - bottom}H{width - right}' fill='none' stroke='#888'/>")
    parts.append(f"<text x='{(left + width - right) / 2:.0f}' y='{height - 5}' text-anchor='middle' fill='#222'>{escape(panel.x_name)}</text>")
    for k, curve in enumerate(curves):
        colour = COLOURS[k % len(COLOURS)]
        if curve.low is not None:
            parts.append(_band(curve, x_axis, y_axis, colour))
        parts.append(f"<path d='{_path(curve.x, curve.y, x_axis, y_axis)}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
    if len(curves) > 1:
        for k, curve in enumerate(curves[: len(COLOURS)]):
            x, y = left + (width - left) // 3 * (k % 3), EDGES[2] + 4 + 15 * (k // 3)
            parts.append(f"<path d='M{x} {y - 4}h12' stroke='{COLOURS[k]}' stroke-width='2'/>")
            parts.append(f"<text x='{x + 15}' y='{y}' fill='#222'>{escape(curve.name[:16])}</text>")
    return "".join(parts) + "</svg>"


def _seen(curve: Curve, panel: Panel) -> Curve:
    """The points that have a place on the axes."""
    x, y = np.asarray(curve.x, float), np.asarray(curve.y, float).copy()
    with np.errstate(invalid="ignore"):
        kept = np.isfinite(x) & ((x > 0) | (not panel.log_x))
        if panel.log_x and panel.x_name == "ln(1/L)":
            kept &= x >= 0.5  # the decades around a loss of 1 say nothing about the end
        if panel.log_y:
            y[~(y > 0)] = np.nan
    cut = lambda v: None if v is None else np.asarray(v, float)[kept]  # noqa: E731
    return Curve(curve.name, x[kept], y[kept], cut(curve.low), cut(curve.high))


def _path(x: Any, y: Any, x_axis: "_Axis", y_axis: "_Axis") -> str:
    steps, pen = [], "M"
    for a, b in zip(x, y):
        if not math.isfinite(b):
            pen = "M"
            continue
        steps.append(f"{pen}{x_axis.at(a):.1f} {y_axis.at(b):.1f}")
        pen = "L"
    return "".join(steps)


def _band(curve: Curve, x_axis: "_Axis", y_axis: "_Axis", colour: str) -> str:
    with np.errstate(invalid="ignore"):
        known = np.isfinite(curve.low) & np.isfinite(curve.high) & ((curve.low > 0) | (not y_axis.log))
    x, low, high = curve.x[known], curve.low[known], curve.high[known]
    if not len(x):
        return ""
    round_trip = list(zip(x, high)) + list(zip(x[::-1], low[::-1]))
    points = " ".join(f"{x_axis.at(a):.1f},{y_axis.at(b):.1f}" for a, b in round_trip)
    return f"<polygon points='{points}' fill='{colour}' opacity='0.2'/>"


class _Axis:
    """From values to pixels, and where the ticks are."""

    def __init__(self, values: Any, log: bool, start: float, end: float) -> None:
        self.log, self.start, self.end = log, start, end
        low, high = float(values.min()), float(values.max())
        if log:
            low, high = math.log10(low), math.log10(high)
        if high - low < 1e-9 * max(1.0, abs(high)):
            pad = 0.5 if log else 0.05 * max(abs(high), 1e-12)
            low, high = low - pad, high + pad
        else:
            pad = 0.04 * (high - low)
            low, high = low - pad, high + pad
        self.low, self.high = low, high

    def at(self, value: float) -> float:
        place = math.log10(value) if self.log else value
        return self.start + (self.end - self.start) * (place - self.low) / (self.high - self.low)

    def ticks(self) -> List[Tuple[float, str]]:
        if self.log and self.high - self.low >= 1.0:
            every = max(1, math.ceil((self.high - self.low) / 6))
            first = math.ceil(self.low / every) * every
            return [(10.0**k, _decade(k)) for k in range(first, math.floor(self.high) + 1, every)]
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        rough = (high - low) / 5
        size = 10 ** math.floor(math.log10(rough))
        step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
        first = math.ceil(low / step)
        return [(k * step, f"{k * step:.4g}") for k in range(first, math.floor(high / step) + 1) if k * step > 0 or not self.log]


def _decade(k: int) -> str:
    return f"{10**k}" if 0 <= k <= 3 else f"1e{k}"


def sweep_html(sweep: "Sweep") -> str:
    """The groups of a sweep, each as a band."""
    wanted = [
        (Panel("ln(1/L): how far the loss has come", "step", log_y=True), "ln(1/L)"),
        (Panel("normalised margin", "ln(1/L)"), "margin"),
        (Panel("distance from KKT", "ln(1/L)", log_y=True), "kkt_epsilon_fit"),
    ]
    pictures = []
    for panel, column in wanted:
        for label, band in sweep.bands(column, panel.x_name).items():
            if np.isfinite(band.mean).any():
                panel.curves.append(Curve(label, band.x, band.mean, band.low, band.high))
        if panel.curves:
            pictures.append(panel.svg())
    note = f"{len(sweep)} runs. Line: mean over seeds; band: from the least to the largest seed."
    return f"<div><b>{escape(sweep.dir.name)}</b><p>{escape(note)}</p><div>{''.join(pictures)}</div></div>"
