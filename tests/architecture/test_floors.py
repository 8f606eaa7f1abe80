"""Imports go downward, rooms beside each other stay shut, the pure floors stay pure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.doors import find_circles, find_impurities
from tests.architecture.planted import plant
from tests.architecture.sources import TREE


def lint_imports(root: Path) -> tuple[bool, str]:
    """Whether import-linter finds the contracts of pyproject.toml kept, and what it says."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode == 0, ran.stdout + ran.stderr


def test_contracts_are_kept() -> None:
    kept, said = lint_imports(TREE)
    assert kept, said


def test_an_empty_house_keeps_the_contracts(tmp_path: Path) -> None:
    kept, said = lint_imports(plant(tmp_path))
    assert kept, said


@pytest.mark.parametrize(
    ("path", "text", "broken"),
    [
        ("protocol/keys.py", "import federation.provenance\n", "Imports go downward"),
        ("errors.py", "from federation.protocol import limits\n", "Imports go downward"),
        ("daemon/node.py", "import federation.web\n", "Imports go downward"),
        ("gossip/engine.py", "import federation.store\n", "Imports go downward"),
        ("net/link.py", "import federation.config\n", "Imports go downward"),
        (
            "media/pictures.py",
            "def later() -> None:\n    import federation.matching\n",
            "Imports go downward",
        ),
        ("attic/__init__.py", "", "Imports go downward"),
        ("gossip/engine.py", "import time\n", "The pure floors stay pure"),
        ("gossip/engine.py", "from random import Random\n", "The pure floors stay pure"),
        ("protocol/tiles.py", "import os.path\n", "The pure floors stay pure"),
        (
            "matching/nearest.py",
            "def later() -> None:\n    from pathlib import Path\n",
            "The pure floors stay pure",
        ),
        (
            "provenance/verifier.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio\n",
            "The pure floors stay pure",
        ),
        (
            "cli/auditor.py",
            "import federation.store\n",
            "The auditor's program knows only what is said and what may be believed",
        ),
    ],
)
def test_a_planted_import_breaks_a_contract(
    tmp_path: Path, path: str, text: str, broken: str
) -> None:
    files = {f"federation/{path}": text}
    if "limits" in text:
        files["federation/protocol/limits.py"] = ""
    kept, said = lint_imports(plant(tmp_path, files))
    assert not kept
    assert f"{broken} BROKEN" in " ".join(said.split())


def test_what_a_dependency_imports_inside_itself_is_not_held_against_a_pure_floor(
    tmp_path: Path,
) -> None:
    files = {"federation/matching/nearest.py": "import numba\nimport numpy\n"}
    kept, said = lint_imports(plant(tmp_path, files))
    assert kept, said


def test_pure_floors_reach_for_no_clock_dice_or_file_by_another_way() -> None:
    assert [] == find_impurities(TREE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("KEY = open('key').read()\n", "open"),
        ("print('hello')\n", "print"),
        ("import datetime\nNOW = datetime.datetime.now(datetime.UTC)\n", "datetime.now"),
        ("from datetime import UTC, datetime\nNOW = datetime.now(UTC)\n", "datetime.now"),
        ("import numpy as np\nDICE = np.random.default_rng()\n", "np.random"),
        ("from numpy.random import default_rng\n", "numpy.random.default_rng"),
    ],
)
def test_a_planted_clock_die_or_file_is_caught(tmp_path: Path, text: str, found: str) -> None:
    plant(tmp_path, {"federation/gossip/engine.py": text})
    findings = find_impurities(tmp_path)
    assert [f"federation/gossip/engine.py:{len(text.splitlines())}: {found}"] == findings


def test_a_floor_that_is_not_pure_may_open_files(tmp_path: Path) -> None:
    assert [] == find_impurities(plant(tmp_path, {"federation/store/guard.py": "open('head')\n"}))


def test_no_module_imports_itself_by_a_detour() -> None:
    assert [] == find_circles(TREE)


def test_a_planted_circle_is_caught_even_where_it_is_lazy(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "federation/store/a.py": "from federation.store import b\n",
            "federation/store/b.py": "from .c import name\n",
            "federation/store/c.py": (
                "def name() -> None:\n    from federation.store.a import b\n"
            ),
            "federation/store/d.py": "import federation.store.a\n",
        },
    )
    circle = "federation.store.a <-> federation.store.b <-> federation.store.c"
    assert [circle] == find_circles(tmp_path)


def test_a_package_that_gathers_its_modules_is_no_circle(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "federation/store/__init__.py": "from federation.store.a import A\n",
            "federation/store/a.py": "from federation.store import b\nA = b\n",
            "federation/store/b.py": "",
        },
    )
    assert [] == find_circles(tmp_path)
