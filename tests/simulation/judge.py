"""The production judge, asked once for each thing that is to be judged.

What a head or a receipt proves under one roster is a pure function of its bytes, and every node of
a world hears the same ones: what is proven is kept for all of them. What is not proven is judged
again each time.
"""

from __future__ import annotations

from federation.protocol.keys import SignatureCheck
from federation.protocol.origins import Cosigner, LogId
from federation.protocol.roster import Roster
from federation.protocol.statements import Statement
from federation.provenance.verifier import Head, Receipt, VerifiedStatement, Verifier


class Judge(Verifier):
    """The judge of one world under one roster."""

    def __init__(self, roster: Roster, check_signature: SignatureCheck) -> None:
        super().__init__(roster, check_signature)
        self._heads: dict[bytes, Head] = {}
        self._statements: dict[tuple[int, LogId, int], VerifiedStatement] = {}
        self._receipts: dict[tuple[bytes, bytes, str, Cosigner, str], Receipt] = {}

    def open_head(self, note: bytes) -> Head:
        """As the production one, whose judgements are kept."""
        head = self._heads.get(note)
        if head is None:
            head = self._heads[note] = super().open_head(note)
        return head

    def open_statement(self, log: LogId, index: int, statement: Statement) -> VerifiedStatement:
        """As the production one, whose judgements are kept, each with the very statement."""
        place = id(statement), log, index
        verified = self._statements.get(place)
        if verified is None:
            verified = self._statements[place] = super().open_statement(log, index, statement)
        return verified

    def open_receipt(self, head: Head, member: str, cosigner: Cosigner, line: str) -> Receipt:
        """As the production one, whose judgements are kept."""
        # The key under which a head was opened is the one part of it that its note does not say.
        place = head.note, head.vkey.public, member, cosigner, line
        receipt = self._receipts.get(place)
        if receipt is None:
            receipt = super().open_receipt(head, member, cosigner, line)
            self._receipts[place] = receipt
        return receipt
