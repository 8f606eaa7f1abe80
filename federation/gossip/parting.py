"""Where a head's history parts from those held here, asked step by step and proven at each.

A generator that asks questions and is given the answers: the daemon asks the store and a peer, the
simulator its own. Every answer of the peer is a consistency proof under the head's signed root, so
that it can be silent but not lie; what one's own store says is held against signatures as well
before anybody is accused by it (:mod:`federation.provenance.convicting`).

Source: docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from federation.protocol.evidence import Prefix, encode_evidence, make_evidence
from federation.protocol.merkle_growth import CompactRange, verify_consistency
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head


@dataclass(frozen=True, slots=True)
class AskRoots:
    """What is the root at that size of every branch held as far? ``{branch: 32 bytes}``."""

    size: int


@dataclass(frozen=True, slots=True)
class AskPrefix:
    """What was a branch held here at a smaller size? A ``Prefix``, proven to ``later``."""

    branch: int
    size: int
    later: int


@dataclass(frozen=True, slots=True)
class AskEdge:
    """What is the right edge of a branch at that size? A ``CompactRange``."""

    branch: int
    size: int


@dataclass(frozen=True, slots=True)
class AskPeer:
    """What was the head's log at that size? A ``Prefix``, from a peer that holds the head."""

    size: int


Question: TypeAlias = AskRoots | AskPrefix | AskEdge | AskPeer
Search: TypeAlias = "Generator[Question, Any, Parting]"


@dataclass(frozen=True, slots=True)
class Parting:
    """How a head stands to what is held of its log; as it is made without arguments, nobody knows.

    Attributes:
        is_known: a branch held here contains it.
        branch: the branch that has most in common with it.
        held: size and right edge of what they have in common; None where it was not looked for.
        extends: whether that is all there is of the branch: the head continues it.
        evidence: a file that shows the head and the branch's own exclude each other.
    """

    is_known: bool = False
    branch: int = 0
    held: CompactRange | None = None
    extends: bool = False
    evidence: bytes | None = None


def find_parting(head: Head, views: Mapping[int, LogView], *, is_accused: bool) -> Search:
    """Look where a head stands; ends with a :class:`Parting`.

    Args:
        head: signed by the log's key.
        views: branch number -> what is held of it.
        is_accused: whether evidence is at hand already: then only the place is looked for.

    Raises:
        ConsistencyUnproven, ProofMalformed: the peer's answer is not what the head says.
        EvidenceMalformed, NoteMalformed: notes that cannot be put together; a bug.
    """
    if any(head.size <= view.size for view in views.values()):
        roots: Mapping[int, bytes] = yield AskRoots(head.size)
        same = [branch for branch, root in roots.items() if root == head.root_hash]
        if same := [branch for branch in same if branch in views]:
            # Of two that contain it the one that is told so far.
            return Parting(is_known=True, branch=max(same, key=lambda each: _told(views[each])))
        if not is_accused:
            return (yield from _against_larger(head, views))
    smaller = sorted(
        (own.size, branch)
        for branch, view in views.items()
        if (own := view.head) is not None and 0 < own.size <= head.size
    )
    for _, branch in reversed(smaller):
        own = views[branch].head
        if own is None:
            continue
        prefix = yield from _ask_peer(head, own.size)
        if prefix.root_hash == own.root_hash:
            return Parting(branch=branch, held=views[branch].held, extends=True)
        if not is_accused:
            return Parting(evidence=_evidence(own, head, prefix))
    if not is_accused:
        return Parting(extends=True)  # nothing is held that it could contradict
    return (yield from _search(head, views))


def _told(view: LogView) -> int:
    return view.whole.size if view.whole else 0


def _against_larger(head: Head, views: Mapping[int, LogView]) -> Search:
    """Evidence from a head that a complete branch of at least its size does not contain."""
    for branch, view in views.items():
        own = view.head
        if own is None or not view.is_complete or own.size < head.size:
            continue
        if own.size == head.size:
            return Parting(evidence=_evidence(head, own, None))
        prefix: Prefix = yield AskPrefix(branch, head.size, own.size)
        return Parting(evidence=_evidence(head, own, prefix))
    # A key was replaced, and its successor has signed nothing yet: no head to hold it against.
    return Parting()


def _search(head: Head, views: Mapping[int, LogView]) -> Search:
    """The largest size at which some branch has the head's root, by halving."""
    low, found = 0, 0
    high = min(head.size, max((view.size for view in views.values()), default=0))
    while low < high:
        middle = (low + high + 1) // 2
        prefix = yield from _ask_peer(head, middle)
        roots: Mapping[int, bytes] = yield AskRoots(middle)
        same = [
            branch
            for branch, root_hash in roots.items()
            if root_hash == prefix.root_hash and branch in views
        ]
        if same:
            low, found = middle, same[0]
        else:
            high = middle - 1
    held = CompactRange()
    if low:
        held = yield AskEdge(found, low)
    view = views.get(found)
    # Of a branch that is held in part nobody knows whether the rest of it is the head's as well.
    extends = view is not None and view.size == low and (view.is_complete or view.head is None)
    return Parting(branch=found, held=held, extends=extends)


def _ask_peer(head: Head, size: int) -> Generator[Question, Any, Prefix]:
    """What the head says of an earlier size, held against its signed root."""
    if size == head.size:
        return Prefix(head.root_hash, ())
    prefix: Prefix = yield AskPeer(size)
    verify_consistency(size, head.size, prefix.root_hash, head.root_hash, prefix.hashes)
    return prefix


def _evidence(one: Head, other: Head, prefix: Prefix | None) -> bytes:
    is_one_size = one.size == other.size
    return encode_evidence(make_evidence(one.note, other.note, None if is_one_size else prefix))
