"""Rosters and evidence: bytes that were signed, kept for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from federation.local_errors.disk import StoreConflict
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.evidence import encode_evidence, make_evidence
from federation.protocol.keys import check_ed25519
from federation.protocol.origins import Lane, LogId
from federation.provenance.convicting import Conviction, open_evidence
from federation.store.evidence_store import EVIDENCE_PER_LOG_MAX, StoredEvidence
from federation.store.roster_store import RIVALS_PER_VERSION_MAX
from federation.store.stores import Stores, open_stores
from tests.builders import ACME, NOVA
from tests.vectors.make_evidence import FOUNDED, one_size, two_sizes

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


def convict(encoded: bytes) -> Conviction:
    return open_evidence(encoded, ROSTER, check_ed25519)


def numbered(number: int, lane: Lane = Lane.LIVE) -> Conviction:
    """Evidence of that number against a log of acme's, which signed two roots of a size."""
    log = LogId(ACME, ROSTER.federation_id, lane)
    key = FOUNDED.companies[ACME].keys[lane]
    one, other = (
        sign_checkpoint(Checkpoint(log.origin, number + 1, bytes([side] * 32)), key)
        for side in (1, 2)
    )
    return convict(encode_evidence(make_evidence(one, other)))


@pytest.mark.parametrize("encoded", [one_size(5), two_sizes(3, 7), two_sizes(4, 8)])
async def test_evidence_is_kept_once_and_given_back_as_the_file_it_was(
    stores: Stores, encoded: bytes
) -> None:
    conviction = convict(encoded)
    assert await stores.evidence.keep(conviction, 1_000)
    assert not await stores.evidence.keep(conviction, 2_000)
    assert [StoredEvidence(conviction.log, encoded, 1_000)] == await stores.evidence.all()
    assert frozenset({conviction.log}) == stores.evidence.accused


async def test_who_is_accused_is_known_after_a_restart(tmp_path: Path) -> None:
    path, federation_id = tmp_path / "node.sqlite", ROSTER.federation_id
    conviction = convict(two_sizes(3, 7))
    async with await open_stores(path, member=NOVA, federation_id=federation_id) as stores:
        await stores.evidence.keep(conviction, 1_000)
    async with await open_stores(path, member=NOVA, federation_id=federation_id) as stores:
        await stores.evidence.load()
        assert frozenset({conviction.log}) == stores.evidence.accused
        (kept,) = await stores.evidence.of_log(conviction.log)
        assert conviction == convict(kept.encoded)


async def test_thief_of_a_key_cannot_fill_the_disk_with_evidence(stores: Stores) -> None:
    kept = [await stores.evidence.keep(numbered(number), number) for number in range(30)]
    assert [True] * EVIDENCE_PER_LOG_MAX + [False] * 14 == kept
    bulk = numbered(1, Lane.BULK)
    assert await stores.evidence.keep(bulk, 99)
    first = await stores.evidence.first_of_each()
    assert [numbered(0).encoded, bulk.encoded] == [each.encoded for each in first]
    assert EVIDENCE_PER_LOG_MAX == len(await stores.evidence.of_log(numbered(0).log))
