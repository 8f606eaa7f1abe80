"""The one judge: what was received becomes what may be believed here, or raises.

Node, auditor and tests all walk into this room. It is the only maker of :class:`Head`,
:class:`VerifiedStatement` and :class:`Receipt`; stores, indexes and gossip accept nothing else, and
their types say so. The signature check is an argument, so that a simulator may run a hundred
thousand schedules; what is checked never depends on it.

Each check carries the step number of docs/spec/verification.md.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from federation import errors
from federation.protocol.checkpoints import Checkpoint, open_cosignature, parse_checkpoint
from federation.protocol.headers import Header, StatementId, decode_header
from federation.protocol.keys import KeyType, SignatureCheck, VerifierKey, vkey_of
from federation.protocol.notes import Note, format_note, parse_note, parse_signature_line
from federation.protocol.origins import Cosigner, LogId, parse_origin
from federation.protocol.roster import Roster
from federation.protocol.roster_members import MemberLog
from federation.protocol.statements import Statement

_SEAL: Final = object()

HEADS_OPENED_MAX: Final = 4_096  # of 1 kB: the newest of 1,000 members' three lanes, and some


class _Sealed:
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:  # a programming error: somebody believes without the judge
            raise TypeError("only the verifier makes verified values")


@dataclass(frozen=True)
class Head(_Sealed):
    """A checkpoint that its log's own key has signed. Equal by (log, size, root), never by bytes.

    Attributes:
        log: whose log.
        size: statements in the log.
        root_hash: 32 bytes.
        note: the checkpoint and its log's own signature line, verbatim.
        vkey: the log's key that signed it.
    """

    log: LogId
    size: int
    root_hash: bytes
    note: bytes = field(compare=False, repr=False)
    vkey: VerifierKey = field(compare=False, repr=False)
    seal: object = field(compare=False, repr=False)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint the note carries."""
        return Checkpoint(self.log.origin, self.size, self.root_hash)


@dataclass(frozen=True)
class VerifiedStatement(_Sealed):
    """A statement proven to be its member's, at its place in its log.

    Attributes:
        log: the log it stands in.
        index: its place, from 0.
        statement: the bytes, verbatim.
        header: the reading of its header.
    """

    log: LogId
    index: int
    statement: Statement
    header: Header
    seal: object = field(compare=False, repr=False)

    @property
    def id(self) -> StatementId:
        """The statement's id."""
        return self.statement.id


@dataclass(frozen=True)
class Receipt(_Sealed):
    """A mirror's or witness's cosignature on a head, proven.

    Attributes:
        head: what was cosigned.
        member: who cosigned.
        cosigner: as mirror (a receipt proper: durably held) or as witness.
        at_seconds: the cosigner's clock, POSIX seconds.
        line: the signature line, verbatim, without its newline.
    """

    head: Head
    member: str
    cosigner: Cosigner
    at_seconds: int
    line: str
    seal: object = field(compare=False, repr=False)


def speakers(log: MemberLog, size: int, root_hash: bytes) -> tuple[bytes, ...]:
    """The public keys whose word counts for a head of that size and root; the newest comes last.

    None where the roster pins the log, at that size, to another root, or ended it before. At the
    size where a key starts, its predecessor's last word and its own first one both count.
    """
    if log.pin is None and len(log.keys) == 1 and log.keys[0].start is None:
        return (log.public,)
    is_off = any(pin.size == size and pin.root_hash != root_hash for pin in log.pins)
    if is_off or (log.pin is not None and log.pin.size < size):
        return ()
    starts = [0 if key.start is None else key.start.size for key in log.keys]
    spans = zip(log.keys, starts, [*starts[1:], size], strict=True)
    return tuple(key.public for key, start, end in spans if start <= size <= end)


class Verifier:
    """Judges heads, statements and receipts against one roster.

    Args:
        roster: who is a member, with which keys, under which limits.
        check_signature: ``(public key, message, signature) -> bool``.
    """

    def __init__(self, roster: Roster, check_signature: SignatureCheck) -> None:
        self.roster = roster
        self.check_signature = check_signature
        self._opened: OrderedDict[bytes, Head] = OrderedDict()

    def open_head(self, note: bytes) -> Head:
        """Judge a signed checkpoint (steps 1 to 4); one that was proven before is the same head.

        Raises:
            NoteMalformed, CheckpointMalformed, OriginMalformed: not well-formed (1).
            WrongFederation, LogUnknown: a log that this federation's roster does not hold (2).
            BeyondPin: beyond the place where the roster ended the log, or off a pin (3).
            SignatureInvalid: not signed by a key that speaks for the log at that size (3).
            TooLarge: a size beyond the roster's largest log (4).
        """
        if (known := self._opened.get(note)) is not None:
            return known
        # (1) A signed note that carries a checkpoint of an origin of this protocol.
        signed = parse_note(note)
        checkpoint = parse_checkpoint(signed.text)
        log = parse_origin(checkpoint.origin)
        # (2) The log is one that the roster holds.
        if log.federation_id != self.roster.federation_id:
            raise errors.WrongFederation(f"the log {log} is of another federation")
        held = self.roster.log(log)
        # (3) A key that the roster lets speak for the log at this size, and with this root, signed.
        speaking = speakers(held, checkpoint.size, checkpoint.root_hash)
        publics = speaking or tuple(key.public for key in held.keys)
        vkeys = [vkey_of(log.origin, KeyType.ED25519, public) for public in publics]
        signers = {line.signer for line in signed.signatures}
        vkey = next((each for each in vkeys if (each.name, each.key_id) in signers), vkeys[-1])
        line = signed.signature_by(vkey.name, vkey.key_id)
        if line is None or not self.check_signature(
            vkey.public, signed.text.encode(), line.signature
        ):
            raise errors.SignatureInvalid(f"no key of {log} signed its checkpoint")
        if not speaking:
            raise errors.BeyondPin(
                f"the log {log} signed {checkpoint.size}: the roster pins it elsewhere"
            )
        # (4) Its size is one that every node agreed to hold.
        if checkpoint.size > self.roster.limits.log_size:
            raise errors.TooLarge(f"the log {log} claims {checkpoint.size} statements")
        # Lines by anybody else go no further: nobody signed for them, and a head that carried what
        # one relay put under it would be too long to announce for all who took it.
        kept = format_note(Note(signed.text, (line,)))
        head = Head(log, checkpoint.size, checkpoint.root_hash, kept, vkey, _SEAL)
        self._opened[kept] = head  # every peer tells it: one signature check is enough
        if len(self._opened) > HEADS_OPENED_MAX:
            self._opened.popitem(last=False)  # in one step: threads ask, too
        return head

    def stands(self, head: Head) -> bool:
        """Whether a head that was believed under an earlier roster would be under this one."""
        held = self.roster.logs.get(head.log)
        return held is not None and head.vkey.public in speakers(held, head.size, head.root_hash)

    def open_statement(self, log: LogId, index: int, statement: Statement) -> VerifiedStatement:
        """Judge one statement of a log (steps 5 to 8); its place is proven by the log view.

        Args:
            log: the log it was received for.
            index: its place there, from 0.
            statement: the received bytes; the commitment of an opened one was computed from them.

        Raises:
            HeaderMalformed, WrongFederation, WrongMember: unreadable, or of another log (5 to 7).
            TooLarge: a body over the roster's limit (8).
        """
        # (5) The header can be read. Kind and body need not be, and are not looked at here: what
        # cannot be read is inert.
        header = decode_header(statement.header_bytes)
        # (6) It was made for this federation, and (7) by the log's own member: nobody can copy a
        # statement into a log of his own and look like a second opinion.
        if header.federation_id != log.federation_id:
            raise errors.WrongFederation(f"a statement in {log} names another federation")
        if header.member != log.member:
            raise errors.WrongMember(f"a statement in {log} names another member")
        # (8) The body is not over the limit. Whether it may be absent is not for this judge to say:
        # a statement without it is proven all the same, and missing until an erase is at hand.
        opening = statement.opening
        if opening is not None and len(opening.body) > self.roster.limits.body_bytes:
            raise errors.TooLarge(f"statement {index} of {log} is over the body limit")
        return VerifiedStatement(log, index, statement, header, _SEAL)

    def open_receipt(self, head: Head, member: str, cosigner: Cosigner, line: str) -> Receipt:
        """Judge a line, without its newline, as a member's cosignature on a head (steps 11 and 12).

        Raises:
            MemberUnknown: the roster holds no such member, or no key of it for the role (11).
            NoteMalformed, SignatureInvalid: not that cosigner's signature on this head (12).
        """
        # (11) The member is in the roster and has a key for the role.
        vkey = self.roster.cosigner_vkey(member, cosigner)
        # (12) The line is that key's cosignature on this very checkpoint.
        signature = parse_signature_line(f"{line}\n")
        at_seconds = open_cosignature(head.checkpoint.text, signature, vkey, self.check_signature)
        if at_seconds == 0:
            raise errors.SignatureInvalid("a cosignature without a time is no receipt")
        return Receipt(head, member, cosigner, at_seconds, line, _SEAL)
