"""The answer is on stdout and nothing else is; and nobody's words steer the terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from federation.cli.answers import Answer, plain, progress, tell, tell_error
from federation.errors import RequestMalformed

LONG = "st_" + "ab" * 100
STEERING = "\x1b[2Jgone\x07\r\u202e\u2066\x9b31m"


@given(st.text())
def test_plain_text_has_nothing_that_a_terminal_would_act_upon(text: str) -> None:
    assert all(letter.isprintable() for letter in plain(text))
    assert len(text) == len(plain(text))


def test_json_is_one_object_and_talk_stays_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Answer({"n": 1}, ("for people",), talk=("next: this",)), as_json=True)
    out, err = capsys.readouterr()
    assert {"n": 1} == json.loads(out)
    assert 1 == out.count("\n")
    assert "next: this\n" == err


def test_an_id_is_never_broken_over_lines(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Answer({}, (LONG,)), as_json=False)
    assert f"{LONG}\n" == capsys.readouterr().out


def test_a_long_cell_of_a_table_is_folded_and_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table.grid()
    table.add_column(overflow="fold")
    table.add_row(LONG)
    tell(Answer({}, (table,)), as_json=False)
    assert LONG == capsys.readouterr().out.replace("\n", "").strip()


def test_brackets_in_a_text_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Answer({}, ("[red]not markup[/red]",)), as_json=False)
    assert "[red]not markup[/red]\n" == capsys.readouterr().out


def test_bytes_are_answered_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    tell(Answer(None, verbatim=b'{"a":1}\x00\xff'), as_json=True)
    assert b'{"a":1}\x00\xff' == capfdbinary.readouterr().out


def test_an_error_has_message_hint_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(RequestMalformed("it is wrong", hint="do better"), as_json=False)
    out, err = capsys.readouterr()
    assert ("", "error: it is wrong\n hint: do better\n code: request-malformed\n") == (out, err)


def test_an_error_in_json_is_on_both(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(RequestMalformed("it is wrong"), as_json=True)
    out, err = capsys.readouterr()
    told = {"code": "request-malformed", "message": "it is wrong", "hint": None}
    assert {"error": told} == json.loads(out)
    assert "it is wrong" in err


def test_an_errors_words_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell_error(RequestMalformed(STEERING, hint=STEERING), as_json=False)
    err = capsys.readouterr().err
    assert "gone" in err
    assert all(letter.isprintable() or letter == "\n" for letter in err)


def test_no_bar_is_drawn_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("hashing", 3) as advance:
        advance(3)
    assert ("", "") == capsys.readouterr()
