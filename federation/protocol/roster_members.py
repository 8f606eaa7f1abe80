"""Members: what a roster says about each of them, and how it is read.

A value that exists is legal: the rules that hold within one member are in the constructors, those
between members in :mod:`federation.protocol.roster`. Nothing here ever disappears. A member that
leaves keeps its name, logs and keys, each log pinned, so that what it said stays provable.

Source: docs/spec/roster.md.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeVar

from federation.errors import RosterMalformed
from federation.protocol import limits
from federation.protocol.keys import check_public_key
from federation.protocol.origins import Cosigner, Lane, check_member_name
from federation.protocol.roster_fields import (
    Json,
    read_base64,
    read_fields,
    read_integer,
    read_list,
    read_text,
)
from federation.protocol.roster_mldsa import check_mldsa44_keys, read_mldsa44_keys

ROOT_HASH_BYTES: Final = 32

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[(?P<ipv6>[0-9a-f:]+)\])"
_PATH = r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*"
_URL = re.compile(rf"https(?:\+signatures)?://{_HOST}(?::(?P<port>[1-9][0-9]{{0,4}}))?{_PATH}\Z")
_PORT_MAX: Final = 65_535

_LANES: Final = list(Lane)


class MemberRole(StrEnum):
    """What a member of the roster may do; one may have several roles."""

    MEMBER = "member"  # publishes to its own logs, holds everyone's, gives receipts
    OBSERVER = "observer"  # reads bodies and publishes nothing
    AUDITOR = "auditor"  # reads the public log; bodies only where it is an observer too
    WITNESS = "witness"  # cosigns checkpoints and holds no statements


class MemberStatus(StrEnum):
    """Whether a member's word still grows."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEPARTED = "departed"


@dataclass(frozen=True, slots=True)
class Pin:
    """A place in a log, and its root hash, vouched for by governance. Raises: RosterMalformed."""

    size: int
    root_hash: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= limits.LOG_SIZE_MAX or len(self.root_hash) != ROOT_HASH_BYTES:
            raise RosterMalformed("a pin is a size and a root hash of 32 bytes")
        if (self.size == 0) != (self.root_hash == sha256().digest()):
            raise RosterMalformed("the root hash of an empty log is SHA-256 of nothing")


EMPTY_PIN: Final = Pin(0, sha256().digest())
"""Where a log stands that never published."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key that signed a log's checkpoints, or does.

    Attributes:
        public: Ed25519 public key, 32 bytes.
        start: from where on it signs, its predecessor's word ending; None for the log's first key.

    Raises:
        KeyMalformed, KeyWeak: the key can bind nobody.
    """

    public: bytes
    start: Pin | None = None

    def __post_init__(self) -> None:
        check_public_key(self.public)


@dataclass(frozen=True, slots=True)
class MemberLog:
    """One log of a member: its keys in the order in which they signed, and where it ends.

    Attributes:
        lane: which of the three.
        epoch: 0 for the first, one more for each restart that governance ordered.
        keys: at least one; the last is in use.
        pin: where the log ends, beyond which its word is evidence only; None while it may grow.

    Raises:
        RosterMalformed: keys without a start, out of order, or too many; an epoch out of range.
    """

    lane: Lane
    epoch: int
    keys: tuple[LogKey, ...]
    pin: Pin | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.epoch <= limits.EPOCH_MAX:
            raise RosterMalformed(f"an epoch is between 0 and {limits.EPOCH_MAX}")
        if not 1 <= len(self.keys) <= limits.LOG_KEYS_MAX:
            raise RosterMalformed(f"a log has between 1 and {limits.LOG_KEYS_MAX} keys")
        if [key.start is None for key in self.keys] != [True] + [False] * (len(self.keys) - 1):
            raise RosterMalformed("each key of a log but its first has a start")
        # Equal starts: a key replaced before it signed anything.
        sizes = [key.start.size for key in self.keys if key.start is not None]
        if sizes != sorted(sizes):
            raise RosterMalformed("a log's keys start at growing sizes")
        if len({pin.size for pin in self.pins}) != len(self.pins):
            raise RosterMalformed("a log has one root at one size: two of its pins exclude another")

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Where the roster says what its root is: its end and its keys' starts, by size."""
        pins = {pin for pin in (self.pin, *(key.start for key in self.keys)) if pin is not None}
        return tuple(sorted(pins, key=lambda pin: pin.size))

    @property
    def is_open(self) -> bool:
        """Whether it may still grow."""
        return self.pin is None

    @property
    def public(self) -> bytes:
        """The public key in use."""
        return self.keys[-1].public


@dataclass(frozen=True, slots=True)
class Member:
    """One name in the roster.

    Attributes:
        name: lower-case DNS name.
        roles: at least one.
        status: whether its word still grows.
        successor: who may take back its statements after it departed.
        urls: where its node is reached, best first; none for one that only calls others.
        logs: by lane, most urgent first, then by epoch.
        witness_keys, mirror_keys: Ed25519 public keys of its cosigners; the last is in use.
        tls_identities: DER certificates pinned for it; the last is the newest.
        mldsa44_keys: (lane or cosigner, ML-DSA-44 public key) of each second line, in order.

    Raises:
        ProtocolError: a rule of docs/spec/roster.md, step 6, is broken.
    """

    name: str
    roles: frozenset[MemberRole]
    status: MemberStatus
    successor: str | None
    urls: tuple[str, ...]
    logs: tuple[MemberLog, ...]
    witness_keys: tuple[bytes, ...]
    mirror_keys: tuple[bytes, ...]
    tls_identities: tuple[bytes, ...]
    mldsa44_keys: tuple[tuple[str, bytes], ...] = ()

    def __post_init__(self) -> None:
        check_member_name(self.name)
        check_mldsa44_keys(self.mldsa44_keys)
        if not self.roles:
            raise RosterMalformed(f"{self.name} has no role")
        check_urls(self.urls)
        for public in (*self.witness_keys, *self.mirror_keys):
            check_public_key(public)
        if max(len(self.witness_keys), len(self.mirror_keys)) > limits.COSIGNER_KEYS_MAX:
            raise RosterMalformed(f"a cosigner has at most {limits.COSIGNER_KEYS_MAX} keys")
        if len(self.tls_identities) > limits.TLS_IDENTITIES_MAX:
            raise RosterMalformed(
                f"a member has at most {limits.TLS_IDENTITIES_MAX} TLS identities"
            )
        for der in self.tls_identities:
            check_tls_identity(der)
        if self.successor is not None and self.status is not MemberStatus.DEPARTED:
            raise RosterMalformed(f"{self.name} has a successor but did not depart")
        self._check_logs()
        self._check_roles()

    def _check_logs(self) -> None:
        places = [(_LANES.index(log.lane), log.epoch) for log in self.logs]
        if places != sorted(set(places)):
            raise RosterMalformed(f"the logs of {self.name} are not in order of lane and epoch")
        for lane in Lane:
            logs = [log for log in self.logs if log.lane is lane]
            if [log.epoch for log in logs] != list(range(len(logs))):
                raise RosterMalformed(f"the {lane} logs of {self.name} skip an epoch")
            if any(log.is_open for log in logs[:-1]):
                raise RosterMalformed(f"a {lane} log of {self.name} was restarted without a pin")
        if not self.publishes and any(log.is_open for log in self.logs):
            raise RosterMalformed(f"{self.name} may not publish, but has a log without a pin")

    def _check_roles(self) -> None:
        if not self.is_active:
            return
        cosigns = bool(self.witness_keys)
        if self.publishes:
            lanes = {log.lane for log in self.logs}
            if lanes != set(Lane) or not cosigns or not self.mirror_keys:
                raise RosterMalformed(f"{self.name} publishes without all of its five keys")
        if MemberRole.WITNESS in self.roles and not cosigns:
            raise RosterMalformed(f"{self.name} is a witness without a key")
        if self.roles != {MemberRole.WITNESS} and not self.tls_identities:
            raise RosterMalformed(f"{self.name} has no TLS identity")

    @property
    def is_active(self) -> bool:
        """Neither suspended nor departed."""
        return self.status is MemberStatus.ACTIVE

    @property
    def publishes(self) -> bool:
        """Whether its logs may grow."""
        return self.is_active and MemberRole.MEMBER in self.roles

    def cosigner_keys(self, cosigner: Cosigner) -> tuple[bytes, ...]:
        """Its public keys in that role; the last is in use."""
        return self.witness_keys if cosigner is Cosigner.WITNESS else self.mirror_keys

    def owned(self) -> Iterator[tuple[str, bytes]]:
        """Every key and identity it holds or held, after the name of what it is for."""
        for log in self.logs:
            suffix = f"/{log.epoch}" if log.epoch else ""
            for key in log.keys:
                yield f"{self.name}/{log.lane}{suffix}", key.public
        for cosigner in Cosigner:
            for public in self.cosigner_keys(cosigner):
                yield f"{self.name}/{cosigner}", public
        for purpose, public in self.mldsa44_keys:
            yield f"{self.name}/{purpose}/mldsa44", public
        for der in self.tls_identities:
            yield f"{self.name}/tls", der


def check_urls(urls: tuple[str, ...]) -> None:
    """Accept the addresses of one member's node: in lower case, ASCII, no user, query or fragment.

    Raises:
        RosterMalformed: too many, one twice, or not ``https[+signatures]://host[:port][/path]``.
    """
    if len(urls) > limits.MEMBER_URLS_MAX or len(set(urls)) != len(urls):
        raise RosterMalformed(f"a member has at most {limits.MEMBER_URLS_MAX} URLs, each once")
    for url in urls:
        match = _URL.match(url) if len(url) <= limits.MEMBER_URL_CHARACTERS_MAX else None
        if match is None or int(match["port"] or 0) > _PORT_MAX or not _is_ipv6(match["ipv6"]):
            raise RosterMalformed(
                "a member's URL is https://host[:port][/path], or https+signatures://…",
                hint="write it in lower case, without user, query or final slash",
            )


def _is_ipv6(text: str | None) -> bool:
    # An IPv4 address mapped into IPv6 has two shortest forms (RFC 5952, section 5), and which of
    # them Python writes depends on its version: write the IPv4 address.
    try:
        address = None if text is None else ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return address is None or (str(address) == text and address.ipv4_mapped is None)


def check_tls_identity(der: bytes) -> None:
    """Accept the size; certificates are read where TLS is spoken. Raises: RosterMalformed."""
    most = limits.TLS_IDENTITY_BYTES_MAX
    if not 1 <= len(der) <= most:
        raise RosterMalformed(f"a TLS identity has between 1 and {most} bytes")


# --- reading --------------------------------------------------------------------------------------

# The fields of a member are named as the attributes are.
_MLDSA44_FIELD: Final = "mldsa44_keys"
"""Left out where there is none: rosters of before it read as they did."""

_MEMBER_FIELDS: Final = frozenset(Member.__slots__) - {_MLDSA44_FIELD}
_LOG_FIELDS: Final = frozenset({"epoch", "keys", "lane", "pin"})
_LOG_KEY_FIELDS: Final = frozenset({"public", "start"})
_PIN_FIELDS: Final = frozenset({"root", "size"})
_LOGS_MAX: Final = len(Lane) * (limits.EPOCH_MAX + 1)

_Word = TypeVar("_Word", bound=StrEnum)


def read_member(value: Json) -> Member:
    """A member, from its object in the roster.

    Raises:
        MemberNameMalformed, KeyMalformed, KeyWeak, RosterMalformed: see :class:`Member`.
    """
    has_mldsa44 = isinstance(value, dict) and _MLDSA44_FIELD in value
    optional = {_MLDSA44_FIELD} if has_mldsa44 else frozenset[str]()
    fields = read_fields(value, _MEMBER_FIELDS | optional, "a member")
    roles = [
        _word(MemberRole, role) for role in read_list(fields["roles"], "roles", len(MemberRole))
    ]
    if roles != sorted(set(roles)):
        raise RosterMalformed("the roles of a member are sorted, each once")
    successor = fields["successor"]
    urls = read_list(fields["urls"], "urls", limits.MEMBER_URLS_MAX)
    logs = read_list(fields["logs"], "logs", _LOGS_MAX)
    return Member(
        name=read_text(fields["name"], "a member's name"),
        roles=frozenset(roles),
        status=_word(MemberStatus, fields["status"]),
        successor=None if successor is None else read_text(successor, "a member's successor"),
        urls=tuple(read_text(url, "a member's URL") for url in urls),
        logs=tuple(_read_log(log) for log in logs),
        witness_keys=_read_all(fields, "witness_keys", limits.COSIGNER_KEYS_MAX),
        mirror_keys=_read_all(fields, "mirror_keys", limits.COSIGNER_KEYS_MAX),
        tls_identities=_read_all(fields, "tls_identities", limits.TLS_IDENTITIES_MAX),
        mldsa44_keys=read_mldsa44_keys(fields[_MLDSA44_FIELD]) if has_mldsa44 else (),
    )


def _read_log(value: Json) -> MemberLog:
    fields = read_fields(value, _LOG_FIELDS, "a log")
    keys = read_list(fields["keys"], "keys", limits.LOG_KEYS_MAX)
    return MemberLog(
        lane=_word(Lane, fields["lane"]),
        epoch=read_integer(fields["epoch"], "epoch", 0, limits.EPOCH_MAX),
        keys=tuple(_read_log_key(key) for key in keys),
        pin=_read_pin(fields["pin"]),
    )


def _read_log_key(value: Json) -> LogKey:
    fields = read_fields(value, _LOG_KEY_FIELDS, "a log key")
    return LogKey(read_base64(fields["public"], "a log key"), _read_pin(fields["start"]))


def _read_pin(value: Json) -> Pin | None:
    if value is None:
        return None
    fields = read_fields(value, _PIN_FIELDS, "a pin")
    size = read_integer(fields["size"], "a pin's size", 0, limits.LOG_SIZE_MAX)
    return Pin(size, read_base64(fields["root"], "a pin's root"))


def _read_all(fields: dict[str, Json], name: str, most: int) -> tuple[bytes, ...]:
    return tuple(read_base64(part, name) for part in read_list(fields[name], name, most))


def _word(vocabulary: type[_Word], value: Json) -> _Word:
    try:
        return vocabulary(read_text(value, "a word"))
    except ValueError:
        known = ", ".join(vocabulary)
        raise RosterMalformed(f"an unknown word where one of these is expected: {known}") from None
