"""Vectors of docs/spec/convictions.md: which files convict whom, and where the others fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from federation.errors import (
    AttestationMalformed,
    FederationError,
    InclusionUnproven,
    LogUnknown,
    NoteMalformed,
    ProofMalformed,
    RosterNotAtHand,
    RosterUnproven,
    SignatureInvalid,
    WrongFederation,
    WrongMember,
)
from federation.local_errors.proofs import ConvictionMalformed, ConvictionUnproven
from federation.protocol.attestations import State
from federation.protocol.bodies import Dispute
from federation.protocol.convictions import Conviction, encode_conviction
from federation.protocol.merkle_proofs import inclusion_proof
from federation.protocol.roster_proposals import propose_refresh
from federation.protocol.statements import Statement, erased_statement, opened_statement
from federation.protocol.texts import format_base64
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    MadeLog,
    make_attestation,
    make_key,
    make_log,
    make_roster,
    make_salt,
    make_statement,
    make_withdraw,
    sign_and_finish,
    sign_as,
)
from tests.vectors.cases import Case, accepted, as_input, refused

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id
FIRST = FOUNDED.chain.versions[0]
CHAIN = sign_and_finish(
    propose_refresh(FOUNDED.chain, now_ms=NEW_YEAR_2026_MS + 1), FOUNDED.chain, FOUNDED.governors
)


def _log(*more: Statement) -> MadeLog:
    made = make_log(3, founded=FOUNDED)
    made.say(*more)
    return made


def _withdraw(target: int = 0, **named: Any) -> Statement:
    said = _log().said[target]
    return make_withdraw(9, said.id, **{"federation_id": FEDERATION, **named})


def _conviction(made: MadeLog, member: str = NOVA, index: int = 3, **said: Any) -> Conviction:
    attested = make_attestation(made, 0, member, **said)
    one = made.said[0]
    return Conviction(
        sign_as(member, attested, FEDERATION),
        erased_statement(one.header_bytes, one.commitment),
        made.said[index],
        made.log.origin,
        index,
        inclusion_proof(index, made.head().size, made.node),
    )


WITHDRAWN = _log(_withdraw())
GOOD = _conviction(WITHDRAWN)


def _inputs(file: Conviction | bytes, roots: Sequence[bytes] = (FIRST,)) -> dict[str, Any]:
    raw = file if isinstance(file, bytes) else encode_conviction(file)
    return {**as_input("conviction", raw), "roots": [root.decode() for root in roots]}


def _convicts(desc: str, file: Conviction, member: str = NOVA, **inputs: Any) -> Case:
    gives: Any = {"member": member, "statement_id": str(file.statement.id)}
    return accepted("conviction", desc, gives, **_inputs(file, **inputs))


def _fails(
    step: int, desc: str, error: type[FederationError], file: Conviction | bytes, **inputs: Any
) -> Case:
    return refused("conviction", f"{step}, {desc}", error, **_inputs(file, **inputs)) | {
        "step": step
    }


def good() -> Iterator[Case]:
    yield _convicts("a withdraw that was left out", GOOD)
    yield _convicts("by another member", _conviction(WITHDRAWN, UMBRA), UMBRA)
    yield _convicts("by the statement's own member", _conviction(WITHDRAWN, ACME), ACME)
    second = _conviction(WITHDRAWN, roster=CHAIN.newest)
    yield _convicts("under roster version 2", second, roots=CHAIN.versions)
    grown = _log(_withdraw(), make_statement(7, federation_id=FEDERATION))
    yield _convicts("with statements after the withdraw", _conviction(grown))


def malformed() -> Iterator[Case]:
    whole = encode_conviction(GOOD)
    fields = json.loads(whole)

    def written(**changed: Any) -> bytes:
        form = json.dumps(
            {**fields, **changed}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return form.encode() + b"\n"

    def taken(**changed: Any) -> bytes:
        return written(withdrawal={**fields["withdrawal"], **changed})

    chosen = {
        "nothing": b"",
        "no last line feed": whole[:-1],
        "a line feed more": whole + b"\n",
        "not UTF-8": b"\xff" + whole,
        "spaces between its fields": whole.replace(b',"', b', "', 1),
        "another format": written(format="hash-federation/conviction/v2"),
        "an unknown field": written(more=1),
        "an index with a fraction": taken(index=3.0),
        "an index below zero": taken(index=-1),
        "an index above every log": taken(index=2**40),
        "a hash of 31 bytes": taken(hashes=[format_base64(bytes(31))]),
        "64 hashes": taken(hashes=[format_base64(bytes(32))] * 64),
        "a hash without padding": taken(hashes=["A" * 43]),
        "a salt of 15 bytes": taken(salt=format_base64(bytes(15))),
        "a body of no bytes": taken(body=""),
        "a commitment of 31 bytes": written(
            statement={**fields["statement"], "commitment": format_base64(bytes(31))}
        ),
        "a withdrawal without a salt": written(
            withdrawal={k: v for k, v in fields["withdrawal"].items() if k != "salt"}
        ),
        "an attestation that is no text": written(attestation=7),
    }
    for desc, raw in chosen.items():
        yield _fails(1, desc, ConvictionMalformed, raw)
    yield _fails(1, "an attestation that is no note", NoteMalformed, written(attestation="x\n"))
    note = WITHDRAWN.head().note.decode()
    desc = "an attestation that is a checkpoint"
    yield _fails(1, desc, AttestationMalformed, written(attestation=note))


def rosters() -> Iterator[Case]:
    other = make_roster(ACME, NOVA).chain.versions[0]
    yield _fails(2, "another root of trust", RosterUnproven, GOOD, roots=[other])
    second = _conviction(WITHDRAWN, roster=CHAIN.newest)
    yield _fails(2, "a version that is not at hand", RosterNotAtHand, second)


def attestations() -> Iterator[Case]:
    attested = make_attestation(WITHDRAWN, 0, NOVA)
    forged = sign_as(NOVA, attested, FEDERATION, make_key(f"{UMBRA}/mirror"))
    yield _fails(3, "signed by another", SignatureInvalid, replace(GOOD, attestation=forged))
    for state in (State.WITHDRAWN, State.INERT, State.UNKNOWN):
        yield _fails(3, f"said {state}", ConvictionUnproven, _conviction(WITHDRAWN, state=state))
    beside = WITHDRAWN.said[1]
    elsewhere = erased_statement(beside.header_bytes, beside.commitment)
    desc = "about another statement"
    yield _fails(3, desc, ConvictionUnproven, replace(GOOD, statement=elsewhere))


def withdrawals() -> Iterator[Case]:
    beside = _conviction(_log(_withdraw(1)))
    yield _fails(4, "of something else", ConvictionUnproven, beside)
    confirm = _conviction(WITHDRAWN, index=1)
    yield _fails(4, "no withdraw at all", ConvictionUnproven, confirm)
    said = _log().said[0]
    dispute = make_statement(9, Dispute("benign"), federation_id=FEDERATION, references=[said.id])
    yield _fails(4, "a dispute", ConvictionUnproven, _conviction(_log(dispute)))
    taken = _withdraw()
    again = make_withdraw(10, taken.id, federation_id=FEDERATION)
    made = _log(taken, again)
    attested = make_attestation(made, 3, NOVA)
    desc = "of a withdraw, which nobody can take back"
    stands = Conviction(
        sign_as(NOVA, attested, FEDERATION),
        erased_statement(taken.header_bytes, taken.commitment),
        again,
        made.log.origin,
        4,
        inclusion_proof(4, made.head().size, made.node),
    )
    yield _fails(4, desc, ConvictionUnproven, stands)
    junk = opened_statement(taken.header_bytes, make_salt(9), b"\x80")
    yield _fails(4, "that nobody can read", ConvictionUnproven, _conviction(_log(junk)))
    foreign = _withdraw(federation_id="0" * 32)
    yield _fails(4, "of another federation", WrongFederation, _conviction(_log(foreign)))
    theirs = _withdraw(member=NOVA)
    yield _fails(4, "of another member than its log's", WrongMember, _conviction(_log(theirs)))
    nova = make_log(founded=FOUNDED, member=NOVA)
    nova.say(theirs)
    not_theirs = replace(GOOD, withdrawal=theirs, origin=nova.log.origin, index=0, hashes=())
    yield _fails(4, "by one who may not", ConvictionUnproven, not_theirs)
    strange = replace(GOOD, origin=f"stranger.example/{FEDERATION}/live")
    yield _fails(4, "in a log that the roster does not hold", LogUnknown, strange)
    nowhere = replace(GOOD, origin="example.com/log")
    yield _fails(4, "in a log of no federation", WrongFederation, nowhere)


def heads() -> Iterator[Case]:
    before = replace(GOOD, attestation=sign_as(NOVA, make_attestation(_log(), 0), FEDERATION))
    yield _fails(5, "an attestation from before it", ConvictionUnproven, before)
    crisis = replace(GOOD, origin=f"{ACME}/{FEDERATION}/crisis")
    yield _fails(5, "in another lane than is said", ConvictionUnproven, crisis)
    wrong = replace(GOOD, hashes=(bytes(32), *GOOD.hashes[1:]))
    yield _fails(5, "a wrong hash", InclusionUnproven, wrong)
    yield _fails(5, "another index", InclusionUnproven, replace(GOOD, index=2))
    yield _fails(5, "a hash too few", ProofMalformed, replace(GOOD, hashes=GOOD.hashes[1:]))
    more = replace(GOOD, hashes=(*GOOD.hashes, bytes(32)))
    yield _fails(5, "a hash too many", ProofMalformed, more)


def cases() -> list[Case]:
    """All cases, in the order of the steps."""
    return [
        *good(),
        *malformed(),
        *rosters(),
        *attestations(),
        *withdrawals(),
        *heads(),
    ]
