"""Making the proofs that ``merkle`` and ``merkle_growth`` judge, from any source of subtree hashes.

A store, an exported folder and a test ask for the same subtrees and so make the same proofs.

Source: docs/spec/merkle.md; RFC 6962 section 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from federation.errors import ProofMalformed
from federation.protocol.merkle import path_shape
from federation.protocol.merkle_growth import (
    CompactRange,
    check_digest,
    check_size,
    count_at,
    fold_right,
    last_full_subtree,
)

Nodes: TypeAlias = Callable[[int, int], bytes]
"""(level, index) -> root of the full subtree over leaves [index << level, (index + 1) << level)."""


def root_from(size: int, nodes: Nodes) -> bytes:
    """The root of a tree whose full subtrees are at hand.

    Raises:
        ProofMalformed: a size out of range, or a subtree hash that is not 32 bytes.
    """
    check_size(size)
    return _root_of_span(0, size, nodes)


def edge_from(size: int, nodes: Nodes) -> CompactRange:
    """The right edge of a tree whose full subtrees are at hand.

    Raises:
        ProofMalformed: a size out of range, or a subtree hash that is not 32 bytes.
    """
    check_size(size)
    return CompactRange(size, tuple(_span_hashes(0, size, nodes)))


def inclusion_proof(index: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """Make the proof that ``verify_inclusion`` judges (RFC 6962 section 2.1.1).

    Args:
        index: zero-based index of the leaf.
        size: leaves in the tree.
        nodes: the tree's full subtrees.

    Returns:
        Sibling hashes from the leaf up.

    Raises:
        ProofMalformed: no such index, or a subtree hash that is not 32 bytes.
    """
    check_size(size)
    if not 0 <= index < size:
        raise ProofMalformed("the index is outside the tree")
    return tuple(_path_of(0, index, size, nodes))


def consistency_proof(size1: int, size2: int, nodes: Nodes) -> tuple[bytes, ...]:
    """Make the proof that ``verify_consistency`` judges (RFC 6962 section 2.1.2).

    Args:
        size1: leaves in the earlier tree.
        size2: leaves in the later tree.
        nodes: the later tree's full subtrees.

    Raises:
        ProofMalformed: sizes out of order, or a subtree hash that is not 32 bytes.
    """
    check_size(size2)
    if not 0 <= size1 <= size2:
        raise ProofMalformed("the earlier tree is the larger one")
    if size1 in (0, size2):
        return ()
    level, index = last_full_subtree(size1)
    path = tuple(_path_of(level, index, size2, nodes))
    # Only when the earlier tree is one full subtree does the verifier know its hash already.
    return path if index == 0 else (_node(nodes, level, index), *path)


def _path_of(level: int, index: int, size: int, nodes: Nodes) -> Iterator[bytes]:
    """Sibling hashes from the full subtree (level, index) up to the root."""
    inner, _ = path_shape(index, count_at(level, size))
    for step in range(inner):
        sibling = (index >> step) ^ 1
        begin = sibling << (level + step)
        # Only the topmost right sibling can be cut short by the end of the tree.
        yield _root_of_span(begin, min(begin + (1 << (level + step)), size), nodes)
    for step in range(inner, index.bit_length()):
        if index >> step & 1:
            yield _node(nodes, level + step, (index >> step) - 1)


def _root_of_span(begin: int, end: int, nodes: Nodes) -> bytes:
    """Root over the leaves [begin, end), where ``begin`` is aligned as a subtree's is."""
    return fold_right(tuple(_span_hashes(begin, end, nodes)))


def _span_hashes(begin: int, end: int, nodes: Nodes) -> Iterator[bytes]:
    """Roots of the full subtrees that the span is made of, largest first."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        yield _node(nodes, level, begin >> level)
        begin += 1 << level


def _node(nodes: Nodes, level: int, index: int) -> bytes:
    digest = nodes(level, index)
    check_digest(digest, "a subtree hash")
    return digest
