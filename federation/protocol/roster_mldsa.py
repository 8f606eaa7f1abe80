"""The ML-DSA-44 keys in use of a member: who may sign a second line beside an Ed25519 one.

Source: docs/spec/roster.md, docs/spec/checkpoints.md.
"""

from __future__ import annotations

from federation.errors import KeyMalformed, RosterMalformed
from federation.protocol.keys import MLDSA44_PUBLIC_BYTES
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.roster_fields import Json, read_base64


def check_mldsa44_keys(keys: tuple[tuple[str, bytes], ...]) -> None:
    """Accept the ML-DSA-44 keys of one member.

    Raises:
        RosterMalformed: a purpose that is no lane or cosigner, twice or out of order.
        KeyMalformed: a key of another length.
    """
    purposes = [purpose for purpose, _ in keys]
    if purposes != sorted(set(purposes)) or not {*Lane, *Cosigner}.issuperset(purposes):
        raise RosterMalformed("ML-DSA-44 keys are for lanes and cosigners, sorted, each once")
    if any(len(public) != MLDSA44_PUBLIC_BYTES for _, public in keys):
        raise KeyMalformed(f"an ML-DSA-44 public key has {MLDSA44_PUBLIC_BYTES} bytes")


def read_mldsa44_keys(value: Json) -> tuple[tuple[str, bytes], ...]:
    """ML-DSA-44 keys by purpose, from their object. Raises: RosterMalformed, KeyMalformed."""
    if not isinstance(value, dict) or not value:
        raise RosterMalformed("mldsa44_keys is an object with at least one key")
    keys = [(purpose, read_base64(value[purpose], "an ML-DSA-44 key")) for purpose in sorted(value)]
    check_mldsa44_keys(tuple(keys))
    return tuple(keys)
