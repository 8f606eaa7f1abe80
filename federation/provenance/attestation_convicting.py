"""The judge of convictions: did a member attest "active" while it held the withdraw?

An attestation names heads, and its signer vouches for holding everything under them. A withdraw
that lies under one of these heads, by somebody who may take the statement back, was held by the
signer when it signed that there was none. The file alone convicts, whoever brought it.

Source: docs/spec/convictions.md, whose step numbers stand beside the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from federation.errors import (
    FederationError,
    OriginMalformed,
    RosterNotAtHand,
    RosterUnproven,
    WrongFederation,
    WrongMember,
)
from federation.local_errors.proofs import ConvictionUnproven
from federation.protocol.attestations import Attestation, State, parse_attestation
from federation.protocol.bodies import ERASABLE_KINDS, Erase, Withdraw, read_body
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.convictions import Conviction, decode_conviction
from federation.protocol.headers import Header, decode_header
from federation.protocol.keys import SignatureCheck
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.notes import parse_note
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.provenance.attestation_judge import open_attestation
from federation.provenance.report import Examination, Report
from federation.provenance.taking_back import rulings_of
from federation.provenance.verifier import Verifier

STEPS: Final = (
    "the conviction is well-formed",
    "the roster that the attestation names follows from the root of trust",
    "a member's mirror key signed that the statement is active",
    "the withdraw is by one who may take the statement back, and says so",
    "the withdraw lies under a head that the attestation names",
)


def judge_conviction(
    encoded: bytes,
    first_root: bytes,
    check_signature: SignatureCheck,
    known_roots: Sequence[bytes] = (),
) -> Report:
    """Judge a conviction file offline. Never raises for anything the file or the roots hold.

    Args:
        encoded: the file.
        first_root: the root of trust, ``1.root.json``.
        check_signature: the Ed25519 check.
        known_roots: root files 2 and up that the auditor has, in order.

    Returns:
        A report whose conclusion names the member that signed, and nobody else.
    """
    examination = Examination(STEPS)
    try:
        conviction = decode_conviction(encoded)  # (1)
        said = parse_attestation(parse_note(conviction.attestation.encode()).text)
        examination.passed(f"{len(encoded)} bytes")
        roster = _open_roster(said, first_root, known_roots)  # (2)
        examination.passed(f"federation {roster.federation_id}, roster version {roster.version}")
        verifier = Verifier(roster, check_signature)
        signer, _ = open_attestation(conviction.attestation.encode(), verifier)  # (3)
        _check_active(conviction, said)
        examination.passed(f"{signer}: {conviction.statement.id} is active")
        header = _open_withdrawal(conviction, roster)  # (4)
        examination.passed(f"{header.kind} by {header.member}: {conviction.withdrawal.id}")
        head = _check_under_head(conviction, said)  # (5)
        examination.passed(f"index {conviction.index} of {head.size} in {head.origin}")
    except FederationError as error:
        return examination.failed(error)
    return examination.concluded(
        f"CONVICTED: {signer} attested that {conviction.statement.id} was active, under a head "
        f"that holds its {header.kind} {conviction.withdrawal.id}. {signer} left it out, or lost "
        f"its mirror key to somebody who did. Nobody who passed this on is at fault."
    )


def _open_roster(said: Attestation, first_root: bytes, known_roots: Sequence[bytes]) -> Roster:
    chain = RosterChain.trust(first_root)
    version, decision = said.roster
    for root in known_roots[: max(0, version - 1)]:
        chain = chain.extend(root)
    if chain.newest.version != version:
        raise RosterNotAtHand(
            f"the attestation names roster version {version}; version {chain.newest.version} is "
            "at hand"
        )
    if chain.newest.decision_sha256.hex() != decision:
        raise RosterUnproven("the roster at hand is not the one the attestation names")
    return chain.newest


def _check_active(conviction: Conviction, said: Attestation) -> None:
    states = {found.id: found.state for found in said.findings}
    if states.get(conviction.statement.id) is not State.ACTIVE:
        raise ConvictionUnproven("the attestation does not say that this statement is active")


def _open_withdrawal(conviction: Conviction, roster: Roster) -> Header:
    """The header of what took the statement back, where every node would have to count it."""
    stated = decode_header(conviction.statement.header_bytes)
    header = decode_header(conviction.withdrawal.header_bytes)
    log = _log_of(conviction, roster)
    if not {stated.federation_id, header.federation_id} == {roster.federation_id}:
        raise WrongFederation("a statement of another federation")
    if header.member != log.member:
        raise WrongMember(f"a statement of {header.member} in a log of {log.member}")
    opening = conviction.withdrawal.opening
    body = None if opening is None else read_body(header, opening.body)
    if not isinstance(body, Withdraw | Erase):
        raise ConvictionUnproven("it is no withdraw and no erase that anybody can read")
    if conviction.statement.id not in header.references:
        raise ConvictionUnproven("it takes back something else")
    if stated.kind not in ERASABLE_KINDS:
        # Nothing resurrects: a withdraw of a withdraw has no effect, and active was true.
        raise ConvictionUnproven(f"nobody can take back a statement of the kind {stated.kind}")
    if not rulings_of(roster).may_take_back(header.member, stated.member):
        raise ConvictionUnproven(f"{header.member} may not take back what {stated.member} said")
    held = roster.log(log)
    if held.pin is not None or len(held.keys) > 1:
        # Whether it counts depends on which branch the pins cut off, which this file does not show.
        raise ConvictionUnproven(f"the roster pins {log}: whether it counts is not shown here")
    return header


def _log_of(conviction: Conviction, roster: Roster) -> LogId:
    try:
        log = parse_origin(conviction.origin)
    except OriginMalformed:
        raise WrongFederation("the withdraw is in no log of a federation") from None
    roster.log(log)
    return log


def _check_under_head(conviction: Conviction, said: Attestation) -> Checkpoint:
    head = next((each for each in said.heads if each.origin == conviction.origin), None)
    if head is None or conviction.index >= head.size:
        raise ConvictionUnproven("the withdraw is under no head that the attestation names")
    leaf = leaf_hash(conviction.withdrawal.id.entry)
    verify_inclusion(conviction.index, head.size, leaf, conviction.hashes, head.root_hash)
    return head
