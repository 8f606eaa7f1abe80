"""What a sceptic has to trust: a few files, no network, nothing of the running node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.doors import (
    AUDITOR,
    AUDITOR_LINES_MAX,
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


def test_the_auditors_program_enters_only_its_rooms() -> None:
    assert [] == find_auditor_trespasses(TREE)


def test_a_sceptic_can_read_all_of_it() -> None:
    lines = {module.name: module.line_count for module in auditor_modules(TREE)}
    assert sum(lines.values()) <= AUDITOR_LINES_MAX, lines


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


def test_a_socket_that_a_dependency_brings_along_is_caught(tmp_path: Path) -> None:
    files = {"federation/cli/auditor.py": "import xmlrpc.client\n"}
    assert {"socket", "http.client"} <= set(loaded_network_modules(plant(tmp_path, files)))
