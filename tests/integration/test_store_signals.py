"""Statements by signal and reference, and what is not understood until a later release reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from federation.local_errors.disk import StoreCorrupt
from federation.protocol.bodies import Inert
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.signals import Signal, SignalType
from federation.protocol.statements import Statement, opened_statement
from federation.protocol.statements_writing import encode_header
from federation.store import readings, signal_store
from federation.store.database import Row
from federation.store.readings import READER_VERSION
from federation.store.stores import Stores, open_stores
from tests.builders import (
    NOVA,
    UMBRA,
    MadeLog,
    make_confirm,
    make_header,
    make_log,
    make_roster,
    make_salt,
    make_signal,
    make_statement,
    make_withdraw,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID) as opened:
        yield opened


async def _said(stores: Stores, *statements: Statement, made: MadeLog | None = None) -> MadeLog:
    log = made or make_log(founded=FOUNDED)
    log.say(*statements)
    await stores.logs.append(log.advance())
    return log


def _carrying(number: int, *signals: Signal) -> Statement:
    return make_statement(number, make_confirm(number, signals=signals), federation_id=FID)


async def _carriers(stores: Stores, signal: Signal) -> list[Statement]:
    return [stored.statement for stored in await stores.signals.carriers(signal.type, signal.value)]


async def test_signal_leads_to_the_statements_that_carry_it(stores: Stores) -> None:
    first, second, third = (make_signal(number) for number in range(3))
    one, two, three = _carrying(1, first), _carrying(2, first, second), _carrying(3, second)
    await _said(stores, one, two, three)
    assert [one, two] == await _carriers(stores, first)
    assert [two, three] == await _carriers(stores, second)
    assert [] == await _carriers(stores, third)
    found = await stores.signals.carriers_many(
        [(signal.type, signal.value) for signal in (first, second, third)]
    )
    assert [[1, 2], [2, 3], []] == [
        [stored.index + 1 for stored in carriers] for carriers in found.values()
    ]
    assert {} == await stores.signals.carriers_many([])


async def test_signal_of_many_members_leads_to_all_of_their_logs(stores: Stores) -> None:
    signal = make_signal(1)
    logs = [make_log(founded=FOUNDED, member=member) for member in (NOVA, UMBRA)]
    for made in logs:
        confirm = make_confirm(1, signals=[signal])
        statement = make_statement(1, confirm, member=made.log.member, federation_id=FID)
        await _said(stores, statement, made=made)
    carriers = await stores.signals.carriers(signal.type, signal.value)
    assert [made.log for made in logs] == [stored.log for stored in carriers]


async def test_equal_values_of_two_types_are_two_signals(stores: Stores) -> None:
    value = make_signal(1).value
    pdq, digest = Signal(SignalType.PDQ, value), Signal(SignalType.SHA256, value)
    one, two = _carrying(1, pdq), _carrying(2, digest)
    await _said(stores, one, two)
    assert [one] == await _carriers(stores, pdq)
    assert [two] == await _carriers(stores, digest)


async def test_signals_and_references_that_share_their_key_are_told_apart(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.store.places.hkey_of", lambda digest: digest[0] % 2)
    signals = [make_signal(number) for number in range(20)]
    said = [_carrying(number, signal) for number, signal in enumerate(signals)]
    withdraws = [
        make_withdraw(100 + number, statement.id, federation_id=FID)
        for number, statement in enumerate(said)
    ]
    await _said(stores, *said, *withdraws)
    for number, signal in enumerate(signals):
        assert [said[number]] == await _carriers(stores, signal)
        referring = await stores.signals.references_to([said[number].id])
        assert [withdraws[number]] == [stored.statement for stored in referring]


async def test_statement_leads_to_those_that_refer_to_it(stores: Stores) -> None:
    targets = [make_statement(number, federation_id=FID) for number in range(3)]
    one = make_withdraw(10, targets[0].id, targets[1].id, federation_id=FID)
    two = make_withdraw(11, targets[1].id, federation_id=FID)
    # The withdraw comes before what it withdraws, which is stored or not.
    await _said(stores, one, two, *targets[:2])
    for asked, expected in (
        ([targets[0].id], [one]),
        ([targets[1].id], [one, two]),
        ([target.id for target in targets], [one, two]),
        ([targets[2].id], []),
        ([], []),
    ):
        referring = await stores.signals.references_to(asked)
        assert expected == [stored.statement for stored in referring]


async def test_log_that_repeats_a_signal_is_read_up_to_its_newest_words(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_store, "CARRIERS_PER_LOG_MAX", 5)
    signal = make_signal(1)
    said = [_carrying(number, signal) for number in range(12)]
    await _said(stores, *said)
    other = make_log(founded=FOUNDED, member=UMBRA)
    confirm = make_confirm(1, signals=[signal])
    theirs = make_statement(1, confirm, member=UMBRA, federation_id=FID)
    await _said(stores, theirs, made=other)
    assert [*said[-5:], theirs] == await _carriers(stores, signal)


async def test_withdraw_counts_whatever_its_member_says_later(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_store, "REFERENCES_PER_LOG_MAX", 5)
    target = make_statement(1, federation_id=FID)
    withdraws = [make_withdraw(10 + n, target.id, federation_id=FID) for n in range(12)]
    await _said(stores, target, *withdraws)
    referring = await stores.signals.references_to([target.id])
    assert withdraws[:5] == [stored.statement for stored in referring]


async def test_pages_hold_every_signal_of_every_confirm(stores: Stores) -> None:
    said = [_carrying(n, make_signal(n), make_signal(n, SignalType.MD5)) for n in range(50)]
    made = await _said(stores, *said)
    await _said(stores, make_withdraw(99, said[3].id, federation_id=FID), made=made)
    pages = [page async for page in stores.signals.signals_pages(page_rows=8)]
    expected = [
        (signal_type, make_signal(number, signal_type).value)
        for number in range(50)
        for signal_type in (SignalType.PDQ, SignalType.MD5)
    ]
    assert expected == [key for page in pages for key in page]
    assert 7 == len(pages)


async def test_row_that_lost_its_signal_is_noticed(stores: Stores) -> None:
    signal, target = make_signal(1), make_statement(2, federation_id=FID)
    withdraw = make_withdraw(3, target.id, federation_id=FID)
    await _said(stores, _carrying(1, signal), withdraw)
    async with stores.database.write() as unit:
        other = make_statement(5, federation_id=FID)
        assert other.opening is not None
        await unit.run(
            "UPDATE statements SET header = ?, body = ?", (other.header_bytes, other.opening.body)
        )
    with pytest.raises(StoreCorrupt):
        await _carriers(stores, signal)
    with pytest.raises(StoreCorrupt):
        await stores.signals.references_to([target.id])


async def test_header_that_cannot_be_read_any_more_is_noticed(stores: Stores) -> None:
    await _said(stores, _carrying(1, make_signal(1)))
    async with stores.database.write() as unit:
        await unit.run("UPDATE statements SET header = x'00'")
    with pytest.raises(StoreCorrupt):
        [page async for page in stores.signals.signals_pages()]


# --- not understood yet -------------------------------------------------------------------------


def _unknown_kind(number: int, *references: Statement) -> Statement:
    ids = [reference.id for reference in references]
    header = make_header("endorse", federation_id=FID, references=ids)
    return opened_statement(encode_header(header), make_salt(number), b"\x80")


def _unknown_signal(number: int, known: Signal) -> Statement:
    body: dict[str, Value] = {
        "by": "human",
        "item": f"item-{number}",
        "signals": [{"t": "photodna", "v": b"later"}, {"t": known.type, "v": known.value}],
        "src": "proactive",
    }
    header = encode_header(make_header(federation_id=FID))
    return opened_statement(header, make_salt(number), encode(body))


async def _unread(stores: Stores) -> list[int]:
    rows = await stores.database.read("SELECT place FROM statements WHERE unread ORDER BY place")
    return [place & 0xFFFF for (place,) in rows]


async def test_what_is_not_understood_is_stored_and_found_by_its_id_only(stores: Stores) -> None:
    target, known = make_statement(1, federation_id=FID), make_signal(7)
    strange, partly = _unknown_kind(2, target), _unknown_signal(3, known)
    broken = opened_statement(encode_header(make_header(federation_id=FID)), make_salt(4), b"\xc1")
    made = await _said(stores, target, strange, partly, broken)
    assert [1, 2, 3] == await _unread(stores)
    for said in made.said:
        found = await stores.logs.statement(said.id)
        assert found is not None
        assert said == found.statement
    assert [] == await stores.signals.references_to([target.id])
    assert [partly] == await _carriers(stores, known)
    assert made.said == await stores.logs.statements(made.log, 0, 4, 10**6)
    assert 4 == await stores.check_log(made.log)


async def test_later_release_reads_again_what_an_earlier_one_did_not_understand(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [make_signal(number) for number in range(10)]
    said = [_carrying(number, signal) for number, signal in enumerate(signals)]
    withdraw = make_withdraw(50, said[0].id, federation_id=FID)
    with monkeypatch.context() as earlier:
        earlier.setattr(readings, "plain_signals_of", lambda _header, _body: None)
        earlier.setattr(readings, "read_body", lambda _header, _body: Inert("too new"))
        made = await _said(stores, *said, withdraw, _unknown_kind(60))
    assert [] == await _carriers(stores, signals[0])
    # The same release does not try again: it knows no more than before.
    assert 0 == await stores.signals.read_again(page_rows=3)
    monkeypatch.setattr(signal_store, "READER_VERSION", READER_VERSION + 1)
    assert 11 == await stores.signals.read_again(page_rows=3)
    for number, signal in enumerate(signals):
        assert [said[number]] == await _carriers(stores, signal)
    [referring] = await stores.signals.references_to([said[0].id])
    assert withdraw == referring.statement
    assert [11] == await _unread(stores)
    assert 0 == await stores.signals.read_again()
    assert 12 == await stores.check_log(made.log)


async def test_reading_again_goes_on_after_it_broke_off(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [_carrying(number, make_signal(number)) for number in range(10)]
    with monkeypatch.context() as earlier:
        earlier.setattr(readings, "plain_signals_of", lambda _header, _body: None)
        earlier.setattr(readings, "read_body", lambda _header, _body: Inert("too new"))
        made = await _said(stores, *said)
    monkeypatch.setattr(signal_store, "READER_VERSION", READER_VERSION + 1)
    pages = 0
    index_again = stores.signals._index_again

    async def break_off(rows: Sequence[Row]) -> int:
        nonlocal pages
        pages += 1
        if pages == 3:
            raise StoreCorrupt("broke off")
        return await index_again(rows)

    monkeypatch.setattr(stores.signals, "_index_again", break_off)
    with pytest.raises(StoreCorrupt):
        await stores.signals.read_again(page_rows=3)
    monkeypatch.setattr(stores.signals, "_index_again", index_again)
    assert list(range(6, 10)) == await _unread(stores)
    assert 4 == await stores.signals.read_again(page_rows=3)
    assert 10 == await stores.check_log(made.log)
