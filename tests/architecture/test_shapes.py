"""Length, names and docstrings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.planted import plant
from tests.architecture.shapes import (
    FUNCTION_LINES_MAX,
    MODULE_LINES_MAX,
    find_forbidden_names,
    find_long_functions,
    find_long_modules,
    find_silent_raises,
    find_undocumented,
    forbidden_in,
)
from tests.architecture.sources import TREE


def test_functions_fit_on_a_screen() -> None:
    assert [] == find_long_functions(TREE, "federation", "benchmarks", "tests")


def test_modules_are_one_room_each() -> None:
    assert [] == find_long_modules(TREE, "federation", "benchmarks")


def test_names_say_what_a_thing_is() -> None:
    assert [] == find_forbidden_names(TREE, "federation", "benchmarks", "tests")


def test_everything_public_is_documented() -> None:
    assert [] == find_undocumented(TREE, "federation")


def test_docstrings_say_what_is_raised() -> None:
    rooms = (TREE / "federation").iterdir()
    # A command's docstring is its --help text; what it raises is an exit code there.
    folders = [f"federation/{room.name}" for room in rooms if room.is_dir() and room.name != "cli"]
    assert [] == find_silent_raises(TREE, *sorted(folders))


def function_of(lines: int, head: str = "def long() -> None:") -> str:
    return f'{head}\n    """Long."""\n' + "    pass\n" * (lines - 2)


@pytest.mark.parametrize("head", ["def long() -> None:", "async def long() -> None:"])
def test_a_planted_long_function_is_caught(tmp_path: Path, head: str) -> None:
    files = {
        "federation/daemon/short.py": function_of(FUNCTION_LINES_MAX, head),
        "federation/daemon/long.py": function_of(FUNCTION_LINES_MAX + 1, head),
    }
    found = "federation/daemon/long.py:1: long has 61 lines"
    assert [found] == find_long_functions(plant(tmp_path, files), "federation")


def test_a_planted_long_method_and_inner_function_are_caught(tmp_path: Path) -> None:
    inner = "".join(f"        {line}\n" for line in function_of(70).splitlines())
    text = f"class Node:\n    def start(self) -> None:\n{inner}"
    plant(tmp_path, {"federation/daemon/node.py": text})
    assert [
        "federation/daemon/node.py:2: Node.start has 71 lines",
        "federation/daemon/node.py:3: Node.start.long has 70 lines",
    ] == find_long_functions(tmp_path, "federation")


def test_a_planted_long_module_is_caught(tmp_path: Path) -> None:
    files = {
        "federation/daemon/short.py": "\n" * MODULE_LINES_MAX,
        "federation/daemon/long.py": "\n" * (MODULE_LINES_MAX + 1),
        "federation/errors.py": "\n" * (MODULE_LINES_MAX + 1),
    }
    found = ["federation/daemon/long.py: 421 lines", "federation/errors.py: 421 lines"]
    assert found == find_long_modules(plant(tmp_path, files), "federation")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("PeerManager", ["manager"]),
        ("HTTPHandler", ["handler"]),
        ("_on_match_record", ["record"]),
        ("encode_data", ["data"]),
        ("utils", ["utils"]),
        ("hash", ["hash"]),
        ("delete_statement", ["delete"]),
        ("item_data_id", ["item", "data"]),
        ("root_hash", []),
        ("database", []),
        ("handle", []),
        ("__hash__", []),
        ("DataDirectoryForeign", []),
        ("check_item_id", []),
        ("is_blocked", []),
    ],
)
def test_forbidden_words_are_told_from_words_that_contain_them(name: str, found: list[str]) -> None:
    assert found == forbidden_in(name)


def test_planted_names_are_caught(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "federation/store/helpers.py": "",
            "federation/core/__init__.py": "",
            "federation/net/link.py": (
                "class LinkManager:\n"
                "    def get_info(self, hash: bytes) -> None:\n"
                "        self.hash = hash\n"
            ),
            "tests/test_names.py": "def test_block_is_the_verdict() -> None: ...\n",
        },
    )
    assert [
        "federation/core/__init__.py: core",
        "federation/net/link.py:1: LinkManager: manager",
        "federation/net/link.py:2: LinkManager.get_info: info",
        "federation/net/link.py:2: hash",
        "federation/net/link.py:3: hash",
        "federation/store/helpers.py: helpers",
    ] == find_forbidden_names(tmp_path, "federation", "tests")


def test_planted_silence_is_caught(tmp_path: Path) -> None:
    text = (
        "from typing import overload\n"
        "class Node:\n"
        "    def start(self) -> None: ...\n"
        "    def _turn(self) -> None: ...\n"
        "    def __eq__(self, other: object) -> bool: ...\n"
        "    @property\n"
        "    def at(self) -> int: ...\n"
        "    @at.setter\n"
        "    def at(self, value: int) -> None: ...\n"
        "def serve() -> None:\n"
        "    def inner() -> None: ...\n"
        "class _Hidden:\n"
        "    def start(self) -> None: ...\n"
    )
    plant(tmp_path, {"federation/daemon/node.py": text})
    assert [
        "federation/daemon/node.py:1: the module",
        "federation/daemon/node.py:2: Node",
        "federation/daemon/node.py:3: Node.start",
        "federation/daemon/node.py:7: Node.at",
        "federation/daemon/node.py:10: serve",
    ] == find_undocumented(tmp_path, "federation")


def test_a_planted_silent_raise_is_caught(tmp_path: Path) -> None:
    text = (
        "from federation import errors\n"
        "def silent() -> None:\n"
        '    """Reads."""\n'
        "    if True:\n"
        "        raise errors.TooLarge('x')\n"
        "def told() -> None:\n"
        '    """Reads.\n\n    Raises:\n        TooLarge: over the limit.\n    """\n'
        "    raise errors.TooLarge('x')\n"
        "def passes_on() -> None:\n"
        '    """Reads."""\n'
        "    try:\n"
        "        told()\n"
        "    except ValueError:\n"
        "        raise\n"
        "def _private() -> None:\n"
        "    raise errors.TooLarge('x')\n"
    )
    plant(tmp_path, {"federation/store/log_store.py": text})
    found = "federation/store/log_store.py:2: silent: TooLarge"
    assert [found] == find_silent_raises(tmp_path, "federation")
