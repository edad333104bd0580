"""Questions that are answered at once or nearly so."""

from __future__ import annotations

import builtins
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _native
from ._run import PathLike, Run
from ._spec import Overrides, Spec, given, inline

__all__ = ["Checked", "Comparison", "Degree", "Entry", "Optimum", "check_spec", "cite", "compare", "degree", "exact", "export", "list"]

#: Kind to entries.
Listing = Dict[str, List["Entry"]]


@dataclass(frozen=True)
class Entry:
    """Something that a spec can name.

    Attributes:
        name: what to write.
        about: what it is.
        example: the line of a spec, in TOML.
    """

    name: str
    about: str
    example: str


def list(kind: Optional[str] = None) -> Union[Listing, List[Entry]]:
    """Everything that can be named, by kind; or the entries of one kind.

    Args:
        kind: ``"norms"``, ``"paces"``, ``"probes"``, ``"recipes"``, ``"claims"``, …: the keys of what ``list()`` gives.

    Example:
        >>> import latephase
        >>> [entry.name for entry in latephase.list("norms")][:3]
        ['l2', 'l1', 'linf']
    """
    every = {k: [Entry(**entry) for entry in entries] for k, entries in json.loads(_native.listing()).items()}
    if kind is None:
        return every
    if kind not in every:
        raise ValueError(f"there is no kind {kind!r}; there are {', '.join(every)}")
    return every[kind]


def cite(what: Union[Spec, Run], *, overrides: Overrides = None) -> List[str]:
    """The works behind a spec, a recipe, a run or a run directory, and whom the data want named.

    Example:
        >>> import latephase
        >>> any("Lyu" in work for work in latephase.cite("quickstart"))
        True
    """
    told, dir = _spec_or_run(what, overrides)
    return _native.cite(told, dir)


@dataclass(frozen=True)
class Checked:
    """What a spec comes to, without a step.

    Attributes:
        toml: the spec with every default written out.
        hash: eight digits that name it.
        train: number of training examples; ``test``: of test examples, or None.
        inputs: numbers in an input.
        classes: names of the classes.
        parameters: number of parameters.
        degree: of the model, in words.
        columns: what a run will measure.
        files: data files with their SHA-256.
    """

    toml: str
    hash: str
    train: int
    test: Optional[int]
    inputs: int
    classes: List[str]
    parameters: int
    degree: str
    columns: List[str]
    files: List[Dict[str, str]]


def check_spec(spec: Spec, *, overrides: Overrides = None) -> Checked:
    """Checks a spec against its data, without a step.

    Raises:
        SpecError: what is wrong with it.

    Example:
        >>> import latephase
        >>> latephase.check_spec("quickstart").degree
        'homogeneous of degree 2'
    """
    return Checked(**json.loads(_native.check_spec(tuple(given(spec, overrides)))))


@dataclass(frozen=True)
class Degree:
    """The degree calculus of a model (Cai et al. 2025).

    Attributes:
        order: L of an L-homogeneous network, the order M of a nearly homogeneous one, None for a network without.
        sentence: in words.
        radius: norm of inputs up to which the bounds hold.
        defect: p' with ``|<grad f, theta> - M f| <= p'(rho)`` as (coefficient, power) pairs; None where there is none.
        gap: p_a with ``|f - f_H| <= p_a(rho)``, likewise.
        layers: one dict a layer.
    """

    order: Optional[float]
    sentence: str
    radius: float
    defect: Optional[List[Tuple[float, float]]]
    gap: Optional[List[Tuple[float, float]]]
    layers: List[Dict[str, Any]] = field(repr=False)

    def __str__(self) -> str:
        return self.sentence


def degree(spec: Spec, *, overrides: Overrides = None, radius: Optional[float] = None) -> Degree:
    """The degree of a spec's model, derived layer by layer, never typed in.

    Args:
        radius: bounds for inputs of norm up to this; by default the largest of the training set.

    Example:
        >>> import latephase
        >>> latephase.degree("quickstart").order
        2.0
    """
    found = json.loads(_native.degree(tuple(given(spec, overrides)), None if radius is None else float(radius)))
    terms = {k: None if found[k] is None else [tuple(t) for t in found[k]] for k in ("defect", "gap")}
    return Degree(found["order"], found["sentence"], found["radius"], terms["defect"], terms["gap"], found["layers"])


@dataclass(frozen=True)
class Optimum:
    """An exact optimum that a margin is held against; both bounds are recomputed from the data alone.

    Attributes:
        reference: who knows it.
        column: the margin that it bounds.
        value: a margin that some theta has; NaN where there is no optimum.
        bound: a margin that no theta exceeds.
        gap: (bound - value)/bound.
        scope: of what it is an optimum: ``global``, …
        unit: how the exact problem translates into the column.
        support: number of examples with a positive multiplier.
        run: the run's own last margin; NaN without a run.
        below: its relative distance below the bound.
        seconds: what it took.
        failure: why there is none, such as data that nothing separates; None where there is one.
        certificate: the examples that show it.
    """

    reference: str
    column: str
    value: float = math.nan
    bound: float = math.nan
    gap: float = math.nan
    scope: str = ""
    unit: str = ""
    support: int = 0
    run: float = math.nan
    below: float = math.nan
    seconds: float = math.nan
    failure: Optional[str] = None
    certificate: List[Dict[str, Any]] = field(default_factory=builtins.list, repr=False)


def exact(
    what: Union[Spec, Run],
    *,
    overrides: Overrides = None,
    norms: Iterable[Union[str, Mapping[str, Any]]] = (),
    only: Iterable[str] = (),
) -> List[Optimum]:
    """The exact optima that the margins of a spec, or of a run, are held against, with certified gaps.

    Args:
        what: a spec, or a :class:`Run`, whose own margins stand beside and whose report shows them.
        norms: margins in these norms only, ``"linf"`` or ``{"kind": "lp", "p": 3}``.
        only: these references only, as ``latephase.list("references")`` has them.

    Example:
        >>> import latephase
        >>> [best] = latephase.exact("steepest-linear", norms=["l2"], only=["linear"])
        >>> best.gap < 1e-9
        True
    """
    told, dir = _spec_or_run(what, overrides)
    texts = [norm if isinstance(norm, str) else inline(norm, "norm") for norm in _several(norms)]
    found = json.loads(_native.exact(told, dir, texts, [str(name) for name in _several(only)]))
    known = Optimum.__dataclass_fields__
    return [Optimum(**{k: v for k, v in one.items() if k in known and v is not None}) for one in found["references"]]


@dataclass(frozen=True)
class Comparison:
    """Two runs at equal loss.

    Attributes:
        log10_loss: levels that both pass, descending.
        columns: by name, the values of the first and of the second run at the levels; NaN where nothing was measured.
        cosines: between the weights, of snapshots at the same level and at the end.
    """

    log10_loss: np.ndarray
    columns: Dict[str, Tuple[np.ndarray, np.ndarray]]
    cosines: Dict[str, float]

    def frame(self, kind: Optional[str] = None) -> Any:
        """As a data frame with the columns ``log10_loss``, ``margin_a``, ``margin_b``, …"""
        from ._run import frame

        both = {f"{name}_{who}": pair[k] for name, pair in self.columns.items() for k, who in enumerate("ab")}
        return frame({"log10_loss": self.log10_loss, **both}, kind)


def compare(a: Union[PathLike, Run], b: Union[PathLike, Run]) -> Comparison:
    """Holds two runs against each other at equal loss, interpolated in ln(-ln L)."""
    found = json.loads(_native.compare(_dir(a), _dir(b)))
    array = lambda values: np.array([math.nan if v is None else v for v in values], dtype=float)  # noqa: E731
    columns = {name: (array(pair["a"]), array(pair["b"])) for name, pair in found["columns"].items()}
    cosines = {name: math.nan if value is None else value for name, value in found["cosines"].items()}
    return Comparison(array(found["log10_loss"]), columns, cosines)


def export(
    runs: Union[PathLike, Run, Sequence[Union[PathLike, Run]]],
    to: str,
    out: Optional[PathLike] = None,
    *,
    force: bool = False,
) -> Path:
    """Writes runs in the format of another tool, and returns where.

    Args:
        runs: a run, a directory of runs (a sweep, a recipe), or several.
        to: ``"tensorboard"``, ``"mlflow"``, ``"csv"``, ``"npz"``, …, as ``latephase.list("exports")`` has them.
        out: where; the format's own place in the working directory when None.
        force: replace what is there.
    """
    import sys

    if isinstance(runs, (str, os.PathLike, Run)) or hasattr(runs, "dir"):
        runs = [runs]  # type: ignore[list-item]
    return Path(_native.export([_dir(one) for one in runs], to, None if out is None else Path(out), force, Path(sys.executable)))


def _dir(run: Any) -> Path:
    return Path(getattr(run, "dir", run)).absolute()


def _several(values: Any) -> Any:
    return [values] if isinstance(values, (str, Mapping)) else values


def _spec_or_run(what: Any, overrides: Overrides) -> "tuple[Optional[tuple], Optional[Path]]":
    """A spec that was read, or the directory of a run."""
    if overrides is None:
        if isinstance(what, Run):
            return None, what.dir
        if isinstance(what, (str, os.PathLike)) and os.path.isfile(os.path.join(what, "spec.toml")):
            return None, Path(what).absolute()
    return tuple(given(what, overrides)), None
