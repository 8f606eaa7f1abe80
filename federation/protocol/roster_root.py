"""The TUF side of a roster: root metadata in its one form, its governors and their signatures.

Thresholds, signatures and canonical JSON are the TUF library's. Added here is what it leaves open:
one key under two ids, weak keys, key ids that are not the key's, unsigned fields, and files that
say one thing in two forms. Roots are made in :mod:`federation.protocol.roster_drafts`.

Source: docs/spec/roster.md, where the steps are numbered; TUF specification 1.0.34, 4.3 and 6.1.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Final

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import Key  # type: ignore[attr-defined]
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]
    TOP_LEVEL_ROLE_NAMES,
    Metadata,
    Root,
    RootVerificationResult,
)

from federation.errors import RosterMalformed, TooLarge
from federation.protocol.keys import check_public_key
from federation.protocol.limits import (
    GOVERNORS_MAX,
    ROSTER_BYTES_MAX,
    ROSTER_PARTS_MAX,
    ROSTER_VERSIONS_MAX,
)
from federation.protocol.roster_fields import check_unknown, plain_json, read_integer

GOVERNOR: Final = "governor"
"""What a governor's key is for; every other key's purpose starts with a member's name."""

FACTS_FIELD: Final = "x-hash-federation"

_KEY_FIELDS: Final = {"keytype": "ed25519", "scheme": "ed25519"}
_SHA256_HEX = re.compile(r"[0-9a-f]{64}\Z")
_SIGNATURE_HEX = re.compile(r"[0-9a-f]{128}\Z")
_SIGNATURES_MAX: Final = 2 * GOVERNORS_MAX
"""The governors before a change and those after it."""


class SignedRoot(Metadata[Root]):
    """A root as it was decoded, which nobody changes: what is signed is written out once."""

    signed_bytes = cached_property(lambda self: super().signed_bytes)  # noqa: ARG005 - super takes it


@lru_cache(maxsize=3)  # the version before, and one that grows by a signature; nobody changes them
def decode_root(root_bytes: bytes) -> SignedRoot:
    """TUF root metadata in its one form: what the TUF library writes, compact (steps 1 to 3).

    Raises:
        TooLarge: over ``ROSTER_BYTES_MAX`` or ``ROSTER_PARTS_MAX``.
        RosterMalformed: no TUF root, or bytes the library would not write for it.
    """
    # (1) Size before anything is read, and what reading it would build.
    parts = sum(map(root_bytes.count, b",[{"))
    if len(root_bytes) > ROSTER_BYTES_MAX or parts > ROSTER_PARTS_MAX:
        raise TooLarge(f"a roster has at most {ROSTER_BYTES_MAX} bytes, {ROSTER_PARTS_MAX} parts")
    # (2) TUF root metadata of plain parts, in the one form the library writes. Encoding again is
    # the whole check of form: duplicate fields, order, spaces, escapes, numbers like 1.0.
    metadata: Metadata[Any]
    try:
        metadata = Metadata.from_bytes(root_bytes)
        plain_json(metadata.to_dict())
        is_only_form = metadata.to_bytes() == root_bytes
    except RepositoryError:
        raise RosterMalformed("not TUF metadata") from None
    if not isinstance(metadata.signed, Root):
        raise RosterMalformed("TUF metadata of another role than root")
    if not is_only_form:
        raise RosterMalformed("a roster that is not in its only form")
    # (3) Nothing unsigned but signatures, one per key, in order.
    if metadata.unrecognized_fields or len(metadata.signatures) > _SIGNATURES_MAX:
        raise RosterMalformed(f"beside the signed part stand at most {_SIGNATURES_MAX} signatures")
    for signature in metadata.signatures.values():
        key_id, text = str(signature.keyid), str(signature.signature)
        is_hex = _SHA256_HEX.match(key_id) and _SIGNATURE_HEX.match(text)
        if signature.unrecognized_fields or not is_hex:
            raise RosterMalformed("a signature is a key id and 128 lower-case hex digits")
    if list(metadata.signatures) != sorted(metadata.signatures):
        raise RosterMalformed("the signatures of a roster are in the order of their key ids")
    return SignedRoot(metadata.signed, metadata.signatures)


# --- governors ------------------------------------------------------------------------------------


def governor_key_id(public: bytes) -> str:
    """TUF's key id: SHA-256 of the key's canonical JSON, 64 hex digits."""
    canonical = encode_canonical({**_KEY_FIELDS, "keyval": {"public": public.hex()}}) or ""
    return sha256(canonical.encode("ascii")).hexdigest()


def governor_key(public: bytes) -> Key:
    """The key as TUF's library knows it."""
    fields = {**_KEY_FIELDS, "keyval": {"public": public.hex()}}
    return Key.from_dict(governor_key_id(public), fields)


def read_governors(root: Root) -> tuple[tuple[bytes, ...], int]:
    """Governors' public keys, in the order of their key ids, and how many decide (steps 4, 5).

    Raises:
        RosterMalformed: a version out of range, an unknown field, or another way of naming them.
        KeyWeak: a key that can bind nobody.
    """
    # (4) Version and fields. The library's comparisons take True for 1, so types are asked for.
    read_integer(root.version, "a roster's version", 1, ROSTER_VERSIONS_MAX)
    check_unknown(frozenset(root.unrecognized_fields), "the signed part")
    if root.consistent_snapshot is not True:
        raise RosterMalformed("consistent_snapshot is true")
    # (5) Governors: strong Ed25519 keys under their true ids, k of n, the same for every TUF role.
    key_ids = sorted(root.keys)
    threshold = read_integer(root.roles[Root.type].threshold, "the threshold", 1, GOVERNORS_MAX)
    for name in sorted(TOP_LEVEL_ROLE_NAMES):
        role = root.roles[name]
        read_integer(role.threshold, "the threshold", threshold, threshold)
        if role.unrecognized_fields or role.keyids != key_ids:
            raise RosterMalformed("the four TUF roles hold the ids of all keys, in order")
    check_threshold(threshold, len(key_ids))
    return tuple(_read_governor(key_id, root.keys[key_id]) for key_id in key_ids), threshold


def check_threshold(threshold: int, governors: int) -> None:
    """Accept k of n where one key alone can do nothing, and 1 of 1 for trying out.

    Raises:
        RosterMalformed: any other pair, or more than ``GOVERNORS_MAX`` governors.
    """
    is_quorum = 2 <= threshold <= governors <= GOVERNORS_MAX  # noqa: PLR2004 - docs/spec/roster.md (5)
    if not is_quorum and (threshold, governors) != (1, 1):
        raise RosterMalformed(
            f"{threshold} of {governors} governors cannot be: it is 2 or more of them, or 1 of 1"
        )


def _read_governor(key_id: str, key: Key) -> bytes:
    text = key.keyval.get("public")
    if not isinstance(text, str) or not _SHA256_HEX.match(text):
        raise RosterMalformed("a governor's key is 64 lower-case hex digits")
    public = bytes.fromhex(text)
    if key.to_dict() != governor_key(public).to_dict():
        raise RosterMalformed("a governor's key is Ed25519 and has no further fields")
    if key_id != governor_key_id(public):
        raise RosterMalformed("a governor's key id is not the one of its key")
    check_public_key(public)
    return public


# --- signatures -----------------------------------------------------------------------------------


def count_signatures(metadata: SignedRoot, before: SignedRoot | None) -> RootVerificationResult:
    """Who has signed a root, by TUF's rule: of the governors of ``before``, and of its own."""
    return metadata.signed.get_root_verification_result(
        None if before is None else before.signed, metadata.signed_bytes, metadata.signatures
    )


def format_signatures(result: RootVerificationResult, before: SignedRoot | None) -> str:
    """``1 of 2 old, 2 of 2 new``; for version 1, which has no old side, ``2 of 3``."""
    old, new = (f"{len(side.signed)} of {side.threshold}" for side in (result.first, result.second))
    return new if before is None else f"{old} old, {new} new"
