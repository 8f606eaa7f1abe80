"""Roots being made: composed, signed, counted, and rid of signatures that count for nobody.

Judging one needs nothing of this; so the auditor's program does without it.

Source: docs/spec/roster.md, "Proposals".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from securesystemslib.signer import Signature  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    TOP_LEVEL_ROLE_NAMES,
    Metadata,
    Role,
    Root,
)

from federation.protocol.roster_fields import Json
from federation.protocol.roster_root import (
    SignedRoot,
    count_signatures,
    decode_root,
    governor_key,
    governor_key_id,
)

SPEC_VERSION: Final = "1.0.31"
"""TUF's, as written into new roots; any 1.x is read."""


def compose_root(
    *,
    version: int,
    expires_at_seconds: int,
    governors: tuple[bytes, ...],
    threshold: int,
    fields: Mapping[str, Json],
) -> bytes:
    """An unsigned root.

    Args:
        version: from 1.
        expires_at_seconds: POSIX seconds.
        governors: Ed25519 public keys.
        threshold: how many of them decide.
        fields: the federation's facts under their name, and extensions.
    """
    keys = {governor_key_id(public): governor_key(public) for public in governors}
    root = Root(
        version=version,
        spec_version=SPEC_VERSION,
        expires=datetime.fromtimestamp(expires_at_seconds, UTC),
        keys=keys,
        roles={name: Role(sorted(keys), threshold) for name in TOP_LEVEL_ROLE_NAMES},
        unrecognized_fields=dict(fields),
    )
    return Metadata(root).to_bytes()


def sign_root(root_bytes: bytes, public: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The same root with one more signature.

    Raises:
        TooLarge, RosterMalformed: no root.
    """
    metadata = decode_root(root_bytes)
    key_id = governor_key_id(public)
    signature = Signature(key_id, sign(metadata.signed_bytes).hex())
    return _with_signatures(metadata, {**metadata.signatures, key_id: signature})


def drop_signatures(metadata: SignedRoot, key_ids: tuple[str, ...]) -> bytes:
    """The same root, as bytes, without the signatures of these key ids."""
    kept = {key: value for key, value in metadata.signatures.items() if key not in key_ids}
    return _with_signatures(metadata, kept)


def _with_signatures(metadata: SignedRoot, signatures: dict[str, Signature]) -> bytes:
    in_order = {key_id: signatures[key_id] for key_id in sorted(signatures)}
    return Metadata(metadata.signed, in_order).to_bytes()


@dataclass(frozen=True, slots=True)
class SignatureTally:
    """How many governors have signed a root: those before it and its own.

    Attributes:
        old: signed and needed, of the governors of the version before; None for version 1.
        own: signed and needed, of its own.
        waiting: public keys of governors on either side who have not signed, sorted.
        strays: ids of signatures by nobody who counts, or that do not verify.
    """

    old: tuple[int, int] | None
    own: tuple[int, int]
    waiting: tuple[bytes, ...]
    strays: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether both sides have signed often enough."""
        return all(signed >= needed for signed, needed in (self.old or self.own, self.own))

    def __str__(self) -> str:
        own = f"{self.own[0]} of {self.own[1]}"
        return f"{self.old[0]} of {self.old[1]} old, {own} new" if self.old else own


def tally_signatures(metadata: SignedRoot, before: SignedRoot | None) -> SignatureTally:
    """Count, with TUF's own rule, who has signed.

    Args:
        metadata: the root to judge.
        before: the version just before; None for version 1.
    """
    result = count_signatures(metadata, before)
    waiting = {bytes.fromhex(key.keyval["public"]) for key in result.unsigned.values()}
    return SignatureTally(
        old=None if before is None else (len(result.first.signed), result.first.threshold),
        own=(len(result.second.signed), result.second.threshold),
        waiting=tuple(sorted(waiting)),
        strays=tuple(sorted(metadata.signatures.keys() - result.signed.keys())),
    )
