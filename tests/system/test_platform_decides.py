"""A collision planted at one company, from its publishing to its end at two others.

acme publishes a signal that a harmless picture collides with. nova looks at a match, rejects it
and disputes it; at umbra, whose policy takes acme's word all the same, it floods and is
quarantined; umbra excepts the picture by its policy; acme withdraws. Each company is a process, and
everything is done with the program that operators have.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.cli.exits import ExitCode
from tests.builders import make_signal
from tests.integration.test_federation import flipped
from tests.system.test_operator import ACME, NOVA, UMBRA, Ran, Town

SIGNAL = make_signal(77)
COLLIDING = "pdq:" + flipped(SIGNAL, 9).value.hex()
KNOWN = "pdq:" + SIGNAL.value.hex()
NOVAS = """\
version = 1
[findings]
publish_dispute = true
[[rules]]
name = "a-persons-word"
action = "block"
"""
UMBRAS = """\
version = 1
[flood]
matches = 6
window_minutes = 60
[[rules]]
name = "takes-anybodys-word"
action = "block"
disputes_max = 3
"""
EXCEPTION = f"""
[[exceptions]]
name = "harmless-picture"
signal = "{COLLIDING}"
distance_max = 2
"""


def with_policy(town: Town, name: str, policy: str) -> None:
    """Give a company a policy, and a feed."""
    folder = town.folder / name
    (folder / "policy.toml").write_text(policy)
    config = folder / "node.toml"
    text = config.read_text().replace('\nfile = ""', '\nfile = "policy.toml"')
    config.write_text(text.replace("enabled = false", "enabled = true"))


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    names = (ACME, NOVA, UMBRA)
    for name in names:
        town.init(name)
    with_policy(town, NOVA, NOVAS)
    with_policy(town, UMBRA, UMBRAS)
    public = town.run("roster", "governor", "governor.key", "--json").fields["public"]
    requests = [f"{name}/join-request.json" for name in names]
    town.change_roster("found", *requests, "--governor", public, configs=names)
    try:
        for name in names:
            town.serve(name)
        yield town
    finally:
        for name in list(town.serving):
            town.stop(name)


def told_since(town: Town, name: str, cursor: str) -> list[dict[str, Any]]:
    """What a company's feed told since a cursor."""
    ran = town.run("feed", "--cursor", cursor, "--config", f"{name}/node.toml")
    assert ExitCode.YES == ran.code, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def cursor_of(town: Town, name: str) -> str:
    """Where a company's feed stands now."""
    ran = town.run("feed", "--config", f"{name}/node.toml")
    ids = [json.loads(line)["id"] for line in ran.out.splitlines()]
    (cursor,) = [each for each in ids if each][-1:]
    return str(cursor)


def state_at(town: Town, name: str, state: str) -> None:
    """Wait until a company's node says that of the signal."""

    def is_so(ran: Ran) -> bool:
        return bool(ran.fields.get("verdicts")) and state == ran.fields["verdicts"][0]["state"]

    town.poll(lambda: town.at(name, "verdict", KNOWN), is_so)


def test_a_planted_collision_is_disputed_quarantined_excepted_and_withdrawn(trio: Town) -> None:
    before = cursor_of(trio, UMBRA)
    published = trio.at(ACME, "publish", "--signal", f"{KNOWN}@90", "--label", "tvec1")
    statement = published.fields["published"][0]["id"]
    for name in (NOVA, UMBRA):
        state_at(trio, name, "positive")
    is_disputed_by_nova(trio, statement)
    is_quarantined_at_umbra(trio, statement)
    is_excepted_by_umbras_policy(trio)
    trio.at(ACME, "withdraw", statement, "--reason", "collision")
    for name in (NOVA, UMBRA):
        state_at(trio, name, "withdrawn")
    told = told_since(trio, UMBRA, before)
    states = [each["data"]["state"] for each in told if each["kind"] == "verdict-changed"]
    assert ["positive", "disputed", "withdrawn"] == states
    kinds = [each["kind"] for each in told]
    assert 1 == kinds.count("signal-quarantined")
    assert 1 == kinds.count("policy-replaced")


def decided(town: Town, name: str) -> tuple[str, str]:
    """What a company does about the harmless picture, and by which rule."""
    (result,) = town.at(name, "match", "--signal", COLLIDING).fields["results"]
    return result["action"], result["rule"]


def is_disputed_by_nova(town: Town, statement: str) -> None:
    """nova looks at a match, and it was wrong: kept there, and told to everybody."""
    assert ("block", "a-persons-word") == decided(town, NOVA)
    found = town.at(NOVA, "reject-match", statement, "--reason", "collision").fields
    assert 1 == len(found["found"][0]["published"])
    assert ("review", "rejected") == decided(town, NOVA)
    state_at(town, UMBRA, "disputed")


def is_quarantined_at_umbra(town: Town, statement: str) -> None:
    """umbra acts on it all the same, until it floods."""
    copies = [part for _ in range(6) for part in ("--signal", COLLIDING)]
    assert "block" == town.at(UMBRA, "match", *copies).fields["action"]
    held = town.poll(
        lambda: town.at(UMBRA, "quarantine", "list"), lambda ran: ran.code == ExitCode.YES
    )
    assert [("flood", [statement])] == [
        (each["reason"], each["statements"]) for each in held.fields["signals"]
    ]
    assert ("review", "quarantine") == decided(town, UMBRA)
    status = town.at(UMBRA, "status")
    assert ExitCode.NO == status.code, "somebody should look"
    assert KNOWN.partition(":")[2] not in status.out + town.logs()


def is_excepted_by_umbras_policy(town: Town) -> None:
    """A policy that means nothing changes nothing; the next one is tried, then taken on."""
    policy = town.folder / UMBRA / "policy.toml"
    policy.write_text(UMBRAS + EXCEPTION.replace("distance_max", "distance"))
    refused = town.at(UMBRA, "policy", "reload")
    assert (ExitCode.MISUSE, "policy-invalid") == (refused.code, refused.error)
    assert "line 13: " in refused.fields["error"]["message"]
    policy.write_text(UMBRAS + EXCEPTION)
    assert town.at(UMBRA, "policy", "check", str(policy)).fields["members_checked"]
    tried = town.at(UMBRA, "policy", "test", str(policy))
    assert [{"before": "review", "after": "review", "count": 1}] == tried.fields["stored"]
    assert ("review", "quarantine") == decided(town, UMBRA)
    town.serving[UMBRA].send_signal(signal.SIGHUP)

    def is_excepted(ran: Ran) -> bool:
        (result,) = ran.fields["results"]
        return ("allow", "exception:harmless-picture") == (result["action"], result["rule"])

    town.poll(lambda: town.at(UMBRA, "match", "--signal", COLLIDING), is_excepted)
