"""HTTP Message Signatures between nodes: what is signed, and how old it may be.

Where a balancer ends TLS, no certificate of the asker's reaches the node. So each request carries
the asker's leaf and is signed with its key (RFC 9421), content digest (RFC 9530) included; and each
answer is signed by the node that gives it, over the request that it answers. Which leaf is whose is
judged as in a TLS handshake.

Source: docs/spec/http_signatures.md.
"""

from __future__ import annotations

import re
from typing import Final

from federation.errors import RequestMalformed
from federation.local_errors.askers import ClockSkew, RequestUnproven
from federation.protocol.texts import format_base64, parse_base64

SIGNED_SCHEME: Final = "https+signatures"
"""Of a member's URL where a balancer ends TLS; on the wire it is https."""

REQUEST_TAG: Final = "hash-federation/request/v1"
ANSWER_TAG: Final = "hash-federation/answer/v1"
"""Apart, so that neither stands for the other, nor a signature of another protocol for either."""

LABEL: Final = "peer"
LEAF_FIELD: Final = "Federation-Leaf"

REQUEST_COMPONENTS: Final = ("@method", "@target-uri", "content-digest", "federation-leaf")
ANSWER_COMPONENTS: Final = (
    "@status",
    "content-digest",
    "federation-leaf",
    '"@method";req',
    '"@target-uri";req',
    f'"signature";req;key="{LABEL}"',
)
"""The request's signature covers its nonce: an answer is to one request and to no other."""

AGE_SECONDS_MAX: Final = 60
"""How long after it was signed a message is taken: a slow uplink, and clocks that differ."""

AHEAD_SECONDS_MAX: Final = 30
"""How far the signer's clock may be ahead."""

NONCE_CHARACTERS: Final = 22
"""16 random bytes, base64url without padding."""

_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22}\Z", re.ASCII)
_LEAF_CHARACTERS_MAX: Final = 1_900
"""Below what one header field may have; a P-256 leaf takes 630."""


def format_leaf_field(leaf_der: bytes) -> str:
    """The value of ``Federation-Leaf``: a Structured Field byte sequence (RFC 8941)."""
    return f":{format_base64(leaf_der)}:"


def parse_leaf_field(field: str | None) -> bytes:
    """The DER certificate in ``Federation-Leaf``; whose it is remains to be judged.

    Raises:
        RequestUnproven: absent, too long, or no byte sequence in its one form.
    """
    if field is None:
        raise RequestUnproven(f"a message without {LEAF_FIELD} is nobody's")
    is_framed = field.startswith(":") and field.endswith(":") and len(field) > len("::")
    if not is_framed or len(field) > _LEAF_CHARACTERS_MAX:
        raise RequestUnproven(f"{LEAF_FIELD} is a certificate, as base64 between colons")
    try:
        return parse_base64(field[1:-1], RequestMalformed, LEAF_FIELD)
    except RequestMalformed:
        raise RequestUnproven(f"{LEAF_FIELD} is a certificate, as base64 between colons") from None


def check_nonce(nonce: str | None) -> str:
    """Accept a request's nonce.

    Raises:
        RequestUnproven: absent, or not 22 characters of base64url.
    """
    if nonce is None or not _NONCE.match(nonce):
        raise RequestUnproven(f"a request's nonce is {NONCE_CHARACTERS} characters of base64url")
    return nonce


def check_age(created: object, now: float) -> int:
    """Accept the time at which a message was signed.

    Args:
        created: the signature's parameter, POSIX seconds.
        now: the reader's clock, POSIX seconds.

    Raises:
        RequestUnproven: no whole number.
        ClockSkew: too old, or from the future.
    """
    if not isinstance(created, int) or isinstance(created, bool):
        raise RequestUnproven("a signature says when it was made, in whole seconds")
    age = now - created
    if not -AHEAD_SECONDS_MAX <= age <= AGE_SECONDS_MAX:
        way = "before" if age > 0 else "after"
        raise ClockSkew(
            f"signed {abs(age):.0f} seconds {way} this node's time; at most {AGE_SECONDS_MAX} "
            f"before and {AHEAD_SECONDS_MAX} after are taken"
        )
    return created
