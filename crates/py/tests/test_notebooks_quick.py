"""The notebooks that need numpy alone run in their short form, cell after cell; `full/` runs all of them in a kernel."""

import json
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "notebooks"


def cells(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


@pytest.fixture
def without_pictures(monkeypatch):
    """What is drawn is not under test, and the package does not need matplotlib."""
    pyplot = ModuleType("matplotlib.pyplot")
    pyplot.subplots = lambda rows, columns, **_: (MagicMock(), [MagicMock() for _ in range(rows * columns)])
    pyplot.show = lambda: None
    matplotlib = ModuleType("matplotlib")
    matplotlib.pyplot = pyplot
    monkeypatch.setitem(sys.modules, "matplotlib", matplotlib)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_runs(path, tmp_path, monkeypatch, without_pictures):
    sources = list(cells(path))
    assert sources
    if any("import torch" in source for source in sources):
        pytest.skip("needs PyTorch: scripts/check-full runs it")
    monkeypatch.setenv("LATEPHASE_QUICK", "1")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for k, source in enumerate(sources):
        exec(compile(source, f"{path.name}, cell {k}", "exec"), names)
