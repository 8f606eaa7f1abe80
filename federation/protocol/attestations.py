"""Status attestations: what a member's node says became of a statement, as of heads that it names.

    hash-federation/attestation/v1
    roster 1 6caabff3…                        the version it judged by, and its decision
    at 1767225660000                          its clock, Unix milliseconds
    about st_5f58…                            or a signal: its type, and its identity in hex
    statement st_5f58… active                 and the ids of what took it back, if anything did
    head acme.example/…/live 7 8fujyvek…      every log it looked at: origin, size, root hash

A C2SP signed note (type 01) by the member's mirror key, which vouches for holding what is under a
head. The first line is its domain tag: no checkpoint and no cosignature begins so.

Source: docs/spec/attestations.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from federation.errors import AttestationMalformed, CheckpointMalformed
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.headers import StatementId
from federation.protocol.limits import INTEGER_MAX
from federation.protocol.texts import parse_base64, parse_decimal

ATTESTATION_FORMAT: Final = "hash-federation/attestation/v1"
_ID: Final = r"st_[0-9a-f]{64}"
_STATEMENT: Final = rf"statement ({_ID}) ([a-z]+)((?: {_ID})*)\n"
_HEAD: Final = r"head ([^ \n]+) ([0-9]+) ([^ \n]+)\n"
_TEXT = re.compile(
    rf"{ATTESTATION_FORMAT}\nroster ([0-9]+) ([0-9a-f]{{64}})\nat ([0-9]+)\n"
    rf"about ({_ID}|[a-z0-9]{{1,16}} (?:[0-9a-f]{{2}}){{1,64}})\n"
    r"((?:statement [^\n]+\n)*)((?:head [^\n]+\n)+)\Z"
)


class State(StrEnum):
    """What became of a statement: expiry is not in it, and asked with a time by who reads it."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
    INERT = "inert"  # held, and nobody can read it or its body is missing
    UNKNOWN = "unknown"  # not under the heads looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one statement, and by which withdraws or erases, sorted."""

    id: StatementId
    state: State
    by: tuple[StatementId, ...] = ()


@dataclass(frozen=True, slots=True)
class Attestation:
    """The reading of an attestation's text.

    Attributes:
        roster: version and decision (hex) of the roster that the signer judged by.
        at_ms: the signer's clock, Unix milliseconds.
        about: a statement id as text, or a signal's type and its identity in hex.
        findings: by id; one where a statement was asked about.
        heads: what the signer had looked at, by origin.
    """

    roster: tuple[int, str]
    at_ms: int
    about: str = field(repr=False)  # a signal's identity is in no log line
    findings: tuple[Finding, ...]
    heads: tuple[Checkpoint, ...]


def parse_attestation(text: str) -> Attestation:
    """Read an attestation's text. Raises: AttestationMalformed: not its only form."""
    form = _TEXT.match(text)
    if form is None:
        raise AttestationMalformed("not the lines of a status attestation")
    version, decision, at_ms, about, statements, heads = form.groups()
    roster = _decimal(version), decision
    findings = tuple(map(_finding, statements.splitlines(keepends=True)))
    looked_at = tuple(map(_head, heads.splitlines(keepends=True)))
    _check_order([found.id.entry for found in findings])
    _check_order([head.origin.encode() for head in looked_at])
    if about.startswith("st_") and [about] != [str(found.id) for found in findings]:
        raise AttestationMalformed("an attestation about a statement says what became of it alone")
    return Attestation(roster, _decimal(at_ms), about, findings, looked_at)


def _finding(line: str) -> Finding:
    found = re.fullmatch(_STATEMENT, line)
    if found is None or found[2] not in State.__members__.values():
        raise AttestationMalformed("a statement's line has its id, a state and other ids")
    entries = [bytes.fromhex(each[3:]) for each in (found[1], *found[3].split())]
    _check_order(entries[1:])
    first, *by = map(StatementId, entries)
    return Finding(first, State(found[2]), tuple(by))


def _head(line: str) -> Checkpoint:
    found = re.fullmatch(_HEAD, line)
    if found is None:
        raise AttestationMalformed("a head's line has an origin, a size and a root hash")
    try:
        root_hash = parse_base64(found[3], AttestationMalformed, "the root hash of a head")
        return Checkpoint(found[1], _decimal(found[2]), root_hash)
    except CheckpointMalformed as error:
        raise AttestationMalformed(error.message) from None


def _decimal(text: str) -> int:
    number = parse_decimal(text, AttestationMalformed, "a number of an attestation")
    if number > INTEGER_MAX:
        raise AttestationMalformed("a number of an attestation is over 2^53 - 1")
    return number


def _check_order(keys: list[bytes]) -> None:
    if keys != sorted(set(keys)):
        raise AttestationMalformed("what an attestation lists is in order, each once")
