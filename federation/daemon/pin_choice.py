"""Where a member's logs could end: what this node can tell governance before it decides.

A pin is chosen where a checkpoint is held, so that everybody can be shown it. "Since T" takes the
largest head that other members had signed for before T: a thief can date his own statements as he
likes, and nobody else's receipts.

Source: docs/spec/roster.md; docs/internals/membership.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from federation.daemon.membership import Membership
from federation.errors import VerificationError
from federation.local_errors.askers import LogNotFound
from federation.protocol.bodies import Kind
from federation.protocol.headers import StatementId, decode_header
from federation.protocol.origins import LogId
from federation.protocol.roster_members import EMPTY_PIN, Pin
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stores import Stores

NAMED_MAX: Final = 1_024
"""Statements named in one answer; beyond it they are counted."""


@dataclass(frozen=True, slots=True)
class PinChoice:
    """Where one open log could end, and what would no longer count.

    Attributes:
        log: which log.
        pin: where.
        held: how many statements this node holds of it.
        witnesses: member -> when it signed for the head at the pin, POSIX seconds.
        falls: kind -> how many statements stand beyond the pin.
        undone: statements that those had taken back, and that would count again; sorted.
        erased: statements that those had erased: bodies that are gone; sorted.
    """

    log: LogId
    pin: Pin
    held: int
    witnesses: Mapping[str, int]
    falls: Mapping[str, int]
    undone: tuple[StatementId, ...] = ()
    erased: tuple[StatementId, ...] = ()


async def choose_pins(
    stores: Stores, membership: Membership, member: str, before_seconds: int | None = None
) -> list[PinChoice]:
    """A pin for each open log of a member, newest epochs only.

    Args:
        stores: what this node holds.
        membership: the roster in force.
        member: whose logs.
        before_seconds: POSIX seconds: only what others had signed for before counts; None for all
            that is held.

    Raises:
        MemberUnknown: the roster holds no such member.
        StoreError: the disk.
    """
    known = membership.roster.member(member)
    choices = []
    for said in known.logs:
        if said.is_open:
            log = LogId(member, membership.roster.federation_id, said.lane, said.epoch)
            choices.append(await _choose(stores, membership, log, before_seconds))
    return choices


async def _choose(
    stores: Stores, membership: Membership, log: LogId, before_seconds: int | None
) -> PinChoice:
    try:
        held = await stores.logs.size(log)
    except LogNotFound:
        return PinChoice(log, EMPTY_PIN, 0, {}, {})
    for size in await stores.receipts.pinnable_sizes(log, log.member, before_seconds):
        (kept,) = await stores.receipts.checkpoints(log, size, count_max=1)
        if _stands(membership, kept):
            receipts = await stores.receipts.receipts(log, size)
            witnesses = {each.member: each.at_seconds for each in reversed(receipts)}
            root_hash = await stores.trees.root_hash(log, size)
            return await _with_what_falls(stores, log, Pin(size, root_hash), held, witnesses)
    return await _with_what_falls(stores, log, EMPTY_PIN, held, {})


def _stands(membership: Membership, kept: StoredCheckpoint) -> bool:
    try:
        membership.verifier.open_head(kept.note)
    except VerificationError:
        return False
    return True


async def _with_what_falls(
    stores: Stores, log: LogId, pin: Pin, held: int, witnesses: Mapping[str, int]
) -> PinChoice:
    falls: Counter[str] = Counter()
    taken: dict[str, set[StatementId]] = {Kind.WITHDRAW: set(), Kind.ERASE: set()}
    async for page in stores.logs.pages(log, 0, pin.size, held):
        for stored in page:
            header = decode_header(stored.statement.header_bytes)
            falls[header.kind] += 1
            if header.kind in taken and len(taken[header.kind]) < NAMED_MAX:
                taken[header.kind] |= set(header.references)
    undone, erased = (tuple(sorted(ids, key=str)) for ids in taken.values())
    return PinChoice(log, pin, held, witnesses, dict(sorted(falls.items())), undone, erased)
