"""A collision, end to end: planted, disputed, quarantined, excepted, withdrawn, and told.

Three companies as processes, and beside the third a small system of its own that follows its feed
and takes its webhooks, is killed and started again in between, and must have done each thing once.
"""

from __future__ import annotations

import base64
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from federation.cli.exits import ExitCode
from federation.config import load_config
from tests.ports import free_ports
from tests.system.platform_consumer import open_state
from tests.system.test_operator import ACME, NOVA, PATIENCE_SECONDS, UMBRA, Ran, Town

PDQ = "pdq:" + "f81b" * 16
CONSUMER = Path(__file__).with_name("platform_consumer.py")
POLICY = """\
version = 1
otherwise = "review"
[[rules]]
name = "anybody"
action = "block"
[flood]
matches = 5
window_minutes = 1
times_usual = 2
"""


@dataclass
class Consumer:
    """The third company's own system."""

    state: Path
    config: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CONSUMER), str(self.state), str(self.config), str(self.port)],
            cwd=CONSUMER.parents[2],
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def ask(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.state}?mode=ro", uri=True)) as state:
            return state.execute(sql).fetchall()

    def taken(self, way: str) -> list[tuple[str, str]]:
        """Ids and kinds, in the order in which they were taken."""
        return [(i, k) for w, i, k in self.ask("SELECT way, id, kind FROM taken") if w == way]


@dataclass
class Stage:
    """The companies, and the third one's system."""

    town: Town
    consumer: Consumer

    def until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < until, f"{self.consumer.taken('feed')}\n{self.town.logs()}"
            time.sleep(0.05)

    def told(self, kind: str, way: str = "feed") -> int:
        return sum(each == kind for _, each in self.consumer.taken(way))

    def match_at_umbra(self) -> dict[str, Any]:
        """As its upload pipeline asks."""
        config = load_config(self.consumer.config)
        token = config.path(config.api.token_file).read_text().strip()
        signal_type, _, value = PDQ.partition(":")
        asked = Request(
            f"http://{config.api.listen}/v1/match",
            json.dumps({"signals": [{"type": signal_type, "value": value}]}).encode(),
            {"Authorization": f"Bearer {token}"},
        )
        with urlopen(asked, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - loopback
            (result,) = json.load(answer)["results"]
        told: dict[str, Any] = result
        return told


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    town = Town(tmp_path)
    for name in (ACME, NOVA, UMBRA):
        town.init(name)
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    requests = [f"{name}/join-request.json" for name in (ACME, NOVA, UMBRA)]
    town.change_roster("found", *requests, "--governor", public, configs=(ACME, NOVA, UMBRA))
    (port,) = free_ports(1)
    config = tmp_path / UMBRA / "node.toml"
    (tmp_path / UMBRA / "policy.toml").write_text(POLICY)
    secret = tmp_path / UMBRA / "webhook.secret"
    secret.write_text(base64.b64encode(bytes(range(32))).decode())
    secret.chmod(0o600)
    text = config.read_text().replace("[policy]", '[policy]\nfile = "policy.toml"', 1)
    before, _, after = text.partition('[policy]\nfile = "policy.toml"')
    text = before + '[policy]\nfile = "policy.toml"' + after.replace('file = ""\n', "", 1)
    text += (
        f'\n[[webhooks]]\nname = "own"\nurl = "http://127.0.0.1:{port}/events"\n'
        'secret_file = "webhook.secret"\nallow_private = true\n'
    )
    config.write_text(text)
    consumer = Consumer(tmp_path / "consumer.sqlite3", config, port)
    open_state(consumer.state).close()
    try:
        for name in (ACME, NOVA, UMBRA):
            town.serve(name)
        consumer.start()
        yield Stage(town, consumer)
    finally:
        consumer.kill()
        for name in list(town.serving):
            town.stop(name)


def yes(ran: Ran) -> Ran:
    assert ExitCode.YES == ran.code, ran
    return ran


def test_a_collision_is_disputed_quarantined_excepted_withdrawn_and_told_once(
    stage: Stage,
) -> None:
    town, consumer = stage.town, stage.consumer
    stage.until(lambda: stage.told("snapshot-end") == 1)
    planted = yes(town.at(ACME, "publish", "--signal", PDQ, "--label", "tvec1")).fields
    (statement,) = (each["id"] for each in planted["published"])
    stage.until(lambda: stage.told("verdict-changed") == 1)
    assert "block" == stage.match_at_umbra()["action"]

    # The benign picture is popular: copies flood in at umbra, whose guard holds the signal back.
    for _ in range(12):
        stage.match_at_umbra()
    stage.until(lambda: stage.told("signal-quarantined") == 1)
    held = stage.match_at_umbra()
    assert ("review", "quarantine") == (held["action"], held["rule"])

    # umbra's own system dies, and misses what comes now.
    consumer.kill()
    yes(town.at(NOVA, "dispute", statement, "--reason", "benign"))
    stage.until(lambda: stage.match_at_umbra()["matches"][0]["verdict"] == "disputed")
    yes(town.at(UMBRA, "quarantine", "except", PDQ))
    excepted = stage.match_at_umbra()
    assert ("allow", "excepted") == (excepted["action"], excepted["rule"])

    consumer.start()
    stage.until(lambda: stage.told("quarantine-ended") == 1)
    consumer.kill()
    consumer.start()
    yes(town.at(ACME, "withdraw", statement, "--reason", "collision"))
    stage.until(lambda: stage.told("verdict-changed") == 3)
    stage.until(lambda: stage.told("verdict-changed", "webhook") == 3)

    everything = everything_told(town)
    happened = ["unknown>positive", "quarantined flood", "positive>disputed", "ended excepted"]
    assert [*happened, "disputed>withdrawn"] == [said(kind, each) for _, kind, each in everything]
    by_feed = [each for each in consumer.taken("feed") if each[1] != "snapshot-end"]
    told = [(event_id, kind) for event_id, kind, _ in everything]
    stage.until(lambda: len(consumer.taken("webhook")) == len(told))
    assert told == by_feed
    assert told == consumer.taken("webhook")
    counts = dict(consumer.ask("SELECT way, count FROM counts"))
    assert {"feed": len(told) + 1, "webhook": len(told)} == counts


def everything_told(town: Town) -> list[tuple[str, str, dict[str, Any]]]:
    """All of umbra's feed, from its beginning: id, kind, content."""
    snapshot = yes(town.run("feed", "--once", "--config", f"{UMBRA}/node.toml"))
    (end,) = [each for each in map(json.loads, snapshot.out.splitlines()) if each["id"]]
    feed_id = end["id"].partition("-")[0]
    told = town.run("feed", "--once", "--cursor", f"{feed_id}-0", "--config", f"{UMBRA}/node.toml")
    lines = map(json.loads, yes(told).out.splitlines())
    return [(each["id"], each["kind"], each["data"]) for each in lines]


def said(kind: str, content: dict[str, Any]) -> str:
    if kind == "verdict-changed":
        return f"{content['before']}>{content['state']}"
    if kind == "signal-quarantined":
        return f"quarantined {content['reason']}"
    return f"ended {content['decision']}" if kind == "quarantine-ended" else kind
