"""What others say, and what lies: any bytes, and nearly right bytes.

Only ProtocolError leaves a decoder, reading a body never fails, and what is read has exactly the
one encoding it was read from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import EncodingMalformed, HeaderMalformed, ProtocolError
from federation.protocol.bodies import (
    About,
    Confirm,
    Dispute,
    Endorse,
    Erase,
    Inert,
    Kind,
    Withdraw,
    is_label,
    read_body,
)
from federation.protocol.encoding import Decoded, decode, decode_map
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.headers import Header, StatementId, decode_header, parse_statement_id
from federation.protocol.labels import check_labels
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    DEPTH_MAX,
    EPOCH_MAX,
    HEADER_BYTES_MAX,
    INTEGER_MAX,
)
from federation.protocol.origins import (
    Cosigner,
    Lane,
    LogId,
    check_federation_id,
    check_member_name,
    cosigner_name,
    parse_origin,
)
from federation.protocol.origins_local import parse_lane
from federation.protocol.signals import VALUE_BYTES, Signal, SignalType
from federation.protocol.signals_frames import Frame, encode_frames
from federation.protocol.signals_local import (
    check_publishable,
    format_signal,
    parse_signal,
    parse_signal_type,
)
from federation.protocol.statements import erased_statement, opened_statement
from federation.protocol.statements_writing import encode_body, encode_header, kind_of
from tests.builders import FEDERATION_ID, make_confirm, make_header, make_statement
from tests.vectors import by_hand

BYTES_MAX = 65_536
Part = TypeVar("Part")

# --- what is valid ------------------------------------------------------------------------------

integers = st.integers(0, INTEGER_MAX)
keys = st.text(min_size=1, max_size=16)
scalars = st.one_of(integers, st.booleans(), st.text(max_size=40), st.binary(max_size=300))
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda parts: st.lists(parts, max_size=20) | st.dictionaries(keys, parts, max_size=20),
    max_leaves=30,
).filter(lambda value: depth_of(value) <= DEPTH_MAX)

dns_parts = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda part: not part.startswith("xn--")
)
member_names = st.lists(dns_parts, min_size=1, max_size=4).map(".".join)
federation_ids = st.binary(min_size=16, max_size=16).map(bytes.hex)
statement_ids = st.binary(min_size=32, max_size=32).map(StatementId)
kinds = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
words = st.from_regex(r"[a-z][a-z0-9-]{0,63}", fullmatch=True)
labels = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}(?::[a-z0-9][a-z0-9._-]{0,20})?", fullmatch=True)


frames = st.builds(
    Frame, st.binary(min_size=32, max_size=32), st.integers(0, 100), st.integers(0, 2**32 - 1)
)
videos = st.lists(frames, min_size=1, max_size=8, unique_by=lambda frame: frame.at_ms).map(
    lambda given: encode_frames(sorted(given, key=lambda frame: frame.at_ms))
)
links = st.from_regex(
    rb"https://[a-z]{1,9}\.example/([a-z]{1,9}/)?(\?[a-z=&]{1,9})?", fullmatch=True
)


def signals_of(signal_type: SignalType) -> st.SearchStrategy[Signal]:
    if signal_type not in VALUE_BYTES:
        values = videos if signal_type is SignalType.VPDQ else links
        return st.builds(Signal, st.just(signal_type), values)
    size = VALUE_BYTES[signal_type]
    quality = st.none() | st.integers(0, 100) if signal_type is SignalType.PDQ else st.none()
    return st.builds(Signal, st.just(signal_type), st.binary(min_size=size, max_size=size), quality)


signals = st.sampled_from(list(SignalType)).flatmap(signals_of)
headers = st.builds(
    Header,
    federation_id=federation_ids,
    member=member_names,
    kind=kinds,
    references=st.lists(statement_ids, max_size=5, unique=True).map(tuple),
    claimed_at_ms=integers,
    version=st.integers(1, INTEGER_MAX),
)
confirms = st.builds(
    Confirm,
    item=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=128),
    signals=st.lists(
        signals, min_size=1, max_size=8, unique_by=lambda signal: (signal.type, signal.value)
    ).map(tuple),
    labels=st.lists(labels, max_size=16, unique=True).map(lambda chosen: tuple(sorted(chosen))),
    source=words,
    confirmer=words,
    educational=st.booleans(),
    incident=st.none() | statement_ids,
    expires_at_ms=st.none() | integers,
)
abouts = st.one_of(*(st.builds(made, words) for made in (Withdraw, Endorse, Dispute, Erase)))


def depth_of(value: Value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


# --- what is not --------------------------------------------------------------------------------


@st.composite
def nearly(draw: st.DrawFn, valid: bytes) -> bytes:
    """Valid bytes, hurt in one or more of the ways that hurt a parser."""
    hurt = bytearray(valid)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(hurt) - 1)))
        way = draw(st.sampled_from(["flip", "cut", "insert", "repeat", "end"]))
        if way == "flip" and hurt:
            hurt[place] ^= 1 << draw(st.integers(0, 7))
        elif way == "cut":
            del hurt[place : place + draw(st.integers(1, 8))]
        elif way == "insert":
            hurt[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif way == "repeat":
            hurt[place:place] = hurt[place : place + draw(st.integers(1, 40))]
        else:
            hurt += draw(st.binary(min_size=1, max_size=4))
    return bytes(hurt)


HEADERS = [encode_header(make_header(kind)) for kind in ("confirm", "endorse")]
BODIES = [encode_body(make_confirm()), encode_body(Withdraw("mistake"))]
any_bytes = st.one_of(
    st.binary(max_size=400), *[nearly(valid) for valid in (*HEADERS, *BODIES, b"\x93\x01\x02\x03")]
)


def odd_forms(value: Decoded) -> list[bytes]:
    """The value in MessagePack that is valid and not in its only form, in every way at its top."""
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        shortest = len(by_hand.integer(value)) - 1
        return [by_hand.integer(value, width) for width in (1, 2, 4, 8) if width > shortest]
    if isinstance(value, str):
        size = len(value.encode())
        shortest = len(by_hand.text(value)) - size - 1
        return [by_hand.text(value, width) for width in (1, 2, 4) if width > shortest]
    if isinstance(value, bytes):
        shortest = len(by_hand.binary(value)) - len(value) - 1
        return [by_hand.binary(value, width) for width in (1, 2, 4) if width > shortest]
    if isinstance(value, list):
        return odd_containers(by_hand.array, [encode(part) for part in value])
    pairs = [(encode(key), encode(value[key])) for key in sorted(value)]
    odd = odd_containers(by_hand.mapping, pairs)
    if len(pairs) > 1:
        odd.append(by_hand.mapping(pairs[::-1]))
    if pairs:
        odd.append(by_hand.mapping([*pairs, pairs[-1]]))
        odd.append(by_hand.mapping([*pairs[:-1], (by_hand.text(max(value), 4), pairs[-1][1])]))
    return odd


def odd_containers(join: Callable[[Sequence[Part], int], bytes], parts: list[Part]) -> list[bytes]:
    shortest = 0 if len(parts) < 16 else 2
    return [join(parts, width) for width in (2, 4) if width > shortest]


# --- encoding -----------------------------------------------------------------------------------


@given(values)
def test_encoded_value_reads_back(value: Value) -> None:
    assert value == decode(encode(value), bytes_max=BYTES_MAX * 16)


@given(any_bytes)
def test_any_bytes_are_refused_or_are_the_only_form_of_what_they_say(encoded: bytes) -> None:
    with suppress(ProtocolError):
        assert encoded == encode(decode(encoded, bytes_max=BYTES_MAX))
    with suppress(ProtocolError):
        assert encoded == encode(decode_map(encoded, bytes_max=BYTES_MAX))


@given(values)
def test_every_other_form_of_a_value_is_refused(value: Value) -> None:
    decoded = decode(encode(value), bytes_max=BYTES_MAX * 16)
    for odd in odd_forms(decoded):
        for wrapped in (odd, by_hand.array([odd]), by_hand.fields(k=odd)):
            with pytest.raises(EncodingMalformed):
                decode(wrapped, bytes_max=BYTES_MAX * 16)


FOREIGN = [
    b"\xc0",
    b"\xc1",
    b"\xca\x3f\x80\x00\x00",
    b"\xcb" + bytes(8),
    b"\xd4\x01\x00",
    b"\xd6\xff" + bytes(4),
    b"\xd7\xff" + bytes(8),
    b"\xd8\x01" + bytes(16),
    b"\xc7\x00\x01",
    b"\xc8\x00\x00\x01",
    b"\xc9\x00\x00\x00\x00\x01",
    b"\xff",
    b"\xe0",
    b"\xd0\xff",
    b"\xd1\xff\xff",
    b"\xd2\xff\xff\xff\xff",
    b"\xd3" + b"\xff" * 8,
    b"\xcf\x00\x20" + bytes(6),
    b"\xcf" + b"\xff" * 8,
]


@given(values, st.sampled_from(FOREIGN))
def test_foreign_type_is_refused_wherever_it_stands(value: Value, foreign: bytes) -> None:
    good = encode(value)
    for encoded in (
        foreign,
        by_hand.array([good, foreign]),
        by_hand.fields(a=good, b=foreign),
        by_hand.array([by_hand.fields(a=by_hand.array([foreign]))]),
        by_hand.mapping([(foreign, good)]),
    ):
        with pytest.raises(EncodingMalformed):
            decode(encoded, bytes_max=BYTES_MAX * 16)


@given(values, st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_refused(value: Value, trailing: bytes) -> None:
    with pytest.raises(EncodingMalformed):
        decode(encode(value) + trailing, bytes_max=BYTES_MAX * 16)


@given(values, st.data())
def test_every_value_cut_short_is_refused(value: Value, data: st.DataObject) -> None:
    encoded = encode(value)
    kept = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(EncodingMalformed):
        decode(encoded[:kept], bytes_max=BYTES_MAX * 16)


# --- headers ------------------------------------------------------------------------------------


@given(headers)
def test_header_reads_back(header: Header) -> None:
    assert header == decode_header(encode_header(header))


@given(any_bytes)
def test_any_bytes_are_no_header_or_the_only_form_of_one(encoded: bytes) -> None:
    try:
        header = decode_header(encoded)
    except HeaderMalformed:
        return
    if header.version == 1:
        assert encoded == encode_header(header)


@given(
    st.dictionaries(keys | st.sampled_from(["at", "fed", "kind", "member", "refs", "v"]), values)
)
def test_any_map_is_a_header_or_refused_as_one(fields: dict[str, Value]) -> None:
    with suppress(HeaderMalformed):
        decode_header(encode(fields))


@given(st.text(), st.text(), st.text(), st.integers(), st.integers())
def test_any_header_is_written_readably_or_refused(
    federation_id: str, member: str, kind: str, at_ms: int, version: int
) -> None:
    header = Header(federation_id, member, kind, claimed_at_ms=at_ms, version=version)
    with suppress(HeaderMalformed):
        assert header == decode_header(encode_header(header))


# --- bodies -------------------------------------------------------------------------------------


@given(confirms)
def test_confirm_reads_back(body: Confirm) -> None:
    assert body == read_body(make_header(), encode_body(body))


@given(abouts, st.lists(statement_ids, min_size=1, max_size=3, unique=True))
def test_what_is_about_statements_reads_back(body: About, references: list[StatementId]) -> None:
    header = make_header(kind_of(body), references=references)
    assert body == read_body(header, encode_body(body))


@given(headers, any_bytes)
def test_reading_any_body_never_fails(header: Header, body: bytes) -> None:
    read_body(header, body)


@given(st.sampled_from(list(Kind)), any_bytes)
def test_any_bytes_are_inert_or_the_only_form_of_what_they_say(kind: Kind, body: bytes) -> None:
    reading = read_body(make_header(kind, references=[StatementId(bytes(32))]), body)
    if isinstance(reading, Confirm) and reading.signals_unknown:
        return
    if not isinstance(reading, Inert):
        assert body == encode_body(reading)


body_fields = st.dictionaries(
    keys | st.sampled_from(["by", "edu", "exp", "inc", "item", "labels", "signals", "src", "why"]),
    values,
)


@given(headers, body_fields)
def test_reading_any_map_never_fails(header: Header, fields: dict[str, Value]) -> None:
    read_body(header, encode(fields))


@given(st.lists(st.dictionaries(st.sampled_from(["q", "t", "v", "x"]), values), max_size=4))
def test_reading_any_signals_never_fails(fields: list[dict[str, Value]]) -> None:
    body = by_hand.fields(
        by=by_hand.text("human"),
        item=by_hand.text("i"),
        signals=by_hand.array([encode(field) for field in fields]),
        src=by_hand.text("proactive"),
    )
    read_body(make_header(), body)


# --- statements ---------------------------------------------------------------------------------


@given(st.data())
def test_every_flipped_byte_of_a_statement_is_seen(data: st.DataObject) -> None:
    """Another byte is another statement; and it never reads as the same words."""
    statement = make_statement()
    assert statement.opening is not None
    parts = [statement.header_bytes, statement.opening.salt, statement.opening.body]
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(parts[which]) - 1))
    hurt = bytearray(parts[which])
    hurt[place] ^= data.draw(st.integers(1, 255))
    parts[which] = bytes(hurt)
    header_bytes, salt, body = parts
    assert statement.id != opened_statement(header_bytes, salt, body).id
    try:
        header = decode_header(header_bytes)
    except HeaderMalformed:
        return
    said = (make_header(), make_confirm())
    assert (which == 1) == (said == (header, read_body(header, body)))


@given(
    st.binary(max_size=HEADER_BYTES_MAX + 2),
    st.binary(max_size=33),
    st.binary(max_size=400) | st.integers(0, BODY_BYTES_MAX + 2).map(bytes),
)
def test_any_parts_make_a_statement_or_are_refused(header: bytes, salt: bytes, body: bytes) -> None:
    with suppress(ProtocolError):
        statement = opened_statement(header, salt, body)
        assert statement.id == erased_statement(header, statement.commitment).id
    with suppress(ProtocolError):
        erased_statement(header, salt)


# --- names and texts ----------------------------------------------------------------------------

texts = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=40).map(bytes.hex),
    st.sampled_from(
        [f"acme.example/{FEDERATION_ID}/live/1", "pdq:" + "0f" * 32, "st_" + "0f" * 32, "tvec1"]
    ).flatmap(lambda text: st.builds(_hurt, st.just(text), st.integers(0, len(text)), st.text())),
)


def _hurt(text: str, place: int, inserted: str) -> str:
    return text[:place] + inserted + text[place + len(inserted) :]


@given(texts)
def test_any_text_is_a_name_with_one_spelling_or_refused(text: str) -> None:
    with suppress(ProtocolError):
        assert text == parse_origin(text).origin
    with suppress(ProtocolError):
        assert text == str(parse_statement_id(text))
    with suppress(ProtocolError):
        assert text == parse_lane(text)
    with suppress(ProtocolError):
        assert text == parse_signal_type(text)
    with suppress(ProtocolError):
        check_federation_id(text)
    with suppress(ProtocolError):
        check_member_name(text)
        assert text == text.encode("ascii").decode().lower()


@given(texts, st.none() | st.integers())
def test_any_text_is_a_signal_with_one_spelling_or_refused(text: str, quality: int | None) -> None:
    with suppress(ProtocolError):
        signal = parse_signal(text, quality)
        assert text == format_signal(signal)
        check_publishable(signal)


@given(signals)
def test_signal_reads_back(signal: Signal) -> None:
    assert signal == parse_signal(format_signal(signal), signal.quality)


@given(member_names, federation_ids, st.sampled_from(list(Lane)), st.integers(0, EPOCH_MAX))
def test_origin_reads_back(member: str, federation_id: str, lane: Lane, epoch: int) -> None:
    log = LogId(member, federation_id, lane, epoch)
    assert log == parse_origin(log.origin)
    for cosigner in Cosigner:
        assert log.origin != cosigner_name(member, federation_id, cosigner)


@given(st.lists(texts | labels, max_size=20))
def test_any_labels_are_refused_or_signed_in_a_form_that_readers_accept(typed: list[str]) -> None:
    with suppress(ProtocolError):
        signed = check_labels(typed)
        assert signed == check_labels(list(signed))
        assert all(map(is_label, signed))
        confirm = make_confirm(labels=signed)
        assert confirm == read_body(make_header(), encode_body(confirm))
