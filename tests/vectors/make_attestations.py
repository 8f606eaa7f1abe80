"""Vectors of docs/spec/attestations.md: the text that a member's mirror signs.

``gives`` names what was read. Who signed, and whether an attestation fits a bundle, are cases of
``bundles``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from federation.errors import AttestationMalformed
from federation.protocol.attestations import Attestation, Finding, State
from federation.protocol.attestations_signing import format_attestation
from federation.protocol.headers import StatementId
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.texts import format_base64
from tests.builders import ACME, NEW_YEAR_2026_MS, make_attestation, make_log
from tests.vectors.cases import Case, Json, accepted, refused

MADE = make_log(7)
ONE = make_attestation(MADE, 2)
TEXT = format_attestation(ONE)
LOW, HIGH = StatementId(bytes(32)), StatementId(b"\xff" * 32)
EMPTY = f"{format_base64(EMPTY_ROOT)}"


def _gives(read: Attestation) -> Json:
    return {
        "roster": [read.roster[0], read.roster[1]],
        "at_ms": read.at_ms,
        "about": read.about,
        "statements": [
            [str(found.id), found.state.value, *map(str, found.by)] for found in read.findings
        ],
        "heads": [[head.origin, str(head.size), head.root_hash.hex()] for head in read.heads],
    }


def _read(desc: str, **changed: Any) -> Case:
    said = replace(ONE, **changed)
    return accepted("attestation", desc, _gives(said), text=format_attestation(said))


def good() -> list[Case]:
    """What is read."""
    found = ONE.findings[0]
    pdq = "pdq " + "5a" * 32
    several = (Finding(LOW, State.ACTIVE), Finding(HIGH, State.WITHDRAWN, (LOW,)))
    states = [
        _read(f"a statement that is {state}", findings=(replace(found, state=state),))
        for state in State
    ]
    return [
        *states,
        _read("taken back twice", findings=(Finding(found.id, State.ERASED, (LOW, HIGH)),)),
        _read("about a signal that nobody confirmed", about=pdq, findings=()),
        _read("about a signal that two confirmed", about=pdq, findings=several),
        _read("at the first millisecond", at_ms=0),
        _read("at the last millisecond", at_ms=2**53 - 1),
        _read("by roster version 1024", roster=(1_024, "0" * 64)),
        _read("under one head", heads=ONE.heads[:1]),
    ]


def broken() -> list[Case]:
    """What is not."""
    lines = TEXT.split("\n")
    head, live = lines[5], lines[7]
    size_of = live.rpartition(" ")[0]
    said = str(ONE.findings[0].id)
    other = f"statement {LOW} active\n"
    chosen = {
        "nothing": "",
        "no last line feed": TEXT[:-1],
        "a line feed more": TEXT + "\n",
        "an extension line": TEXT + "more\n",
        "carriage returns": TEXT.replace("\n", "\r\n"),
        "another format": TEXT.replace("/v1", "/v2", 1),
        "a leading zero in the roster version": TEXT.replace("roster 1 ", "roster 01 "),
        "a decision in upper case": TEXT.replace(ONE.roster[1], ONE.roster[1].upper()),
        "a decision of 31 bytes": TEXT.replace(ONE.roster[1], ONE.roster[1][:62]),
        "no time": TEXT.replace(f"at {NEW_YEAR_2026_MS + 60_000}\n", ""),
        "a leading zero in the time": TEXT.replace("\nat 1", "\nat 01"),
        "a sign before the time": TEXT.replace("\nat 1", "\nat +1"),
        "a time over 2^53 - 1": TEXT.replace(f"at {ONE.at_ms}", f"at {2**53}"),
        "a time of twenty digits": TEXT.replace(f"at {ONE.at_ms}", "at " + "9" * 20),
        "about nothing": TEXT.replace(f"about {said}", "about "),
        "about an id in upper case": TEXT.replace(f"about {said}", f"about {said.upper()}"),
        "about half a byte of a signal": TEXT.replace(f"about {said}", "about pdq 5a5"),
        "about a signal without a value": TEXT.replace(f"about {said}", "about pdq "),
        "a state that nobody knows": TEXT.replace(" active", " sleeping"),
        "no state": TEXT.replace(" active", ""),
        "two spaces": TEXT.replace(" active", "  active"),
        "a space at the end of a line": TEXT.replace(" active", " active "),
        "the statement asked about is not in it": TEXT.replace(
            f"statement {said}", f"statement {LOW}"
        ),
        "another statement beside the one asked about": TEXT.replace(
            "statement", other + "statement"
        ),
        "no statement's line": TEXT.replace(f"statement {said} active\n", ""),
        "what took it back out of order": TEXT.replace(" active", f" withdrawn {HIGH} {LOW}"),
        "what took it back twice": TEXT.replace(" active", f" withdrawn {LOW} {LOW}"),
        "what took it back in upper case": TEXT.replace(" active", f" erased {str(HIGH).upper()}"),
        "no head": TEXT.partition("head ")[0],
        "heads out of order": "\n".join([*lines[:5], live, lines[6], head, ""]),
        "a head twice": TEXT + f"{live}\n",
        "a head before the statement": "\n".join([*lines[:4], head, lines[4], *lines[6:]]),
        "a size with a leading zero": TEXT.replace("/live 7 ", "/live 07 "),
        "a size above 2^63": TEXT.replace("/live 7 ", f"/live {2**63} "),
        "a size above 2^53": TEXT.replace("/live 7 ", f"/live {2**53} "),
        "a size 0 with the root of another tree": TEXT.replace("/live 7 ", "/live 0 "),
        "a size 1 with the root of the empty tree": TEXT.replace(live, f"{live.split()[0]} 1"),
        "a root of 31 bytes": TEXT.replace(live, f"{size_of} {format_base64(bytes(31))}"),
        "a root without padding": TEXT.replace(live, live.rstrip("=")),
        "a root in base64 with spare bits": TEXT.replace(live, f"{size_of} {'A' * 42}B="),
        "a head without an origin": TEXT.replace(live, f"head 7 {EMPTY}"),
        "an origin with a control character": TEXT.replace(f"head {ACME}", f"head \x07{ACME}"),
    }
    return [
        refused("attestation", desc, AttestationMalformed, text=text)
        for desc, text in chosen.items()
    ]


def cases() -> list[Case]:
    """All cases."""
    return [*good(), *broken()]
