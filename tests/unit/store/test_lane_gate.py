"""One writes at a time, the most urgent lane first; a cancelled waiter takes nobody's turn away."""

from __future__ import annotations

import asyncio

from federation.protocol.origins import Lane
from federation.store.lane_gate import LaneGate


async def write(gate: LaneGate, lane: Lane, order: list[str], name: str) -> None:
    async with gate.through(lane):
        order.append(name)
        await asyncio.sleep(0)


async def test_the_most_urgent_lane_goes_first_whoever_came_first() -> None:
    gate, order = LaneGate(), list[str]()
    async with gate.through(Lane.BULK):
        tasks = [
            asyncio.create_task(write(gate, lane, order, f"{lane}{number}"))
            for lane in (Lane.BULK, Lane.LIVE, Lane.CRISIS)
            for number in range(2)
        ]
        await asyncio.sleep(0)
        assert [] == order
    await asyncio.gather(*tasks)
    assert ["crisis0", "crisis1", "live0", "live1", "bulk0", "bulk1"] == order


async def test_a_crisis_waits_for_one_write_and_not_for_a_queue_of_them() -> None:
    gate, order = LaneGate(), list[str]()
    bulk = [asyncio.create_task(write(gate, Lane.BULK, order, f"b{each}")) for each in range(20)]
    await asyncio.sleep(0)
    crisis = asyncio.create_task(write(gate, Lane.CRISIS, order, "crisis"))
    await asyncio.gather(crisis, *bulk)
    assert order.index("crisis") <= 2  # one was writing, and the next one's turn had come


async def test_whoever_is_cancelled_while_waiting_holds_nobody_up() -> None:
    gate, order = LaneGate(), list[str]()
    async with gate.through(Lane.BULK):
        gone = asyncio.create_task(write(gate, Lane.CRISIS, order, "gone"))
        stays = asyncio.create_task(write(gate, Lane.LIVE, order, "stays"))
        await asyncio.sleep(0)
        gone.cancel()
    await asyncio.wait_for(stays, 5)
    assert ["stays"] == order


async def test_whoever_is_cancelled_as_his_turn_comes_passes_it_on() -> None:
    gate, order = LaneGate(), list[str]()
    async with gate.through(Lane.BULK):
        gone = asyncio.create_task(write(gate, Lane.CRISIS, order, "gone"))
        stays = asyncio.create_task(write(gate, Lane.LIVE, order, "stays"))
        await asyncio.sleep(0)
    gone.cancel()  # the gate is his by now, and he has not run yet
    await asyncio.wait_for(stays, 5)
    assert ["stays"] == order
    await asyncio.wait_for(write(gate, Lane.BULK, order, "next"), 5)
