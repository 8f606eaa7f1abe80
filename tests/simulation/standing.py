"""How far the logs on a simulated disk stand under a roster: as the daemon's ``pinning`` has it."""

from __future__ import annotations

from collections.abc import Mapping

from federation.protocol.origins import LogId
from federation.protocol.roster import Roster
from federation.provenance.log_view import LogView
from federation.provenance.pins import cut_of
from federation.provenance.verifier import Verifier
from tests.simulation.disk import Disk, KeptLog


def end_of(kept: KeptLog, roster: Roster) -> int | None:
    """Where a log is cut off; None where all of it counts."""
    said = roster.logs.get(kept.view.log)
    if said is None or (said.pin is None and len(said.keys) == 1):
        return None
    signer = None if kept.view.head is None else kept.view.head.vkey.public
    return cut_of(said, kept.root, kept.view.size, signer)


def standing_view(kept: KeptLog, verifier: Verifier) -> LogView:
    """The view of a log as far as it stands; without a head where none at hand stands."""
    view, end = kept.view, end_of(kept, verifier.roster)
    said = verifier.roster.logs.get(view.log)
    if said is not None and said.pin is not None and end is not None and end < view.size:
        head = kept.heads.get(end)
        view = LogView(view.log, kept.edge(end), head)
    if view.head is not None and not verifier.stands(view.head):
        return LogView(view.log, view.held)
    return view


def moved_views(
    disk: Disk, before: Roster, verifier: Verifier, known: Mapping[LogId, LogView]
) -> tuple[LogView, ...]:
    """The logs that another roster ends elsewhere than the one before it, or not any more.

    Args:
        disk: what is held.
        before: the roster that was in force.
        verifier: judges by the one that is now.
        known: each log as the engine has it.
    """
    views = []
    for log, kept in disk.logs.items():
        old, new = end_of(kept, before), end_of(kept, verifier.roster)
        said, view = verifier.roster.logs.get(log), known.get(log)
        is_ended = said is not None and said.pin is not None and new is not None
        goes_on = view is not None and old is not None and view.size == old
        if old != new and (is_ended or goes_on):
            views.append(standing_view(kept, verifier))
    return tuple(views)
