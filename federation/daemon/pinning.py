"""Cuts, applied to what this node holds: what counts, and how far each log goes here.

A cut takes nothing out of the store. It says which statements count (the view asks ``Cuts``), and
how far the log goes for everybody who is told of it: the engine and the publisher get a view that
ends at the pin. When governance lifts the pin they get the whole one back, from the same rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from federation.daemon.membership import Membership
from federation.errors import BeyondPin, FederationError, SignatureInvalid
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.notes import parse_note
from federation.protocol.origins import LogId
from federation.protocol.roster import Roster
from federation.protocol.roster_members import MemberLog
from federation.provenance.log_view import LogView
from federation.provenance.pins import Cuts, HeldBranch, cut_of, last_pin, limits_of, pinned_sizes
from federation.provenance.verifier import Head, Verifier
from federation.store.log_store import StoredLog
from federation.store.stores import Stores

Place = tuple[LogId, int]
"""A branch of a log."""


async def find_cuts(stores: Stores, roster: Roster, logs: Sequence[StoredLog]) -> Cuts:
    """Where each held branch is cut off, by a roster and by the evidence that is kept.

    Args:
        stores: for the roots at the pins, and which logs are accused.
        roster: says the pins.
        logs: every branch held of some logs.

    Raises:
        StoreError: the disk.
    """
    ends, limits, pins = dict[Place, int](), dict[Place, int](), dict[Place, int]()
    accused, branches = stores.evidence.accused, dict[LogId, list[HeldBranch]]()
    for kept in logs:
        said = roster.logs.get(kept.log)
        is_pinned = said is not None and (said.pin is not None or len(said.keys) > 1)
        end, pinned = None, 0
        if said is not None and is_pinned:
            end, pinned = await _cut(stores, said, kept)
        if end is not None:
            ends[kept.log, kept.branch] = end
        if end is not None or kept.log in accused:
            branches.setdefault(kept.log, [])
        pins[kept.log, kept.branch] = pinned
    for kept in logs:
        if kept.log in branches:
            # A pin says what is before it as well as a head.
            whole = max(kept.whole_size, pins[kept.log, kept.branch])
            each = HeldBranch(kept.branch, kept.held.size, whole, kept.base)
            branches[kept.log].append(each)
    for log, held in branches.items():
        of_log = {
            each.branch: ends[log, each.branch] for each in held if (log, each.branch) in ends
        }
        found = limits_of(held, of_log, is_accused=log in accused)
        limits.update({(log, branch): limit for branch, limit in found.items()})
    return Cuts(ends, limits)


async def _cut(stores: Stores, said: MemberLog, kept: StoredLog) -> tuple[int | None, int]:
    """Where a branch is cut off, or None, and at what size the last pin is that it is on, or 0."""
    sizes = pinned_sizes(said, kept.held.size)
    found = await asyncio.gather(
        *(stores.trees.root_hash(kept.log, size, branch=kept.branch) for size in sizes)
    )
    roots = dict(zip(sizes, found, strict=True))
    end = cut_of(said, roots.__getitem__, kept.held.size, _signer(said, kept))
    return end, last_pin(said, roots.__getitem__, kept.held.size)


def _signer(said: MemberLog, kept: StoredLog) -> bytes | None:
    """Which of the log's keys signed the newest head accepted."""
    signers = {line.signer for line in parse_note(kept.head_note).signatures}
    for key in said.keys:
        vkey = VerifierKey(kept.log.origin, KeyType.ED25519, key.public)
        if (vkey.name, vkey.key_id) in signers:
            return key.public
    return None


async def standing_view(
    stores: Stores, verifier: Verifier, kept: StoredLog, end: int | None
) -> LogView:
    """The view of a held log as far as it stands; without a head where none at hand stands.

    Args:
        stores: for the edge and the checkpoint at the pin.
        verifier: judges by the roster in force.
        kept: the log as it is held.
        end: where a pin cuts it off, or None.

    Raises:
        StoreCorrupt: what was kept does not verify any more, and no pin is why.
        StoreError: the disk.
    """
    said = verifier.roster.logs.get(kept.log)
    # What a retired key signed beyond its end stays in the view, for its successor to sign for.
    is_ended = said is not None and said.pin is not None
    if is_ended and end is not None and end < kept.held.size:
        held = await stores.trees.edge(kept.log, end, branch=kept.branch)
        found = await stores.receipts.checkpoints(kept.log, end, count_max=1, branch=kept.branch)
        note = found[0].note if found and found[0].size == end else None
    else:
        held, note = kept.held, kept.head_note
    head = None if note is None else _open_head(verifier, kept, note)
    is_other = head is not None and head.size == held.size and head.root_hash != held.root()
    if is_other or (head is not None and head.log != kept.log):
        raise StoreCorrupt(f"the stored edge of {kept.log} does not lead to its head")
    is_whole = head is not None and head.size == held.size
    if is_whole or not kept.whole_note or kept.whole_size > held.size:
        return LogView(kept.log, held, head)
    return LogView(kept.log, held, head, _open_head(verifier, kept, kept.whole_note))


def _open_head(verifier: Verifier, kept: StoredLog, note: bytes) -> Head | None:
    """A kept head, judged again; None where a pin is why it stands no more.

    Raises:
        StoreCorrupt: nothing but damage can be why.
    """
    said = verifier.roster.logs.get(kept.log)
    is_pinned = said is not None and (said.pin is not None or len(said.keys) > 1)
    try:
        return verifier.open_head(note)
    except FederationError as error:
        if is_pinned and isinstance(error, BeyondPin | SignatureInvalid):
            return None
        raise StoreCorrupt(f"what was kept of {kept.log}: {error.message}") from None


@dataclass(frozen=True, slots=True)
class Recount:
    """What a roster, evidence or a step changed about the logs held here.

    Attributes:
        views: the logs that a pin ends elsewhere than before, or not any more.
        spans: (log, branch, from, to): statements that began or ceased to count.
        branches: as ``views``, of branches but the first, each with its number.
    """

    views: tuple[LogView, ...] = ()
    spans: tuple[tuple[LogId, int, int, int], ...] = ()
    branches: tuple[tuple[int, LogView], ...] = ()


async def note_log(stores: Stores, membership: Membership, log: LogId) -> Recount:
    """A step of a log is durable, or evidence against it: other statements of it may count now.

    That is what waited for a head by the key in use, and of a log under evidence what waited for
    the rest of a head.

    Args:
        stores: what is held.
        membership: gets the new cuts.
        log: which.

    Raises:
        StoreError: the disk.
    """
    said = membership.cut_by.logs.get(log)
    waits = (log, 0) in membership.cuts.ends and said is not None and said.is_open
    if not waits and log not in stores.evidence.accused:
        return Recount()
    async with membership.cutting:  # a step and a roster: neither undoes what the other found
        logs = await stores.logs.load_logs(log)
        # By the pins in force: what the next roster moves, the engine is to be told of.
        return await _hold_against(stores, membership, membership.cut_by, logs, {})


async def apply_pins(
    stores: Stores, membership: Membership, known: Mapping[LogId, LogView]
) -> Recount:
    """Hold everything against the roster in force; what counts changes before this returns.

    Args:
        stores: what is held.
        membership: gets the new cuts.
        known: each log as the engine has it.

    Raises:
        StoreError: the disk.
    """
    async with membership.cutting:
        logs, roster = await stores.logs.load_logs(), membership.roster
        recount = await _hold_against(stores, membership, roster, logs, known)
        membership.cut_by = roster
        return recount


async def _hold_against(
    stores: Stores,
    membership: Membership,
    roster: Roster,
    logs: Sequence[StoredLog],
    known: Mapping[LogId, LogView],
) -> Recount:
    verifier, found = membership.verifier, await find_cuts(stores, roster, logs)
    before, places = membership.cuts, {(kept.log, kept.branch) for kept in logs}
    after = Cuts(
        _replaced(before.ends, places, found.ends), _replaced(before.limits, places, found.limits)
    )
    views, spans, branches = [], [], []
    for kept in logs:
        place = (kept.log, kept.branch)
        counted, counting = (cuts.limits.get(place, kept.held.size) for cuts in (before, after))
        if counted != counting:
            spans.append((*place, min(counted, counting), max(counted, counting)))
        old, new = before.ends.get(place), after.ends.get(place)
        said, view = verifier.roster.logs.get(kept.log), known.get(kept.log)
        is_ended = said is not None and said.pin is not None and new is not None
        # Where the engine stands at the former end. Anywhere else, a write is on its way to it.
        goes_on = view is not None and old is not None and view.size == old
        if old == new:
            continue
        if kept.branch:
            branches.append((kept.branch, await standing_view(stores, verifier, kept, new)))
        elif is_ended or goes_on:
            views.append(await standing_view(stores, verifier, kept, new))
    membership.cuts = after  # last: what a failing disk interrupts is found once more
    return Recount(tuple(views), tuple(spans), tuple(branches))


def _replaced(
    kept: Mapping[Place, int], places: Collection[Place], found: Mapping[Place, int]
) -> dict[Place, int]:
    return {place: end for place, end in kept.items() if place not in places} | dict(found)
