"""Progress in a terminal, a notebook or a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional, Union

#: Seconds between two lines of a log.
LINE_EVERY = 30.0
#: Characters of a bar.
WIDTH = 30


@dataclass(frozen=True)
class Progress:
    """Where a run stands, as a callback given to ``progress=`` is told, some ten times a second.

    Attributes:
        step: steps taken; None where only ``text`` is told, such as the end of a run of a sweep.
        log10_loss: decimal logarithm of the loss; NaN before it is known.
        margin: normalised margin at the last look; NaN where it is not measured.
        part: the part of the way that is done, from 0 to 1; None where nothing tells how long the way is.
        text: all of it in words, with speed and time left.
    """

    step: Optional[int]
    log10_loss: float
    margin: float
    part: Optional[float]
    text: str


Told = Callable[[Optional[int], float, float, Optional[float], str], None]
Watch = Union[bool, Callable[[Progress], Any]]


@contextmanager
def watching(progress: Watch) -> Iterator[Optional[Told]]:
    """What is to be told, and the end of it."""
    if progress is False or progress is None:
        yield None
        return
    if callable(progress):
        callback = progress
        yield lambda *told: callback(Progress(*told))
        return
    show = _shower()
    try:
        yield lambda *told: show.show(Progress(*told))
    finally:
        show.close()


def _shower() -> Any:
    if _in_notebook():
        return _notebook() or _Line()
    return _Line() if sys.stderr is not None and sys.stderr.isatty() else _Log()


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _notebook() -> Optional["_Tqdm"]:
    try:
        from tqdm.notebook import tqdm

        return _Tqdm(tqdm(total=1000, bar_format="{percentage:3.0f} % {bar} {postfix}", leave=False))
    except Exception:  # no tqdm, or no widgets beneath it
        return None


class _Tqdm:
    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def show(self, at: Progress) -> None:
        if at.part is not None:
            self.bar.n = round(1000 * at.part)
        self.bar.set_postfix_str(at.text)

    def close(self) -> None:
        self.bar.close()


class _Line:
    """One line that is written over."""

    def __init__(self) -> None:
        self.length = 0

    def show(self, at: Progress) -> None:
        text = at.text
        if at.step is None:
            self._write("")
            sys.stderr.write(f"\r{text}\n")
            sys.stderr.flush()
            return
        if at.part is not None:
            full = int(WIDTH * at.part)
            text = f"{'#' * full}{'.' * (WIDTH - full)} {100 * at.part:3.0f} %  {text}"
        self._write(text)

    def _write(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self.length))
        sys.stderr.flush()
        self.length = len(text)

    def close(self) -> None:
        if self.length:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()


class _Log:
    """A line now and then; nothing for a short run."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def show(self, at: Progress) -> None:
        now = time.monotonic()
        if now - self.last >= LINE_EVERY and sys.stderr is not None:
            self.last = now
            print(at.text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass
