"""TLS identities and leaves: what may be pinned, and whose leaf a leaf is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import KeyMalformed, MemberNameMalformed, ProtocolError
from federation.local_errors.askers import PeerNotAMember
from federation.local_errors.config import KeyFileInvalid
from federation.net.identities import (
    PemPair,
    bind_leaf,
    check_identity_certificate,
    identity_der,
    leaf_member,
    make_identity,
    mint_leaf,
)
from federation.net.limits import IDENTITY_DER_BYTES_MAX, LEAF_BACKDATED_SECONDS
from federation.protocol.limits import MEMBER_CHARACTERS_MAX

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALICE = make_identity("alice.example", not_before=NOW - timedelta(days=30))
BOB = make_identity("bob.example", not_before=NOW - timedelta(days=30))
PINNED = {
    "alice.example": identity_der(ALICE.certificate),
    "bob.example": identity_der(BOB.certificate),
}
ROSTER = {member: (der,) for member, der in PINNED.items()}


def leaf_der(identity: PemPair, member: str, now: datetime = NOW, hours: float = 24) -> bytes:
    leaf = mint_leaf(identity.certificate, identity.private_key, member, now, hours)
    return identity_der(leaf.certificate)


def pem_of(key: Any) -> bytes:
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(encoding, private, serialization.NoEncryption())
    assert isinstance(pem, bytes)
    return pem


def key_usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    rest = {"content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}
    rest |= {"crl_sign", "encipher_only", "decipher_only"}
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=key_cert_sign, **dict.fromkeys(rest, False)
    )


def certificate(
    key: Any,
    *,
    names: tuple[x509.GeneralName, ...] = (x509.DNSName("alice.example"),),
    basic: x509.BasicConstraints | None = x509.BasicConstraints(ca=True, path_length=0),  # noqa: B008 - a value
    may_sign: bool | None = True,
    has_key_id: bool = True,
    extra: x509.ExtensionType | None = None,
    issuer: tuple[x509.Certificate, Any] | None = None,
    subject: str = "alice.example",
) -> x509.Certificate:
    """A certificate that is an identity of alice.example except for what an argument changes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    public = key.public_key()
    builder = x509.CertificateBuilder(
        issuer[0].subject if issuer else name,
        name,
        public,
        x509.random_serial_number(),
        NOW - timedelta(days=1),
        NOW + timedelta(days=9),
    )
    if basic is not None:
        builder = builder.add_extension(basic, critical=True)
    if may_sign is not None:
        builder = builder.add_extension(key_usage(key_cert_sign=may_sign), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if has_key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    signing = issuer[1] if issuer else key
    digest = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signing, digest)


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


# --- identities -----------------------------------------------------------------------------------


def test_a_made_identity_may_be_pinned_for_its_member_and_no_other() -> None:
    check_identity_certificate(PINNED["alice.example"], "alice.example")
    with pytest.raises(KeyMalformed):
        check_identity_certificate(PINNED["alice.example"], "bob.example")


def test_the_longest_member_name_gets_an_identity_and_leaves() -> None:
    member = ".".join(["a" * 49, "b" * 50])
    assert len(member) == MEMBER_CHARACTERS_MAX
    pair = make_identity(member, not_before=NOW)
    pinned = identity_der(pair.certificate)
    check_identity_certificate(pinned, member)
    assert leaf_member(leaf_der(pair, member), {member: (pinned,)}, NOW) == member


@pytest.mark.parametrize("member", ["Alice.example", "*.example", "a b", "", "xn--80ak6aa92e.com"])
def test_no_identity_is_made_for_what_is_no_member_name(member: str) -> None:
    with pytest.raises(MemberNameMalformed):
        make_identity(member, not_before=NOW)


def test_an_ed25519_identity_may_be_pinned_and_issues_leaves() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    made = certificate(key)
    check_identity_certificate(der(made), "alice.example")
    pair = PemPair(made.public_bytes(serialization.Encoding.PEM), pem_of(key))
    leaf = leaf_der(pair, "alice.example")
    assert leaf_member(leaf, {"alice.example": (der(made),)}, NOW) == "alice.example"


FLAWS: dict[str, Callable[[], x509.Certificate]] = {
    "not a CA": lambda: certificate(p256(), basic=x509.BasicConstraints(False, None)),
    "may issue CAs": lambda: certificate(p256(), basic=x509.BasicConstraints(True, 1)),
    "no path length": lambda: certificate(p256(), basic=x509.BasicConstraints(True, None)),
    "no basic constraints": lambda: certificate(p256(), basic=None),
    "may not sign": lambda: certificate(p256(), may_sign=False),
    "no key usage": lambda: certificate(p256(), may_sign=None),
    "no key identifier": lambda: certificate(p256(), has_key_id=False),
    "no name": lambda: certificate(p256(), names=()),
    "another name": lambda: certificate(p256(), names=(x509.DNSName("bob.example"),)),
    "a wildcard": lambda: certificate(p256(), names=(x509.DNSName("*.example"),)),
    "two names": lambda: certificate(
        p256(), names=(x509.DNSName("alice.example"), x509.DNSName("bob.example"))
    ),
    "another kind of name": lambda: certificate(
        p256(), names=(x509.UniformResourceIdentifier("alice.example"),)
    ),
    "P-384": lambda: certificate(ec.generate_private_key(ec.SECP384R1())),
    "RSA": lambda: certificate(rsa.generate_private_key(65537, 2048)),
    "an unknown critical extension": lambda: certificate(
        p256(), extra=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    ),
    "signed by another": lambda: certificate(
        p256(),
        issuer=(
            x509.load_der_x509_certificate(PINNED["bob.example"]),
            serialization.load_pem_private_key(BOB.private_key, None),
        ),
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flawed_identity_is_not_pinned(flaw: str) -> None:
    with pytest.raises(KeyMalformed):
        check_identity_certificate(der(FLAWS[flaw]()), "alice.example")


def test_bytes_behind_or_beyond_a_certificate_are_not_pinned() -> None:
    for foreign in (
        b"",
        PINNED["alice.example"] + b"\0",
        b"\0" * (IDENTITY_DER_BYTES_MAX + 1),
        ALICE.certificate,
    ):
        with pytest.raises(KeyMalformed):
            check_identity_certificate(foreign, "alice.example")


def test_an_identity_with_a_broken_self_signature_is_not_pinned() -> None:
    broken = bytearray(PINNED["alice.example"])
    broken[-1] ^= 1
    with pytest.raises(KeyMalformed):
        check_identity_certificate(bytes(broken), "alice.example")


def test_key_files_that_do_not_belong_together_are_refused() -> None:
    for issuer, key in (
        (ALICE.certificate, BOB.private_key),
        (b"", ALICE.private_key),
        (ALICE.certificate, b""),
        (ALICE.certificate, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        (ALICE.certificate, pem_of(rsa.generate_private_key(65537, 2048))),
    ):
        with pytest.raises(KeyFileInvalid):
            mint_leaf(issuer, key, "alice.example", NOW, 24)
    with pytest.raises(KeyMalformed):
        mint_leaf(ALICE.certificate, ALICE.private_key, "bob.example", NOW, 24)


def test_private_keys_are_never_shown() -> None:
    leaf = mint_leaf(ALICE.certificate, ALICE.private_key, "alice.example", NOW, 24)
    assert "PRIVATE KEY" not in repr(leaf) + repr(ALICE) + str(ALICE)


# --- leaves ---------------------------------------------------------------------------------------


def test_a_leaf_belongs_to_the_member_whose_identity_issued_it() -> None:
    assert leaf_member(leaf_der(ALICE, "alice.example"), ROSTER, NOW) == "alice.example"
    assert leaf_member(leaf_der(BOB, "bob.example"), ROSTER, NOW) == "bob.example"


def test_a_leaf_of_a_member_outside_the_roster_is_nobodys() -> None:
    only_bob = {"bob.example": ROSTER["bob.example"]}
    for roster in (only_bob, {}):
        with pytest.raises(PeerNotAMember):
            leaf_member(leaf_der(ALICE, "alice.example"), roster, NOW)


def test_a_leaf_of_a_former_identity_is_nobodys() -> None:
    renewed = make_identity("alice.example", not_before=NOW - timedelta(days=1))
    roster = {"alice.example": (identity_der(renewed.certificate),)}
    with pytest.raises(PeerNotAMember):
        leaf_member(leaf_der(ALICE, "alice.example"), roster, NOW)
    assert leaf_member(leaf_der(renewed, "alice.example"), roster, NOW) == "alice.example"


def test_a_leaf_under_any_of_a_members_identities_is_its_own() -> None:
    renewed = make_identity("alice.example", not_before=NOW - timedelta(days=1))
    both = {"alice.example": (PINNED["alice.example"], identity_der(renewed.certificate))}
    for identity in (ALICE, renewed):
        assert leaf_member(leaf_der(identity, "alice.example"), both, NOW) == "alice.example"
    stranger = make_identity("alice.example", not_before=NOW - timedelta(days=1))
    with pytest.raises(PeerNotAMember, match="not issued by"):
        leaf_member(leaf_der(stranger, "alice.example"), both, NOW)


def test_bobs_identity_cannot_issue_a_leaf_named_alice() -> None:
    bobs_key = serialization.load_pem_private_key(BOB.private_key, None)
    bob = x509.load_der_x509_certificate(PINNED["bob.example"])
    not_a_ca = x509.BasicConstraints(ca=False, path_length=None)
    forged = certificate(p256(), basic=not_a_ca, may_sign=False, issuer=(bob, bobs_key))
    with pytest.raises(PeerNotAMember):
        leaf_member(der(forged), ROSTER, NOW)
    # Even when he gives his identity the same subject as hers.
    twin = certificate(bobs_key, names=(x509.DNSName("bob.example"),), subject="alice.example")
    forged = certificate(p256(), basic=not_a_ca, may_sign=False, issuer=(twin, bobs_key))
    with pytest.raises(PeerNotAMember):
        leaf_member(der(forged), {**ROSTER, "bob.example": (der(twin),)}, NOW)


@pytest.mark.parametrize(
    "names",
    [
        (),
        (x509.DNSName("alice.example"), x509.DNSName("bob.example")),
        (x509.DNSName("*.example"),),
        (x509.DNSName("ALICE.example"),),
        (x509.RFC822Name("alice.example"),),
    ],
)
def test_a_leaf_names_exactly_one_member(names: tuple[x509.GeneralName, ...]) -> None:
    key = serialization.load_pem_private_key(ALICE.private_key, None)
    issuer = (x509.load_der_x509_certificate(PINNED["alice.example"]), key)
    not_a_ca = x509.BasicConstraints(ca=False, path_length=None)
    leaf = certificate(p256(), basic=not_a_ca, may_sign=False, issuer=issuer, names=names)
    with pytest.raises(PeerNotAMember):
        leaf_member(der(leaf), ROSTER, NOW)


def test_the_identity_itself_is_no_leaf() -> None:
    with pytest.raises(PeerNotAMember):
        leaf_member(PINNED["alice.example"], ROSTER, NOW)


def test_a_leaf_counts_between_its_dates_only() -> None:
    leaf = leaf_der(ALICE, "alice.example", hours=24)
    slow = timedelta(seconds=LEAF_BACKDATED_SECONDS)
    for moment in (NOW - slow, NOW, NOW + timedelta(hours=24)):
        assert leaf_member(leaf, ROSTER, moment) == "alice.example"
    for moment in (NOW - slow - timedelta(seconds=1), NOW + timedelta(hours=24, seconds=1)):
        with pytest.raises(PeerNotAMember):
            leaf_member(leaf, ROSTER, moment)


def test_a_leaf_never_outlives_its_identity() -> None:
    short = make_identity("alice.example", not_before=NOW, valid_days=1)
    pinned = {"alice.example": (identity_der(short.certificate),)}
    bound = bind_leaf(leaf_der(short, "alice.example", hours=1_000), pinned, NOW)
    assert (bound.valid_from, bound.valid_until) == (NOW, NOW + timedelta(days=1))
    for moment in (NOW - timedelta(seconds=1), NOW + timedelta(days=1)):
        with pytest.raises(KeyFileInvalid):
            leaf_der(short, "alice.example", now=moment)


# --- any bytes ------------------------------------------------------------------------------------


@given(st.binary(max_size=IDENTITY_DER_BYTES_MAX + 2))
def test_any_bytes_are_refused_as_an_identity_and_as_a_leaf(foreign: bytes) -> None:
    with pytest.raises(ProtocolError):
        check_identity_certificate(foreign, "alice.example")
    with pytest.raises(PeerNotAMember):
        leaf_member(foreign, ROSTER, NOW)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255), st.booleans())
def test_a_certificate_with_one_byte_changed_is_refused(place: int, change: int, cut: bool) -> None:  # noqa: FBT001
    for original, judge in (
        (PINNED["alice.example"], lambda b: check_identity_certificate(b, "alice.example")),
        (LEAF, lambda b: leaf_member(b, ROSTER, NOW)),
    ):
        broken = bytearray(original)
        index = place % len(broken)
        broken[index] ^= change
        with pytest.raises((KeyMalformed, PeerNotAMember)):
            judge(bytes(broken[:index] if cut else broken))


def test_a_signature_has_one_form_only() -> None:
    signature = x509.load_der_x509_certificate(LEAF).signature
    broken = bytearray(LEAF)
    broken[-len(signature) - 1] = 1  # "its last bit is unused": it may be zero anyway
    with pytest.raises(PeerNotAMember):
        leaf_member(bytes(broken), ROSTER, NOW)


LEAF = leaf_der(ALICE, "alice.example")
