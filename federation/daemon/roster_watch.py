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
from federation.protocol.roster import parse_roster
from federation.protocol.roster_changes import format_time
from federation.provenance.reading import body_of
from federation.provenance.verifier import VerifiedStatement

log_lines = logging.getLogger(__name__)

DAY_MS: Final = 24 * 3_600 * 1_000
EXPIRY_ALARM_DAYS: Final = 21
"""Of the usual 90: three weeks to bring governors and their keys together."""

CLAIMS_MAX: Final = 64
"""Members whose claim of another roster is shown; each is shown once."""


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
        self._claims: dict[str, ActsUnder] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def alarms(self) -> list[tuple[str, str]]:
        """What operators are told as long as it stands: code and sentence."""
        return [*self._expiry(), *self._forks()]

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

    # --- forks ----------------------------------------------------------------------------------

    def _contradicts(self, body: ActsUnder) -> bool:
        versions = self._membership.chain.versions
        if body.version > len(versions):
            return False
        return parse_roster(versions[body.version - 1]).decision_sha256 != body.decision

    def _note_claim(self, member: str, body: ActsUnder) -> None:
        if self._claims.get(member) == body or len(self._claims) >= CLAIMS_MAX:
            return
        self._claims[member] = body
        log_lines.error("%s acts under another roster of version %d", member, body.version)
        task = asyncio.get_running_loop().create_task(self._fetch(member, body.version))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, member: str, version: int) -> None:
        link = self._link_of(member)
        if link is None:
            return
        try:
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
        for member, body in self._claims.items():
            if body.decision not in proven and self._contradicts(body):
                text = (
                    f"{member} says that it acts under another roster of version {body.version}, "
                    "and has not shown it"
                )
                yield "roster-claimed", text
