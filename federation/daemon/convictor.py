"""Convicting: an attestation held against what this node knows to lie under its heads.

The checks of one's own store come before the accusation: only a head that this node's own tree
confirms, and only a withdraw that its own view counts, makes a file.

Source: docs/spec/convictions.md.
"""

from __future__ import annotations

from federation.daemon.membership import Membership
from federation.errors import EncodingMalformed, RosterUnproven
from federation.local_errors.askers import NothingToConvict
from federation.protocol.attestations import Attestation, State
from federation.protocol.bodies import ERASABLE_KINDS, Erase, Withdraw
from federation.protocol.convictions import Conviction, encode_conviction
from federation.protocol.headers import StatementId
from federation.protocol.statements import erased_statement
from federation.provenance.attestation_judge import open_attestation
from federation.provenance.reading import body_of
from federation.provenance.taking_back import rulings_of
from federation.store.places import StoredStatement
from federation.store.stores import Stores


class Convictor:
    """Makes convictions.

    Args:
        stores: statements and trees.
        membership: the roster in force.
    """

    def __init__(self, stores: Stores, membership: Membership) -> None:
        self._stores, self._membership = stores, membership

    async def convict(self, attestation: str) -> bytes:
        """The file that convicts the signer of an attestation.

        Args:
            attestation: its note.

        Raises:
            ProtocolError, VerificationError: no attestation, or not under the roster in force.
            NothingToConvict: nothing that this node holds contradicts it.
        """
        try:
            raw = attestation.encode()
        except UnicodeEncodeError:
            raise EncodingMalformed("an attestation is UTF-8") from None
        member, said = open_attestation(raw, self._membership.verifier)
        for found in said.findings:
            if found.state is State.ACTIVE:
                made = await self._left_out(attestation, said, found.id)
                if made is not None:
                    return encode_conviction(made)
        raise NothingToConvict(f"nothing that this node holds contradicts what {member} attests")

    async def _left_out(
        self, attestation: str, said: Attestation, statement_id: StatementId
    ) -> Conviction | None:
        stored = await self._stores.logs.statement(statement_id)
        if stored is None:
            return None
        heads = {head.origin: head for head in said.heads}
        for each in await self._stores.signals.references_to([statement_id]):
            head = heads.get(each.log.origin)
            if head is None or each.index >= head.size or not self._counts(each, stored):
                continue
            hashes = await self._stores.trees.inclusion_proof(each.log, each.index, head.size)
            if await self._stores.trees.root_hash(each.log, head.size) != head.root_hash:
                raise RosterUnproven(f"another history of {each.log} than this node holds")
            return Conviction(
                attestation,
                erased_statement(stored.statement.header_bytes, stored.statement.commitment),
                each.statement,
                each.log.origin,
                each.index,
                tuple(hashes),
            )
        return None

    def _counts(self, taking: StoredStatement, stored: StoredStatement) -> bool:
        verifier = self._membership.verifier
        by = verifier.open_statement(taking.log, taking.index, taking.statement)
        said = verifier.open_statement(stored.log, stored.index, stored.statement)
        rulings = rulings_of(self._membership.roster)
        return (
            said.header.kind in ERASABLE_KINDS
            and isinstance(body_of(by), Withdraw | Erase)
            and rulings.may_take_back(by.header.member, said.header.member)
        )
