"""What a user gives as a spec, as the TOML that the lab reads."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Iterable, List, Mapping, NamedTuple, Union

from . import _native
from ._errors import SpecError

Spec = Union[str, "os.PathLike[str]", Mapping[str, Any]]
Overrides = Union[Mapping[str, Any], Iterable[str], None]

#: What messages call a spec that is no file.
DICT = "<dict>"
TEXT = "<spec>"


class Given(NamedTuple):
    """A spec that was read."""

    text: str
    file: str
    name: str
    overrides: List[str]


def given(spec: Any, overrides: Overrides = None) -> Given:
    """The text of a dict, a file, TOML text, a recipe's name or a run, and the overrides as ``key=value``."""
    listed = listed_overrides(overrides)
    resolved = getattr(spec, "spec", None)
    if isinstance(resolved, Mapping) and not isinstance(spec, Mapping):
        spec = resolved
    if isinstance(spec, Mapping):
        return Given(as_toml(spec), DICT, "", listed)
    if isinstance(spec, os.PathLike):
        path = Path(spec)
        if path.is_dir():
            path = path / "spec.toml"
        return Given(path.read_text(encoding="utf-8"), os.fspath(path), path.stem, listed)
    if isinstance(spec, str):
        if "\n" in spec or ("=" in spec and not os.path.exists(spec)):
            return Given(spec, TEXT, "", listed)
        text, file, name = _native.source(spec)
        return Given(text, file, name, listed)
    raise TypeError(f"a spec is a dict, a path, TOML text or the name of a recipe, not {type(spec).__name__}")


def listed_overrides(overrides: Overrides) -> List[str]:
    """``{"a.b": 1}`` as ``["a.b=1"]``; a list of such strings as it is."""
    if overrides is None:
        return []
    if isinstance(overrides, str):
        raise TypeError('overrides are a dict, {"key.path": value}, or a list of "key.path=value"')
    if isinstance(overrides, Mapping):
        return [f"{key}={inline(value, str(key))}" for key, value in overrides.items()]
    return [str(text) for text in overrides]


def inline(value: Any, key: str) -> str:
    """One value as TOML on one line."""
    return _native.inline(as_json(value, key))


def as_toml(value: Any) -> str:
    """A dict as TOML; a bare name as the kind of what it names."""
    return _native.toml_of(as_json({"kind": value} if isinstance(value, str) else value, ""))


def as_json(value: Any, key: str) -> str:
    return json.dumps(plain(value, key), allow_nan=False)


def plain(value: Any, key: str) -> Any:
    """Python's and numpy's values as JSON has them; keys whose value is None are left out."""
    if isinstance(value, Mapping):
        below = (lambda k: f"{key}.{k}") if key else str
        return {str(k): plain(v, below(k)) for k, v in value.items() if v is not None}
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"{key or 'the spec'}: {value} is no setting; leave the key out instead", key or None)
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy, torch and jax alike
        return plain(value.tolist(), key)
    if isinstance(value, (list, tuple, range)):
        return [plain(v, f"{key}[{k}]") for k, v in enumerate(value)]
    raise SpecError(f"{key or 'the spec'}: a spec cannot hold a value of type {type(value).__name__}", key or None)

