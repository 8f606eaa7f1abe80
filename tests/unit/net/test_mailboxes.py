"""Calls that wait for a member which cannot be called: given out at once, again, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from federation.local_errors.askers import CallNotWaiting, RangeNotHeld, TooBusy
from federation.local_errors.peers import PeerAnswerTooLarge, PeerRefused, PeerUnreachable
from federation.net import mailboxes as room
from federation.net.asking import PeerCall
from federation.net.mailboxes import Mailboxes, MailboxLink
from federation.net.refusals import encode_refusal
from federation.protocol.limits_messages import CALL_BODY_BYTES_MAX, CALLS_BYTES_MAX, CALLS_MAX
from federation.protocol.messages_calls import WaitingCall

SECONDS_MAX = 20.0
POST = PeerCall("POST", "/v1/announce", 1_000, body=b"news")


@pytest.fixture
def came() -> list[str]:
    return []


@pytest.fixture
def boxes(came: list[str]) -> Mailboxes:
    return Mailboxes(came.append)


async def polling(
    boxes: Mailboxes, member: str = "o", since: int = 0
) -> asyncio.Task[tuple[WaitingCall, ...]]:
    """A poll that waits already."""
    task = asyncio.create_task(boxes.poll(member, since, SECONDS_MAX))
    await asyncio.sleep(0)
    return task


async def test_a_waiting_poll_gets_a_call_at_once_and_its_answer_comes_back(
    boxes: Mailboxes, came: list[str]
) -> None:
    poll = await polling(boxes)
    asked = asyncio.create_task(MailboxLink("o", boxes).announce(b"news"))
    (call,) = await poll
    assert ("POST", "/v1/announce", b"news") == (call.method, call.target, call.body)
    boxes.bring("o", call.number, 200, b"thanks")
    assert b"thanks" == await asked
    assert ["o"] == came
    with pytest.raises(CallNotWaiting):
        boxes.bring("o", call.number, 200, b"thanks")


async def test_a_call_of_a_range_is_the_request_it_would_have_been(boxes: Mailboxes) -> None:
    poll = await polling(boxes)
    asked = asyncio.create_task(MailboxLink("o", boxes).statements(bytes(32), 0, 2, 3))
    (call,) = await poll
    assert f"/v1/logs/{'00' * 32}/statements?from=0&to=2&at=3" == call.target
    assert "GET" == call.method
    boxes.bring("o", call.number, 409, encode_refusal(RangeNotHeld("I hold less")))
    with pytest.raises(PeerRefused, match="409 \\(range-not-held\\)") as refused:
        await asked
    assert 409 == refused.value.status


async def test_a_refusal_that_is_brought_says_how_long_to_wait(boxes: Mailboxes) -> None:
    poll = await polling(boxes)
    asked = asyncio.create_task(MailboxLink("o", boxes).statements(bytes(32), 0, 2, 3))
    (call,) = await poll
    boxes.bring("o", call.number, 429, encode_refusal(TooBusy("the line is full"), 17))
    with pytest.raises(PeerRefused) as refused:
        await asked
    assert (429, 17.0) == (refused.value.status, refused.value.retry_after_seconds)


async def test_nothing_waits_for_a_member_that_does_not_poll(boxes: Mailboxes) -> None:
    with pytest.raises(PeerUnreachable, match="does not ask"):
        await boxes.call("o", POST)


async def test_a_member_between_two_polls_is_still_there_and_then_gone(
    boxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert () == await boxes.poll("o", 0, 0.0)
    asked = asyncio.create_task(boxes.call("o", POST))
    (call,) = await boxes.poll("o", 0, SECONDS_MAX)
    boxes.bring("o", call.number, 200, b"")
    assert (200, b"") == await asked
    monkeypatch.setattr(room, "POLL_GAP_SECONDS", 0.0)
    with pytest.raises(PeerUnreachable):
        await boxes.call("o", POST)


async def test_a_call_whose_poll_broke_off_is_given_out_again_until_it_arrived(
    boxes: Mailboxes,
) -> None:
    poll = await polling(boxes)
    asked = asyncio.create_task(boxes.call("o", POST))
    (call,) = await poll  # and the answer with it is lost on the way
    assert (call,) == await boxes.poll("o", 0, SECONDS_MAX)
    assert () == await boxes.poll("o", call.number, 0.0)
    boxes.bring("o", call.number, 200, b"")
    await asked


async def test_a_number_of_a_former_process_hides_no_call(boxes: Mailboxes) -> None:
    poll = await polling(boxes)
    asked = asyncio.create_task(boxes.call("o", POST))
    (call,) = await poll
    for since in (1, call.number + 1, 2**53 - 1):
        assert (call,) == await boxes.poll("o", since, SECONDS_MAX)
    boxes.bring("o", call.number, 200, b"")
    await asked


async def test_a_newer_poll_takes_the_place_of_the_one_before(boxes: Mailboxes) -> None:
    older, newer = await polling(boxes), await polling(boxes)
    assert () == await older
    asked = asyncio.create_task(boxes.call("o", POST))
    (call,) = await newer
    boxes.bring("o", call.number, 200, b"")
    await asked


async def test_nobody_brings_the_answer_to_anothers_call(boxes: Mailboxes) -> None:
    poll = await polling(boxes)
    await polling(boxes, "mallory")
    asked = asyncio.create_task(boxes.call("o", POST))
    (call,) = await poll
    for member in ("mallory", "nobody"):
        with pytest.raises(CallNotWaiting):
            boxes.bring(member, call.number, 200, b"lies")
        with pytest.raises(CallNotWaiting):
            boxes.answer_bytes_max(member, call.number)
    boxes.bring("o", call.number, 200, b"truth")
    assert (200, b"truth") == await asked


async def test_an_answer_is_as_long_as_that_calls_may_be(boxes: Mailboxes) -> None:
    poll = await polling(boxes)
    short = PeerCall("GET", "/x", 5_000)
    asked = asyncio.create_task(MailboxLink("o", boxes).ask(short))
    (call,) = await poll
    assert 5_000 == boxes.answer_bytes_max("o", call.number)
    boxes.bring("o", call.number, 200, bytes(5_001))
    with pytest.raises(PeerAnswerTooLarge):
        await asked


async def test_a_removed_members_poll_ends_and_calls_to_it_fail(boxes: Mailboxes) -> None:
    poll, kept = await polling(boxes), await polling(boxes, "kept")
    asked = asyncio.create_task(boxes.call("o", POST))
    await asyncio.sleep(0)
    boxes.keep({"kept"})
    with pytest.raises(PeerUnreachable, match="no longer a peer"):
        await asked
    await poll
    assert not kept.done()
    boxes.close()
    assert () == await kept
    with pytest.raises(TooBusy):
        await boxes.poll("o", 0, SECONDS_MAX)


async def test_what_waits_is_bounded_and_one_answer_stays_below_its_limit(
    boxes: Mailboxes,
) -> None:
    await boxes.poll("o", 0, 0.0)
    large = PeerCall("POST", "/v1/announce", 1_000, body=bytes(CALL_BODY_BYTES_MAX))
    asked = [asyncio.create_task(boxes.call("o", large)) for _ in range(CALLS_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(PeerUnreachable, match="wait for o already"):
        await boxes.call("o", large)
    taken, since = 0, 0
    while taken < CALLS_MAX:
        calls = await boxes.poll("o", since, SECONDS_MAX)
        assert sum(len(call.body or b"") for call in calls) < CALLS_BYTES_MAX
        taken, since = taken + len(calls), calls[-1].number
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert () == await boxes.poll("o", 0, 0.0)
