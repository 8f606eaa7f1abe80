"""What to do about content is decided on all that is near it, and on all signals that it has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from federation.daemon import matcher
from federation.daemon.matcher import MATCHES_MAX
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.store.decision_store import HoldState
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found
from tests.integration.test_federation import flipped
from tests.integration.test_policy_api import House, configure, open_house, publish

A = "a.example"
UPLOADED = make_signal(1)
CONFIRMED = flipped(UPLOADED, 8)
POLICY = """\
version = 1
otherwise = "allow"
[[rules]]
name = "a-person"
action = "block"
[[exceptions]]
name = "our-logo"
signal = "pdq:{}"
distance_max = 4
"""


@pytest.fixture
async def house(found: Found) -> AsyncIterator[House]:
    founded = found([A])
    folder = configure(founded, A)
    (folder / "policy.toml").write_text(POLICY.format(make_signal(9).value.hex()))
    async with AsyncExitStack() as stack:
        yield await open_house(founded, A, stack)


def crowd(count: int) -> list[Signal]:
    """Different signals, all nearer to the uploaded one than the one that a person confirmed."""
    value = int.from_bytes(UPLOADED.value, "big")
    pairs = [(one, other) for one in range(100, 256) for other in range(one)]
    return [
        Signal(SignalType.PDQ, (value ^ (1 << one | 1 << other)).to_bytes(32, "big"))
        for one, other in pairs[:count]
    ]


async def flood(house: House, signals: Sequence[Signal]) -> None:
    """Somebody's program confirms each of them."""
    said = [make_confirm(at, signals=[each]) for at, each in enumerate(signals)]
    automated = [replace(each, confirmer="automated") for each in said]
    for start in range(0, len(automated), 1_000):
        await house.node.publisher.confirm(Lane.BULK, automated[start : start + 1_000])


async def test_a_block_is_not_pushed_out_of_sight_by_many_nearer_signals(house: House) -> None:
    await publish(house, CONFIRMED)
    assert "block" == (await house.match(UPLOADED))["action"]
    await flood(house, crowd(MATCHES_MAX + 500))
    told = await house.match(UPLOADED)
    assert ("block", "a-person") == (told["action"], told["rule"])
    assert MATCHES_MAX == len(told["matches"])


async def test_content_is_excepted_only_where_all_that_is_near_is_excepted(house: House) -> None:
    nearer = crowd(MATCHES_MAX)
    await flood(house, nearer)
    marks = [(each.type, each.identity) for each in nearer]
    await house.node.platform.quarantine.decide(marks, HoldState.EXCEPTED)
    assert "excepted" == (await house.match(UPLOADED))["rule"]
    await publish(house, CONFIRMED)
    assert "a-person" == (await house.match(UPLOADED))["rule"]


async def test_where_more_is_near_than_is_looked_at_a_person_decides(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matcher, "WIDER", (MATCHES_MAX + 1,))
    await flood(house, crowd(MATCHES_MAX + 1))
    assert ("allow", "otherwise") == ((told := await house.match(UPLOADED))["action"], told["rule"])
    await flood(house, crowd(MATCHES_MAX + 2)[-1:])
    assert ("review", "crowded") == ((told := await house.match(UPLOADED))["action"], told["rule"])


async def test_what_one_request_looks_at_is_bounded_however_many_signals_it_has(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matcher, "WIDER", (2 * MATCHES_MAX,))
    monkeypatch.setattr(matcher, "LOOKED_AT_MAX", 2 * MATCHES_MAX)
    await flood(house, crowd(MATCHES_MAX + 1))
    answer = await house.ask("/v1/match", asked([UPLOADED, UPLOADED]))
    assert ["otherwise", "crowded"] == [each["rule"] for each in answer["results"]]


# --- one content ----------------------------------------------------------------------------------


def asked(signals: Iterable[Signal], **more: Any) -> dict[str, Any]:
    return {
        "signals": [{"type": each.type.value, "value": each.value.hex()} for each in signals],
        **more,
    }


async def test_an_exception_for_one_signal_of_a_content_counts_for_all_of_them(
    house: House,
) -> None:
    """Nothing known is near the excepted picture itself: it is its bytes that match."""
    picture, digest = flipped(make_signal(9), 2), make_signal(3, SignalType.SHA256)
    await publish(house, digest)
    one = {"one_content": True}
    excepted = ["nothing-known", "exception:our-logo"]
    ways: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["nothing-known", "a-person"]),
        (one, excepted),
        ({"reference": "upload-1"}, excepted),
    ]
    for more, rules in ways:
        answer = await house.ask("/v1/match", asked([picture, digest], **more))
        assert rules == [each["rule"] for each in answer["results"]]
