"""Lists of signals as others write them, line by line, into what ``POST /v1/import`` takes.

- **csv**: a first line with the names of the columns, ``type`` and ``value`` among them, perhaps
  ``quality``, ``labels`` (separated by ``;``), ``item``, ``source``, ``expires_at_ms``; quoted
  fields end on their line;
- **jsonl**: one JSON object a line: a confirm as in ``POST /v1/statements``, or one signal with
  ``type`` and ``value`` in its place;
- **threatexchange**: the local file of python-threatexchange (``LocalFileSignalExchangeAPI``):
  ``pdq 0f38…`` a line, or the signal alone where a type is given for all.

What a line says is not judged here: the node does, and answers with the line's number.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from federation.errors import RequestMalformed

Entry: TypeAlias = "Mapping[str, Any] | None"
"""What one line says, as JSON for the node; None for a line that says nothing."""

FORMATS: Final = ("csv", "jsonl", "threatexchange")

TYPES_ELSEWHERE: Final = {
    "video_md5": "md5",
    "video_sha256": "sha256",
    "photo_md5": "md5",
    "tlsh_pdf": "tlsh",
    "text_tlsh": "tlsh",
}
"""Names of python-threatexchange and its exchanges for types that are ours."""

_HEX_TYPES: Final = frozenset({"pdq", "sha256", "md5"})
_SIGNAL_FIELDS: Final = ("type", "value", "quality")
_CSV_COLUMNS: Final = frozenset(
    {*_SIGNAL_FIELDS, "labels", "item", "source", "confirmer", "educational", "expires_at_ms"}
)


@dataclass(frozen=True, slots=True)
class LineRefused:
    """A line that is not of its format.

    Attributes:
        reason: why, without what it says.
    """

    reason: str


def guess_format(name: str, first_line: str) -> str:
    """The format of a list, by its name and its first line.

    Args:
        name: of the file; ``-`` for standard input.
        first_line: without its newline.

    Raises:
        RequestMalformed: it is like none of them.
    """
    if first_line.lstrip().startswith("{"):
        return "jsonl"
    columns = {column.strip().lower() for column in first_line.split(",")}
    if {"type", "value"} <= columns:
        return "csv"
    kind, space, value = first_line.strip().partition(" ")
    if space and value and kind.isidentifier():
        return "threatexchange"
    raise RequestMalformed(
        f"cannot tell the format of {name} from its first line",
        hint=f"say it: --format {', '.join(FORMATS)}",
    )


def read_entries(
    lines: Iterable[str], list_format: str, signal_type: str | None
) -> Iterator[tuple[int, Entry | LineRefused]]:
    """What the lines of a list say, each line with its number, from 1: none is left out.

    Args:
        lines: with or without their newlines.
        list_format: one of ``FORMATS``.
        signal_type: of lines that give none; threatexchange only.

    Raises:
        RequestMalformed: the first line of a CSV file does not name the columns.
    """
    if list_format == "csv":
        yield from _read_csv(lines)
        return
    read: Callable[[str], Entry | LineRefused] = _read_json
    if list_format == "threatexchange":

        def read(line: str) -> Entry | LineRefused:
            return _read_threatexchange(line, signal_type)

    for number, line in enumerate(lines, start=1):
        yield number, read(line)


def _read_json(line: str) -> Entry | LineRefused:
    if not line.strip():
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return LineRefused("not JSON")
    if not isinstance(fields, dict):
        return LineRefused("not a JSON object")
    return _as_confirm(fields) if "type" in fields else fields


def _read_threatexchange(line: str, signal_type: str | None) -> Entry | LineRefused:
    kind, value = signal_type, line.strip()
    if not value:
        return None
    if kind is None:
        kind, _, value = value.partition(" ")
        value = value.strip()
    if not value:
        return LineRefused("a line is a signal type, a space and the signal")
    return _as_confirm({"type": kind, "value": value})


def _read_csv(lines: Iterable[str]) -> Iterator[tuple[int, Entry | LineRefused]]:
    """Each line by itself: a quote that nobody closes must not swallow the lines behind it.

    No field of a list has a line break in it, so a field that goes on is a fault.
    """
    columns: list[str] | None = None
    for number, line in enumerate(lines, start=1):
        try:
            row = next(csv.reader((line,), strict=True), [])
        except csv.Error:
            yield number, LineRefused("not a line of CSV: perhaps a quote that is not closed in it")
            continue
        if columns is None:
            columns = _columns(row)
            yield number, None
        elif row:
            yield number, _read_row(columns, row)
        else:
            yield number, None


def _columns(row: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in row]
    unknown = [name for name in columns if name not in _CSV_COLUMNS]
    if not {"type", "value"} <= set(columns) or unknown or len(set(columns)) != len(columns):
        raise RequestMalformed(
            "the first line of a CSV list names its columns, type and value among them",
            hint="columns are " + ", ".join(sorted(_CSV_COLUMNS)),
        )
    return columns


def _read_row(columns: list[str], row: list[str]) -> Entry | LineRefused:
    if len(row) != len(columns):
        return LineRefused(f"{len(row)} fields where the first line names {len(columns)}")
    fields: dict[str, Any] = {
        name: text.strip() for name, text in zip(columns, row, strict=True) if text.strip()
    }
    try:
        for name in ("quality", "expires_at_ms"):
            if name in fields:
                fields[name] = int(fields[name])
    except ValueError:
        return LineRefused("quality and expires_at_ms are whole numbers")
    if "educational" in fields:
        fields["educational"] = fields["educational"].lower() in {"1", "true", "yes"}
    if "labels" in fields:
        fields["labels"] = [each.strip() for each in fields["labels"].split(";") if each.strip()]
    return _as_confirm(fields)


def _as_confirm(fields: Mapping[str, Any]) -> Entry:
    """A confirm of the one signal whose fields stand beside the others."""
    signal = {name: fields[name] for name in _SIGNAL_FIELDS if name in fields}
    kind = signal.get("type")
    if isinstance(kind, str):
        kind = kind.strip().lower()
        signal["type"] = kind = TYPES_ELSEWHERE.get(kind, kind)
        if kind in _HEX_TYPES and isinstance(signal.get("value"), str):
            signal["value"] = signal["value"].strip().lower()
    rest = {name: value for name, value in fields.items() if name not in _SIGNAL_FIELDS}
    return {"signals": [signal], **rest}
