"""Proving: one file for an auditor, made from what is stored and what other members attest.

The prover only collects. What the file is worth is judged elsewhere, offline, by code that shares
nothing with this room but ``protocol/`` and the one judge: what the judge would refuse is left out
here, because one bad attestation would fail the whole bundle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from federation.daemon.attester import Attester
from federation.daemon.membership import Membership
from federation.errors import FederationError, MemberUnknown, QuorumUnmet, VerificationError
from federation.local_errors.askers import ProofNotAvailable, StatementNotFound
from federation.net.asking import PeerCalls
from federation.protocol.bundles import Bundle, RosterReference, encode_bundle
from federation.protocol.checkpoints import open_mldsa_cosignature
from federation.protocol.headers import StatementId
from federation.protocol.keys import check_mldsa44
from federation.protocol.notes import NoteSignature, parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner
from federation.protocol.proofs import TlogProof
from federation.protocol.roster_directory import cosigner_mldsa44_vkey, log_mldsa44_vkey
from federation.provenance.attestation_judge import check_in_force, open_attestations
from federation.provenance.verifier import Head, VerifiedStatement
from federation.store.places import StoredStatement
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

ASKED_MAX: Final = 32
"""Members asked for their word on one statement: twice the largest quorum that anybody has reason
to ask for, and a tenth of a second of everybody's time."""


class Prover:
    """Makes bundles.

    Args:
        member: this node's member.
        stores: statements, tiles, checkpoints and cosignatures.
        membership: the roster chain that goes with them.
        attester: this member's own word.
        links: how the others are asked for theirs.
    """

    def __init__(
        self,
        member: str,
        stores: Stores,
        membership: Membership,
        attester: Attester,
        links: Callable[[str], PeerCalls | None],
    ) -> None:
        self._member, self._stores, self._membership = member, stores, membership
        self._attester, self._links = attester, links

    async def bundle(
        self,
        statement_id: StatementId,
        *,
        with_chain: bool = True,
        in_force: int = 0,
        second_lines: bool = False,
    ) -> bytes:
        """The provenance bundle of a statement, under the checkpoint most members cosigned.

        Args:
            statement_id: which.
            with_chain: carry the roster versions after the first, so that ``1.root.json`` is all
                an auditor needs; else name the version by its hash.
            in_force: how many members other than the statement's own must attest that it is in
                force; 0 asks nobody.
            second_lines: ask the log and the other mirrors for their ML-DSA-44 lines; those that
                have none, or hold another head by now, are left out.

        Raises:
            StatementNotFound: this node holds no such statement.
            ProofNotAvailable: no signed checkpoint covers it yet, or the roster cut it off.
            NotInForce: somebody attests that it was taken back, or it has expired.
            QuorumUnmet: fewer members attest it than were asked for.
        """
        stored = await self._stores.logs.statement(statement_id)
        if stored is None:
            raise StatementNotFound(f"this node holds no statement {statement_id}")
        best = await self._standing_checkpoint(stored)
        path = await self._stores.trees.inclusion_proof(
            stored.log, stored.index, best.size, branch=stored.branch
        )
        note = add_signatures(best.note, [parse_signature_line(f"{line}\n") for line in best.lines])
        if second_lines:
            note = add_signatures(note, await self._second_lines(best.note))
        chain = self._membership.chain
        attestations: Sequence[str] = ()
        if in_force:
            verifier = self._membership.verifier
            statement = verifier.open_statement(stored.log, stored.index, stored.statement)
            head = verifier.open_head(best.note)
            attestations = await self._attestations(statement, head, in_force)
        roster = RosterReference(
            version=chain.newest.version,
            decision=chain.newest.decision_sha256.hex(),
            chain=tuple(chain.versions[1:]) if with_chain else None,
        )
        proof = TlogProof(stored.index, tuple(path), None, note)
        return encode_bundle(Bundle(stored.statement, proof, roster, tuple(attestations)))

    async def _standing_checkpoint(self, stored: StoredStatement) -> StoredCheckpoint:
        """The checkpoint over a statement that the roster in force lets stand, most cosigned.

        Raises:
            ProofNotAvailable: there is none.
        """
        receipts, log = self._stores.receipts, stored.log
        branch = stored.branch
        found = [await receipts.best_checkpoint(log, stored.index, branch=branch)]
        if not self._stands(found[0]):
            found = await receipts.checkpoints(log, stored.index + 1, branch=branch)
        standing = [self._with_known_lines(each) for each in found if self._stands(each)]
        if not standing:
            raise ProofNotAvailable(f"the roster ends {log} before statement {stored.index}")
        return max(standing, key=lambda each: (len(each.lines), each.size))

    def _stands(self, kept: StoredCheckpoint) -> bool:
        try:
            self._membership.verifier.open_head(kept.note)
        except VerificationError:
            return False
        return True

    def _with_known_lines(self, kept: StoredCheckpoint) -> StoredCheckpoint:
        """Without cosignatures by keys that the roster has replaced since: nobody takes them."""
        return replace(kept, lines=tuple(line for line in kept.lines if self._is_known(line)))

    def _is_known(self, text: str) -> bool:
        line, roster = parse_signature_line(f"{text}\n"), self._membership.roster
        member, _, cosigner = line.name.partition(f"/{roster.federation_id}/")
        try:
            vkey = roster.cosigner_vkey(member, Cosigner(cosigner))
        except (MemberUnknown, ValueError):
            return False
        return line.signer == (vkey.name, vkey.key_id)

    async def _attestations(
        self, statement: VerifiedStatement, head: Head, count: int
    ) -> Sequence[str]:
        """What other members attest, as the auditor's judge will take it."""
        asked = [
            member.name
            for member in self._membership.roster.members.values()
            if member.is_active and member.mirror_keys and member.name != statement.log.member
        ][:ASKED_MAX]
        about, verifier = str(statement.id), self._membership.verifier
        notes = await asyncio.gather(*(self._ask(member, about) for member in asked))
        fit: list[str] = []
        silent: list[str] = []
        for member, note in zip(asked, notes, strict=True):
            try:
                text = "" if note is None else note.decode("utf-8")
                open_attestations([text], statement, head, verifier, verifier.roster)
                fit.append(text)
            except (FederationError, UnicodeDecodeError) as error:
                silent.append(member)
                if note is not None:
                    log_lines.warning("an attestation by %s is of no use: %s", member, error)
        opened = open_attestations(fit, statement, head, verifier, verifier.roster)
        try:
            check_in_force(statement, opened, count, verifier.roster)
        except QuorumUnmet as error:
            without = f" (not by {', '.join(silent)})" if silent else ""
            raise QuorumUnmet(error.message + without) from None
        return fit

    async def _second_lines(self, note: bytes) -> list[NoteSignature]:
        """The ML-DSA-44 lines of the log and of other members' mirrors on a head, each judged."""
        roster, head = self._membership.roster, self._membership.verifier.open_head(note)
        vkeys = {
            member.name: log_mldsa44_vkey(roster, head.log)
            if member.name == head.log.member
            else cosigner_mldsa44_vkey(roster, member.name, Cosigner.MIRROR)
            for member in roster.members.values()
            if member.is_active and member.mldsa44_keys
        }
        asked = [name for name, vkey in vkeys.items() if vkey is not None][:ASKED_MAX]
        found = await asyncio.gather(*(self._ask_line(name, head) for name in asked))
        lines = []
        for name, raw in zip(asked, found, strict=True):
            vkey = vkeys[name]
            if raw is None or vkey is None:
                continue
            try:
                line = parse_signature_line(raw.decode("utf-8"))
                open_mldsa_cosignature(head.checkpoint, line, vkey, check_mldsa44)
                lines.append(line)
            except (FederationError, UnicodeDecodeError) as error:
                log_lines.warning("the second line of %s is of no use: %s", name, error)
        return lines

    async def _ask_line(self, member: str, head: Head) -> bytes | None:
        try:
            if member == self._member:
                return self._attester.second_line(head.log, head.size)
            link = self._links(member)
            return None if link is None else await link.second_line(head.log.sha256, head.size)
        except FederationError as error:
            log_lines.warning("%s gives no second line: %s", member, error)
            return None

    async def _ask(self, member: str, about: str) -> bytes | None:
        try:
            if member == self._member:
                return await self._attester.attest(about)
            link = self._links(member)
            return None if link is None else await link.attest(about)
        except FederationError as error:
            log_lines.warning("%s gives no attestation: %s", member, error)
            return None
