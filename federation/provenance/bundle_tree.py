"""A log's tree down to its bundles, proven by one signed head.

A node that joins late gets the tree first: the roots of all whole bundles of 256 statements and the
leaves behind them, 128 kB for a million statements. They are believed when they hash to the head's
root. From then on each bundle is judged alone, in any order, whoever served it; and the consistency
proofs that :meth:`LogView.advance` asks for are made here, so that it needs to trust nobody either.

Source: docs/spec/verification.md steps 9 and 10; C2SP tlog-mirror, which verifies entry packages
the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from federation.local_errors.proofs import RootMismatch
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import node_hash
from federation.protocol.merkle_growth import TILE_HEIGHT, CompactRange
from federation.protocol.merkle_proofs import consistency_proof, root_from
from federation.protocol.statements import Statement
from federation.provenance.log_view import leaf_of
from federation.provenance.verifier import Head

BUNDLES_MAX: Final = 65_536
"""The tree over 16 million statements: 4 MB with the nodes above. A log that lacks more here is
caught up with range by range."""


class BundleTree:
    """The upper part of a log's tree.

    Args:
        head: a signed head of the log.
        bundles: the roots of its whole bundles, 32 bytes each.
        leaves: the leaf hashes behind the last whole bundle.

    Raises:
        RootMismatch: they do not hash to the head's root.
    """

    def __init__(self, head: Head, bundles: Sequence[bytes], leaves: Sequence[bytes]) -> None:
        self.head = head
        full, rest = divmod(head.size, TILE_WIDTH)
        if len(bundles) != full or len(leaves) != rest:
            raise RootMismatch(f"not the hashes that a tree of {head.size} has")
        self._rows = [list(bundles)]
        while len(self._rows[-1]) > 1:
            pairs = iter(self._rows[-1])
            self._rows.append(
                [node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)]
            )
        self._leaves = tuple(leaves)
        if root_from(head.size, self._node) != head.root_hash:
            raise RootMismatch(f"the hashes of {head.log} do not lead to its head of {head.size}")

    def check(self, start: int, statements: Sequence[Statement]) -> None:
        """Judge statements that begin a bundle, and end one or the log.

        Args:
            start: index of the first; a multiple of 256.
            statements: up to the end of a bundle or of the log.

        Raises:
            RootMismatch: the log has other statements there.
        """
        for offset in range(0, len(statements), TILE_WIDTH):
            bundle, begin = statements[offset : offset + TILE_WIDTH], start + offset
            leaves = [leaf_of(each) for each in bundle]
            if not self._holds(begin, leaves):
                raise RootMismatch(
                    f"statements {begin} to {begin + len(leaves) - 1} of {self.head.log}"
                    " are others than its head commits to"
                )

    def _holds(self, begin: int, leaves: Sequence[bytes]) -> bool:
        number, offset = divmod(begin, TILE_WIDTH)
        if offset:
            return False
        if number == len(self._rows[0]):
            return tuple(leaves) == self._leaves
        return (
            len(leaves) == TILE_WIDTH
            and number < len(self._rows[0])
            and CompactRange().extend(leaves).root() == self._rows[0][number]
        )

    def proof(self, size: int) -> tuple[bytes, ...]:
        """The consistency proof from a size that ends a bundle, or the log, to the head's.

        Raises:
            ProofMalformed: the size is larger than the head's.
        """
        return consistency_proof(size, self.head.size, self._node)

    def _node(self, level: int, index: int) -> bytes:
        if level >= TILE_HEIGHT:
            return self._rows[level - TILE_HEIGHT][index]
        first = (index << level) - len(self._rows[0]) * TILE_WIDTH
        return CompactRange().extend(self._leaves[first : first + (1 << level)]).root()
