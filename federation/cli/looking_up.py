"""What ``match`` does: is something in force near this content?

The exit code is the answer that scripts act on: 0 when there is something to do about the content,
1 only when the node said that there is not. Whatever else happens is not a no.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.text import Text

from federation.cli.answers import Answer, CouldNotTellError, plain, progress
from federation.cli.client import NodeClient
from federation.cli.contents import (
    Content,
    check_any,
    parse_signal_argument,
    read_files,
)
from federation.cli.exit_codes import exit_code_of
from federation.cli.exits import ExitCode
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.peers import NodeUnreachable
from federation.matching.policy_terms import Action
from federation.protocol.limits_content import PDQ_DISTANCE_MAX
from federation.protocol.signals import Signal
from federation.protocol.signals_local import format_value
from federation.provenance.verdict import Word
from federation.web import match_schemas
from federation.web.match_schemas import action_on_content, strongest

MATCHES_SHOWN_MAX: Final = 8
"""Matches of one content shown to people, nearest first: the verdict stays on the screen."""


def match(
    config_path: Path,
    files: Sequence[Path],
    signals: Sequence[str],
    distance_max: int | None,
    *,
    is_exact: bool,
) -> Answer:
    """Ask about content: each file is one, and so is each signal given.

    Raises:
        FederationError: an argument is wrong or a file is unreadable.
        CouldNotTellError: the node did not answer the question.
    """
    check_any(files, signals)
    if distance_max is not None and not 0 <= distance_max <= PDQ_DISTANCE_MAX:
        raise RequestMalformed(f"--distance-max is between 0 and {PDQ_DISTANCE_MAX}")
    contents = read_files(files, is_exact=is_exact)
    contents += [Content(None, (parse_signal_argument(text),)) for text in signals]
    try:
        results = asyncio.run(_ask(config_path, contents, distance_max))
    except FederationError as error:
        if exit_code_of(error) is ExitCode.NO:
            raise CouldNotTellError(error) from None
        raise
    looked_up = [_judge(content, part) for content, part in zip(contents, results, strict=True)]
    action = strongest(each.action for each in looked_up)
    return Answer(
        {"action": action, "results": [each.fields() for each in looked_up]},
        tuple(line for each in looked_up for line in _lines(each)),
        ExitCode.NO if action == "allow" else ExitCode.YES,
    )


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """What the node said about one content."""

    name: str | None = field(repr=False)
    action: match_schemas.ActionWord
    rule: str
    reasons: tuple[str, ...]
    passed_over: tuple[match_schemas.PassedOverRule, ...]
    matches: tuple[match_schemas.MatchedSignal, ...] = field(repr=False)

    def fields(self) -> dict[str, object]:
        """For ``--json``."""
        return {
            "file": self.name,
            "action": self.action,
            "rule": self.rule,
            "reasons": list(self.reasons),
            "passed_over": [each.model_dump() for each in self.passed_over],
            "matches": [found.model_dump() for found in self.matches],
        }


async def _ask(
    config_path: Path, contents: Sequence[Content], distance_max: int | None
) -> list[list[match_schemas.MatchResult]]:
    """The node's results on each content's signals."""
    results: list[list[match_schemas.MatchResult]] = []
    with progress("matching", len(contents)) as advance:
        async with NodeClient.of(config_path) as node:
            if not await node.is_ready():
                raise NodeUnreachable(
                    "the node is starting and cannot answer yet", hint="ask again in a moment"
                )
            for content in contents:
                request = match_schemas.MatchRequest(
                    signals=[_query(signal) for signal in content.signals],
                    distance_max=distance_max,
                    one_content=True,
                )
                answer = await node.post("/v1/match", request, match_schemas.MatchAnswer)
                if len(answer.results) != len(request.signals):
                    raise NodeUnreachable("the node answered another question than was asked")
                results.append(answer.results)
                advance(1)
    return results


def _query(signal: Signal) -> match_schemas.SignalQuery:
    try:
        return match_schemas.SignalQuery(type=signal.type.value, value=format_value(signal))
    except ValueError:
        raise RequestMalformed(f"the local API takes no {signal.type} of that length") from None


def _judge(content: Content, results: Sequence[match_schemas.MatchResult]) -> _LookedUp:
    """One content's answer: the strongest of what its signals say."""
    action = action_on_content(results)
    deciding = [result for result in results if result.action == action]
    reasons = dict.fromkeys(reason for result in deciding for reason in result.reasons)
    matches = sorted(
        (found for result in results for found in result.matches),
        key=lambda found: (found.distance, found.type, found.value),
    )
    # Signals that met nothing were decided by no rule: where one did meet something, it is told.
    told = next((each for each in deciding if each.passed_over), deciding[0])
    return _LookedUp(
        content.name, action, told.rule, tuple(reasons), tuple(told.passed_over), tuple(matches)
    )


_STYLES: Final = {Action.BLOCK: "red", Action.DENY_LIVE: "red", Action.ALLOW: "green"}


def _lines(looked_up: _LookedUp) -> Iterator[str | Text]:
    """For people: what to do, why, and the statements behind it."""
    style = _STYLES.get(Action(looked_up.action), "yellow")
    line = Text(looked_up.action, style=f"bold {style}")
    line.append(f"  {plain(looked_up.name or 'the signal')}", style="bold")
    yield line
    yield f"       rule {plain(looked_up.rule)}"
    for reason in looked_up.reasons:
        yield f"       {plain(reason)}"
    for each in looked_up.passed_over:
        yield Text(f"       not {plain(each.rule)}: {plain(each.why)}", style="dim")
    for found in looked_up.matches[:MATCHES_SHOWN_MAX]:
        for statement in found.statements:
            labels = ", ".join(statement.labels) or "no label"
            yield f"       {found.type} {_nearness(found)}: " + plain(
                f"{statement.member} says {labels}{_mark(statement)}"
            )
            yield f"         {statement.id}"
    if len(looked_up.matches) > MATCHES_SHOWN_MAX:
        more = len(looked_up.matches) - MATCHES_SHOWN_MAX
        yield f"       and {more} more; --json shows all of them"


def _mark(statement: match_schemas.MatchedStatement) -> str:
    if statement.word == Word.DISPUTED:
        return f" (disputed by {', '.join(statement.disputed_by)})"
    return "" if statement.word == Word.IN_FORCE else f" ({statement.word})"


def _nearness(found: match_schemas.MatchedSignal) -> str:
    if found.query_percent is None:
        return f"at distance {found.distance}"
    return f"with {found.query_percent} % of it in {found.index_percent} % of the known one"
