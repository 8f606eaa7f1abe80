"""docs/tutorial.md is run as it stands: two machines, made of two network namespaces.

The namespaces are this test's own, made and removed by it. Where it may not make any, it skips and
says so.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.media.drawing import draw_picture, resave
from tests.architecture.sources import TREE
from tests.needs import lacking, program

TUTORIAL = TREE / "docs" / "tutorial.md"
ADDRESSES = {"acme": "10.77.0.1/24", "nova": "10.77.0.2/24"}
STEP = re.compile(r"^```sh (acme|nova|carry)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND_SECONDS_MAX = 120.0
"""Nothing here takes a tenth of it; a command that waits for what never comes ends the test."""


def steps() -> list[tuple[str, list[str]]]:
    """Where, and the commands there, in the tutorial's order."""
    found = STEP.findall(TUTORIAL.read_text(encoding="utf-8"))
    return [(place, commands.strip().splitlines()) for place, commands in found]


@dataclass
class Machines:
    """Two namespaces on one wire, and the processes started in them."""

    folder: Path
    serving: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @staticmethod
    def namespace(name: str) -> str:
        """The namespace of a machine; no other test's."""
        return f"fed-{name}-{os.getpid()}"

    def make(self) -> None:
        """Make both, joined by a pair of links."""
        links = {name: f"f{name[0]}{os.getpid() % 10_000_000}" for name in ADDRESSES}
        for name in ADDRESSES:
            _ip("netns", "add", self.namespace(name))
            (self.folder / name).mkdir()
        acme, nova = links.values()
        _ip("link", "add", acme, "type", "veth", "peer", "name", nova)
        for name, link in links.items():
            inside = ("-n", self.namespace(name))
            _ip("link", "set", link, "netns", self.namespace(name))
            _ip(*inside, "addr", "add", ADDRESSES[name], "dev", link)
            _ip(*inside, "link", "set", link, "up")
            _ip(*inside, "link", "set", "lo", "up")

    def remove(self) -> None:
        """End what was started, and take the namespaces away with their links."""
        for process in self.serving:
            process.send_signal(signal.SIGTERM)
        for process in self.serving:
            try:
                process.wait(COMMAND_SECONDS_MAX)
            finally:
                process.kill()
        for name in ADDRESSES:
            subprocess.run(["ip", "netns", "del", self.namespace(name)], check=False)

    def run(self, place: str, command: str) -> None:
        """Run one of the tutorial's commands where it says; one with ``&`` goes on."""
        inside = [] if place == "carry" else ["ip", "netns", "exec", self.namespace(place)]
        folder = self.folder if place == "carry" else self.folder / place
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
        if command.endswith(" &"):
            with (folder / "serve.log").open("wb") as log:
                started = subprocess.Popen(
                    [*inside, *command.removesuffix(" &").split()],
                    cwd=folder,
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
            self.serving.append(started)
            return
        ran = subprocess.run(
            [*inside, "bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        assert 0 == ran.returncode, f"{place}: {command}\n{ran.stdout}\n{ran.stderr}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Two machines that reach each other and nothing else."""
    program("ip", of="Debian's package iproute2")
    made = Machines(tmp_path)
    try:
        try:
            made.make()
        except subprocess.CalledProcessError as error:
            lacking(f"no network namespaces may be made here: {error.stderr!r}")
        yield made
    finally:
        made.remove()


def test_the_tutorial_works_as_it_is_written(machines: Machines) -> None:
    picture = draw_picture(1)
    (machines.folder / "nova" / "picture.jpg").write_bytes(picture)
    (machines.folder / "acme" / "resaved.jpg").write_bytes(resave(picture))
    for place, commands in steps():
        for command in commands:
            machines.run(place, command)
    assert (machines.folder / "acme" / "fetched" / "2.root.json").exists()


def test_every_command_of_the_tutorial_is_run() -> None:
    """A block of another kind would be read by people and tested by nobody."""
    text = TUTORIAL.read_text(encoding="utf-8")
    assert len(steps()) == text.count("```sh") == text.count("```") // 2
