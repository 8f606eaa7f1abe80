"""Attesting: what became of a statement, by this member's mirror key, as of heads held in full.

The heads are taken first, then the statements are read: what is read may be newer than the heads,
never older, so an attestation may know of a withdraw beyond the heads that it names, and never
leaves out one that lies under them.

Source: docs/spec/attestations.md.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from federation.daemon.eraser import Eraser
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.replicator import Replicator
from federation.daemon.second_lines import SecondLines
from federation.errors import MemberUnknown, RequestMalformed
from federation.local_errors.askers import AttestationNotGiven, RangeNotHeld, TooBusy
from federation.protocol.attestations import Attestation, Finding, State
from federation.protocol.attestations_signing import sign_attestation
from federation.protocol.bodies import ERASABLE_KINDS, Erase, Inert, Withdraw
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.headers import StatementId, parse_statement_id
from federation.protocol.keys_signing import SigningKey
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.origins import Cosigner, LogId, cosigner_name
from federation.protocol.signals import SignalType
from federation.provenance.attestation_judge import taking_back_origins
from federation.provenance.reading import body_of
from federation.provenance.taking_back import rulings_of
from federation.provenance.verifier import VerifiedStatement
from federation.store.places import StoredStatement
from federation.store.signal_store import REFERENCES_PER_LOG_MAX as _REFERENCES_MAX
from federation.store.stores import Stores

ASKED_PER_SECOND: Final = 10.0
"""Of one member, in the long run: an auditor who asks about a thousand of them waits for two
minutes, and all members of a large federation together cost a tenth of a core."""

ASKED_BURST: Final = 50
"""At once: the statements of one moderation case."""

FINDINGS_MAX: Final = 256
"""Confirms of one signal in an attestation; their lines take 45 kB."""

_SIGNAL: Final = re.compile(r"([a-z0-9]{1,16}) ((?:[0-9a-f]{2}){1,64})\Z", re.ASCII)


@dataclass(slots=True)
class _Budget:
    left: float
    at: float


class Attester:
    """Answers what became of statements.

    Args:
        member: this node's member.
        mirror: its mirror key; None for an observer, which attests nothing.
        stores: statements by id and by signal, and which logs are accused.
        membership: the roster in force.
        replicator: knows what is held of each log.
        eraser: knows of which logs something is missing.
        second: makes ML-DSA-44 lines, where this member has the keys.
        guard: whether this node may sign anything.
    """

    def __init__(
        self,
        member: str,
        mirror: SigningKey | None,
        stores: Stores,
        membership: Membership,
        replicator: Replicator,
        eraser: Eraser,
        second: SecondLines,
        guard: Guard,
    ) -> None:
        self._member, self._mirror = member, mirror
        self._stores, self._membership = stores, membership
        self._replicator, self._eraser, self._second = replicator, eraser, second
        self._guard = guard
        self._monotonic = time.monotonic
        self._budgets: dict[str, _Budget] = {}

    async def answer(self, asker: str, about: str) -> bytes:
        """Attest to another member, as often as it may ask.

        Raises:
            TooBusy: it asks too often.
            FederationError: see :meth:`attest`.
        """
        self._take_one(asker)
        return await self.attest(about)

    async def attest(self, about: str) -> bytes:
        """The note of an attestation, under what is held now.

        Args:
            about: a statement id; or a signal's type and its identity in hex, with a space between.

        Raises:
            RequestMalformed: neither of the two.
            AttestationNotGiven: this node's word would be worth nothing: something of these logs is
                missing here, one is under evidence, or the roster has no key of this member.
            SigningStopped: a person must look at this node first.
            StoreError: the disk.
        """
        signal = _SIGNAL.match(about)
        if signal is None:
            return await self._attest_statement(parse_statement_id(about))
        if signal[1] not in SignalType.__members__.values():
            raise RequestMalformed("no known signal type")
        heads = self._heads(self._membership.roster.logs)
        mark = (SignalType(signal[1]), bytes.fromhex(signal[2]))
        found = (await self._stores.signals.carriers_many([mark]))[mark]
        carriers = {each.statement.id: each for each in found}
        if len(carriers) > FINDINGS_MAX:
            raise AttestationNotGiven(f"more than {FINDINGS_MAX} statements carry this signal")
        findings = await self._findings(carriers.values(), heads)
        return self._sign(about, findings, heads.values())

    async def second_line_for(self, asker: str, log: LogId, size: int) -> bytes:
        """The same as :meth:`second_line`, for another member, as often as it may ask.

        Raises:
            TooBusy: it asks too often.
            FederationError: see :meth:`second_line`.
        """
        self._take_one(asker)
        return self.second_line(log, size)

    def second_line(self, log: LogId, size: int) -> bytes:
        """This member's ML-DSA-44 line, with its newline, on the newest head of a log.

        As the log it is the log's own; else the mirror's, which vouches for holding all of it.

        Raises:
            AttestationNotGiven: no such key, or what an attestation would not be given for.
            RangeNotHeld: the newest head that is held whole here is of another size.
            SigningStopped: a person must look at this node first.
        """
        self._guard.check_may_sign()
        self._heads([log])
        note = self._replicator.newest_note(log)
        head = None if note is None else self._membership.verifier.open_head(note)
        if head is None or head.size != size:
            raise RangeNotHeld(f"the newest head of {log} held here is not of {size} statements")
        line = self._second.on(head)
        if line is None:
            raise AttestationNotGiven(f"{self._member} has no ML-DSA-44 key for that")
        return f"{line}\n".encode()

    async def _attest_statement(self, statement_id: StatementId) -> bytes:
        stored = await self._stores.logs.statement(statement_id)
        roster = self._membership.roster
        if stored is None:
            # Whose it would be is not known, so every log was looked at.
            heads = self._heads(roster.logs)
            unknown = Finding(statement_id, State.UNKNOWN)
            return self._sign(str(statement_id), (unknown,), heads.values())
        origins = taking_back_origins(roster, stored.log.member)
        heads = self._heads(log for log in roster.logs if log.origin in origins)
        # Again: what the heads cover was not read before they were taken.
        now = await self._stores.logs.statement(statement_id) or stored
        return self._sign(str(statement_id), await self._findings([now], heads), heads.values())

    def _heads(self, logs: Iterable[LogId]) -> dict[LogId, Checkpoint]:
        heads = {}
        for log in logs:
            if log in self._eraser.lacking:
                raise AttestationNotGiven(f"this node lacks the bodies of some statements of {log}")
            if log in self._stores.evidence.accused:
                raise AttestationNotGiven(f"no mirror signs for {log}: it is under evidence")
            held = self._replicator.held(log) or CompactRange()
            heads[log] = Checkpoint(log.origin, held.size, held.root())
        return heads

    async def _findings(
        self, stored: Iterable[StoredStatement], heads: Mapping[LogId, Checkpoint]
    ) -> tuple[Finding, ...]:
        """What became of each, by id; those that are not under the heads are unknown."""
        statements = {each.statement.id: each for each in stored}
        referring = await self._stores.signals.references_to(statements)
        if max(Counter(each.log for each in referring).values(), default=0) >= _REFERENCES_MAX:
            # What comes after those counts in no view, and would convict whoever left it out.
            raise AttestationNotGiven("one log refers to this too often for an honest word on it")
        about = [
            self._judge(each)
            for each in referring
            if self._membership.cuts.counts(each.log, each.branch, each.index)
        ]
        findings = []
        for statement_id, each in sorted(statements.items(), key=lambda pair: pair[0].entry):
            head = heads.get(each.log)
            if head is None or each.index >= head.size:
                findings.append(Finding(statement_id, State.UNKNOWN))
            else:
                findings.append(self._finding(each, about))
        return tuple(findings)

    def _finding(self, stored: StoredStatement, about: Sequence[VerifiedStatement]) -> Finding:
        statement, rulings = self._judge(stored), rulings_of(self._membership.roster)
        counting = [
            each
            for each in about
            if statement.header.kind in ERASABLE_KINDS
            and statement.id in each.header.references
            and rulings.may_take_back(each.header.member, statement.header.member)
        ]
        erases = [each.id for each in counting if isinstance(body_of(each), Erase)]
        withdraws = [each.id for each in counting if isinstance(body_of(each), Withdraw)]
        body = body_of(statement)
        is_cut = not self._membership.cuts.counts(stored.log, stored.branch, stored.index)
        if erases or statement.id in rulings.erased:
            return Finding(statement.id, State.ERASED, _sorted(erases))
        if withdraws or statement.id in rulings.withdrawn:
            return Finding(statement.id, State.WITHDRAWN, _sorted(withdraws))
        if body is None or isinstance(body, Inert) or is_cut:
            return Finding(statement.id, State.INERT)
        return Finding(statement.id, State.ACTIVE)

    def _judge(self, stored: StoredStatement) -> VerifiedStatement:
        return self._membership.verifier.open_statement(stored.log, stored.index, stored.statement)

    def _sign(
        self, about: str, findings: tuple[Finding, ...], heads: Iterable[Checkpoint]
    ) -> bytes:
        self._guard.check_may_sign()
        roster = self._membership.roster
        try:
            vkey = roster.cosigner_vkey(self._member, Cosigner.MIRROR)
        except MemberUnknown as error:
            raise AttestationNotGiven(error.message) from None
        if self._mirror is None or vkey.public != self._mirror.public:
            raise AttestationNotGiven("the roster holds another mirror key than this node")
        said = Attestation(
            roster=(roster.version, roster.decision_sha256.hex()),
            at_ms=time.time_ns() // 1_000_000,
            about=about,
            findings=findings,
            heads=tuple(sorted(heads, key=lambda head: head.origin)),
        )
        name = cosigner_name(self._member, roster.federation_id, Cosigner.MIRROR)
        return sign_attestation(said, name, self._mirror)

    def _take_one(self, asker: str) -> None:
        now = self._monotonic()
        # Only members of the roster get here, so there are never more budgets than members were.
        budget = self._budgets.setdefault(asker, _Budget(float(ASKED_BURST), now))
        refilled = budget.left + (now - budget.at) * ASKED_PER_SECOND
        budget.left, budget.at = min(float(ASKED_BURST), refilled), now
        if budget.left < 1:
            raise TooBusy(f"{asker} asks for more than {ASKED_PER_SECOND:g} attestations a second")
        budget.left -= 1


def _sorted(ids: Iterable[StatementId]) -> tuple[StatementId, ...]:
    return tuple(sorted(set(ids), key=lambda each: each.entry))
