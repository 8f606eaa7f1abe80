"""Bugs planted on purpose, each of which the schedules must find: a test of the tests.

The first of them are those that a prototype of this simulator was tried with, and each has been
somebody's real bug. A mutant changes the production code, or the hands that carry its orders out,
for as long as it is planted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final
from unittest.mock import patch

from federation.gossip import circle, peers
from federation.gossip.comparing import Comparing
from federation.gossip.dissemination import Dissemination
from federation.gossip.events import Persisted
from federation.gossip.fork_events import KeepEvidence
from federation.gossip.forks import Forks
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.gossip.reopening import Reopening
from federation.local_errors.proofs import ConsistencyUnproven
from federation.protocol.origins import LogId
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head, Receipt
from tests.simulation.disk import Disk, KeptLog
from tests.simulation.forking import ForkHands
from tests.simulation.promises import (
    ACKNOWLEDGED,
    BOUNDED,
    CONVERGED,
    COSIGNED_GROWS,
    DURABLE_AT_ISSUER,
    DURABLE_FIRST,
    EQUALLY_ACCUSED,
    ERASED_IS_GONE,
    EVIDENCE_STANDS,
    LEFT_ALONE,
    NO_FORK_UNPROVEN,
    NO_STORM,
    NOBODY_HONEST,
    ONE_HISTORY,
    PROMPT,
    QUIESCENT,
    RECEIPT_FOR_ALL,
    RECEIPTS_ARRIVE,
    ROOT_IS_HELD,
    SHRINKS,
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

    def write(
        self: Node, step: Advance, receipt: Receipt | None, done: Callable[[float], None]
    ) -> None:
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
        self._write(step, receipt, lambda _seconds: self.feed(_persisted(step, receipt)))

    _replace(stack, Node, "_persist", persist)


def _bodies_are_not_asked_for(stack: ExitStack) -> None:
    """What arrives without its body is waited for, until somebody tells it by himself."""
    _replace(stack, Reopening, "pump", lambda _self, _now, _rng: [])


def _persisted(step: Advance, receipt: Receipt | None) -> Any:

    return Persisted(step, receipt)


def _erased_is_still_told(stack: ExitStack) -> None:
    """What is kept for inlining does not hear of erases."""
    _replace(stack, Dissemination, "forget", lambda _self, _ids: None)


def _receipts_are_not_shown(stack: ExitStack) -> None:
    """A receipt is given in an answer, and otherwise kept to oneself."""
    _replace(stack, Dissemination, "owe", lambda _self, *_: None)


# --- and one for each promise that none of these breaks -------------------------------------------


def _disk_lies(stack: ExitStack) -> None:
    """A write is said to be durable, and the newest own one is gone after a crash."""

    def crash(self: Disk, now: float) -> bool:
        was_busy = bool(old_crash(self, now))
        for log, kept in self.logs.items():
            step = newest.get((id(self), log))
            if step is not None and kept.view == step.view:
                kept.view = step.before
                del kept.statements[step.before.size :]
        return was_busy

    def publish(self: Node, log: LogId) -> None:
        old_publish(self, log)
        owners[id(self.disk)] = self.member

    def append(self: Disk, step: Advance, receipt: Receipt | None, *, branch: int = 0) -> None:
        old_append(self, step, receipt, branch=branch)
        if owners.get(id(self)) == step.view.log.member and step.before.head is not None:
            newest[id(self), step.view.log] = step

    newest: dict[tuple[int, LogId], Advance] = {}
    owners: dict[int, str] = {}
    old_crash = _replace(stack, Disk, "crash", crash)
    old_publish = _replace(stack, Node, "_publish_next", publish)
    old_append = _replace(stack, Disk, "append", append)


def _older_heads_are_blamed(stack: ExitStack) -> None:
    """Whoever tells a head that is not the newest is blamed, though he may only be behind."""

    def doubt(self: Forks, head: Head, peer: str, *, is_suspect: bool = False) -> None:
        self.cases.blame(peer, ConsistencyUnproven("an older head"))
        old_doubt(self, head, peer, is_suspect=is_suspect)

    old_doubt = _replace(stack, Forks, "doubt", doubt)


def _evidence_is_cut(stack: ExitStack) -> None:
    """A file of evidence comes to the disk without its end."""

    def keep(self: ForkHands, command: KeepEvidence) -> None:
        conviction = command.conviction
        cut = replace(conviction, encoded=conviction.encoded[:-1])
        old_keep(self, KeepEvidence(cut))

    old_keep = _replace(stack, ForkHands, "_keep_evidence", keep)


def _evidence_is_lost(stack: ExitStack) -> None:
    """Every other piece of evidence never comes to the disk."""

    def keep(self: ForkHands, command: KeepEvidence) -> None:
        if self._node.rng.random() < 0.5:
            old_keep(self, command)

    old_keep = _replace(stack, ForkHands, "_keep_evidence", keep)


def _announces_beside_itself(stack: ExitStack) -> None:
    """A peer is told again before it has answered."""

    def pump(self: Dissemination, awake: Any, *args: Any) -> Any:
        known = list(awake)
        for peer in known:
            peer.in_flight.clear()
        return old_pump(self, known, *args)

    old_pump = _replace(stack, Dissemination, "pump", pump)


def _tells_again_what_is_known(stack: ExitStack) -> None:
    """A peer found to be in step is told everything again."""

    def ask(self: Comparing, peer: PeerView, now: float) -> None:
        for view in self._reconciliation.views():
            peer.holds.pop(view.log, None)
            peer.make_due(view.log, now)

    _replace(stack, Comparing, "_ask_receipts", ask)


def _tries_again_at_once(stack: ExitStack) -> None:
    """After a failure nobody waits."""
    _replace(stack, peers, "_wait_after", lambda _failures: 0.0)


def _mirror_signs_the_first_again(stack: ExitStack) -> None:
    """A mirror signs once more for the first head of a log that it ever signed for."""
    first: dict[tuple[str, int, LogId], Head] = {}

    def receipt(self: Node, head: Head | None) -> Receipt | None:
        if head is None:
            return None
        known = first.setdefault((self.member, id(self.world), head.log), head)
        made: Receipt | None = old_receipt(self, known if self.rng.random() < 0.2 else head)
        return made

    old_receipt = _replace(stack, Node, "_receipt", receipt)


def _signs_after_a_roll_back(stack: ExitStack) -> None:
    """Whatever was signed before an older disk was put back, signing goes on."""
    _replace(stack, Node, "stop_signing", lambda _self: None)


def _asks_who_asked_to_wait(stack: ExitStack) -> None:
    """What a busy peer asks for is forgotten at once."""
    _replace(stack, PeerView, "is_open", lambda self, now: now >= self.retry_at)


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
    Mutant("bodies are not asked for", _bodies_are_not_asked_for, breaks(RECEIPT_FOR_ALL)),
    Mutant("erased bodies are still told", _erased_is_still_told, breaks(ERASED_IS_GONE)),
    Mutant(
        "receipts are not shown", _receipts_are_not_shown, breaks(RECEIPTS_ARRIVE), is_slow=True
    ),
    Mutant("the disk lies", _disk_lies, breaks(DURABLE_AT_ISSUER, SHRINKS, ACKNOWLEDGED)),
    Mutant("older heads are blamed", _older_heads_are_blamed, breaks(NOBODY_HONEST)),
    Mutant("evidence is cut", _evidence_is_cut, breaks(EVIDENCE_STANDS)),
    Mutant("evidence is lost", _evidence_is_lost, breaks(EQUALLY_ACCUSED)),
    Mutant("announces beside itself", _announces_beside_itself, breaks(BOUNDED)),
    Mutant("tells again what is known", _tells_again_what_is_known, breaks(QUIESCENT)),
    Mutant("tries again at once", _tries_again_at_once, breaks(NO_STORM)),
    Mutant("a mirror signs the first again", _mirror_signs_the_first_again, breaks(COSIGNED_GROWS)),
    Mutant("signs after a roll-back", _signs_after_a_roll_back, breaks(ONE_HISTORY)),
    Mutant("asks who asked to wait", _asks_who_asked_to_wait, breaks(LEFT_ALONE)),
)
