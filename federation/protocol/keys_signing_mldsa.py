"""ML-DSA-44 secret keys, for the second line under checkpoints and cosignatures.

The library signs hedged: two signatures of one message differ, and both are right. So a line of
this type is kept and served as it was made, and never made again to be compared.

Source: docs/spec/keys.md; FIPS 204; C2SP tlog-cosignature (empty context).
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from federation.errors import KeyMalformed
from federation.protocol.keys_signing import SEED_BYTES
from federation.protocol.texts import format_base64, parse_base64

MLDSA44_SEED_PREFIX: Final = "federation-mldsa44-seed:"


class MldsaSigningKey:
    """An ML-DSA-44 private key that signs and says its public half, and nothing else."""

    __slots__ = ("_private", "public")

    public: Final[bytes]
    """The public key, 1,312 bytes."""

    def __init__(self, private: MLDSA44PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> MldsaSigningKey:
        """Make the key of a seed.

        Args:
            seed: 32 secret random bytes, of no other key.

        Raises:
            KeyMalformed: not 32 bytes.
        """
        if len(seed) != SEED_BYTES:
            raise KeyMalformed(f"an ML-DSA-44 seed has {SEED_BYTES} bytes")
        return cls(MLDSA44PrivateKey.from_seed_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """A 2,420-byte signature of the message; another one each time."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"MldsaSigningKey(public={self.public[:8].hex()}…)"


def parse_mldsa_seed_text(text: str) -> bytes:
    """Read the text of a secret key file: one line, prefix and base64 of the 32-byte seed.

    Raises:
        KeyMalformed: any other text. The message shows nothing of it.
    """
    if not text.startswith(MLDSA44_SEED_PREFIX) or not text.endswith("\n"):
        raise KeyMalformed(f"a key file is one line that starts with {MLDSA44_SEED_PREFIX!r}")
    seed = parse_base64(text[len(MLDSA44_SEED_PREFIX) : -1], KeyMalformed, "the seed")
    if len(seed) != SEED_BYTES:
        raise KeyMalformed(f"an ML-DSA-44 seed has {SEED_BYTES} bytes")
    return seed


def format_mldsa_seed_text(seed: bytes) -> str:
    """Write the text of a secret key file.

    Raises:
        KeyMalformed: not 32 bytes.
    """
    if len(seed) != SEED_BYTES:
        raise KeyMalformed(f"an ML-DSA-44 seed has {SEED_BYTES} bytes")
    return f"{MLDSA44_SEED_PREFIX}{format_base64(seed)}\n"
