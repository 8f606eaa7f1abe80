"""What ``quarantine``, ``confirm-match``, ``reject-match`` and ``verdict`` do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from federation.cli.answers import Answer, plain
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.web.policy_schemas import (
    FindingAnswer,
    FindingRequest,
    HeldSignal,
    KnownSignal,
    QuarantineAnswer,
    QuarantineDecision,
    VerdictAnswer,
    VerdictRequest,
)
from federation.web.uploads_schemas import ForgetAnswer, ForgetRequest, UploadsAnswer

LISTED_MAX: Final = 1_000
"""Signals in one list: what the node tells at a time."""


def list_held(config_path: Path, *, everything: bool) -> Answer:
    """What is held back.

    Raises:
        FederationError: no node answers.
    """
    answer = asyncio.run(_list(config_path, everything=everything))
    table = Table("since", "state", "why", "verdict", "statement", box=SIMPLE_HEAD)
    for held in answer.signals:
        why = f"flood: {held.matches} matches" if held.reason == "flood" else held.reason
        table.add_row(_time(held), held.state, why, held.verdict, *held.statements[:1])
    is_waiting = any(held.state == "quarantined" for held in answer.signals)
    parts = (table,) if answer.signals else ("nothing is in quarantine",)
    more = answer.total - len(answer.signals)
    talk = (f"and {more} more",) if more else ()
    code = ExitCode.YES if is_waiting else ExitCode.NO
    return Answer(answer.model_dump(), parts, code, talk=talk)


def decide(
    config_path: Path, decision: Literal["release", "except"], named: Sequence[str]
) -> Answer:
    """Release signals, or except them.

    Raises:
        FederationError: an argument is wrong, or the node refused.
    """
    request = QuarantineDecision(decision=decision, **_named(named))
    answer = asyncio.run(_decide(config_path, request))
    lines = tuple(
        f"{held.state}  a {held.type} signal of {', '.join(held.statements) or 'nobody any more'}"
        for held in answer.signals
    )
    return Answer(answer.model_dump(), lines)


def find(
    config_path: Path,
    finding: Literal["confirmed", "rejected"],
    named: Sequence[str],
    reason: str,
) -> Answer:
    """Keep what somebody found.

    Raises:
        FederationError: an argument is wrong, or the node refused.
    """
    try:
        request = FindingRequest(finding=finding, reason=reason, **_named(named))
    except ValueError:
        raise RequestMalformed(
            "a reason is a code of lower-case letters, digits and hyphens",
            hint="for example benign, collision, wrong-label, agrees",
        ) from None
    answer = asyncio.run(_find(config_path, request))
    lines = [
        f"{finding}  {each.type} of {statement}"
        for each in answer.found
        for statement in each.statements
    ]
    told = sum(len(each.published) for each in answer.found)
    talk = f"told the federation about {told} statements" if told else "kept here; nobody was told"
    return Answer(answer.model_dump(), tuple(lines), talk=(talk,))


def verdict(config_path: Path, named: Sequence[str]) -> Answer:
    """What the federation says of signals.

    Raises:
        FederationError: an argument is wrong, or no node answers.
    """
    signals = [_known(text) for text in named]
    answer = asyncio.run(_verdicts(config_path, VerdictRequest(signals=signals)))
    parts: list[Table | str] = []
    for text, told in zip(named, answer.verdicts, strict=True):
        parts.append(f"{told.state}  {plain(text)}")
        if told.statements:
            table = Table("member", "word", "labels", "disputed by", "statement", box=SIMPLE_HEAD)
            for each in told.statements:
                labels, by = ", ".join(each.labels), ", ".join(each.disputed_by)
                table.add_row(plain(each.member), each.word, plain(labels), plain(by), each.id)
            parts.append(table)
    said = {"positive", "disputed", "accused", "suspended"}
    is_said = any(told.state in said for told in answer.verdicts)
    return Answer(answer.model_dump(), tuple(parts), ExitCode.YES if is_said else ExitCode.NO)


def uploads(config_path: Path) -> Answer:
    """What is remembered of recent uploads.

    Raises:
        FederationError: nothing is remembered here, or no node answers.
    """
    told = asyncio.run(_uploads(config_path))
    line = f"{told.signals:,} of {told.signals_max:,} signals remembered"
    if told.oldest_at_ms is not None:
        oldest = datetime.fromtimestamp(told.oldest_at_ms / 1000, UTC)
        line += f", since {oldest.isoformat(' ', 'minutes')[:16]}"
    return Answer(told.model_dump(), (line,))


def forget(config_path: Path, references: Sequence[str], hours: float | None) -> Answer:
    """Erase remembered uploads.

    Raises:
        FederationError: an argument is wrong, or nothing is remembered here.
    """
    before_ms = None
    if hours is not None:
        if not (math.isfinite(hours) and hours >= 0):
            raise RequestMalformed("--older-than is a number of hours")
        # Nothing is older than time.
        before_ms = max(0, int(datetime.now(UTC).timestamp() * 1000 - hours * 3_600_000))
    try:
        request = ForgetRequest(references=list(references), before_ms=before_ms)
    except ValueError:
        raise RequestMalformed("a reference has at most 36 characters") from None
    erased = asyncio.run(_forget(config_path, request)).signals
    code = ExitCode.YES if erased else ExitCode.NO
    return Answer({"signals": erased}, (f"{erased} signals erased",), code)


def _named(named: Sequence[str]) -> dict[str, Any]:
    """Arguments sorted into signals and statements."""
    statements = [str(parse_statement_id(text)) for text in named if text.startswith("st_")]
    signals = [_known(text) for text in named if not text.startswith("st_")]
    return {"signals": signals, "statements": statements}


def _known(text: str) -> KnownSignal:
    name, colon, value = text.partition(":")
    if not colon:
        raise RequestMalformed("name a signal as type:value, or a statement as st_…")
    try:
        return KnownSignal(type=name, value=value)
    except ValueError:
        raise RequestMalformed("the local API takes no signal of that length") from None


def _time(held: HeldSignal) -> str:
    return datetime.fromtimestamp(held.since_ms / 1000, UTC).isoformat(" ", "minutes")[:16]


async def _list(config_path: Path, *, everything: bool) -> QuarantineAnswer:
    path = f"/v1/quarantine?all={str(everything).lower()}&limit={LISTED_MAX}"
    async with NodeClient.of(config_path) as node:
        return await node.get(path, QuarantineAnswer)


async def _decide(config_path: Path, request: QuarantineDecision) -> QuarantineAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/quarantine", request, QuarantineAnswer)


async def _find(config_path: Path, request: FindingRequest) -> FindingAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/findings", request, FindingAnswer)


async def _verdicts(config_path: Path, request: VerdictRequest) -> VerdictAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/verdicts", request, VerdictAnswer)


async def _uploads(config_path: Path) -> UploadsAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.get("/v1/uploads", UploadsAnswer)


async def _forget(config_path: Path, request: ForgetRequest) -> ForgetAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/uploads/forget", request, ForgetAnswer)
