"""What each member may ask one after the other: its own bucket, and another one for a crisis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.local_errors.askers import AskedTooMuch
from federation.net.limits import ListenerLimits
from federation.net.rates import BODY_BYTES_PER_UNIT, MemberRates
from federation.net.routes import PeerDesk, Request, Route, find_route
from federation.protocol.origins import Lane

LIMITS = ListenerLimits(
    work_per_second=2.0, work_burst=4.0, crisis_work_per_second=1.0, crisis_work_burst=3.5
)
CRISIS, BULK = b"c" * 32, b"b" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


DESK = cast(
    "PeerDesk",
    SimpleNamespace(
        lane={CRISIS: Lane.CRISIS, BULK: Lane.BULK}.get,
        is_crisis=lambda body: body.startswith(b"crisis"),
    ),
)


def request(member: str, path: str, body: bytes | None = None) -> tuple[PeerDesk, Route, Request]:
    route, parts = find_route("GET" if body is None else "POST", path)
    return DESK, route, Request(member, parts, {}, body or b"")


def waits(call: Any, asked: tuple[PeerDesk, Route, Request]) -> float | None:
    """How long the asker is told to wait; None where it is served."""
    try:
        call(*asked)
    except AskedTooMuch as error:
        return error.retry_after_seconds
    return None


def test_a_member_is_served_its_burst_and_then_its_rate_and_the_others_theirs() -> None:
    clock = Clock()
    rates = MemberRates(LIMITS, clock)
    asked = request("flood", "/roster/1.root.json")
    for _ in range(4):
        assert None is waits(rates.check, asked)
        assert None is waits(rates.take, asked)
    assert 0.5 == waits(rates.check, asked)
    assert None is waits(rates.take, request("honest", "/roster/1.root.json"))
    served = 0
    while clock.now < 100:
        clock.now += 0.25
        served += waits(rates.take, asked) is None
    assert 199 <= served <= 201


def test_what_an_announcement_says_is_work_too_and_is_paid_back() -> None:
    clock = Clock()
    rates = MemberRates(LIMITS, clock)
    news = request("a", "/v1/announce", bytes(9 * BODY_BYTES_PER_UNIT))
    assert None is waits(rates.take, news)
    assert 3.5 == waits(rates.take, news)
    clock.now = 3.5
    assert None is waits(rates.take, news)


def test_a_crisis_is_heard_from_a_member_whose_other_requests_are_too_many() -> None:
    rates = MemberRates(LIMITS, Clock())
    bulk = request("a", f"/v1/logs/{BULK.hex()}/statements")
    crisis = request("a", f"/v1/logs/{CRISIS.hex()}/statements")
    for _ in range(4):
        rates.take(*bulk)
    for refused in (bulk, request("a", "/v1/announce", b"bulk")):
        with pytest.raises(AskedTooMuch):
            rates.take(*refused)
    for each in (crisis, request("a", "/v1/announce", b"crisis"), crisis):
        assert None is waits(rates.check, each)
        assert None is waits(rates.take, each)
    with pytest.raises(AskedTooMuch):
        rates.check(*crisis)
    with pytest.raises(AskedTooMuch):
        rates.take(*request("a", "/v1/announce", b"crisis"))


def test_the_answer_to_a_call_of_this_nodes_own_is_no_work_by_its_length() -> None:
    rates = MemberRates(LIMITS, Clock())
    brought = request("a", "/v1/heads/7", bytes(1_000 * BODY_BYTES_PER_UNIT))
    for _ in range(4):
        assert None is waits(rates.take, brought)
