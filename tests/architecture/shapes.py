"""How long things may be, what they may be called, and what they must say of themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import Definition, Module, definitions_of, modules_of

# About a screen; a longer function is cut by what it does, never by "helpers".
FUNCTION_LINES_MAX = 60
# About an evening's reading; a longer module is two rooms.
MODULE_LINES_MAX = 420

# Words that say nothing of what a thing is, each with the forms it hides in. See CONTRIBUTING.md.
FORBIDDEN_WORDS = frozenset(
    {
        "manager",
        "managers",
        "handler",
        "handlers",
        "service",
        "services",
        "helper",
        "helpers",
        "util",
        "utils",
        "processor",
        "processors",
        "common",
        "core",
        "cores",
        "base",
        "bases",
        "data",
        "info",
        "infos",
        "item",
        "items",
        "record",
        "records",
        "block",
        "blocks",
        "delete",
        "deletes",
    }
)
# Terms of the field that happen to contain one of them.
TERMS = (
    ("data", "directory"),  # the operator's: where a node keeps its files
    ("item", "id"),  # a field of the confirm statement, docs/spec/bodies.md
)
# Of what? root_hash, leaf_hash, digest.
FORBIDDEN_NAMES = frozenset({"hash"})


def words_of(name: str) -> list[str]:
    """The words of a name in snake_case, CamelCase or both, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return [word for word in spaced.lower().split("_") if word]


def forbidden_in(name: str) -> list[str]:
    """What in the name is not said in this house."""
    if name.startswith("__") and name.endswith("__"):
        return []  # Python's own: __hash__, __delete__
    words = words_of(name)
    if words and len(words) == 1 and words[0] in FORBIDDEN_NAMES:
        return words
    spared = {
        place
        for term in TERMS
        for start in range(len(words) - len(term) + 1)
        if tuple(words[start : start + len(term)]) == term
        for place in range(start, start + len(term))
    }
    return [
        word for place, word in enumerate(words) if word in FORBIDDEN_WORDS and place not in spared
    ]


def find_long_functions(root: Path, *folders: str) -> list[str]:
    """Functions over the limit, every line counted from ``def`` to the last."""
    return [
        f"{module.at(node.lineno)}: {definition.dotted} has {lines} lines"
        for module in modules_of(root, *folders)
        for definition in definitions_of(module)
        if not isinstance(node := definition.node, ast.ClassDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def find_long_modules(root: Path, *folders: str) -> list[str]:
    """Modules over the limit."""
    return [
        f"{module.path.as_posix()}: {module.line_count} lines"
        for module in modules_of(root, *folders)
        if module.line_count > MODULE_LINES_MAX
    ]


def find_forbidden_names(root: Path, *folders: str) -> list[str]:
    """Files, folders, classes, functions and variables named by a word that says nothing.

    A test's name is a sentence, in which any word may stand; variables are held only to saying of
    what they are a hash.
    """
    findings = []
    for module in modules_of(root, *folders):
        for part in module.path.with_suffix("").parts:
            findings += [f"{module.path.as_posix()}: {word}" for word in forbidden_in(part)]
        for definition in definitions_of(module):
            name = definition.node.name
            if name.startswith("test_"):
                continue
            findings += [
                f"{module.at(definition.node.lineno)}: {definition.dotted}: {word}"
                for word in forbidden_in(name)
            ]
        findings += [
            f"{module.at(line)}: {name}"
            for name, line in _bound_names(module)
            if name in FORBIDDEN_NAMES
        ]
    return sorted(set(findings))


def _bound_names(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def find_undocumented(root: Path, *folders: str) -> list[str]:
    """Public modules, classes, functions and methods without a docstring."""
    findings = []
    for module in modules_of(root, *folders):
        if ast.get_docstring(module.syntax) is None:
            findings.append(f"{module.at(1)}: the module")
        findings += [
            f"{module.at(definition.node.lineno)}: {definition.dotted}"
            for definition in definitions_of(module)
            if definition.is_public
            and not _is_spared(definition)
            and ast.get_docstring(definition.node) is None
        ]
    return findings


def _is_spared(definition: Definition) -> bool:
    """Documented elsewhere: at the getter, at the implementation, or in the class above."""
    if isinstance(definition.node, ast.ClassDef):
        return False
    decorators = {
        ast.unparse(decorator).rpartition(".")[2] for decorator in definition.node.decorator_list
    }
    return bool(decorators & {"setter", "overload", "override"})


def find_silent_raises(root: Path, *folders: str) -> list[str]:
    """Public functions that raise one of our errors and whose docstring has no ``Raises:``."""
    findings = []
    for module in modules_of(root, *folders):
        for definition in definitions_of(module):
            if isinstance(definition.node, ast.ClassDef) or not definition.is_public:
                continue
            docstring = ast.get_docstring(definition.node) or ""
            raised = sorted(_raised_in(definition.node))
            if raised and "Raises:" not in docstring:
                findings.append(
                    f"{module.at(definition.node.lineno)}: {definition.dotted}: {', '.join(raised)}"
                )
    return findings


def _raised_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The classes that the function's own statements raise; an exception passed on is not one."""
    raised = set()
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if name[:1].isupper() and name not in {"Exit", "SystemExit"}:
                raised.add(name)
        waiting += ast.iter_child_nodes(node)
    return raised
