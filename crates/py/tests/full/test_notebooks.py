"""The notebooks run in their short form, from a clean directory."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.full

FOLDER = Path(__file__).resolve().parents[4] / "examples" / "notebooks"
#: What a notebook imports beside latephase, numpy and matplotlib.
NEEDS = {"audit_my_torch_network.ipynb": ["torch"]}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_runs(path, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for name in ["ipykernel", "matplotlib", *NEEDS.get(path.name, [])]:
        pytest.importorskip(name)
    monkeypatch.setenv("LATEPHASE_QUICK", "1")
    book = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_is_small(path):
    assert path.stat().st_size < 300_000
