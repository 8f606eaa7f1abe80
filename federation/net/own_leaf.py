"""This node's own leaf: minted, kept in a file, loaded into TLS contexts, renewed.

Python's TLS reads keys from files only, so leaf and key lie in one file of mode 0600, which is
either the old one or the new one. Whoever reads it is the member, on the wire, until the leaf ends.
"""

from __future__ import annotations

import os
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federation.local_errors.disk import StoreError
from federation.net.identities import Leaf, PemPair, mint_leaf
from federation.net.limits import RENEW_AT_LIFE_FRACTION
from federation.net.signatures import SigningLeaf

LEAF_FILE: Final = "peer-leaf.pem"


class OwnLeaf:
    """The leaf in use, and the identity that it is minted under.

    Args:
        member: this node's own member name.
        identity: its TLS identity, certificate and key.
        directory: where the leaf and its key are kept; made with mode 0700 when missing.
        now: UTC, aware.
        valid_hours: life of a leaf.

    Raises:
        KeyFileInvalid, KeyMalformed: the identity is unusable, or not of this time.
        StoreError: the leaf could not be written.
    """

    def __init__(
        self, member: str, identity: PemPair, directory: Path, now: datetime, valid_hours: float
    ) -> None:
        self._member, self._identity = member, identity
        self._path = directory / LEAF_FILE
        self._valid_hours = valid_hours
        self._signing: SigningLeaf | None = None
        self._mint(now)

    @property
    def valid_until(self) -> datetime:
        """When the present leaf ends (UTC)."""
        return self._leaf.valid_until

    def signing(self) -> SigningLeaf:
        """The present leaf and its key."""
        if self._signing is None:
            certificate = x509.load_pem_x509_certificate(self._leaf.certificate)
            key = serialization.load_pem_private_key(self._leaf.private_key, password=None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - as mint_leaf makes it
            der = certificate.public_bytes(serialization.Encoding.DER)
            self._signing = SigningLeaf(der, key)
        return self._signing

    def renew_if_due(self, now: datetime) -> bool:
        """Mint the next one when two thirds of this one's life are over; True if it did.

        Raises:
            KeyFileInvalid: ``now`` is outside the dates of the identity itself.
            StoreError: it could not be written; the present one stays.
        """
        # A clock that was set back would leave a leaf that peers find too young.
        if self._leaf.valid_from <= now < self._renew_at:
            return False
        self._mint(now)
        return True

    def take_identity(self, identity: PemPair, now: datetime) -> bool:
        """Mint under another identity from now on; True if it is another.

        Raises:
            KeyFileInvalid, KeyMalformed: it is none of this member's; the present one stays.
            StoreError: the leaf could not be written; the present one stays.
        """
        if identity == self._identity:
            return False
        former, self._identity = self._identity, identity
        try:
            self._mint(now)
        except BaseException:
            self._identity = former
            raise
        return True

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context show the leaf.

        Raises:
            StoreError: its file could not be read, nor written again.
        """
        try:
            if not self._path.exists():  # somebody tidied up; the leaf is still in memory
                _write_leaf(self._path, self._leaf)
            context.load_cert_chain(self._path)
        except OSError as error:
            raise _leaf_unusable(error) from None

    def _mint(self, now: datetime) -> None:
        identity = self._identity
        leaf = mint_leaf(
            identity.certificate, identity.private_key, self._member, now, self._valid_hours
        )
        try:
            _write_leaf(self._path, leaf)
        except OSError as error:
            raise _leaf_unusable(error) from None
        self._leaf = leaf
        self._signing = None
        self._renew_at = now + (leaf.valid_until - now) * RENEW_AT_LIFE_FRACTION


def _leaf_unusable(error: OSError) -> StoreError:
    return StoreError(
        f"the node's own TLS leaf could not be written and read ({error.strerror})",
        hint="check the directory's owner and free space; the node tries again by itself",
    )


def _write_leaf(path: Path, leaf: Leaf) -> None:
    """Put key and certificate in one file, which is either the old one or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(leaf.private_key + leaf.certificate)
    unfinished.replace(path)
