"""A Python tree as the fences see it: parsed, never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
"""The root of this repository."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports, wherever in the module it does so."""

    target: str  # as far as the statement names it: "a.b.c" for both forms of import
    line: int


@dataclass(frozen=True)
class Module:
    """One source file."""

    root: Path
    path: Path  # relative to root

    @cached_property
    def text(self) -> str:
        return (self.root / self.path).read_text(encoding="utf-8")

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @property
    def name(self) -> str:
        parts = self.path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def line_count(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def imports(self) -> list[Import]:
        """All of them: at the top, inside functions, and under TYPE_CHECKING."""
        found = []
        for node in ast.walk(self.syntax):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                found += [Import(f"{origin}.{alias.name}", node.lineno) for alias in node.names]
        return found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        package = self.name.split(".")
        if not self.is_package:
            package = package[:-1]
        package = package[: len(package) - (node.level - 1)]
        return ".".join(package + ([node.module] if node.module else []))

    def at(self, line: int) -> str:
        return f"{self.path.as_posix()}:{line}"


@dataclass(frozen=True)
class Definition:
    """A class or function, with the names it is nested in."""

    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    parents: tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, ...]

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def dotted(self) -> str:
        return ".".join(node.name for node in (*self.parents, self.node))

    @property
    def is_public(self) -> bool:
        """Reachable from outside under names without an underscore, and not inside a function."""
        inside_function = any(not isinstance(node, ast.ClassDef) for node in self.parents)
        return not inside_function and not any(
            node.name.startswith("_") for node in (*self.parents, self.node)
        )


def modules_of(root: Path, *folders: str) -> list[Module]:
    """Every module below the folders of root that exist, in the order of their paths."""
    return [
        Module(root, path.relative_to(root))
        for folder in folders
        for path in sorted((root / folder).rglob("*.py"))
    ]


def definitions_of(module: Module) -> Iterator[Definition]:
    """Every class and function of the module, outer ones first."""
    yield from _definitions(module.syntax, ())


def _definitions(
    node: ast.AST, parents: tuple[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, ...]
) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield Definition(child, parents)
            yield from _definitions(child, (*parents, child))
        else:
            yield from _definitions(child, parents)


def graph_of(modules: list[Module]) -> dict[str, set[str]]:
    """Module name to the names of the modules it imports, among the given ones.

    ``from a.b import c`` means the module ``a.b.c`` where there is one, else the module ``a.b``.
    That Python runs ``a/__init__.py`` on the way is no edge: nobody chose it.
    """
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for module in modules:
        for imported in module.imports:
            target = imported.target
            while target and target not in names:
                target = target.rpartition(".")[0]
            if target and target != module.name:
                graph[module.name].add(target)
    return graph
