"""The program as a whole: exit codes, --json, and no traceback for a user's mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from federation import __version__
from federation.cli import standings
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.cli.operator import main
from federation.errors import RosterUnproven

# Answers into a pipe that nobody reads.
UNREAD = """
import os, sys
from federation.cli.operator import main
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
sys.exit(main(["version", "--json"]))
"""

STATEMENT = "st_" + "ab" * 32


def test_the_release_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert ExitCode.YES == main(["--version"])
    assert f"federation {__version__}\n" == capsys.readouterr().out
    assert ExitCode.YES == main(["version", "--json"])
    assert __version__ == json.loads(capsys.readouterr().out)["version"]


def test_help_is_an_answer_and_no_command_is_a_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert ExitCode.YES == main(["--help"])
    asked = capsys.readouterr()
    assert ("", True) == (asked.err, "publish" in asked.out)
    assert ExitCode.MISUSE == main([])


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["init", "somewhere"],
        ["match", "--distance-max", "many"],
        ["match", "--distance-max", "32"],
        ["publish", "--quality", "101"],
        ["publish", "--source", "hearsay"],
        ["roster", "propose"],
        ["roster", "propose", "add", "x", "--role", "king"],
        ["withdraw"],
        ["bundle", STATEMENT, STATEMENT],
        ["demo", "--nodes", "1"],
        ["match"],
        ["publish", "--signal", "pdq:zz"],
        ["status", "--config", "nowhere.toml"],
        ["serve", "--config", "nowhere.toml"],
        ["peers", "--config", "."],
        ["roster", "show", "nowhere.root.json"],
        ["roster", "show", "--roster", "nowhere"],
    ],
    ids=" ".join,
)
def test_a_mistake_is_a_coded_misuse_in_the_form_asked_for(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ExitCode.MISUSE == main([*arguments, "--json"])
    out, err = capsys.readouterr()
    if out.startswith("{"):  # a group of commands without one of them answers with its help
        told = json.loads(out)["error"]
        assert told["message"]
        assert told["code"] in err
    assert "Traceback" not in err
    assert [] == list(tmp_path.iterdir())


def replaced(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], Any]) -> None:
    monkeypatch.setattr(standings, "status", act)


def test_a_bug_is_not_a_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_config: Path) -> None:
        raise ZeroDivisionError

    replaced(monkeypatch, fails)
    assert ExitCode.UNKNOWN == main(["status", "--json"])
    out, err = capsys.readouterr()
    assert "ZeroDivisionError" in json.loads(out)["error"]["message"]
    assert "Traceback" in err


def test_an_interrupt_ends_as_shells_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_config: Path) -> None:
        raise KeyboardInterrupt

    replaced(monkeypatch, interrupted)
    assert INTERRUPTED == main(["status"])


def test_a_refusal_is_a_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(_config: Path) -> None:
        raise RosterUnproven("signed by nobody")

    replaced(monkeypatch, refuses)
    assert ExitCode.NO == main(["status"])
    assert "" == capsys.readouterr().out


def test_an_answer_that_nobody_reads_is_not_a_no() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", UNREAD], capture_output=True, text=True, check=False
    )
    assert (ExitCode.UNKNOWN, "") == (ran.returncode, ran.stderr)


def test_a_file_named_like_the_option_does_not_turn_it_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ExitCode.MISUSE == main(["match", "--", "--json"])
    assert "" == capsys.readouterr().out
