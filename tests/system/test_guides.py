"""The guides of membership, each done by real nodes: docs/guides/membership.md and its neighbours.

One federation lives through all of it, in order: founded by two of three, two admitted, a key
renewed under load, one suspended and back, a key stolen and its owner back under new ones, a
governor lost and replaced, a member gone with a successor. Nodes are processes; governors' commands
run in this one, which is the same program without its start.
"""

from __future__ import annotations

import json
import os
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import chdir, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from federation.cli.exits import ExitCode
from federation.cli.operator import main
from tests.system.test_operator import PATIENCE_SECONDS, Town

A, B, C, D = "acme", "brava", "cinder", "delta"
GOVERNORS = ("one", "two", "three")


@dataclass
class Federation:
    """A town and those who govern it.

    Attributes:
        town: the nodes.
        capture: reads what a command in this process wrote.
        keys: the governors' public keys.
        suspended_after: seconds from the publication to the last node's other answer.
    """

    town: Town
    capture: pytest.CaptureFixture[str]
    keys: dict[str, str] = field(default_factory=dict)
    suspended_after: float = 0.0

    def call(self, *arguments: str, code: ExitCode = ExitCode.YES) -> dict[str, Any]:
        """Run ``federation`` in this process; gives the object it answers with."""
        self.capture.readouterr()
        with chdir(self.town.folder):
            ended = main([*arguments, "--json"])
        said = self.capture.readouterr()
        assert code == ended, (arguments, said)
        answer: dict[str, Any] = json.loads(said.out)
        return answer

    def decide(
        self, *proposed: str, by: tuple[str, ...] = ("one", "two"), nodes: tuple[str, ...] = (A,)
    ) -> dict[str, Any]:
        """Propose, sign by these governors and publish to these nodes; what was proposed."""
        told = self.call("roster", "propose", *proposed, "--out", "next.json")
        beside = ("--roster", "chain") if told["version"] > 1 else ()
        for governor in by:
            self.call("roster", "sign", "next.json", "--key", f"{governor}.key", *beside)
        configs = [part for name in nodes for part in ("--config", f"{name}/node.toml")]
        self.call("roster", "publish", "next.json", "--to", "chain", *configs)
        (self.town.folder / "next.json").unlink()
        return told

    # --- the nodes' local API ---------------------------------------------------------------------

    def ask(self, name: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask a node; a refusal gives its problem document."""
        config = tomllib.loads((self.town.folder / name / "node.toml").read_text())
        token = (self.town.folder / name / "api-token").read_text().strip()
        request = urllib.request.Request(
            f"http://{config['api']['listen']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - http, to our own node
                request, timeout=PATIENCE_SECONDS
            ) as response:
                answer: dict[str, Any] = json.loads(response.read())
        except HTTPError as error:
            answer = json.loads(error.read())
        return answer

    def confirm(self, name: str, value: str) -> dict[str, Any]:
        """Publish a SHA-256 as violating."""
        signals = [{"type": "sha256", "value": value * 32}]
        return self.ask(name, "/v1/statements", {"confirm": [{"signals": signals}]})

    def action(self, name: str, value: str) -> str:
        """What a node does about that SHA-256."""
        signals = [{"type": "sha256", "value": value * 32}]
        answer = self.ask(name, "/v1/match", {"signals": signals})
        return str(answer["results"][0]["action"]) if "results" in answer else str(answer)

    def until_action(self, action: str, value: str, *names: str) -> float:
        """Wait until all these nodes do that; gives how many seconds it took."""
        began = time.monotonic()
        for name in names:
            while self.action(name, value) != action:
                assert time.monotonic() < began + PATIENCE_SECONDS, self.town.logs()
                time.sleep(0.01)
        return time.monotonic() - began

    def until_version(self, version: int, *names: str) -> None:
        """Wait until all these nodes have that roster in force."""
        began = time.monotonic()
        for name in names:
            while self.ask(name, "/v1/status")["roster_version"] != version:
                assert time.monotonic() < began + PATIENCE_SECONDS, self.town.logs()
                time.sleep(0.01)


@pytest.fixture
def federation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Federation]:
    """Two founders under two of three governors, serving."""
    town = Town(tmp_path)
    made = Federation(town, capsys)
    try:
        yield made
    finally:
        for name in list(town.serving):
            town.stop(name)


def init(federation: Federation, name: str) -> None:
    """Make a node that compares with a peer each second."""
    federation.town.init(name)
    config = federation.town.folder / name / "node.toml"
    found = tomllib.loads(config.read_text())
    token = config.parent / found["api"]["token_file"]
    if token.name != "api-token":
        (config.parent / "api-token").symlink_to(os.path.relpath(token, config.parent))


def found_with_three_governors(federation: Federation) -> None:
    """docs/guides/founding.md: one signature is not enough, two of three are."""
    for governor in GOVERNORS:
        told = federation.call("roster", "governor", f"{governor}.key")
        federation.keys[governor] = told["public"]
    for name in (A, B):
        init(federation, name)
    requests = [f"{name}/join-request.json" for name in (A, B)]
    governors = [part for key in federation.keys.values() for part in ("--governor", key)]
    federation.call(
        "roster",
        "propose",
        "found",
        *requests,
        *governors,
        "--threshold",
        "2",
        "--out",
        "next.json",
    )
    federation.call("roster", "sign", "next.json", "--key", "one.key")
    refused = federation.call("roster", "publish", "next.json", "--to", "chain", code=ExitCode.NO)
    assert "roster-unproven" == refused["error"]["code"]
    federation.call("roster", "sign", "next.json", "--key", "two.key")
    configs = [part for name in (A, B) for part in ("--config", f"{name}/node.toml")]
    federation.call("roster", "publish", "next.json", "--to", "chain", *configs)
    (federation.town.folder / "next.json").unlink()
    for name in (A, B):
        federation.town.serve(name)


def admit(federation: Federation, name: str) -> None:
    """docs/guides/admitting.md: its request, two signatures, and its node finds the rest."""
    init(federation, name)
    federation.decide("add", f"{name}/join-request.json", "--roster", "chain")
    again = federation.call(
        "roster", "propose", "add", f"{name}/join-request.json", "--roster", "chain",
        "--out", "again.json", code=ExitCode.MISUSE,
    )  # fmt: skip
    assert "roster-malformed" == again["error"]["code"]
    first = (federation.town.folder / A / "1.root.json").read_bytes()
    (federation.town.folder / name / "1.root.json").write_bytes(first)
    federation.town.serve(name)


def renew_a_key_under_load(federation: Federation) -> None:
    """docs/guides/keys.md: nothing that is published meanwhile is refused or lost."""
    answers: list[dict[str, Any]] = []
    is_over = threading.Event()

    def load() -> None:
        while not is_over.is_set():
            answers.append(federation.confirm(C, f"{len(answers) % 89 + 10}"))

    publishing = threading.Thread(target=load)
    publishing.start()
    try:
        config = f"{C}/node.toml"
        federation.call("keys", "renew", "live", "--config", config)
        told = federation.decide("keys", f"{C}/join-request.json", "--config", config)
        federation.until_version(told["version"], A, B, C)
        before = len(answers)
        until = time.monotonic() + PATIENCE_SECONDS
        while len(answers) < before + 5 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        is_over.set()
        publishing.join()
    assert [] == [answer for answer in answers if not answer.get("confirmed")]
    assert len(answers) >= before + 5
    assert "+ member cinder.example live key 2" in " ".join(told["changes"])
    assert not (federation.town.folder / C / "keys" / "log-live.key.next").exists()
    assert (federation.town.folder / C / "keys" / "log-live.key.former").exists()
    federation.confirm(C, "c1")
    federation.until_action("block", "c1", A, B, C, D)


def attempts_of(federation: Federation, member: str) -> int:
    """How often the first node's listener turned a former member away, as its operator sees it."""
    told = federation.ask(A, "/v1/peers")["listener"]["members"]
    return sum(sum(each["refused"].values()) for each in told if each["member"] == member)


def suspend_and_lift(federation: Federation) -> None:
    """docs/guides/suspending.md: its word is gone from every node's verdicts, and comes back."""
    federation.confirm(D, "d1")
    federation.until_action("block", "d1", A, B, C, D)
    pins = [part for lane in ("crisis", "live", "bulk") for part in ("--pin", f"{lane}:0")]
    federation.decide("suspend", "delta.example", *pins, "--roster", "chain")
    federation.suspended_after = federation.until_action("allow", "d1", A, B, C)
    federation.confirm(D, "d2")  # its node cannot know, and goes on announcing
    until = time.monotonic() + PATIENCE_SECONDS
    while not attempts_of(federation, "delta.example") and time.monotonic() < until:
        time.sleep(0.05)
    assert attempts_of(federation, "delta.example")
    assert {"allow"} == {federation.action(name, "d2") for name in (A, B, C)}
    federation.decide("lift", "delta.example", "--roster", "chain", nodes=(A, D))
    federation.until_action("block", "d1", A, B, C, D)


def steal_a_key_and_come_back(federation: Federation) -> None:
    """docs/guides/stolen_key.md: distrusted since T, what was said before stands; then restored."""
    time.sleep(1.1)  # receipts are stamped in whole seconds: the theft is later than all so far
    stolen_at = int(time.time())
    time.sleep(1.1)
    federation.confirm(C, "cf")
    federation.until_action("block", "cf", A, B, D)
    told = federation.decide(
        "distrust", "cinder.example", "--since", str(stolen_at), "--config", f"{A}/node.toml",
        nodes=(A, C),
    )  # fmt: skip
    live = next(pin for pin in told["pins"] if pin["lane"] == "live")
    assert live["falls"]["confirm"] >= 1
    assert live["receipts"]
    federation.until_action("allow", "cf", A, B, D)

    federation.call("keys", "renew", "all", "--config", f"{C}/node.toml")
    federation.decide("restore", f"{C}/join-request.json", "--roster", "chain", nodes=(A, C))
    federation.until_action("block", "c1", A, B, C, D)
    said = federation.confirm(C, "c3")
    assert said["confirmed"][0]["log"].endswith("/live/1")
    federation.until_action("block", "c3", A, B, C, D)
    assert {"allow"} == {federation.action(name, "cf") for name in (A, B, C, D)}


def lose_a_governor(federation: Federation) -> None:
    """docs/guides/lost_governor.md: two of three replace the third, and the new one counts."""
    four = federation.call("roster", "governor", "four.key")["public"]
    keys = [federation.keys["one"], federation.keys["two"], four]
    governors = [part for key in keys for part in ("--governor", key)]
    federation.decide("governors", *governors, "--threshold", "2", "--roster", "chain")
    told = federation.decide("refresh", "--roster", "chain", by=("two", "four"))
    federation.until_version(told["version"], A, B, C, D)
    lost = federation.town.folder / "three.key"
    federation.call("roster", "propose", "refresh", "--roster", "chain", "--out", "late.json")
    refused = federation.call(
        "roster", "sign", "late.json", "--key", str(lost), "--roster", "chain", code=ExitCode.NO
    )
    assert "roster-unproven" == refused["error"]["code"]


def leave_with_a_successor(federation: Federation) -> None:
    """docs/guides/leaving.md: what it said stands, and the successor may take it back."""
    said = federation.confirm(D, "d9")["confirmed"][0]
    federation.until_action("block", "d9", A, B, C)
    federation.decide(
        "remove", "delta.example", "--successor", "brava.example", "--config", f"{A}/node.toml"
    )
    federation.until_version(federation.ask(A, "/v1/status")["roster_version"], B, C)
    assert {"block"} == {federation.action(name, "d9") for name in (A, B, C)}
    withdraw = [{"statement": said["id"], "reason": "mistake"}]
    taken = federation.ask(B, "/v1/statements", {"withdraw": withdraw})
    assert said["id"] == taken["withdrawn"][0]["statement"]
    federation.until_action("allow", "d9", A, B, C)


def test_a_federation_lives_through_every_guide(federation: Federation) -> None:
    """Real nodes over real TLS, from the founding to a member's leave."""
    found_with_three_governors(federation)
    admit(federation, C)
    admit(federation, D)
    federation.until_version(3, A, B, C, D)
    renew_a_key_under_load(federation)
    suspend_and_lift(federation)
    steal_a_key_and_come_back(federation)
    lose_a_governor(federation)
    leave_with_a_successor(federation)
    shown = federation.call("roster", "show", "--roster", "chain")
    assert shown["version"] == federation.ask(A, "/v1/status")["roster_version"]
    fetched = federation.call(
        "roster", "fetch", "--config", f"{B}/node.toml", "--to", str(federation.town.folder / "b")
    )
    assert fetched["version"] == shown["version"]
    with suppress(FileNotFoundError):
        (federation.town.folder / "late.json").unlink()
