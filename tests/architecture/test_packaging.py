"""What a stranger gets with a clone: a lock that holds anywhere, and rules that give reasons."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import federation
from tests.architecture.sources import TREE
from tests.needs import program

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-vpdq.lock")


def pins_of(text: str) -> dict[str, str]:
    """Each pinned requirement's first line to the number of its hashes."""
    return {
        " ".join(lines[0].split()): str(len(lines) - 1)
        for lines in (pin.split("\\\n") for pin in re.split(r"\n(?=\S)", text.strip()))
    }


def addresses_in(text: str) -> list[str]:
    """Lines that say where packages come from, which is the installing machine's to know."""
    return [
        line
        for line in text.splitlines()
        if re.search(r"://|^\s*-|@|file:|/", line)
        and not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_by_version_and_hash_and_names_no_address(name: str) -> None:
    text = (TREE / name).read_text(encoding="utf-8")
    assert [] == addresses_in(text)
    assert [] == [pin for pin, hashes in pins_of(text).items() if "==" not in pin or hashes == "0"]


def test_planted_addresses_are_caught() -> None:
    planted = [
        "--index-url https://packages.example/simple",
        "--find-links /somewhere",
        "tuf @ https://packages.example/tuf.whl",
        "tuf @ file:///somewhere/tuf.whl",
        "    # via -r /somewhere/requirements.in",
    ]
    kept = ["tuf==7.0.1 \\", "    --hash=sha256:" + "0" * 64]
    assert planted == addresses_in("\n".join([*planted, *kept]))


def test_an_unpinned_or_unhashed_requirement_is_seen() -> None:
    text = "tuf>=7 \\\n    --hash=sha256:00\nmsgpack==1.2\n"
    assert {"tuf>=7": "1", "msgpack==1.2": "0"} == pins_of(text)


def test_the_developers_lock_holds_all_of_the_runtime_lock() -> None:
    runtime, dev = (pins_of((TREE / name).read_text(encoding="utf-8")) for name in LOCKS[:2])
    assert [] == sorted(runtime.items() - dev.items())


def test_every_declared_requirement_is_locked() -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [*project["project"]["dependencies"]]
    groups = project["project"]["optional-dependencies"] | project["dependency-groups"]
    for group in groups.values():
        declared += [requirement for requirement in group if isinstance(requirement, str)]
    names = {re.split(r"[\[><=~!; ]", requirement)[0] for requirement in declared}
    locked = {pin.partition("==")[0] for pin in pins_of((TREE / LOCKS[1]).read_text("utf-8"))}
    assert [] == sorted(names - locked)


def test_every_ignored_lint_rule_has_a_reason() -> None:
    text = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    lint = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8")]
    ignored = re.findall(r'^    "([A-Z]+[0-9]*)",(.*)$', lint, flags=re.MULTILINE)
    assert ignored
    assert [] == [rule for rule, rest in ignored if not re.fullmatch(r" *# .{4,}", rest)]


def test_ci_runs_make_check_and_nothing_else() -> None:
    script = TREE / ".ci" / "run"
    commands = [
        line
        for line in script.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert ["exec make check"] == commands
    assert os.access(script, os.X_OK)


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    text = (TREE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "\n## [Unreleased]\n" in text


def test_this_tree_is_what_is_tested() -> None:
    assert Path(federation.__file__).is_relative_to(TREE)


def test_nothing_committed_points_out_of_the_tree() -> None:
    """A link that was committed leads nowhere on another machine: there `make` would fail on it."""
    if not (TREE / ".git").exists():
        pytest.skip("an unpacked release, no git checkout")
    ran = subprocess.run(
        [program("git", of="git"), "ls-files", "--stage"],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = ran.stdout.splitlines()
    assert listed
    assert [] == [line for line in listed if line.startswith("120000")]
