"""What a sceptic has to trust: a few files, no network, nothing of the running node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from federation.cli.auditor import COMMANDS
from tests.architecture.doors import (
    AUDITOR,
    AUDITOR_LINES_MAX,
    AUDITOR_LINES_MAX_ELSE,
    auditor_commands,
    auditor_modules,
    find_auditor_trespasses,
)
from tests.architecture.planted import plant
from tests.architecture.sources import TREE

# Imports the program as its console script does, then says what of the network came along.
LOADED = f"""
import json, sys
import {AUDITOR}
network = ("socket", "ssl", "asyncio", "http.client", "urllib.request", "aiohttp")
print(json.dumps([name for name in network if name in sys.modules]))
"""


def loaded_network_modules(root: Path) -> list[str]:
    ran = subprocess.run(
        # -P and the explicit path: the tree at root, not the one that is installed.
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{LOADED}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded: list[str] = json.loads(ran.stdout)
    return loaded


def test_the_auditors_program_exists() -> None:
    assert AUDITOR in [module.name for module in auditor_modules(TREE)]


@pytest.mark.parametrize("command", auditor_commands(TREE))
def test_the_auditors_program_enters_only_its_rooms(command: str) -> None:
    assert [] == find_auditor_trespasses(TREE, command)


@pytest.mark.parametrize("command", auditor_commands(TREE))
def test_a_sceptic_can_read_all_that_a_command_runs(command: str) -> None:
    lines = {module.name: module.line_count for module in auditor_modules(TREE, command)}
    assert sum(lines.values()) <= AUDITOR_LINES_MAX.get(command, AUDITOR_LINES_MAX_ELSE), lines


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_loads_no_more_than_was_counted(command: str) -> None:
    run = f"import {AUDITOR}; {AUDITOR}.main([{command!r}, '--json'])"
    said = "import sys, json; print(json.dumps([m for m in sys.modules if m[:10] == 'federation']))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{run}\n{said}"],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert f"{AUDITOR}_{command}" in loaded
    assert set() == loaded - {module.name for module in auditor_modules(TREE, command)}


def test_the_programs_commands_are_the_ones_that_are_counted() -> None:
    # Beside them, the page that --html asks for.
    assert sorted([*COMMANDS, "html"]) == auditor_commands(TREE)


def test_no_network_code_is_loaded_with_it() -> None:
    assert [] == loaded_network_modules(TREE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import federation.store\n", "federation/store/__init__.py: not a room of the auditor's"),
        (
            "from federation.cli import operator\n",
            "federation/cli/operator.py: not a room of the auditor's",
        ),
        (
            "def later() -> None:\n    from federation.config import NodeConfig\n",
            "federation/config/__init__.py: not a room of the auditor's",
        ),
        ("import socket\n", "federation/cli/auditor.py:1: socket"),
        (
            "def later() -> None:\n    from http.client import HTTPSConnection\n",
            "federation/cli/auditor.py:2: http.client.HTTPSConnection",
        ),
        ("from urllib import request\n", "federation/cli/auditor.py:1: urllib.request"),
    ],
)
def test_a_planted_trespass_is_caught(tmp_path: Path, text: str, found: str) -> None:
    plant(
        tmp_path,
        {
            "federation/cli/auditor.py": text,
            "federation/cli/operator.py": "",
            "federation/cli/x.py": "",
        },
    )
    assert [found] == find_auditor_trespasses(tmp_path)


def test_a_trespass_behind_an_allowed_room_is_caught(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "federation/cli/auditor.py": "from federation.protocol.roster import read\n",
            "federation/protocol/roster.py": "def read() -> None:\n    import asyncio\n",
        },
    )
    found = "federation/protocol/roster.py:2: asyncio"
    assert [found] == find_auditor_trespasses(tmp_path)


def test_what_a_package_imports_on_the_way_counts(tmp_path: Path) -> None:
    plant(tmp_path, {"federation/cli/__init__.py": "import federation.net\n"})
    found = "federation/net/__init__.py: not a room of the auditor's"
    assert [found] == find_auditor_trespasses(tmp_path)


def test_the_lines_of_everything_reached_are_counted(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "federation/cli/auditor.py": "import federation.protocol.merkle\n",
            "federation/cli/auditor_steps.py": "\n" * 10,
            "federation/protocol/merkle.py": "\n" * 100,
            "federation/protocol/tiles.py": "\n" * 1000,
        },
    )
    # One line each: the program, federation/__init__, cli/__init__, protocol/__init__.
    assert 114 == sum(module.line_count for module in auditor_modules(tmp_path))


def test_what_another_command_runs_is_not_counted(tmp_path: Path) -> None:
    entering = "def room() -> None:\n    from federation.cli import auditor_a, auditor_b\n"
    plant(
        tmp_path,
        {
            "federation/cli/auditor.py": f"import federation.cli.auditor_telling\n{entering}",
            "federation/cli/auditor_telling.py": "\n" * 10,
            "federation/cli/auditor_a.py": "import federation.protocol.merkle\n",
            "federation/cli/auditor_b.py": "\n" * 100,
            "federation/protocol/merkle.py": "\n" * 1000,
        },
    )
    assert ["a", "b"] == auditor_commands(tmp_path)
    counts = [
        sum(module.line_count for module in auditor_modules(tmp_path, command))
        for command in ("a", "b")
    ]
    # The program has three lines, each of the three packages' own files one.
    assert [3 + 10 + 1 + 1000 + 3, 3 + 10 + 100 + 2] == counts


def test_a_socket_that_a_dependency_brings_along_is_caught(tmp_path: Path) -> None:
    files = {"federation/cli/auditor.py": "import xmlrpc.client\n"}
    assert {"socket", "http.client"} <= set(loaded_network_modules(plant(tmp_path, files)))
