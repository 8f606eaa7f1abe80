"""Signals: the frozen grammar, what a publisher refuses, and that values stay out of sight."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.errors import ProtocolError
from federation.local_errors.content import SignalDegenerate, SignalLowQuality, SignalMalformed
from federation.protocol.limits_content import PDQ_QUALITY_MIN
from federation.protocol.signals import VALUE_BYTES, Signal, SignalType, check_signal
from federation.protocol.signals_local import (
    check_publishable,
    format_signal,
    parse_signal,
    parse_signal_type,
)
from tests.builders import make_signal
from tests.vectors.make_signals import MD5_ABC, PDQ, SHA256_ABC

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "signals.md"


def test_examples_of_the_page() -> None:
    page = PAGE.read_text("utf-8")
    for text in (f"pdq:{PDQ}", f"sha256:{SHA256_ABC}", f"md5:{MD5_ABC}"):
        assert text in page
        assert text == format_signal(parse_signal(text))


def test_page_lists_every_type_with_its_length() -> None:
    page = PAGE.read_text("utf-8")
    for name, size in VALUE_BYTES.items():
        assert f"| `{name}` | {size} bytes" in page


@pytest.mark.parametrize("signal_type", list(SignalType))
def test_text_form_reads_back(signal_type: SignalType) -> None:
    signal = make_signal(7, signal_type)
    assert signal == parse_signal(format_signal(signal))


def test_upper_case_is_refused_with_a_hint() -> None:
    with pytest.raises(SignalMalformed) as caught:
        parse_signal(f"pdq:{PDQ.upper()}")
    assert "write the value in lower case" == caught.value.hint


def test_other_digits_get_no_such_hint() -> None:
    with pytest.raises(SignalMalformed) as caught:
        parse_signal(f"pdq:{PDQ[:-1]}G")
    assert caught.value.hint is None


def test_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SignalMalformed) as caught:
        parse_signal_type("photodna")
    assert "pdq, sha256, md5, vpdq, url, tlsh" in caught.value.message


@pytest.mark.parametrize("signal_type", list(VALUE_BYTES))
@pytest.mark.parametrize("change", [-1, 1])
def test_value_of_another_length_is_refused(signal_type: SignalType, change: int) -> None:
    with pytest.raises(SignalMalformed):
        check_signal(Signal(signal_type, bytes(VALUE_BYTES[signal_type] + change)))


@pytest.mark.parametrize("signal_type", [each for each in SignalType if each != SignalType.PDQ])
def test_quality_beside_any_other_type_is_refused(signal_type: SignalType) -> None:
    with pytest.raises(SignalMalformed):
        check_signal(make_signal(0, signal_type, quality=100))


@pytest.mark.parametrize("quality", [-1, 101])
def test_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(SignalMalformed):
        check_signal(make_signal(quality=quality))


def test_publisher_refuses_quality_below_the_limit_and_passes_it_at_the_limit() -> None:
    check_publishable(make_signal(quality=PDQ_QUALITY_MIN))
    check_publishable(make_signal(quality=None))
    with pytest.raises(SignalLowQuality) as caught:
        check_publishable(make_signal(quality=PDQ_QUALITY_MIN - 1))
    assert caught.value.hint is not None


@pytest.mark.parametrize("signal_type", list(VALUE_BYTES))
@pytest.mark.parametrize("filling", [0x00, 0xFF])
def test_signal_that_would_match_everything_is_not_published(
    signal_type: SignalType, filling: int
) -> None:
    signal = Signal(signal_type, bytes([filling]) * VALUE_BYTES[signal_type])
    check_signal(signal)
    with pytest.raises(SignalDegenerate):
        check_publishable(signal)


@pytest.mark.parametrize(
    "text",
    [
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
    ],
)
def test_digest_of_the_empty_file_is_not_published(text: str) -> None:
    with pytest.raises(SignalDegenerate):
        check_publishable(parse_signal(text))


def test_publishable_includes_the_grammar() -> None:
    with pytest.raises(SignalMalformed):
        check_publishable(Signal(SignalType.PDQ, b"short"))


def test_value_is_in_no_error_and_no_repr() -> None:
    shown = [repr(parse_signal(f"pdq:{PDQ}")), repr([parse_signal(f"md5:{MD5_ABC}")])]
    for attempt in (
        f"pdq:{PDQ.upper()}",
        f"pdq:{PDQ}00",
        f"md5:{PDQ}",
        f"photodna:{PDQ}",
        f"tlsh:{PDQ}",
        PDQ,
    ):
        with pytest.raises(ProtocolError) as caught:
            parse_signal(attempt)
        shown += [str(caught.value), repr(caught.value), str(caught.value.hint)]
    with pytest.raises(SignalMalformed) as long:
        check_signal(Signal(SignalType.PDQ, bytes.fromhex(PDQ) * 2))
    shown.append(str(long.value))
    for text in shown:
        assert PDQ[:8] not in text.lower()
        assert MD5_ABC[:8] not in text.lower()
        assert repr(bytes.fromhex(PDQ))[2:10] not in text
