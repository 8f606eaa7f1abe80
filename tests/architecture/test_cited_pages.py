"""What a docstring names as its source is in this tree: a reader finds the page that it cites."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.planted import plant
from tests.architecture.sources import TREE

CITATION = re.compile(r"Source: (.*?)(?:\n\s*\n|\Z)", re.DOTALL)
PAGE = re.compile(r"\b(?:docs|tests|federation)/[\w./-]*\w")
NO_PAGE = re.compile(r"PROTOCOL (?:section|\d|\u00a7)")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def find_missing_pages(root: Path) -> list[str]:
    """``file: page`` for each page cited after "Source:" in a docstring that is not there."""
    findings = []
    for path in sorted((root / "federation").rglob("*.py")):
        where = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            for cited in CITATION.findall(text or ""):
                pages = PAGE.findall(cited) + NO_PAGE.findall(cited)
                findings += [f"{where}: {page}" for page in pages if not (root / page).exists()]
    return findings


def test_every_page_that_is_cited_as_a_source_exists() -> None:
    assert [] == find_missing_pages(TREE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("docs/spec/lost.md.", ["federation/x.py: docs/spec/lost.md"]),
        ("docs/spec/here.md; docs/adr/0099-lost.md", ["federation/x.py: docs/adr/0099-lost.md"]),
        ("PROTOCOL section 5.", ["federation/x.py: PROTOCOL section"]),
        ("docs/spec/here.md, where the steps are numbered; TUF 5.3.", []),
    ],
)
def test_a_planted_citation_of_nothing_is_caught(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    files = {"federation/x.py": f'"""Words.\n\nSource: {text}\n"""\n', "docs/spec/here.md": ""}
    assert found == find_missing_pages(plant(tmp_path, files))
