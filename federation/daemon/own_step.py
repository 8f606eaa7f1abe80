"""A step of one's own log: the head that some statements lead to, signed, and judged like a peer's.

Of many statements it is made in a thread. Python lets the event loop in every few milliseconds then
(``federation.cli.serving``), where a whole batch would keep what is urgent waiting for all of it,
and on a machine that is busy otherwise for many times as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.keys_signing import SigningKey
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance, LogView, leaf_of
from federation.provenance.verifier import Verifier
from federation.store.late_rows import LATE_STATEMENTS_MIN


async def sign_step(
    view: LogView, statements: Sequence[Statement], key: SigningKey, verifier: Verifier
) -> Advance:
    """Sign a head over what is held and these statements.

    Args:
        view: what is durable of the log.
        statements: that follow it.
        key: signs the log's checkpoints.
        verifier: judges what was signed.

    Raises:
        SignatureInvalid: the roster in force has another key.
    """
    if len(statements) < LATE_STATEMENTS_MIN:
        return _sign(view, statements, key, verifier)
    return await asyncio.to_thread(_sign, view, statements, key, verifier)


def _sign(
    view: LogView, statements: Sequence[Statement], key: SigningKey, verifier: Verifier
) -> Advance:
    held = view.held.extend([leaf_of(each) for each in statements])
    checkpoint = Checkpoint(view.log.origin, held.size, held.root())
    head = verifier.open_head(sign_checkpoint(checkpoint, key))
    return view.advance(head, statements, (), verifier)
