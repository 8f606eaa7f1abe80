"""Branches of a forked log: each a whole log to who reads it, and stored once where they agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.local_errors.askers import RangeNotHeld
from federation.local_errors.disk import StoreConflict
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.statements import Statement
from federation.provenance.log_view import LogView
from federation.store.branch_store import BRANCHES_MAX
from federation.store.stores import Stores, open_stores
from tests.builders import NOVA, MadeLog, make_log, make_roster

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FEDERATION) as opened:
        yield opened


def histories(shared: int, one: int, other: int) -> tuple[MadeLog, MadeLog]:
    """Two logs of one name that begin alike."""
    first, second = make_log(founded=FOUNDED), make_log(founded=FOUNDED)
    for made, own, start in ((first, one, 10_000), (second, other, 20_000)):
        made.say_numbers(range(shared))
        made.say_numbers(range(start, start + own))
    return first, second


async def keep(stores: Stores, first: MadeLog, second: MadeLog, shared: int) -> None:
    """Hold one as the first branch and what the other adds as the second."""
    first.advance()
    await stores.logs.append(first.moves[0])
    held = CompactRange().extend(second.leaves[:shared])
    assert held == await stores.trees.edge(first.log, shared) if shared else True
    await stores.branches.open(second.log, 1, base=0, held=held, head=second.head())
    view = LogView(second.log, held)
    step = view.advance(second.head(), second.said[shared:], (), second.verifier)
    await stores.logs.append(step, branch=1)


@pytest.mark.parametrize(
    ("shared", "one", "other"),
    [(0, 3, 5), (1, 1, 1), (5, 2, 9), (256, 3, 300), (257, 10, 1), (700, 5, 600)],
)
async def test_both_histories_are_read_and_proven_whole(
    stores: Stores, shared: int, one: int, other: int
) -> None:
    first, second = histories(shared, one, other)
    await keep(stores, first, second, shared)
    for branch, made in enumerate((first, second)):
        size = len(made.said)
        read: list[Statement] = []
        while len(read) < size:
            read += await stores.logs.statements(made.log, len(read), size, 1 << 24, branch=branch)
        assert made.said == read
        for at in {1, shared, shared + 1, size}:
            if at:
                root = await stores.trees.root_hash(made.log, at, branch=branch)
                assert made.head(at).root_hash == root
                assert (
                    made.head(at).root_hash == (await stores.branches.roots(made.log, at))[branch]
                )
        assert size - (shared if branch else 0) == await checked(stores, made, branch, shared)
    roots = await stores.branches.roots(first.log, shared) if shared else {}
    assert len(set(roots.values())) <= 1  # what they share is one
    head = second.head()
    assert 1 == await stores.branches.branch_of(second.log, head.size, head.root_hash)
    with pytest.raises(RangeNotHeld):
        await stores.branches.branch_of(second.log, head.size, bytes(32))


async def checked(stores: Stores, made: MadeLog, branch: int, shared: int) -> int:
    """How many rows of its own a branch has, all of them as they were written."""
    size = await stores.check_log(made.log, branch)
    return size - (shared if branch else 0)


async def test_what_branches_share_stands_once(stores: Stores) -> None:
    first, second = histories(300, 2, 3)
    await keep(stores, first, second, 300)
    [[rows]] = await stores.database.read("SELECT count(*) FROM statements")
    assert 305 == rows
    places = await stores.logs.places(first.said[0].id)
    assert [(0, 0)] == [(each.branch, each.index) for each in places]
    own = await stores.logs.places(second.said[-1].id)
    assert [(1, 302)] == [(each.branch, each.index) for each in own]


@pytest.mark.parametrize(("opened", "shared"), [(0, 0), (300, 300), (0, 300), (300, 5)])
async def test_a_branch_that_was_opened_and_never_filled_is_opened_again(
    stores: Stores, opened: int, shared: int
) -> None:
    """The disk was full, or the process died, before its first statements were kept."""
    first, second = histories(shared, 310, 5)
    await stores.logs.append(first.advance())
    held = CompactRange().extend(first.leaves[:opened])
    await stores.branches.open(first.log, 1, base=0, held=held, head=first.head())
    held = CompactRange().extend(second.leaves[:shared])
    await stores.branches.open(second.log, 1, base=0, held=held, head=second.head())
    view = LogView(second.log, held)
    step = view.advance(second.head(), second.said[shared:], (), second.verifier)
    await stores.logs.append(step, branch=1)
    assert len(second.said) == await stores.check_log(second.log, 1)
    with pytest.raises(StoreConflict):
        await stores.branches.open(second.log, 1, base=0, held=held, head=second.head())


async def test_only_so_many_branches_are_kept(stores: Stores) -> None:
    first, second = histories(0, 1, 2)
    await keep(stores, first, second, 0)
    with pytest.raises(StoreConflict):
        await stores.branches.open(
            first.log, BRANCHES_MAX, base=0, held=CompactRange(), head=second.head()
        )
    with pytest.raises(StoreConflict):
        await stores.branches.open(first.log, 1, base=0, held=CompactRange(), head=second.head())
