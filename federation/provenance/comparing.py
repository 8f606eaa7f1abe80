"""Comparing two copies of one log: the same, one the beginning of the other, or two histories.

Both copies are audited first, so a copy that is damaged is told from a log that lied: a fork is
shown only where both trees are whole and both heads signed, and then it is a file of evidence that
convicts the key by itself.

Source: docs/guides/auditing.md; docs/spec/evidence.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from federation.errors import FederationError
from federation.local_errors.proofs import Fork
from federation.protocol.evidence import Evidence, Prefix, encode_evidence, make_evidence
from federation.protocol.keys import VerifierKey
from federation.protocol.merkle_proofs import consistency_proof, root_from
from federation.protocol.notes import Note, format_note, parse_note
from federation.provenance.report import Examination, Outcome, Report
from federation.provenance.tree_audit import AuditedLog

STEPS: Final = (
    "the first copy is whole, under a head that the log's key signed",
    "the second copy is whole, under a head that the log's key signed",
    "the two are one history",
)


class Comparison(StrEnum):
    """What two copies are to each other."""

    SAME = "same"
    PREFIX = "prefix"
    FORK = "fork"


@dataclass(frozen=True)
class Compared:
    """What was found.

    Attributes:
        report: step by step.
        comparison: None where a copy is not whole.
        evidence: of a fork, the file that convicts the log's key.
    """

    report: Report
    comparison: Comparison | None = None
    evidence: bytes | None = None


def compare_logs(
    first: tuple[Report, AuditedLog | None],
    second: tuple[Report, AuditedLog | None],
    vkey: VerifierKey,
) -> Compared:
    """Compare what two audits of one log found."""
    examination = Examination(STEPS)
    logs: list[AuditedLog] = []
    for report, log in (first, second):  # (1), (2)
        if log is None:
            return Compared(_failed_like(examination, report))
        logs.append(log)
        head = log.checkpoint
        examination.passed(f"{head.size} entries, root {head.root_hash.hex()[:16]}…")
    small, large = sorted(logs, key=lambda log: log.checkpoint.size)
    size = small.checkpoint.size
    root_hash = root_from(size, large.nodes)
    if root_hash != small.checkpoint.root_hash:  # (3)
        evidence = _evidence(small, large, root_hash, vkey)
        words = f"the log's key signed two histories, which part before entry {size}"
        fork = Fork(words, first=small.note, second=large.note)
        shown = f"FORK: {vkey.name} signed two histories."
        return Compared(examination.failed(fork, shown), Comparison.FORK, encode_evidence(evidence))
    if size == large.checkpoint.size:
        examination.passed("the same entries")
        words = f"SAME: both are the first {size} entries of {vkey.name}."
        return Compared(examination.concluded(words), Comparison.SAME)
    which = "first" if small is logs[0] else "second"
    examination.passed(f"the {which} is the beginning of the other")
    words = f"PREFIX: the {which} copy is the first {size} of {large.checkpoint.size} entries."
    return Compared(examination.concluded(words), Comparison.PREFIX)


def _failed_like(examination: Examination, audit: Report) -> Report:
    """The next step does not hold, for what the audit ended at: a missing file is no accusation."""
    (cause,) = (step for step in audit.steps if step.outcome is Outcome.FAILED)
    failed = examination.failed(FederationError(cause.detail, hint=cause.hint))
    steps = (
        replace(step, code=cause.code) if step.outcome is Outcome.FAILED else step
        for step in failed.steps
    )
    return replace(failed, steps=tuple(steps))


def fork_evidence(seen: bytes, seen_size: int, log: AuditedLog, vkey: VerifierKey) -> Evidence:
    """Evidence that a head seen earlier is not the beginning of a log that was audited.

    Args:
        seen: the note of the earlier head, of no larger size.
        seen_size: its size, over 0.
        log: the log as it is now.
        vkey: its key.

    Raises:
        ProtocolError: the two do not contradict each other.
    """
    prefix = None
    if seen_size < log.checkpoint.size:
        proof = consistency_proof(seen_size, log.checkpoint.size, log.nodes)
        prefix = Prefix(root_from(seen_size, log.nodes), proof)
    return make_evidence(_own_line(seen, vkey), _own_line(log.note, vkey), prefix)


def _evidence(
    small: AuditedLog, large: AuditedLog, root_hash: bytes, vkey: VerifierKey
) -> Evidence:
    size, to = small.checkpoint.size, large.checkpoint.size
    prefix = None if size == to else Prefix(root_hash, consistency_proof(size, to, large.nodes))
    return make_evidence(_own_line(small.note, vkey), _own_line(large.note, vkey), prefix)


def _own_line(raw: bytes, vkey: VerifierKey) -> bytes:
    """The note with the accused key's line alone."""
    note = parse_note(raw)
    lines = tuple(each for each in note.signatures if each.signer == (vkey.name, vkey.key_id))
    return format_note(Note(note.text, lines))
