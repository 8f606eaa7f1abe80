"""Signing and judging messages between nodes by RFC 9421, under the leaves that TLS uses elsewhere.

The library builds and checks signature bases; whose leaf signed, how old a message may be and
whether it came before is judged here and by who calls. Whatever a stranger's message holds, only
NotAllowed leaves come of it.

Source: docs/spec/http_signatures.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    VerifyResult,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from federation.local_errors.askers import RequestUnproven
from federation.protocol.http_signatures import (
    AGE_SECONDS_MAX,
    ANSWER_COMPONENTS,
    ANSWER_TAG,
    LABEL,
    LEAF_FIELD,
    REQUEST_COMPONENTS,
    REQUEST_TAG,
    check_age,
    check_nonce,
    format_leaf_field,
    parse_leaf_field,
)

_NONCE_BYTES: Final = 16
_KEY_ID: Final = "leaf"
"""The key is in the message, so its id says nothing; the library wants one."""

_DIGEST_FIELD: Final = "Content-Digest"


@dataclass(frozen=True, slots=True)
class SigningLeaf:
    """A leaf and its key.

    Attributes:
        leaf_der: the certificate.
        key: its private key.
    """

    leaf_der: bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(slots=True)
class RequestMessage:
    """A request as its signature sees it.

    Attributes:
        method: of HTTP, in capitals.
        url: absolute, as the asker wrote it.
        headers: its fields; signing adds to them.
    """

    method: str
    url: str
    headers: MutableMapping[str, str]


@dataclass(slots=True)
class AnswerMessage:
    """An answer as its signature sees it.

    Attributes:
        status_code: of HTTP.
        headers: its fields; signing adds to them.
        request: what it answers, with the fields of its signature.
    """

    status_code: int
    headers: MutableMapping[str, str]
    request: RequestMessage


@dataclass(frozen=True, slots=True)
class Proven:
    """A message whose signature holds, under a leaf that is a member's.

    Attributes:
        member: whose.
        nonce: of a request; empty for an answer.
        created: when it was signed, POSIX seconds.
    """

    member: str
    nonce: str
    created: int
    _results: tuple[VerifyResult, ...] = field(repr=False)

    def check_body(self, body: bytes) -> None:
        """Accept the body that came with the message.

        Raises:
            RequestUnproven: it is not the one that was signed for.
        """
        try:
            for result in self._results:
                if not ContentDigest.verify_components(result.covered_components, body):
                    raise RequestUnproven("the message's body is not covered by its signature")
        except HTTPMessageSignaturesException:
            raise RequestUnproven("the message's body is not the one that was signed") from None


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, key: ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def resolve_public_key(self, key_id: str) -> Any:  # noqa: ARG002 - there is one key
        return self._key

    def resolve_private_key(self, key_id: str) -> Any:  # noqa: ARG002 - there is one key
        return self._key


class _Verifier(HTTPMessageVerifier):
    """The library's, with this project's clock and bounds."""

    def __init__(self, key: ec.EllipticCurvePublicKey, now: float) -> None:
        super().__init__(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_OneKey(key))
        self._now = now

    def validate_created_and_expires(
        self,
        sig_input: Any,
        max_age: Any = None,  # noqa: ARG002 - check_age has the bounds
    ) -> None:
        """Judge the age by our clock, with errors that say what to do."""
        check_age(sig_input.params.get("created"), self._now)


def sign_request(message: RequestMessage, body: bytes, leaf: SigningLeaf, now: float) -> None:
    """Add the fields that prove who asks; each call signs anew, with a nonce of its own.

    Args:
        message: gets Content-Digest, Federation-Leaf, Signature-Input and Signature.
        body: what is sent; empty for a GET.
        leaf: signs.
        now: POSIX seconds.
    """
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    _sign(message, body, leaf, now, REQUEST_TAG, REQUEST_COMPONENTS, nonce)


def sign_answer(message: AnswerMessage, body: bytes, leaf: SigningLeaf, now: float) -> None:
    """Add the fields that prove who answers, and what was asked.

    Args:
        message: gets the same fields; its request must have those of its own signature.
        body: what is sent.
        leaf: signs.
        now: POSIX seconds.

    Raises:
        RequestUnproven: the request has no signature that an answer could be bound to.
    """
    try:
        _sign(message, body, leaf, now, ANSWER_TAG, ANSWER_COMPONENTS, None)
    except (HTTPMessageSignaturesException, ValueError):
        raise RequestUnproven("an answer is bound to a request's signature") from None


def open_request(message: RequestMessage, member_of: Callable[[bytes], str], now: float) -> Proven:
    """Judge a request by its head alone; its body is checked once it was read.

    Args:
        message: as it came.
        member_of: whose leaf a certificate is; raises PeerNotAMember.
        now: POSIX seconds.

    Raises:
        PeerNotAMember: the leaf is nobody's.
        RequestUnproven: no signature of that leaf over all that must be signed.
        ClockSkew: signed too long ago, or in the future.
    """
    proven = _open(message, REQUEST_TAG, REQUEST_COMPONENTS, member_of, now)
    check_nonce(proven.nonce)
    return proven


def open_answer(message: AnswerMessage, member_of: Callable[[bytes], str], now: float) -> Proven:
    """Judge an answer by its head, against the request that was sent.

    Args:
        message: as it came, with the request as it was sent.
        member_of: whose leaf a certificate is; raises PeerNotAMember.
        now: POSIX seconds.

    Raises:
        PeerNotAMember, RequestUnproven, ClockSkew: as for a request.
    """
    return _open(message, ANSWER_TAG, ANSWER_COMPONENTS, member_of, now)


def _sign(
    message: RequestMessage | AnswerMessage,
    body: bytes,
    leaf: SigningLeaf,
    now: float,
    tag: str,
    components: tuple[str, ...],
    nonce: str | None,
) -> None:
    message.headers[_DIGEST_FIELD] = ContentDigest.create(body)
    message.headers[LEAF_FIELD] = format_leaf_field(leaf.leaf_der)
    signer = HTTPMessageSigner(
        signature_algorithm=ECDSA_P256_SHA256, key_resolver=_OneKey(leaf.key)
    )
    signer.sign(
        message,
        key_id=_KEY_ID,
        created=datetime.fromtimestamp(int(now), UTC),
        nonce=nonce,
        label=LABEL,
        tag=tag,
        covered_component_ids=components,
        use_existing_digest=True,
    )


def _open(
    message: RequestMessage | AnswerMessage,
    tag: str,
    components: tuple[str, ...],
    member_of: Callable[[bytes], str],
    now: float,
) -> Proven:
    fields = {name.lower(): value for name, value in message.headers.items()}
    leaf_der = parse_leaf_field(fields.get(LEAF_FIELD.lower()))
    member = member_of(leaf_der)
    # What member_of took is a certificate.
    key = x509.load_der_x509_certificate(leaf_der).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestUnproven("messages are signed with P-256 leaves")
    try:
        (result,) = _Verifier(key, now).verify(
            message,
            max_age=timedelta(seconds=AGE_SECONDS_MAX),
            expect_tag=tag,
            expect_label=LABEL,
            require_components=components,
        )
    except (HTTPMessageSignaturesException, ValueError):
        raise RequestUnproven(
            f"no signature of {member} over all of {', '.join(components)}"
        ) from None
    nonce, created = result.parameters.get("nonce") or "", result.parameters["created"]
    return Proven(member, str(nonce), int(created), (result,))
