"""Where the standard vectors are: beside the repository, or where FEDERATION_VECTORS says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.needs import lacking

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def standard_vectors() -> Path:
    """The folder of standard vectors; without it CI fails, and elsewhere the test is skipped."""
    named = os.environ.get("FEDERATION_VECTORS")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "vectors"
    if not (folder / "generated-3leaf.json").is_file():
        lacking(f"no standard vectors in {folder}; set FEDERATION_VECTORS to their folder")
    return folder
