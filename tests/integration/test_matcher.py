"""The matcher's index, while several members speak of one signal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.daemon.matcher import Matcher
from federation.daemon.membership import Membership
from federation.daemon.view_reader import ViewReader
from federation.local_errors.disk import StoreCorrupt
from federation.matching.index import SignalIndex
from federation.protocol.headers import StatementId
from federation.protocol.origins import LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance
from federation.store.places import StoredStatement
from federation.store.stores import Stores, open_stores
from tests.builders import (
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_log,
    make_roster,
    make_signal,
    make_withdraw,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


def _new_year() -> int:
    return NEW_YEAR_2026_MS


@asynccontextmanager
async def matching(folder: Path) -> AsyncIterator[tuple[Stores, SignalIndex, Matcher]]:
    """A matcher over an empty store of umbra's."""
    async with await open_stores(folder / "db", member=UMBRA, federation_id=FID) as stores:
        membership = Membership(RosterChain.trust(FOUNDED.roster.root_bytes), stores.rosters)
        reader = ViewReader(stores.signals, stores.evidence, membership, _new_year)
        index = SignalIndex()
        yield stores, index, Matcher(index, stores.signals, stores.logs, reader, _new_year)


async def test_what_cannot_be_counted_again_of_one_log_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with matching(tmp_path) as (stores, index, matcher):
        spans, signals = [], []
        for at, member in enumerate((UMBRA, NOVA)):
            made = make_log(founded=FOUNDED, member=member)
            made.say_numbers([at])
            taking = make_withdraw(9 + at, made.said[0].id, federation_id=FID, member=member)
            made.say(taking)
            await stores.logs.append(made.advance())
            spans.append((made.log, 0, 0, 2))
            signals.append(make_signal(at))
        statements, damaged = stores.logs.statements, spans[0][0]

        async def of_sound_logs(log: LogId, *given: Any, **named: Any) -> list[Statement]:
            if log == damaged:
                raise StoreCorrupt("a row is damaged")
            return await statements(log, *given, **named)

        with monkeypatch.context() as patched:
            patched.setattr(stores.logs, "statements", of_sound_logs)
            await matcher.recount(spans)
            assert [False, True] == [index.holds(each.type, each.value) for each in signals]
        await matcher.recount([])
        assert all(index.holds(each.type, each.value) for each in signals)


async def test_a_confirm_that_comes_while_a_withdraw_is_looked_at_goes_on_matching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with matching(tmp_path) as (stores, index, matcher):

        async def absorb(step: Advance) -> None:
            await stores.logs.append(step)
            await matcher.absorb(step)

        made, other = make_log(1, founded=FOUNDED), make_log(1, founded=FOUNDED, member=NOVA)
        await absorb(made.moves[0])
        made.say(make_withdraw(9, made.said[0].id, federation_id=FID))
        references_to = stores.signals.references_to

        async def after_the_other_confirmed(
            ids: Iterable[StatementId],
        ) -> list[StoredStatement]:
            monkeypatch.undo()
            await absorb(other.moves[0])
            return await references_to(ids)

        monkeypatch.setattr(stores.signals, "references_to", after_the_other_confirmed)
        await absorb(made.advance())
        signal = make_signal(0)
        assert index.holds(signal.type, signal.value)
        other.say(make_withdraw(10, other.said[0].id, federation_id=FID, member=NOVA))
        await absorb(other.advance())
        assert not index.holds(signal.type, signal.value)
