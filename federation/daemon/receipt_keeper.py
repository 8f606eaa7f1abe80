"""Peers' receipts on their way to the disk: those of one moment in one transaction.

A statement that spreads comes back as a receipt from everybody who holds it, within a moment. Each
in a transaction of its own, they would take the writer and the disk from what is still spreading.
Nothing waits for them: what a crash takes is asked for again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from federation.gossip import events
from federation.local_errors.disk import StoreError
from federation.provenance.verifier import Receipt
from federation.store.receipt_store import ReceiptStore

log_lines = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.1
"""From the first receipt until they are written: in that time most members have given theirs."""

GATHERED_MAX: Final = 256
"""Written at once when they are so many: about what a transaction of 20 ms holds."""


class ReceiptKeeper:
    """Carries out ``KeepReceipt``.

    Args:
        store: where receipts are kept.
    """

    def __init__(self, store: ReceiptStore) -> None:
        self._store = store
        self._gathered: list[Receipt] = []
        self._is_full = asyncio.Event()

    def carry(self) -> Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]]:
        """Which command is carried out how."""
        return {events.KeepReceipt: self._gather}

    async def _gather(self, command: events.KeepReceipt) -> None:
        """Whoever brings the first receipt waits for others, and writes them all."""
        self._gathered.append(command.receipt)
        if len(self._gathered) > 1:
            if len(self._gathered) == GATHERED_MAX:
                self._is_full.set()
            return
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._is_full.wait()
        except TimeoutError:
            pass
        self._is_full.clear()
        receipts, self._gathered = self._gathered, []
        await self._keep(receipts)

    async def _keep(self, receipts: list[Receipt]) -> None:
        try:
            await self._store.keep_receipts(receipts)
        except StoreError as error:
            if len(receipts) == 1:
                log_lines.error("cannot keep a receipt: %s", error)
                return
            for receipt in receipts:  # one log's damage is not the others'
                await self._keep([receipt])
