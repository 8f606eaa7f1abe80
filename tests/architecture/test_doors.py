"""Each dependency has one door, and none is entered by a name computed at run time."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.architecture.doors import DOORS, find_dynamic_imports, find_side_entrances
from tests.architecture.planted import plant
from tests.architecture.sources import TREE

# Distribution name to import name, where they differ.
IMPORT_NAMES = {
    "http-message-signatures": "http_message_signatures",
    "pillow": "PIL",
    "py-tlsh": "tlsh",
}


def test_each_dependency_is_imported_at_its_door_only() -> None:
    assert [] == find_side_entrances(TREE)


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("protocol/headers.py", "import msgpack\n", "msgpack has its door elsewhere"),
        ("daemon/prover.py", "import sqlite3\n", "sqlite3 has its door elsewhere"),
        ("daemon/node.py", "from aiohttp import web\n", "aiohttp has its door elsewhere"),
        ("cli/operator.py", "import aiohttp\n", "aiohttp has its door elsewhere"),
        (
            "protocol/merkle.py",
            "from cryptography.hazmat.primitives import hashes\n",
            "cryptography has its door elsewhere",
        ),
        ("provenance/verifier.py", "import tuf.api.metadata\n", "tuf has its door elsewhere"),
        ("store/index.py", "import numpy as np\n", "numpy has its door elsewhere"),
        ("media/pictures.py", "import numba\n", "numba has its door elsewhere"),
        ("net/link.py", "import requests\n", "requests has no door"),
        ("web/app.py", "import yaml.nodes\n", "yaml has no door"),
    ],
)
def test_a_planted_side_entrance_is_caught(
    tmp_path: Path, path: str, text: str, found: str
) -> None:
    plant(tmp_path, {f"federation/{path}": text})
    assert [f"federation/{path}:1: {found}"] == find_side_entrances(tmp_path)


def test_the_doors_themselves_are_open(tmp_path: Path) -> None:
    doors = {
        "protocol/encoding.py": "import msgpack\n",
        "protocol/keys.py": "from cryptography import exceptions\n",
        "protocol/roster.py": "import tuf.api.metadata\n",
        "protocol/roster_chain.py": "import securesystemslib.signer\n",
        "cli/client.py": "import aiohttp\n",
        "config/settings.py": "import pydantic\n",
        "web/schemas.py": "import pydantic\n",
        "media/pictures.py": "import numpy\nimport PIL.Image\nimport pdqhash\n",
        "store/deep/down.py": "import aiosqlite\n",
    }
    plant(tmp_path, {f"federation/{path}": text for path, text in doors.items()})
    assert [] == find_side_entrances(tmp_path)


def test_every_declared_dependency_has_a_door() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {
        requirement.partition(">=")[0].partition("[")[0] for requirement in project["dependencies"]
    }
    assert {IMPORT_NAMES.get(name, name) for name in names} | {"sqlite3"} == set(DOORS)


def test_no_module_is_imported_by_a_computed_name() -> None:
    assert [] == find_dynamic_imports(TREE)


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nweb = importlib.import_module('aio' + 'http')\n",
        "from importlib import import_module\n",
        "from importlib.util import spec_from_file_location\n",
        "web = __import__('aio' + 'http')\n",
        "exec('import aiohttp')\n",
        "import runpy\n",
    ],
)
def test_a_planted_computed_import_is_caught(tmp_path: Path, text: str) -> None:
    plant(tmp_path, {"federation/cli/operator.py": text})
    assert 1 == len(find_dynamic_imports(tmp_path))


def test_reading_ones_own_version_is_no_computed_import(tmp_path: Path) -> None:
    plant(tmp_path, {"federation/cli/operator.py": "from importlib.metadata import version\n"})
    assert [] == find_dynamic_imports(tmp_path)
