"""What ``import`` does: hand a list of any length to the node, part by part."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, Final

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.cli.list_formats import LineRefused, guess_format, read_entries
from federation.errors import RequestMalformed
from federation.local_errors.askers import TooBusy
from federation.local_errors.peers import NodeUnreachable
from federation.protocol.labels import check_labels
from federation.protocol.origins_local import parse_lane
from federation.web.import_schemas import ImportAnswer, RefusedLine

PART_LINES: Final = 2_048
"""As many as the node puts under one checkpoint (``daemon.importing.IMPORT_BATCH``)."""

PART_BYTES: Final = 4 * 1024 * 1024
"""A part of long lines is cut here; the node takes longer ones, but a bar should move."""

BUSY_SECONDS: Final = 1.0
BUSY_TRIES: Final = 120
"""Two minutes of a node that says it is busy."""

LINES_SHOWN: Final = 20
LINES_KEPT: Final = 10_000
"""Lines of a kind told with --json; a list of which more is refused is the wrong list."""


@dataclass(slots=True)
class _Tally:
    """What became of the list so far."""

    lines: int = 0
    published: int = 0
    known: int = 0
    refused_count: int = 0
    refused: list[RefusedLine] = field(default_factory=list)
    differing_count: int = 0
    differing: list[int] = field(default_factory=list)

    def refuse(self, line: RefusedLine) -> None:
        self.refused_count += 1
        if len(self.refused) < LINES_KEPT:
            self.refused.append(line)

    def differ(self, lines: Sequence[int]) -> None:
        """These were said before, with other labels, context or expiry."""
        self.differing_count += len(lines)
        self.differing += lines[: LINES_KEPT - len(self.differing)]


@dataclass(frozen=True)
class Defaults:
    """What is said of every line that does not say it itself.

    Attributes:
        labels: what the content is.
        source: how it came up.
        automated: whether a process confirmed it and no person.
    """

    labels: tuple[str, ...]
    source: str
    automated: bool

    def fields(self) -> dict[str, Any]:
        """The same as fields of a confirm."""
        return {
            "labels": list(check_labels(list(self.labels))),
            "source": self.source,
            "confirmer": "automated" if self.automated else "human",
        }


def import_list(
    config_path: Path,
    path: str,
    list_format: str | None,
    signal_type: str | None,
    lane: str,
    defaults: Defaults,
) -> Answer:
    """Publish a list; what this member has published before is left alone.

    Args:
        config_path: of the node.
        path: of the list; ``-`` for standard input.
        list_format: None to tell it from the first line.
        signal_type: of lines that give none.
        lane: crisis, live or bulk.
        defaults: for lines that do not say it.

    Raises:
        FederationError: the list cannot be read, or the node refused it as a whole.
    """
    lane = parse_lane(lane).value
    fields = defaults.fields()
    tally = _Tally()
    with _opened(path) as lines, progress("importing", _count_lines(path)) as advance:
        first = next(lines, "")
        if not first:
            raise RequestMalformed("the list is empty")
        chosen = list_format or guess_format(path, first)
        entries = read_entries(chain([first], lines), chosen, signal_type)
        asyncio.run(_send(config_path, lane, _parts(entries, fields, tally, advance), tally))
    tally.refused.sort(key=lambda each: each.line)
    return _answer(tally)


@contextmanager
def _opened(path: str) -> Iterator[Iterator[str]]:
    try:
        with ExitStack() as ending:
            is_piped = path == "-"
            raw = sys.stdin.buffer if is_piped else ending.enter_context(Path(path).open("rb"))
            # The terminal's own encoding says nothing of a list that is piped in.
            stream = TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")
            ending.callback(stream.detach)
            yield iter(stream)
    except OSError as error:
        raise RequestMalformed(f"cannot read {path}: {error.strerror}") from None


def _count_lines(path: str) -> int | None:
    """For the bar: counting a million lines takes a tenth of a second."""
    if path == "-" or not Path(path).is_file():
        return None
    with Path(path).open("rb") as stream:
        pieces = iter(lambda: stream.read(1024 * 1024), b"")
        return sum(piece.count(b"\n") for piece in pieces)


@dataclass(slots=True)
class _Part:
    """Lines for one request, and their numbers in the list."""

    numbers: list[int] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)


def _parts(
    entries: Iterator[tuple[int, Mapping[str, Any] | LineRefused | None]],
    fields: Mapping[str, Any],
    tally: _Tally,
    advance: Callable[[int], None],
) -> Iterator[_Part]:
    part, told = _Part(), 0
    for number, entry in entries:
        tally.lines = number
        if isinstance(entry, LineRefused):
            tally.refuse(RefusedLine(line=number, code="request-malformed", reason=entry.reason))
        elif entry is not None:
            part.numbers.append(number)
            part.body += json.dumps({**fields, **entry}).encode() + b"\n"
        if len(part.numbers) >= PART_LINES or len(part.body) >= PART_BYTES:
            yield part
            advance(number - told)
            part, told = _Part(), number
    if part.numbers:
        yield part
    advance(tally.lines - told)


async def _send(config_path: Path, lane: str, parts: Iterator[_Part], tally: _Tally) -> None:
    async with NodeClient.of(config_path) as node:
        for part in parts:
            for answer in await _take(node, lane, bytes(part.body)):
                tally.published += answer.published
                tally.known += answer.known
                tally.differ([part.numbers[line - 1] for line in answer.differing])
                for each in answer.refused:
                    line = part.numbers[each.line - 1]
                    tally.refuse(RefusedLine(line=line, code=each.code, reason=each.reason))


async def _take(node: NodeClient, lane: str, body: bytes) -> list[ImportAnswer]:
    """Have the node publish a part; a busy one is asked again.

    Raises:
        FederationError: it refused all of it.
        NodeUnreachable: nobody answers; what was asked may have been done, and is then known.
    """
    for _ in range(BUSY_TRIES):
        try:
            raw = await node.send(f"/v1/import?lane={lane}", body)
        except TooBusy:
            await asyncio.sleep(BUSY_SECONDS)
            continue
        except NodeUnreachable as error:
            raise NodeUnreachable(
                error.message, hint="run the same command again: it goes on where it stopped"
            ) from None
        answers = [ImportAnswer.model_validate_json(line) for line in raw.splitlines()]
        stopped = next((each.error for each in answers if each.error is not None), None)
        if stopped is not None:
            raise NodeUnreachable(
                f"the node stopped in the middle of the list: {stopped}",
                hint="run the same command again: it goes on where it stopped",
            )
        return answers
    raise TooBusy("the node was busy for two minutes", hint="run the same command again later")


def _answer(tally: _Tally) -> Answer:
    refused = [each.model_dump() for each in tally.refused]
    fields = {
        "lines": tally.lines,
        "published": tally.published,
        "known": tally.known,
        "refused": tally.refused_count,
        "refused_lines": refused,
        "differing": tally.differing_count,
        "differing_lines": tally.differing,
    }
    parts = [
        f"line {each.line}: {plain(each.reason)} ({each.code})"
        for each in tally.refused[:LINES_SHOWN]
    ]
    parts += _more(tally.refused_count)
    parts += [
        f"line {line}: published before with other labels, context or expiry, and left as it is"
        for line in tally.differing[:LINES_SHOWN]
    ]
    parts += _more(tally.differing_count)
    parts.append(
        f"{tally.published:,} published, {tally.known:,} published before,"
        f" {tally.refused_count:,} refused, of {tally.lines:,} lines"
    )
    code = ExitCode.NO if tally.refused_count else ExitCode.YES
    return Answer(fields, tuple(parts), code)


def _more(count: int) -> list[str]:
    return [f"and {count - LINES_SHOWN:,} more; --json tells them"] if count > LINES_SHOWN else []
