"""Provenance bundles: one file that proves one statement, offline.

JSON with exactly these fields, in its only form (sorted keys, no spaces, one final newline), so
that no byte of a bundle can change without it being noticed:

    attestations      status attestations, each as its note's text; left out where there are none
    body, salt        base64; or commitment instead, where they were erased
    format            "hash-federation/bundle/v1"
    header            base64
    proof             C2SP tlog-proof text: index, path, checkpoint, cosignatures
    roster            {"chain": [base64 of 2.root.json …], "decision": hex, "version": N}
                      chain is null where the reader is expected to have it already

A bundle carries nothing that a verifier does not check. Source: docs/spec/bundles.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from federation.errors import BodyMalformed, BundleMalformed, HeaderMalformed, TooLarge
from federation.protocol.limits import BUNDLE_BYTES_MAX, MEMBERS_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.proofs import TlogProof, format_tlog_proof, parse_tlog_proof
from federation.protocol.statements import Statement, erased_statement, opened_statement
from federation.protocol.texts import format_base64, parse_base64

FORMAT: Final = "hash-federation/bundle/v1"
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_OPENED: Final = frozenset({"body", "format", "header", "proof", "roster", "salt"})
_ERASED: Final = frozenset({"commitment", "format", "header", "proof", "roster"})


@dataclass(frozen=True, slots=True)
class RosterReference:
    """Which roster version the bundle is judged by: its number and its decision, in hex.

    ``chain`` holds the root files 2 to ``version``, verbatim; None where only the hash is given.
    """

    version: int
    decision: str
    chain: tuple[bytes, ...] | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One statement, its place in its log, the roster version to judge by, and status attestations.

    None of it is judged; attestations are the texts of their notes.
    """

    statement: Statement
    proof: TlogProof
    roster: RosterReference
    attestations: tuple[str, ...] = ()


def encode_bundle(bundle: Bundle) -> bytes:
    """The bundle as a file; the inverse of :func:`decode_bundle`."""
    statement, roster = bundle.statement, bundle.roster
    fields: dict[str, object] = {
        "format": FORMAT,
        "header": format_base64(statement.header_bytes),
        "proof": format_tlog_proof(bundle.proof).decode("utf-8"),
        "roster": {
            "chain": None if roster.chain is None else [format_base64(r) for r in roster.chain],
            "decision": roster.decision,
            "version": roster.version,
        },
    }
    if bundle.attestations:
        fields["attestations"] = list(bundle.attestations)
    if statement.opening is None:
        fields["commitment"] = format_base64(statement.commitment)
    else:
        fields["salt"] = format_base64(statement.opening.salt)
        fields["body"] = format_base64(statement.opening.body)
    return _format(fields)


def decode_bundle(encoded: bytes) -> Bundle:
    """Read a bundle file. Raises: TooLarge, BundleMalformed, ProofMalformed: it is none."""
    if len(encoded) > BUNDLE_BYTES_MAX:
        raise TooLarge(f"a bundle has at most {BUNDLE_BYTES_MAX} bytes")
    try:
        fields = json.loads(encoded.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BundleMalformed("a bundle is JSON in UTF-8") from None
    if not isinstance(fields, dict) or fields.keys() - {"attestations"} not in (_OPENED, _ERASED):
        raise BundleMalformed("not the fields of a bundle")
    if fields["format"] != FORMAT:
        raise BundleMalformed(f"the bundle's format is not {FORMAT}")
    proof = parse_tlog_proof(_text(fields["proof"]).encode("utf-8"))
    attested = fields.get("attestations", [])
    if not isinstance(attested, list) or len(attested) > MEMBERS_MAX:
        raise BundleMalformed(f"the attestations of a bundle are a list of at most {MEMBERS_MAX}")
    texts = tuple(_text(each) for each in attested)
    bundle = Bundle(_statement(fields), proof, _roster(fields["roster"]), texts)
    if encode_bundle(bundle) != encoded:
        raise BundleMalformed("the bundle is not in its only form")
    return bundle


def _statement(fields: dict[str, object]) -> Statement:
    header = _base64(fields["header"])
    try:
        if "commitment" in fields:
            return erased_statement(header, _base64(fields["commitment"]))
        return opened_statement(header, _base64(fields["salt"]), _base64(fields["body"]))
    except (HeaderMalformed, BodyMalformed) as error:
        raise BundleMalformed(error.message) from None


def _roster(value: object) -> RosterReference:
    if not isinstance(value, dict) or value.keys() != {"chain", "decision", "version"}:
        raise BundleMalformed("not the fields of a roster reference")
    version, chain = value["version"], value["chain"]
    if type(version) is not int or not 1 <= version <= ROSTER_VERSIONS_MAX:
        raise BundleMalformed(f"a roster version is between 1 and {ROSTER_VERSIONS_MAX}")
    if not _SHA256.match(_text(value["decision"])):
        raise BundleMalformed("a roster's decision is 64 lower-case hex digits")
    if chain is not None and (not isinstance(chain, list) or len(chain) != version - 1):
        raise BundleMalformed("a roster chain holds every version after the first")
    files = None if chain is None else tuple(_base64(each) for each in chain)
    return RosterReference(version, value["decision"], files)


def _text(value: object) -> str:
    # JSON can spell half of a surrogate pair, which no UTF-8 can carry.
    if not isinstance(value, str) or _SURROGATE.search(value):
        raise BundleMalformed("a text field of the bundle is not text")
    return value


def _base64(value: object) -> bytes:
    return parse_base64(_text(value), BundleMalformed, "a field of the bundle")


def _format(fields: dict[str, object]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8") + b"\n"
