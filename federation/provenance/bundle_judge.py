"""Judging a provenance bundle: nine steps from a root of trust to "stated".

What a pass shows is that the statement was *stated* by its member and existed by a certain time. It
does not show that it was never withdrawn since: no prover can show that alone.

Source: docs/spec/bundles.md, whose step numbers stand beside the checks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from federation.errors import (
    BundleMalformed,
    EncodingMalformed,
    FederationError,
    QuorumUnmet,
    RosterNotAtHand,
    RosterUnproven,
    SignatureInvalid,
    TooLarge,
    WrongFederation,
    WrongMember,
)
from federation.protocol.bundles import Bundle, decode_bundle
from federation.protocol.encoding import decode_map
from federation.protocol.headers import Header, decode_header
from federation.protocol.keys import SignatureCheck
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.notes import format_signature_line, parse_note
from federation.protocol.origins import Cosigner, cosigner_name
from federation.protocol.policy import Quorum
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.provenance.report import Examination, Report
from federation.provenance.verifier import Head, Receipt, VerifiedStatement, Verifier

STEPS: Final = (
    "the bundle is well-formed",
    "the roster follows from the root of trust",
    "the checkpoint names a log of this federation, and that log's key signed it",
    "the header names this federation and the log's own member",
    "salt and body open the commitment, and the statement id follows from it",
    "the statement is in the log at its index, under the checkpoint's root",
    "every cosignature is by a member in the roster, on this checkpoint",
    "enough other members have cosigned",
    "what the statement says can be read",
)

_WORDS: Final = {"src": "source", "by": "confirmed by", "why": "reason"}
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9:._-]{0,63}\Z")
"""Labels, signal types and codes. Anything else stays unsaid: it could steer a terminal."""

_LAST_SECOND: Final = int(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp())
"""A cosigner may claim any time up to 2^63 - 1 seconds."""


@dataclass(frozen=True, slots=True)
class _Cosigned:
    receipts: tuple[Receipt, ...]
    members: tuple[str, ...]


def judge_bundle(
    encoded: bytes,
    first_root: bytes,
    quorum: Quorum,
    check_signature: SignatureCheck,
    known_roots: Sequence[bytes] = (),
) -> Report:
    """Judge a bundle file offline. Never raises for anything the bundle or the roots hold.

    Args:
        encoded: the bundle file.
        first_root: the root of trust, ``1.root.json``.
        quorum: how many members other than the statement's own must have cosigned.
        check_signature: the Ed25519 check.
        known_roots: root files 2 and up that the auditor has, for bundles that only name theirs.
    """
    examination = Examination(STEPS)
    try:
        bundle = decode_bundle(encoded)  # (1)
        examination.passed(f"{len(encoded)} bytes")
        roster = _open_roster(bundle, first_root, known_roots)  # (2)
        examination.passed(f"federation {roster.federation_id}, roster version {roster.version}")
        verifier = Verifier(roster, check_signature)
        head = verifier.open_head(bundle.proof.checkpoint_note)  # (3)
        examination.passed(f"{head.log}, {head.size} statements")
        header = _open_header(bundle, head)  # (4)
        examination.passed(f"{header.kind} by {header.member}")
        # (5) The commitment was computed from salt and body when they were read, never taken over.
        statement = verifier.open_statement(head.log, bundle.proof.index, bundle.statement)
        examination.passed(str(statement.id))
        _check_inclusion(bundle, head)  # (6)
        examination.passed(f"index {bundle.proof.index}, {len(bundle.proof.hashes)} hashes")
        cosigned = _open_cosignatures(bundle, head, verifier)  # (7)
        examination.passed(f"{len(cosigned.receipts)} by {', '.join(cosigned.members) or 'nobody'}")
        _check_quorum(quorum, cosigned)  # (8)
        examination.passed(f"{len(cosigned.members)} of {quorum} asked for")
        examination.passed(_reading(statement))  # (9) shown, not judged: unknown kinds are inert
    except FederationError as error:
        return examination.failed(error)
    return examination.concluded(_conclusion(statement, quorum, cosigned))


def _open_roster(bundle: Bundle, first_root: bytes, known_roots: Sequence[bytes]) -> Roster:
    chain = RosterChain.trust(first_root)
    reference = bundle.roster
    later = known_roots if reference.chain is None else reference.chain
    for root in later[: reference.version - 1]:
        chain = chain.extend(root)
    if chain.newest.version != reference.version:
        raise RosterNotAtHand(
            f"the bundle names roster version {reference.version}; version "
            f"{chain.newest.version} is at hand"
        )
    if chain.newest.decision_sha256.hex() != reference.decision:
        raise RosterUnproven("the roster at hand is not the one the bundle names")
    return chain.newest


def _open_header(bundle: Bundle, head: Head) -> Header:
    header = decode_header(bundle.statement.header_bytes)
    if header.federation_id != head.log.federation_id:
        raise WrongFederation(f"a statement of another federation in a log of {head.log.member}")
    if header.member != head.log.member:
        raise WrongMember(f"a statement of {header.member} in a log of {head.log.member}")
    return header


def _check_inclusion(bundle: Bundle, head: Head) -> None:
    proof = bundle.proof
    if proof.extra is not None:
        raise BundleMalformed("a bundle's proof has no extra line: nothing unchecked rides along")
    leaf = leaf_hash(bundle.statement.id.entry)
    verify_inclusion(proof.index, head.size, leaf, proof.hashes, head.root_hash)


def _open_cosignatures(bundle: Bundle, head: Head, verifier: Verifier) -> _Cosigned:
    roster = verifier.roster
    signers = {
        cosigner_name(member, roster.federation_id, cosigner): (member, cosigner)
        for member in roster.members
        for cosigner in Cosigner
    }
    receipts: list[Receipt] = []
    for line in parse_note(bundle.proof.checkpoint_note).signatures:
        if line.signer == (head.vkey.name, head.vkey.key_id):
            continue
        if line.name not in signers:
            raise SignatureInvalid("a cosignature by somebody whom the roster does not hold")
        member, cosigner = signers[line.name]
        receipts.append(
            verifier.open_receipt(
                head, member, cosigner, format_signature_line(line).removesuffix("\n")
            )
        )
    members = sorted({each.member for each in receipts if each.member != head.log.member})
    return _Cosigned(tuple(receipts), tuple(members))


def _check_quorum(quorum: Quorum, cosigned: _Cosigned) -> None:
    if not quorum.is_met_by(len(cosigned.members)):
        raise QuorumUnmet(
            f"{len(cosigned.members)} other members have cosigned; {quorum} were asked for"
        )


def _reading(statement: VerifiedStatement) -> str:
    """What the body says, in its own words but for the signals' values."""
    opening = statement.statement.opening
    if opening is None:
        return "not shown: its body is not in the bundle, erased or left out"
    try:
        fields = decode_map(opening.body, bytes_max=BODY_BYTES_MAX)
    except (EncodingMalformed, TooLarge):
        return f"{len(opening.body)} bytes that nobody can read: every node finds it inert"
    said = []
    signals = fields.get("signals")
    if isinstance(signals, list):
        types = {_word(each.get("t")) for each in signals if isinstance(each, dict)}
        said.append(f"signals: {len(signals)} ({', '.join(sorted(types))})")
    labels = fields.get("labels")
    if isinstance(labels, list):
        said.append(f"labels: {', '.join(map(_word, labels))}")
    said += [f"{name}: {_word(fields[field])}" for field, name in _WORDS.items() if field in fields]
    references = len(statement.header.references)
    said += [f"statements it is about: {references}"] if references else []
    return "; ".join(said) or "nothing that this release knows"


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.match(value) else "(unknown)"


def _conclusion(statement: VerifiedStatement, quorum: Quorum, cosigned: _Cosigned) -> str:
    stated = f"STATED: {statement.header.member} stated {statement.id} ({statement.header.kind})"
    if statement.statement.opening is None:
        stated += ", whose body is not in the bundle: what it said was not shown"
    # With k cosigners asked for, at most k-1 may lie; the k-th earliest time is then an honest one
    # or later than one (PROTOCOL section 5).
    earliest: dict[str, int] = {}
    for receipt in cosigned.receipts:
        if receipt.member in cosigned.members:
            known = earliest.get(receipt.member, receipt.at_seconds)
            earliest[receipt.member] = min(known, receipt.at_seconds)
    if not quorum.count:
        return f"{stated}. When it existed was not shown: no quorum was asked for."
    existed_by = _date(sorted(earliest.values())[quorum.count - 1])
    return (
        f"{stated}. It existed by {existed_by}. Whether it is still in force was not asked: that "
        f"takes status attestations."
    )


def _date(at_seconds: int) -> str:
    if at_seconds > _LAST_SECOND:
        return f"second {at_seconds}, which no calendar has"
    return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
