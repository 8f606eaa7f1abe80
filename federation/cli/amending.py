"""What ``roster propose`` does about members, and what governance rules about statements.

Where a log ends or a key starts is a pin, which a governor cannot make up: it is given by hand, or
asked of a running node (``--config``), whose answer also says what would no longer count.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from federation.cli.answers import Answer
from federation.cli.client import NodeClient
from federation.cli.proposing import (
    PIN_HINT,
    parse_pin,
    parse_role,
    read_request,
    written,
)
from federation.cli.roster_files import load_chain
from federation.config import load_config
from federation.daemon.membership import read_root_of_trust
from federation.errors import RequestMalformed
from federation.protocol.headers import StatementId, parse_statement_id
from federation.protocol.origins import Lane
from federation.protocol.origins_local import parse_lane
from federation.protocol.roster_amendments import (
    Pins,
    changed_keys,
    departed,
    lifted,
    propose_members,
    propose_rulings,
    readdressed,
    rekeyed,
    restored,
    settled,
    succeeded,
    suspended,
    with_roles,
)
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import Member, Pin
from federation.protocol.roster_proposals import Proposal
from federation.web.roster_schemas import PinAnswer, PinsAnswer
from federation.web.schemas import StatusAnswer

_SECONDS: Final = re.compile(r"[0-9]{1,10}\Z")
SINCE_HINT: Final = "such as 2026-11-25T21:30:00Z, or POSIX seconds"


@dataclass(frozen=True)
class Sources:
    """Where a proposal's facts come from.

    Attributes:
        folder: holds the roster chain; None for a node's, or the present folder.
        config: a running node, asked for its chain and for pins.
        pins: given by hand, ``LANE:SIZE:ROOT`` each.
    """

    folder: Path | None = None
    config: Path | None = None
    pins: Sequence[str] = ()


@dataclass(frozen=True)
class Chosen:
    """Pins, and what a node said about them."""

    pins: Pins
    told: Sequence[PinAnswer] = field(default_factory=tuple)

    @property
    def erased(self) -> list[StatementId]:
        """What was erased beyond the pins: its body is gone everywhere."""
        return [parse_statement_id(text) for each in self.told for text in each.erased]

    def lines(self) -> list[str]:
        """What falls, for people."""
        lines = []
        for each in self.told:
            signed = ", ".join(receipt.member for receipt in each.receipts) or "nobody else"
            lines.append(f"  {each.lane} ends at {each.size} of {each.held}, seen by {signed}")
            falls = ", ".join(f"{count} {kind}" for kind, count in each.falls.items())
            lines += [f"    no longer counts: {falls}"] if falls else []
            lines += [f"    counts again: {text}" for text in each.undone]
        return lines


# --- the commands ---------------------------------------------------------------------------------


def suspend(
    member: str, since: str | None, sources: Sources, *, expires_days: int, out: Path | None
) -> Answer:
    """Propose that a member's word ends: where its logs stand, or where they stood before a time.

    Raises:
        FederationError: a pin, the time or the chain is wrong, or the node does not answer.
    """
    chain = chain_of(sources)
    if since is not None and sources.config is None:
        raise RequestMalformed("which node has the receipts?", hint="give --config node.toml")
    chosen = choose(chain, member, sources, None if since is None else parse_since(since))
    changed = suspended(chain.newest.member(member), chosen.pins)
    proposal = propose_members(chain, [changed], now_ms=_now_ms(), expires_days=expires_days)
    if since is not None and chosen.erased:
        # Bodies that a thief had erased are gone; listed, every node knows why they are missing.
        proposal = propose_rulings(
            chain, [changed], erased=chosen.erased, now_ms=_now_ms(), expires_days=expires_days
        )
    return _with_falls(proposal, chosen, out)


def remove(
    member: str, successor: str | None, sources: Sources, *, expires_days: int, out: Path | None
) -> Answer:
    """Propose that a member departs; what it said up to the pins stands.

    Raises:
        FederationError: a pin or the chain is wrong, or the file exists already.
    """
    chain = chain_of(sources)
    chosen = choose(chain, member, sources)
    changed = departed(chain.newest.member(member), chosen.pins, successor)
    proposal = propose_members(chain, [changed], now_ms=_now_ms(), expires_days=expires_days)
    return _with_falls(proposal, chosen, out)


def rekey(request_path: Path, sources: Sources, *, expires_days: int, out: Path | None) -> Answer:
    """Propose a member's next keys, as its request has them.

    Raises:
        FederationError: the request, a pin or the chain is wrong, or the file exists already.
    """
    chain, request = chain_of(sources), read_request(request_path)
    member = chain.newest.member(request.member)
    lanes = {lane for lane in Lane if lane in changed_keys(member, request)}
    chosen = choose(chain, request.member, sources, lanes=lanes) if lanes else Chosen({})
    changed = rekeyed(member, request, chosen.pins)
    proposal = propose_members(chain, [changed], now_ms=_now_ms(), expires_days=expires_days)
    return written(proposal, out)


def restore(request_path: Path, sources: Sources, *, expires_days: int, out: Path | None) -> Answer:
    """Propose that a suspended member is back under new keys, each lane in a new epoch.

    Raises:
        FederationError: the request or the chain is wrong, or the file exists already.
    """
    chain, request = chain_of(sources), read_request(request_path)
    changed = restored(chain.newest.member(request.member), request)
    return _changed(chain, changed, expires_days, out)


def lift(member: str, sources: Sources, *, expires_days: int, out: Path | None) -> Answer:
    """Propose that a suspension ends: all that the member said counts again.

    Raises:
        FederationError: it is not suspended, the chain is wrong, or the file exists already.
    """
    chain = chain_of(sources)
    return _changed(chain, lifted(chain.newest.member(member)), expires_days, out)


def settle(member: str, sources: Sources, *, expires_days: int, out: Path | None) -> Answer:
    """Propose that a member's former TLS identity is taken out.

    Raises:
        FederationError: there is none, the chain is wrong, or the file exists already.
    """
    chain = chain_of(sources)
    return _changed(chain, settled(chain.newest.member(member)), expires_days, out)


def readdress(
    member: str, urls: Sequence[str], sources: Sources, *, expires_days: int, out: Path | None
) -> Answer:
    """Propose that a member is reached elsewhere.

    Raises:
        FederationError: a URL or the chain is wrong, or the file exists already.
    """
    chain = chain_of(sources)
    changed = readdressed(chain.newest.member(member), tuple(urls))
    return _changed(chain, changed, expires_days, out)


def reassign(
    member: str,
    roles: Sequence[str],
    request_path: Path | None,
    sources: Sources,
    *,
    expires_days: int,
    out: Path | None,
) -> Answer:
    """Propose other roles.

    Raises:
        FederationError: a role, a pin, the request or the chain is wrong.
    """
    chain = chain_of(sources)
    before = chain.newest.member(member)
    wanted = frozenset(parse_role(role) for role in roles)
    request = None if request_path is None else read_request(request_path)
    ends = before.publishes and "member" not in wanted
    chosen = choose(chain, member, sources) if ends else Chosen({})
    changed = with_roles(before, wanted, chosen.pins, request)
    proposal = propose_members(chain, [changed], now_ms=_now_ms(), expires_days=expires_days)
    return _with_falls(proposal, chosen, out)


def succeed(
    member: str, successor: str | None, sources: Sources, *, expires_days: int, out: Path | None
) -> Answer:
    """Propose who may take back what a departed member said.

    Raises:
        FederationError: it did not depart, the chain is wrong, or the file exists already.
    """
    chain = chain_of(sources)
    return _changed(chain, succeeded(chain.newest.member(member), successor), expires_days, out)


def rule(
    ids: Sequence[str], *, erases: bool, sources: Sources, expires_days: int, out: Path | None
) -> Answer:
    """Propose that governance takes statements back, or has them erased.

    Raises:
        FederationError: an id or the chain is wrong, or the file exists already.
    """
    statements = [parse_statement_id(text) for text in ids]
    proposal = propose_rulings(
        chain_of(sources),
        withdrawn=() if erases else statements,
        erased=statements if erases else (),
        now_ms=_now_ms(),
        expires_days=expires_days,
    )
    return written(proposal, out)


def _changed(chain: RosterChain, member: Member, expires_days: int, out: Path | None) -> Answer:
    proposal = propose_members(chain, [member], now_ms=_now_ms(), expires_days=expires_days)
    return written(proposal, out)


def _with_falls(proposal: Proposal, chosen: Chosen, out: Path | None) -> Answer:
    answer = written(proposal, out)
    pins = [each.model_dump() for each in chosen.told]
    parts = (*answer.parts, *chosen.lines())
    return Answer({**(answer.fields or {}), "pins": pins}, parts, talk=answer.talk)


# --- where facts come from ------------------------------------------------------------------------


def chain_of(sources: Sources) -> RosterChain:
    """The chain: a folder's, a running node's, or the present folder's.

    Raises:
        FederationError: it is missing or not proven, or the node does not answer.
    """
    if sources.folder is None and sources.config is not None:
        return asyncio.run(_fetch_chain(sources.config))
    return load_chain(sources.folder or Path())


async def _fetch_chain(config_path: Path) -> RosterChain:
    """A running node's chain, judged from its root of trust."""
    config = load_config(config_path)
    chain = read_root_of_trust(config.path(config.root_file))
    async with NodeClient(config) as node:
        newest = (await node.get("/v1/status", StatusAnswer)).roster_version
        for version in range(2, newest + 1):
            chain = chain.extend(await node.fetch(f"/v1/roster/{version}"))
    return chain


def choose(
    chain: RosterChain,
    member: str,
    sources: Sources,
    before: int | None = None,
    lanes: set[Lane] | None = None,
) -> Chosen:
    """A pin for each open log, or for some lanes of it; those given by hand go first.

    Raises:
        FederationError: one is missing or malformed, or the node does not answer.
    """
    by_hand: dict[Lane, Pin] = {}
    for text in sources.pins:
        log, pin = parse_pin(text, member, chain.federation_id)
        if log.lane in by_hand:
            raise RequestMalformed(f"two pins for the log {log}")
        by_hand[log.lane] = pin
    open_lanes = {log.lane for log in chain.newest.member(member).logs if log.is_open}
    wanted = (open_lanes if lanes is None else lanes) - by_hand.keys()
    if not wanted:
        return Chosen(by_hand)
    if sources.config is None:
        missing = ", ".join(sorted(wanted))
        raise RequestMalformed(f"no pin for: {missing}", hint=f"--config node.toml, or {PIN_HINT}")
    told = asyncio.run(_ask_pins(sources.config, member, before))
    kept = [each for each in told.pins if parse_lane(each.lane) in wanted]
    pins: Mapping[Lane, Pin] = {
        parse_lane(each.lane): Pin(each.size, bytes.fromhex(each.root)) for each in kept
    }
    return Chosen({**by_hand, **pins}, kept)


async def _ask_pins(config_path: Path, member: str, before: int | None) -> PinsAnswer:
    query = "" if before is None else "?" + urlencode({"before": before})
    async with NodeClient.of(config_path) as node:
        return await node.get(f"/v1/members/{member}/pins{query}", PinsAnswer)


def parse_since(text: str) -> int:
    """A time, in POSIX seconds.

    Raises:
        RequestMalformed: neither seconds nor an ISO 8601 time with its zone.
    """
    if _SECONDS.match(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RequestMalformed("--since is no time", hint=SINCE_HINT) from None
    if at.tzinfo is None:
        raise RequestMalformed("--since says no time zone", hint=SINCE_HINT)
    return int(at.astimezone(UTC).timestamp())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
