"""Judging a provenance bundle: from a root of trust to "stated", and from there to "in force".

Steps 1 to 9 show that the statement was *stated* by its member, and existed by a certain time. That
it was *in force* as of a time is another claim, which no prover can show alone: it takes the word
of other members (10, 11), and is made only where it was asked for.

Source: docs/spec/bundles.md, whose step numbers stand beside the checks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from federation import errors
from federation.protocol.bundles import Bundle, decode_bundle
from federation.protocol.checkpoints import open_mldsa_cosignature
from federation.protocol.encoding import decode_map
from federation.protocol.headers import Header, decode_header
from federation.protocol.keys import KeyType, SignatureCheck, check_mldsa44, vkey_of
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.merkle import leaf_hash, verify_inclusion
from federation.protocol.notes import format_signature_line, parse_note
from federation.protocol.origins import Cosigner
from federation.protocol.policy import Quorum
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.provenance.attestation_judge import check_in_force, open_attestations
from federation.provenance.report import Examination, Outcome, Report
from federation.provenance.verifier import Head, Receipt, VerifiedStatement, Verifier, speakers

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
    "every status attestation is by a member on this statement, under the heads that it takes",
    "enough other members attest that it was in force, and nobody that it was not",
)
STATED_STEPS: Final = 9  # show the first of the two claims, the others the second

_WORDS: Final = {"src": "source", "by": "confirmed by", "why": "reason"}
# Labels, signal types and codes. Anything else stays unsaid: it could steer a terminal.
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9:._-]{0,63}\Z")
_trust = lru_cache(maxsize=4)(RosterChain.trust)  # a pure function: one auditor has many bundles
_COSIGNERS: Final = frozenset(Cosigner)
# A cosigner may claim any time up to 2^63 - 1 seconds.
_LAST_SECOND: Final = int(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp())


class _Cosigned(NamedTuple):
    receipts: tuple[Receipt, ...]
    seconds: tuple[tuple[str, int], ...]  # second lines: by whom (the log by its origin), and when
    members: tuple[str, ...]  # others than the log's own, by name


def judge_bundle(
    encoded: bytes,
    first_root: bytes,
    quorum: Quorum,
    check_signature: SignatureCheck,
    known_roots: Sequence[bytes] = (),
    *,
    in_force: int | None = None,
    check_second: SignatureCheck = check_mldsa44,
) -> Report:
    """Judge a bundle file offline. Never raises for anything the bundle or the roots hold.

    Args:
        encoded: the bundle file.
        first_root: the root of trust, ``1.root.json``.
        quorum: how many members other than the statement's own must have cosigned.
        check_signature: the Ed25519 check.
        known_roots: root files 2 and up that the auditor has, for bundles that only name theirs.
        in_force: how many other members must attest that it was in force; None: not asked.
        check_second: the ML-DSA-44 check.
    """
    examination, stated = Examination(STEPS), ""
    try:
        bundle = decode_bundle(encoded)  # (1)
        examination.passed(f"{len(encoded)} bytes")
        roster, newest = _open_rosters(bundle, first_root, known_roots)  # (2)
        examination.passed(f"federation {roster.federation_id}, roster version {roster.version}")
        verifier = Verifier(roster, check_signature)
        head = _open_head(bundle, verifier, newest)  # (3)
        examination.passed(f"{head.log}, {head.size} statements")
        header = _open_header(bundle, head)  # (4)
        examination.passed(f"{header.kind} by {header.member}")
        # (5) The commitment was computed from salt and body when they were read, never taken over.
        statement = verifier.open_statement(head.log, bundle.proof.index, bundle.statement)
        examination.passed(str(statement.id))
        _check_inclusion(bundle, head)  # (6)
        examination.passed(f"index {bundle.proof.index}, {len(bundle.proof.hashes)} hashes")
        cosigned = _open_cosignatures(bundle, head, verifier, check_second)  # (7)
        examination.passed(f"{len(cosigned.receipts)} by {', '.join(cosigned.members) or 'nobody'}")
        _check_quorum(quorum, cosigned, head)  # (8)
        examination.passed(f"{len(cosigned.members)} of {quorum} asked for")
        examination.passed(_reading(statement))  # (9) shown, not judged: unknown kinds are inert
        stated = _stated(statement, quorum, cosigned)
        force = _judge_force(examination, bundle, statement, head, verifier, newest, in_force)
    except errors.FederationError as error:
        shown = f"{stated} That it is IN FORCE was not shown." if stated else ""
        return examination.failed(error, shown)
    return examination.concluded(f"{stated} {force}")


def _judge_force(
    examination: Examination,
    bundle: Bundle,
    statement: VerifiedStatement,
    head: Head,
    verifier: Verifier,
    newest: Roster,
    count: int | None,
) -> str:
    attested = open_attestations(bundle.attestations, statement, head, verifier, newest)  # (10)
    said = ", ".join(f"{member}: {each.findings[0].state}" for member, each in attested.items())
    is_judged = bool(attested) or count is not None
    examination.passed(said or "there are none", Outcome.PASSED if is_judged else Outcome.NOT_ASKED)
    if count is None:
        examination.passed("", Outcome.NOT_ASKED)
        return "Whether it is still IN FORCE was not asked."
    as_of_ms = check_in_force(statement, attested, count, newest)  # (11)
    examination.passed(f"{len(attested)} attest it; {count} others were asked for")
    return f"IN FORCE as of {_date(as_of_ms // 1_000)}, under the heads that are attested."


def claims_of(report: Report, *, is_force_asked: bool) -> dict[str, bool | None]:
    """The two claims, each shown or not; None where nobody asked."""
    outcomes = [step.outcome for step in report.steps]
    return {
        "stated": set(outcomes[:STATED_STEPS]) == {Outcome.PASSED},
        "in_force": outcomes[-1] is Outcome.PASSED if is_force_asked else None,
    }


def _open_rosters(bundle: Bundle, first: bytes, known: Sequence[bytes]) -> tuple[Roster, Roster]:
    """The roster that the bundle names, and the newest at hand.

    What the auditor has is walked first, and what the file brings can only come after it: governors
    who were replaced could sign another second version, and a third one on top.
    """
    version, brought = bundle.roster.version, bundle.roster.chain or ()
    chains = [_trust(first)]
    for root in known:
        chains.append(chains[-1].extend(root))
    for number, root in enumerate(brought, start=1):
        if number == len(chains):
            chains.append(chains[-1].extend(root))
        elif root != known[number - 1]:  # other signatures under one decision make another file
            other = chains[number - 1].extend(root).newest
            if other.decision_sha256 != chains[number].newest.decision_sha256:
                raise errors.RosterUnproven(f"another version {number + 1} than the one at hand")
    if len(chains) < version:
        raise errors.RosterNotAtHand(f"version {version} is named, and {len(chains)} at hand")
    named = chains[version - 1].newest
    if named.decision_sha256.hex() != bundle.roster.decision:
        raise errors.RosterUnproven("the roster at hand is not the one the bundle names")
    return named, chains[-1].newest


def _open_head(bundle: Bundle, verifier: Verifier, newest: Roster) -> Head:
    head = verifier.open_head(bundle.proof.checkpoint_note)
    if head.vkey.public not in speakers(newest.log(head.log), head.size, head.root_hash):
        raise errors.BeyondPin("a later roster that is at hand pins this log elsewhere")
    return head


def _open_header(bundle: Bundle, head: Head) -> Header:
    header = decode_header(bundle.statement.header_bytes)
    if header.federation_id != head.log.federation_id:
        raise errors.WrongFederation("the statement is of another federation than its log")
    if header.member != head.log.member:
        raise errors.WrongMember(f"a statement of {header.member} in a log of {head.log.member}")
    return header


def _check_inclusion(bundle: Bundle, head: Head) -> None:
    proof = bundle.proof
    if proof.extra is not None:
        raise errors.BundleMalformed("a bundle's proof has no extra line, which nobody signs")
    leaf = leaf_hash(bundle.statement.id.entry)
    verify_inclusion(proof.index, head.size, leaf, proof.hashes, head.root_hash)


def _open_cosignatures(
    bundle: Bundle, head: Head, verifier: Verifier, check_second: SignatureCheck
) -> _Cosigned:
    roster, own = verifier.roster, head.log
    receipts: list[Receipt] = []
    seconds: list[tuple[str, int]] = []
    for line in parse_note(bundle.proof.checkpoint_note).signatures:
        if line.signer == (head.vkey.name, head.vkey.key_id):
            continue
        name, _, purpose = line.name.partition(f"/{roster.federation_id}/")
        member, is_own = roster.members.get(name), line.name == own.origin
        # Of a lane's second keys, only the log's own speaks here: another's is for its own log.
        held = own.lane if is_own else purpose if purpose in _COSIGNERS else ""
        public = dict(member.mldsa44_keys).get(held) if member else None
        second = public and vkey_of(line.name, KeyType.COSIGNATURE_MLDSA44, public)
        if second and line.key_id == second.key_id:
            at_seconds = open_mldsa_cosignature(head.checkpoint, line, second, check_second)
            if at_seconds is None:
                raise errors.SignatureInvalid("a second line without a time")
            seconds.append((line.name if is_own else name, at_seconds))
        elif member and purpose in _COSIGNERS and member.cosigner_keys(Cosigner(purpose)):
            text = format_signature_line(line).removesuffix("\n")
            receipts.append(verifier.open_receipt(head, name, Cosigner(purpose), text))
        else:
            raise errors.SignatureInvalid("a line by nobody whom the roster holds for it")
    members = sorted({each.member for each in receipts if each.member != own.member})
    return _Cosigned(tuple(receipts), tuple(seconds), tuple(members))


def _check_quorum(quorum: Quorum, cosigned: _Cosigned, head: Head) -> None:
    counting = set(cosigned.members)
    if quorum.second_lines:
        seconds = {signer for signer, _ in cosigned.seconds}
        counting &= seconds
        if head.log.origin not in seconds:
            raise errors.QuorumUnmet("the log put no second line under its checkpoint")
    if not quorum.is_met_by(len(counting)):
        raise errors.QuorumUnmet(f"{len(counting)} other members cosigned; {quorum} were asked for")


def _reading(statement: VerifiedStatement) -> str:
    """What the body says, in its own words but for the signals' values."""
    opening = statement.statement.opening
    if opening is None:
        return "not shown: its body is not in the bundle, erased or left out"
    try:
        fields = decode_map(opening.body, bytes_max=BODY_BYTES_MAX)
    except (errors.EncodingMalformed, errors.TooLarge):
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
    said += [f"statements it is about: {len(of)}"] if (of := statement.header.references) else []
    return "; ".join(said) or "nothing that this release knows"


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.match(value) else "(unknown)"


def _stated(statement: VerifiedStatement, quorum: Quorum, cosigned: _Cosigned) -> str:
    stated = f"STATED: {statement.header.member} stated {statement.id} ({statement.header.kind})"
    if statement.statement.opening is None:
        stated += ", whose body is not in the bundle: what it said was not shown"
    # With k cosigners asked for, at most k-1 may lie; the k-th earliest time is then an honest one
    # or later than one (docs/spec/bundles.md, "What a pass shows").
    firsts = tuple((receipt.member, receipt.at_seconds) for receipt in cosigned.receipts)
    earliest: dict[str, int] = {}
    for member, at_seconds in cosigned.seconds if quorum.second_lines else firsts:
        if member in cosigned.members:
            earliest[member] = min(earliest.get(member, at_seconds), at_seconds)
    if not quorum.count:
        return f"{stated}. When it existed was not shown: no quorum was asked for."
    return f"{stated}. It existed by {_date(sorted(earliest.values())[quorum.count - 1])}."


def _date(at_seconds: int) -> str:
    if at_seconds > _LAST_SECOND:
        return f"second {at_seconds}, which no calendar has"
    return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
