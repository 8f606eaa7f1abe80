"""A disk that may lose what it was not done with: pending writes, then durable ones, in order.

A write is durable at once and as a whole when its time comes, as a transaction is; a crash drops
what is pending. What is durable is served back verbatim, with proofs made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random

from federation.protocol.headers import StatementId
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import node_hash
from federation.protocol.merkle_growth import TILE_HEIGHT, CompactRange
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.origins import LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.statements import Opening, Statement, commitment_of
from federation.provenance.convicting import Conviction
from federation.provenance.log_view import Advance, LogView, leaf_of
from federation.provenance.taking_back import Rulings, erase_targets, must_go, without_opening
from federation.provenance.verifier import Head, Receipt, VerifiedStatement
from tests.simulation.promises import COSIGNED_GROWS, STEPS_FIT, must


@dataclass
class KeptLog:
    """One log as it is durable.

    Attributes:
        view: its view, as the engine gets it back after a restart.
        statements: in log order.
        missing: index -> what is here without salt and body, and without an erase that says why.
        heads: size -> the head that everything held was whole under, then.
    """

    view: LogView
    statements: list[VerifiedStatement] = field(default_factory=list)
    missing: dict[int, StatementId] = field(default_factory=dict)
    heads: dict[int, Head] = field(default_factory=dict)
    _nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _roots: dict[int, bytes] = field(default_factory=dict)

    def serve(self, start: int, end: int) -> tuple[Statement, ...]:
        """Consecutive statements, verbatim."""
        return tuple(each.statement for each in self.statements[start:end])

    def copy(self) -> KeptLog:
        """The same, to be changed by itself."""
        return KeptLog(
            self.view,
            list(self.statements),
            dict(self.missing),
            dict(self.heads),
            dict(self._nodes),
        )

    def extend(self, step: Advance) -> None:
        """Keep what a step adds."""
        self.view = step.view
        if step.view.head is not None and step.view.is_complete:
            self.heads[step.view.size] = step.view.head
        self.statements.extend(step.statements)
        for verified in step.statements:
            # As the real store does: what rots later changes no hash of the tree.
            self._nodes[0, verified.index] = leaf_of(verified.statement)
            if verified.statement.opening is None:
                self.missing[verified.index] = verified.id

    def keep_head(self, head: Head) -> None:
        """Keep a head that what is held contains."""
        must(self.root(head.size) == head.root_hash, STEPS_FIT, "a head of another history")
        self.heads[head.size] = head
        if self.view.whole is None or self.view.whole.size < head.size:
            self.view = replace(self.view, last_whole=head)

    def erase(self, index: int) -> bool:
        """Take out a salt and body; whether that changed anything."""
        is_new = self.statements[index].statement.opening is not None or index in self.missing
        self.statements[index] = without_opening(self.statements[index])
        self.missing.pop(index, None)
        return is_new

    def reopen(self, opened: Iterable[VerifiedStatement]) -> None:
        """Put back salts and bodies."""
        for verified in opened:
            must(self.statements[verified.index].id == verified.id, STEPS_FIT, "another statement")
            self.statements[verified.index] = verified
            self.missing.pop(verified.index, None)

    def bundles(
        self, start: int, end: int, size: int
    ) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Roots of whole bundles of the tree of that size, and the leaves behind the last."""
        whole, rest = divmod(size, TILE_WIDTH)
        end = min(end, whole)
        leaves = range(size - rest, size) if end == whole else ()
        return (
            tuple(self.node(TILE_HEIGHT, number) for number in range(start, end)),
            tuple(self.node(0, number) for number in leaves),
        )

    def root(self, size: int) -> bytes:
        """The root of the first so many."""
        found = self._roots.get(size)
        if found is None:
            found = self._roots[size] = self.edge(size).root()
        return found

    def edge(self, size: int) -> CompactRange:
        """The right edge there: the full subtrees that the size is made of."""
        hashes, start = [], 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                hashes.append(self.node(level, start >> level))
                start += 1 << level
        return CompactRange(size, tuple(hashes))

    def proof(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes."""
        return consistency_proof(size1, size2, self.node)

    def node(self, level: int, index: int) -> bytes:
        """The root of a full subtree."""
        found = self._nodes.get((level, index))
        if found is None:
            left = self.node(level - 1, 2 * index)
            found = node_hash(left, self.node(level - 1, 2 * index + 1))
            self._nodes[level, index] = found
        return found


class Disk:
    """What one node keeps, through any number of crashes.

    Attributes:
        logs: every log held.
        receipts: (log, cosigning member) -> the newest receipt kept.
        lines: every receipt line that was ever durable.
        evidence: log -> what convicts it.
        branches: log -> number -> a branch of it that is not the first.
        erases: what must go, if its maker may order it -> who ordered it.
        places: where each statement stands.
        full: while it is, writes of statements fail and nothing of them is kept.
        slow: seconds that each write takes longer than usual.
        chain: the versions of the roster that were adopted; None: the first one.
        is_rotten: whether a byte of it changed by itself.
        cosigned: log -> the largest size that this node's mirror signed for.
    """

    def __init__(self) -> None:
        self.logs: dict[LogId, KeptLog] = {}
        self.receipts: dict[tuple[LogId, str], Receipt] = {}
        self.lines: set[str] = set()
        self.evidence: dict[LogId, Conviction] = {}
        self.branches: dict[LogId, dict[int, KeptLog]] = {}
        self.erases: dict[StatementId, list[VerifiedStatement]] = {}
        self.places: dict[StatementId, set[tuple[LogId, int, int]]] = {}
        self.full = False
        self.slow = 0.0
        self.is_rotten = False
        self.chain: RosterChain | None = None
        self.cosigned: dict[LogId, int] = {}
        self._busy_until = 0.0
        self._boot = 0

    def rot(self, rng: Random) -> bool:
        """One byte of a body changes by itself; whether there was one."""
        places = [
            (kept, index)
            for kept in self.logs.values()
            for index, verified in enumerate(kept.statements)
            if verified.statement.opening is not None
        ]
        if not places:
            return False
        kept, index = rng.choice(places)
        verified = kept.statements[index]
        opening = verified.statement.opening
        assert opening is not None
        at = rng.randrange(len(opening.body))
        body = opening.body[:at] + bytes([opening.body[at] ^ 1]) + opening.body[at + 1 :]
        # Another body is another statement: whoever is served it can tell.
        rotten = Opening(opening.salt, body)
        statement = Statement(verified.statement.header_bytes, commitment_of(rotten), rotten)
        kept.statements[index] = replace(verified, statement=statement)
        self.is_rotten = True
        return True

    def copy(self) -> Disk:
        """What is durable now: a backup."""
        copied = Disk()
        copied.logs = {log: kept.copy() for log, kept in self.logs.items()}
        copied.receipts, copied.lines = dict(self.receipts), set(self.lines)
        copied.evidence = dict(self.evidence)
        copied.chain = self.chain
        copied.is_rotten, copied.cosigned = self.is_rotten, dict(self.cosigned)
        copied.branches = {
            log: {number: kept.copy() for number, kept in branches.items()}
            for log, branches in self.branches.items()
        }
        copied.erases = {each: list(orders) for each, orders in self.erases.items()}
        copied.places = {each: set(places) for each, places in self.places.items()}
        return copied

    def write(
        self,
        at: Callable[[float, Callable[[], None]], None],
        now: float,
        seconds: float,
        commit: Callable[[], None],
    ) -> None:
        """Queue a write: ``commit`` runs when it is durable, and never if a crash comes first.

        Args:
            at: the world's way of doing something at a time.
            now: the world's clock.
            seconds: how long the disk takes for it, once it is its turn.
            commit: makes the change.
        """
        boot, done = self._boot, max(now, self._busy_until) + seconds + self.slow
        self._busy_until = done
        at(done, lambda: commit() if boot == self._boot else None)

    def crash(self, now: float) -> bool:
        """Drop what is pending; returns whether there was anything."""
        was_busy = self._busy_until > now
        self._boot += 1
        self._busy_until = now
        return was_busy

    def must_go(self, verified: VerifiedStatement, more: Iterable[VerifiedStatement] = ()) -> bool:
        """Whether a statement is under an erase that is durable here, or is one of those."""
        erases = [*self.erases.get(verified.id, ()), *more]
        return must_go(verified.id, verified.header, erases, Rulings())

    def branches_of(self, log: LogId) -> dict[int, KeptLog]:
        """Every branch of a log that something is kept of."""
        kept = self.logs.get(log)
        first = {} if kept is None else {0: kept}
        return first | self.branches[log] if log in self.branches else first

    def size_of(self, log: LogId) -> int:
        """How long the longest branch of a log is."""
        return max((kept.view.size for kept in self.branches_of(log).values()), default=0)

    def branch_of(self, log: LogId, branch: int) -> KeptLog:
        """A branch that something is kept of."""
        return self.branches[log][branch] if branch else self.logs[log]

    def open_branch(self, log: LogId, branch: int, base: int, view: LogView) -> None:
        """Begin a branch with what it has in common with another one."""
        shared = KeptLog(view)
        if view.size:
            begun = self.branches_of(log)[base]
            shared.statements = begun.statements[: view.size]
            shared.missing = {at: each for at, each in begun.missing.items() if at < view.size}
            shared._nodes = {(0, at): begun.node(0, at) for at in range(view.size)}
        must(branch not in self.branches_of(log), STEPS_FIT, "a branch is opened twice")
        self.branches.setdefault(log, {})[branch] = shared
        for verified in shared.statements:
            # What rotted is another statement than the one that came.
            self.places.setdefault(verified.id, set()).add((log, branch, verified.index))

    def learn(
        self, statements: Iterable[VerifiedStatement], *, branch: int = 0
    ) -> frozenset[StatementId]:
        """Apply what some durable statements order, and what is ordered of them.

        Returns:
            The statements whose salt and body went, or need no more be looked for.
        """
        concerned, places = set[StatementId](), self.places
        for verified in statements:
            statement_id = verified.id
            places.setdefault(statement_id, set()).add((verified.log, branch, verified.index))
            concerned.add(statement_id)
            for target in erase_targets(verified):
                self.erases.setdefault(target, []).append(verified)
                concerned.add(target)
        gone = set()
        for each in concerned & self.erases.keys():
            for log, number, index in self.places.get(each, ()):
                kept = self.branch_of(log, number)
                if self.must_go(kept.statements[index]) and kept.erase(index):
                    gone.add(each)
        return frozenset(gone)

    def append(self, step: Advance, receipt: Receipt | None, *, branch: int = 0) -> None:
        """Keep a judged step and this node's receipt on its head, together."""
        log = step.view.log
        if branch:
            kept = self.branches[log][branch]
        else:
            kept = self.logs.setdefault(log, KeptLog(LogView(log)))
        # Compare and swap, as the real store does: a step is judged from one edge and no other.
        must(
            kept.view.held == step.before.held,
            STEPS_FIT,
            "a step from another view than the durable one",
        )
        kept.extend(step)
        if receipt is not None:
            self.cosign(receipt)

    def cosign(self, receipt: Receipt) -> None:
        """Keep this node's own receipt; (15) its sizes never go back."""
        log, size = receipt.head.log, receipt.head.size
        must(size >= self.cosigned.get(log, 0), COSIGNED_GROWS, "a mirror signed for less again")
        self.cosigned[log] = size
        self.keep_receipt(receipt)

    def keep_receipt(self, receipt: Receipt) -> None:
        """Keep a receipt, unless a newer one is there."""
        self.lines.add(receipt.line)
        place = receipt.head.log, receipt.member
        kept = self.receipts.get(place)
        if kept is None or kept.head.size <= receipt.head.size:
            self.receipts[place] = receipt
