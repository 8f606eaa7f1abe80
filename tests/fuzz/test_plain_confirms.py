"""The quick readings say what the strict ones say, or nothing.

Every generated body is also cut, lengthened and changed in one byte: near misses are where two
readers part.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from federation.errors import HeaderMalformed
from federation.protocol import headers
from federation.protocol.bodies import Confirm, Kind, check_body
from federation.protocol.bodies_plain import read_plain_signals
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.headers import Header, StatementId, decode_header
from federation.protocol.signals import VALUE_BYTES, SignalType
from federation.protocol.statements_writing import encode_body, encode_header
from tests.builders import make_confirm, make_header, make_signal

_PDQ = encode_body(make_confirm())


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """Bodies of the fields of a confirm, mostly well-formed."""
    words = st.from_regex(r"[a-z][a-z0-9-]{0,40}", fullmatch=True)
    fields: dict[str, Value] = {
        "by": draw(words | st.just("human")),
        "item": draw(st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x7F), max_size=140)),
        "signals": draw(st.lists(_signals(), max_size=4)),
        "src": draw(words | st.just("proactive")),
    }
    if draw(st.booleans()):
        fields["labels"] = sorted(draw(st.lists(words | st.just("signals"), max_size=4)))
    if draw(st.booleans()):
        fields["edu"] = draw(st.sampled_from([True, True, False]))
    if draw(st.booleans()):
        fields["exp"] = draw(st.integers(0, 2**53 - 1))
    if draw(st.booleans()):
        fields["inc"] = draw(st.binary(min_size=31, max_size=33) | st.just(bytes(32)))
    if draw(st.booleans()):
        fields.pop(draw(st.sampled_from(sorted(fields))))
    return encode(fields)


@st.composite
def _signals(draw: st.DrawFn) -> Value:
    name = draw(st.sampled_from(["pdq", "sha256", "md5", "tlsh", "url", "later"]))
    length = {str(kind): size for kind, size in VALUE_BYTES.items()}.get(name, 20)
    spare = draw(st.sampled_from([0, 0, 0, 1]))
    fields: dict[str, Value] = {"t": name, "v": draw(st.binary(min_size=length, max_size=length))}
    if spare:
        fields["v"] = bytes(length + 1)
    if draw(st.booleans()):
        fields["q"] = draw(st.integers(0, 130))
    return fields


def _changed(body: bytes, at: int, byte: int, cut: int) -> bytes:
    at %= len(body)
    changed = body[:at] + bytes((byte,)) + body[at + 1 :]
    return changed[: len(changed) - cut] if cut >= 0 else changed + bytes(-cut)


def _check_agrees(body: bytes) -> bool:
    marks = read_plain_signals(body)
    if marks is None:
        return False
    read = check_body(Kind.CONFIRM, body)
    assert isinstance(read, Confirm)
    assert read.signals_unknown == 0
    assert tuple((signal.type, signal.value) for signal in read.signals) == marks
    return True


@given(_bodies(), st.integers(0), st.integers(0, 255), st.integers(-1, 1))
@example(_PDQ, 0, _PDQ[0], 0)
def test_plain_reader_never_says_what_the_strict_one_does_not(
    body: bytes, at: int, byte: int, cut: int
) -> None:
    _check_agrees(body)
    _check_agrees(_changed(body, at, byte, cut))


@pytest.mark.parametrize("at", range(len(_PDQ)))
def test_no_single_byte_of_a_confirm_can_part_the_readers(at: int) -> None:
    for byte in range(256):
        _check_agrees(_PDQ[:at] + bytes((byte,)) + _PDQ[at + 1 :])


def test_what_imports_and_pictures_make_is_plain() -> None:
    signals = [make_signal(1, quality=90), *map(make_signal, range(3), VALUE_BYTES)]
    assert _check_agrees(encode_body(make_confirm(signals=signals[:1])))
    assert _check_agrees(encode_body(make_confirm(signals=signals, labels=())))
    labels = ("content:url", "tvec1")
    assert _check_agrees(encode_body(make_confirm(labels=labels, expires_at_ms=2**40)))
    assert not _check_agrees(encode_body(make_confirm(signals=[make_signal(1, SignalType.URL)])))


@given(
    st.integers(0, 2**54),
    st.binary(max_size=6) | st.just(b""),
    st.integers(0),
    st.integers(0, 255),
)
def test_remembered_headers_read_as_fresh_ones(
    at_ms: int, more: bytes, place: int, byte: int
) -> None:
    made = encode_header(make_header(claimed_at_ms=min(at_ms, 2**53 - 1)))
    altered = made[:5] + at_ms.to_bytes(8, "big") + made[13:]
    place %= len(made)
    for encoded in (made, altered, made + more, made[:place] + bytes((byte,)) + made[place + 1 :]):
        assert _outcome(headers._decode_strictly, encoded) == _outcome(decode_header, encoded)
        # And once more, from what is remembered.
        assert _outcome(headers._decode_strictly, encoded) == _outcome(decode_header, encoded)


def test_a_header_that_refers_is_not_taken_for_one_that_does_not() -> None:
    header = make_header("withdraw", references=[StatementId(bytes(32))])
    assert header == decode_header(encode_header(header))


def _outcome(decode: object, encoded: bytes) -> Header | str:
    assert callable(decode)
    try:
        header: Header = decode(encoded)
    except HeaderMalformed as error:
        return error.message
    return header
