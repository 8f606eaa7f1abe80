"""The local API's requests and answers, as models that validate and describe at once.

The OpenAPI document is generated from these; what it promises is what is checked.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_content import (
    ITEM_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
    REASON_CHARACTERS_MAX,
    SIGNALS_MAX,
    VIDEO_FRAMES_MAX,
)
from federation.protocol.signals_frames import FRAME_BYTES

PUBLISH_STATEMENTS_MAX: Final = 1_024
"""Statements in one publish request: one batch, one checkpoint."""

SIGNAL_CHARACTERS_MAX: Final = 2 * VIDEO_FRAMES_MAX * FRAME_BYTES
"""The longest value as text: a video's frames in hex."""

TYPES_IN_WORDS: Final = "pdq, sha256, md5, vpdq, url or tlsh"
VALUE_IN_WORDS: Final = (
    "lower-case hex; of a vpdq its packed frames (docs/spec/signals.md); of a url the URL itself, "
    "which the node brings into its normal form"
)

StatementIdText = Annotated[str, StringConstraints(pattern=r"^st_[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


# --- statements ---------------------------------------------------------------------------------


class PublishedSignal(_Model):
    """A signal to publish."""

    type: Annotated[str, Field(description=TYPES_IN_WORDS, max_length=32)]
    value: Annotated[str, Field(description=VALUE_IN_WORDS, max_length=SIGNAL_CHARACTERS_MAX)]
    quality: Annotated[int | None, Field(ge=0, le=100, description="PDQ quality, where known")] = (
        None
    )


class ConfirmRequest(_Model):
    """Content that a person or a process of this company confirmed as violating."""

    signals: Annotated[list[PublishedSignal], Field(min_length=1, max_length=SIGNALS_MAX)]
    labels: Annotated[
        list[Annotated[str, Field(max_length=LABEL_CHARACTERS_MAX)]],
        Field(max_length=LABELS_MAX, description="see docs/spec/labels.md"),
    ] = []
    item: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=ITEM_CHARACTERS_MAX,
            description="your own name for the content; other members see it, so make it opaque",
        ),
    ] = None
    source: Literal["user-report", "proactive", "partner", "referral"] = "proactive"
    confirmer: Literal["human", "automated"] = "human"
    educational: bool = False
    incident: Annotated[
        StatementIdText | None,
        Field(description="the incident it belongs to; while that is open, the lane is crisis"),
    ] = None
    expires_at_ms: Annotated[
        int | None, Field(ge=0, le=INTEGER_MAX, description="Unix milliseconds")
    ] = None


class AboutRequest(_Model):
    """A statement to withdraw, endorse, dispute or erase, and why."""

    statement: StatementIdText
    reason: Annotated[
        str,
        Field(
            max_length=REASON_CHARACTERS_MAX,
            pattern=r"^[a-z][a-z0-9-]*$",
            description="a code such as appeal-upheld, benign, wrong-label, collision, agrees",
        ),
    ] = "mistake"


class PublishRequest(_Model):
    """What to say. All confirms of one request stand under one checkpoint."""

    lane: Annotated[
        str,
        Field(
            description="crisis, live or bulk; of confirms, the others choose their own",
            max_length=16,
        ),
    ] = "live"
    confirm: Annotated[list[ConfirmRequest], Field(max_length=PUBLISH_STATEMENTS_MAX)] = []
    withdraw: Annotated[
        list[AboutRequest],
        Field(max_length=PUBLISH_STATEMENTS_MAX, description="this company's own"),
    ] = []
    endorse: Annotated[
        list[AboutRequest],
        Field(max_length=PUBLISH_STATEMENTS_MAX, description="other members'"),
    ] = []
    dispute: Annotated[
        list[AboutRequest],
        Field(max_length=PUBLISH_STATEMENTS_MAX, description="other members'"),
    ] = []
    erase: Annotated[
        list[AboutRequest],
        Field(max_length=PUBLISH_STATEMENTS_MAX, description="this company's own; for ever"),
    ] = []


class Published(_Model):
    """A statement that is durable, signed and on its way."""

    id: StatementIdText
    log: str
    index: int


class SaidAbout(_Model):
    """A withdraw, endorse, dispute or erase that is durable, signed and on its way."""

    id: StatementIdText
    statement: StatementIdText


class PublishAnswer(_Model):
    """What was said, in the order of the request."""

    confirmed: list[Published]
    withdrawn: list[SaidAbout]
    endorsed: list[SaidAbout] = []
    disputed: list[SaidAbout] = []
    erased: list[SaidAbout] = []


class ReceiptAnswer(_Model):
    """A member that durably holds the statement, and since when."""

    member: str
    size: Annotated[int, Field(description="of the smallest head over it that it signed for")]
    at_seconds: Annotated[int, Field(description="when, by its clock, POSIX seconds")]
    newest_size: Annotated[int, Field(description="of the largest head of the log it signed for")]


class StatementAnswer(_Model):
    """One statement as stored here."""

    id: StatementIdText
    member: str
    kind: str
    log: str
    index: int
    claimed_at_ms: int
    references: list[StatementIdText]
    standing: Annotated[
        Literal["active", "withdrawn", "erased", "missing", "inert", "none"],
        Field(
            description="of a confirm; of any kind: erased where salt and body had to go, missing "
            "where they are not here and no erase says why, inert where it cannot be read; none "
            "for other kinds"
        ),
    ]
    endorsed_by: Annotated[list[str], Field(description="members whose endorse stands")] = []
    disputed_by: Annotated[list[str], Field(description="members whose dispute stands")] = []
    over_quota: Annotated[
        list[str],
        Field(description="quotas of its member that it came over; it counts all the same"),
    ] = []
    labels: list[str]
    signal_types: list[str]
    receipts: list[ReceiptAnswer]


# --- how the node stands ------------------------------------------------------------------------


class LogAnswer(_Model):
    """One log, as held here."""

    log: str
    member: str
    lane: str
    held: int
    known: Annotated[int, Field(description="statements under the largest head heard of")]
    last_served_seconds: Annotated[
        float | None,
        Field(description="since something of it came from peers; null: never since the start"),
    ] = None
    is_served: Annotated[
        bool, Field(description="whether something of it came from peers within half a minute")
    ] = False


class AlarmAnswer(_Model):
    """Something that a person must look at."""

    code: str
    text: str


class CatchingUpAnswer(_Model):
    """How far behind this node is."""

    lacking: Annotated[int, Field(description="statements to come, of logs that peers serve")]
    unserved: Annotated[
        int, Field(description="statements that peers offer, of logs that nobody serves")
    ] = 0
    per_second: Annotated[float, Field(description="how many became durable, of late")]
    seconds_left: Annotated[
        float | None, Field(description="at that pace; null where nothing comes, or is lacking")
    ]


class QuotaAnswer(_Model):
    """How much one member says, beside what is usual; nothing of it is refused."""

    statements_day: Annotated[int, Field(description="arrived within a day")]
    statements_day_usual: Annotated[int, Field(description="the quota of them")]
    crisis_hour: Annotated[int, Field(description="crisis statements, within an hour")]
    crisis_hour_usual: Annotated[int, Field(description="the quota of them")]
    marked: Annotated[
        dict[str, int], Field(description="statements that came over a quota, ever, by quota")
    ]


class StatusAnswer(_Model):
    """How this node stands."""

    member: str
    federation: str
    version: str
    roster_version: int
    roster_expires_at_ms: int
    governors: int
    threshold: int
    signals: Annotated[int, Field(description="that can match")]
    workers: Annotated[
        int, Field(description="processes that answer matches now, the node among them")
    ] = 1
    missing: Annotated[
        int, Field(description="statements without a body and without an erase that says why")
    ] = 0
    catching_up: CatchingUpAnswer | None = None
    logs: list[LogAnswer]
    alarms: list[AlarmAnswer]


class PeerLogAnswer(_Model):
    """One log, between this node and a peer."""

    log: str
    member: str
    lane: str
    here: int
    there: int
    behind_here: int
    behind_there: int
    receipt_size: int
    unsigned: Annotated[
        int,
        Field(description="of this node's own: the peer says to hold them and signed no receipt"),
    ] = 0


class PeerAnswer(_Model):
    """One peer, as seen from here."""

    member: str
    urls: list[str]
    link: Literal["up", "waiting", "failing", "never reached"]
    last_contact_seconds: float | None
    failures: int
    faults: int
    unserved: Annotated[int, Field(description="ranges that it offered and did not serve")]
    waits: Annotated[int, Field(description="how often it asked to be asked later")] = 0
    unjudged: Annotated[
        int, Field(description="heads not looked at after others of their message had failed")
    ] = 0
    repeats: int
    last_error: str | None
    quotas: QuotaAnswer | None = None
    logs: list[PeerLogAnswer]


class RefusedAnswer(_Model):
    """A member that the peer listener refused something, or that left its answers."""

    member: str
    standing: Annotated[
        str, Field(description="its roles; or suspended or departed; or no member any more")
    ]
    refused: Annotated[dict[str, int], Field(description="how often, by error code")]
    abandoned: Annotated[
        int, Field(description="answers that it asked for and did not take, or not in time")
    ] = 0


class PeerListenerAnswer(_Model):
    """What the listener for peers has seen since the node started."""

    connections: Annotated[int, Field(description="established now")] = 0
    handshakes_refused: Annotated[
        int, Field(description="strangers, former members, old TLS, no TLS at all")
    ] = 0
    handshakes_timed_out: int = 0
    connections_refused_busy: int = 0
    requests_malformed: Annotated[int, Field(description="what came and was not HTTP")] = 0
    requests_refused: Annotated[dict[str, int], Field(description="how often, by error code")] = (
        Field(default_factory=dict)
    )
    answers_abandoned: int = 0
    members: list[RefusedAnswer] = Field(default_factory=list)


class PeersAnswer(_Model):
    """Every peer, and who was turned away."""

    peers: list[PeerAnswer]
    listener: PeerListenerAnswer = Field(default_factory=PeerListenerAnswer)


class RosterAnswer(_Model):
    """The roster in force."""

    version: int


class HealthAnswer(_Model):
    """That the process lives, or serves."""

    status: Literal["ok", "starting"]


class Problem(_Model):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="stable; docs/reference/errors.md")]
    hint: str | None = None
