"""The bundle file: one form, and nothing in it that is not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from federation.errors import BundleMalformed, FederationError, ProofMalformed, TooLarge
from federation.protocol.bundles import FORMAT, Bundle, decode_bundle, encode_bundle
from federation.protocol.limits import BUNDLE_BYTES_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.statements import erased_statement
from tests.builders import make_bundle, make_log

MADE = make_log(5)
BUNDLE = make_bundle(MADE, 2)
ENCODED = encode_bundle(BUNDLE)
ERASED = replace(
    BUNDLE, statement=erased_statement(BUNDLE.statement.header_bytes, BUNDLE.statement.commitment)
)
CHAINED = replace(BUNDLE, roster=replace(BUNDLE.roster, version=3, chain=(b"two", b"three")))
NAMED = replace(BUNDLE, roster=replace(BUNDLE.roster, version=9, chain=None))


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bundle with something else in it, in the form that a bundle has."""
    fields = json.loads(ENCODED)
    change(fields)
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


@pytest.mark.parametrize("bundle", [BUNDLE, ERASED, CHAINED, NAMED])
def test_a_bundle_comes_back(bundle: Bundle) -> None:
    assert bundle == decode_bundle(encode_bundle(bundle))


def test_changing_nothing_gives_the_bundle() -> None:
    assert ENCODED == changed(lambda _fields: None)


def test_a_bundle_with_three_cosignatures_is_small() -> None:
    large = make_log(600)
    assert len(encode_bundle(make_bundle(large, 300))) < 3_000


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b"9" * 10_000,
        ENCODED[:-1],
        ENCODED + b"\n",
        b" " + ENCODED,
        b"\xef\xbb\xbf" + ENCODED,
        ENCODED.replace(b'","', b'", "', 1),
        ENCODED.replace(b'"version":1', b'"version":1.0'),
        ENCODED.replace(b'"version":1', b'"version":1,"version":1'),
        ENCODED.replace("\u2014".encode(), b"\\u2014"),
        json.dumps(json.loads(ENCODED), indent=1).encode(),
    ],
)
def test_another_form_is_refused(encoded: bytes) -> None:
    with pytest.raises(BundleMalformed):
        decode_bundle(encoded)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(more=1),
        lambda fields: fields.pop("salt"),
        lambda fields: fields.pop("format"),
        lambda fields: fields.update(commitment=fields["header"]),
        lambda fields: fields.update(format=FORMAT.replace("v1", "v2")),
        lambda fields: fields.update(format=1),
        lambda fields: fields.update(header=""),
        lambda fields: fields.update(header=fields["header"] + "="),
        lambda fields: fields.update(header=None),
        lambda fields: fields.update(salt="AAAA"),
        lambda fields: fields.update(body=""),
        lambda fields: fields.update(proof=1),
        lambda fields: fields.update(proof="\ud800"),
        lambda fields: fields.update(proof=fields["proof"] + "\udfff"),
        lambda fields: fields.update(body="\ud800"),
        lambda fields: fields.update(roster=None),
        lambda fields: fields["roster"].update(more=1),
        lambda fields: fields["roster"].pop("chain"),
        lambda fields: fields["roster"].update(version=0),
        lambda fields: fields["roster"].update(version=True),
        lambda fields: fields["roster"].update(version="1"),
        lambda fields: fields["roster"].update(version=ROSTER_VERSIONS_MAX + 1, chain=None),
        lambda fields: fields["roster"].update(decision="0" * 63),
        lambda fields: fields["roster"].update(decision="A" * 64),
        lambda fields: fields["roster"].update(decision=0),
        lambda fields: fields["roster"].update(chain=["AAAA"]),
        lambda fields: fields["roster"].update(version=2, chain=[]),
        lambda fields: fields["roster"].update(version=2, chain=["!"]),
        lambda fields: fields["roster"].update(version=2, chain=[None]),
        lambda fields: fields["roster"].update(chain={}),
    ],
)
def test_other_fields_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(BundleMalformed):
        decode_bundle(changed(change))


@pytest.mark.parametrize("proof", ["", "index 0", "c2sp.org/tlog-proof@v1\nindex 0\n\n"])
def test_a_malformed_proof_is_refused(proof: str) -> None:
    with pytest.raises(ProofMalformed):
        decode_bundle(changed(lambda fields: fields.update(proof=proof)))


def test_a_bundle_over_its_limit_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        decode_bundle(b"[" * (BUNDLE_BYTES_MAX + 1))


@pytest.mark.parametrize("name", ["header", "salt", "body"])
def test_an_error_shows_nothing_of_what_the_bundle_says(name: str) -> None:
    secret = "c2VjcmV0"
    with pytest.raises(FederationError) as caught:
        decode_bundle(changed(lambda fields: fields.update({name: secret + "!"})))
    assert secret not in str(caught.value)
