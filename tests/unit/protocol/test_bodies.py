"""Bodies: reading never fails, and all nodes find the same bodies inert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from federation.errors import BodyMalformed
from federation.protocol.bodies import (
    About,
    Confirm,
    Confirmer,
    Dispute,
    Endorse,
    Erase,
    Inert,
    Kind,
    Reason,
    Source,
    Withdraw,
    read_body,
)
from federation.protocol.headers import StatementId
from federation.protocol.limits import BODY_BYTES_MAX, INTEGER_MAX
from federation.protocol.limits_content import ITEM_CHARACTERS_MAX, LABELS_MAX, SIGNALS_MAX
from federation.protocol.signals import Signal, SignalType
from federation.protocol.statements_writing import encode_body, kind_of
from tests.builders import make_confirm, make_header, make_signal
from tests.vectors.by_hand import array, binary, fields, text
from tests.vectors.make_bodies import confirm, signal

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "bodies.md"
CONFIRM = make_header()
TARGET = StatementId(bytes(32))
WITHDRAW = make_header("withdraw", references=[TARGET])
FULL = Confirm(
    item="case/2026-01 #7",
    signals=(make_signal(1, quality=88), make_signal(1, SignalType.SHA256)),
    labels=("content:livestream", "tvec1"),
    source=Source.USER_REPORT,
    confirmer=Confirmer.AUTOMATED,
    educational=True,
    incident=TARGET,
    expires_at_ms=INTEGER_MAX,
)


def test_example_of_the_page() -> None:
    assert confirm().hex() in PAGE.read_text("utf-8").replace("\n", "")


def test_page_names_every_source_and_confirmer() -> None:
    page = PAGE.read_text("utf-8")
    assert [] == [word for word in (*Kind, *Source, *Confirmer, *Reason) if f"`{word}`" not in page]


@pytest.mark.parametrize("body", [make_confirm(), FULL, make_confirm(labels=())])
def test_confirm_reads_back(body: Confirm) -> None:
    assert body == read_body(CONFIRM, encode_body(body))


def test_withdraw_reads_back() -> None:
    assert Withdraw("mistake") == read_body(WITHDRAW, encode_body(Withdraw("mistake")))
    assert (Kind.WITHDRAW, Kind.CONFIRM) == (kind_of(Withdraw("mistake")), kind_of(FULL))


@pytest.mark.parametrize("made", [Withdraw, Endorse, Dispute, Erase])
@pytest.mark.parametrize("reason", [*Reason, "a-later-word"])
def test_what_is_said_about_statements_reads_back_and_needs_one(
    made: type[About], reason: str
) -> None:
    body = made(reason)
    header = make_header(kind_of(body), references=[TARGET])
    assert body == read_body(header, encode_body(body))
    assert isinstance(read_body(make_header(kind_of(body)), encode_body(body)), Inert)


def test_kinds_of_one_grammar_are_told_apart_by_the_header() -> None:
    body = encode_body(Endorse("benign"))
    assert Dispute("benign") == read_body(make_header("dispute", references=[TARGET]), body)


def test_body_that_nobody_could_read_cannot_be_written() -> None:
    ids = [f"l{number:02}" for number in range(LABELS_MAX + 1)]
    for broken in (
        replace(FULL, item=""),
        replace(FULL, item="x" * (ITEM_CHARACTERS_MAX + 1)),
        replace(FULL, item="line\nfeed"),
        replace(FULL, item="\ud800"),
        replace(FULL, signals=()),
        replace(FULL, signals=(make_signal(1), make_signal(1))),
        replace(FULL, signals=(Signal(SignalType.PDQ, b"short"),)),
        replace(FULL, signals=(make_signal(1, quality=101),)),
        replace(FULL, signals=(Signal(SignalType.PDQ, bytes(32), True),)),
        replace(FULL, labels=("tvec2", "tvec1")),
        replace(FULL, labels=("tvec1", "tvec1")),
        replace(FULL, labels=("TVEC1",)),
        replace(FULL, labels=tuple(ids)),
        replace(FULL, source="Because."),
        replace(FULL, confirmer=""),
        replace(FULL, incident=StatementId(b"short")),
        replace(FULL, expires_at_ms=-1),
        replace(FULL, expires_at_ms=INTEGER_MAX + 1),
        replace(FULL, expires_at_ms=cast("int", 1.5)),
        Withdraw(""),
        Withdraw("We were wrong, sorry."),
        Withdraw("w" * 65),
    ):
        with pytest.raises(BodyMalformed):
            encode_body(broken)


def test_too_many_signals_are_refused_with_what_to_do() -> None:
    most = [make_signal(number) for number in range(SIGNALS_MAX)]
    assert make_confirm(signals=most) == read_body(CONFIRM, encode_body(make_confirm(signals=most)))
    rated = [make_signal(number, quality=90) for number in range(SIGNALS_MAX)]
    with pytest.raises(BodyMalformed) as caught:
        encode_body(make_confirm(signals=rated))
    assert "split the signals over several statements" == caught.value.hint


def test_incomplete_reading_is_not_written_again_as_if_it_were_whole() -> None:
    strange = confirm(signals=array([signal("photodna", b"1"), signal()]))
    reading = read_body(CONFIRM, strange)
    assert isinstance(reading, Confirm)
    assert 1 == reading.signals_unknown
    with pytest.raises(BodyMalformed):
        encode_body(reading)


def test_confirm_of_unknown_signals_only_matches_nothing_and_is_no_error() -> None:
    reading = read_body(CONFIRM, confirm(signals=array([signal("photodna", b"1")] * 3)))
    assert isinstance(reading, Confirm)
    assert ((), 3) == (reading.signals, reading.signals_unknown)


def test_kind_of_a_later_release_is_inert() -> None:
    assert isinstance(read_body(make_header("later"), confirm()), Inert)


def test_body_of_a_later_version_is_inert_even_if_this_one_could_read_it() -> None:
    assert isinstance(read_body(make_header(version=2), confirm()), Inert)


def test_withdraw_of_nothing_is_inert() -> None:
    assert isinstance(read_body(make_header("withdraw"), encode_body(Withdraw("mistake"))), Inert)


def test_body_under_the_header_of_another_kind_is_inert() -> None:
    assert isinstance(read_body(WITHDRAW, confirm()), Inert)
    assert isinstance(read_body(CONFIRM, encode_body(Withdraw("mistake"))), Inert)


def test_words_of_a_later_release_are_kept() -> None:
    reading = read_body(CONFIRM, confirm(src=text("court-order"), by=text("committee")))
    assert isinstance(reading, Confirm)
    assert ("court-order", "committee") == (reading.source, reading.confirmer)


@pytest.mark.parametrize(
    "item",
    ["\U0001fae8", "\U0001fabf", "é", "\u202e", "\u200b", "\u2028", "\x7f", "\x85", "\0", "\ue000"],
)
def test_item_reads_alike_whatever_unicode_the_reader_knows(item: str) -> None:
    """U+1FAE8 came with Unicode 15: one Python calls it printable, an older one does not."""
    assert isinstance(read_body(CONFIRM, confirm(item=text(item))), Inert)


def test_item_may_hold_every_printable_ascii_character() -> None:
    printable = "".join(map(chr, range(0x20, 0x7F)))
    reading = read_body(CONFIRM, confirm(item=text(printable)))
    assert isinstance(reading, Confirm)
    assert printable == reading.item


def test_one_saying_has_one_encoding() -> None:
    """Absent, false, empty and nil would be four ways to say nothing."""
    for changed in (
        {"edu": b"\xc2"},
        {"edu": b"\xc0"},
        {"labels": array([])},
        {"labels": b"\xc0"},
        {"exp": b"\xc0"},
        {"inc": b"\xc0"},
    ):
        assert isinstance(read_body(CONFIRM, confirm(**changed)), Inert)
    assert isinstance(
        read_body(CONFIRM, confirm(signals=array([signal(q=b"\xc0")]))),
        Inert,
    )


def test_oversized_body_is_inert() -> None:
    huge = confirm(signals=array([signal("x", bytes(8_000))] * 9))
    assert len(huge) > BODY_BYTES_MAX
    assert isinstance(read_body(CONFIRM, huge), Inert)


def test_reason_for_inertness_shows_nothing_of_the_content() -> None:
    secret = "f8f8f0cee0f4a84f"
    for body in (
        confirm(item=text(f"{secret}\n")),
        confirm(note=text(secret)),
        confirm(src=text(secret.upper())),
        confirm(labels=array([text(secret.upper())])),
        confirm(signals=array([signal(value=secret.encode())])),
        confirm(signals=array([fields(t=text("pdq"), v=text(secret))])),
        confirm(signals=array([signal(), signal()])),
        fields(why=text(secret)),
    ):
        reading = read_body(CONFIRM, body)
        assert isinstance(reading, Inert)
        assert secret not in reading.why.lower()
        assert repr(binary(secret.encode()))[4:12] not in reading.why


def test_uploaders_reference_and_values_are_in_no_repr() -> None:
    shown = repr(replace(FULL, item="upload-4711"))
    assert "4711" not in shown
    assert FULL.signals[0].value.hex()[:8] not in shown
    assert repr(FULL.signals[0].value)[2:10] not in shown
