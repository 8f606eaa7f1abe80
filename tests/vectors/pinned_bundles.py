"""Vectors of docs/spec/bundles.md, step 3, under rosters that pin: whose word counts, and how far.

The log has seven statements. Its second key starts at size 5, or the log ends at some size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from federation.errors import BeyondPin, SignatureInvalid
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.merkle_proofs import inclusion_proof
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, LogKey, Pin
from tests.builders import ACME, NEW_YEAR_2026_MS, UMBRA, make_key, sign_and_finish
from tests.vectors.bundle_parts import FOUNDED, GOOD, INDEX, MADE, Parts, fails, line, verified
from tests.vectors.cases import Case

NEXT = make_key("acme's next live key")
START = 5


def pin_at(size: int) -> Pin:
    """The true root at that size."""
    return Pin(size, MADE.head(size).root_hash)


def _decided(start: Pin | None = None, end: Pin | None = None) -> RosterChain:
    """Version 2: the live log's next key starts somewhere, or the log ends."""
    member = FOUNDED.roster.member(ACME)
    if end is not None:
        member = suspended(member, {**dict.fromkeys(Lane, EMPTY_PIN), Lane.LIVE: end})
    if start is not None:
        following = LogKey(NEXT.public, start)
        logs = (
            replace(log, keys=(*log.keys, following)) if log.lane is Lane.LIVE else log
            for log in member.logs
        )
        member = replace(member, logs=tuple(logs))
    proposal = propose_members(FOUNDED.chain, [member], now_ms=NEW_YEAR_2026_MS)
    return sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)


def _under(chain: RosterChain, size: int, *, by_next: bool = False) -> Parts:
    """The good bundle at another size, signed by the log's first or next key."""
    head = MADE.head(size)
    note = head.note
    if by_next:
        note = sign_checkpoint(Checkpoint(MADE.log.origin, size, head.root_hash), NEXT)
    return replace(
        GOOD,
        note=note.decode(),
        lines=[line(size=size), line(UMBRA, size=size)],
        hashes=inclusion_proof(INDEX, size, MADE.node),
        chain=chain,
    )


def cases() -> Iterator[Case]:
    """Accepted and refused."""
    renewed, ended = _decided(start=pin_at(START)), _decided(end=pin_at(START))
    off = _decided(end=Pin(7, bytes([1]) * 32))
    yield verified("a former key's head where the next one starts", _under(renewed, 5))
    yield verified("a former key's head before that", _under(renewed, 3))
    yield verified("the next key's head where it starts", _under(renewed, 5, by_next=True))
    yield verified("the next key's head beyond", _under(renewed, 7, by_next=True))
    yield verified("a head at the pin that ends its log", _under(ended, 5))
    early = _under(renewed, 3, by_next=True)
    yield fails(3, "3, a former key beyond its end", SignatureInvalid, _under(renewed, 7))
    yield fails(3, "3, the next key before its start", SignatureInvalid, early)
    yield fails(3, "3, a head beyond the pin that ends its log", BeyondPin, _under(ended, 6))
    yield fails(3, "3, another root than the pin's", BeyondPin, _under(off, 7))
    # The bundle names version 1; version 2, with the pin, is at hand.
    at_hand, under_first = ended.versions, FOUNDED.chain
    fits = _under(under_first, 5)
    yield verified("a head up to the pin of a later version at hand", fits, roots=at_hand)
    beyond = "3, a head beyond the pin of a later version at hand"
    yield fails(3, beyond, BeyondPin, _under(under_first, 6), roots=at_hand)
