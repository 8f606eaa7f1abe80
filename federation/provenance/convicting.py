"""The judge of evidence: does this file prove that one key signed two histories?

What convicts is the file alone, whoever brought it: two signatures by one key, and arithmetic. A
relay cannot forge it, an honest log cannot fit it, and nobody but the key's holder (or thief) can
make it true. A node asks :func:`open_evidence`, an auditor :func:`judge_evidence`, which walks the
same five steps and tells of each.

Source: docs/spec/evidence.md, whose step numbers stand beside the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.errors import (
    FederationError,
    OriginMalformed,
    ProofMalformed,
    WrongFederation,
)
from federation.local_errors.proofs import ConsistencyUnproven, EvidenceUnproven
from federation.protocol.evidence import Evidence, decode_evidence, evidence_id
from federation.protocol.keys import KeyType, SignatureCheck, VerifierKey
from federation.protocol.merkle_growth import verify_consistency
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.provenance.report import Examination, Report

STEPS: Final = (
    "the evidence is well-formed",
    "the roster follows from the root of trust",
    "it is about a log of this federation that the roster holds",
    "one key of that log signed both checkpoints",
    "the two checkpoints cannot both be true",
)

_SEAL: Final = object()


@dataclass(frozen=True)
class Conviction:
    """Evidence that was judged and holds. Made by this module only.

    Attributes:
        log: the log with two histories.
        key: the key that signed both.
        evidence: the two heads and why they exclude each other.
        encoded: the file, verbatim.
    """

    log: LogId
    key: VerifierKey
    evidence: Evidence = field(compare=False, repr=False)
    encoded: bytes = field(repr=False)
    seal: object = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        # A programming error, not bad input: somebody tried to accuse without the judge.
        if self.seal is not _SEAL:
            raise TypeError("only the judge of evidence convicts")

    @property
    def id(self) -> bytes:
        """SHA-256 of the file."""
        return evidence_id(self.encoded)

    @property
    def sentence(self) -> str:
        """What was shown, in one sentence; it names the log's member and nobody else."""
        first, second = self.evidence.first.checkpoint, self.evidence.second.checkpoint
        if first.size == second.size:
            return f"the key of {self.log} signed two roots at size {first.size}"
        return (
            f"the key of {self.log} signed size {first.size}, and size {second.size} over another "
            f"beginning"
        )


def open_evidence(encoded: bytes, roster: Roster, check: SignatureCheck) -> Conviction:
    """Judge a file against a roster in force (steps 1, 3, 4 and 5).

    Args:
        encoded: the file.
        roster: who is a member, with which keys; keys that were replaced count as well.
        check: the Ed25519 check.

    Raises:
        TooLarge, EvidenceMalformed: no evidence (1).
        OriginMalformed, WrongFederation, LogUnknown: of no log that the roster holds (3).
        EvidenceUnproven: no key of the log signed both (4), or both may be true (5).
    """
    evidence = decode_evidence(encoded)  # (1)
    log = _open_log(evidence, roster)  # (3)
    key = _open_key(evidence, roster, log, check)  # (4)
    check_contradiction(evidence)  # (5)
    return Conviction(log, key, evidence, encoded, _SEAL)


def judge_evidence(
    encoded: bytes,
    first_root: bytes,
    check_signature: SignatureCheck,
    known_roots: Sequence[bytes] = (),
) -> Report:
    """Judge an evidence file offline. Never raises for anything the file or the roots hold.

    Evidence names no roster: any version that holds the log will do, and a key that was replaced
    stays in the roster. Where the log is younger than the roots given, ``log-unknown`` says so.

    Args:
        encoded: the evidence file.
        first_root: the root of trust, ``1.root.json``.
        check_signature: the Ed25519 check.
        known_roots: root files 2 and up that the auditor has, in order.

    Returns:
        A report whose conclusion names the log's member, its key, and nobody else.
    """
    examination = Examination(STEPS)
    try:
        evidence = decode_evidence(encoded)  # (1)
        first, second = evidence.first.checkpoint, evidence.second.checkpoint
        examination.passed(f"{len(encoded)} bytes; sizes {first.size} and {second.size}")
        chain = RosterChain.trust(first_root)  # (2)
        for root in known_roots:
            chain = chain.extend(root)
        roster = chain.newest
        examination.passed(f"federation {roster.federation_id}, roster version {roster.version}")
        log = _open_log(evidence, roster)  # (3)
        examination.passed(str(log))
        key = _open_key(evidence, roster, log, check_signature)  # (4)
        examination.passed(f"key id {key.key_id.hex()}")
        check_contradiction(evidence)  # (5)
    except FederationError as error:
        return examination.failed(error)
    conviction = Conviction(log, key, evidence, encoded, _SEAL)
    examination.passed(conviction.sentence)
    return examination.concluded(
        f"CONVICTED: {conviction.sentence}. {log.member} did it, or lost the key {key.key_id.hex()}"
        f" to somebody who did. Nobody who passed this on is at fault."
    )


def check_contradiction(evidence: Evidence) -> None:
    """Whether two heads exclude each other (step 5).

    Raises:
        EvidenceUnproven: both may be true.
    """
    first, second = evidence.first.checkpoint, evidence.second.checkpoint
    prefix = evidence.prefix
    if prefix is None:
        return  # one size and two roots: what :class:`Evidence` is made of
    if prefix.root_hash == first.root_hash:
        raise EvidenceUnproven("the larger log begins with the smaller one: both may be true")
    try:
        verify_consistency(
            first.size, second.size, prefix.root_hash, second.root_hash, prefix.hashes
        )
    except (ProofMalformed, ConsistencyUnproven) as error:
        raise EvidenceUnproven(f"what the larger log began with is not shown: {error}") from None


def _open_log(evidence: Evidence, roster: Roster) -> LogId:
    try:
        log = parse_origin(evidence.origin)
    except OriginMalformed:
        raise WrongFederation("the checkpoints are of no log of a federation") from None
    if log.federation_id != roster.federation_id:
        raise WrongFederation(f"the log {log} is of another federation")
    roster.log(log)
    return log


def _open_key(evidence: Evidence, roster: Roster, log: LogId, check: SignatureCheck) -> VerifierKey:
    first, second = evidence.first, evidence.second
    if first.line.signer != second.line.signer:
        raise EvidenceUnproven("the two checkpoints are not signed by one key")
    for known in roster.log(log).keys:
        key = VerifierKey(log.origin, KeyType.ED25519, known.public)
        if first.line.signer != (key.name, key.key_id):
            continue
        signed = (
            check(key.public, head.checkpoint.text.encode(), head.line.signature)
            for head in (first, second)
        )
        if all(signed):
            return key
    raise EvidenceUnproven("no key that the roster ever held for the log signed both checkpoints")
