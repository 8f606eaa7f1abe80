"""Searching so that nobody else has to wait: floods of copies, large requests, hidden matches."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from federation.daemon.searching import BESIDE_FROM, Thresholds, search_index
from federation.matching.index import SignalIndex
from federation.matching.pdq_view import PdqView
from federation.matching.video_search import VideoSearch
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import Frame, encode_frames

COPIES = 10_000
FRAMES = 6


def flipped(rng: random.Random, pdq: bytes, bits: int) -> bytes:
    value = int.from_bytes(pdq, "big")
    for bit in rng.sample(range(256), bits):
        value ^= 1 << bit
    return value.to_bytes(32, "big")


def film(pdqs: list[bytes]) -> bytes:
    return encode_frames([Frame(pdq, 80, 1_000 * at) for at, pdq in enumerate(pdqs)])


@pytest.fixture
def searched_in(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which searches ran."""
    threads: list[threading.Thread] = []

    def noted(search: Callable[..., Any]) -> Callable[..., Any]:
        def run(*asked: Any, **how: Any) -> Any:
            threads.append(threading.current_thread())
            return search(*asked, **how)

        return run

    monkeypatch.setattr(VideoSearch, "run", noted(VideoSearch.run))
    monkeypatch.setattr(PdqView, "search_many", noted(PdqView.search_many))
    return threads


async def test_a_flood_of_ten_thousand_copies_is_counted_beside_the_event_loop(
    searched_in: list[threading.Thread],
) -> None:
    """All copies are found, other requests are answered meanwhile, and signals come and go."""
    rng = random.Random(7)
    original = [rng.randbytes(32) for _ in range(FRAMES)]
    copies = [film([flipped(rng, pdq, 4) for pdq in original]) for _ in range(COPIES)]
    index = SignalIndex()
    index.add_many("vpdq", copies)
    asked = Signal(SignalType.VPDQ, film(original))
    search = asyncio.create_task(search_index(index, [asked], Thresholds(), 64))
    others = 0
    while not search.done():
        await search_index(index, [Signal(SignalType.SHA256, bytes(32))], Thresholds(), 64)
        index.add("vpdq", film([rng.randbytes(32)]))
        others += 1
        await asyncio.sleep(0)
    (found,) = await search
    assert COPIES == found.total
    assert 64 == len(found.nearest)
    assert others > 1
    assert [threading.main_thread()] != searched_in[:1]


async def test_a_large_request_is_searched_beside_and_a_small_one_here(
    searched_in: list[threading.Thread],
) -> None:
    index, rng = SignalIndex(), random.Random(8)
    known = [rng.randbytes(32) for _ in range(BESIDE_FROM)]
    index.add_many("pdq", known)
    signals = [Signal(SignalType.PDQ, flipped(rng, value, 31)) for value in known]
    found = await search_index(index, signals, Thresholds(), 64)
    assert [1] * BESIDE_FROM == [matches.total for matches in found]
    found = await search_index(index, signals[:1], Thresholds(), 64)
    assert [1] == [matches.total for matches in found]
    assert [False, True] == [each is threading.main_thread() for each in searched_in]


async def test_answers_come_in_the_order_of_the_signals_whatever_their_types() -> None:
    index = SignalIndex()
    values = {SignalType.PDQ: 32, SignalType.SHA256: 32, SignalType.MD5: 16}
    signals = [
        Signal(kind, bytes([number]) * length)
        for number in range(4)
        for kind, length in values.items()
    ]
    for signal in signals[::2]:
        index.add(signal.type, signal.value)
    found = await search_index(index, signals, Thresholds(0), 64)
    assert [1, 0] * (len(signals) // 2) == [matches.total for matches in found]
