"""Every example of a docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

import latephase

#: Modules whose examples need more than numpy; their own tests run them.
OTHERS = {"torch", "jax"}
MODULES = ["latephase"] + [
    f"latephase.{m.name}" for m in pkgutil.iter_modules(latephase.__path__) if m.name not in OTHERS | {"_native"}
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
