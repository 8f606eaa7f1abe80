"""Judging status attestations: who signed, about what, and whether they looked where it takes.

Source: docs/spec/attestations.md; docs/spec/bundles.md, steps 10 and 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from federation import errors
from federation.protocol.attestations import Attestation, State, parse_attestation
from federation.protocol.encoding import decode_map
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.notes import parse_note
from federation.protocol.origins import Cosigner
from federation.protocol.roster import Roster
from federation.provenance.verifier import Head, VerifiedStatement, Verifier

Attested: TypeAlias = dict[str, Attestation]  # by member, signatures judged


def open_attestation(raw: bytes, verifier: Verifier) -> tuple[str, Attestation]:
    """Judge who signed an attestation, under the roster that it names; gives the member's name.

    Raises:
        NoteMalformed, TooLarge, AttestationMalformed: not well-formed.
        RosterUnproven: it names another roster than this one.
        SignatureInvalid: not one line, by the mirror key in use of a member in the roster.
    """
    note, roster = parse_note(raw), verifier.roster
    attestation = parse_attestation(note.text)
    if attestation.roster != (roster.version, roster.decision_sha256.hex()):
        raise errors.RosterUnproven("an attestation names another roster than it is judged by")
    line, *more = note.signatures
    member = line.name.partition("/")[0]
    try:
        mirror = roster.cosigner_vkey(member, Cosigner.MIRROR)
    except errors.MemberUnknown:
        raise errors.SignatureInvalid("an attestation by nobody whom the roster holds") from None
    vkey = VerifierKey(mirror.name, KeyType.ED25519, mirror.public)
    is_by = not more and line.signer == (vkey.name, vkey.key_id)
    if not is_by or not verifier.check_signature(vkey.public, note.text.encode(), line.signature):
        raise errors.SignatureInvalid("a member's mirror key alone signs an attestation")
    return member, attestation


def open_attestations(
    texts: Sequence[str],
    statement: VerifiedStatement,
    head: Head,
    verifier: Verifier,
    newest: Roster,
) -> Attested:
    """Judge the attestations of a bundle (10); what they say is not judged here.

    Args:
        texts: the notes.
        statement: what was proven, under ``head``.
        head: a head of its log.
        verifier: by whose roster, and with which check.
        newest: the newest roster at hand.

    Raises:
        AttestationUnfit: one is by a member that is suspended or departed, or about something
            else, or names other heads than those of all logs that may take the statement back, or
            a head that cannot hold the statement.
        ProtocolError, VerificationError: see :func:`open_attestation`; a member attests twice.
    """
    opened: Attested = {}
    for text in texts:
        member, said = open_attestation(text.encode(), verifier)
        if not all(roster.member(member).is_active for roster in (verifier.roster, newest)):
            raise errors.AttestationUnfit(f"{member} is no active member: its word has ended")
        if member in opened:
            raise errors.AttestationMalformed(f"{member} attests twice")
        if said.about != str(statement.id):
            raise errors.AttestationUnfit(f"what {member} attests is about something else")
        heads = {each.origin: each for each in said.heads}
        if heads.keys() != taking_back_origins(verifier.roster, head.log.member):
            raise errors.AttestationUnfit(f"{member} did not look at what may take it back")
        size, root_hash = heads[head.log.origin].size, heads[head.log.origin].root_hash
        if size <= statement.index or (size == head.size and root_hash != head.root_hash):
            raise errors.AttestationUnfit(f"it is not under the heads that {member} names")
        opened[member] = said
    return opened


def taking_back_origins(roster: Roster, name: str) -> set[str]:
    """The logs, by origin, of a member and its successors. Raises: MemberUnknown: there is none."""
    members: list[str | None] = [name]
    while members[-1] is not None:
        following = roster.member(members[-1]).successor
        members.append(None if following in members else following)
    return {log.origin for log in roster.logs if log.member in members}


def check_in_force(
    statement: VerifiedStatement, attested: Attested, count: int, roster: Roster
) -> int:
    """Judge that a statement was in force, by so many members' word (11).

    Returns:
        As of when, Unix milliseconds: with at most ``count`` - 1 of them lying, one who tells the
        truth attests it then or later, and nothing that was taken back comes back.

    Raises:
        NotInForce: it was taken back, or has expired, or what it says is not at hand.
        QuorumUnmet: fewer other members attest it.
    """
    if statement.id in roster.withdrawn | roster.erased:
        raise errors.NotInForce("governance took it back: the roster lists it")
    for member, said in attested.items():
        if said.findings[0].state is not State.ACTIVE:
            raise errors.NotInForce(f"{member} attests that it is {said.findings[0].state}")
    times = sorted(
        said.at_ms for member, said in attested.items() if member != statement.log.member
    )
    if len(times) < count:
        raise errors.QuorumUnmet(f"{len(times)} other members attest it; {count} were asked for")
    opening = statement.statement.opening
    if opening is None:
        raise errors.NotInForce("its body is not in the bundle: whether it expired cannot be seen")
    try:
        expires_at_ms = decode_map(opening.body, bytes_max=BODY_BYTES_MAX).get("exp")
    except (errors.EncodingMalformed, errors.TooLarge):
        raise errors.NotInForce("nobody can read what it says, so it has no effect") from None
    is_lasting = type(expires_at_ms) is int and expires_at_ms > times[-count]
    if expires_at_ms is not None and not is_lasting:
        raise errors.NotInForce("it expired before that, or its expiry is no time")
    return times[-count]
