"""What the engine is told when a command came to nothing, whatever the reason.

A command that ends without its event would leave the engine waiting for ever: for a peer, for a
slot, or for a log's write.
"""

from __future__ import annotations

from federation.errors import FederationError
from federation.gossip import events, fork_events, joining_events
from federation.local_errors.peers import PeerRefused


def failure_of(command: events.Command, error: FederationError) -> events.Event | None:
    """The event that says so; None for a command that nothing waits for.

    Args:
        command: what was ordered.
        error: why it came to nothing; its words are for the operator.
    """
    words = error.message
    wait = error.retry_after_seconds if isinstance(error, PeerRefused) else None
    match command:
        case events.Announce(peer, lane):
            return events.AnnouncementFailed(peer, lane, words, wait)
        case events.Compare(peer):
            return events.ComparisonFailed(peer, words, wait)
        case events.FetchRange(peer, log):
            return events.RangeFailed(peer, log, words, wait, command)
        case joining_events.FetchHashes(peer, log):
            return joining_events.HashesFailed(peer, log, words, wait, command)
        case joining_events.FetchPiece(peer, log, start):
            return joining_events.PieceFailed(peer, log, start, words, wait)
        case events.FetchOpenings(peer, log):
            return events.OpeningsFailed(peer, log, words, wait, command.branch)
        case events.Reopen(log):
            return events.ReopenFailed(log, command.branch)
        case events.FetchRoster(peer):
            return events.RosterFetchEnded(peer)
        case events.Persist(step):
            return events.PersistFailed(step.view.log, words)
        case _:
            return _failure_about_forks(command, words)


def _failure_about_forks(command: events.Command, words: str) -> events.Event | None:
    match command:
        case fork_events.FindParting(peer, head):
            return fork_events.PartingFailed(head, peer, words)
        case fork_events.FetchBranch(peer, head):
            return fork_events.BranchRangeFailed(peer, head.log, words)
        case fork_events.PersistBranch(step):
            return fork_events.BranchPersistFailed(step.view.log, words)
        case fork_events.KeepBranchHead(_, head):
            return fork_events.BranchPersistFailed(head.log, words)
        case _:
            return None
