"""One door per dependency, and what pure floors and the auditor's program may not reach for."""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from tests.architecture.sources import Module, graph_of, modules_of

# Where a dependency may be imported, as patterns over paths below federation/ (* crosses folders).
# A dependency without a line here may be imported nowhere.
DOORS: dict[str, tuple[str, ...]] = {
    "PIL": ("media/*",),
    "av": ("media/*",),
    "aiohttp": ("net/*", "web/*", "cli/client.py"),
    "aiosqlite": ("store/*",),
    "cryptography": ("protocol/keys*.py", "net/*"),
    "http_message_signatures": ("net/*",),
    "llvmlite": ("matching/*",),
    "msgpack": ("protocol/encoding*.py",),
    "numba": ("matching/*",),
    "numpy": ("matching/*", "media/*"),
    "pdqhash": ("media/*",),
    "pydantic": ("config/*", "web/*"),
    "pypdf": ("media/*",),
    "rich": ("cli/*",),
    "securesystemslib": ("protocol/roster*.py",),
    "sqlite3": ("store/*",),
    "standardwebhooks": ("net/webhook_link.py",),
    "tlsh": ("media/*",),
    "tuf": ("protocol/roster*.py",),
    "typer": ("cli/*",),
    "yarl": ("media/*", "net/hops.py", "net/webhook_link.py"),
}

PURE_FLOORS = (
    "errors.py",
    "local_errors/*",
    "protocol/*",
    "provenance/*",
    "gossip/*",
    "matching/*",
)

# Clocks, dice and files that are reached without importing a module that the contract forbids.
IMPURE_BUILTINS = frozenset({"breakpoint", "input", "open", "print"})
IMPURE_METHODS = frozenset({("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today")})
IMPURE_MODULES = ("numpy.random",)

AUDITOR = "federation.cli.auditor"
# Where the program enters a command's room only when it is asked for.
AUDITOR_DOORS = (AUDITOR, f"{AUDITOR}_rooms")
# Rooms of ours that the auditor's program may enter; in cli/ its own files and the exit codes.
AUDITOR_ROOMS = (
    "federation",
    "federation.cli",
    "federation.cli.auditor*",
    "federation.cli.exits",
    "federation.errors",
    "federation.protocol*",
    "federation.provenance*",
)
# Beside them, for the commands that judge more than a bundle.
AUDITOR_ERROR_ROOMS = (
    "federation.local_errors",
    "federation.local_errors.content",
    "federation.local_errors.proofs",
)
# What a sceptic must read before he can trust a verdict, all of it: on a bundle, and of the other
# commands, which judge more and read more of the formats.
AUDITOR_LINES_MAX = {"bundle": 4_000}
AUDITOR_LINES_MAX_ELSE = 5_500
NETWORK_MODULES = (
    "aiohttp",
    "asyncio",
    "ftplib",
    "http.client",
    "http.server",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "urllib.request",
    "urllib3",
    "xmlrpc",
)


def _is_within(target: str, names: tuple[str, ...]) -> bool:
    return any(target == name or target.startswith(name + ".") for name in names)


def _below_federation(module: Module) -> str:
    return module.path.relative_to("federation").as_posix()


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def find_side_entrances(root: Path) -> list[str]:
    """Imports of a dependency elsewhere than at its door, and of dependencies without a door."""
    findings = []
    for module in modules_of(root, "federation"):
        path = _below_federation(module)
        for imported in module.imports:
            package = imported.target.partition(".")[0]
            if package in DOORS:
                if not _matches(path, DOORS[package]):
                    findings.append(f"{module.at(imported.line)}: {package} has its door elsewhere")
            elif package != "federation" and package not in sys.stdlib_module_names:
                findings.append(f"{module.at(imported.line)}: {package} has no door")
    return findings


def find_dynamic_imports(root: Path) -> list[str]:
    """Imports by a computed name, which no fence could follow."""
    findings = []
    for module in modules_of(root, "federation"):
        findings += [
            f"{module.at(imported.line)}: {imported.target}"
            for imported in module.imports
            if _is_within(imported.target, ("importlib", "pkgutil", "runpy"))
            and not _is_within(imported.target, ("importlib.metadata", "importlib.resources"))
        ]
        findings += [
            f"{module.at(node.lineno)}: {node.id}"
            for node in ast.walk(module.syntax)
            if isinstance(node, ast.Name) and node.id in {"__import__", "eval", "exec"}
        ]
    return findings


def find_impurities(root: Path) -> list[str]:
    """Clocks, dice and files in a pure floor that need no forbidden import."""
    findings = []
    for module in modules_of(root, "federation"):
        if not _matches(_below_federation(module), PURE_FLOORS):
            continue
        findings += [
            f"{module.at(imported.line)}: {imported.target}"
            for imported in module.imports
            if _is_within(imported.target, IMPURE_MODULES)
        ]
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS:
                findings.append(f"{module.at(node.lineno)}: {node.id}")
            elif isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value).rpartition(".")[2]
                if (owner, node.attr) in IMPURE_METHODS:
                    findings.append(f"{module.at(node.lineno)}: {owner}.{node.attr}")
                elif ast.unparse(node) in {"np.random", "numpy.random"}:
                    findings.append(f"{module.at(node.lineno)}: {ast.unparse(node)}")
    return findings


def auditor_commands(root: Path) -> list[str]:
    """What the program enters a room of its own for: ``bundle`` for ``auditor_bundle``."""
    _, graph = _house(root)
    entered = {
        name
        for door in AUDITOR_DOORS
        for name in graph.get(door, set()) - _entered_at_once(root, door)
        if name.startswith(f"{AUDITOR}_") and name not in AUDITOR_DOORS
    }
    return sorted(name.removeprefix(f"{AUDITOR}_") for name in entered)


def auditor_modules(root: Path, command: str | None = None) -> list[Module]:
    """Everything of ours that the auditor's program runs, packages' own files included.

    With a command, what that command runs: the program enters no other command's room then.
    """
    modules, whole = _house(root)
    graph = dict(whole)
    waiting = [name for name in modules if fnmatchcase(name, AUDITOR + "*")]
    if command is not None:
        waiting = [AUDITOR, f"{AUDITOR}_{command}"]
        if waiting[1] not in graph[AUDITOR]:
            waiting += AUDITOR_DOORS
        for door in AUDITOR_DOORS:
            graph[door] = _entered_at_once(root, door)
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        parents = [package for package in modules if name.startswith(package + ".")]
        waiting += [*graph[name], *parents]
    return [modules[name] for name in sorted(reached)]


def _entered_at_once(root: Path, door: str) -> set[str]:
    """What a file imports at its top, and not within a function."""
    named, graph = _house(root)
    if door not in named:
        return set()
    lines = {
        node.lineno
        for node in named[door].syntax.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    targets = [imported.target for imported in named[door].imports if imported.line in lines]
    parents = {target.rpartition(".")[0] for target in targets}
    return graph[door] & (set(targets) | parents)


@lru_cache(maxsize=2)  # parsing the whole house takes a second
def _house(root: Path) -> tuple[dict[str, Module], dict[str, set[str]]]:
    modules = {module.name: module for module in modules_of(root, "federation")}
    return modules, graph_of(list(modules.values()))


def find_auditor_trespasses(root: Path, command: str | None = None) -> list[str]:
    """Rooms and network modules that the auditor's program reaches, at once or lazily."""
    findings = []
    # What judges a bundle is the smallest, and does not know the errors that only nodes meet.
    judges_more = command not in {None, "bundle"}
    rooms = (*AUDITOR_ROOMS, *AUDITOR_ERROR_ROOMS) if judges_more else AUDITOR_ROOMS
    for module in auditor_modules(root, command):
        if not _matches(module.name, rooms):
            findings.append(f"{module.path.as_posix()}: not a room of the auditor's")
        findings += [
            f"{module.at(imported.line)}: {imported.target}"
            for imported in module.imports
            if _is_within(imported.target, NETWORK_MODULES)
        ]
    return findings


def find_circles(root: Path) -> list[str]:
    """Groups of modules each of which imports, by some way, all the others."""
    graph = graph_of(modules_of(root, "federation"))
    reach = {name: _reachable(graph, name) for name in graph}
    circles = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in graph
        if name in reach[name]
    }
    return [" <-> ".join(circle) for circle in sorted(circles)]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    return reached
