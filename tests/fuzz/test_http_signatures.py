"""Any fields on a request at a listener behind a balancer: proven, or an error of the asker's."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from federation.local_errors.askers import NotAllowed
from federation.net.identities import leaf_member
from federation.net.signatures import RequestMessage, open_request
from federation.protocol.http_signatures import format_leaf_field, parse_leaf_field
from tests.vectors.make_http_signatures import MADE, NOVA, SIGNED_AT

PINNED = {name: (bytes.fromhex(der),) for name, der in MADE["identities"].items()}
FIELDS = MADE["request"]["fields"]
NONCE = FIELDS["Signature-Input"].partition('nonce="')[2][:22]
NAMES = ["Content-Digest", "Federation-Leaf", "Signature-Input", "Signature"]
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=200)


def member_of(der: bytes) -> str:
    return leaf_member(der, PINNED, datetime.fromtimestamp(SIGNED_AT, UTC))


def check_whatever_it_is(message: RequestMessage) -> None:
    """Refused, or the very request that was signed: a field may have been written otherwise."""
    with suppress(NotAllowed):
        proven = open_request(message, member_of, SIGNED_AT)
        proven.check_body(bytes.fromhex(MADE["request"]["body"]))
        assert (NOVA, NONCE, SIGNED_AT) == (proven.member, proven.nonce, proven.created)


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS))
def test_any_fields_are_refused_as_the_askers_fault(changed: dict[str, str]) -> None:
    made = MADE["request"]
    message = RequestMessage(made["method"], made["url"], {**FIELDS, **changed})
    check_whatever_it_is(message)


@given(st.sampled_from(NAMES), st.integers(0, 700), st.characters(codec="latin-1"))
def test_one_character_changed_is_refused_or_says_no_other(
    name: str, place: int, character: str
) -> None:
    value, made = FIELDS[name], MADE["request"]
    at = place % len(value)
    broken = value[:at] + character + value[at + 1 :]
    message = RequestMessage(made["method"], made["url"], {**FIELDS, name: broken})
    check_whatever_it_is(message)


@given(st.binary(min_size=1, max_size=1_000))
def test_a_leaf_field_comes_back(der: bytes) -> None:
    assert der == parse_leaf_field(format_leaf_field(der))


@given(st.none() | TEXTS)
def test_any_text_is_a_leaf_field_in_its_one_form_or_refused(field: str | None) -> None:
    with suppress(NotAllowed):
        assert field == format_leaf_field(parse_leaf_field(field))
