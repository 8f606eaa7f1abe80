"""Bugs planted on purpose, each of which the schedules must find: a test of the tests.

The first of them are those that a prototype of this simulator was tried with, and each has been
somebody's real bug. A mutant changes the production code, or the hands that carry its orders out,
for as long as it is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from unittest.mock import patch

from federation.gossip import circle
from federation.gossip.dissemination import Dissemination
from federation.gossip.events import Persisted
from federation.gossip.forks import Forks
from federation.gossip.reconciliation import Reconciliation
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head, Receipt
from tests.simulation.disk import Disk, KeptLog
from tests.simulation.promises import (
    CONVERGED,
    DURABLE_FIRST,
    ERASED_IS_GONE,
    NO_FORK_UNPROVEN,
    PROMPT,
    RECEIPT_FOR_ALL,
    RECEIPTS_ARRIVE,
    ROOT_IS_HELD,
)
from tests.simulation.schedules import PROMPT_EVERY, draw, run
from tests.simulation.world import Node

Planted = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Mutant:
    """A bug.

    Attributes:
        name: what it does wrong.
        plant: puts it in, until the stack is closed.
        breaks: the checks each of which must say so in some schedule; what another one says, or a
            crash, is no catch.
        is_slow: whether it shows only where anti-entropy does not mend it: in the schedules that
            ask for promptness.
    """

    name: str
    plant: Planted
    breaks: frozenset[str]
    is_slow: bool = False

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While this lasts, the bug is there."""
        with ExitStack() as stack:
            self.plant(stack)
            yield

    def caught_by(self, seeds: Sequence[int]) -> int | None:
        """The first of these schedules by which each check has found it that must."""
        silent = set(self.breaks)
        with self.planted():
            for seed in seeds:
                if (seed % PROMPT_EVERY == 1) == self.is_slow:
                    silent -= run(draw(seed)).broken
                    if not silent:
                        return seed
        return None


def breaks(*names: str) -> frozenset[str]:
    """The checks of these names."""
    return frozenset(names)


def _replace(stack: ExitStack, owner: Any, name: str, new: Any) -> Any:
    """Put something in the place of a method or function; returns what was there."""
    old = getattr(owner, name)
    stack.enter_context(patch.object(owner, name, new))
    return old


# --- somebody's real ones -------------------------------------------------------------------------


def _acknowledges_before_fsync(stack: ExitStack) -> None:
    """What is on its way to the disk counts as held: it is answered, shown and passed on."""

    def early(name: str) -> None:
        def wrapped(self: Reconciliation, *args: Any) -> Any:
            persist = old(self, *args)
            if persist is not None:
                self.note_persisted(persist.step.view)
            return persist

        old = _replace(stack, Reconciliation, name, wrapped)

    early("hear")
    early("receive")


def _digest_leaks_an_undurable_head(stack: ExitStack) -> None:
    """A comparison is answered with heads that are still being written."""
    pending: dict[Any, LogView] = {}

    def remembering(name: str) -> None:
        def wrapped(self: Reconciliation, *args: Any) -> Any:
            persist = old(self, *args)
            if persist is not None:
                pending[id(self), persist.step.view.log] = persist.step.view
            return persist

        old = _replace(stack, Reconciliation, name, wrapped)

    remembering("hear")
    remembering("receive")

    def leaking(self: Reconciliation) -> list[Head]:
        heads = {head.log: head for head in old_heads(self)}
        for log, sync in self.logs.items():
            view = pending.get((id(self), log))
            if sync.writing and view is not None and view.head is not None and view.is_complete:
                heads[log] = view.head
        return list(heads.values())

    old_heads = _replace(stack, Reconciliation, "heads", leaking)


def _pulled_is_not_announced(stack: ExitStack) -> None:
    """What was fetched, and not pushed, is kept and told to nobody (iroh issue 1515)."""
    pulled: dict[int, LogView] = {}

    def receive(self: Reconciliation, *args: Any) -> Any:
        persist = old_receive(self, *args)
        if persist is not None:
            pulled[id(persist.step.view)] = persist.step.view
        return persist

    def pass_on(self: Dissemination, view: LogView, *args: Any) -> None:
        if id(view) not in pulled:
            old_pass_on(self, view, *args)

    old_receive = _replace(stack, Reconciliation, "receive", receive)
    old_pass_on = _replace(stack, Dissemination, "pass_on", pass_on)


def _freezes_on_a_fork(stack: ExitStack) -> None:
    """What was seen first of a forked log is kept, and the rest never looked at."""
    _replace(stack, Forks, "pump", lambda _self, _now: [])


def _directed_push(stack: ExitStack) -> None:
    """Each chooses whom it tells, and nobody looks whether all are chosen by somebody."""

    def directed(member: str, members: Sequence[str], *_: Any) -> list[str]:
        others = [each for each in members if each != member]
        return Random(member).sample(others, min(3, len(others)))

    _replace(stack, circle, "neighbours_of", directed)


def _durable_out_of_order(stack: ExitStack) -> None:
    """After a crash a later part of a write is there, and an earlier one is not."""
    writing: dict[int, list[Advance]] = {}

    def write(self: Node, step: Advance, receipt: Receipt | None, done: Callable[[], None]) -> None:
        writing.setdefault(id(self.disk), []).append(step)
        old_write(self, step, receipt, done)

    def crash(self: Disk, now: float) -> bool:
        for step in writing.pop(id(self), ()):
            kept = self.logs.setdefault(step.view.log, KeptLog(LogView(step.view.log)))
            if kept.view == step.before and len(step.statements) > 1:
                kept.view = step.view
                kept.statements += step.statements[1:]
        return bool(old_crash(self, now))

    old_write = _replace(stack, Node, "_write", write)
    old_crash = _replace(stack, Disk, "crash", crash)


# --- and some more ------------------------------------------------------------------------------


def _receipt_before_the_bodies(stack: ExitStack) -> None:
    """A receipt is given although bodies are missing."""

    def persist(self: Node, command: Any) -> None:
        step = command.step
        receipt = self._receipt(step.view.head) if step.view.is_complete else None
        self._write(step, receipt, lambda: self.feed(_persisted(step, receipt)))

    _replace(stack, Node, "_persist", persist)


def _persisted(step: Advance, receipt: Receipt | None) -> Any:

    return Persisted(step, receipt)


def _erased_is_still_told(stack: ExitStack) -> None:
    """What is kept for inlining does not hear of erases."""
    _replace(stack, Dissemination, "forget", lambda _self, _ids: None)


def _receipts_are_not_shown(stack: ExitStack) -> None:
    """A receipt is given in an answer, and otherwise kept to oneself."""
    _replace(stack, Dissemination, "owe", lambda _self, *_: None)


MUTANTS: Final = (
    Mutant("acknowledges before fsync", _acknowledges_before_fsync, breaks(DURABLE_FIRST)),
    Mutant(
        "digest leaks an undurable head", _digest_leaks_an_undurable_head, breaks(DURABLE_FIRST)
    ),
    Mutant(
        "pulled entries are not announced", _pulled_is_not_announced, breaks(PROMPT), is_slow=True
    ),
    Mutant("freezes on a fork", _freezes_on_a_fork, breaks(CONVERGED, NO_FORK_UNPROVEN)),
    Mutant("directed push leaves some to nobody", _directed_push, breaks(PROMPT), is_slow=True),
    Mutant("durable writes out of order", _durable_out_of_order, breaks(ROOT_IS_HELD)),
    Mutant("a receipt before the bodies", _receipt_before_the_bodies, breaks(RECEIPT_FOR_ALL)),
    Mutant("erased bodies are still told", _erased_is_still_told, breaks(ERASED_IS_GONE)),
    Mutant(
        "receipts are not shown", _receipts_are_not_shown, breaks(RECEIPTS_ARRIVE), is_slow=True
    ),
)
