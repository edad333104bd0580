"""What can go wrong, as exceptions."""

from __future__ import annotations

from typing import Optional

__all__ = ["SpecError", "InternalError"]


class SpecError(ValueError):
    """A spec, or an override of it, is wrong.

    The message says what was given, what is allowed and the nearest valid choice.

    Attributes:
        key: dotted path of the setting (``"algorithm.pace.eta"``), or None where it is not known.
        file: the TOML file it was read from, or None for a dict, TOML text, a recipe or an override.
        line: its line there, from 1, or None.
        column: its column there, from 1, or None.

    Example:
        >>> import latephase
        >>> try:
        ...     latephase.run("quickstart", overrides={"stop.stepps": 100})
        ... except latephase.SpecError as error:
        ...     print(error.key)
        stop.stepps
    """

    key: Optional[str]
    file: Optional[str]
    line: Optional[int]
    column: Optional[int]

    def __init__(
        self,
        message: str,
        key: Optional[str] = None,
        file: Optional[str] = None,
        line: Optional[int] = None,
        column: Optional[int] = None,
    ) -> None:
        # All of them are arguments, so that the exception can be pickled, from a worker process for instance.
        super().__init__(message, key, file, line, column)
        self.key = key
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return str(self.args[0])


class InternalError(RuntimeError):
    """A bug of latephase itself. The message names the place; please report it."""
