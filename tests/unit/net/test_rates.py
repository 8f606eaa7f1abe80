"""What each member may ask one after the other: its own bucket, and another one for a crisis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

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


def waits(rates: MemberRates, asked: tuple[PeerDesk, Route, Request]) -> float | None:
    """How long the asker is told to wait; None where it is served."""
    try:
        rates.begin(*asked)
        rates.take(*asked)
    except AskedTooMuch as error:
        return error.retry_after_seconds
    return None


def test_a_member_is_served_its_burst_and_then_its_rate_and_the_others_theirs() -> None:
    clock = Clock()
    rates = MemberRates(LIMITS, clock)
    asked = request("flood", "/roster/1.root.json")
    for _ in range(4):
        assert None is waits(rates, asked)
    assert 0.5 == waits(rates, asked)
    assert None is waits(rates, request("honest", "/roster/1.root.json"))
    served = 0
    while clock.now < 100:
        clock.now += 0.25
        served += waits(rates, asked) is None
    assert 199 <= served <= 201


@pytest.mark.parametrize("path", ["/v1/announce", "/v1/digest"])
def test_what_a_body_says_is_work_too_and_is_paid_back(path: str) -> None:
    clock = Clock()
    rates = MemberRates(LIMITS, clock)
    news = request("a", path, bytes(9 * BODY_BYTES_PER_UNIT))
    assert None is waits(rates, news)
    assert 3.5 == waits(rates, news)
    clock.now = 3.5
    assert None is waits(rates, news)


def test_a_request_whose_body_never_comes_is_counted() -> None:
    rates = MemberRates(LIMITS, Clock())
    asked = request("a", "/v1/digest", b"")
    for _ in range(4):
        rates.begin(*asked)
    with pytest.raises(AskedTooMuch):
        rates.begin(*asked)


def test_a_crisis_is_heard_from_a_member_whose_other_requests_are_too_many() -> None:
    rates = MemberRates(LIMITS, Clock())
    bulk = request("a", f"/v1/logs/{BULK.hex()}/statements")
    crisis = request("a", f"/v1/logs/{CRISIS.hex()}/statements")
    news = request("a", "/v1/announce", b"crisis")
    for _ in range(4):
        assert None is waits(rates, bulk)
    for refused in (bulk, request("a", "/v1/announce", b"bulk")):
        assert None is not waits(rates, refused)
    for each in (crisis, news, crisis):
        assert None is waits(rates, each)
    for each in (crisis, news):
        assert None is not waits(rates, each)


def test_the_answer_to_a_call_of_this_nodes_own_is_no_work() -> None:
    rates = MemberRates(LIMITS, Clock())
    brought = request("a", "/v1/heads/7", bytes(1_000 * BODY_BYTES_PER_UNIT))
    for _ in range(100):
        assert None is waits(rates, brought)


def test_the_answer_to_a_call_of_this_nodes_own_is_taken_from_a_member_that_asked_too_much() -> (
    None
):
    """A crisis announcement's answer has the receipt: refused, it would be lost."""
    rates = MemberRates(LIMITS, Clock())
    asked = request("a", "/roster/1.root.json")
    for _ in range(4):
        assert None is waits(rates, asked)
    assert None is waits(rates, request("a", "/v1/heads/7", b"answer"))
    assert 0.5 == waits(rates, asked)


def test_answers_that_nobody_asked_for_are_counted() -> None:
    rates = MemberRates(LIMITS, Clock())
    for _ in range(4):
        rates.begin(*request("a", "/v1/heads/7", b"answer"))  # nobody waits: it ends there
    assert None is not waits(rates, request("a", "/roster/1.root.json"))
