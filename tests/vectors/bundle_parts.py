"""The parts that bundles of the vectors are put together from, and how a case of one is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.errors import (
    FederationError,
)
from federation.protocol.checkpoints_signing import cosign
from federation.protocol.merkle_proofs import inclusion_proof
from federation.protocol.notes import format_signature_line
from federation.protocol.origins import Cosigner, cosigner_name
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import propose_add
from federation.protocol.statements import opened_statement
from federation.protocol.texts import format_base64
from tests.builders import (
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    MadeLog,
    make_key,
    make_log,
    make_member,
    make_roster,
    sign_and_finish,
)
from tests.vectors.cases import Case, Json, accepted, as_input, refused

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id
FIRST = FOUNDED.chain.versions[0]
ADDING = propose_add(FOUNDED.chain, make_member("delta.example").request, now_ms=NEW_YEAR_2026_MS)
CHAIN = sign_and_finish(ADDING, FOUNDED.chain, FOUNDED.governors)
AT_SECONDS = NEW_YEAR_2026_MS // 1_000
MADE = make_log(7, founded=FOUNDED)
INDEX = 2


def line(
    member: str = NOVA,
    cosigner: Cosigner = Cosigner.MIRROR,
    *,
    made: MadeLog = MADE,
    size: int | None = None,
    key: str | None = None,
    at_seconds: int = AT_SECONDS,
) -> str:
    """A cosignature line on the log's newest head, or on the one of a size."""
    name = cosigner_name(member, made.log.federation_id, cosigner)
    signer = make_key(key or f"{member}/{cosigner}")
    return format_signature_line(cosign(made.head(size).checkpoint.text, name, signer, at_seconds))


@dataclass(frozen=True)
class Parts:
    """What a bundle is put together from; each may be replaced by something wrong."""

    header: bytes
    salt: bytes
    body: bytes
    note: str
    lines: Sequence[str]
    hashes: Sequence[bytes]
    index: int = INDEX
    extra: str = ""
    chain: RosterChain = FOUNDED.chain
    carries_chain: bool = True
    attestations: Sequence[str] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the file."""
        path = "".join(f"{format_base64(digest)}\n" for digest in self.hashes)
        start = f"c2sp.org/tlog-proof@v1\n{self.extra}index {self.index}\n"
        later = [format_base64(root) for root in self.chain.versions[1:]]
        attested = {"attestations": list(self.attestations)} if self.attestations else {}
        return attested | {
            "body": format_base64(self.body),
            "format": "hash-federation/bundle/v1",
            "header": format_base64(self.header),
            "proof": f"{start}{path}\n{self.note}{''.join(self.lines)}",
            "roster": {
                "chain": later if self.carries_chain else None,
                "decision": self.chain.newest.decision_sha256.hex(),
                "version": self.chain.newest.version,
            },
            "salt": format_base64(self.salt),
        }


def parts_of(made: MadeLog, index: int, lines: Sequence[str] | None = None) -> Parts:
    """The parts of a good bundle, with nova's and umbra's receipts unless told otherwise."""
    said = made.said[index]
    assert said.opening is not None
    return Parts(
        header=said.header_bytes,
        salt=said.opening.salt,
        body=said.opening.body,
        note=made.head().note.decode(),
        lines=[line(made=made), line(UMBRA, made=made)] if lines is None else lines,
        hashes=inclusion_proof(index, made.head().size, made.node),
        index=index,
    )


GOOD = parts_of(MADE, INDEX)


def written(fields_of: Parts | dict[str, Any]) -> bytes:
    """The file in its only form."""
    named = fields_of.fields if isinstance(fields_of, Parts) else fields_of
    form = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return form.encode("utf-8", "surrogatepass") + b"\n"


def inputs_of(
    bundle: Parts | bytes,
    quorum: str = "2",
    roots: Sequence[bytes] = (FIRST,),
    in_force: str | None = None,
) -> dict[str, Json]:
    """What a case of a bundle is judged with."""
    raw = bundle if isinstance(bundle, bytes) else written(bundle)
    at_hand: list[Json] = [root.decode() for root in roots]
    asked: dict[str, Json] = {} if in_force is None else {"in_force": in_force}
    return {**as_input("bundle", raw), "quorum": quorum, "roots": at_hand, **asked}


def verified(
    desc: str,
    parts: Parts,
    cosigners: Sequence[str] = (NOVA, UMBRA),
    **inputs: Any,
) -> Case:
    """A bundle that is accepted, with these cosigners."""
    said = opened_statement(parts.header, parts.salt, parts.body)
    claims: Json = {"stated": True, "in_force": True if "in_force" in inputs else None}
    gives: Json = {"statement_id": str(said.id), "cosigners": list(cosigners), "claims": claims}
    return accepted("bundle", desc, gives, **inputs_of(parts, **inputs))


def fails(
    step: int, desc: str, error: type[FederationError], bundle: Parts | bytes, **inputs: Any
) -> Case:
    """A bundle that fails at a step."""
    return refused("bundle", desc, error, **inputs_of(bundle, **inputs)) | {"step": step}
