"""Crisis waves: each second, until three members hold it, and never for ever."""

from __future__ import annotations

from federation.gossip.waves import RECEIPTS_ENOUGH, WAVE_SECONDS, WAVES_MAX, Waves
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, FEDERATION_ID

LOG = LogId(ACME, FEDERATION_ID, Lane.CRISIS)


def begun(size: int = 3) -> Waves:
    waves = Waves()
    waves.begin(LOG, size, (), 0.0)
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


def test_receipts_on_an_older_head_do_not_count_for_a_newer_one() -> None:
    waves = begun(size=3)
    for name in ("a", "b"):
        waves.note_receipt(LOG, name, 3)
    waves.begin(LOG, 4, (), 0.5)
    for name in ("b", "c"):
        waves.note_receipt(LOG, name, 4)
    assert waves.next_wake() is not None
    waves.note_receipt(LOG, "a", 4)
    assert waves.next_wake() is None


def test_statements_that_follow_each_other_faster_than_waves_do_not_put_them_off() -> None:
    waves, sent = Waves(), list[tuple[float, int]]()
    for tenth in range(600):  # a statement each 0.9 s for a minute, and nobody gives a receipt
        now = tenth / 10
        if tenth % 9 == 0:
            waves.begin(LOG, tenth // 9 + 1, (), now)
        sent += [(now, wave.size) for _, wave in waves.take(now)]
    assert [float(second) for second in range(1, 60)] == [at for at, _ in sent]
    assert [int(at * 10) // 9 + 1 for at, _ in sent] == [size for _, size in sent]


def test_a_newer_head_goes_on_with_those_whose_turn_it_is_and_for_its_own_ten_waves() -> None:
    waves = Waves()
    waves.begin(LOG, 1, ["a"], 0.0)
    ((_, wave),) = waves.take(WAVE_SECONDS)
    waves.begin(LOG, 2, ["b"], WAVE_SECONDS)
    assert {"a", "b"} == wave.told
    sent = 0
    while (at := waves.next_wake()) is not None:
        sent += len(waves.take(at))
    assert WAVES_MAX == sent
