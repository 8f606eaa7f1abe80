"""Proving: one file for an auditor, made from what is stored.

The prover only collects. What the file is worth is judged elsewhere, offline, by code that shares
nothing with this room but ``protocol/``.
"""

from __future__ import annotations

from dataclasses import replace

from federation.daemon.membership import Membership
from federation.errors import MemberUnknown, VerificationError
from federation.local_errors import ProofNotAvailable, StatementNotFound
from federation.protocol.bundles import Bundle, RosterReference, encode_bundle
from federation.protocol.headers import StatementId
from federation.protocol.notes import parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner
from federation.protocol.proofs import TlogProof
from federation.store.places import StoredStatement
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stores import Stores


class Prover:
    """Makes bundles.

    Args:
        stores: statements, tiles, checkpoints and cosignatures.
        membership: the roster chain that goes with them.
    """

    def __init__(self, stores: Stores, membership: Membership) -> None:
        self._stores, self._membership = stores, membership

    async def bundle(self, statement_id: StatementId, *, with_chain: bool = True) -> bytes:
        """The provenance bundle of a statement, under the checkpoint most members cosigned.

        Args:
            statement_id: which.
            with_chain: carry the roster versions after the first, so that ``1.root.json`` is all
                an auditor needs; else name the version by its hash.

        Raises:
            StatementNotFound: this node holds no such statement.
            ProofNotAvailable: no signed checkpoint covers it yet, or the roster cut it off.
        """
        stored = await self._stores.logs.statement(statement_id)
        if stored is None:
            raise StatementNotFound(f"this node holds no statement {statement_id}")
        best = await self._standing_checkpoint(stored)
        path = await self._stores.trees.inclusion_proof(stored.log, stored.index, best.size)
        note = add_signatures(best.note, [parse_signature_line(f"{line}\n") for line in best.lines])
        chain = self._membership.chain
        roster = RosterReference(
            version=chain.newest.version,
            decision=chain.newest.decision_sha256.hex(),
            chain=tuple(chain.versions[1:]) if with_chain else None,
        )
        proof = TlogProof(stored.index, tuple(path), None, note)
        return encode_bundle(Bundle(stored.statement, proof, roster))

    async def _standing_checkpoint(self, stored: StoredStatement) -> StoredCheckpoint:
        """The checkpoint over a statement that the roster in force lets stand, most cosigned.

        Raises:
            ProofNotAvailable: there is none.
        """
        receipts, log = self._stores.receipts, stored.log
        found = [await receipts.best_checkpoint(log, stored.index)]
        if not self._stands(found[0]):
            found = await receipts.checkpoints(log, stored.index + 1)
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
