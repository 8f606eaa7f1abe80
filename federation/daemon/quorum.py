"""The publishing policy: how many other members must vouch for an own head, and what if too few do.

What this member says always goes to its peers at once: without that nobody could vouch for it, and
no limit holds a withdraw back. What waits is the public's view of its own logs: with
``if_unmet = "hold"`` it stays at the last head that has its quorum. Either way operators see an
alarm, as long as it stands.

Source: docs/internals/public_log.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.config import PublishingSettings
from federation.daemon.membership import Membership
from federation.local_errors.askers import LogNotFound
from federation.protocol.origins import LogId
from federation.store.public_store import PublicStore
from federation.store.receipt_store import StoredCheckpoint


@dataclass(frozen=True, slots=True)
class Overdue:
    """An own log whose quorum was not met in time.

    Attributes:
        log: which.
        size: of the head that too few vouch for.
    """

    log: LogId
    size: int


class QuorumWatch:
    """Holds own heads against the publishing policy.

    Args:
        settings: the policy.
        member: this node's member.
        store: checkpoints and who cosigned them.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.
    """

    def __init__(
        self,
        settings: PublishingSettings,
        member: str,
        store: PublicStore,
        membership: Membership,
        unix_ms: Callable[[], int],
    ) -> None:
        self._settings, self._member = settings, member
        self._store, self._membership, self._unix_ms = store, membership, unix_ms

    async def public_head(self, log: LogId, kept_before_ms: int) -> StoredCheckpoint | None:
        """The newest head of a log that the public may see; None without one.

        Args:
            log: which log; the policy is about this member's own.
            kept_before_ms: Unix milliseconds.

        Raises:
            LogNotFound: nothing of the log is held.
        """
        is_held_back = log.member == self._member and self._settings.if_unmet == "hold"
        return await self._store.public_head(
            log,
            kept_before_ms,
            members_min=self._settings.members_min if is_held_back else 0,
            own=self._member,
        )

    async def overdue(self) -> list[Overdue]:
        """Own logs whose quorum should have been met by now, by origin."""
        if not self._settings.members_min:
            return []
        before_ms = self._unix_ms() - int(self._settings.quorum_seconds * 1_000)
        found = []
        for log in self._membership.roster.logs:
            if log.member != self._member:
                continue
            try:
                size = await self._store.overdue_size(
                    log, before_ms, members_min=self._settings.members_min, own=self._member
                )
            except LogNotFound:
                continue
            if size is not None:
                found.append(Overdue(log, size))
        return found

    async def alarms(self) -> list[tuple[str, str]]:
        """What operators are told: code and sentence, as long as it stands."""
        settings = self._settings
        is_held = settings.if_unmet == "hold"
        effect = "the public sees an older head" if is_held else "the public sees it all the same"
        told = "{log}: not {quorum} vouch for size {size} after {seconds:g} s; {effect}"
        return [
            (
                "quorum-unmet",
                told.format(
                    log=each.log,
                    quorum=settings.quorum,
                    size=each.size,
                    seconds=settings.quorum_seconds,
                    effect=effect,
                ),
            )
            for each in await self.overdue()
        ]
