"""Crisis waves: each second, until three members hold it, and never for ever."""

from __future__ import annotations

from federation.gossip.waves import RECEIPTS_ENOUGH, WAVE_SECONDS, WAVES_MAX, Waves
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, FEDERATION_ID

LOG = LogId(ACME, FEDERATION_ID, Lane.CRISIS)


def begun(size: int = 3) -> Waves:
    waves = Waves()
    waves.begin(LOG, size, 0.0)
    return waves


def test_waves_come_each_second_and_end() -> None:
    waves, sent = begun(), list[float]()
    while (at := waves.next_wake()) is not None:
        assert [] == waves.take(at - 0.01)
        assert 1 == len(waves.take(at))
        sent.append(at)
    assert [WAVE_SECONDS * (number + 1) for number in range(WAVES_MAX)] == sent


def test_receipts_of_three_different_members_end_them() -> None:
    waves = begun(size=3)
    for _ in range(RECEIPTS_ENOUGH):
        waves.note_receipt(LOG, "nova.example", 3)
    waves.note_receipt(LOG, "umbra.example", 2)  # on an older head: it may lack what is urgent
    assert waves.next_wake() is not None
    waves.note_receipt(LOG, "umbra.example", 4)
    waves.note_receipt(LOG, "delta.example", 3)
    assert waves.next_wake() is None


def test_a_newer_head_takes_the_older_ones_place() -> None:
    waves = begun(size=3)
    for name in ("a", "b"):
        waves.note_receipt(LOG, name, 3)
    waves.begin(LOG, 4, 0.5)
    waves.note_receipt(LOG, "c", 4)
    assert 0.5 + WAVE_SECONDS == waves.next_wake()
