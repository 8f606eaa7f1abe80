"""The judge of a witness: may this head be signed, after the last one that was?

A witness says one thing: that all heads it ever signed of a log are heads of one history. Whether
its log's statements exist it does not know. The steps have the order of C2SP tlog-witness, and each
has its own status there:

    malformed, or an old size above the new one    400
    a log that the roster does not hold            404
    not signed by that log's key                   403
    not the head that was signed last              409, with that one's size
    does not follow from it                        422

Source: docs/spec/witness.md; C2SP tlog-witness v1.0.0 and its changes until 2026-07.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.errors import (
    LogUnknown,
    OriginMalformed,
    ProofMalformed,
    SignatureInvalid,
    TooLarge,
)
from federation.local_errors.proofs import ConsistencyUnproven, WitnessBehind
from federation.protocol.keys import KeyType, SignatureCheck, VerifierKey
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.merkle_growth import verify_consistency
from federation.protocol.notes import Note, format_note
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.roster import Roster
from federation.protocol.witness import AddCheckpoint
from federation.provenance.verifier import speakers


@dataclass(frozen=True, slots=True)
class ProposedHead:
    """A head that its log's key signed, offered to the witness.

    Attributes:
        log: which log.
        size: statements under it.
        root_hash: 32 bytes; of size 0 not judged yet.
        text: what was signed.
        note: the text with the log's own line alone, verbatim.
    """

    log: LogId
    size: int
    root_hash: bytes
    text: str
    note: bytes


def open_proposed(request: AddCheckpoint, roster: Roster, check: SignatureCheck) -> ProposedHead:
    """Judge whose head it is (404, then 403).

    Raises:
        LogUnknown: the roster holds no log of that origin.
        SignatureInvalid: the log's key in use did not sign it, or the log was closed before.
        TooLarge: a size beyond the roster's largest log.
    """
    try:
        log = parse_origin(request.origin)
    except OriginMalformed:
        raise LogUnknown("no log of this federation has such an origin") from None
    publics = speakers(roster.log(log), request.size, request.root_hash)
    if not publics:
        raise SignatureInvalid(
            f"the roster ended or pinned {log} elsewhere: at {request.size} no key speaks for it"
        )
    vkeys = [VerifierKey(log.origin, KeyType.ED25519, public) for public in publics]
    signed = [(vkey, request.note.signature_by(vkey.name, vkey.key_id)) for vkey in vkeys]
    line = next(
        (
            line
            for vkey, line in signed
            if line and check(vkey.public, request.note.text.encode(), line.signature)
        ),
        None,
    )
    if line is None:
        raise SignatureInvalid(f"no key that speaks for {log} signed the checkpoint")
    if request.size > roster.limits.log_size:
        raise TooLarge(f"the log {log} claims {request.size} statements")
    note = format_note(Note(request.note.text, (line,)))
    return ProposedHead(log, request.size, request.root_hash, request.note.text, note)


def check_follows(
    proposed: ProposedHead,
    old_size: int,
    proof: tuple[bytes, ...],
    *,
    seen_size: int,
    seen_root: bytes,
) -> None:
    """Judge whether a head follows the one that was signed last (409, then 422).

    Args:
        proposed: the head.
        old_size: what the asker takes for the size signed last; at most the head's.
        proof: consistency hashes, 32 bytes each.
        seen_size: the size that was signed last; 0 for none.
        seen_root: the root of that size.

    Raises:
        WitnessBehind: the asker is wrong about the size.
        ProofMalformed: not as many hashes as it takes; any from size 0 or to the same size.
        ConsistencyUnproven: another history, or an empty tree with the root of another.
    """
    if old_size != seen_size:
        raise WitnessBehind("that is not the head signed last", size=seen_size)
    if proposed.size == 0 and proposed.root_hash != EMPTY_ROOT:
        raise ConsistencyUnproven("the root of the empty tree is another")
    if seen_size == 0:
        if proof:
            raise ProofMalformed("every tree follows the empty one without a proof")
        return
    verify_consistency(seen_size, proposed.size, seen_root, proposed.root_hash, proof)
