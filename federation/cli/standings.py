"""What ``status`` and ``peers`` show: how this node stands, and how it stands with each peer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.errors import MemberUnknown
from federation.web.schemas import (
    CatchingUpAnswer,
    LogAnswer,
    PeerAnswer,
    PeerListenerAnswer,
    PeerLogAnswer,
    PeersAnswer,
    QuotaAnswer,
    StatusAnswer,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

DAY_MS: Final = 24 * 3_600 * 1_000
EXPIRY_WARNING_DAYS: Final = 14
"""Governors who sign once a quarter need about a fortnight to come together."""

SECONDS_SHOWN_MAX: Final = 120
MINUTES_SHOWN_MAX: Final = 120
HOURS_SHOWN_MAX: Final = 48
"""Up to these an age is told in the smaller unit; two of the larger say nothing."""

REPEATS_SHOWN_MIN: Final = 10_000
"""Honest neighbours repeat each statement a few times; what is shown is what nobody needs."""

LINK_STYLES: Final = {"up": "green", "waiting": "yellow", "failing": "red", "never reached": "red"}


def status(config_path: Path) -> Answer:
    """How the node stands; a no when something needs a person.

    Raises:
        FederationError: the config is wrong, or no node answers.
    """
    told, is_ready = asyncio.run(_ask_status(config_path))
    now_ms = time.time_ns() // 1_000_000
    warnings = list(_warnings(told, now_ms))
    needs_somebody = bool(told.alarms) or not is_ready or told.roster_expires_at_ms <= now_ms
    return Answer(
        {**told.model_dump(), "ready": is_ready, "warnings": warnings},
        tuple(_status_parts(told, warnings, is_ready=is_ready)),
        ExitCode.NO if needs_somebody else ExitCode.YES,
    )


def peers(config_path: Path, members: Sequence[str]) -> Answer:
    """How every peer stands, or those named.

    Raises:
        MemberUnknown: a name that is no peer's.
        FederationError: the config is wrong, or no node answers.
    """
    answer = asyncio.run(_ask_peers(config_path))
    told = answer.peers
    unknown = sorted(set(members) - {peer.member for peer in told})
    if unknown:
        raise MemberUnknown(
            f"no peer of this node is called {', '.join(unknown)}",
            hint="`federation peers` without a name shows all of them",
        )
    shown = [peer for peer in told if not members or peer.member in members]
    parts: list[RenderableType] = []
    for peer in shown:
        parts += _peer_parts(peer)
    if not shown:
        parts.append("no peers: this member is alone in the roster")
    parts += _listener_parts(answer.listener)
    fields = {
        "peers": [peer.model_dump() for peer in shown],
        "listener": answer.listener.model_dump(),
    }
    return Answer(fields, tuple(parts))


async def _ask_status(config_path: Path) -> tuple[StatusAnswer, bool]:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            is_ready = await node.is_ready()
            return await node.get("/v1/status", StatusAnswer), is_ready


async def _ask_peers(config_path: Path) -> PeersAnswer:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            return await node.get("/v1/peers", PeersAnswer)


# --- status ---------------------------------------------------------------------------------------


def _warnings(told: StatusAnswer, now_ms: int) -> Iterator[str]:
    days = (told.roster_expires_at_ms - now_ms) // DAY_MS
    if told.roster_expires_at_ms <= now_ms:
        yield "the roster has expired and admits nobody: governance must sign a new version"
    elif days < EXPIRY_WARNING_DAYS:
        yield f"the roster expires in {days} days: governance should sign a new version"
    if told.threshold == 1:
        yield "one governor alone decides: fine for trying out, not for a federation"


def _status_parts(
    told: StatusAnswer, warnings: Sequence[str], *, is_ready: bool
) -> Iterator[RenderableType]:
    for alarm in told.alarms:
        yield Text(f"ALARM  {plain(alarm.code)}: {plain(alarm.text)}", style="bold white on red")
    for warning in warnings:
        yield Text(f"warning  {warning}", style="yellow")
    if told.alarms or warnings:
        yield ""
    expires = datetime.fromtimestamp(told.roster_expires_at_ms / 1_000, UTC)
    state = Text("serving", style="green") if is_ready else Text("starting", style="yellow")
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim")
    about.add_column(overflow="fold")
    about.add_row("member", Text(told.member, style="bold"))
    about.add_row("state", state)
    about.add_row("federation", told.federation)
    about.add_row(
        "roster",
        f"version {told.roster_version}, {told.threshold} of {told.governors} governors decide, "
        f"expires {expires:%Y-%m-%d}",
    )
    about.add_row("signals", f"{told.signals:,} can match")
    if told.catching_up is not None and told.catching_up.lacking:
        about.add_row("catching up", _catching_up(told.catching_up))
    if told.catching_up is not None and told.catching_up.unserved:
        about.add_row("not served", f"{told.catching_up.unserved:,} statements that peers offer")
    about.add_row("release", told.version)
    yield about
    if told.logs:
        logs = _table("log", "held", "known", "missing")
        for log in told.logs:
            logs.add_row(
                f"{log.member} {log.lane}", f"{log.held:,}", f"{log.known:,}", _missing(log)
            )
        yield logs
    else:
        yield "no statements yet"


def _missing(log: LogAnswer) -> Text:
    """What a log lacks here, and since when nobody serves it."""
    lag = _lag(log.known - log.held)
    if log.known > log.held and not log.is_served:
        seconds = log.last_served_seconds
        lag.append(" never served" if seconds is None else f" not served for {_age(seconds)}")
    return lag


def _catching_up(told: CatchingUpAnswer) -> str:
    words = f"{told.lacking:,} statements to come"
    if told.seconds_left is None:
        return f"{words}; none comes at the moment"
    left = _seconds_in_words(told.seconds_left)
    return f"{words}, {told.per_second:,.0f} a second, about {left} left"


def _seconds_in_words(seconds: float) -> str:
    if seconds < SECONDS_SHOWN_MAX:
        return f"{seconds:.0f} s"
    if seconds < MINUTES_SHOWN_MAX * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h"


# --- peers ----------------------------------------------------------------------------------------


def _peer_parts(peer: PeerAnswer) -> Iterator[RenderableType]:
    line = Text(peer.member, style="bold")
    line.append(f"  {peer.link}", style=LINK_STYLES.get(peer.link, ""))
    line.append(f"  {_contact(peer.last_contact_seconds)}", style="")
    line.append(f"  {' '.join(map(plain, peer.urls)) or 'calls others only'}", style="dim")
    yield line
    if peer.last_error:
        times = f" ({peer.failures} in a row)" if peer.failures > 1 else ""
        yield Text(f"  last error: {plain(peer.last_error)}{times}", style="yellow")
    if peer.faults:
        yield Text(
            f"  FAULTS: sent {peer.faults} malformed or unproven things", style="bold white on red"
        )
    if peer.unserved:
        yield Text(f"  did not serve {peer.unserved} ranges that it offered", style="yellow")
    if peer.unjudged:
        text = f"  left unread: {peer.unjudged:,} heads told beside others that were not proven"
        yield Text(text, style="yellow")
    if peer.waits:
        yield Text(f"  asked us to wait {peer.waits:,} times", style="dim")
    if peer.repeats >= REPEATS_SHOWN_MIN:
        yield Text(f"  told {peer.repeats:,} times what was known already", style="yellow")
    for log in peer.logs:
        if log.unsigned:
            yield Text(
                f"  says it holds {log.there:,} of {log.member} {log.lane}, "
                f"receipt up to {log.receipt_size:,}",
                style="yellow",
            )
    if peer.quotas:
        yield Text(f"  said {_use(peer.quotas)}", style="dim")
    for quota, count in sorted(peer.quotas.marked.items()) if peer.quotas else ():
        yield Text(
            f"  over the quota of {plain(quota).replace('-', ' ')}: {count:,} statements, all kept",
            style="yellow",
        )
    if peer.logs:
        logs = _table("log", "here", "there", "we lack", "it lacks", "its receipt")
        for log in peer.logs:
            logs.add_row(
                f"{log.member} {log.lane}",
                f"{log.here:,}",
                f"{log.there:,}",
                _lag(log.behind_here),
                _lag(log.behind_there),
                _receipt(log),
            )
        yield logs
    else:
        yield "  no statements yet"


def _use(quotas: QuotaAnswer) -> str:
    """How much of its quotas a member uses."""
    return (
        f"{quotas.statements_day:,} of {quotas.statements_day_usual:,} statements a day,"
        f" {quotas.crisis_hour:,} of {quotas.crisis_hour_usual:,} crisis statements an hour"
    )


def _listener_parts(listener: PeerListenerAnswer) -> Iterator[RenderableType]:
    """Whom the peer listener turned away; nothing where it turned nobody away."""
    if listener.members:
        refused = _table("turned away here", "standing", "why")
        for each in listener.members:
            why = [f"{plain(code)} x{count:,}" for code, count in each.refused.items()]
            if each.abandoned:
                why.append(f"did not take {each.abandoned:,} answers")
            refused.add_row(each.member, plain(each.standing), ", ".join(why))
        yield refused
    seen = {
        "refused in the handshake": listener.handshakes_refused,
        "too slow to shake hands": listener.handshakes_timed_out,
        "over the limit on connections": listener.connections_refused_busy,
        "not HTTP": listener.requests_malformed,
    }
    if any(seen.values()):
        told = ", ".join(f"{count:,} {what}" for what, count in seen.items() if count)
        yield Text(f"strangers at the peer listener: {told}", style="yellow")


def _table(name: str, *numbers: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=True, header_style="dim")
    table.add_column(name, min_width=28, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", overflow="fold")
    return table


def _lag(statements: int) -> Text:
    return Text(f"{statements:,}", style="bold red") if statements else Text("-", style="dim")


def _receipt(log: PeerLogAnswer) -> Text:
    """Up to where the peer has signed that it durably holds the log."""
    if not log.receipt_size:
        return Text("none", style="yellow" if log.here else "dim")
    is_whole = log.receipt_size >= log.here
    return Text(f"up to {log.receipt_size:,}", style="green" if is_whole else "yellow")


def _contact(seconds: float | None) -> str:
    return "never heard" if seconds is None else f"heard {_age(seconds)} ago"


def _age(seconds: float) -> str:
    if seconds < SECONDS_SHOWN_MAX:
        return f"{seconds:.0f} s"
    if seconds < MINUTES_SHOWN_MAX * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < HOURS_SHOWN_MAX * 3_600:
        return f"{seconds / 3_600:.0f} h"
    return f"{seconds / (24 * 3_600):.0f} days"
