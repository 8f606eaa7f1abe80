"""The roster: who is in the federation, with which keys, under which limits.

A roster is one version of a TUF root (``N.root.json``): its governors are TUF's root keys, and the
federation's facts stand in the signed part under the field ``x-hash-federation``. The bytes are
stored and served verbatim. One file alone is judged here: a :class:`Roster` is well-formed and not
yet proven, which takes :mod:`federation.protocol.roster_chain`.

Source: docs/spec/roster.md, where the steps are numbered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from federation.errors import LogUnknown, MemberUnknown, RequestMalformed, RosterMalformed
from federation.protocol import limits
from federation.protocol.headers import StatementId, parse_statement_id
from federation.protocol.keys import KeyType, VerifierKey, vkey_of
from federation.protocol.origins import Cosigner, LogId, check_federation_id, federation_id_of
from federation.protocol.roster_fields import Json, read_fields, read_integer, read_list, read_text
from federation.protocol.roster_members import Member, MemberLog, read_member
from federation.protocol.roster_root import (
    FACTS_FIELD,
    GOVERNOR,
    SignedRoot,
    decode_root,
    read_governors,
)

FACTS_FORMAT: Final = 1
"""Facts of a higher format are refused: they may change what a field means."""

_HEAD_FIELDS: Final = frozenset({"federation_id", "format", "limits", "public_delay_seconds"})
_FACTS_FIELDS: Final = _HEAD_FIELDS | {"erased", "members", "withdrawn"}
_LIMITS_FIELDS: Final = frozenset({"body_bytes", "epochs", "log_size"})


@dataclass(frozen=True, slots=True)
class RosterLimits:
    """What every node must agree on, or two nodes would hold different statements.

    Attributes:
        log_size: statements in one log.
        epochs: restarts of one lane.
        body_bytes: bytes of one statement's body.
    """

    log_size: int = limits.LOG_SIZE_MAX
    epochs: int = 16
    body_bytes: int = limits.BODY_BYTES_MAX


@dataclass(frozen=True)
class Roster:
    """One version of the roster.

    Attributes:
        version: from 1.
        federation_id: 32 hex digits, derived from the bytes of version 1 and named by all others.
        members: by name, those that departed included.
        limits: what every node agrees on.
        public_delay_seconds: how far public endpoints may lag behind.
        governors: Ed25519 public keys, in the order of their TUF key ids.
        threshold: how many of them decide.
        expires_at_ms: Unix milliseconds; from then on it admits nobody.
        withdrawn: statements that governance took back.
        erased: statements that governance ordered to be erased.
        decision_sha256: of the signed part. Two files of one version that agree in it are one
            decision with other signatures; two that do not are a forked roster.
        root_bytes: ``N.root.json``, verbatim.
        metadata: its TUF side, as it was decoded, for whoever asks who signed it; never changed.
    """

    version: int
    federation_id: str
    members: Mapping[str, Member] = field(repr=False, compare=False)
    limits: RosterLimits = field(repr=False, compare=False)
    public_delay_seconds: int = field(repr=False, compare=False)
    governors: tuple[bytes, ...] = field(repr=False, compare=False)
    threshold: int = field(repr=False, compare=False)
    expires_at_ms: int = field(repr=False, compare=False)
    withdrawn: frozenset[StatementId] = field(repr=False, compare=False)
    erased: frozenset[StatementId] = field(repr=False, compare=False)
    decision_sha256: bytes = field(repr=False, compare=False)
    root_bytes: bytes = field(repr=False)
    metadata: SignedRoot = field(repr=False, compare=False)

    @property
    def is_laptop_federation(self) -> bool:
        """Whether one person alone decides who is a member: fit for trying out, and said aloud."""
        return self.threshold == 1

    def is_expired(self, now_ms: int) -> bool:
        """Whether it may admit nobody any more; verifying and matching go on."""
        return now_ms >= self.expires_at_ms

    def member(self, name: str) -> Member:
        """The member of that name, whatever its status. Raises: MemberUnknown: there is none."""
        found = self.members.get(name)
        if found is None:
            raise MemberUnknown("the roster holds no member of that name")
        return found

    def log(self, log: LogId) -> MemberLog:
        """Keys and pin of a log, whatever its member's status. Raises: LogUnknown."""
        found = self.logs.get(log)
        if found is None:
            raise LogUnknown(f"the roster does not hold the log {log}")
        return found

    def log_vkey(self, log: LogId) -> VerifierKey:
        """The verifier key in use for a log's checkpoints. Raises: LogUnknown."""
        return vkey_of(log.origin, KeyType.ED25519, self.log(log).public)

    def cosigner_vkey(self, member: str, cosigner: Cosigner) -> VerifierKey:
        """The verifier key in use for a member's cosignatures in that role.

        Raises:
            MemberUnknown: there is no such member, or it does not cosign in that role.
        """
        keys = self.member(member).cosigner_keys(cosigner)
        if not keys:
            raise MemberUnknown(f"{member} has no {cosigner} key")
        name = f"{member}/{self.federation_id}/{cosigner}"
        return vkey_of(name, KeyType.COSIGNATURE_ED25519, keys[-1])

    def owned(self) -> Iterator[tuple[str, bytes]]:
        """Every key and identity in the roster, after the name of what it is for."""
        for public in self.governors:
            yield GOVERNOR, public
        for member in self.members.values():
            yield from member.owned()

    @cached_property
    def logs(self) -> Mapping[LogId, MemberLog]:
        """Every log it ever held, of former members too; by member, lane and epoch."""
        return {
            LogId(member.name, self.federation_id, log.lane, log.epoch): log
            for member in self.members.values()
            for log in member.logs
        }


@lru_cache(maxsize=2)  # who signs, finishes and adopts a version reads the same bytes each time
def parse_roster(root_bytes: bytes) -> Roster:
    """Read one ``N.root.json``, without asking who signed it (steps 1 to 8).

    Raises:
        TooLarge: over ``ROSTER_BYTES_MAX`` or ``ROSTER_PARTS_MAX``.
        ProtocolError: RosterMalformed, or the leaf for a malformed name or key in it.
    """
    metadata = decode_root(root_bytes)
    root = metadata.signed
    governors, threshold = read_governors(root)
    facts = read_fields(root.unrecognized_fields.get(FACTS_FIELD), _FACTS_FIELDS, FACTS_FIELD)
    read_integer(facts["format"], "the format (a later release reads higher)", 1, FACTS_FORMAT)
    roster = Roster(
        version=root.version,
        federation_id=_federation_id(root.version, facts["federation_id"], root_bytes),
        members=MappingProxyType(_members(facts["members"])),
        limits=_limits(facts["limits"]),
        public_delay_seconds=read_integer(
            facts["public_delay_seconds"],
            "public_delay_seconds",
            0,
            limits.PUBLIC_DELAY_SECONDS_MAX,
        ),
        governors=governors,
        threshold=threshold,
        expires_at_ms=int(root.expires.timestamp()) * 1_000,
        withdrawn=_statement_ids(facts["withdrawn"], "withdrawn"),
        erased=_statement_ids(facts["erased"], "erased"),
        decision_sha256=sha256(metadata.signed_bytes).digest(),
        root_bytes=root_bytes,
        metadata=metadata,
    )
    _check_between_members(roster)
    return roster


def _federation_id(version: int, value: Json, root_bytes: bytes) -> str:
    # Version 1 cannot name itself. The others must: or two federations that happen to have the
    # same governors could be given each other's decisions.
    if version == 1:
        if value is not None:
            raise RosterMalformed("version 1 of a roster cannot name its federation")
        return federation_id_of(root_bytes)
    federation_id = read_text(value, "the federation id")
    check_federation_id(federation_id)
    return federation_id


def _members(value: Json) -> dict[str, Member]:
    # (6) Each member keeps its own rules (roster_members).
    members = [read_member(part) for part in read_list(value, "members", limits.MEMBERS_MAX)]
    names = [member.name for member in members]
    if names != sorted(set(names)):
        raise RosterMalformed("the members of a roster are sorted by name, each once")
    return dict(zip(names, members, strict=True))


def _limits(value: Json) -> RosterLimits:
    fields = read_fields(value, _LIMITS_FIELDS, "limits")
    return RosterLimits(
        log_size=read_integer(fields["log_size"], "log_size", 1, limits.LOG_SIZE_MAX),
        epochs=read_integer(fields["epochs"], "epochs", 0, limits.EPOCH_MAX),
        body_bytes=read_integer(fields["body_bytes"], "body_bytes", 1, limits.BODY_BYTES_MAX),
    )


def _statement_ids(value: Json, what: str) -> frozenset[StatementId]:
    texts = [read_text(part, what) for part in read_list(value, what, limits.GOVERNANCE_IDS_MAX)]
    if texts != sorted(set(texts)):
        raise RosterMalformed(f"the ids in {what} are sorted, each once")
    try:
        return frozenset(parse_statement_id(text) for text in texts)
    except RequestMalformed as error:
        raise RosterMalformed(error.message) from None


def _check_between_members(roster: Roster) -> None:
    # (7) No key or identity stands for two things, whoever holds it.
    owners: dict[bytes, str] = {}
    for owner, key in roster.owned():
        if key in owners:
            raise RosterMalformed(f"one key stands for both {owners[key]} and {owner}")
        owners[key] = owner
    # (8) Successors are members, and no log is beyond the limits.
    for member in roster.members.values():
        if member.successor is not None and member.successor not in roster.members:
            raise RosterMalformed(f"the successor of {member.name} is no member")
        if member.successor == member.name:
            raise RosterMalformed(f"{member.name} is its own successor")
        for log in member.logs:
            sizes = [pin.size for pin in log.pins]
            if log.epoch > roster.limits.epochs or max(sizes, default=0) > roster.limits.log_size:
                raise RosterMalformed(f"a log of {member.name} is beyond the roster's limits")
