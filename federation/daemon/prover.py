"""Proving: one file for an auditor, made from what is stored.

The prover only collects. What the file is worth is judged elsewhere, offline, by code that shares
nothing with this room but ``protocol/``.
"""

from __future__ import annotations

from federation.daemon.membership import Membership
from federation.local_errors import StatementNotFound
from federation.protocol.bundles import Bundle, RosterReference, encode_bundle
from federation.protocol.headers import StatementId
from federation.protocol.notes import parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.proofs import TlogProof
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
            ProofNotAvailable: no signed checkpoint covers it yet.
        """
        stored = await self._stores.logs.statement(statement_id)
        if stored is None:
            raise StatementNotFound(f"this node holds no statement {statement_id}")
        best = await self._stores.receipts.best_checkpoint(stored.log, stored.index)
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
