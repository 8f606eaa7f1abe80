"""Bodies: what a statement of each kind carries.

Reading never fails: a body of an unknown kind or higher version, or one that breaks its grammar,
reads as :class:`Inert`, so that one strange statement never stalls a lane. Strictness lives at the
local door: what this node publishes must be readable by itself, in known words.

Source: docs/spec/bodies.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from federation.errors import BodyMalformed, EncodingMalformed, FederationError
from federation.local_errors.content import SignalMalformed
from federation.protocol.bodies_incident import Incident, read_incident
from federation.protocol.encoding import Decoded, decode_map
from federation.protocol.headers import Header, StatementId
from federation.protocol.limits import (
    BODY_BYTES_MAX,
    FORMAT_VERSION,
    ROSTER_VERSIONS_MAX,
    STATEMENT_ID_BYTES,
)
from federation.protocol.limits_content import (
    ITEM_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
    REASON_CHARACTERS_MAX,
    SIGNAL_BYTES_MAX,
    SIGNALS_MAX,
)
from federation.protocol.signals import Signal, SignalType, check_signal

DECISION_BYTES: Final = 32

_CODE = re.compile(r"[a-z][a-z0-9-]*\Z")
# Printable ASCII, spelt out: what counts as printable beyond it changes with each Unicode release,
# and then two nodes on two Python versions would read one statement differently.
_ITEM = re.compile(r"[ -~]+\Z")
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]*(?::[a-z0-9][a-z0-9._-]*)?\Z")


class Kind(StrEnum):
    """The statement kinds this release can read; others are inert."""

    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    ENDORSE = "endorse"
    DISPUTE = "dispute"
    ERASE = "erase"
    ROSTER = "roster"
    INCIDENT = "incident"


ERASABLE_KINDS: Final = frozenset({"confirm", "endorse", "dispute", "incident"})
"""What an erase removes. The others hold nothing but a reason, and say that something must go."""


class Reason(StrEnum):
    """Why; a reader takes words of later releases too."""

    AGREES = "agrees"
    APPEAL_UPHELD = "appeal-upheld"
    BENIGN = "benign"
    COLLISION = "collision"
    COURT_ORDER = "court-order"
    DATA_PROTECTION = "data-protection"
    MISTAKE = "mistake"
    WRONG_LABEL = "wrong-label"


class Source(StrEnum):
    """How the content came up at the member."""

    USER_REPORT = "user-report"
    PROACTIVE = "proactive"
    PARTNER = "partner"
    REFERRAL = "referral"


class Confirmer(StrEnum):
    """Who confirmed it."""

    HUMAN = "human"
    AUTOMATED = "automated"


@dataclass(frozen=True, slots=True)
class Confirm:
    """A person or process of the member found this content violating.

    Attributes:
        item: the publisher's own name for the content, printable ASCII; opaque to others.
        signals: what the content is recognised by, in the order published; those of types this
            release does not know are left out.
        labels: what the content is, from docs/spec/labels.md or a later vocabulary; sorted.
        source: how it came up.
        confirmer: person or process.
        educational: educational, documentary, scientific, artistic or news context.
        incident: the incident statement it belongs to, if any.
        expires_at_ms: Unix milliseconds after which it should not be acted on, if any.
        signals_unknown: how many signals were of a type this release does not know.
    """

    item: str = field(repr=False)  # may be an uploader's reference: not for logs
    signals: tuple[Signal, ...]
    labels: tuple[str, ...] = ()
    source: str = Source.PROACTIVE
    confirmer: str = Confirmer.HUMAN
    educational: bool = False
    incident: StatementId | None = None
    expires_at_ms: int | None = None
    signals_unknown: int = 0


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The member takes back the statements that the header refers to.

    Attributes:
        reason: a code such as ``appeal-upheld``; never free text.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Endorse:
    """The member looked at the statements that the header refers to, and agrees.

    Attributes:
        reason: a code such as ``agrees``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """The member looked at the statements that the header refers to, and disagrees.

    Attributes:
        reason: a code such as ``benign`` or ``collision``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Erase:
    """Salt and body of the statements that the header refers to must go, everywhere.

    Attributes:
        reason: a code such as ``data-protection``.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class ActsUnder:
    """The roster that the member's node acts under from here on.

    Attributes:
        version: from 1.
        decision: the decision digest of that version, 32 bytes (docs/spec/roster.md).
    """

    version: int
    decision: bytes


@dataclass(frozen=True, slots=True)
class Inert:
    """What this release cannot read, and therefore does not act on.

    Attributes:
        why: a short phrase for the operator, without any of the content.
    """

    why: str


About: TypeAlias = Withdraw | Endorse | Dispute | Erase
"""What is said about other statements: a reason, and the header's references."""

Readable: TypeAlias = Confirm | About | ActsUnder | Incident
Body: TypeAlias = Readable | Inert

_ABOUT: Final[dict[Kind, type[About]]] = {
    Kind.WITHDRAW: Withdraw,
    Kind.ENDORSE: Endorse,
    Kind.DISPUTE: Dispute,
    Kind.ERASE: Erase,
}


def read_body(header: Header, body: bytes) -> Body:
    """Read a body as its header's kind; never raises.

    Args:
        header: says the kind and the version.
        body: the encoded body.

    Returns:
        The reading, or :class:`Inert` with the reason where there is none.
    """
    if header.version > FORMAT_VERSION:
        return Inert(f"version {header.version} of the format")
    if header.kind not in Kind.__members__.values():
        return Inert("a kind that this release does not know")
    try:
        reading = check_body(Kind(header.kind), body)
    except FederationError as error:
        return Inert(error.message)
    if isinstance(reading, About) and not header.references:
        return Inert(f"{header.kind}: it refers to nothing")
    if isinstance(reading, Incident) and len(header.references) != reading.references_count:
        return Inert("an incident opens with a title, or refers to the one that was opened")
    return reading


def check_body(kind: Kind, body: bytes) -> Readable:
    """Read a body of a kind that this release knows.

    Raises:
        TooLarge: over ``BODY_BYTES_MAX``.
        BodyMalformed: it breaks the grammar of its kind.
    """
    try:
        fields = decode_map(body, bytes_max=BODY_BYTES_MAX)
        if kind is Kind.ROSTER:
            return _read_acts_under(fields)
        if kind is Kind.INCIDENT:
            return read_incident(fields)
        return _read_confirm(fields) if kind is Kind.CONFIRM else _read_about(kind, fields)
    except (EncodingMalformed, SignalMalformed) as error:
        raise BodyMalformed(error.message) from None


# --- confirm ------------------------------------------------------------------------------------

_CONFIRM_FIELDS: Final = frozenset({"by", "edu", "exp", "inc", "item", "labels", "signals", "src"})


def _read_confirm(fields: dict[str, Decoded]) -> Confirm:
    if not fields.keys() <= _CONFIRM_FIELDS:
        raise BodyMalformed("an unknown field in a confirm")
    signals, unknown = _read_signals(fields.get("signals"))
    incident = fields.get("inc")
    if incident is not None and not (
        isinstance(incident, bytes) and len(incident) == STATEMENT_ID_BYTES
    ):
        raise BodyMalformed("an incident is a statement id of 32 bytes")
    expires_at_ms = fields.get("exp")
    if expires_at_ms is not None and (
        isinstance(expires_at_ms, bool) or not isinstance(expires_at_ms, int)
    ):
        raise BodyMalformed("an expiry is a time in Unix milliseconds")
    # A field that says nothing is left out, or one statement would have two encodings.
    if fields.get("edu", True) is not True:
        raise BodyMalformed("the educational flag is true or absent")
    return Confirm(
        item=_content_name(fields),
        signals=signals,
        labels=read_labels(fields.get("labels")),
        source=_word(fields, "src"),
        confirmer=_word(fields, "by"),
        educational="edu" in fields,
        incident=StatementId(incident) if isinstance(incident, bytes) else None,
        expires_at_ms=expires_at_ms,
        signals_unknown=unknown,
    )


def _read_signals(value: Decoded | None) -> tuple[tuple[Signal, ...], int]:
    if not isinstance(value, list) or not 1 <= len(value) <= SIGNALS_MAX:
        raise BodyMalformed(f"a confirm carries between 1 and {SIGNALS_MAX} signals")
    signals: list[Signal] = []
    unknown = 0
    for fields in value:
        if not isinstance(fields, dict):
            raise BodyMalformed("a signal is a map")
        signal_type, signal_value = fields.get("t"), fields.get("v")
        if not isinstance(signal_type, str) or not isinstance(signal_value, bytes):
            raise BodyMalformed("a signal has a type and a value in bytes")
        if not 1 <= len(signal_value) <= SIGNAL_BYTES_MAX:
            raise BodyMalformed(f"a signal's value has at most {SIGNAL_BYTES_MAX} bytes")
        if signal_type not in SignalType.__members__.values():
            unknown += 1
            continue
        quality = fields.get("q")
        if not fields.keys() <= {"q", "t", "v"} or isinstance(quality, bool):
            raise BodyMalformed("an unknown or malformed field in a signal")
        if quality is not None and not isinstance(quality, int):
            raise BodyMalformed("a signal's quality is an integer")
        signal = Signal(SignalType(signal_type), signal_value, quality)
        check_signal(signal)
        signals.append(signal)
    if len({(signal.type, signal.value) for signal in signals}) != len(signals):
        raise BodyMalformed("a signal is given twice")
    return tuple(signals), unknown


def read_labels(value: Decoded | None) -> tuple[str, ...]:
    """The labels of a body; none where the field is absent.

    Raises:
        BodyMalformed: not a list of at most ``LABELS_MAX`` distinct labels, in order.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or not 1 <= len(value) <= LABELS_MAX:
        raise BodyMalformed(f"a confirm carries at most {LABELS_MAX} labels")
    labels = [label for label in value if isinstance(label, str) and is_label(label)]
    if len(labels) != len(value) or sorted(set(labels)) != labels:
        raise BodyMalformed("labels are distinct lower-case words in sorted order")
    return tuple(labels)


def is_label(text: str) -> bool:
    """Whether text has the form of a label: lower-case, at most one ``prefix:``."""
    return len(text) <= LABEL_CHARACTERS_MAX and _LABEL.match(text) is not None


# --- withdraw, endorse, dispute, erase ----------------------------------------------------------


def _read_about(kind: Kind, fields: dict[str, Decoded]) -> About:
    if fields.keys() != {"why"}:
        raise BodyMalformed(f"{kind}: it carries a reason and nothing else")
    return _ABOUT[kind](reason=_word(fields, "why"))


# --- roster ---------------------------------------------------------------------------------------


def _read_acts_under(fields: dict[str, Decoded]) -> ActsUnder:
    version, decision = fields.get("version"), fields.get("decision")
    if fields.keys() != {"decision", "version"} or not isinstance(decision, bytes):
        raise BodyMalformed("roster: it carries a version and a decision and nothing else")
    if isinstance(version, bool) or not isinstance(version, int):
        raise BodyMalformed("roster: a version is an integer")
    if not 1 <= version <= ROSTER_VERSIONS_MAX or len(decision) != DECISION_BYTES:
        raise BodyMalformed("roster: a version from 1 and a decision digest of 32 bytes")
    return ActsUnder(version, decision)


# --- fields -------------------------------------------------------------------------------------


def _content_name(fields: dict[str, Decoded]) -> str:
    value = fields.get("item")
    if not isinstance(value, str) or len(value) > ITEM_CHARACTERS_MAX or not _ITEM.match(value):
        raise BodyMalformed(f"item is 1 to {ITEM_CHARACTERS_MAX} printable ASCII characters")
    return value


def _word(fields: dict[str, Decoded], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or len(value) > REASON_CHARACTERS_MAX or not _CODE.match(value):
        raise BodyMalformed(f"{name} is a lower-case word")
    return value
