"""Kill -9 in the middle of an import: run again, every line is published once and none is lost."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from federation.cli.exits import ExitCode
from federation.config import load_config
from federation.daemon.importing import IMPORT_BATCH
from federation.daemon.node import DATABASE_FILE
from federation.protocol.headers import decode_header
from federation.protocol.origins import Lane, parse_origin
from federation.store.places import STATEMENT_COLUMNS, statement_of
from federation.store.readings import reading_of_opening
from tests.system.test_operator import ACME, NOVA, PATIENCE_SECONDS, PROGRAM, Town

LINES = 3 * IMPORT_BATCH + 7
"""Of one list: three whole batches and a short one."""


@dataclass
class Importing:
    """acme and nova, and how many lists acme has imported."""

    town: Town
    lists: int = 0

    def next_list(self) -> int:
        """Write a list of which no line was published yet; gives what acme holds before it."""
        first = self.lists * LINES + 1
        self.lists += 1
        lines = "".join(f"md5 {number:032x}\n" for number in range(first, first + LINES))
        (self.town.folder / "list.txt").write_text(lines)
        return self.held(ACME)

    def database_of(self, name: str) -> Path:
        config = load_config(self.town.folder / name / "node.toml")
        return config.path(config.data_directory) / DATABASE_FILE

    def read(self, name: str, query: str) -> list[tuple[Any, ...]]:
        """Rows of a company's database, whether its node runs or not."""
        uri = f"file:{self.database_of(name)}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as reader:
            return reader.execute(query).fetchall()

    def held(self, name: str) -> int:
        """How much of acme's bulk log is durable at a company."""
        branches = self.read(name, "SELECT origin, size FROM branches")
        logs = [(parse_origin(origin), size) for origin, size in branches]
        return sum(
            size for log, size in logs if log.lane is Lane.BULK and log.member == "acme.example"
        )

    def start(self) -> subprocess.Popen[str]:
        """The command that imports the list."""
        return subprocess.Popen(
            [PROGRAM, "import", "list.txt", "--config", f"{ACME}/node.toml", "--json"],
            cwd=self.town.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def check_done(self, published: int) -> None:
        """Run it again, and once more: each line of all lists stands once, at both companies."""
        told = self.town.at(ACME, "import", "list.txt").fields
        assert (published, LINES - published, 0) == _counts(told)
        told = self.town.at(ACME, "import", "list.txt").fields
        assert (0, LINES, 0) == _counts(told)
        until = time.monotonic() + PATIENCE_SECONDS
        while self.held(NOVA) < self.held(ACME) and time.monotonic() < until:
            time.sleep(0.02)
        every = Counter(number.to_bytes(16, "big") for number in range(1, self.lists * LINES + 1))
        for name in (ACME, NOVA):
            assert [] == self.town.at(name, "status").fields["alarms"]
            assert self.lists * LINES == self.held(name)
            rows = self.read(name, f"SELECT {STATEMENT_COLUMNS} FROM statements")  # noqa: S608
            assert every == Counter(value for row in rows for value in _values(row))


def _counts(told: dict[str, Any]) -> tuple[int, ...]:
    return tuple(told[name] for name in ("published", "known", "refused"))


def _values(row: tuple[Any, ...]) -> list[bytes]:
    statement = statement_of(row)
    reading = reading_of_opening(decode_header(statement.header_bytes), statement.opening)
    return [value for _, value in reading.signals]


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Importing]:
    """acme, founded and not serving, and nova, which serves; all is stopped in the end."""
    town = Town(tmp_path_factory.mktemp("killed"))
    town.init(ACME)
    town.init(NOVA)
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    requests = (f"{ACME}/join-request.json", f"{NOVA}/join-request.json")
    town.change_roster("found", *requests, "--governor", public, configs=(ACME, NOVA))
    try:
        town.serve(NOVA)
        town.serve(ACME)
        town.stop(ACME)
        yield Importing(town)
    finally:
        for name in list(town.serving):
            town.stop(name)


def check_interrupted(command: subprocess.Popen[str]) -> None:
    """The command says that nobody answers any more, and that it is to be run again."""
    out, _ = command.communicate(timeout=PATIENCE_SECONDS)
    assert ExitCode.UNKNOWN == command.returncode
    assert '"node-unreachable"' in out
    assert "run the same command again" in out


def test_import_killed_again_and_again_publishes_each_line_once(importing: Importing) -> None:
    """At a state, wherever in a batch the node is by then: so much is durable, and it is gone."""
    town, before = importing.town, importing.next_list()
    for batches in (1, 2):
        town.serve(ACME)
        command = importing.start()
        while importing.held(ACME) < before + batches * IMPORT_BATCH:
            assert command.poll() is None, town.logs()
        assert -signal.SIGKILL == town.stop(ACME, signal.SIGKILL)
        if (standing := importing.held(ACME) - before) < LINES:
            assert 0 == standing % IMPORT_BATCH  # a batch is there as a whole or not at all
            check_interrupted(command)
        command.communicate(timeout=PATIENCE_SECONDS)
    town.serve(ACME)
    importing.check_done(published=LINES - standing)
    town.stop(ACME)


@pytest.mark.parametrize(
    ("step", "kept"), [("made", 1), ("signed", 1), ("stored", 2), ("appended", 2), ("told", 2)]
)
def test_import_killed_inside_a_batch_publishes_each_line_once(
    importing: Importing, step: str, kept: int
) -> None:
    """At each step of its second batch."""
    town, before = importing.town, importing.next_list()
    config = str(town.folder / ACME / "node.toml")
    crashing_serve = (sys.executable, "-m", "tests.system.crashing_serve")
    crashing = subprocess.Popen(
        [*crashing_serve, step, "2", "serve", "--config", config, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert crashing.stdout is not None
        assert "ready" in crashing.stdout.readline()
        command = importing.start()
        assert -signal.SIGKILL == crashing.wait(PATIENCE_SECONDS)
    finally:
        crashing.kill()
        crashing.communicate()
    check_interrupted(command)
    assert kept * IMPORT_BATCH == importing.held(ACME) - before
    town.serve(ACME)
    importing.check_done(published=LINES - kept * IMPORT_BATCH)
    town.stop(ACME)
