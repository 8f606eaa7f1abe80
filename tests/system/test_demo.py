"""The demo, as anybody types it: companies as processes, and none of them outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from federation.cli.exits import ExitCode
from federation.media.drawing import draw_picture
from federation.protocol.limits_content import PDQ_DISTANCE_MAX

PROGRAM = Path(sys.executable).with_name("federation")
AUDITOR = Path(sys.executable).with_name("federation-verify")

PATIENCE_SECONDS = 240.0
"""How long to wait for what takes some seconds: only a fault is this slow."""

TERMINATED = 143


@dataclass(frozen=True)
class Ran:
    """A demo that ended, and the folder it was told to keep."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def found(self) -> dict[str, Any]:
        """The object on the last line of stdout."""
        told: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return told


def run_demo(folder: Path, *more: str) -> Ran:
    ran = subprocess.run(
        [PROGRAM, "demo", "--json", "--keep", folder, *more],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr, folder)


def processes_of(folder: Path) -> list[int]:
    """Processes that were started with a path in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def wait_for(folder: Path, *, processes: int) -> None:
    """Poll until so many nodes of the folder run."""
    until = time.monotonic() + PATIENCE_SECONDS
    while len(nodes_of(folder)) != processes:
        assert time.monotonic() < until, nodes_of(folder)
        time.sleep(0.05)


def nodes_of(folder: Path) -> list[int]:
    return [
        process
        for process in processes_of(folder)
        if b"serve" in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    ]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One demo of three companies, played once for all tests here."""
    return run_demo(tmp_path_factory.mktemp("demo") / "kept")


def test_three_companies_block_withdraw_catch_up_and_prove(played: Ran) -> None:
    found = played.found
    assert (ExitCode.YES, True) == (played.code, found["ok"]), played.err
    assert 3 == found["nodes"]
    assert ["B", "C"] == list(found["block_ms"]) == list(found["withdraw_ms"])
    assert all(took > 0 for took in (*found["block_ms"].values(), *found["withdraw_ms"].values()))
    assert 0 < found["distance"] <= PDQ_DISTANCE_MAX
    assert found["catch_up_ms"] > 0
    assert 2 == found["receipts"]
    assert found["false_match"] is False
    assert {
        "path": str(played.folder / "bundle"),
        "verified": True,
        "tampered_rejected": True,
    } == found["bundle"]


def test_stdout_holds_the_answer_and_stderr_the_talk(played: Ran) -> None:
    assert 1 == len(played.out.splitlines())
    assert "caught up after kill -9" in played.err
    assert "✗" not in played.err


def test_nothing_is_left_running(played: Ran) -> None:
    assert [] == processes_of(played.folder)


def test_the_kept_bundle_verifies_from_the_first_root_alone(played: Ran) -> None:
    root = ("--root", played.folder / "1.root.json", "--quorum", "2")
    judged = subprocess.run(
        [AUDITOR, "bundle", played.folder / "bundle", *root], capture_output=True, check=False
    )
    assert ExitCode.YES == judged.returncode, judged.stdout
    assert b"roster version 2" in judged.stdout


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_a_kept_node_starts_again(played: Ran, name: str) -> None:
    config = played.folder / name / "node.toml"
    with subprocess.Popen(
        [PROGRAM, "serve", "--config", config, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as node:
        assert node.stdout is not None
        assert json.loads(node.stdout.readline())["ready"] is True
        node.terminate()
        assert 0 == node.wait(PATIENCE_SECONDS)


# --- however it ends ----------------------------------------------------------------------------


@pytest.fixture
def playing(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A demo whose nodes are running."""
    folder = tmp_path / "kept"
    with subprocess.Popen(
        [PROGRAM, "demo", "--json", "--keep", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as demo:
        wait_for(folder, processes=2)
        yield demo, folder
        demo.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, TERMINATED), (signal.SIGINT, 130)])
def test_a_signal_stops_all_of_it(
    playing: tuple[subprocess.Popen[bytes], Path], number: signal.Signals, code: int
) -> None:
    demo, folder = playing
    demo.send_signal(number)
    assert code == demo.wait(PATIENCE_SECONDS)
    assert [] == processes_of(folder)
    assert demo.stdout is not None
    assert b"" == demo.stdout.read()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of the killed")
def test_nothing_outlives_a_killed_demo(playing: tuple[subprocess.Popen[bytes], Path]) -> None:
    demo, folder = playing
    demo.kill()
    demo.wait(PATIENCE_SECONDS)
    wait_for(folder, processes=0)


# --- what it is given ---------------------------------------------------------------------------


def test_the_users_own_picture_takes_the_drawn_ones_place(tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    (tmp_path / "drawn.jpg").write_bytes(draw_picture(77, width=400, height=300))
    with Image.open(tmp_path / "drawn.jpg") as drawn:
        drawn.convert("RGBA").save(picture)
    ran = run_demo(tmp_path / "kept", "--image", str(picture), "--nodes", "2")
    assert (ExitCode.YES, True) == (ran.code, ran.found["ok"]), ran.err
    assert ["B"] == list(ran.found["block_ms"])
    assert not (tmp_path / "kept" / "pictures" / "confirmed.jpg").exists()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("text.jpg", b"no picture", "picture-unreadable"),
        ("cut.jpg", draw_picture(5, width=64, height=64)[:400], "picture-unreadable"),
        ("absent.jpg", None, "request-malformed"),
    ],
)
def test_a_picture_that_cannot_be_taken_is_misuse(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ran = run_demo(tmp_path / "kept", "--image", str(tmp_path / name))
    assert (ExitCode.MISUSE, code) == (ran.code, ran.found["error"]["code"])
    assert [] == processes_of(tmp_path)


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    ran = run_demo(tmp_path)
    assert (ExitCode.MISUSE, "request-malformed") == (ran.code, ran.found["error"]["code"])
    assert ["mine"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("nodes", ["1", "17", "many"])
def test_a_number_of_companies_that_cannot_be_is_misuse(tmp_path: Path, nodes: str) -> None:
    ran = run_demo(tmp_path / "kept", "--nodes", nodes)
    assert (ExitCode.MISUSE, "request-malformed") == (ran.code, ran.found["error"]["code"])
