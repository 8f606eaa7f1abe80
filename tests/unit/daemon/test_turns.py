"""Heavy work of bulk comes one piece at a time, and leaves the loop to others in between."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from federation.daemon.turns import (
    LATE_SECONDS,
    PAUSE_FACTOR,
    PAUSE_SECONDS_MAX,
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
