"""Small trees with something wrong in them, to show that each fence catches what it is for."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.architecture.sources import TREE

ROOMS = (
    "cli",
    "daemon",
    "gossip",
    "matching",
    "media",
    "net",
    "protocol",
    "provenance",
    "store",
    "web",
)
FILES = {
    "config/__init__.py": '"""Settings."""\n',
    "errors.py": '"""Errors."""\n',
    "local_errors/__init__.py": '"""A node\'s errors."""\n',
    "cli/auditor.py": '"""The judge."""\n',
}


def plant(root: Path, files: dict[str, str] | None = None) -> Path:
    """Make a house with all its rooms, empty, then write the given files (paths from the root)."""
    house = {f"federation/{room}/__init__.py": f'"""The room {room}."""\n' for room in ROOMS}
    house |= {"federation/__init__.py": '"""The house."""\n'}
    house |= {f"federation/{path}": text for path, text in FILES.items()}
    for path, text in (house | (files or {})).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    shutil.copy(TREE / "pyproject.toml", root / "pyproject.toml")
    return root
