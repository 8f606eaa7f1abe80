"""The hashes of a log's tree that a node asks for before it asks for the log.

Roots of whole bundles of 256 statements (tile level 1), and the leaf hashes behind the last whole
one: with them a node that joins late proves the shape of the whole log against one checkpoint, and
then each bundle alone, whoever it comes from.

Source: docs/spec/messages.md; C2SP tlog-tiles (one bundle is one tile of level 0).
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.errors import EncodingMalformed
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.encoding import Decoded, decode_map
from federation.protocol.encoding_writing import encode
from federation.protocol.limits import LOG_SIZE_MAX, TILE_WIDTH
from federation.protocol.limits_messages import HASHES_ANSWER_BYTES_MAX, HASHES_MAX
from federation.protocol.merkle import DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class BundleHashes:
    """``GET /v1/logs/{sha256}/hashes``: roots of bundles, and the leaves behind the last.

    Attributes:
        start: number of the first bundle; bundle ``n`` holds the statements from ``256 * n`` on.
        bundles: the bundles' roots, 32 bytes each.
        leaves: hashes of the statements after the last whole bundle; only where ``bundles`` reaches
            that one, and none where the log ends with it.
    """

    start: int
    bundles: tuple[bytes, ...]
    leaves: tuple[bytes, ...]


def encode_hashes(message: BundleHashes) -> bytes:
    """Encode; the inverse of :func:`decode_hashes`."""
    return encode(
        {
            "bundles": b"".join(message.bundles),
            "from": message.start,
            "leaves": b"".join(message.leaves),
        }
    )


def decode_hashes(encoded: bytes) -> BundleHashes:
    """Decode hashes of a tree.

    Raises:
        TooLarge: over ``HASHES_ANSWER_BYTES_MAX``.
        MessageMalformed: anything else that is no such answer.
    """
    try:
        fields = decode_map(encoded, bytes_max=HASHES_ANSWER_BYTES_MAX)
    except EncodingMalformed as error:
        raise MessageMalformed(error.message) from None
    if list(fields) != ["bundles", "from", "leaves"]:
        raise MessageMalformed("a map of the fields bundles, from, leaves")
    start = fields["from"]
    if not isinstance(start, int) or isinstance(start, bool) or start > LOG_SIZE_MAX // TILE_WIDTH:
        raise MessageMalformed("the number of a bundle")
    return BundleHashes(
        start,
        _split(fields["bundles"], HASHES_MAX),
        _split(fields["leaves"], TILE_WIDTH - 1),
    )


def _split(value: Decoded, count_max: int) -> tuple[bytes, ...]:
    if (
        not isinstance(value, bytes)
        or len(value) % DIGEST_BYTES
        or len(value) > count_max * DIGEST_BYTES
    ):
        raise MessageMalformed(f"at most {count_max} hashes of {DIGEST_BYTES} bytes, joined")
    return tuple(value[at : at + DIGEST_BYTES] for at in range(0, len(value), DIGEST_BYTES))
