"""Heavy work of bulk comes one piece at a time, and leaves the loop to others in between."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from federation.daemon.turns import (
    LATE_SECONDS,
    PAUSE_FACTOR,
    PAUSE_SECONDS_MAX,
    REST_SECONDS,
    REST_SECONDS_MAX,
    REST_SHARE,
    ROUNDS,
    Turns,
)
from federation.protocol.origins import Lane


async def test_between_two_pieces_of_bulk_everybody_else_has_some_rounds() -> None:
    turns, happened = Turns(), list[str]()
    is_over = asyncio.Event()

    async def bulk() -> None:
        await turns.wait(Lane.BULK)
        happened.append("bulk")

    async def others() -> None:
        while not is_over.is_set():
            happened.append("round")
            await asyncio.sleep(0)

    watching = asyncio.create_task(others())
    await asyncio.gather(*(bulk() for _ in range(5)))
    is_over.set()
    await watching
    pieces = [at for at, what in enumerate(happened) if what == "bulk"]
    gaps = [later - earlier for earlier, later in pairwise(pieces)]
    assert min(gaps) > ROUNDS


async def test_what_is_urgent_waits_for_no_turn() -> None:
    turns, happened = Turns(), list[str]()

    async def work(lane: Lane) -> None:
        await turns.wait(lane)
        happened.append(lane)

    waiting = [asyncio.create_task(work(Lane.BULK)) for _ in range(3)]
    await asyncio.sleep(0)
    await work(Lane.CRISIS)
    await work(Lane.LIVE)
    assert ["crisis", "live"] == happened
    await asyncio.gather(*waiting)


async def test_bulk_leaves_a_machine_alone_on_which_rounds_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, slept, now = asyncio.get_running_loop(), list[float](), [100.0]
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += LATE_SECONDS  # each round takes so long
        await pause(0)

    monkeypatch.setattr(loop, "time", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await Turns().wait(Lane.BULK)
    expected = PAUSE_FACTOR * ROUNDS * LATE_SECONDS
    assert [*[0] * ROUNDS, pytest.approx(min(expected, PAUSE_SECONDS_MAX))] == slept


class SleptTime:
    """A loop's clock that goes on only where somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 100.0, list[float]()
        self._pause = asyncio.sleep
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds
        await self._pause(0)


async def test_bulk_rests_after_each_step_of_a_crisis(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, time = Turns(), SleptTime(monkeypatch)
    turns.note(Lane.CRISIS)
    await turns.wait(Lane.BULK)
    await turns.wait(Lane.BULK)
    assert [pytest.approx(REST_SECONDS)] == time.slept
    await turns.wait(Lane.CRISIS)  # its own turn is a step, too
    await turns.wait(Lane.BULK)
    assert 2 == len(time.slept)


async def test_bulk_does_not_rest_for_what_is_merely_live(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, time = Turns(), SleptTime(monkeypatch)
    turns.note(Lane.LIVE)
    await turns.wait(Lane.LIVE)
    await turns.wait(Lane.BULK)
    assert not time.slept


async def test_a_flood_of_crisis_statements_leaves_bulk_its_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, time, piece = Turns(), SleptTime(monkeypatch), 0.01
    began = time.now
    for _ in range(1_000):
        turns.note(Lane.CRISIS)
        await turns.wait(Lane.BULK)
        time.now += piece
    passed = time.now - began
    assert passed - 1_000 * piece <= REST_SHARE * passed + REST_SECONDS_MAX + REST_SECONDS
    assert sum(time.slept) > REST_SHARE * passed / 2
