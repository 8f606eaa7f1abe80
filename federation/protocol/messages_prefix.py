"""What a branch of a log was at an earlier size: the answer that tells where two histories part.

Source: docs/spec/messages.md.
"""

from __future__ import annotations

from federation.errors import EncodingMalformed, ProofMalformed
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.encoding import decode_map
from federation.protocol.encoding_writing import encode
from federation.protocol.evidence import Prefix
from federation.protocol.limits_messages import PREFIX_ANSWER_BYTES_MAX


def encode_prefix(prefix: Prefix) -> bytes:
    """Encode the answer of ``GET …/prefix``; the inverse of :func:`decode_prefix`."""
    return encode({"proof": list(prefix.hashes), "root": prefix.root_hash})


def decode_prefix(encoded: bytes) -> Prefix:
    """Decode the answer of ``GET …/prefix``; what it says is not judged.

    Raises:
        TooLarge: over ``PREFIX_ANSWER_BYTES_MAX``.
        MessageMalformed: anything else that is not such an answer.
    """
    try:
        fields = decode_map(encoded, bytes_max=PREFIX_ANSWER_BYTES_MAX)
    except EncodingMalformed as error:
        raise MessageMalformed(error.message) from None
    if fields.keys() != {"proof", "root"}:
        raise MessageMalformed("a map of the fields proof, root")
    root, proof = fields["root"], fields["proof"]
    if not isinstance(root, bytes) or not isinstance(proof, list):
        raise MessageMalformed("a root is bytes, and a proof is a list")
    hashes = tuple(each for each in proof if isinstance(each, bytes))
    if len(hashes) != len(proof):
        raise MessageMalformed("a hash is bytes")
    try:
        return Prefix(root, hashes)
    except ProofMalformed as error:
        raise MessageMalformed(error.message) from None
