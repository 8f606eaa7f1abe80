"""``federation policy check`` without a node: what can be checked is, and that is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from federation.cli.exits import ExitCode
from federation.cli.operator import main
from tests.architecture.sources import TREE


def check(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object], str]:
    """Exit code, answer and talk."""
    nowhere = str(file.parent / "node.toml")
    code = main(["policy", "check", str(file), "--config", nowhere, "--json"])
    told = capsys.readouterr()
    answer: dict[str, object] = json.loads(told.out)
    return code, answer, told.err


@pytest.mark.parametrize("file", sorted((TREE / "docs" / "policies").glob("*.toml")), ids=str)
def test_an_example_is_found_to_mean_something(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "policy.toml"
    copy.write_text(file.read_text())
    code, answer, talk = check(copy, capsys)
    assert (ExitCode.YES, False) == (code, answer["members_checked"])
    assert "no node answers" in talk


def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('version = 1\n[[rules]]\nname = "a"\naction = "ban"\n')
    code, answer, talk = check(file, capsys)
    assert ExitCode.MISUSE == code
    assert "line 4: rules[1].action: one of: block" in talk
    error = answer["error"]
    assert isinstance(error, dict)
    assert "policy-invalid" == error["code"]


def test_a_file_that_is_not_there_or_no_text_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ExitCode.MISUSE == check(tmp_path / "none.toml", capsys)[0]
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe")
    assert ExitCode.MISUSE == check(tmp_path / "junk.toml", capsys)[0]
