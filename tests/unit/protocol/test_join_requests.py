"""Join requests: every key is the asker's own, and nothing in the request can be exchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

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
    make_join_request,
    parse_join_request,
)
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits import TLS_IDENTITY_BYTES_MAX
from federation.protocol.limits_messages import JOIN_REQUEST_BYTES_MAX
from federation.protocol.texts import format_base64
from tests.builders import ACME, format_root, make_key, make_member

REQUEST = make_member().request
RAW = REQUEST.request_bytes

Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> bytes:
    document = json.loads(RAW)
    change(document)
    return format_root(document)


def put(**fields: Any) -> Change:
    return lambda document: document.update(fields)


def put_key(public: bytes, purpose: str = "live") -> Change:
    return lambda document: document["keys"].update({purpose: format_base64(public)})


def test_request_is_read_as_it_was_made() -> None:
    assert parse_join_request(RAW) == REQUEST
    assert REQUEST.member == ACME
    assert REQUEST.urls == ("https://acme.example:7001",)
    assert REQUEST.tls_identity == b"identity of acme.example"
    assert REQUEST.request_bytes == RAW
    assert list(REQUEST.keys) == ["crisis", "live", "bulk", "witness", "mirror"]
    for purpose in REQUESTED_KEYS:
        assert REQUEST.keys[purpose] == make_key(f"acme.example/{purpose}").public


def test_request_of_one_that_only_calls_others_has_no_url() -> None:
    assert make_member(urls=()).request.urls == ()


@pytest.mark.parametrize(
    "change",
    [
        put(member="evil.example"),
        put(urls=["https://evil.example"]),
        put(urls=[]),
        put(tls_identity=format_base64(b"evil")),
        *(put_key(make_key("evil").public, purpose) for purpose in REQUESTED_KEYS),
    ],
)
def test_exchanged_part_breaks_the_proofs(change: Change) -> None:
    with pytest.raises(SignatureInvalid):
        parse_join_request(changed(change))


@pytest.mark.parametrize("purpose", REQUESTED_KEYS)
def test_key_whose_secret_the_asker_lacks_is_refused(purpose: str) -> None:
    """The public half of anybody's key can be copied out of a roster."""

    class Pretender:
        public = make_key("nova.example/live").public

        def sign(self, message: bytes) -> bytes:
            return make_key("evil").sign(message)

    keys = make_member().keys
    with pytest.raises(SignatureInvalid):
        make_join_request(
            ACME, urls=(), keys={**keys, purpose: Pretender()}, tls_identity=b"identity"
        )


def test_proofs_of_two_keys_cannot_be_exchanged() -> None:
    def exchange(document: dict[str, Any]) -> None:
        proofs = document["proofs"]
        proofs["live"], proofs["bulk"] = proofs["bulk"], proofs["live"]

    with pytest.raises(SignatureInvalid):
        parse_join_request(changed(exchange))


def test_one_key_for_two_purposes_is_refused() -> None:
    keys = {**make_member().keys, "mirror": make_key("acme.example/witness")}
    with pytest.raises(RosterMalformed, match="two purposes"):
        make_join_request(ACME, urls=(), keys=keys, tls_identity=b"identity")


def test_missing_and_unknown_purposes_are_refused() -> None:
    keys: dict[str, SigningKey] = dict(make_member().keys)
    del keys["bulk"]
    with pytest.raises(RosterMalformed, match="lacks the field bulk"):
        make_join_request(ACME, urls=(), keys=keys, tls_identity=b"identity")
    keys |= {"bulk": make_key("bulk"), "slow": make_key("slow")}
    with pytest.raises(RosterMalformed, match="unknown field 'slow'"):
        make_join_request(ACME, urls=(), keys=keys, tls_identity=b"identity")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (put(format=2), RosterMalformed),
        (put(format=True), RosterMalformed),
        (put(email="a@b"), RosterMalformed),
        (put(**{"x-note": "not signed"}), RosterMalformed),
        (lambda document: document["keys"].update({"x-key": "AAAA"}), RosterMalformed),
        (lambda document: document.pop("proofs"), RosterMalformed),
        (put(member="Acme.example"), MemberNameMalformed),
        (put(member="xn--cme-8cd.example"), MemberNameMalformed),
        (put(member="\u0430cme.example"), RosterMalformed),
        (put(member=7), RosterMalformed),
        (put(urls=["http://acme.example"]), RosterMalformed),
        (put(urls=["https://acme.example"] * 2), RosterMalformed),
        (put(urls="https://acme.example"), RosterMalformed),
        (put(tls_identity=""), RosterMalformed),
        (put(tls_identity=format_base64(bytes(TLS_IDENTITY_BYTES_MAX + 1))), RosterMalformed),
        (put_key(bytes(31)), KeyMalformed),
        (put_key(b"\1" + bytes(31)), KeyWeak),
        (lambda document: document["proofs"].update(live="AA"), RosterMalformed),
        (lambda document: document["proofs"].update(live=""), SignatureInvalid),
    ],
)
def test_malformed_request_is_refused(change: Change, error: type[FederationError]) -> None:
    with pytest.raises(error) as caught:
        parse_join_request(changed(change))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"null", RAW + b"\n", RAW[:-1], b"\xff" + RAW, RAW.replace(b":", b": ", 1)],
)
def test_file_in_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(RosterMalformed):
        parse_join_request(raw)


def test_oversized_request_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        parse_join_request(b" " * (JOIN_REQUEST_BYTES_MAX + 1))


def test_check_of_signatures_is_an_argument() -> None:
    asked: list[bytes] = []

    def count(public: bytes, message: bytes, signature: bytes) -> bool:
        asked.append(public)
        return True

    parse_join_request(changed(put(member="nova.example")), count)
    assert asked == list(REQUEST.keys.values())


def test_repr_shows_no_key() -> None:
    assert repr(REQUEST) == f"JoinRequest(member={ACME!r}, urls={REQUEST.urls!r})"
