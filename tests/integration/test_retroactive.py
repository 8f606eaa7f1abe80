"""Backwards in time: an upload that came before its signal is found when the signal comes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest

from federation.daemon import retroactive
from federation.daemon.changes import ChangeBatch, FoundEarlier
from federation.daemon.platform import RING_FILE
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import Frame, decode_frames, encode_frames
from tests.builders import make_confirm, make_signal, make_video
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_federation import flipped
from tests.integration.test_policy_api import SIGNAL, A, B, House, configure, open_house

EARLY = str(UUID(int=42))


def remembering(founded: Founded, member: str, signals_max: int = 1_000) -> None:
    config = founded.config_path(member)
    text = config.read_text().replace("signals_max = 0", f"signals_max = {signals_max}")
    config.write_text(text)


async def upload(house: House, reference: str | None, *signals: Signal) -> dict[str, Any]:
    body = {
        "signals": [{"type": each.type.value, "value": _text(each)} for each in signals],
        "reference": reference,
    }
    return await house.ask("/v1/match", body)


def _text(signal: Signal) -> str:
    return signal.value.decode() if signal.type is SignalType.URL else signal.value.hex()


def found_earlier(house: House) -> list[FoundEarlier]:
    return [change for change in house.ear.changes if isinstance(change, FoundEarlier)]


async def until_found(house: House, count: int) -> list[FoundEarlier]:
    async def is_so() -> bool:
        return count <= len(found_earlier(house))

    await until(is_so)
    return found_earlier(house)


async def test_an_upload_is_found_when_its_signal_is_published_at_another_company(
    found: Found,
) -> None:
    founded = found([A, B])
    configure(founded, B)
    remembering(founded, B)
    async with AsyncExitStack() as stack:
        a, b = await open_house(founded, A, stack), await open_house(founded, B, stack)
        exact = make_signal(9, SignalType.SHA256)
        answer = await upload(b, EARLY, flipped(SIGNAL, 12), exact)
        assert ["allow", "allow"] == [each["action"] for each in answer["results"]]
        await upload(b, "another", make_signal(5), make_signal(6, SignalType.URL))
        await upload(b, None, flipped(SIGNAL, 3))
        (said,) = await a.node.publisher.confirm(
            Lane.CRISIS, [make_confirm(1, signals=[SIGNAL, exact])]
        )
        told = sorted(await until_found(b, 2), key=lambda each: each.distance)
        assert [(EARLY, 0, "block"), (EARLY, 12, "block")] == [
            (each.reference, each.distance, each.action) for each in told
        ]
        assert {(said.id,)} == {each.statements for each in told}
        assert EARLY not in repr(told)
        assert SIGNAL.value.hex() not in repr(told)
        uploads = await b.ask("/v1/uploads")
        assert (4, 1_000) == (uploads["signals"], uploads["signals_max"])


async def test_what_the_policy_allows_is_not_told_and_what_was_forgotten_is_not_found(
    found: Found,
) -> None:
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await upload(house, "forgotten", flipped(SIGNAL, 1))
        await upload(house, "kept", flipped(SIGNAL, 2))
        assert {"signals": 1} == await house.ask(
            "/v1/uploads/forget", {"references": ["forgotten"]}
        )
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[SIGNAL])])
        assert ["kept"] == [each.reference for each in await until_found(house, 1)]
        house.write_policy('version = 1\notherwise = "allow"')
        await house.ask("/v1/policy/reload", {})
        other = make_signal(7)
        await upload(house, "allowed", other)
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[other])])
        assert house.node.platform.retroactive is not None
        await house.node.platform.retroactive.until_idle()
        await house.node.platform.teller.until_idle()
        assert ["kept"] == [each.reference for each in found_earlier(house)]
        assert {"signals": 2} == await house.ask("/v1/uploads/forget", {"before_ms": 2**52})


async def test_a_video_is_found_by_its_frames_when_one_that_holds_it_comes_later(
    found: Found,
) -> None:
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    whole = decode_frames(make_video(1, frames=40))
    clip, mostly = whole[10:20], [*whole[:4], *decode_frames(make_video(2, frames=6))]
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        for reference, frames in (("clip", clip), ("mostly-another", mostly)):
            at = [Frame(each.pdq, each.quality, 1_000 * n) for n, each in enumerate(frames)]
            await upload(house, reference, Signal(SignalType.VPDQ, encode_frames(at)))
        video = Signal(SignalType.VPDQ, encode_frames(whole))
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[video])])
        (told,) = await until_found(house, 1)
        assert ("clip", 0, video.identity) == (told.reference, told.distance, told.mark[1])
        assert house.node.platform.retroactive is not None
        await house.node.platform.retroactive.until_idle()
        await house.node.platform.teller.until_idle()
        assert 1 == len(found_earlier(house))


async def test_an_upload_under_way_while_its_signal_came_is_found_by_the_second_look(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searched before the signal was indexed, remembered after the ring was searched."""
    monkeypatch.setattr(retroactive, "LATE_SECONDS", 0.5)
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await upload(house, "first", make_signal(3))
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[SIGNAL])])
        assert house.node.platform.retroactive is not None
        await house.node.platform.retroactive.until_idle()
        assert [] == found_earlier(house)
        house.node.platform.sightings.keep("slow", [SIGNAL], [()])
        assert ["slow"] == [each.reference for each in await until_found(house, 1)]


async def test_more_signals_than_can_wait_and_a_crash_are_made_up_for_by_a_sweep(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retroactive, "WAITING_BYTES_MAX", 2 * retroactive.SIGNAL_BYTES)
    monkeypatch.setattr(retroactive, "PART_ROWS", 3)
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    signals = [make_signal(number, SignalType.PDQ) for number in range(8)]
    signals += [make_signal(8, SignalType.SHA256), make_signal(9, SignalType.MD5)]
    signals += [make_signal(10, SignalType.URL), make_signal(11, SignalType.VPDQ)]
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        for number, signal in enumerate(signals):
            await upload(house, f"upload-{number}", signal)
        await house.node.publisher.confirm(Lane.BULK, [make_confirm(1, signals=signals)])
        told = await until_found(house, len(signals))
        assert {f"upload-{number}" for number in range(12)} == {each.reference for each in told}
        # What was told is not told again by the sweep after a crash.
        assert house.node.platform.retroactive is not None
        await house.node.platform.retroactive.until_idle()
        house.node.platform.retroactive.ring.append("late", (signals[0],), 1)
        monkeypatch.setattr(house.node.platform.retroactive, "close", lambda: None)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert ["late"] == [each.reference for each in await until_found(house, 1)]


async def test_a_reference_that_is_too_long_is_refused_and_nothing_is_remembered(
    found: Found,
) -> None:
    founded = found([A])
    configure(founded, A)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        body = {"signals": [{"type": "pdq", "value": SIGNAL.value.hex()}]}
        for reference in ("x" * 17, "x" * 37, ""):
            asked = {**body, "reference": reference}
            status, answer = await house.api.ask("POST", "/v1/match", asked)
            assert (400, "request-malformed") == (status, answer["code"])
        status, answer = await house.api.ask("GET", "/v1/uploads")
        assert (404, "remembering-off") == (status, answer["code"])
        await upload(house, "fine", SIGNAL)
        assert not (house.node.config.path(house.node.config.data_directory) / RING_FILE).exists()


async def test_what_was_found_and_not_told_before_a_stop_is_told_after_the_next_start(
    found: Found,
) -> None:
    """A sink had a full disk: the upload counts as told when the sink has kept it."""
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        await upload(house, EARLY, SIGNAL)
        house.ear.failures = 1_000_000
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[SIGNAL])])
        looking = house.node.platform.retroactive
        assert looking is not None
        await looking.until_idle()
        assert [] == found_earlier(house)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert [EARLY] == [each.reference for each in await until_found(house, 1)]
        await house.node.platform.teller.until_idle()
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert house.node.platform.retroactive is not None
        assert house.node.platform.retroactive.ring.was_closed


async def test_a_flood_that_comes_while_the_ring_is_swept_is_swept_for_too(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one, too, is beyond what can wait, and the sweep's first part had begun."""
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)
    first, second = make_signal(1), make_signal(2)
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        monkeypatch.setattr(retroactive, "WAITING_BYTES_MAX", 0)
        await upload(house, "first", first)
        await upload(house, "second", second)
        looking = house.node.platform.retroactive
        assert looking is not None
        sweep_exact = looking._sweep_exact
        others = iter([second])

        async def with_another_flood(*args: Any) -> list[int]:
            for signal in others:
                await house.node.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[signal])])
            return await sweep_exact(*args)

        monkeypatch.setattr(looking, "_sweep_exact", with_another_flood)
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[first])])
        assert ["first", "second"] == [each.reference for each in await until_found(house, 2)]


async def test_what_a_bug_kept_from_being_told_is_told_by_the_next_sweep_or_start(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    founded = found([A])
    configure(founded, A)
    remembering(founded, A)

    async def meet_a_bug(batch: ChangeBatch) -> None:
        if any(isinstance(change, FoundEarlier) for change in batch.changes):
            raise RuntimeError("a bug")

    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        looking = house.node.platform.retroactive
        assert looking is not None
        await upload(house, EARLY, SIGNAL)
        monkeypatch.setattr(house.ear, "keep", meet_a_bug)
        await house.node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[SIGNAL])])
        await looking.until_idle()
        await house.node.platform.teller.until_idle()
        assert not looking._telling
        monkeypatch.undo()
        looking._idle.clear()
        looking._sweep_anew()
        looking._wake.set()
        assert [EARLY] == [each.reference for each in await until_found(house, 1)]
    async with AsyncExitStack() as stack:
        house = await open_house(founded, A, stack)
        assert house.node.platform.retroactive is not None
        assert not house.node.platform.retroactive.ring.was_closed
