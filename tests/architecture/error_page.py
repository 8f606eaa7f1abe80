"""docs/reference/errors.md, written from the files that hold all errors: ``make docs``."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.sources import TREE

TRUNK = Path("federation/errors.py")
BRANCHES = Path("federation/local_errors")
PAGE = Path("docs/reference/errors.md")

INTRODUCTION = """\
# Errors

Written by `make docs` from `federation/errors.py` and `federation/local_errors/`; a test holds
them together.

Every error has a **code** that programs may rely on: it never changes its meaning, and it is the
same in the local API's problem documents (`code`), in the terminal's `--json` and in log lines.
The sentence beside it is for people and may change. No error text contains a signal value, content,
or an uploader's reference.

The sections answer the first question: whose fault is it?
"""


@dataclass(frozen=True)
class ErrorClass:
    """One class of the tree, as its file has it; ``code`` and ``hint`` are its own, or None."""

    name: str
    parent: str
    docstring: str
    code: str | None
    hint: str | None


def errors_of(root: Path) -> list[ErrorClass]:
    """The classes of root's error files, in the order they stand there."""
    return [
        ErrorClass(
            name=node.name,
            parent=ast.unparse(node.bases[0]),
            docstring=ast.get_docstring(node) or "",
            code=_own(node, "code"),
            hint=_own(node, "default_hint"),
        )
        for file in (root / TRUNK, *sorted((root / BRANCHES).glob("*.py")))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    ]


def _own(node: ast.ClassDef, name: str) -> str | None:
    """The text that the class itself gives that attribute."""
    for part in node.body:
        targets = part.targets if isinstance(part, ast.Assign) else []
        if isinstance(part, ast.AnnAssign):
            targets = [part.target]
        if [name] == [ast.unparse(target) for target in targets]:
            assert isinstance(part, ast.Assign | ast.AnnAssign)
            found = ast.literal_eval(part.value) if part.value else None
            return None if found is None else str(found)
    return None


def find_bad_codes(root: Path) -> list[str]:
    """Codes that are missing, inherited, shared, or not kebab-case."""
    errors = errors_of(root)
    uses = Counter(error.code for error in errors)
    findings = []
    for error in errors:
        if error.code is None:
            findings.append(f"{error.name} has no code of its own")
        elif not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", error.code):
            findings.append(f"{error.name}: {error.code!r} is not kebab-case")
        elif uses[error.code] > 1:
            findings.append(f"{error.name}: {error.code!r} is another's too")
    return findings


def render(root: Path) -> str:
    """The page as it should be."""
    errors = errors_of(root)
    parents = {error.name: error.parent for error in errors}
    tree = errors[0].name
    parts = [INTRODUCTION]
    for branch in [error for error in errors if error.parent == tree]:
        leaves = [error for error in errors if branch.name in _above(error.name, parents)]
        parts.append(f"\n## {branch.name} (`{branch.code}`)\n\n{_meaning(branch)}\n")
        if leaves:
            parts.append("\n| code | what it means | what to do |\n|---|---|---|\n")
            parts += [f"| `{leaf.code}` | {_meaning(leaf)} | {_hint(leaf)} |\n" for leaf in leaves]
    return "".join(parts)


def _above(name: str, parents: dict[str, str]) -> set[str]:
    above = set()
    while name in parents:
        name = parents[name]
        above.add(name)
    return above


def _meaning(error: ErrorClass) -> str:
    paragraph = inspect.cleandoc(error.docstring).partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("``", "`").replace("|", "\\|")


def _hint(error: ErrorClass) -> str:
    return (error.hint or "").replace("|", "\\|")


def write(root: Path) -> None:
    """Write the page below root."""
    (root / PAGE).parent.mkdir(parents=True, exist_ok=True)
    (root / PAGE).write_text(render(root), encoding="utf-8")


if __name__ == "__main__":
    write(TREE)
