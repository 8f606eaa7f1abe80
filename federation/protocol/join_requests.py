"""Join requests: what a new member asks governance to put into the roster.

A request carries a name, addresses, five Ed25519 public keys and the TLS identity, and under each
of the five a proof that its holder has the secret and agrees to the whole request. It names no
federation: origins and cosigner names derive from ``1.root.json``, which may not exist yet.

The TLS identity proves nothing here, because certificates are not read on this floor. The five
keys sign its SHA-256, so nobody can exchange it; and whoever puts another's certificate into his
own request gets a member that cannot open a connection.

Source: docs/spec/join_requests.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Final, Protocol

from federation.errors import EncodingMalformed, RosterMalformed, SignatureInvalid, TooLarge
from federation.protocol.encoding_writing import encode
from federation.protocol.keys import SignatureCheck, check_ed25519, check_mldsa44, check_public_key
from federation.protocol.limits import MEMBER_URLS_MAX, POSSESSION_TAG
from federation.protocol.limits_messages import JOIN_REQUEST_BYTES_MAX
from federation.protocol.origins import Cosigner, Lane, check_member_name
from federation.protocol.roster_fields import (
    Json,
    plain_json,
    read_base64,
    read_fields,
    read_integer,
    read_list,
    read_text,
)
from federation.protocol.roster_members import check_tls_identity, check_urls
from federation.protocol.roster_mldsa import read_mldsa44_keys
from federation.protocol.texts import format_base64

REQUEST_FORMAT: Final = 1

REQUESTED_KEYS: Final[tuple[str, ...]] = (*Lane, *Cosigner)
"""What the five keys are for: a log of each lane, and the two cosigners."""


class Possessor(Protocol):
    """Whoever holds a secret key and signs with it: a :class:`SigningKey`, or a device."""

    @property
    def public(self) -> bytes:
        """The public key: 32 bytes, or 1,312 of ML-DSA-44."""

    def sign(self, message: bytes) -> bytes:
        """The signature of the message: 64 bytes, or 2,420 of ML-DSA-44."""


@dataclass(frozen=True)
class JoinRequest:
    """A request whose proofs hold; made by :func:`make_join_request` and its parser only.

    Attributes:
        member: the name asked for.
        urls: where its node is reached, best first.
        keys: Ed25519 public keys, one for each of ``REQUESTED_KEYS``; none at all for a node that
            publishes nothing.
        tls_identity: DER certificate; opaque here.
        request_bytes: the file, verbatim.
        mldsa44_keys: purpose and ML-DSA-44 public key, of those that sign a second line.
    """

    member: str
    urls: tuple[str, ...]
    keys: Mapping[str, bytes] = field(repr=False)
    tls_identity: bytes = field(repr=False)
    request_bytes: bytes = field(repr=False)
    mldsa44_keys: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


def make_join_request(
    member: str,
    *,
    urls: tuple[str, ...],
    keys: Mapping[str, Possessor],
    tls_identity: bytes,
    mldsa44: Mapping[str, Possessor] | None = None,
) -> JoinRequest:
    """Write a request and prove possession of its keys.

    Args:
        member: the name asked for.
        urls: where the node is reached, best first; none for one that only calls others.
        keys: the holder of each of ``REQUESTED_KEYS``; none for a node that publishes nothing.
        tls_identity: DER certificate.
        mldsa44: the holder of each ML-DSA-44 key, by what it is for.

    Raises:
        MemberNameMalformed, KeyMalformed, KeyWeak, RosterMalformed: a part breaks the grammar.
        SignatureInvalid: a holder does not sign with the key it shows.
    """
    publics = {name: holder.public for name, holder in keys.items()}
    second = dict(sorted((mldsa44 or {}).items()))
    later = tuple((name, holder.public) for name, holder in second.items())
    message = possession_message(member, urls, publics, tls_identity, later)
    optional: dict[str, Json] = {
        _MLDSA44_FIELD: {
            "keys": {name: format_base64(public) for name, public in later},
            "proofs": {name: format_base64(second[name].sign(message)) for name in second},
        }
    }
    request_bytes = _format(
        {
            **(optional if second else {}),
            "format": REQUEST_FORMAT,
            "keys": {name: format_base64(public) for name, public in publics.items()},
            "member": member,
            "proofs": {name: format_base64(keys[name].sign(message)) for name in keys},
            "tls_identity": format_base64(tls_identity),
            "urls": list(urls),
        }
    )
    return parse_join_request(request_bytes)


def parse_join_request(
    request_bytes: bytes,
    check_signature: SignatureCheck = check_ed25519,
    check_second: SignatureCheck = check_mldsa44,
) -> JoinRequest:
    """Read a request and check all its proofs.

    Args:
        request_bytes: the file.
        check_signature: ``(public key, message, signature) -> bool``.
        check_second: the same for ML-DSA-44.

    Raises:
        TooLarge: over ``JOIN_REQUEST_BYTES_MAX``.
        MemberNameMalformed, KeyMalformed, KeyWeak, RosterMalformed: not well-formed, or one key
            for two purposes.
        SignatureInvalid: a proof that does not hold.
    """
    if len(request_bytes) > JOIN_REQUEST_BYTES_MAX:
        raise TooLarge(f"a join request has at most {JOIN_REQUEST_BYTES_MAX} bytes")
    # No extensions: the proofs would not cover them.
    parsed = _parse(request_bytes)
    optional = _OPTIONAL & parsed.keys() if isinstance(parsed, dict) else _OPTIONAL
    fields = read_fields(parsed, _REQUEST_FIELDS | optional, "a join request", is_extensible=False)
    read_integer(fields["format"], "the format", REQUEST_FORMAT, REQUEST_FORMAT)
    member = read_text(fields["member"], "the member's name")
    check_member_name(member)
    urls = tuple(
        read_text(url, "a URL") for url in read_list(fields["urls"], "urls", MEMBER_URLS_MAX)
    )
    check_urls(urls)
    tls_identity = read_base64(fields["tls_identity"], "the TLS identity")
    check_tls_identity(tls_identity)
    wanted = frozenset[str]() if fields["keys"] == {} else _KEY_FIELDS
    key_fields = read_fields(fields["keys"], wanted, "keys", is_extensible=False)
    names = [name for name in REQUESTED_KEYS if name in wanted]
    keys = {name: read_base64(key_fields[name], f"the {name} key") for name in names}
    for public in keys.values():
        check_public_key(public)
    if len(set(keys.values())) != len(keys):
        raise RosterMalformed("one key is asked for under two purposes")
    proofs = read_fields(fields["proofs"], wanted, "proofs", is_extensible=False)
    second, second_proofs = _read_mldsa44(fields.get(_MLDSA44_FIELD))
    if second and not keys:
        raise RosterMalformed("who publishes nothing has no second keys either")
    message = possession_message(member, urls, keys, tls_identity, second)
    for name, public in keys.items():
        if not check_signature(public, message, read_base64(proofs[name], f"the {name} proof")):
            raise SignatureInvalid(f"the request does not prove possession of its {name} key")
    for name, public in second:
        if not check_second(public, message, second_proofs[name]):
            raise SignatureInvalid(
                f"the request does not prove possession of its second {name} key"
            )
    return JoinRequest(member, urls, MappingProxyType(keys), tls_identity, request_bytes, second)


def _read_mldsa44(value: Json) -> tuple[tuple[tuple[str, bytes], ...], dict[str, bytes]]:
    """ML-DSA-44 keys and their proofs; none where the field is left out."""
    if value is None:
        return (), {}
    fields = read_fields(value, frozenset({"keys", "proofs"}), "mldsa44", is_extensible=False)
    keys = read_mldsa44_keys(fields["keys"])
    purposes = frozenset(purpose for purpose, _ in keys)
    proofs = read_fields(fields["proofs"], purposes, "proofs", is_extensible=False)
    return keys, {name: read_base64(proofs[name], f"the second {name} proof") for name in purposes}


_MLDSA44_FIELD: Final = "mldsa44"
_OPTIONAL: Final = frozenset({_MLDSA44_FIELD})
_REQUEST_FIELDS: Final = frozenset({"format", "keys", "member", "proofs", "tls_identity", "urls"})
_KEY_FIELDS: Final = frozenset(REQUESTED_KEYS)


def possession_message(
    member: str,
    urls: tuple[str, ...],
    keys: Mapping[str, bytes],
    tls_identity: bytes,
    mldsa44_keys: tuple[tuple[str, bytes], ...] = (),
) -> bytes:
    """What each of the keys signs: a domain tag and the request in deterministic MessagePack.

    Raises:
        RosterMalformed: a part that has no encoding.
    """
    try:
        return POSSESSION_TAG + encode(
            {
                "keys": dict(keys),
                **({"mldsa44": dict(mldsa44_keys)} if mldsa44_keys else {}),
                "member": member,
                "tls": sha256(tls_identity).digest(),
                "urls": urls,
                "v": REQUEST_FORMAT,
            }
        )
    except EncodingMalformed as error:
        raise RosterMalformed(error.message) from None


def _format(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")


def _parse(request_bytes: bytes) -> Json:
    # As a roster has one form: duplicate fields, spaces and escapes are refused.
    try:
        value = plain_json(json.loads(request_bytes))
    except (ValueError, RecursionError):
        raise RosterMalformed("not JSON") from None
    if _format(value) != request_bytes:
        raise RosterMalformed("a join request that is not in its only form")
    return value
