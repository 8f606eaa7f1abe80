"""Crisis statements of one's own: said again each second until three members hold them.

A flood over neighbours is as fast as it gets, and has one hole: where the issuer's own links are
cut, nobody begins it. So the issuer tells others, too, a wave at a time, until receipts of three
different members show that it is out of his hands. A bounded number after the newest one;
anti-entropy has the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from federation.gossip.events import Command, KeepReceipt
from federation.protocol.origins import LogId

WAVE_SECONDS: Final = 1.0
"""Between two waves: several round trips, so that the receipts of one can stop the next."""

WAVE_PEERS: Final = 32
"""Peers in a wave. With nine links of ten cut, all of a wave are cut off once in thirty; of two
waves once in a thousand (docs/internals/gossip.md)."""

WAVES_MAX: Final = 10
"""After the newest head; then whatever is wrong lasts longer than waves are good for. While heads
follow each other it is still one wave a second: what is said in a busy crisis is no less urgent."""

RECEIPTS_ENOUGH: Final = 3
"""Members who durably hold it: each of them floods it by himself."""


@dataclass(slots=True)
class Wave:
    """The newest head of one crisis log of this node's own, while it is being repeated.

    Attributes:
        size: of the head.
        at: when the next wave goes out.
        count: waves sent since that head is the newest.
        receipts: who has shown a receipt on this head or a later one.
        told: whose turn is over, until everybody had one.
    """

    size: int
    at: float
    count: int = 0
    receipts: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)


class Waves:
    """All crisis logs of this node's own that are being repeated.

    Attributes:
        waves: log -> what is repeated of it.
    """

    def __init__(self) -> None:
        self.waves: dict[LogId, Wave] = {}

    def begin(self, log: LogId, size: int, told: Iterable[str], now: float) -> None:
        """A new head is durable and was told once.

        Args:
            log: of this node's own.
            size: of the head.
            told: whom it was told to.
            now: the engine's clock.
        """
        wave = self.waves.get(log)
        if wave is None:
            wave = self.waves[log] = Wave(size, now + WAVE_SECONDS)
        else:
            # The wave that is due comes when it is due and in its turn, or statements that follow
            # each other faster than waves would put it off for ever. What was shown on a smaller
            # head says nothing of this one.
            wave.size, wave.count = size, 0
            wave.receipts.clear()
        wave.told.update(told)

    def note_receipts(self, commands: Iterable[Command]) -> None:
        """Receipts that are kept from now on show who holds what."""
        for command in commands:
            if isinstance(command, KeepReceipt):
                receipt = command.receipt
                self.note_receipt(receipt.head.log, receipt.member, receipt.head.size)

    def note_receipt(self, log: LogId, member: str, size: int) -> None:
        """A member holds everything up to that size."""
        wave = self.waves.get(log)
        if wave is not None and size >= wave.size:
            wave.receipts.add(member)
            if len(wave.receipts) >= RECEIPTS_ENOUGH:
                del self.waves[log]

    def take(self, now: float) -> list[tuple[LogId, Wave]]:
        """The logs whose next wave goes out now."""
        due = [(log, wave) for log, wave in self.waves.items() if wave.at <= now]
        for log, wave in due:
            wave.at = now + WAVE_SECONDS
            wave.count += 1
            if wave.count == WAVES_MAX:
                del self.waves[log]
        return due

    def next_wake(self) -> float | None:
        """When the next wave goes out."""
        return min((wave.at for wave in self.waves.values()), default=None)
