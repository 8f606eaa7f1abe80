"""Rosters and evidence: bytes that were signed, kept for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from federation.local_errors import StoreConflict
from federation.store.evidence_store import EVIDENCE_PER_LOG_MAX, StoredEvidence
from federation.store.roster_store import RIVALS_PER_VERSION_MAX
from federation.store.stores import Stores, open_stores
from tests.builders import NOVA, UMBRA, make_log, make_roster

FOUNDED = make_roster()
ROSTER = FOUNDED.roster


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    federation_id = ROSTER.federation_id
    async with await open_stores(path, member=NOVA, federation_id=federation_id) as opened:
        yield opened


async def test_roster_is_kept_as_the_bytes_that_were_signed(stores: Stores) -> None:
    second = replace(ROSTER, version=2, root_bytes=b"second")
    for roster in (second, ROSTER, ROSTER):
        await stores.rosters.keep(roster)
    assert [ROSTER.root_bytes, b"second"] == await stores.rosters.chain()
    assert ROSTER.root_bytes == await stores.rosters.root(1)
    assert await stores.rosters.root(3) is None


async def test_second_roster_of_one_version_does_not_replace_the_first(stores: Stores) -> None:
    await stores.rosters.keep(ROSTER)
    rival = replace(ROSTER, root_bytes=b"rival")
    with pytest.raises(StoreConflict):
        await stores.rosters.keep(rival)
    assert [ROSTER.root_bytes] == await stores.rosters.chain()
    assert [] == await stores.rosters.rivals()


async def test_rival_rosters_are_kept_as_evidence_up_to_a_limit(stores: Stores) -> None:
    rivals = [replace(ROSTER, root_bytes=b"rival %d" % number) for number in range(20)]
    kept = [await stores.rosters.keep_rival(rival, at_ms) for at_ms, rival in enumerate(rivals)]
    assert [True] * RIVALS_PER_VERSION_MAX + [False] * 12 == kept
    assert not await stores.rosters.keep_rival(rivals[0], 99)
    assert [(1, rival.root_bytes) for rival in rivals[:RIVALS_PER_VERSION_MAX]] == (
        await stores.rosters.rivals()
    )


def _evidence(number: int = 0, member: str = NOVA) -> StoredEvidence:
    log = make_log(founded=FOUNDED, member=member).log
    proof = (bytes(32), b"\x01" * 32) if number % 2 else ()
    return StoredEvidence(log, b"first %d" % number, b"second", proof, 1_000 + number)


async def test_evidence_is_kept_once_whatever_the_order_of_its_notes(stores: Stores) -> None:
    evidence = _evidence(1)
    swapped = replace(evidence, first=evidence.second, second=evidence.first, seen_at_ms=5)
    assert await stores.evidence.keep(evidence)
    assert not await stores.evidence.keep(evidence)
    assert not await stores.evidence.keep(swapped)
    assert [evidence] == await stores.evidence.of_log(evidence.log)
    assert await stores.evidence.keep(replace(evidence, proof=()))


async def test_thief_of_a_key_cannot_fill_the_disk_with_evidence(stores: Stores) -> None:
    kept = [await stores.evidence.keep(_evidence(number)) for number in range(30)]
    assert [True] * EVIDENCE_PER_LOG_MAX + [False] * 14 == kept
    assert await stores.evidence.keep(_evidence(1, UMBRA))
    assert [_evidence(), _evidence(1, UMBRA)] == await stores.evidence.first_of_each()
    assert EVIDENCE_PER_LOG_MAX == len(await stores.evidence.of_log(_evidence().log))
