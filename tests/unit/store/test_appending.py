"""The rows of an append, without a database."""

from __future__ import annotations

import pytest

from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle_growth import NodeRun
from federation.protocol.signals import SignalType
from federation.store.appending import (
    EXTEND_TILE,
    INSERT_ID,
    INSERT_SIGNAL,
    INSERT_STATEMENT,
    IndexRows,
    _tile_rows,
    append_steps,
)
from federation.store.readings import Reading
from tests.builders import make_confirm, make_log, make_signal, make_statement


def _digests(start: int, count: int) -> tuple[bytes, ...]:
    return tuple(number.to_bytes(32, "big") for number in range(start, start + count))


def test_rows_of_random_keys_come_sorted() -> None:
    made = make_log(50)
    steps = dict(append_steps([(1, made.moves[0])], []))
    for table in (INSERT_ID, INSERT_SIGNAL):
        assert sorted(steps[table]) == steps[table]
        assert len(steps[table]) == 50
    assert [row[0] for row in steps[INSERT_STATEMENT]] == sorted(
        row[0] for row in steps[INSERT_STATEMENT]
    )


def test_one_signal_of_two_statements_is_one_key_with_two_places() -> None:
    made = make_log()
    signals, fid = [make_signal(1), make_signal(1, SignalType.MD5)], made.log.federation_id
    made.say(make_statement(1, make_confirm(signals=signals), federation_id=fid))
    made.say(make_statement(2, make_confirm(signals=signals[:1]), federation_id=fid))
    rows = dict(append_steps([(1, made.advance())], []))[INSERT_SIGNAL]
    assert len({hkey for hkey, _ in rows}) == 2
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("start", "count", "widths"),
    [
        (0, 1, [1]),
        (0, TILE_WIDTH, [TILE_WIDTH]),
        (TILE_WIDTH - 1, 2, [1, 1]),
        (10, 2 * TILE_WIDTH, [TILE_WIDTH - 10, TILE_WIDTH, 10]),
    ],
)
def test_run_is_cut_at_tile_boundaries(start: int, count: int, widths: list[int]) -> None:
    hashes = _digests(start, count)
    rows = list(_tile_rows(3, [NodeRun(1, start, hashes)]))
    assert [len(row[3]) // 32 for row in rows] == widths
    assert b"".join(row[3] for row in rows) == b"".join(hashes)
    assert [row[2] for row in rows] == list(
        range(start // TILE_WIDTH, start // TILE_WIDTH + len(rows))
    )


def test_leaf_hashes_are_not_stored() -> None:
    assert list(_tile_rows(3, [NodeRun(0, 0, _digests(0, 300))])) == []
    made = make_log(300)
    assert [row[1] for row in dict(append_steps([(1, made.moves[0])], []))[EXTEND_TILE]] == [1]


def test_statement_with_one_hkey_twice_gets_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.store.places.hkey_of", lambda _: 5)
    index = IndexRows()
    index.add(1, Reading(is_whole=True, signals=((SignalType.PDQ, b"a"), (SignalType.PDQ, b"b"))))
    assert index.signals == [(5, 1)]
