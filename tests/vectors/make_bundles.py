"""Vectors of docs/spec/bundles.md: files, the roots they are judged by, and the step that fails.

Every case has what an auditor has: ``bundle``, the file; ``roots``, ``1.root.json`` and any later
ones at hand; ``quorum``, as it is written; ``in_force``, as it is written, where that is asked too.
A case to refuse names the ``step`` of the page. All keys are made from their names
(tests/builders.py), so the files are the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from federation.errors import (
    AttestationMalformed,
    AttestationUnfit,
    BundleMalformed,
    CheckpointMalformed,
    FederationError,
    HeaderMalformed,
    InclusionUnproven,
    LogUnknown,
    NoteMalformed,
    NotInForce,
    OriginMalformed,
    ProofMalformed,
    QuorumUnmet,
    RosterMalformed,
    RosterNotAtHand,
    RosterUnproven,
    SignatureInvalid,
    TooLarge,
    WrongFederation,
    WrongMember,
)
from federation.protocol.attestations import Finding, State
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.merkle import EMPTY_ROOT
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.roster_amendments import propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, MemberRole
from federation.protocol.roster_proposals import propose_add
from federation.protocol.statements import opened_statement
from federation.protocol.texts import format_base64
from tests.builders import (
    ACME,
    FEDERATION_ID,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    MadeLog,
    forge_root,
    make_attestation,
    make_confirm,
    make_key,
    make_log,
    make_member,
    make_roster,
    make_salt,
    make_statement,
    make_withdraw,
    sign_and_finish,
    sign_as,
)
from tests.vectors import governed_bundles, pinned_bundles
from tests.vectors.bundle_fields import checkpoint_fields, weak_roots
from tests.vectors.bundle_parts import (
    ADDING,
    CHAIN,
    FEDERATION,
    FIRST,
    FOUNDED,
    GOOD,
    INDEX,
    MADE,
    Parts,
    fails,
    inputs_of,
    line,
    parts_of,
    verified,
    written,
)
from tests.vectors.by_hand import fields, integer, text
from tests.vectors.cases import Case, Json, accepted
from tests.vectors.make_headers import header

# --- accepted -----------------------------------------------------------------------------------


def _strange_log() -> MadeLog:
    """Statements that this release, or any, cannot read; a log carries them all the same."""
    made = make_log(founded=FOUNDED, lane=Lane.CRISIS)
    named = {"fed": fields_federation(FEDERATION)}
    later = header(**named, v=integer(2), later=integer(1))
    made.say(
        opened_statement(header(**named, kind=text("later")), make_salt(1), b"\x80"),
        opened_statement(later, make_salt(2), fields(more=integer(1))),
        opened_statement(header(**named), make_salt(3), b"\xc1"),
    )
    return made


def fields_federation(federation_id: str) -> bytes:
    """A federation id as headers carry it."""
    return b"\xc4\x10" + bytes.fromhex(federation_id)


def good_bundles() -> Iterator[Case]:
    yield verified("the example of the page", GOOD)
    yield verified("as many cosigners as it has", GOOD, quorum="2")
    yield verified("fewer cosigners asked for", GOOD, quorum="1")
    nobody = replace(GOOD, lines=[])
    yield verified("nobody cosigned, and none was written out", nobody, (), quorum="none")
    own = replace(GOOD, lines=[line(ACME), line()])
    yield verified("its own member's receipt beside another's", own, (NOVA,), quorum="1")
    both = replace(GOOD, lines=[line(), line(NOVA, Cosigner.WITNESS), line(UMBRA)])
    yield verified("a member as mirror and as witness", both)
    late = replace(GOOD, lines=[line(at_seconds=2**63 - 1), line(UMBRA)])
    yield verified("a cosigner whose clock is beyond every calendar", late)
    added = replace(GOOD, chain=CHAIN)
    yield verified("under roster version 2, which it carries", added)
    named = replace(added, carries_chain=False)
    yield verified("under roster version 2, which it names", named, roots=CHAIN.versions)
    more = CHAIN.versions
    yield verified("under version 1, with version 2 at hand", GOOD, roots=more)
    one = make_log(1, founded=FOUNDED)
    yield verified("the only statement of a log", parts_of(one, 0))
    bulk = make_log(3, founded=FOUNDED, member=UMBRA, lane=Lane.BULK)
    receipts = [line(made=bulk), line(ACME, made=bulk)]
    theirs = parts_of(bulk, 2, receipts)
    yield verified("another member's bulk lane", theirs, (ACME, NOVA))
    taken = make_log(2, founded=FOUNDED)
    taken.say(make_withdraw(9, taken.said[0].id, federation_id=FEDERATION))
    yield verified("a withdraw", parts_of(taken, 2))
    yield verified("a statement that was withdrawn later is stated still", parts_of(taken, 0))
    strange = _strange_log()
    for index, what in enumerate(("of an unknown kind", "of a later version", "that is junk")):
        yield verified(f"a body {what} is stated, and inert", parts_of(strange, index))
    yield _erased("header and C alone, where the body was erased")


def _erased(desc: str) -> Case:
    said = MADE.said[INDEX]
    named = {**GOOD.fields, "commitment": format_base64(said.commitment)}
    bare = written({key: value for key, value in named.items() if key not in {"body", "salt"}})
    claims: Json = {"stated": True, "in_force": None}
    gives: Json = {"statement_id": str(said.id), "cosigners": [NOVA, UMBRA], "claims": claims}
    return accepted("bundle", desc, gives, **inputs_of(bare))


# --- refused ------------------------------------------------------------------------------------


def malformed() -> Iterator[Case]:
    whole = written(GOOD)
    chosen: tuple[tuple[str, bytes], ...] = (
        ("nothing", b""),
        ("no JSON", b"bundle"),
        ("not UTF-8", b"\xff" + whole),
        ("without its last newline", whole[:-1]),
        ("with a newline more", whole + b"\n"),
        ("spaces between its fields", whole.replace(b',"', b', "', 1)),
        ("an escape where there is a character", whole.replace("\u2014".encode(), b"\\u2014")),
        ("a field twice", whole.replace(b'"version":1', b'"version":1,"version":1')),
        ("a version with a fraction", whole.replace(b'"version":1', b'"version":1.0')),
        ("an unknown field", _with(seen=True)),
        ("no salt", _without("salt")),
        ("salt and commitment both", _with(commitment=format_base64(bytes(32)))),
        ("another format", _with(format="hash-federation/bundle/v2")),
        ("a header of no bytes", _with(header="")),
        ("a header that is not canonical base64", _with(header="AB==")),
        ("a salt of 15 bytes", _with(salt=format_base64(bytes(15)))),
        ("a body of no bytes", _with(body="")),
        ("a proof with half a surrogate pair", _with(proof="\ud800")),
        ("a roster version 0", _with_roster(version=0)),
        ("a roster decision in upper case", _with_roster(decision="A" * 64)),
        ("a chain without the version it names", _with_roster(version=2)),
        ("a chain longer than the version it names", _with_roster(chain=["AAAA"])),
        ("an empty list of attestations", _with(attestations=[])),
        ("attestations that are text", _with(attestations="attested")),
        ("an attestation that is a number", _with(attestations=[7])),
        ("more attestations than a roster has members", _with(attestations=["a"] * 1_001)),
    )
    for desc, raw in chosen:
        yield fails(1, f"1, {desc}", BundleMalformed, raw)
    proof = GOOD.fields["proof"]
    yield fails(1, "1, a proof that is none", ProofMalformed, _with(proof="index 2\n"))
    zeros = proof.replace("index 2", "index 02")
    yield fails(1, "1, a proof with a leading zero", ProofMalformed, _with(proof=zeros))


def _with(**changed: Any) -> bytes:
    return written({**GOOD.fields, **changed})


def _without(name: str) -> bytes:
    return written({key: value for key, value in GOOD.fields.items() if key != name})


def _with_roster(**changed: Any) -> bytes:
    return _with(roster={**GOOD.fields["roster"], **changed})


def rosters() -> Iterator[Case]:
    other = make_roster(ACME, NOVA).chain.versions[0]
    yield fails(2, "2, another root of trust", RosterUnproven, GOOD, roots=[other])
    yield fails(2, "2, a root of trust that is none", RosterMalformed, GOOD, roots=[b"{}"])
    second = CHAIN.versions[1]
    yield fails(2, "2, version 2 as the root of trust", RosterUnproven, GOOD, roots=[second])
    decided = _with_roster(decision="0" * 64)
    yield fails(2, "2, another decision than the one at hand", RosterUnproven, decided)
    forged = RosterChain((FIRST, ADDING.proposal_bytes), ADDING.roster, {})
    unsigned = replace(GOOD, chain=forged)
    for desc, error, root in weak_roots(FOUNDED):
        yield fails(2, f"2, {desc}", error, GOOD, roots=[root])
    yield fails(2, "2, a version that nobody signed", RosterUnproven, unsigned)
    named = replace(GOOD, chain=CHAIN, carries_chain=False)
    yield fails(2, "2, a version that is not at hand", RosterNotAtHand, named)
    first_again = replace(GOOD, chain=RosterChain((FIRST, FIRST), CHAIN.newest, {}))
    yield fails(2, "2, version 1 where 2 follows", RosterUnproven, first_again)


def checkpoints() -> Iterator[Case]:
    def signed(origin: str, key: str, size: int = 7, root: bytes = bytes(32)) -> Parts:
        note = sign_checkpoint(Checkpoint(origin, size, root), make_key(key)).decode()
        return replace(GOOD, note=note, lines=[])

    origin, key = MADE.log.origin, f"{ACME}/live"
    foreign = LogId(ACME, FEDERATION_ID, Lane.LIVE).origin
    stranger = LogId("stranger.example", FEDERATION, Lane.LIVE).origin
    text_7, note = MADE.head().checkpoint.text, GOOD.note
    chosen: tuple[tuple[str, type[FederationError], Parts], ...] = (
        ("no note", NoteMalformed, replace(GOOD, note="note\n", lines=[])),
        ("no signature", NoteMalformed, replace(GOOD, note=f"{text_7}\n", lines=[])),
        ("an extension line", CheckpointMalformed, _noted(note.replace("\n\n", "\nx\n\n", 1))),
        ("a log of no federation", OriginMalformed, signed("example.com/log", key)),
        ("a log of another federation", WrongFederation, signed(foreign, key)),
        ("a log that the roster does not hold", LogUnknown, signed(stranger, key)),
        ("an epoch that was not opened", LogUnknown, signed(f"{origin}/1", key)),
        ("signed by another lane's key", SignatureInvalid, signed(origin, f"{ACME}/bulk")),
        ("signed by another member's key", SignatureInvalid, signed(origin, f"{NOVA}/live")),
        ("another size than was signed", SignatureInvalid, _noted(note.replace("\n7\n", "\n8\n"))),
        ("cosigned, but not signed by its log", SignatureInvalid, _noted(f"{text_7}\n{line()}")),
    )
    for desc, error, parts in chosen:
        yield fails(3, f"3, {desc}", error, parts)
    for desc, error, changed in checkpoint_fields(note):
        yield fails(3, f"3, {desc}", error, _noted(changed))
    small = _limited("log_size", 6)
    beyond = sign_checkpoint(Checkpoint(small.made.log.origin, 7, bytes(32)), make_key(key))
    parts = replace(small.parts, note=beyond.decode(), lines=[])
    yield fails(3, "3, a log over the roster's limit", TooLarge, parts, roots=[small.root])


def _noted(note: str) -> Parts:
    return replace(GOOD, note=note, lines=[])


class Limited(NamedTuple):
    """A good bundle of a federation with a smaller limit, its log of six, and its root."""

    parts: Parts
    made: MadeLog
    root: bytes


def _limited(name: str, value: int) -> Limited:
    def change(signed: dict[str, Any]) -> None:
        signed["x-hash-federation"]["limits"][name] = value

    chain = RosterChain.trust(forge_root(FIRST, change, FOUNDED.governors))
    made = make_log(founded=replace(FOUNDED, chain=chain))
    made.say_numbers(range(6))
    return Limited(replace(parts_of(made, INDEX), chain=chain), made, chain.versions[0])


def headers() -> Iterator[Case]:
    chosen: tuple[tuple[str, type[FederationError], bytes], ...] = (
        ("a header that is none", HeaderMalformed, b"\xc1"),
        ("a header of another federation", WrongFederation, header()),
        (
            "a statement copied from another member",
            WrongMember,
            header(fed=fields_federation(FEDERATION), member=text(UMBRA)),
        ),
    )
    for desc, error, raw in chosen:
        made = make_log(founded=FOUNDED)
        made.say(opened_statement(raw, make_salt(), GOOD.body))
        yield fails(4, f"4, {desc}", error, parts_of(made, 0))


def openings() -> Iterator[Case]:
    short = _limited("body_bytes", 20)
    desc = "5, a body over the roster's limit"
    yield fails(5, desc, TooLarge, short.parts, roots=[short.root])


def inclusions() -> Iterator[Case]:
    hashes = list(GOOD.hashes)
    other = make_statement(99, federation_id=FEDERATION)
    assert other.opening is not None
    chosen: tuple[tuple[str, type[FederationError], Parts], ...] = (
        ("another salt", InclusionUnproven, replace(GOOD, salt=make_salt(99))),
        ("another body", InclusionUnproven, replace(GOOD, body=other.opening.body)),
        ("another index", InclusionUnproven, replace(GOOD, index=3)),
        ("a wrong hash", InclusionUnproven, replace(GOOD, hashes=[bytes(32), *hashes[1:]])),
        ("hashes out of order", InclusionUnproven, replace(GOOD, hashes=hashes[::-1])),
        ("a hash too few", ProofMalformed, replace(GOOD, hashes=hashes[1:])),
        ("a hash too many", ProofMalformed, replace(GOOD, hashes=[*hashes, bytes(32)])),
        ("an index outside the log", ProofMalformed, replace(GOOD, index=7)),
        ("an extra line", BundleMalformed, replace(GOOD, extra="extra AA==\n")),
    )
    for desc, error, parts in chosen:
        yield fails(6, f"6, {desc}", error, parts)


def cosignatures() -> Iterator[Case]:
    name = cosigner_name(NOVA, FEDERATION, Cosigner.MIRROR)
    noise = format_base64(bytes(4) + bytes(72))
    origin_line = f"\u2014 {MADE.log.origin} {format_base64(b'abcd' + bytes(64))}\n"
    mirror = f"{NOVA}/mirror"
    chosen = (
        ("by somebody whom the roster does not hold", line("stranger.example")),
        ("by a member's log key", line(key=f"{NOVA}/live")),
        ("by a mirror as witness", line(cosigner=Cosigner.WITNESS, key=mirror)),
        ("of another checkpoint", line(size=6)),
        ("without a time", line(at_seconds=0)),
        ("that is noise", f"\u2014 {name} {noise}\n"),
        ("by another key of the log's name", origin_line),
        ("by nobody in particular", f"\u2014 somebody {noise}\n"),
    )
    for desc, wrong in chosen:
        parts = replace(GOOD, lines=[line(UMBRA), wrong])
        yield fails(7, f"7, a cosignature {desc}", SignatureInvalid, parts, quorum="1")
    delta = make_member("delta.example").request
    observing = frozenset({MemberRole.OBSERVER})
    proposal = propose_add(FOUNDED.chain, delta, now_ms=NEW_YEAR_2026_MS, roles=observing)
    chain = sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)
    keyless = replace(GOOD, chain=chain, lines=[line(), line(delta.member)])
    desc = "7, a cosignature by a member without a key for that"
    yield fails(7, desc, SignatureInvalid, keyless, quorum="1")


def quorums() -> Iterator[Case]:
    chosen: tuple[tuple[str, Sequence[str], str], ...] = (
        ("nobody cosigned and one was asked for", [], "1"),
        ("one cosigned and two were asked for", [line()], "2"),
        ("two cosigned and three were asked for", [line(), line(UMBRA)], "3"),
        ("its own member does not count", [line(ACME), line()], "2"),
        ("one member in two roles counts once", [line(), line(NOVA, Cosigner.WITNESS)], "2"),
    )
    for desc, lines, quorum in chosen:
        parts = replace(GOOD, lines=lines)
        yield fails(8, f"8, {desc}", QuorumUnmet, parts, quorum=quorum)


# --- in force -----------------------------------------------------------------------------------

LATER_MS = NEW_YEAR_2026_MS + 60_000


def attested(member: str = NOVA, made: MadeLog = MADE, index: int = INDEX, **said: Any) -> str:
    """A member's attestation of a statement, active unless told otherwise."""
    return sign_as(member, make_attestation(made, index, member, **said), FEDERATION)


def _changed(**changed: Any) -> str:
    """An attestation of nova's with a field replaced, signed like any other."""
    return sign_as(NOVA, replace(make_attestation(MADE, INDEX), **changed), FEDERATION)


def _attesting(*texts: str, parts: Parts = GOOD) -> Parts:
    return replace(parts, attestations=texts)


def attested_bundles() -> Iterator[Case]:
    both = _attesting(attested(), attested(UMBRA, at_ms=LATER_MS + 1))
    yield verified("in force, by two members' word", both, in_force="2")
    yield verified("in force, by one of two members' word", both, in_force="1")
    yield verified("attested, and whether in force was not asked", both)
    own = _attesting(attested(ACME), attested())
    yield verified("its own member attests beside another", own, in_force="1")
    alone = _attesting(attested(), parts=replace(GOOD, lines=[]))
    yield verified("in force without a quorum of cosigners", alone, (), quorum="none", in_force="1")
    taken = make_log(2, founded=FOUNDED)
    before = attested(made=taken, index=0)
    taken.say(make_withdraw(9, taken.said[0].id, federation_id=FEDERATION))
    words = "attested under a head before the withdraw, and cosigned under one after it"
    yield verified(words, _attesting(before, parts=parts_of(taken, 0)), in_force="1")
    withdrawn = attested(made=taken, index=0, state=State.WITHDRAWN, by=[taken.said[2].id])
    words = "attested as withdrawn, and whether in force was not asked"
    yield verified(words, _attesting(withdrawn, parts=parts_of(taken, 0)))
    until = _expiring(LATER_MS + 1)
    still = _attesting(attested(made=until, index=0), parts=parts_of(until, 0))
    yield verified("in force a millisecond before it expires", still, in_force="1")
    far = _attesting(attested(at_ms=2**53 - 1))
    yield verified("attested at a time beyond every calendar", far, in_force="1")
    longer = _attesting(attested(made=make_log(9, founded=FOUNDED)))
    yield verified("attested under a larger head than the bundle's", longer, in_force="1")


def _expiring(at_ms: int) -> MadeLog:
    made = make_log(founded=FOUNDED)
    body = make_confirm(1, expires_at_ms=at_ms)
    made.say(make_statement(1, body, federation_id=FEDERATION))
    return made


def attestations() -> Iterator[Case]:
    signed, good = make_attestation(MADE, INDEX), attested()
    text_of_it, _, line_of_it = good.partition("\n\n")
    bulk, crisis, live = signed.heads
    second = (2, CHAIN.newest.decision_sha256.hex())
    other = Checkpoint(live.origin, live.size, bytes(32))
    by_log, by_witness = (
        sign_as(NOVA, signed, FEDERATION, make_key(f"{NOVA}/{purpose}"))
        for purpose in ("live", "witness")
    )
    stranger = sign_as("stranger.example", signed, FEDERATION)
    beside = MADE.said[3].id
    about = _changed(about=str(beside), findings=(Finding(beside, State.ACTIVE),))
    chosen: tuple[tuple[str, type[FederationError], str], ...] = (
        ("that is none", NoteMalformed, "in force\n"),
        ("without its last newline", NoteMalformed, good[:-1]),
        ("with a line twice", NoteMalformed, good + line_of_it),
        ("that is a checkpoint", AttestationMalformed, GOOD.note),
        ("under another roster", RosterUnproven, _changed(roster=second)),
        ("with one word changed", SignatureInvalid, good.replace(" active", " inert")),
        ("by nobody whom the roster holds", SignatureInvalid, stranger),
        ("by a member's log key", SignatureInvalid, by_log),
        ("by a member's witness key", SignatureInvalid, by_witness),
        ("with a second line", SignatureInvalid, good + line(UMBRA)),
        ("signed as a cosignature is", SignatureInvalid, f"{text_of_it}\n\n{line()}"),
        ("of another statement", AttestationUnfit, about),
        ("of a signal", AttestationUnfit, _changed(about="pdq " + "00" * 32)),
        ("that leaves out a lane", AttestationUnfit, _changed(heads=(crisis, live))),
        ("under an older head", AttestationUnfit, _changed(heads=(bulk, crisis, _older()))),
        ("under another root", AttestationUnfit, _changed(heads=(bulk, crisis, other))),
    )
    for desc, error, wrong in chosen:
        parts = _attesting(attested(UMBRA), wrong)
        yield fails(10, f"10, an attestation {desc}", error, parts, in_force="1")
    more = Checkpoint(f"{NOVA}/{FEDERATION}/live", 0, EMPTY_ROOT)
    wider = _attesting(_changed(heads=(*signed.heads, more)))
    yield fails(10, "10, a head of another member's log", AttestationUnfit, wider)
    twice = _attesting(good, attested(at_ms=LATER_MS + 1))
    yield fails(10, "10, one member twice", AttestationMalformed, twice, in_force="1")
    yield fails(10, "10, not asked for, and wrong", SignatureInvalid, _attesting(by_log))
    gone = _without_nova()
    by_gone = sign_as(NOVA, make_attestation(MADE, INDEX, roster=gone.newest), FEDERATION)
    under = replace(_attesting(by_gone), chain=gone)
    desc = "10, an attestation by a suspended member"
    yield fails(10, desc, AttestationUnfit, under, in_force="1")
    # The bundle names version 1; version 2, by which nova is suspended, is at hand.
    desc = "10, an attestation by a member that is suspended by a later version at hand"
    at_hand = gone.versions
    yield fails(10, desc, AttestationUnfit, _attesting(good), roots=at_hand, in_force="1")


def _without_nova() -> RosterChain:
    member = suspended(FOUNDED.roster.member(NOVA), dict.fromkeys(Lane, EMPTY_PIN))
    proposal = propose_members(FOUNDED.chain, [member], now_ms=NEW_YEAR_2026_MS)
    return sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)


def _older() -> Checkpoint:
    return MADE.head(INDEX).checkpoint


def forces() -> Iterator[Case]:
    gone = attested(UMBRA, state=State.WITHDRAWN, by=[MADE.said[6].id])
    chosen: tuple[tuple[str, type[FederationError], Sequence[str], str], ...] = (
        ("nobody attests it", QuorumUnmet, [], "1"),
        ("one attests it and two were asked for", QuorumUnmet, [attested()], "2"),
        ("its own member does not count", QuorumUnmet, [attested(ACME)], "1"),
        ("one says withdrawn and one active", NotInForce, [attested(), gone], "1"),
        ("one says inert", NotInForce, [attested(UMBRA, state=State.INERT)], "1"),
        ("one says erased", NotInForce, [attested(UMBRA, state=State.ERASED)], "1"),
        ("one says unknown", NotInForce, [attested(UMBRA, state=State.UNKNOWN)], "1"),
    )
    for desc, error, texts, count in chosen:
        yield fails(11, f"11, {desc}", error, _attesting(*texts), in_force=count)
    until = _expiring(LATER_MS)
    expired = _attesting(attested(made=until, index=0), parts=parts_of(until, 0))
    yield fails(11, "11, it has expired", NotInForce, expired, in_force="1")
    for desc, expiry in (("true", b"\xc3"), ("text", text("later"))):
        timeless = make_log(founded=FOUNDED)
        raw = header(fed=fields_federation(FEDERATION))
        timeless.say(opened_statement(raw, make_salt(1), fields(exp=expiry)))
        parts = _attesting(attested(made=timeless, index=0), parts=parts_of(timeless, 0))
        yield fails(11, f"11, its expiry is {desc}", NotInForce, parts, in_force="1")
    strange = _strange_log()
    junk = _attesting(attested(made=strange, index=2), parts=parts_of(strange, 2))
    yield fails(11, "11, nobody can read it", NotInForce, junk, in_force="1")
    bare = {**_attesting(attested()).fields, "commitment": format_base64(MADE.said[2].commitment)}
    named = written({key: value for key, value in bare.items() if key not in {"body", "salt"}})
    yield fails(11, "11, its body is not at hand", NotInForce, named, in_force="1")
    yield fails(11, "11, governance took it back", NotInForce, _ruled(), in_force="1")


def _ruled() -> Parts:
    """A bundle under a roster whose version 2 takes its statement back."""
    taken = str(MADE.said[INDEX].id)

    def change(signed: dict[str, Any]) -> None:
        signed["x-hash-federation"]["withdrawn"] = [taken]

    chain = FOUNDED.chain.extend(forge_root(CHAIN.versions[1], change, FOUNDED.governors))
    return replace(GOOD, chain=chain, attestations=[attested(roster=chain.newest)])


def cases() -> list[Case]:
    """All cases, in the order of the steps."""
    return [
        *good_bundles(),
        *malformed(),
        *rosters(),
        *governed_bundles.cases(),
        *checkpoints(),
        *pinned_bundles.cases(),
        *headers(),
        *openings(),
        *inclusions(),
        *cosignatures(),
        *quorums(),
        *attested_bundles(),
        *attestations(),
        *forces(),
    ]
