"""What one node holds of one log, as a value that can only be advanced by proof.

A view holds a prefix of the log: its size and right edge (a compact range), which is enough to
append to it and to know its root. To advance it by statements ``[size, to)`` under a signed head of
size ``n`` takes the statements and a consistency proof from ``to`` to ``n``: the node hashes the
statements onto its own edge, so what it holds at ``to`` is its own computation, and the proof shows
that the signed head commits to exactly that. A wrong statement from any relay fails there and then.

Source: docs/spec/verification.md steps 9 and 10; RFC 6962 section 2.1.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from federation.local_errors.proofs import ConsistencyUnproven, Fork, RootMismatch
from federation.protocol.merkle import leaf_hash
from federation.protocol.merkle_growth import CompactRange, NodeRun, verify_consistency
from federation.protocol.origins import LogId
from federation.protocol.statements import Statement
from federation.provenance.verifier import Head, VerifiedStatement, Verifier


def leaf_of(statement: Statement) -> bytes:
    """The leaf hash of a statement, 32 bytes; it is judged alone on arrival, and in its place."""
    known: bytes | None = statement.__dict__.get("_leaf")
    if known is None:
        known = statement.__dict__["_leaf"] = leaf_hash(statement.id.entry)
    return known


@dataclass(frozen=True)
class LogView:
    """The held prefix of a log and the newest head it is proven under.

    Attributes:
        log: which log.
        held: size and right edge of the statements held.
        head: the newest signed head accepted, of at least ``held.size``; None for a log of which
            nothing was ever heard.
        last_whole: where more is held and not yet all under ``head``: the newest one before it
            under which everything was held, if any was. See :attr:`whole`.
    """

    log: LogId
    held: CompactRange = field(default_factory=CompactRange)
    head: Head | None = None
    last_whole: Head | None = None

    @cached_property
    def size(self) -> int:
        """How many statements are held."""
        return self.held.size

    @cached_property
    def is_complete(self) -> bool:
        """Whether everything under the newest accepted head is held."""
        return self.head is not None and self.head.size == self.held.size

    @property
    def whole(self) -> Head | None:
        """The newest accepted head under which everything is held; None where there is none."""
        return self.head if self.is_complete else self.last_whole

    def check_head(self, head: Head) -> None:
        """Hold a head against what is known; a newer or equal one passes.

        Raises:
            Fork: the log's key signed another root at a size that this view knows.
        """
        known = self.head
        if known is None:
            return
        if head.size == known.size and head.root_hash != known.root_hash:
            raise Fork(
                f"the log {self.log} signed two roots at size {head.size}",
                first=known.note,
                second=head.note,
            )

    def advance(
        self,
        head: Head,
        statements: Sequence[Statement],
        proof: Sequence[bytes],
        verifier: Verifier,
    ) -> Advance:
        """Judge the statements that follow the held prefix, and hold them.

        Args:
            head: a signed head of this log, larger than what is held.
            statements: those at ``size``, ``size + 1`` and so on, at least one.
            proof: consistency proof (RFC 6962, 32 bytes each) from the new size to the head's;
                empty when they are equal.
            verifier: the judge.

        Returns:
            The advanced view, and the statements as verified.

        Raises:
            Fork: see :meth:`check_head`.
            RootMismatch: the statements do not lead to the head's root (9).
            ProofMalformed: the proof is not a list of hashes of the right length (10).
            ConsistencyUnproven: the head does not commit to these statements (10).
            ProtocolError, VerificationError: as :meth:`Verifier.open_statement`.
        """
        self.check_head(head)
        to = self.size + len(statements)
        if not statements or to > head.size:
            raise RootMismatch(f"{len(statements)} statements cannot follow {self.size} in {head}")
        verified = tuple(
            verifier.open_statement(self.log, self.size + offset, statement)
            for offset, statement in enumerate(statements)
        )
        leaves = [leaf_of(statement) for statement in statements]
        held, runs = self.held.extend_with_runs(leaves)
        if to == head.size:
            # (9) All statements under the head are here: their root is the signed one.
            if held.root() != head.root_hash or proof:
                raise RootMismatch(f"the statements do not hash to the root of {self.log} at {to}")
        else:
            # (10) Part of them: the signed head commits to exactly this prefix.
            verify_consistency(to, head.size, held.root(), head.root_hash, proof)
        if self.head is not None and self.head.size > head.size:
            raise ConsistencyUnproven("a head older than the one already accepted")
        last_whole = None if to == head.size else self.whole
        return Advance(self, LogView(self.log, held, head, last_whole), verified, runs)


@dataclass(frozen=True)
class Advance:
    """A judged step: what the view becomes, once the statements are durable.

    Attributes:
        before: the view it was judged from; the store commits it on no other.
        view: the view after the step.
        statements: what the step adds, in log order.
        runs: the hashes it adds to each level of tiles.
    """

    before: LogView
    view: LogView
    statements: tuple[VerifiedStatement, ...]
    runs: tuple[NodeRun, ...]
