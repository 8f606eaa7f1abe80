"""Secret keys: they sign, and say their public half, and nothing else.

No ``repr``, message or comparison shows a secret. This floor has no randomness, so a new key is
made from a seed that the caller drew.

Source: docs/spec/keys.md; RFC 8032.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.errors import KeyMalformed
from federation.protocol.texts import format_base64, parse_base64

SEED_BYTES: Final = 32

SEED_TEXT_PREFIX: Final = "federation-ed25519-seed:"


class SigningKey:
    """An Ed25519 private key that signs and says its public half, and nothing else."""

    __slots__ = ("_private", "public")

    public: Final[bytes]
    """The public key, 32 bytes (RFC 8032)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Make the key of a seed.

        Args:
            seed: 32 secret random bytes; the same seed always gives the same key.

        Raises:
            KeyMalformed: not 32 bytes.
        """
        if len(seed) != SEED_BYTES:
            raise KeyMalformed(f"an Ed25519 seed has {SEED_BYTES} bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of the message (RFC 8032, deterministic)."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey(public={self.public.hex()})"


def parse_seed_text(text: str) -> bytes:
    """Read the text of a secret key file: one line, prefix and base64 of the 32-byte seed.

    Raises:
        KeyMalformed: any other text. The message shows nothing of it.
    """
    if not text.startswith(SEED_TEXT_PREFIX) or not text.endswith("\n"):
        raise KeyMalformed(f"a key file is one line that starts with {SEED_TEXT_PREFIX!r}")
    seed = parse_base64(text[len(SEED_TEXT_PREFIX) : -1], KeyMalformed, "the seed")
    if len(seed) != SEED_BYTES:
        raise KeyMalformed(f"an Ed25519 seed has {SEED_BYTES} bytes")
    return seed


def format_seed_text(seed: bytes) -> str:
    """Write the text of a secret key file.

    Raises:
        KeyMalformed: not 32 bytes.
    """
    if len(seed) != SEED_BYTES:
        raise KeyMalformed(f"an Ed25519 seed has {SEED_BYTES} bytes")
    return f"{SEED_TEXT_PREFIX}{format_base64(seed)}\n"
