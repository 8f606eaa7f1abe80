"""The only shared makers of the tests: whole, valid things, the same every time.

What a test does not ask for has a default; what it asks for by number differs from the one with
another number. Random salts and keys are no use here: a failure must come again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from federation.protocol.attestations import Attestation, Finding, State
from federation.protocol.attestations_signing import sign_attestation
from federation.protocol.bodies import Confirm, Erase, Readable, Withdraw
from federation.protocol.bundles import Bundle, RosterReference
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.headers import Header, StatementId
from federation.protocol.join_requests import REQUESTED_KEYS, JoinRequest, make_join_request
from federation.protocol.keys import check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits import SALT_BYTES
from federation.protocol.merkle import EMPTY_ROOT, leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import consistency_proof, inclusion_proof
from federation.protocol.notes import format_signature_line, parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.proofs import TlogProof
from federation.protocol.roster import Roster
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_drafts import sign_root
from federation.protocol.roster_proposals import (
    Proposal,
    finish,
    propose_founding,
)
from federation.protocol.roster_root import governor_key_id
from federation.protocol.signals import VALUE_BYTES, Signal, SignalType
from federation.protocol.signals_frames import Frame, encode_frames
from federation.protocol.statements import Statement
from federation.protocol.statements_writing import kind_of
from federation.protocol.statements_writing import make_statement as commit_statement
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head, Receipt, Verifier

FEDERATION_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ACME, NOVA, UMBRA = "acme.example", "nova.example", "umbra.example"
NEW_YEAR_2026_MS = 1_767_225_600_000


# --- statements ---------------------------------------------------------------------------------


def make_signal(
    number: int = 0, signal_type: SignalType = SignalType.PDQ, quality: int | None = None
) -> Signal:
    """The signal of that number: pseudo-random bytes, far from every other number's."""
    if signal_type is SignalType.VPDQ:
        return Signal(signal_type, make_video(number), quality)
    if signal_type is SignalType.URL:
        return Signal(signal_type, f"https://example.org/{number}".encode(), quality)
    drawn = sha256(f"{signal_type} {number}".encode()).digest()
    return Signal(signal_type, (drawn + drawn)[: VALUE_BYTES[signal_type]], quality)


def make_video(number: int = 0, *, frames: int = 3, quality: int = 80) -> bytes:
    """The vpdq value of that number: one frame a second, far from every other number's."""
    return encode_frames(
        [
            Frame(sha256(f"frame {at} of {number}".encode()).digest(), quality, 1_000 * at)
            for at in range(frames)
        ]
    )


def make_salt(number: int = 0) -> bytes:
    """The salt of that number; real ones are random."""
    return sha256(f"salt {number}".encode()).digest()[:SALT_BYTES]


def make_header(
    kind: str = "confirm",
    *,
    member: str = ACME,
    federation_id: str = FEDERATION_ID,
    references: Sequence[StatementId] = (),
    claimed_at_ms: int = NEW_YEAR_2026_MS,
    version: int = 1,
) -> Header:
    """A header of any kind."""
    return Header(
        federation_id=federation_id,
        member=member,
        kind=kind,
        references=tuple(references),
        claimed_at_ms=claimed_at_ms,
        version=version,
    )


def make_confirm(
    number: int = 0,
    *,
    signals: Sequence[Signal] | None = None,
    labels: Sequence[str] = ("tvec1",),
    expires_at_ms: int | None = None,
) -> Confirm:
    """The confirm of that number: one PDQ signal unless told otherwise."""
    return Confirm(
        item=f"item-{number}",
        signals=(make_signal(number, quality=80),) if signals is None else tuple(signals),
        labels=tuple(labels),
        expires_at_ms=expires_at_ms,
    )


def make_statement(
    number: int = 0,
    body: Readable | None = None,
    *,
    member: str = ACME,
    federation_id: str = FEDERATION_ID,
    references: Sequence[StatementId] = (),
    claimed_at_ms: int = NEW_YEAR_2026_MS,
) -> Statement:
    """The statement of that number: ``make_confirm(number)`` unless a body is given."""
    said = make_confirm(number) if body is None else body
    header = make_header(
        kind_of(said),
        member=member,
        federation_id=federation_id,
        references=references,
        claimed_at_ms=claimed_at_ms,
    )
    return commit_statement(header, said, make_salt(number))


def make_withdraw(
    number: int,
    *references: StatementId,
    member: str = ACME,
    federation_id: str = FEDERATION_ID,
    reason: str = "appeal-upheld",
    claimed_at_ms: int = NEW_YEAR_2026_MS + 1_000,
) -> Statement:
    """The statement of that number, which takes back others."""
    return make_statement(
        number,
        Withdraw(reason),
        member=member,
        federation_id=federation_id,
        references=references,
        claimed_at_ms=claimed_at_ms,
    )


def make_erase(
    number: int,
    *references: StatementId,
    member: str = ACME,
    federation_id: str = FEDERATION_ID,
) -> Statement:
    """The statement of that number, which orders others to be erased."""
    return make_statement(
        number,
        Erase("data-protection"),
        member=member,
        federation_id=federation_id,
        references=references,
        claimed_at_ms=NEW_YEAR_2026_MS + 2_000,
    )


# --- keys, members and rosters ------------------------------------------------------------------


def make_key(name: str) -> SigningKey:
    """The key of that name, such as ``acme.example/live`` or ``governor 0``."""
    return SigningKey.from_seed(sha256(f"key {name}".encode()).digest())


@dataclass(frozen=True)
class Company:
    """A member with its secrets.

    Attributes:
        name: the member's name.
        keys: by purpose: crisis, live, bulk, witness, mirror.
        request: what it asked governance for.
    """

    name: str
    keys: Mapping[str, SigningKey]
    request: JoinRequest


def make_member(
    name: str = ACME, *, urls: Sequence[str] | None = None, tls_identity: bytes | None = None
) -> Company:
    """The company of that name; its TLS identity is no certificate unless one is given."""
    keys = {purpose: make_key(f"{name}/{purpose}") for purpose in REQUESTED_KEYS}
    request = make_join_request(
        name,
        urls=(f"https://{name}:7001",) if urls is None else tuple(urls),
        keys=keys,
        tls_identity=f"identity of {name}".encode() if tls_identity is None else tls_identity,
    )
    return Company(name, keys, request)


def make_governors(count: int, first: int = 0) -> tuple[SigningKey, ...]:
    """So many governors, from the one of that number."""
    return tuple(make_key(f"governor {number}") for number in range(first, first + count))


@dataclass(frozen=True)
class Founded:
    """A federation with all its secrets.

    Attributes:
        chain: version 1, signed.
        companies: by name.
        governors: the holders of its root keys.
    """

    chain: RosterChain
    companies: Mapping[str, Company]
    governors: tuple[SigningKey, ...]

    @property
    def roster(self) -> Roster:
        """The newest version."""
        return self.chain.newest


def make_roster(
    *members: str | Company,
    governors: int = 1,
    threshold: int | None = None,
    now_ms: int = NEW_YEAR_2026_MS,
    expires_days: int = 90,
) -> Founded:
    """A founded federation: acme, nova and umbra, one governor, unless told otherwise."""
    companies = [
        member if isinstance(member, Company) else make_member(member)
        for member in members or (ACME, NOVA, UMBRA)
    ]
    keys = make_governors(governors)
    proposal = propose_founding(
        [company.request for company in companies],
        [key.public for key in keys],
        min(governors, 2) if threshold is None else threshold,
        now_ms=now_ms,
        expires_days=expires_days,
    )
    chain = sign_and_finish(proposal, None, keys)
    return Founded(chain, {company.name: company for company in companies}, keys)


def sign_and_finish(
    proposal: Proposal, chain: RosterChain | None, governors: Sequence[SigningKey]
) -> RosterChain:
    """The chain with the proposal in force, signed by all these governors."""
    signed = proposal.proposal_bytes
    for governor in governors:
        signed = sign_root(signed, governor.public, governor.sign)
    return finish(signed, chain)


def forge_root(
    root_bytes: bytes, change: Callable[[dict[str, Any]], object], signers: Sequence[SigningKey]
) -> bytes:
    """The root with its signed part changed, and signed again by these keys, whatever it says."""
    signed = json.loads(root_bytes)["signed"]
    change(signed)
    try:
        message = (encode_canonical(signed) or "").encode()
    except FormatError:
        message = b""  # a float has no canonical form to sign
    signatures = [
        {"keyid": governor_key_id(key.public), "sig": key.sign(message).hex()} for key in signers
    ]
    signatures.sort(key=lambda signature: signature["keyid"])
    return format_root({"signatures": signatures, "signed": signed})


def format_root(document: Mapping[str, Any]) -> bytes:
    """A root file in its one form."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode("ascii")


# --- logs ---------------------------------------------------------------------------------------


@dataclass
class MadeLog:
    """A log with its secrets, and the view of a node that follows it through the real verifier.

    Attributes:
        log: which log.
        founded: the federation it is in.
        said: every statement of it, judged or not.
        view: what the following node holds.
        moves: the steps that led there.
    """

    log: LogId
    founded: Founded
    said: list[Statement] = field(default_factory=list)
    view: LogView = field(init=False)
    moves: list[Advance] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view = LogView(self.log)
        self.verifier = Verifier(self.founded.roster, check_ed25519)
        self._leaves: list[bytes] = []

    @property
    def leaves(self) -> list[bytes]:
        """The leaf hashes of all that was said."""
        fresh = self.said[len(self._leaves) :]
        self._leaves += [leaf_hash(statement.id.entry) for statement in fresh]
        return self._leaves

    def node(self, level: int, index: int) -> bytes:
        """The tree of all that was said, from scratch: a source of subtree hashes."""
        return CompactRange().extend(self.leaves[index << level : (index + 1) << level]).root()

    def say(self, *statements: Statement) -> None:
        """Put statements into the log, which nobody has seen yet."""
        self.said += statements

    def say_numbers(self, numbers: Sequence[int]) -> None:
        """Put ``make_statement(number)`` of the log's member into it, for each number."""
        for number in numbers:
            self.say(
                make_statement(number, member=self.log.member, federation_id=self.log.federation_id)
            )

    def head(self, size: int | None = None) -> Head:
        """The signed head of that size; of all that was said unless told otherwise."""
        leaves = self.leaves[:size]
        checkpoint = Checkpoint(self.log.origin, len(leaves), CompactRange().extend(leaves).root())
        key = self.founded.companies[self.log.member].keys[self.log.lane]
        return self.verifier.open_head(sign_checkpoint(checkpoint, key))

    def advance(self, count: int | None = None) -> Advance:
        """The node's next step: so many statements, or all, under the newest head."""
        start = self.view.size
        to = len(self.said) if count is None else start + count
        head = self.head()
        proof = consistency_proof(to, head.size, self.node)
        move = self.view.advance(head, self.said[start:to], proof, self.verifier)
        self.view = move.view
        self.moves.append(move)
        return move

    def receipt(
        self,
        member: str = NOVA,
        cosigner: Cosigner = Cosigner.MIRROR,
        *,
        size: int | None = None,
        at_seconds: int = NEW_YEAR_2026_MS // 1_000,
    ) -> Receipt:
        """A member's cosignature on the head of that size; on the newest unless told otherwise."""
        head = self.head(size)
        name = cosigner_name(member, self.log.federation_id, cosigner)
        key = self.founded.companies[member].keys[cosigner]
        line = format_signature_line(cosign(head.checkpoint.text, name, key, at_seconds))
        return self.verifier.open_receipt(head, member, cosigner, line.removesuffix("\n"))


def make_log(
    count: int = 0, *, founded: Founded | None = None, member: str = ACME, lane: Lane = Lane.LIVE
) -> MadeLog:
    """A member's log of so many numbered statements, followed in one step."""
    federation = make_roster() if founded is None else founded
    made = MadeLog(LogId(member, federation.roster.federation_id, lane), federation)
    if count:
        made.say_numbers(range(count))
        made.advance()
    return made


# --- bundles ------------------------------------------------------------------------------------


def make_bundle(
    made: MadeLog,
    index: int = 0,
    cosigners: Sequence[str] = (NOVA, UMBRA),
    *,
    chain: RosterChain | None = None,
    carries_chain: bool = True,
    attestations: Sequence[str] = (),
) -> Bundle:
    """The bundle of one statement of a log, under its newest head, with these members' receipts."""
    head, founding = made.head(), chain or made.founded.chain
    lines = [parse_signature_line(f"{made.receipt(member).line}\n") for member in cosigners]
    hashes = inclusion_proof(index, head.size, made.node)
    return Bundle(
        made.said[index],
        TlogProof(index, hashes, None, add_signatures(head.note, lines)),
        RosterReference(
            version=founding.newest.version,
            decision=founding.newest.decision_sha256.hex(),
            chain=tuple(founding.versions[1:]) if carries_chain else None,
        ),
        tuple(attestations),
    )


def make_attestation(
    made: MadeLog,
    index: int = 0,
    member: str = NOVA,
    state: State = State.ACTIVE,
    *,
    at_ms: int = NEW_YEAR_2026_MS + 60_000,
    roster: Roster | None = None,
    by: Sequence[StatementId] = (),
) -> Attestation:
    """What a member attests of a statement, under the newest heads of its member's logs.

    Of the three logs only ``made`` holds something.
    """
    judged_by = roster or made.founded.roster
    heads = {log: Checkpoint(log.origin, 0, EMPTY_ROOT) for log in judged_by.logs}
    heads[made.log] = made.head().checkpoint
    said = made.said[index]
    return Attestation(
        roster=(judged_by.version, judged_by.decision_sha256.hex()),
        at_ms=at_ms,
        about=str(said.id),
        findings=(Finding(said.id, state, tuple(by)),),
        heads=tuple(
            sorted(
                (head for log, head in heads.items() if log.member == made.log.member),
                key=lambda head: head.origin,
            )
        ),
    )


def sign_as(
    member: str, attestation: Attestation, federation_id: str, key: SigningKey | None = None
) -> str:
    """The attestation's note, signed by that member's mirror unless another key is given."""
    name = cosigner_name(member, federation_id, Cosigner.MIRROR)
    return sign_attestation(attestation, name, key or make_key(f"{member}/mirror")).decode()
