"""The Python programs of the book run: every page is one program, its blocks in order.

A block of `python full` needs packages beside numpy, and is run where they are.
"""

import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[3] / "docs" / "book" / "src"
FENCED = re.compile(r"^```(python(?: full)?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = {page.name: FENCED.findall(page.read_text(encoding="utf-8")) for page in sorted(BOOK.glob("*.md"))}


def program(page, kinds):
    return "\n".join(text for kind, text in PAGES[page] if kind in kinds)


@pytest.mark.parametrize("page", [name for name, blocks in PAGES.items() if any(kind == "python" for kind, _ in blocks)])
def test_the_programs_of(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(program(page, {"python"}), page, "exec"), {"__name__": page})


@pytest.mark.full
@pytest.mark.parametrize("page", [name for name, blocks in PAGES.items() if any(kind != "python" for kind, _ in blocks)])
def test_all_programs_of(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(program(page, {"python", "python full"}), page, "exec"), {"__name__": page})
