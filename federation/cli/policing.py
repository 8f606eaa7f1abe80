"""What ``policy`` does: check a policy, try it, take it on, show it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.daemon.policy_file import read_policy_file
from federation.local_errors.config import ConfigMissing
from federation.local_errors.disk import NodeStarting
from federation.local_errors.peers import NodeUnreachable
from federation.matching.policy_reading import parse_policy
from federation.web.policy_schemas import (
    ChangedDecision,
    PolicyAnswer,
    PolicyText,
    PolicyTrialAnswer,
    PolicyTrialRequest,
    TrialPart,
)


def check(config_path: Path, file: Path) -> Answer:
    """Whether a policy means something.

    Raises:
        PolicyInvalid: it does not; each flaw with its line.
        ConfigMissing: there is no such file.
    """
    text = read_policy_file(file)
    parse_policy(text)  # what needs no node is told without one
    try:
        answer = asyncio.run(_ask(config_path, text))
    except (NodeUnreachable, NodeStarting, ConfigMissing):
        policy = parse_policy(text)
        fields = {
            "ok": True,
            "members_checked": False,
            "rules": [rule.name for rule in policy.rules],
            "exceptions": len(policy.exceptions),
        }
        told = f"{len(policy.rules)} rules, {len(policy.exceptions)} exceptions"
        talk = "no node answers, so the members it names were not checked"
        return Answer(fields, (f"{plain(str(file))}: {told}; it means something",), talk=(talk,))
    fields = {"ok": True, "members_checked": True, **answer.model_dump()}
    told = f"{len(answer.rules)} rules, {answer.exceptions} exceptions"
    return Answer(fields, (f"{plain(str(file))}: {told}; it means something",))


def try_out(config_path: Path, file: Path) -> Answer:
    """What a policy would change.

    Raises:
        FederationError: it means nothing, or no node answers.
    """
    stored, recent, examples = asyncio.run(_try(config_path, read_policy_file(file)))
    is_same = all(before == after for before, after in [*stored, *recent])
    fields = {
        "changes": not is_same,
        "stored": _told(stored),
        "recent": _told(recent),
        "examples": [each.model_dump() for each in examples],
    }
    parts: list[Table | str] = []
    for title, moves in (("stored signals", stored), ("recent matches", recent)):
        if moves:
            parts.append(_table(title, moves))
        else:
            parts.append(f"{title}: none to ask about")
    parts += [
        f"{each.statement}  {each.before} by {plain(each.rule_before)} → "
        f"{each.after} by {plain(each.rule_after)}"
        for each in examples
    ]
    code = ExitCode.YES if is_same else ExitCode.NO
    talk = "nothing would change" if is_same else "nothing was taken on: federation policy reload"
    return Answer(fields, tuple(parts), code, talk=(talk,))


def reload(config_path: Path) -> Answer:
    """Have the node read its policy again.

    Raises:
        FederationError: it is refused, and the old one stays; or no node answers.
    """
    answer = asyncio.run(_reload(config_path))
    line = f"{plain(answer.file)}: {len(answer.rules)} rules in force"
    return Answer(answer.model_dump(), (line, answer.sha256))


def show(config_path: Path) -> Answer:
    """The policy in force.

    Raises:
        FederationError: no node answers.
    """
    answer = asyncio.run(_get(config_path))
    table = Table("rule", "action", "members", "a person's word", "for", box=SIMPLE_HEAD)
    for rule in answer.rules:
        human = "only" if rule.human else "not needed"
        table.add_row(rule.name, rule.action, str(rule.members_min), human, ", ".join(rule.stages))
    table.add_row("otherwise", answer.otherwise, "", "", "")
    since = datetime.fromtimestamp(answer.taken_at_ms / 1000, UTC).isoformat(timespec="seconds")
    parts = (f"{plain(answer.file)}, in force since {since}", table)
    return Answer(answer.model_dump(), (*parts, f"{answer.exceptions} exceptions"))


async def _ask(config_path: Path, text: str) -> PolicyAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/policy/check", PolicyText(text=text), PolicyAnswer)


async def _reload(config_path: Path) -> PolicyAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/policy/reload", b"", PolicyAnswer)


async def _get(config_path: Path) -> PolicyAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.get("/v1/policy", PolicyAnswer)


_Moves = Counter[tuple[str, str]]


async def _try(config_path: Path, text: str) -> tuple[_Moves, _Moves, list[ChangedDecision]]:
    stored: _Moves = Counter()
    recent: _Moves = Counter()
    examples: list[ChangedDecision] = []
    after: int | None = -1
    with progress("asking about stored signals") as advance:
        async with NodeClient.of(config_path) as node:
            while after is not None:
                request = PolicyTrialRequest(text=text, after=after)
                answer = await node.post("/v1/policy/test", request, PolicyTrialAnswer)
                for part, moves in ((answer.stored, stored), (answer.recent, recent)):
                    if part is not None:
                        _add(part, moves, examples)
                advance(answer.stored.asked)
                after = answer.end
    return stored, recent, examples


EXAMPLES_SHOWN_MAX = 20


def _add(part: TrialPart, moves: _Moves, examples: list[ChangedDecision]) -> None:
    for move in part.moves:
        moves[move.before, move.after] += move.count
    examples += part.examples[: EXAMPLES_SHOWN_MAX - len(examples)]


def _told(moves: Mapping[tuple[str, str], int]) -> list[dict[str, object]]:
    return [
        {"before": before, "after": after, "count": count}
        for (before, after), count in sorted(moves.items())
    ]


def _table(title: str, moves: Mapping[tuple[str, str], int]) -> Table:
    table = Table(title, "now", "then", box=SIMPLE_HEAD)
    for (before, after), count in sorted(moves.items(), key=lambda each: each[0][0] == each[0][1]):
        style = "dim" if before == after else "bold"
        table.add_row(f"{count:,}", before, after, style=style)
    return table
