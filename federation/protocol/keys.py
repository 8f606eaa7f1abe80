"""Verifier keys, and the check that tells a signature from noise.

A verifier key (C2SP vkey) binds a name, a signature type and a public key by a key id, and no
``VerifierKey`` exists that is weak, unnamed or of a type nobody here verifies. Judges take the
check as an argument of type ``SignatureCheck``, so that a simulator can count or replace it. With
its neighbours ``keys_*`` it is the only pure room that knows the cryptography library.

Source: docs/spec/keys.md; C2SP signed-note (vkeys, key ids); RFC 8032; C2SP tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from federation.errors import KeyMalformed, KeyWeak
from federation.protocol.limits import ORIGIN_BYTES_MAX
from federation.protocol.texts import check_characters, format_base64

SignatureCheck: TypeAlias = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the key signed the message; never raises."""

ED25519_PUBLIC_BYTES: Final = 32
ED25519_SIGNATURE_BYTES: Final = 64
MLDSA44_PUBLIC_BYTES: Final = 1312
MLDSA44_SIGNATURE_BYTES: Final = 2420

KEY_ID_BYTES: Final = 4
KEY_NAME_BYTES_MAX: Final = ORIGIN_BYTES_MAX
"""A log's key is named by its origin, and a type 06 cosignature has one length byte for each."""

KEYS_LOADED_MAX: Final = 8_192
"""Loaded Ed25519 keys remembered: five of each of 1,000 members, and some of former ones."""


# Characters with the Unicode property White_Space (PropList.txt); C2SP bars them from key names.
UNICODE_SPACES: Final = frozenset(
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)

# The field prime of Curve25519, and the y of every point whose order divides 8: the identity, the
# point of order two, the two of order four (y = 0) and the four of order eight. A signature by
# such a key can be made for any message without a secret.
_FIELD_PRIME: Final = 2**255 - 19
_LOW_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


class KeyType(IntEnum):
    """Signature types of C2SP signed-note that this protocol uses."""

    ED25519 = 1  # over a text, such as a log's over its checkpoint
    COSIGNATURE_ED25519 = 4  # a cosigner's, timestamped, over a checkpoint
    COSIGNATURE_MLDSA44 = 6  # the same with ML-DSA-44, which also covers the cosigner's name


def check_public_key(raw: bytes) -> None:
    """Accept an Ed25519 public key that can bind its holder to what it signs.

    Libraries accept far worse: a key of low order verifies signatures that nobody made. Keys are
    checked where they enter, in rosters, config and arguments. A key that is no point of the curve
    is not looked for: it verifies nothing.

    Raises:
        KeyMalformed: not 32 bytes.
        KeyWeak: low order, or a y that is not reduced modulo the field prime.
    """
    if len(raw) != ED25519_PUBLIC_BYTES:
        raise KeyMalformed(f"an Ed25519 public key has {ED25519_PUBLIC_BYTES} bytes")
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _FIELD_PRIME:
        raise KeyWeak("the Ed25519 public key is not in canonical form")
    if y in _LOW_ORDER_Y:
        raise KeyWeak("the Ed25519 public key has low order")


def check_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of an Ed25519 key signed the message; False for a weak or broken key."""
    key = _load_ed25519(public)
    if key is None:
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def check_mldsa44(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of an ML-DSA-44 key signed the message, with an empty context."""
    # Not remembered: loading is a twentieth of a check, and a loaded key takes some 20 kB.
    try:
        MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=KEYS_LOADED_MAX)
def _load_ed25519(public: bytes) -> Ed25519PublicKey | None:
    try:
        check_public_key(public)
        return Ed25519PublicKey.from_public_bytes(public)
    except (KeyMalformed, KeyWeak, ValueError):
        return None


@lru_cache(maxsize=1_024)
def check_key_name(name: str) -> None:
    """Accept a name that a signature line can carry.

    Raises:
        KeyMalformed: empty, too long, with a Unicode space, a ``+`` or a control character.
    """
    if not name:
        raise KeyMalformed("a key name is not empty")
    if "+" in name or not UNICODE_SPACES.isdisjoint(name):
        raise KeyMalformed("a key name has no space and no '+'")
    check_characters(name, KeyMalformed, "the key name")
    if len(name.encode("utf-8")) > KEY_NAME_BYTES_MAX:
        raise KeyMalformed(f"a key name has at most {KEY_NAME_BYTES_MAX} bytes")


@dataclass(frozen=True)
class VerifierKey:
    """A public key, what it is called, and what kind of signature it makes (C2SP vkey).

    Attributes:
        name: as in the signature line; for a log, its origin.
        type: the signature type.
        public: the public key: 32 bytes, or 1,312 for ML-DSA-44.

    Raises:
        KeyMalformed, KeyWeak: a bad name, or a public key that can bind nobody.
    """

    name: str
    type: KeyType
    public: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if self.type is not KeyType.COSIGNATURE_MLDSA44:
            check_public_key(self.public)
        elif len(self.public) != MLDSA44_PUBLIC_BYTES:
            raise KeyMalformed(f"an ML-DSA-44 public key has {MLDSA44_PUBLIC_BYTES} bytes")

    @cached_property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, newline, type, public key)."""
        named = self.name.encode("utf-8") + b"\n" + bytes([self.type]) + self.public
        return sha256(named).digest()[:KEY_ID_BYTES]

    def format(self) -> str:
        """The vkey text: ``name+hex key id+base64 of type and public key``."""
        return f"{self.name}+{self.key_id.hex()}+{format_base64(bytes([self.type]) + self.public)}"


vkey_of = lru_cache(maxsize=KEYS_LOADED_MAX)(VerifierKey)  # made once, with its id
