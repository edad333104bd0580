"""Runs: begin, go on, read."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Union

import numpy as np

from . import _native
from ._progress import Watch, watching
from ._spec import Given, Overrides, Spec, given, listed_overrides
from .model import Model, attached

__all__ = ["Outcome", "Run", "load", "resume", "run"]

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended; a run cannot fail, it ends with a sentence.

    Attributes:
        kind: ``"reached"``, ``"out-of-steps"``, ``"diverged"``, ``"chattering"``, ``"precision"``, ``"stationary"``, ``"failed"``,
            ``"interrupted"``; ``"unfinished"`` for a run that was killed.
        sentence: one sentence, with advice where there is some.
        seconds: in the loop, in the last stint; NaN for a run that was killed.
    """

    kind: str
    sentence: str
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether the spec's own conditions ended the run."""
        return self.kind == "reached"

    def __str__(self) -> str:
        return self.sentence


class Temporary:
    """A directory that goes when nobody holds this any more: of several runs, with the last."""

    def __init__(self, path: Path) -> None:
        weakref.finalize(self, shutil.rmtree, str(path), ignore_errors=True)


class Run:
    """A run in its directory, read as it is asked for; :func:`run`, :func:`resume` and :func:`load` make one.

    Arrays are float64, belong to you, and are read once.

    Example:
        >>> import latephase
        >>> run = latephase.run("quickstart", progress=False)
        >>> run.outcome.reached
        True
        >>> bool(run.columns["log10_loss"][-1] < -1000)
        True
    """

    #: The directory of the run. Without ``out`` it is a temporary one, which goes when this object does; see :meth:`save`.
    dir: Path

    def __init__(self, dir: PathLike, *, owner: Any = None) -> None:
        self.dir = Path(dir).absolute()
        if not (self.dir / "spec.toml").is_file():
            raise FileNotFoundError(2, "not a run directory: it holds no spec.toml", str(self.dir))
        self._owner = owner

    @cached_property
    def columns(self) -> Dict[str, np.ndarray]:
        """Every column of ``rows.csv`` by name, one value a look; NaN where nothing was measured."""
        return _native.columns(self.dir)

    @cached_property
    def theta(self) -> Dict[str, np.ndarray]:
        """The final parameters by block name (``"0.weight"``, as in ``torch.nn.Sequential``), each in its shape."""
        return _native.theta(self.dir / "theta.safetensors")

    @cached_property
    def snapshots(self) -> Dict[float, Dict[str, np.ndarray]]:
        """The parameters kept on the way, by log10 of the loss, as the spec's ``keep`` asks."""
        folder, mark = self.dir / "snapshots", "log10_loss_"
        files = {float(p.stem[len(mark) :]): p for p in folder.glob(mark + "*.safetensors")}
        return {level: _native.theta(files[level]) for level in sorted(files, reverse=True)}

    @cached_property
    def manifest(self) -> Dict[str, Any]:
        """Version, machine, outcome, timings and counts; empty for a run that was killed."""
        return self._json("manifest.json")

    @cached_property
    def findings(self) -> Dict[str, Any]:
        """What the theorems say about the run: ``tally``, ``claims`` with their verdicts, ``rates``."""
        return self._json("findings.json")

    @property
    def verdicts(self) -> Dict[str, str]:
        """The verdict on every claim by its id: ``holds``, ``violated``, ``undecided`` or ``not-applicable``."""
        return {claim["id"]: claim["verdict"] for claim in self.findings.get("claims", [])}

    @cached_property
    def spec(self) -> Dict[str, Any]:
        """The spec with every default written out; running it again gives the same bytes."""
        return json.loads(_native.json_of((self.dir / "spec.toml").read_text(encoding="utf-8")))

    @property
    def name(self) -> str:
        """The name in its spec, else its directory's."""
        return str(self.spec.get("name", self.dir.name))

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        if not self.manifest:
            return Outcome("unfinished", "Killed before its end; latephase.resume goes on from its last checkpoint.", np.nan)
        found = self.manifest
        return Outcome(found["outcome"]["kind"], found["sentence"], float(found["seconds"]))

    def last(self, column: str) -> float:
        """The last value of a column; NaN where it was not measured."""
        values = self.columns.get(column)
        return float(values[-1]) if values is not None and len(values) else float("nan")

    def frame(self, kind: Optional[str] = None) -> Any:
        """The columns as a data frame of pandas, or of polars where only that is installed or ``kind="polars"`` asks for it."""
        return frame(self.columns, kind)

    def report(self, path: Optional[PathLike] = None, *, open: bool = False) -> Path:
        """The report page, one HTML file that needs no network: where it is, or is copied to.

        Args:
            path: copy it there.
            open: show it in the browser.
        """
        page = self.dir / "report.html"
        if not page.is_file():
            raise FileNotFoundError(2, "the run was killed before its page was written; latephase.resume ends it", str(page))
        if path is not None:
            page = Path(shutil.copyfile(page, path)).absolute()
        if open:
            import webbrowser

            webbrowser.open(page.as_uri())
        return page

    def save(self, path: PathLike) -> "Run":
        """Copies the directory, which must not be there, and returns the run in it."""
        shutil.copytree(self.dir, path)
        return Run(path)

    def __repr__(self) -> str:
        from ._picture import loss

        last = loss(self.last("log10_loss"))
        return f"<latephase.Run {self.name!r}: {self.outcome.kind}, loss {last} after {self.last('step'):.0f} steps>"

    def _repr_html_(self) -> str:
        from ._picture import html

        return html(self)

    def _json(self, name: str) -> Dict[str, Any]:
        path = self.dir / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def frame(columns: Mapping[str, Any], kind: Optional[str] = None) -> Any:
    """A data frame of pandas or polars."""
    if kind not in (None, "pandas", "polars"):
        raise ValueError(f"kind is 'pandas' or 'polars', not {kind!r}")
    for name in [kind] if kind else ["pandas", "polars"]:
        try:
            return __import__(name).DataFrame(dict(columns))
        except ImportError:
            continue
    raise ImportError(f"a frame needs {kind or 'pandas or polars'}, which is not installed; `columns` needs neither")


def run(
    spec: Spec,
    *,
    model: Optional[Model] = None,
    data: Any = None,
    overrides: Overrides = None,
    out: Union[PathLike, bool, None] = None,
    progress: Watch = True,
    threads: Optional[int] = None,
    max_seconds: Optional[float] = None,
) -> Run:
    """Runs a spec to its end.

    Args:
        spec: a dict, the path of a TOML file, TOML text, the name of a recipe (its base spec), or another :class:`Run`.
        model: a network of your own in place of the spec's model, see :class:`latephase.Model`; what its code raises is raised here.
        data: ``(X, y)`` or ``(X, y, X_test, y_test)`` in place of the spec's data, see :class:`latephase.Data`.
        overrides: ``{"algorithm.pace.eta": 0.1}``, or a list of ``"algorithm.pace.eta=0.1"``.
        out: the directory of the run. None: a temporary one, which is removed with the :class:`Run` (:meth:`Run.save` keeps
            it). True: ``runs/NAME-HASH``, as on the command line. A directory that holds this very run, finished, is read and
            not run again.
        progress: True shows a bar in a terminal or a notebook, and a line now and then elsewhere; a callable is given a
            :class:`Progress` at most ten times a second; an exception that it raises ends the run, saved, and is raised.
        threads: threads to evaluate on; all cores when None. They change no byte of the results.
        max_seconds: wall-clock budget, after which the run ends as interrupted and can be resumed.

    Returns:
        The run. Its outcome may be one that the spec does not name, such as ``diverged``: that is a result, not an error.

    Raises:
        SpecError: the spec or an override is wrong.
        FileExistsError: ``out`` holds something else, or this run unfinished.
        OSError: a file could not be read or written.
        KeyboardInterrupt: after Ctrl-C, with everything saved; the message says how to go on.

    Example:
        >>> import latephase
        >>> spec = {
        ...     "data": {"kind": "two-points"},
        ...     "model": "linear",
        ...     "loss": "logistic",
        ...     "algorithm": {"kind": "flow", "norm": "l2"},
        ...     "stop": {"log10_loss": -1000},
        ... }
        >>> run = latephase.run(spec, overrides={"seed": 3}, progress=False)
        >>> run.outcome.kind
        'reached'
    """
    threads, max_seconds = checked(threads, max_seconds)
    with attached(model, data) as own:
        return _run(given(spec, own + listed_overrides(overrides)), out, progress, threads, max_seconds)


def _run(
    told: Given, out: Union[PathLike, bool, None], progress: Watch, threads: Optional[int], max_seconds: Optional[float]
) -> Run:
    if out is None or out is False:
        return _temporary(told, progress, threads, max_seconds)
    dir, standing = _native.standing(tuple(told), None if out is True else Path(out))
    if standing == "finished":
        return Run(dir)
    if standing == "unfinished":
        raise FileExistsError(17, f"it holds this run, unfinished: latephase.resume({str(dir)!r}) goes on with it", str(dir))
    if standing != "free":
        raise FileExistsError(17, f"it is not this run's: {standing}", str(dir))
    with watching(progress) as tell:
        _native.run(tuple(told), dir, threads, max_seconds, tell)
    return Run(dir)


def _temporary(told: Given, progress: Watch, threads: Optional[int], max_seconds: Optional[float]) -> Run:
    place = Path(tempfile.mkdtemp(prefix="latephase-"))
    try:
        dir = place / "run"
        with watching(progress) as tell:
            _native.run(tuple(told), dir, threads, max_seconds, tell)
        return Run(dir, owner=Temporary(place))
    except Exception:
        shutil.rmtree(place, ignore_errors=True)
        raise  # KeyboardInterrupt is no Exception: what is saved stays


def resume(
    dir: Union[PathLike, Run],
    *,
    model: Optional[Model] = None,
    data: Any = None,
    progress: Watch = True,
    threads: Optional[int] = None,
    max_seconds: Optional[float] = None,
) -> Run:
    """Goes on with an interrupted or killed run; the bytes are those of a run that was never interrupted.

    A run that has finished is read. The arguments are those of :func:`run`; a run of a model or of arrays of your own needs the same
    ones again.
    """
    threads, max_seconds = checked(threads, max_seconds)
    found = dir if isinstance(dir, Run) else Run(dir)
    if found.outcome.kind not in ("interrupted", "unfinished"):
        return found
    with attached(model, data, found.spec), watching(progress) as tell:
        _native.resume(found.dir, threads, max_seconds, tell)
    return Run(found.dir, owner=found._owner)


def load(dir: PathLike) -> Run:
    """Reads a run directory, whoever made it."""
    return Run(dir)


def checked(threads: Optional[int], max_seconds: Optional[float]) -> "tuple[Optional[int], Optional[float]]":
    if threads is not None and not 1 <= int(threads) <= 4096:
        raise ValueError(f"threads = {threads}: from 1 to 4096, or None for all cores")
    if max_seconds is not None and not 0 < float(max_seconds) < float("inf"):
        raise ValueError(f"max_seconds = {max_seconds}: a number above 0, or None")
    return (None if threads is None else int(threads)), (None if max_seconds is None else float(max_seconds))
