"""Many runs: sweeps, recipes, theorems held against a run, and the search for a violation."""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np

from . import _native
from ._progress import Watch, watching
from ._run import PathLike, Run, Temporary, checked, frame
from ._spec import Overrides, Spec, given, inline

__all__ = ["Band", "Limit", "Recipe", "Refutation", "Sweep", "check", "limit", "recipe", "refute", "sweep"]


@dataclass(frozen=True)
class Band:
    """A column of runs that differ in their seed alone, on a grid that they share.

    Attributes:
        x: the grid, over the stretch that all runs cover.
        mean: over the runs; NaN beside a gap of any.
        low: the least of them.
        high: the largest.
        runs: how many there are.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    runs: int


class Sweep:
    """The runs of a sweep, in the order of its axes; :func:`sweep` makes one.

    It is a sequence of :class:`Run`, and ``sweep["norm=l2 seed=1"]`` finds one by its label.
    """

    #: The directory, with ``sweep.csv`` and ``report.html``.
    dir: Path
    #: What sets each run apart: ``"norm=linf seed=3"``.
    labels: List[str]
    #: Why runs could not be run, by label.
    failures: Dict[str, str]

    def __init__(self, found: Mapping[str, Any], temporary: Optional[Path] = None) -> None:
        self.dir = Path(found["dir"]).absolute()
        begun = [one for one in found["runs"] if one["began"]]
        self.labels = [one["label"] for one in begun]
        self.failures = {one["label"]: one["failure"] for one in found["runs"] if one["failure"]}
        self._owner = None if temporary is None else Temporary(temporary)
        self._runs = [Run(one["dir"], owner=self._owner) for one in begun]
        self._groups: Dict[str, List[Run]] = {}
        for one, run in zip(begun, self._runs):
            alone = one["label"] if one["group"] is None else one["group"] or "all"
            self._groups.setdefault(alone, []).append(run)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __getitem__(self, which: Union[int, str]) -> Run:
        if isinstance(which, str):
            if which not in self.labels:
                raise KeyError(f"there is no run {which!r}; there are {', '.join(self.labels)}")
            which = self.labels.index(which)
        return self._runs[which]

    @property
    def groups(self) -> Dict[str, List[Run]]:
        """The runs that differ in their seed alone, by what they share; ``"all"`` where the seed is the only axis."""
        return {label: runs[:] for label, runs in self._groups.items()}

    def bands(self, column: str, x: str = "ln(1/L)", *, log: Optional[bool] = None) -> Dict[str, Band]:
        """A column over another, the seeds of each group as one band.

        Args:
            column: what is on the vertical axis.
            x: the horizontal one: a column, or ``"ln(1/L)"``.
            log: whether its grid is even in ln x; by default for ``ln(1/L)``, ``step``, ``epoch`` and ``evaluations``.
        """
        return {
            label: Band(runs=len(runs), **_native.band([run.dir for run in runs], column, x, log))
            for label, runs in self._groups.items()
        }

    def last(self, column: str) -> Dict[str, Tuple[float, float]]:
        """Mean and standard deviation (n - 1) of the last value of a column over the seeds of each group."""
        found = {}
        for label, runs in self._groups.items():
            values = np.array([run.last(column) for run in runs])
            values = values[np.isfinite(values)]
            mean = float(values.mean()) if len(values) else math.nan
            found[label] = (mean, float(values.std(ddof=1)) if len(values) > 1 else math.nan)
        return found

    @property
    def columns(self) -> Dict[str, np.ndarray]:
        """The last value of every column, one entry a run; beside ``label`` and ``outcome``."""
        names: Dict[str, None] = {}
        for run in self._runs:
            names.update(dict.fromkeys(run.columns))
        table: Dict[str, np.ndarray] = {
            "label": np.array(self.labels, dtype=object),
            "outcome": np.array([run.outcome.kind for run in self._runs], dtype=object),
        }
        table.update({name: np.array([run.last(name) for run in self._runs]) for name in names})
        return table

    def frame(self, kind: Optional[str] = None) -> Any:
        """:attr:`columns` as a data frame of pandas or polars."""
        columns = self.columns
        return frame({k: v.tolist() if v.dtype == object else v for k, v in columns.items()}, kind)

    def report(self, path: Optional[PathLike] = None, *, open: bool = False) -> Path:
        """The page of all runs, with a band for each group: see :meth:`Run.report`."""
        return Run.report(self, path, open=open)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<latephase.Sweep of {len(self)} runs in {str(self.dir)!r}>"

    def _repr_html_(self) -> str:
        from ._picture import sweep_html

        return sweep_html(self)


def sweep(
    spec: Spec,
    axes: Mapping[str, Any],
    *,
    overrides: Overrides = None,
    out: Union[PathLike, bool, None] = None,
    progress: Watch = True,
    threads: Optional[int] = None,
    max_seconds: Optional[float] = None,
) -> Sweep:
    """Runs a spec at every combination of some values, on all cores.

    Runs that have finished in ``out`` are not run again, so an interrupted sweep goes on with the same call.

    Args:
        spec: as for :func:`run`.
        axes: key to values: ``{"algorithm.descent.norm": ["l1", "l2"], "seed": range(8)}``. The last axis turns fastest; runs that
            differ in ``seed`` alone make a band.
        overrides: of every run.
        out: the directory; None for a temporary one, True for ``runs/NAME-sweep-HASH``.
        progress, threads, max_seconds: as for :func:`run`; of the whole sweep.

    Example:
        >>> import latephase
        >>> spec = {
        ...     "data": {"kind": "gaussian-margin", "n": 20, "dim": 5, "margin": 0.5},
        ...     "model": "linear",
        ...     "loss": "logistic",
        ...     "algorithm": {"kind": "flow", "norm": "l2"},
        ...     "stop": {"log10_loss": -20},
        ... }
        >>> sweep = latephase.sweep(spec, {"loss": ["logistic", "exponential"], "seed": range(2)}, progress=False)
        >>> sweep.labels
        ['loss=logistic seed=0', 'loss=logistic seed=1', 'loss=exponential seed=0', 'loss=exponential seed=1']
        >>> band = sweep.bands("margin")["loss=logistic"]
        >>> bool((band.low <= band.mean).all() and (band.mean <= band.high).all())
        True
    """
    told = tuple(given(spec, overrides))
    threads, max_seconds = checked(threads, max_seconds)
    texts = [_axis(key, values) for key, values in axes.items()]
    if not texts:
        raise ValueError("a sweep needs an axis, such as {'seed': range(4)}")
    with _Place(out) as place, watching(progress) as tell:
        found = json.loads(_native.sweep(told, texts, place.path, threads, max_seconds, tell))
    return Sweep(found, place.temporary)


def _axis(key: str, values: Any) -> str:
    """``key=a,b,c``; a text is taken as it is, so that ``"0..8"`` and ``"range(0,8)"`` are ranges."""
    if isinstance(values, str):
        return f"{key}={values}"
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, Mapping) or not isinstance(values, Iterable):
        raise TypeError(f"the values of the axis {key!r} are a list, a range or an array, not {type(values).__name__}")
    texts = [_bare(value) or inline(value, key) for value in values]
    return f"{key}={','.join(texts)}"


def _bare(value: Any) -> Optional[str]:
    """A name needs no quotes, which would stand in the label."""
    is_name = isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", value)
    return value if is_name and value not in ("true", "false", "inf", "nan") else None


class _Place:
    """Where runs go: a directory, the default one, or a temporary one that goes with an error and stays with Ctrl-C."""

    def __init__(self, out: Union[PathLike, bool, None], default: Optional[str] = None) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="latephase-")) if out is None or out is False else None
        self.path: Optional[Path] = Path(default) if default else None
        if self.temporary is not None:
            self.path = self.temporary / "runs"
        elif out is not True:
            self.path = Path(out)  # type: ignore[arg-type]

    def __enter__(self) -> "_Place":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None and issubclass(kind, Exception) and self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)


@dataclass
class Recipe:
    """What a recipe gave.

    Attributes:
        name: of the recipe.
        size: ``"quick"``, ``"usual"`` or ``"full"``.
        rows: one dict an expectation: ``id``, ``paper``, ``ours``, ``interval``, ``ratio``, ``held`` (None for undecided), ``source``.
        tables: as the report has them.
        runs: the runs by label, one a seed.
        page: the report page, or None where nothing was run.
        skipped: why nothing was run, where a file from outside is missing.
    """

    name: str
    size: str
    rows: List[Dict[str, Any]]
    tables: List[Dict[str, Any]] = field(repr=False)
    runs: Dict[str, List[Run]]
    page: Optional[Path]
    skipped: Optional[str]
    _owner: Any = field(default=None, repr=False)

    @property
    def held(self) -> bool:
        """Whether no expectation is violated."""
        return all(row["held"] is not False for row in self.rows)


def recipe(
    name: PathLike,
    size: str = "usual",
    *,
    out: Union[PathLike, bool, None] = None,
    progress: Watch = True,
    threads: Optional[int] = None,
) -> Recipe:
    """Runs all of a recipe and holds it against the paper.

    Args:
        name: as ``latephase.list("recipes")`` has it, or a TOML file with a ``[recipe]`` table.
        size: ``"quick"`` (seconds), ``"usual"`` or ``"full"`` (the size of the paper: hours or days).
        out, progress, threads: as for :func:`run`; True for ``out`` is ``runs/recipe-NAME``.

    Example:
        >>> import latephase
        >>> found = latephase.recipe("quickstart", "quick", progress=False)
        >>> found.held
        True
    """
    if size not in ("quick", "usual", "full"):
        raise ValueError(f"size is 'quick', 'usual' or 'full', not {size!r}")
    threads, _ = checked(threads, None)
    text = str(name)
    end = "" if size == "usual" else f"-{size}"
    with _Place(out, f"runs/recipe-{Path(text).stem if text.endswith('.toml') else text.replace('/', '-')}{end}") as place:
        with watching(progress) as tell:
            found = json.loads(_native.recipe(text, size, place.path, threads, tell))
    owner = None if place.temporary is None else Temporary(place.temporary)
    runs: Dict[str, List[Run]] = {}
    for one in found["runs"]:
        runs.setdefault(one["label"], []).append(Run(one["dir"], owner=owner))
    page = found["report"] and Path(found["report"]).absolute()
    return Recipe(found["recipe"], found["size"], found["rows"], found["tables"], runs, page, found["skipped"], owner)


def check(
    run: Union[PathLike, Run],
    *,
    only: Union[str, Iterable[str]] = (),
    claim: Optional[PathLike] = None,
    twin: bool = False,
    progress: Watch = True,
    threads: Optional[int] = None,
) -> Dict[str, Dict[str, Any]]:
    """Holds the theorems against a run, and writes its findings and its page anew.

    Args:
        run: a run or its directory.
        only: ids of claims, as ``latephase.list("claims")`` has them; all when empty.
        claim: a claim of your own instead, in a TOML file.
        twin: decide statements about the flow with a twin, the same run at half the step, which is run and kept with it.

    Returns:
        The claims by id, each with ``verdict`` (``holds``, ``violated``, ``undecided`` or ``not-applicable``), ``text``, ``says``,
        ``source`` and the numbers behind it.

    Example:
        >>> import latephase
        >>> run = latephase.run("quickstart", progress=False)
        >>> claims = latephase.check(run, progress=False)
        >>> any(claim["verdict"] == "violated" for claim in claims.values())
        False
    """
    threads, _ = checked(threads, None)
    names = [only] if isinstance(only, str) else [str(name) for name in only]
    found = run if isinstance(run, Run) else Run(run)
    with watching(progress) as tell:
        text = _native.check(found.dir, names, None if claim is None else Path(claim), twin, threads, tell)
    found.__dict__.pop("findings", None)
    return {one["id"]: one for one in json.loads(text)["claims"]}


@dataclass(frozen=True)
class Refutation:
    """What a search for a violation came to.

    Attributes:
        claim: its id.
        says: what it says.
        refuted: whether a run violates it.
        spec: the run that does, as TOML for :func:`run`; None without.
        found: its size, the step and by how much; None without.
        tried: runs that the claim is about.
        decided: those that decided it.
        doubtful: hits that did not survive.
        least_slack: how near a run came; None where it is not known.
        seconds: of the search.
    """

    claim: str
    says: str
    refuted: bool
    spec: Optional[str] = field(repr=False)
    found: Optional[Dict[str, Any]]
    tried: int
    decided: int
    doubtful: int
    least_slack: Optional[float]
    seconds: float


def refute(
    claim: PathLike,
    *,
    budget: float = 60.0,
    seed: int = 0,
    out: Optional[PathLike] = None,
    progress: Watch = True,
    threads: Optional[int] = None,
) -> Refutation:
    """Searches for a run that violates a claim or a conjecture.

    Args:
        claim: the id of a claim, a conjecture that comes with the package, or a TOML file with one of your own.
        budget: seconds to search for.
        seed: of the proposals.
        out: where a violation is saved; nowhere when None.

    Example:
        >>> import latephase
        >>> found = latephase.refute("sign-descent-raises-l2-margin", budget=30, progress=False)
        >>> found.refuted
        True
    """
    threads, _ = checked(threads, float(budget))
    place = None if out is None else Path(out)
    with watching(progress) as tell:
        found = json.loads(_native.refute(str(claim), float(budget), int(seed), place, threads, tell))
    found.pop("stopped")
    return Refutation(**found)


@dataclass(frozen=True)
class Limit:
    """The KKT point that a run's direction is heading for.

    Attributes:
        found: whether every way that was taken ended within the tolerance.
        theta: the point, of norm 1, by block name.
        ways: one dict a way: ``way``, ``is_limit``, ``why``, ``residual``, ``margin_before``, ``margin``, ``angle``, ``epsilon``, ``delta``,
            ``verdict`` (to second order), ``support_examples``, ``lambda``, …
        angle_between: between the ends of the two ways, in radians; NaN where one was taken.
        dir: where it is kept, in the run's directory.
    """

    found: bool
    theta: Dict[str, np.ndarray] = field(repr=False)
    ways: List[Dict[str, Any]]
    angle_between: float
    dir: Path


def limit(
    run: Union[PathLike, Run],
    *,
    at: Optional[float] = None,
    method: str = "short-cut",
    tolerance: float = 1e-3,
    max_seconds: Optional[float] = None,
    progress: Watch = True,
) -> Limit:
    """Goes from a run to the KKT point of the margin problem that its direction is heading for.

    Args:
        run: a run or its directory.
        at: begin at the snapshot of this log10 of the loss instead of the end.
        method: ``"short-cut"``, ``"flow"`` (the flow at temperature zero) or ``"both"``.
        tolerance: relative residual that counts as a KKT point, and speed per unit of ln rho that ends the flow.
        max_seconds: for each way.

    Example:
        >>> import latephase
        >>> spec = {
        ...     "data": {"kind": "gaussian-margin", "n": 12, "dim": 4, "margin": 0.5},
        ...     "model": "linear",
        ...     "loss": "logistic",
        ...     "algorithm": {"kind": "flow", "norm": "l2"},
        ...     "stop": {"log10_loss": -30},
        ... }
        >>> run = latephase.run(spec, progress=False)
        >>> found = latephase.limit(run, progress=False)
        >>> found.found, round(found.ways[0]["margin"], 6)
        (True, 0.5)
    """
    if method not in ("flow", "short-cut", "both"):
        raise ValueError(f"method is 'short-cut', 'flow' or 'both', not {method!r}")
    if not 0 < float(tolerance) < 1:
        raise ValueError(f"tolerance = {tolerance} is not between 0 and 1")
    _, max_seconds = checked(None, max_seconds)
    from_run = run if isinstance(run, Run) else Run(run)
    level = None if at is None else float(at)
    with watching(progress) as tell:
        found = json.loads(_native.limit(from_run.dir, level, method, float(tolerance), max_seconds, tell))
    between = found["angle_between"]
    place = Path(found["dir"])
    theta = _native.theta(place / "limit.safetensors")
    return Limit(found["found"], theta, found["ways"], math.nan if between is None else between, place)
