"""Certificates: the identity a roster pins for a member, and the leaves that live under it.

    identity  long-lived, self-signed P-256 CA certificate; its DER bytes stand in the roster
    leaf      short-lived certificate for TLS, issued by the identity, naming the same member

So a node rotates the key it uses every day without a roster version; and while governance rotates
the identity itself, a member has several, each as good as the other. The rule that makes it safe:
**a leaf is bound to an identity of the very member it names.** TLS libraries only ask whether
*some* trusted certificate issued the leaf, and all members' identities are trusted by a server;
any member could then issue a leaf in another's name. :func:`leaf_member` is that rule.

Randomness comes from the cryptography library; ``now`` is an argument. Own files that are wrong
raise ConfigError leaves, foreign bytes ProtocolError leaves or PeerNotAMember.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from federation.errors import KeyMalformed
from federation.local_errors.askers import PeerNotAMember
from federation.local_errors.config import KeyFileInvalid
from federation.net.limits import (
    IDENTITY_DER_BYTES_MAX,
    IDENTITY_VALID_DAYS,
    LEAF_BACKDATED_SECONDS,
)
from federation.protocol.origins import check_member_name

_IdentityKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_SUBJECT_CHARACTERS_MAX: Final = 64  # X.520's ub-common-name; the SAN holds the whole name

# All that the cryptography library raises while reading a certificate somebody else made.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    CryptographyDeprecationWarning,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_CRITICAL_EXTENSIONS_KNOWN: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


class PemPair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "PemPair(private key not shown)"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A minted leaf, PEM, and the times between which peers take it (UTC)."""

    certificate: bytes
    private_key: bytes = field(repr=False)
    valid_from: datetime
    valid_until: datetime


def make_identity(
    member: str, *, not_before: datetime, valid_days: int = IDENTITY_VALID_DAYS
) -> PemPair:
    """Make a member's TLS identity: a P-256 CA that may issue leaves for that name only.

    Args:
        member: the member's name.
        not_before: UTC, aware; from when on peers take it. An hour ago serves peers whose clocks
            are slow.
        valid_days: its life.

    Raises:
        MemberNameMalformed: the name is no lower-case DNS name.
    """
    check_member_name(member)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(member)
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    # The constraint stops the identity's owner from naming others even where a TLS library alone
    # decides; identities made by other software may lack it, so nothing here relies on it.
    constraint = x509.NameConstraints([x509.DNSName(member)], None)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_whole_second(not_before))
        .not_valid_after(_whole_second(not_before) + timedelta(days=valid_days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(member)]), critical=False)
        .add_extension(constraint, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return PemPair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def identity_der(certificate_pem: bytes) -> bytes:
    """The DER bytes of an identity's PEM file: what a join request and the roster carry.

    Raises:
        KeyFileInvalid: not one PEM certificate.
    """
    return _own_certificate(certificate_pem).public_bytes(serialization.Encoding.DER)


def mint_leaf(
    identity_certificate: bytes,
    identity_key: bytes,
    member: str,
    now: datetime,
    valid_hours: float,
) -> Leaf:
    """Issue a leaf with a fresh P-256 key under the node's own identity.

    It is backdated by ``LEAF_BACKDATED_SECONDS`` for peers whose clocks are slow, and never lives
    longer than the identity.

    Args:
        identity_certificate: PEM.
        identity_key: PEM of its private key.
        member: the member both certificates name.
        now: UTC, aware.
        valid_hours: life after ``now``.

    Raises:
        KeyFileInvalid: the PEM texts are malformed, do not belong together, or ``now`` is outside
            the identity's dates.
        KeyMalformed: the certificate is not an identity of that member.
    """
    issuer = _own_certificate(identity_certificate)
    issuer_key = _own_key(identity_key)
    if issuer_key.public_key() != issuer.public_key():
        raise KeyFileInvalid("the TLS identity's key file does not belong to its certificate")
    check_identity_certificate(issuer.public_bytes(serialization.Encoding.DER), member)
    valid_from = max(
        _whole_second(now) - timedelta(seconds=LEAF_BACKDATED_SECONDS), issuer.not_valid_before_utc
    )
    valid_until = min(_whole_second(now) + timedelta(hours=valid_hours), issuer.not_valid_after_utc)
    if not issuer.not_valid_before_utc <= _whole_second(now) < issuer.not_valid_after_utc:
        raise KeyFileInvalid(
            "the TLS identity is not valid at this time",
            hint="check this machine's clock; if it is right, make a new identity and have "
            "governance put it in the roster",
        )
    key = ec.generate_private_key(ec.SECP256R1())
    unsigned = _unsigned_leaf(issuer, key.public_key(), member, valid_from, valid_until)
    # Ed25519 signs without a separate digest; ECDSA names one.
    digest = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = unsigned.sign(issuer_key, digest)
    return Leaf(
        certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key), valid_from, valid_until
    )


def check_identity_certificate(der: bytes, member: str) -> None:
    """Accept a certificate that a roster may pin as that member's TLS identity.

    It is one DER certificate without trailing bytes; a self-signed CA that may issue leaves and no
    further CA; its key P-256 or Ed25519; its only name the member's. Its dates are not judged
    here: they are a question of ``now``.

    Raises:
        MemberNameMalformed: ``member`` is no lower-case DNS name.
        KeyMalformed: anything else that does not hold.
    """
    check_member_name(member)
    _identity_certificate(der, member)


def leaf_member(leaf_der: bytes, identities: Mapping[str, Sequence[bytes]], now: datetime) -> str:
    """The member whose leaf this is, proven by an identity of that member's own and by no other.

    Args:
        leaf_der: the certificate that the other side of a TLS connection proved to hold.
        identities: member's name -> DER of each identity that the roster pins for it.
        now: UTC, aware.

    Raises:
        PeerNotAMember: the leaf names none or several, names nobody in ``identities``, was not
            issued by an identity of the named member, is a CA, or either is outside its dates.
    """
    return bind_leaf(leaf_der, identities, now).member


@dataclass(frozen=True, slots=True)
class BoundLeaf:
    """A leaf proven to be a member's, and the times between which that stays true (UTC)."""

    member: str
    valid_from: datetime
    valid_until: datetime

    def is_valid_at(self, now: datetime) -> bool:
        """Whether ``now`` is between the dates of both the leaf and its identity."""
        return self.valid_from <= now <= self.valid_until


def bind_leaf(
    leaf_der: bytes, identities: Mapping[str, Sequence[bytes]], now: datetime
) -> BoundLeaf:
    """As :func:`leaf_member`, with the dates, so that the answer can be remembered.

    Raises:
        PeerNotAMember: see :func:`leaf_member`.
    """
    try:
        leaf = _load(leaf_der)
        member = _only_dns_name(leaf)
        is_ca = _is_ca(leaf)
    except _UNREADABLE:
        raise PeerNotAMember("the peer's certificate names no single member") from None
    pinned = identities.get(member)
    # The name is the stranger's own claim, so it is not repeated in the message.
    if not pinned or is_ca:
        raise PeerNotAMember("the peer's certificate names nobody in this node's roster")
    identity = _issuer(leaf, member, pinned)
    bound = BoundLeaf(
        member,
        max(leaf.not_valid_before_utc, identity.not_valid_before_utc),
        min(leaf.not_valid_after_utc, identity.not_valid_after_utc),
    )
    if not bound.is_valid_at(now):
        raise PeerNotAMember(
            f"the certificate of {member} is not valid at this time",
            hint="compare the clocks of the two machines; a running node renews its own leaf",
        )
    return bound


def _load(der: bytes) -> x509.Certificate:
    """A certificate in the one form there is of it; raises what ``_UNREADABLE`` lists."""
    with warnings.catch_warnings():
        # What the library will refuse one day (a serial number that is negative) is refused now.
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        certificate = x509.load_der_x509_certificate(der)
        certificate.extensions  # noqa: B018 - parsed now, under the filter
    # The signature covers everything before it, but not how many of its own bits are unused.
    if not der.endswith(b"\0" + certificate.signature):
        raise ValueError("the signature is not written in its one form")
    return certificate


def _issuer(leaf: x509.Certificate, member: str, pinned: Sequence[bytes]) -> x509.Certificate:
    """Which of the member's identities issued the leaf; they differ in their keys."""
    for der in pinned:
        try:
            identity = _identity_certificate(der, member)
            leaf.verify_directly_issued_by(identity)
        except (KeyMalformed, *_UNREADABLE):
            continue
        return identity
    raise PeerNotAMember(
        f"the peer's certificate names {member} but was not issued by its identity"
    )


def _identity_certificate(der: bytes, member: str) -> x509.Certificate:
    if len(der) > IDENTITY_DER_BYTES_MAX:
        raise KeyMalformed(f"a TLS identity has at most {IDENTITY_DER_BYTES_MAX} bytes")
    try:
        certificate = _load(der)
        flaw = _identity_flaw(certificate, member)
        is_verbatim = certificate.public_bytes(serialization.Encoding.DER) == der
        certificate.verify_directly_issued_by(certificate)
    except _UNREADABLE as error:
        raise KeyMalformed(
            f"a TLS identity must be one self-signed X.509 certificate ({type(error).__name__})"
        ) from None
    if flaw is not None or not is_verbatim:
        raise KeyMalformed(flaw or "a TLS identity has no bytes beside the certificate")
    return certificate


def _identity_flaw(certificate: x509.Certificate, member: str) -> str | None:
    """What keeps the certificate from being an identity, in words, or None."""
    extensions = certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    extensions.get_extension_for_class(x509.SubjectKeyIdentifier)  # strict verifying needs it
    if not (constraints.critical and constraints.value.ca and constraints.value.path_length == 0):
        return "a TLS identity is a CA that issues leaves only (basicConstraints CA, path 0)"
    if not usage.key_cert_sign:
        return "a TLS identity may sign certificates (keyUsage keyCertSign)"
    if any(e.critical and e.oid not in _CRITICAL_EXTENSIONS_KNOWN for e in extensions):
        return "a TLS identity has no critical extension that TLS libraries do not know"
    if _only_dns_name(certificate) != member:
        return f"the TLS identity of {member} names another"
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None
    return "the key of a TLS identity is P-256 or Ed25519"


def _only_dns_name(certificate: x509.Certificate) -> str:
    """The one name in the certificate, or ValueError when there are several or other kinds."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (name,) = names
    if not isinstance(name, x509.DNSName):
        raise ValueError("the name is not a DNS name")  # noqa: TRY004 - read by _UNREADABLE
    return name.value


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _unsigned_leaf(
    issuer: x509.Certificate,
    public_key: ec.EllipticCurvePublicKey,
    member: str,
    valid_from: datetime,
    valid_until: datetime,
) -> x509.CertificateBuilder:
    issuer_key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(member))
        .issuer_name(issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid_from)
        .not_valid_after(valid_until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(member)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(authority, critical=False)
    )


def _own_certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except _UNREADABLE:
        raise KeyFileInvalid("the TLS identity's file is not a PEM certificate") from None


def _own_key(pem: bytes) -> _IdentityKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except _UNREADABLE:
        raise KeyFileInvalid("the TLS identity's key file is not an unencrypted PEM key") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise KeyFileInvalid("the TLS identity's key is neither P-256 nor Ed25519")
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(member: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member[:_SUBJECT_CHARACTERS_MAX])])


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
