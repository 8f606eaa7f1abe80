"""Lists into parts for the node: whatever a list says, each of its lines is in one account."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.cli.importing import _parts, _Tally
from federation.cli.list_formats import read_entries

FIELDS = [
    "",
    '"',
    'a"',
    '"b',
    '"c"',
    '""',
    '"d""',
    "md5",
    "f8" * 16,
    ",",
    "tvec1;x",
    "7",
    "\\",
    "\t",
]
"""What a field may be made of, quotes in every place."""

LINES = st.lists(st.lists(st.sampled_from(FIELDS), max_size=5).map(",".join), max_size=30)


@given(LINES)
def test_every_line_is_sent_or_refused_whatever_the_quotes(lines: list[str]) -> None:
    given_lines = ["type,value\n", *(f"{line}\n" for line in lines)]
    tally, told = _Tally(), list[int]()
    entries = list(read_entries(given_lines, "csv", None))
    empty = [number for number, entry in entries if entry is None]
    sent = [
        number for part in _parts(iter(entries), {}, tally, told.append) for number in part.numbers
    ]
    refused = [each.line for each in tally.refused]
    assert list(range(1, len(given_lines) + 1)) == sorted(sent + refused + empty)
    assert [1, *(number for number, line in enumerate(lines, start=2) if not line)] == empty
    assert len(given_lines) == tally.lines == sum(told)
