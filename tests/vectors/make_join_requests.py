"""Vectors of docs/spec/join_requests.md: requests, and what their keys sign."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from federation.errors import (
    FederationError,
    KeyMalformed,
    KeyWeak,
    MemberNameMalformed,
    RosterMalformed,
    SignatureInvalid,
    TooLarge,
)
from federation.protocol.join_requests import (
    REQUESTED_KEYS,
    JoinRequest,
    make_join_request,
    possession_message,
)
from federation.protocol.limits_messages import JOIN_REQUEST_BYTES_MAX
from federation.protocol.texts import format_base64
from tests.builders import format_root, make_key, make_member
from tests.vectors.cases import Case, Json, accepted, as_input, refused

REQUEST = make_member().request
RAW = REQUEST.request_bytes
OBSERVER = make_join_request("second.example", urls=(), keys={}, tls_identity=b"an identity")

Change = Callable[[dict[str, Any]], object]


def request_gives(request: JoinRequest) -> Json:
    """What reading a request gives, and the message that its proofs are over."""
    message = possession_message(request.member, request.urls, request.keys, request.tls_identity)
    return {
        "member": request.member,
        "urls": list(request.urls),
        "keys_hex": {purpose: public.hex() for purpose, public in request.keys.items()},
        "tls_identity_hex": request.tls_identity.hex(),
        "message_hex": message.hex(),
    }


def good_requests() -> Iterator[Case]:
    chosen = (
        ("a member with a node", REQUEST),
        ("one that only calls others", make_member(urls=()).request),
        (
            "four addresses",
            make_member(urls=[f"https://node{n}.acme.example/v1" for n in range(4)]).request,
        ),
        ("a large identity", make_member(tls_identity=bytes(4_096)).request),
        ("an observer, without keys", OBSERVER),
    )
    for desc, request in chosen:
        raw = as_input("request", request.request_bytes)
        yield accepted("request", f"request: {desc}", request_gives(request), **raw)


def changed(change: Change) -> bytes:
    """The request with another content and the same proofs."""
    document: dict[str, Any] = json.loads(RAW)
    change(document)
    return format_root(document)


def put(**fields: Any) -> Change:
    """A change to the top of the document."""
    return lambda document: document.update(fields)


def put_in(part: str, purpose: str, raw: bytes) -> Change:
    """A change to one of the keys or proofs."""
    return lambda document: document[part].update({purpose: format_base64(raw)})


def drop(name: str) -> Change:
    """A field that is missing."""
    return lambda document: document.pop(name)


def bad_requests() -> Iterator[Case]:
    other = make_key("another").public
    chosen: tuple[tuple[str, type[FederationError], Change], ...] = (
        ("another name", SignatureInvalid, put(member="nova.example")),
        ("another address", SignatureInvalid, put(urls=["https://evil.example"])),
        ("no address", SignatureInvalid, put(urls=[])),
        ("another identity", SignatureInvalid, put(tls_identity="AAAA")),
        *(
            (f"another {purpose} key", SignatureInvalid, put_in("keys", purpose, other))
            for purpose in REQUESTED_KEYS
        ),
        *(
            (f"an empty {purpose} proof", SignatureInvalid, put_in("proofs", purpose, b""))
            for purpose in REQUESTED_KEYS
        ),
        ("format 2", RosterMalformed, put(format=2)),
        ("an unknown field", RosterMalformed, put(email="a@b")),
        ("an extension field", RosterMalformed, put(**{"x-note": "a"})),
        ("no proofs", RosterMalformed, drop("proofs")),
        ("keys without proofs", RosterMalformed, put(proofs={})),
        ("proofs without keys", RosterMalformed, put(keys={})),
        ("four keys", RosterMalformed, lambda document: document["keys"].pop("bulk")),
        ("no format", RosterMalformed, drop("format")),
        ("a purpose too many", RosterMalformed, put_in("keys", "slow", other)),
        ("an upper-case name", MemberNameMalformed, put(member="Acme.example")),
        ("a Cyrillic a in the name", RosterMalformed, put(member="\u0430cme.example")),
        ("a punycode name", MemberNameMalformed, put(member="xn--cme-8cd.example")),
        ("plain HTTP", RosterMalformed, put(urls=["http://acme.example"])),
        ("an address twice", RosterMalformed, put(urls=["https://acme.example"] * 2)),
        ("no identity", RosterMalformed, put(tls_identity="")),
        ("an identity too large", RosterMalformed, put(tls_identity=format_base64(bytes(4_097)))),
        ("a short key", KeyMalformed, put_in("keys", "live", bytes(31))),
        ("a weak key", KeyWeak, put_in("keys", "live", b"\1" + bytes(31))),
        (
            "one key for two purposes",
            RosterMalformed,
            put_in("keys", "live", make_key("acme.example/bulk").public),
        ),
    )
    for desc, error, change in chosen:
        raw = as_input("request", changed(change))
        yield refused("request", f"request: {desc}", error, **raw)
    forms = (
        ("nothing", b""),
        ("a newline at the end", RAW + b"\n"),
        ("a space", RAW.replace(b":", b": ", 1)),
        ("a duplicate field", RAW.replace(b'"format":1', b'"format":1,"format":1')),
        ("no UTF-8", b"\xff" + RAW),
    )
    for desc, form in forms:
        wording = f"request: {desc}"
        yield refused("request", wording, RosterMalformed, **as_input("request", form))
    large = as_input("request", b" " * (JOIN_REQUEST_BYTES_MAX + 1))
    yield refused("request", "request: over the limit", TooLarge, **large)


def cases() -> list[Case]:
    """All of them, in order."""
    return [*good_requests(), *bad_requests()]
