"""Lists as others write them: what each line says, and the number of each that says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli.list_formats import FORMATS, LineRefused, guess_format, read_entries
from federation.errors import RequestMalformed

HASH = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"


def read(text: str, list_format: str, signal_type: str | None = None) -> list[object]:
    lines = text.splitlines(keepends=True)
    return [entry for _, entry in read_entries(lines, list_format, signal_type)]


def test_csv_columns_are_named_by_the_first_line() -> None:
    text = f"value,type,labels,quality,item\n{HASH},PDQ,tvec1;content:url,80,case-7\n"
    signal = {"type": "pdq", "value": HASH, "quality": 80}
    assert [
        None,
        {"signals": [signal], "labels": ["tvec1", "content:url"], "item": "case-7"},
    ] == read(text, "csv")


def test_csv_field_that_goes_on_is_refused_line_by_line() -> None:
    text = f'type,value,item\npdq,{HASH},"two\nlines"\npdq\nmd5,{"0" * 32},x\n'
    entries = list(read_entries(text.splitlines(keepends=True), "csv", None))
    assert [1, 2, 3, 4, 5] == [number for number, _ in entries]
    assert [2, 3, 4] == [number for number, each in entries if isinstance(each, LineRefused)]


@pytest.mark.parametrize("place", [1, 2_000, 4_999])
def test_one_stray_quote_costs_its_own_line_and_no_other(place: int) -> None:
    lines = ["type,value\n", *(f"md5,{number:032x}\n" for number in range(1, 5_001))]
    lines[place] = f'md5,"{place:032x}\n'
    entries = list(read_entries(lines, "csv", None))
    assert list(range(1, 5_002)) == [number for number, _ in entries]
    assert [place + 1] == [number for number, each in entries if isinstance(each, LineRefused)]


@pytest.mark.parametrize("first", ["pdq,md5", "type,value,type", "type", "type,value,password"])
def test_csv_whose_columns_are_not_named_is_refused_as_a_whole(first: str) -> None:
    with pytest.raises(RequestMalformed):
        read(f"{first}\n", "csv")


def test_json_line_is_a_confirm_or_one_signal() -> None:
    confirm = f'{{"signals": [{{"type": "pdq", "value": "{HASH}"}}], "labels": ["tvec1"]}}'
    single = f'{{"type": "pdq", "value": "{HASH}", "labels": ["tvec1"]}}'
    said = {"signals": [{"type": "pdq", "value": HASH}], "labels": ["tvec1"]}
    assert [said, said, None] == read(f"{confirm}\n{single}\n\n", "jsonl")
    for wrong in ("not json", "[1]", "7", "{" * 100_000):
        assert [True] == [isinstance(each, LineRefused) for each in read(wrong, "jsonl")]


def test_threatexchange_file_has_a_type_and_a_signal_a_line() -> None:
    said = read(
        f"pdq {HASH}\nvideo_md5 {'0' * 32}\nurl https://example.org/a b\n", "threatexchange"
    )
    assert [
        {"signals": [{"type": "pdq", "value": HASH}]},
        {"signals": [{"type": "md5", "value": "0" * 32}]},
        {"signals": [{"type": "url", "value": "https://example.org/a b"}]},
    ] == said
    assert [{"signals": [{"type": "pdq", "value": HASH}]}] == read(HASH, "threatexchange", "pdq")
    assert isinstance(read("pdq", "threatexchange")[0], LineRefused)


@pytest.mark.parametrize(
    ("first", "guessed"),
    [
        ('{"type": "pdq"}', "jsonl"),
        ("type,value", "csv"),
        ("Value , Type", "csv"),
        (f"pdq {HASH}", "threatexchange"),
    ],
)
def test_format_is_told_from_the_first_line(first: str, guessed: str) -> None:
    assert guessed == guess_format("list", first)


def test_format_that_cannot_be_told_is_asked_for() -> None:
    for first in (HASH, "", "a,b,c"):
        with pytest.raises(RequestMalformed):
            guess_format("list", first)


WORDS = st.text(alphabet="md5,\"' \\;\t0aé\r", max_size=40)
"""What a line of CSV may be made of, quotes in every place."""


@given(st.lists(WORDS | st.text(max_size=60), max_size=8), st.sampled_from(FORMATS))
def test_no_line_of_any_text_raises_or_vanishes(lines: list[str], list_format: str) -> None:
    given_lines = [f"{line}\n" for line in "\n".join(lines).split("\n")]
    if list_format == "csv":
        given_lines.insert(0, "type,value\n")
    numbers = [number for number, _ in read_entries(given_lines, list_format, None)]
    assert list(range(1, len(given_lines) + 1)) == numbers
