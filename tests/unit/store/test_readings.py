"""Readings decide what a statement is found by, so they must not change unnoticed."""

from __future__ import annotations

from federation.protocol.bodies import Confirm, Inert, Kind, Withdraw
from federation.protocol.limits import FORMAT_VERSION
from federation.protocol.signals import SignalType
from federation.store.readings import READER_VERSION, Reading, reading_of
from tests.builders import make_confirm, make_header, make_signal, make_statement


def test_reader_version_grows_with_what_the_readers_know() -> None:
    # Whoever makes a reader understand more changes this line and READER_VERSION together: nodes
    # then read again what they have stored without understanding it.
    known = (FORMAT_VERSION, sorted(Kind), sorted(SignalType))
    types = ["md5", "pdq", "sha256", "tlsh", "url", "vpdq"]
    kinds = ["confirm", "dispute", "endorse", "erase", "incident", "roster", "withdraw"]
    assert (1, kinds, types) == known
    assert READER_VERSION == 5


def test_confirm_is_found_by_its_signals_and_references() -> None:
    target = make_statement(9).id
    signals = (make_signal(1), make_signal(1, SignalType.MD5))
    reading = reading_of(make_header(references=[target]), make_confirm(signals=signals))
    expected = tuple((signal.type, signal.value) for signal in signals)
    assert Reading(is_whole=True, signals=expected, references=(target,)) == reading


def test_withdraw_is_found_by_what_it_takes_back() -> None:
    target = make_statement(9).id
    reading = reading_of(make_header("withdraw", references=[target]), Withdraw("appeal-upheld"))
    assert Reading(is_whole=True, references=(target,)) == reading


def test_inert_body_is_found_by_nothing_and_read_again_later() -> None:
    header = make_header("later", references=[make_statement(9).id])
    assert Reading(is_whole=False) == reading_of(header, Inert("a kind that is not known"))


def test_confirm_with_signals_of_unknown_types_is_read_again_later() -> None:
    known = make_signal(1)
    body = Confirm(item="item", signals=(known,), signals_unknown=1)
    reading = reading_of(make_header(), body)
    assert Reading(is_whole=False, signals=((known.type, known.value),)) == reading


def test_erased_statement_still_refers_to_others() -> None:
    target = make_statement(9).id
    reading = reading_of(make_header(references=[target]), None)
    assert Reading(is_whole=True, references=(target,)) == reading


def test_repr_of_a_reading_shows_no_signal() -> None:
    signal = make_signal(1)
    text = repr(Reading(is_whole=True, signals=((signal.type, signal.value),)))
    assert text == "Reading(1 signals, 0 references)"
