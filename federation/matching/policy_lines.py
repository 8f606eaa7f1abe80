"""Which line of a TOML file says what: for errors that an operator can go to.

``tomllib`` reads values and forgets where they stood. This room reads no values: it walks over text
that ``tomllib`` has accepted already, skips strings, comments and nested brackets, and remembers
the line of each table and key.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""A place in the document, such as ``("rules", 2, "labels")``; tables of an array from 0."""

# Nothing follows the loop, so there is nothing to go back for, whatever is read.
_NAME: Final = re.compile(r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'|[\s.])*""")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''.*?'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*|[\[{]|[\]}]|\n",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of every table and key of a TOML text that is well-formed.

    Keys of inline tables have the line of the key that holds the table.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in _outer_lines(text):
        if (header := line.strip()).startswith("["):
            # Whatever begins so outside of brackets is a header.
            is_array = header.startswith("[[")
            name = _NAME.match(header, 2 if is_array else 1)
            table = _table(name.group() if name else "", counts, is_array=is_array)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            path = table
            for part in _parts(key.group(1)):
                path = (*path, part)
                lines.setdefault(path, number)
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a place, or of the nearest place around it that has one; 1 for the document."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


def _outer_lines(text: str) -> list[tuple[int, str]]:
    """Lines that begin outside of strings and brackets, each with its number."""
    text = text.replace("\r\n", "\n")
    kept: list[tuple[int, str]] = []
    number, begin, depth, first = 1, 0, 0, 1
    rows = text.split("\n")
    for token in _TOKEN.finditer(text):
        said = token.group()
        if said == "\n":
            if depth == 0:
                kept.append((first, rows[first - 1]))
                first = number + 1
            number += 1
            begin = token.end()
        elif said in "[{":
            # A header's own brackets close on its line; an array's may not.
            depth += 1
        elif said in "]}":
            depth -= 1
        else:
            number += said.count("\n")
    if begin <= len(text) and first <= len(rows):
        kept.append((first, rows[first - 1]))
    return kept


def _table(name: str, counts: dict[Path, int], *, is_array: bool) -> Path:
    path: Path = ()
    parts = _parts(name)
    for at, part in enumerate(parts):
        path = (*path, part)
        if at == len(parts) - 1 and is_array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]
