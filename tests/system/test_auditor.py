"""The installed ``federation-verify``: a process of its own, without the node and without a net."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.cli.exits import ExitCode
from federation.protocol.bundles import encode_bundle
from tests.builders import make_bundle, make_log

PROGRAM = Path(sys.executable).with_name("federation-verify")
MADE = make_log(7)
ROOM = "bundle {folder}/bundle --root {folder}/1.root.json --quorum 2"

# Runs the program where every door to a network is nailed shut.
NAILED = """
import socket, sys

def refuse(*_, **__):
    raise AssertionError("the auditor's program reached for the network")

socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from federation.cli.auditor import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Ran:
    """How the program ended."""

    code: int
    out: bytes
    err: bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bundle").write_bytes(encode_bundle(make_bundle(MADE, 2)))
    (tmp_path / "1.root.json").write_bytes(MADE.founded.chain.versions[0])
    return tmp_path


def run(folder: Path, words: str, *, stdin: bytes = b"", by: tuple[str, ...] = ()) -> Ran:
    arguments = [word.format(folder=folder) for word in words.split()]
    ran = subprocess.run(
        [*(by or (str(PROGRAM),)), *arguments], input=stdin, capture_output=True, check=False
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def test_the_installed_program_verifies_a_bundle(folder: Path) -> None:
    ran = run(folder, ROOM)
    assert (ExitCode.YES, b"") == (ran.code, ran.err)
    assert 9 == ran.out.decode().count("✓")


def test_it_needs_no_network(folder: Path) -> None:
    ran = run(folder, ROOM, by=(sys.executable, "-c", NAILED))
    assert (ExitCode.YES, b"") == (ran.code, ran.err)


def test_a_bundle_is_read_from_a_pipe(folder: Path) -> None:
    words = ROOM.replace("{folder}/bundle", "-")
    assert ExitCode.YES == run(folder, words, stdin=(folder / "bundle").read_bytes()).code


def test_one_flipped_byte_is_a_no(folder: Path) -> None:
    encoded = bytearray((folder / "bundle").read_bytes())
    encoded[len(encoded) // 2] ^= 1
    (folder / "bundle").write_bytes(encoded)
    ran = run(folder, ROOM + " --json")
    assert ExitCode.NO == ran.code
    assert json.loads(ran.out)["verified"] is False


def test_a_reader_that_goes_away_is_told_from_a_no(folder: Path) -> None:
    piped = f"{PROGRAM} {ROOM.format(folder=folder)} | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", piped], capture_output=True, check=False)
    assert ran.returncode in {ExitCode.YES, ExitCode.UNKNOWN}
    assert b"" == ran.stderr


@pytest.mark.parametrize(
    "words",
    [ROOM.replace("quorum 2", "quorum 0"), ROOM.replace("/bundle", "/absent"), "bundle", ""],
)
def test_misuse_is_told_on_stderr_only(folder: Path, words: str) -> None:
    ran = run(folder, words)
    assert (ExitCode.MISUSE, b"") == (ran.code, ran.out)
    assert ran.err.startswith(b"federation-verify: error: ")
