"""What ``publish`` and ``bundle`` do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.contents import (
    Content,
    check_any,
    check_files_publishable,
    parse_signal_argument,
    read_files,
)
from federation.cli.files import write_file
from federation.errors import RequestMalformed
from federation.local_errors.content import LabelUnknown, SignalMalformed
from federation.protocol.headers import parse_statement_id
from federation.protocol.labels import check_labels
from federation.protocol.limits_content import ITEM_CHARACTERS_MAX, SIGNALS_MAX
from federation.protocol.origins_local import parse_lane
from federation.protocol.signals import SignalType
from federation.protocol.signals_local import format_value
from federation.web import schemas

SourceName = Literal["user-report", "proactive", "partner", "referral"]

STATEMENTS_PER_REQUEST: Final = schemas.PUBLISH_STATEMENTS_MAX
"""As many as the node takes at once: they share one checkpoint."""

VALUE_CHARACTERS_PER_REQUEST: Final = 4 * 1024 * 1024
"""Half of the longest request: 37 videos of 25 minutes."""

_DURATION = re.compile(r"([1-9][0-9]{0,5})([hdw])\Z")
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24}


@dataclass(frozen=True)
class Particulars:
    """What is said about every content of one ``publish``.

    Attributes:
        lane: crisis, live or bulk.
        labels: what the content is.
        item: the publisher's own name for it; only for a single content.
        source: how it came up.
        automated: whether a process confirmed it and no person.
        educational: educational or news context.
        expires: a date, a time, or how long from now.
        incident: the incident it belongs to.
    """

    lane: str
    labels: tuple[str, ...]
    item: str | None
    source: SourceName
    automated: bool
    educational: bool
    expires: str | None
    incident: str | None = None


def parse_expiry(text: str, now: datetime) -> int:
    """When a confirm should no longer be acted on, in Unix milliseconds.

    Args:
        text: ``90d``, ``12h``, ``6w``, or a date or time of ISO 8601, in UTC unless it says.
        now: from where durations count.

    Raises:
        RequestMalformed: none of these, or in the past.
    """
    duration = _DURATION.match(text)
    try:
        if duration:
            at = now + timedelta(hours=int(duration[1]) * _HOURS[duration[2]])
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at <= now:
            raise RequestMalformed("the expiry is in the past")
        return int(at.timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise RequestMalformed(
            "an expiry is a duration or a date", hint="for example 90d, 12h, 2027-03-31"
        ) from None


def publish(
    config_path: Path,
    files: Sequence[Path],
    signals: Sequence[str],
    quality: int | None,
    particulars: Particulars,
    *,
    is_exact: bool,
) -> Answer:
    """Confirm content: each file is one, and all signals given together are one.

    Raises:
        FederationError: an argument is wrong, a file is unreadable, or the node refused.
    """
    check_any(files, signals)
    if particulars.item is not None and len(files) + bool(signals) > 1:
        raise RequestMalformed("--item names one content, and several were given")
    # First what costs nothing to look at, then the files.
    particulars = replace(particulars, labels=_labels(particulars.labels))
    lane = parse_lane(particulars.lane)
    if particulars.incident is not None:
        parse_statement_id(particulars.incident)
    expires_at_ms = None
    if particulars.expires is not None:
        expires_at_ms = parse_expiry(particulars.expires, datetime.now(UTC))
    contents = _contents(files, signals, quality, is_exact=is_exact)
    confirms = [_confirm(content, particulars, expires_at_ms) for content in contents]
    requests = [
        schemas.PublishRequest(lane=lane.value, confirm=some) for some in cut_in_requests(confirms)
    ]
    published = asyncio.run(_send(config_path, requests))
    fields = {
        "published": [
            {"file": content.name, "id": each.id, "log": each.log, "index": each.index}
            for content, each in zip(contents, published, strict=True)
        ]
    }
    parts = tuple(
        each.id + (f"  {plain(content.name)}" if content.name else "")
        for content, each in zip(contents, published, strict=True)
    )
    logs = sorted({each.log.split("/")[2] for each in published})
    said = f"confirmed {_count(len(published), 'content')} in the {' and '.join(logs)} lane"
    return Answer(fields, parts, talk=(said,))


def bundle(
    config_path: Path,
    statement: str,
    out: Path | None,
    in_force: int,
    *,
    by_hash: bool,
    second_lines: bool = False,
) -> Answer:
    """Fetch the provenance bundle of a statement.

    Raises:
        FederationError: an argument is wrong, the node refused, or the file cannot be written.
    """
    statement_id = parse_statement_id(statement)
    query = f"?roster={'hash' if by_hash else 'chain'}&in_force={in_force}"
    query += "&second_lines=true" if second_lines else ""
    made = asyncio.run(_fetch_bundle(config_path, f"{statement_id}/bundle{query}"))
    if out is None:
        return Answer(None, verbatim=made)
    write_file(out, made)
    fields = {"statement": statement, "path": str(out), "bytes": len(made)}
    check = f"check it: federation-verify bundle {out} --root 1.root.json --quorum none"
    check += f" --in-force {in_force}" if in_force else ""
    return Answer(fields, (f"{plain(str(out))}  {len(made)} bytes",), talk=(check,))


# --- contents to requests -------------------------------------------------------------------------


def _contents(
    files: Sequence[Path], signals: Sequence[str], quality: int | None, *, is_exact: bool
) -> list[Content]:
    given = tuple(parse_signal_argument(text, quality) for text in signals)
    if quality is not None and not any(
        signal.type is SignalType.PDQ and "@" not in text
        for signal, text in zip(given, signals, strict=True)
    ):
        raise SignalMalformed("--quality is for a --signal pdq:HEX that does not say its own")
    if len(given) > SIGNALS_MAX:
        raise RequestMalformed(f"one content has at most {SIGNALS_MAX} signals")
    hashed = read_files(files, is_exact=is_exact)
    check_files_publishable(hashed)
    return [*hashed, Content(None, given)] if given else hashed


def _confirm(
    content: Content, particulars: Particulars, expires_at_ms: int | None
) -> schemas.ConfirmRequest:
    try:
        return schemas.ConfirmRequest(
            signals=[
                schemas.PublishedSignal(
                    type=signal.type.value, value=format_value(signal), quality=signal.quality
                )
                for signal in content.signals
            ],
            labels=list(particulars.labels),
            item=particulars.item,
            source=particulars.source,
            confirmer="automated" if particulars.automated else "human",
            educational=particulars.educational,
            incident=particulars.incident,
            expires_at_ms=expires_at_ms,
        )
    except ValueError:
        # What is left after all that was looked at before.
        raise RequestMalformed(
            f"--item has 1 to {ITEM_CHARACTERS_MAX} characters, and a --signal is one that the "
            "local API takes"
        ) from None


def cut_in_requests(
    confirms: Sequence[schemas.ConfirmRequest],
) -> Iterator[list[schemas.ConfirmRequest]]:
    """Confirms in their order, in parts that the node takes: by number and by length.

    One that is too long by itself goes alone, so that the node says what it thinks of it.
    """
    part: list[schemas.ConfirmRequest] = []
    characters = 0
    for confirm in confirms:
        length = sum(len(signal.value) for signal in confirm.signals)
        is_full = characters + length > VALUE_CHARACTERS_PER_REQUEST
        if part and (is_full or len(part) == STATEMENTS_PER_REQUEST):
            yield part
            part, characters = [], 0
        part.append(confirm)
        characters += length
    if part:
        yield part


def _labels(labels: Sequence[str]) -> tuple[str, ...]:
    try:
        return check_labels(list(labels))
    except LabelUnknown as error:
        # The operator's own words may be repeated to the operator.
        unknown = [label for label in labels if not _is_label(label)]
        which = f": {', '.join(map(plain, unknown))}" if unknown else ""
        raise LabelUnknown(error.message + which, hint=error.hint) from None


def _is_label(label: str) -> bool:
    try:
        check_labels([label])
    except LabelUnknown:
        return False
    return True


# --- sending --------------------------------------------------------------------------------------


async def _send(
    config_path: Path, requests: Sequence[schemas.PublishRequest]
) -> list[schemas.Published]:
    published: list[schemas.Published] = []
    with progress("publishing", sum(len(each.confirm) for each in requests)) as advance:
        async with NodeClient.of(config_path) as node:
            for request in requests:
                answer = await node.post("/v1/statements", request, schemas.PublishAnswer)
                published += answer.confirmed
                advance(len(answer.confirmed))
    return published


async def _fetch_bundle(config_path: Path, path: str) -> bytes:
    with progress("making the bundle"):
        async with NodeClient.of(config_path) as node:
            return await node.fetch(f"/v1/statements/{path}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
