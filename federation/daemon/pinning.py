"""Pins, applied to what this node holds: what counts, and how far each log goes here.

A pin cuts nothing out of the store. It says which statements count (the view asks ``Cuts``), and
how far the log goes for everybody who is told of it: the engine and the publisher get a view that
ends at the pin. When governance lifts the pin they get the whole one back, from the same rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
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
from federation.provenance.pins import Cuts, cut_of, pinned_sizes
from federation.provenance.verifier import Verifier
from federation.store.log_store import StoredLog
from federation.store.stores import Stores


async def find_cuts(stores: Stores, roster: Roster, logs: Sequence[StoredLog]) -> Cuts:
    """Where each held branch is cut off under a roster.

    Args:
        stores: for the roots at the pins.
        roster: says the pins.
        logs: every branch held.

    Raises:
        StoreError: the disk.
    """
    ends: dict[tuple[LogId, int], int] = {}
    for kept in logs:
        said = roster.logs.get(kept.log)
        if said is None or (said.pin is None and len(said.keys) == 1):
            continue
        end = await _cut(stores, said, kept)
        if end is not None:
            ends[kept.log, kept.branch] = end
    return Cuts(ends)


async def _cut(stores: Stores, said: MemberLog, kept: StoredLog) -> int | None:
    sizes = pinned_sizes(said, kept.held.size)
    found = await asyncio.gather(
        *(stores.trees.root_hash(kept.log, size, branch=kept.branch) for size in sizes)
    )
    roots = dict(zip(sizes, found, strict=True))
    return cut_of(said, roots.__getitem__, kept.held.size, _signer(said, kept))


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
        end: where it is cut off, or None.

    Raises:
        StoreCorrupt: what was kept does not verify any more, and no pin is why.
        StoreError: the disk.
    """
    said = verifier.roster.logs.get(kept.log)
    is_pinned = said is not None and (said.pin is not None or len(said.keys) > 1)
    # What a retired key signed beyond its end stays in the view, for its successor to sign for.
    is_ended = said is not None and said.pin is not None
    if is_ended and end is not None and end < kept.held.size:
        held = await stores.trees.edge(kept.log, end, branch=kept.branch)
        found = await stores.receipts.checkpoints(kept.log, end, count_max=1, branch=kept.branch)
        note = found[0].note if found and found[0].size == end else None
    else:
        held, note = kept.held, kept.head_note
    try:
        head = None if note is None else verifier.open_head(note)
    except FederationError as error:
        if is_pinned and isinstance(error, BeyondPin | SignatureInvalid):
            head = None
        else:
            raise StoreCorrupt(f"what was kept of {kept.log}: {error.message}") from None
    is_other = head is not None and head.size == held.size and head.root_hash != held.root()
    if is_other or (head is not None and head.log != kept.log):
        raise StoreCorrupt(f"the stored edge of {kept.log} does not lead to its head")
    return LogView(kept.log, held, head)


@dataclass(frozen=True, slots=True)
class Recount:
    """What a roster changed about the logs held here.

    Attributes:
        views: the logs that a pin ends elsewhere than before, or not any more.
        spans: (log, branch, from, to): statements that began or ceased to count.
    """

    views: tuple[LogView, ...]
    spans: tuple[tuple[LogId, int, int, int], ...]


async def note_step(stores: Stores, membership: Membership, log: LogId) -> Recount:
    """A step of a log is durable: what waited for a head by the key in use may count now.

    Args:
        stores: what is held.
        membership: gets the new cuts.
        log: whose step it was.

    Raises:
        StoreError: the disk.
    """
    said = membership.roster.logs.get(log)
    if (log, 0) not in membership.cuts.ends or said is None or not said.is_open:
        return Recount((), ())
    return await apply_pins(stores, membership, {})


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
    logs, verifier = await stores.logs.load_logs(), membership.verifier
    before, after = membership.cuts, await find_cuts(stores, verifier.roster, logs)
    views, spans = [], []
    for kept in logs:
        place = (kept.log, kept.branch)
        old, new = before.ends.get(place), after.ends.get(place)
        if old != new:
            ends = [kept.held.size if end is None else end for end in (old, new)]
            spans.append((*place, min(ends), kept.held.size))
        said, view = verifier.roster.logs.get(kept.log), known.get(kept.log)
        is_ended = said is not None and said.pin is not None and new is not None
        # Where the engine stands at the former end. Anywhere else, a write is on its way to it.
        goes_on = view is not None and old is not None and view.size == old
        if not kept.branch and old != new and (is_ended or goes_on):
            views.append(await standing_view(stores, verifier, kept, new))
    membership.cuts = after  # last: what a failing disk interrupts is found once more
    return Recount(tuple(views), tuple(spans))
