"""Two histories, a restored backup, a second copy: real processes, real TLS, real SQLite."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.cli.exits import ExitCode
from federation.config import load_config
from federation.protocol.evidence import decode_evidence
from federation.protocol.signals_local import format_signal
from tests.builders import make_signal
from tests.ports import free_ports
from tests.system.hostile_member import FACES
from tests.system.test_operator import PATIENCE_SECONDS, Town

ACME, NOVA, KAPPA, SIGMA = "acme", "nova", "kappa", "sigma"
HONEST = (ACME, NOVA, "umbra", "delta")


def founded(folder: Path, *names: str) -> Town:
    """A federation of these companies, none of them serving yet."""
    town = Town(folder)
    for name in names:
        town.init(name)
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    requests = [f"{name}/join-request.json" for name in names]
    town.change_roster("found", *requests, "--governor", public, configs=names)
    return town


def signal_text(number: int) -> str:
    return format_signal(make_signal(number))


class Refused(Exception):
    """What a node's local API said no with."""


def ask(town: Town, name: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask a node's local API: a hundredth of what a command costs."""
    folder = town.folder / name
    config = load_config(folder / "node.toml")
    token = (folder / config.api.token_file).read_text().strip()
    connection = http.client.HTTPConnection(config.api.listen, timeout=PATIENCE_SECONDS)
    try:
        connection.request(
            "GET" if body is None else "POST",
            path,
            None if body is None else json.dumps(body),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        told: dict[str, Any] = json.load(answer)
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Refused(told["code"])
    return told


def until(town: Town, is_so: Callable[[], bool]) -> None:
    """Wait for something that a node will do by itself."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end, town.logs()
        time.sleep(0.05)


def publish(town: Town, name: str, number: int) -> None:
    signal = {"type": "pdq", "value": signal_text(number).removeprefix("pdq:"), "quality": 80}
    confirm = {"item": f"item-{number}", "signals": [signal], "labels": ["tvec1"]}
    ask(town, name, "/v1/statements", {"confirm": [confirm]})


def knows(town: Town, name: str, number: int) -> bool:
    signal = {"type": "pdq", "value": signal_text(number).removeprefix("pdq:")}
    (result,) = ask(town, name, "/v1/match", {"signals": [signal]})["results"]
    return bool(result["matches"])


def until_known(town: Town, name: str, number: int) -> None:
    until(town, lambda: knows(town, name, number))


def misdeed(town: Town, behaviour: str, name: str, *rest: str) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.system.hostile_member",
            behaviour,
            f"{name}/node.toml",
            *rest,
        ],
        cwd=town.folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def accused(town: Town, name: str) -> set[str]:
    """Whom a node holds evidence against."""
    return {each["member"] for each in ask(town, name, "/v1/evidence")["evidence"]}


def whole_branches(town: Town, name: str) -> int:
    return sum(each["is_whole"] for each in ask(town, name, "/v1/evidence")["branches"])


def alarms(town: Town, name: str) -> set[str]:
    return {each["code"] for each in ask(town, name, "/v1/status")["alarms"]}


# --- two histories ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Six members: four honest nodes serve, two do harm."""
    town = founded(tmp_path_factory.mktemp("six"), *HONEST, KAPPA, SIGMA)
    try:
        for name in HONEST:
            town.serve(name)
        yield town
    finally:
        for name in list(town.serving):
            town.stop(name)


def test_two_histories_convict_their_issuer_alone_and_both_count_everywhere(six: Town) -> None:
    publish(six, ACME, 5_000)
    misdeed(six, "two-faced", SIGMA)
    for name in HONEST:
        until(six, lambda name=name: whole_branches(six, name) == len(FACES))  # type: ignore[misc]
        assert {"sigma.example"} == accused(six, name)
        for numbers in FACES:
            until_known(six, name, numbers[-1])
        until_known(six, name, 5_000)
        assert "fork" in alarms(six, name)
        assert "signing-stopped" not in alarms(six, name)
    # Everything else goes on.
    publish(six, NOVA, 5_001)
    until_known(six, ACME, 5_001)


def test_evidence_is_exported_as_it_was_judged_and_outlives_a_restart(six: Town) -> None:
    listed = six.at(ACME, "evidence", "list").fields["evidence"]
    (first, *_) = listed
    exported = six.run(
        "evidence", "export", first["id"][:16], "--out", "e.json", "--config", f"{ACME}/node.toml"
    )
    assert ExitCode.YES == exported.code, exported.err
    evidence = decode_evidence((six.folder / "e.json").read_bytes())
    assert first["log"] == evidence.origin
    shown = six.at(ACME, "evidence", "show", first["id"])
    assert first["log"] == shown.fields["log"]
    assert 0 == six.stop(ACME)
    six.serve(ACME)
    assert listed == ask(six, ACME, "/v1/evidence")["evidence"]
    assert len(FACES) == whole_branches(six, ACME)


def test_a_member_that_tampers_and_forges_convicts_nobody(six: Town) -> None:
    before = {name: accused(six, name) for name in HONEST}
    misdeed(six, "tamper", KAPPA, "acme.example")
    publish(six, ACME, 5_002)
    for name in HONEST:
        until_known(six, name, 5_002)
        assert before[name] == accused(six, name)
        peers = ask(six, name, "/v1/peers")["peers"]
        faults = {peer["member"]: peer["faults"] for peer in peers}
        assert faults.pop("kappa.example") > 0
        assert set(faults.values()) == {0}, faults


# --- rolling back -------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Town]:
    """acme and nova, serving."""
    town = founded(tmp_path, ACME, NOVA)
    try:
        for name in (ACME, NOVA):
            town.serve(name)
        yield town
    finally:
        for name in list(town.serving):
            town.stop(name)


def own_log(town: Town) -> dict[str, Any]:
    logs = ask(town, ACME, "/v1/recover")["logs"]
    (live,) = (log for log in logs if log["lane"] == "live")
    return dict(live)


@pytest.mark.parametrize("guard", ["kept", "lost"])
def test_a_restored_backup_signs_nothing_until_a_person_has_taken_the_rest_back_in(
    pair: Town, guard: str
) -> None:
    for number in range(2):
        publish(pair, ACME, number)
    until_known(pair, NOVA, 1)
    pair.stop(ACME)
    data, backup = pair.folder / ACME / "data", pair.folder / "backup"
    shutil.copytree(data, backup)
    pair.serve(ACME)
    for number in range(2, 5):
        publish(pair, ACME, number)
    until_known(pair, NOVA, 4)
    pair.stop(ACME)
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    if guard == "lost":
        shutil.rmtree(pair.folder / ACME / "guard")

    pair.serve(ACME)
    with pytest.raises(Refused, match="signing-stopped"):
        publish(pair, ACME, 5)
    assert "signing-stopped" in alarms(pair, ACME)
    # Everything else goes on.
    publish(pair, NOVA, 100)
    until_known(pair, ACME, 100)

    log = own_log(pair)
    (nova,) = log["peers"]
    assert (2, "ahead", 5) == (log["held"], nova["relation"], nova["size"])
    assert (5 if guard == "kept" else None) == log["signed"]
    assert [2, 3, 4] == [each["index"] for each in log["suffix"]]
    too_early = pair.at(ACME, "recover", "go-on")
    assert (ExitCode.NO, "signing-stopped") == (too_early.code, too_early.error)
    adopted = pair.at(ACME, "recover", "adopt", log["log"])
    assert (ExitCode.YES, 3) == (adopted.code, adopted.fields["adopted"])
    assert pair.at(ACME, "recover", "go-on").fields["may_sign"]
    publish(pair, ACME, 5)
    until_known(pair, NOVA, 5)
    until_known(pair, ACME, 3)
    assert 6 == own_log(pair)["held"]
    assert set() == accused(pair, ACME) | accused(pair, NOVA)


def test_a_second_copy_of_a_node_signs_nothing(pair: Town) -> None:
    publish(pair, ACME, 0)
    until_known(pair, NOVA, 0)
    original, copy = pair.folder / ACME, pair.folder / "copy"
    shutil.copytree(original, copy)
    (copy / "data" / "lock").unlink(missing_ok=True)
    config = copy / "node.toml"
    text = config.read_text()
    for key in ("listen",):
        for line in [each for each in text.splitlines() if each.startswith(f'{key} = "127.0.0.1:')]:
            (port,) = free_ports(1)
            text = text.replace(line, f'{key} = "127.0.0.1:{port}"')
    config.write_text(text)
    pair.serve("copy")
    with pytest.raises(Refused, match="signing-stopped"):
        publish(pair, "copy", 1)
    stops = ask(pair, "copy", "/v1/recover")["stops"]
    assert ["second-copy"] == [each["code"] for each in stops]
    # The one that was there first goes on, and nobody sees two histories.
    publish(pair, ACME, 2)
    until_known(pair, NOVA, 2)
    assert set() == accused(pair, ACME) | accused(pair, NOVA) | accused(pair, "copy")
