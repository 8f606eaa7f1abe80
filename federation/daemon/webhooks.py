"""Webhooks: the feed, brought to receivers that would rather be told.

Each webhook is a consumer of the feed with a place of its own in it, kept in the database: nothing
is told before it is durable, nothing is skipped by a crash, and a receiver that is down costs one
row. Events go one after the other, in order. A try that failed is made again with growing pauses;
an event that is given up goes to a list from which operators send it again.

Source: Standard Webhooks 1.0; CloudEvents 1.0.2.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Final, Protocol

from federation.daemon.feed import Feed, format_cursor
from federation.daemon.feed_entries import HISTORY_CUT
from federation.errors import FederationError
from federation.local_errors.askers import WebhookUnknown
from federation.local_errors.peers import PeerError
from federation.net.webhook_link import Delivered
from federation.store.feed_store import StoredEntry
from federation.store.webhook_store import DeadLetter, WebhookStanding, WebhookStore

log_lines = logging.getLogger(__name__)

TYPE_PREFIX: Final = "hash-federation."

LATER: Final = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that say more about the receiver's state than about the event: tried again for long."""

ALARM_MS: Final = 15 * 60 * 1_000
"""A receiver that fails for so long needs somebody."""

SKIPPED_MAX: Final = 1_024
"""Entries of kinds that nobody asked for, after which the place is written down; a busy feed costs
a webhook one write for so many."""

SKIPPED_SECONDS: Final = 60.0
"""And how long after the last of them: else a crash long afterwards would find them cut away, and
tell the receiver that it missed something."""


@dataclass(frozen=True, slots=True)
class Persistence:
    """How long a failing delivery is tried again.

    Attributes:
        first_seconds: the pause after the first failure; it doubles with each further one.
        longest_seconds: the longest pause. A receiver that comes back is spoken to within it.
        give_up_seconds: an event that failed for so long is given up.
        refused_attempts: and one that the receiver refuses as such after so many tries.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 900.0
    give_up_seconds: float = 86_400.0
    refused_attempts: int = 5


class Receiver(Protocol):
    """How an event reaches a receiver: :class:`federation.net.webhook_link.WebhookLink`."""

    async def deliver(self, event_id: str, body: bytes, at: datetime) -> Delivered:
        """Send one event."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver, as configured.

    Attributes:
        name: what operators call it.
        receiver: how it is reached.
        kinds: only these kinds of entry; empty for all.
    """

    name: str
    receiver: Receiver
    kinds: frozenset[str] = frozenset()

    def wants(self, kind: str) -> bool:
        """Whether entries of that kind go there."""
        return not self.kinds or kind in self.kinds or kind == HISTORY_CUT


class Webhooks:
    """Brings the feed to every receiver.

    Args:
        webhooks: the receivers.
        feed: what is brought.
        store: how far each has taken it.
        member: this node's name: part of where events come from.
        clock_ms: Unix milliseconds.
        rng: spreads tries, so that receivers that fell together are not woken together.
        alarm: tells operators (code, words).
        persistence: how long it is tried.
    """

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        feed: Feed,
        store: WebhookStore,
        member: str,
        clock_ms: Callable[[], int],
        rng: Random,
        alarm: Callable[[str, str], None],
        persistence: Persistence,
    ) -> None:
        self._webhooks = {each.name: each for each in webhooks}
        self._feed, self._store, self._member = feed, store, member
        self._clock_ms, self._rng, self._alarm = clock_ms, rng, alarm
        self._persistence = persistence
        self._standings: dict[str, WebhookStanding] = {}
        self._kept: dict[str, int] = {}
        self._replays: dict[str, list[int]] = {name: [] for name in self._webhooks}
        self._stirred: dict[str, asyncio.Event] = {name: asyncio.Event() for name in self._webhooks}
        self._alarmed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._feed_id = ""

    @property
    def standings(self) -> Mapping[str, WebhookStanding]:
        """How every webhook of the config stands, by name."""
        return self._standings

    async def start(self) -> None:
        """Go on where each receiver was; a new one begins with what changes from now on.

        Raises:
            StoreError: the disk.
        """
        bounds, kept = await self._feed.bounds(), await self._store.standings()
        self._feed_id = bounds.feed_id
        for name in self._webhooks:
            known = kept.get(name)
            if known is None:
                known = WebhookStanding(name, bounds.newest)
                await self._store.keep(known)
            self._standings[name], self._kept[name] = known, known.number
            self._tasks.append(asyncio.create_task(self._run(name)))

    async def close(self) -> None:
        """Stop; a delivery under way may be made again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for standing in list(self._standings.values()):
            if standing.number != self._kept[standing.name]:
                with suppress(FederationError):  # then what it was passed over by is read again
                    await self._keep(standing)
        for webhook in self._webhooks.values():
            await webhook.receiver.close()

    async def dead_letters(self, name: str | None = None) -> list[DeadLetter]:
        """What was given up, of one webhook or of all."""
        return await self._store.dead_letters(name)

    async def replay(self, name: str, numbers: Sequence[int] | None = None) -> int:
        """Send again what was given up: the entries of these numbers, or all.

        Returns:
            How many will be sent.

        Raises:
            WebhookUnknown: no such webhook, or a number that it did not give up.
        """
        if name not in self._webhooks:
            raise WebhookUnknown(f"the config has no webhook called {name}")
        dead = [letter.number for letter in await self._store.dead_letters(name)]
        wanted = dead if numbers is None else list(numbers)
        unknown = sorted(set(wanted) - set(dead))
        if unknown:
            raise WebhookUnknown(f"{name} gave up no event {unknown[0]}")
        waiting = self._replays[name]
        waiting += [number for number in wanted if number not in waiting]
        self._stirred[name].set()
        return len(wanted)

    # --- one receiver ---------------------------------------------------------------------------

    async def _run(self, name: str) -> None:
        while True:
            try:
                await self._step(name)
            except FederationError as error:
                log_lines.error("webhook %s: %s", name, error)
                await self._pause(name, self._persistence.first_seconds)

    async def _step(self, name: str) -> None:
        """Bring one entry, or wait for one."""
        if self._replays[name]:
            await self._replay_one(name)
            return
        standing = self._standings[name]
        if standing.retry_at_ms is not None and standing.retry_at_ms > self._clock_ms():
            await self._pause(name, (standing.retry_at_ms - self._clock_ms()) / 1_000)
            if standing.retry_at_ms > self._clock_ms():
                return  # stirred by a replay
        news = self._feed.news()
        entry = await self._next(standing.number)
        if entry is None:
            await self._wait(name, news)
        elif not self._webhooks[name].wants(entry.kind):
            skipped = replace(standing, number=entry.number)
            if entry.number - self._kept[name] >= SKIPPED_MAX:
                await self._keep(skipped)
            self._standings[name] = skipped
        else:
            await self._bring(name, standing, entry)

    async def _next(self, after: int) -> StoredEntry | None:
        bounds = await self._feed.bounds()
        self._feed_id = bounds.feed_id  # another one where an older database was put back
        if after < bounds.cut:
            # What it missed is gone: it is told so, in the place of what it missed.
            return StoredEntry(bounds.cut, self._clock_ms(), HISTORY_CUT, "{}")
        entries = await self._feed.read(after)
        return entries[0] if entries else None

    async def _bring(self, name: str, standing: WebhookStanding, entry: StoredEntry) -> None:
        taken, words, pause = await self._try(name, entry)
        now_ms = self._clock_ms()
        if taken:
            self._alarmed.discard(name)
            await self._keep(WebhookStanding(name, entry.number, standing.delivered + 1))
            return
        since = now_ms if standing.failing_since_ms is None else standing.failing_since_ms
        attempts = standing.attempts + 1
        if now_ms - since > ALARM_MS and name not in self._alarmed:
            self._alarmed.add(name)
            self._alarm("webhook-failing", f"webhook {name} fails: {words}")
        gave_up = now_ms - since >= self._persistence.give_up_seconds * 1_000
        refused = pause is None and attempts >= self._persistence.refused_attempts
        if gave_up or refused:
            dead = DeadLetter(name, entry.number, now_ms, words)
            log_lines.error("webhook %s: gave up event %d: %s", name, entry.number, words)
            kept = WebhookStanding(name, entry.number, standing.delivered, last_error=words)
            await self._keep(kept, dead)
            return
        wait = self._wait_seconds(attempts) if pause is None else pause
        retry_at_ms = now_ms + int(wait * 1_000)
        await self._keep(
            replace(
                standing,
                attempts=attempts,
                failing_since_ms=since,
                retry_at_ms=retry_at_ms,
                last_error=words,
            )
        )

    async def _replay_one(self, name: str) -> None:
        number = self._replays[name].pop(0)
        entry = await self._feed.entry(number)
        words, taken = "no longer in the feed's history", False
        if entry is not None:
            taken, words, _pause = await self._try(name, entry)
        if taken:
            await self._store.revive(name, [number])
            standing = self._standings[name]
            await self._keep(replace(standing, delivered=standing.delivered + 1))
        else:
            dead = DeadLetter(name, number, self._clock_ms(), words)
            await self._keep(self._standings[name], dead)

    async def _try(self, name: str, entry: StoredEntry) -> tuple[bool, str, float | None]:
        """Whether it was taken; else in words why not, and a pause where one was found.

        The pause is None where the receiver refuses this event as such.
        """
        event_id = format_cursor(self._feed_id, entry.number)
        body = cloud_event(event_id, self._member, self._feed_id, entry)
        try:
            answer = await self._webhooks[name].receiver.deliver(event_id, body, datetime.now(UTC))
        except PeerError as error:
            return False, error.message, self._wait_seconds(self._standings[name].attempts + 1)
        if answer.is_taken:
            return True, "", None
        words = f"the receiver answered {answer.status}"
        if 300 <= answer.status < 400:  # noqa: PLR2004 - HTTP's redirections
            words += ", and redirects are not followed"
        if answer.retry_after_seconds is not None:
            return False, words, answer.retry_after_seconds
        is_events_fault = 400 <= answer.status < 500 and answer.status not in LATER  # noqa: PLR2004
        wait = self._wait_seconds(self._standings[name].attempts + 1)
        return False, words, None if is_events_fault else wait

    def _wait_seconds(self, attempts: int) -> float:
        """Doubling pauses, a fifth of each left to chance."""
        doubled = self._persistence.first_seconds * 2.0 ** min(attempts - 1, 32)
        return min(doubled, self._persistence.longest_seconds) * self._rng.uniform(0.8, 1.0)

    async def _keep(self, standing: WebhookStanding, dead: DeadLetter | None = None) -> None:
        await self._store.keep(standing, dead)
        self._standings[standing.name], self._kept[standing.name] = standing, standing.number

    async def _pause(self, name: str, seconds: float) -> None:
        """Wait, but for a replay."""
        stirred = self._stirred[name]
        stirred.clear()
        try:
            async with asyncio.timeout(seconds):
                await stirred.wait()
        except TimeoutError:
            pass

    async def _wait(self, name: str, news: asyncio.Event) -> None:
        """Wait for the feed to grow, or for a replay."""
        stirred = self._stirred[name]
        stirred.clear()
        if self._replays[name]:
            return
        standing = self._standings[name]
        seconds = None if standing.number == self._kept[name] else SKIPPED_SECONDS
        waits = {asyncio.ensure_future(news.wait()), asyncio.ensure_future(stirred.wait())}
        try:
            done, _ = await asyncio.wait(
                waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                await self._keep(standing)
        finally:
            for each in waits:
                each.cancel()


def cloud_event(event_id: str, member: str, feed_id: str, entry: StoredEntry) -> bytes:
    """An entry of the feed as a CloudEvent in JSON (structured mode).

    Args:
        event_id: the entry's cursor: with the source, unique for ever.
        member: this node's name.
        feed_id: which feed it is.
        entry: what is told.
    """
    at = datetime.fromtimestamp(entry.at_ms / 1_000, UTC)
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/members/{member}/feeds/{feed_id}",
        "type": f"{TYPE_PREFIX}{entry.kind}.v1",
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": json.loads(entry.content),
    }
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
