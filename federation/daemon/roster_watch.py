"""What operators must know of the roster: that it expires, and that there are two of one version.

Every member's log says which roster its node acts under. One that names another decision of a
version held here is either a lie or a fork of the roster: the file itself decides, which is fetched
from that member and judged. A claim alone changes nothing.

Source: docs/spec/roster.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from federation.daemon.membership import Membership
from federation.errors import FederationError
from federation.local_errors.proofs import RosterForked
from federation.net.asking import PeerCalls
from federation.protocol.bodies import ActsUnder, Kind
from federation.protocol.roster_changes import format_time
from federation.provenance.reading import body_of
from federation.provenance.verifier import VerifiedStatement

log_lines = logging.getLogger(__name__)

DAY_MS: Final = 24 * 3_600 * 1_000
EXPIRY_ALARM_DAYS: Final = 21
"""Of the usual 90: three weeks to bring governors and their keys together."""

CLAIMANTS_MAX: Final = 64
"""Members whose claims of another roster are shown."""

CLAIMS_OF_ONE_MAX: Final = 4
"""Versions that one member's claims are kept of: governance forks once, not often."""

FETCHES_MAX: Final = 4
"""Claimed rosters fetched at once: each is up to 4 MiB, and nothing urgent."""


class RosterWatch:
    """Watches the roster in force.

    Args:
        membership: the roster in force.
        link_of: how a member is reached.
        unix_ms: the clock, Unix milliseconds.
    """

    def __init__(
        self,
        membership: Membership,
        link_of: Callable[[str], PeerCalls | None],
        unix_ms: Callable[[], int],
    ) -> None:
        self._membership, self._link_of, self._unix_ms = membership, link_of, unix_ms
        self._claims: dict[str, dict[int, ActsUnder]] = {}
        self._fetching = asyncio.Semaphore(FETCHES_MAX)
        self._tasks: set[asyncio.Task[None]] = set()

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        return [*self._expiry(), *self._unapplied(), *self._forks()]

    def absorb(self, statements: Sequence[VerifiedStatement]) -> None:
        """Durable statements: those that name a roster are held against the chain."""
        for statement in statements:
            if statement.header.kind != Kind.ROSTER:
                continue  # nearly all; their bodies are not for this room to read
            body = body_of(statement)
            if isinstance(body, ActsUnder) and self._contradicts(body):
                self._note_claim(statement.header.member, body)

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- expiry ---------------------------------------------------------------------------------

    def _expiry(self) -> Iterable[tuple[str, str]]:
        roster, now_ms = self._membership.roster, self._unix_ms()
        until = format_time(roster.expires_at_ms)
        if roster.is_expired(now_ms):
            text = (
                f"version {roster.version} of the roster expired at {until}: it admits no member "
                "and no key; verifying and matching go on"
            )
            yield "roster-expired", text
        elif roster.is_expired(now_ms + EXPIRY_ALARM_DAYS * DAY_MS):
            text = (
                f"version {roster.version} of the roster expires at {until}: governance has to "
                "sign the next one (federation roster propose refresh)"
            )
            yield "roster-expires", text

    def _unapplied(self) -> Iterable[tuple[str, str]]:
        if not self._membership.is_applied:
            version = self._membership.roster.version
            text = f"version {version} of the roster is in force and not applied to its end yet"
            yield "roster-unapplied", text

    # --- forks ----------------------------------------------------------------------------------

    def _contradicts(self, body: ActsUnder) -> bool:
        decisions = self._membership.chain.decisions
        if body.version > len(decisions):
            return False
        return decisions[body.version - 1] != body.decision

    def _note_claim(self, member: str, body: ActsUnder) -> None:
        """Keep a member's first claim about a version, and have it show the file, once."""
        if member not in self._claims and len(self._claims) >= CLAIMANTS_MAX:
            return
        claims = self._claims.setdefault(member, {})
        if body.version in claims or len(claims) >= CLAIMS_OF_ONE_MAX:
            return
        claims[body.version] = body
        log_lines.error("%s acts under another roster of version %d", member, body.version)
        task = asyncio.get_running_loop().create_task(self._fetch(member, body.version))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, member: str, version: int) -> None:
        link = self._link_of(member)
        if link is None:
            return
        try:
            async with self._fetching:
                root = await link.roster(version)
            if root is not None:
                await self._membership.adopt(root)
        except RosterForked:
            log_lines.error("%s holds a proven rival of roster version %d", member, version)
        except FederationError as error:
            log_lines.warning("roster version %d from %s: %s", version, member, error)

    def _forks(self) -> Iterable[tuple[str, str]]:
        for rival in self._membership.rivals:
            text = (
                f"governance signed two rosters of version {rival.version}: this node stays on the "
                "one it has, and takes no further version until you pin one (federation roster "
                "forks)"
            )
            yield "roster-forked", text
        proven = {rival.decision_sha256 for rival in self._membership.rivals}
        claims = [(name, body) for name, each in self._claims.items() for body in each.values()]
        for member, body in claims:
            if body.decision not in proven and self._contradicts(body):
                text = (
                    f"{member} says that it acts under another roster of version {body.version}, "
                    "and has not shown it"
                )
                yield "roster-claimed", text
