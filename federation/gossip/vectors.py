"""The head vector: what two nodes compare instead of every head they hold."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from federation.protocol.limits import HEAD_VECTOR_TAG
from federation.protocol.origins import LogId
from federation.provenance.verifier import Head


def head_vector(heads: Iterable[Head], accused: Iterable[LogId] = ()) -> bytes:
    """32 bytes over every head held in full: equal on two nodes exactly when their heads are.

    Args:
        heads: of every log, and of every branch of those under evidence.
        accused: the logs under evidence.
    """
    parts = [
        head.log.sha256 + head.size.to_bytes(8, "big") + head.root_hash
        for head in heads
        if head.size
    ]
    parts += [log.sha256 + b"\xff" * 8 + bytes(32) for log in accused]
    return sha256(HEAD_VECTOR_TAG + b"".join(sorted(parts))).digest()
