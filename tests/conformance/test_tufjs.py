"""Roster chains verify with @tufjs/models, a TUF implementation that nobody here wrote.

``make test`` installs it (``npm ci``, from the lock file beside the script). Without node the tests
skip and say so; in CI that is a failure.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN
from federation.protocol.roster_proposals import propose_add, propose_governors
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    format_root,
    make_governors,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.needs import lacking

FOLDER = Path(__file__).parent / "tufjs"
INSTALLED = FOLDER / "node_modules" / "@tufjs" / "models"


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if shutil.which("node") and INSTALLED.exists():
        return
    lacking("node and @tufjs/models are not here: `make test` installs the latter with npm ci")


def verify(folder: Path, versions: Sequence[bytes]) -> tuple[int, dict[str, Any]]:
    """Have the other implementation walk these files."""
    paths = [folder / f"{number}.root.json" for number in range(1, len(versions) + 1)]
    for path, root in zip(paths, versions, strict=True):
        path.write_bytes(root)
    ran = subprocess.run(
        ["node", FOLDER / "verify.mjs", *paths],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode in {0, 1}, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def chain() -> RosterChain:
    """Founded by two of three, a member admitted, one suspended, and all governors replaced."""
    founded = make_roster(ACME, NOVA, governors=3)
    first, at = founded.chain, NEW_YEAR_2026_MS
    added = propose_add(first, make_member(UMBRA).request, now_ms=at)
    second = sign_and_finish(added, first, founded.governors[:2])
    pins = dict.fromkeys(Lane, EMPTY_PIN)
    changed = suspended(second.newest.member(NOVA), pins)
    third = sign_and_finish(
        propose_members(second, [changed], now_ms=at), second, founded.governors[1:]
    )
    later = make_governors(3, first=3)
    handed = propose_governors(third, [key.public for key in later], 2, now_ms=at)
    return sign_and_finish(handed, third, (*founded.governors[:2], *later[:2]))


def test_the_roster_chain_verifies_with_another_implementation(tmp_path: Path) -> None:
    code, told = verify(tmp_path, chain().versions)
    assert (0, 4, [ACME, NOVA, UMBRA], None) == (
        code,
        told["version"],
        told["members"],
        told["failed"],
    )


def test_it_refuses_what_we_refuse(tmp_path: Path) -> None:
    """One signature short of the governors before, a changed fact, a gap."""
    versions = chain().versions
    short = json.loads(versions[1])
    short["signatures"] = short["signatures"][:1]
    changed = json.loads(versions[1])
    changed["signed"]["x-hash-federation"]["members"][0]["urls"] = ["https://thief.example"]
    for at, (number, forged) in enumerate(
        ((1, format_root(short)), (1, format_root(changed)), (1, versions[2]))
    ):
        folder = tmp_path / str(at)
        folder.mkdir()
        code, told = verify(folder, (*versions[:number], forged))
        assert (1, number) == (code, told["version"])
        assert told["failed"]
