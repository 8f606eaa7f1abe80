"""How much one peer may make this node hold or wait for: sizes, counts, seconds.

These are local: two nodes that disagree about them still hold the same statements. What peers must
agree on stands in ``protocol/limits.py``. Seconds that an operator may tune are fields of
:class:`ListenerLimits` and :class:`LinkLimits`; what nobody should tune is a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from federation.protocol.limits import NOTE_BYTES_MAX, ROSTER_BYTES_MAX
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    DIGEST_BYTES_MAX,
    RANGE_ANSWER_BYTES_MAX,
)
from federation.protocol.origins import Lane

# --- certificates ---------------------------------------------------------------------------------

IDENTITY_VALID_DAYS: Final = 3_650
"""Ten years: an identity ends by a roster version, not by forgetting a date."""

IDENTITY_DER_BYTES_MAX: Final = 4 * 1024
"""A P-256 identity as made here is about 550 bytes; the rest is room for other issuers' habits."""

LEAF_VALID_HOURS: Final = 24
"""A stolen leaf key is worth one day; a node that cannot renew for a day is down anyway."""

LEAF_BACKDATED_SECONDS: Final = 3_600
"""A peer whose clock is up to an hour slow still takes a leaf minted this moment."""

RENEW_AT_LIFE_FRACTION: Final = 2 / 3
"""When to mint the next leaf: a third of the life is left to notice that renewing fails."""

CERTIFICATES_REMEMBERED_MAX: Final = 4_096
"""Certificates bound to a member and kept: 1,000 members, four leaves each, at about 200 bytes."""

# --- answers, as the asker bounds them ------------------------------------------------------------

ANNOUNCE_ANSWER_BYTES_MAX: Final = 4 * ANNOUNCE_BYTES_MAX
"""One `have` and one receipt (about 300 bytes) for each announced head (at least 100 bytes)."""

DIGEST_ANSWER_BYTES_MAX: Final = DIGEST_BYTES_MAX
STATEMENTS_ANSWER_BYTES_MAX: Final = RANGE_ANSWER_BYTES_MAX
ROSTER_ANSWER_BYTES_MAX: Final = ROSTER_BYTES_MAX
CHECKPOINT_ANSWER_BYTES_MAX: Final = NOTE_BYTES_MAX

REFUSAL_BYTES_MAX: Final = 4 * 1024
"""An error body is a code and one sentence."""

RETRY_AFTER_SECONDS_MAX: Final = 300
"""The longest pause a peer can ask for: the breaker's own cap."""

# --- HTTP framing, both directions ----------------------------------------------------------------

HTTP_LINE_BYTES_MAX: Final = 2 * 1024
"""The longest path is a log's hex name and three numbers, about 150 bytes."""

HTTP_FIELD_BYTES_MAX: Final = 2 * 1024
HTTP_FIELDS_MAX: Final = 32
"""A peer sends about six header fields."""

HTTP_FIELDS_MAX_BALANCED: Final = 64
"""Large balancers add some twenty of their own."""

READ_BUFFER_BYTES: Final = 64 * 1024
"""What may wait in memory for a slow reader of ours; twice this pauses the socket."""

ANSWER_PIECE_BYTES: Final = 64 * 1024
"""An answer is written in pieces of this size, so that a slow peer is noticed between two."""


# --- nodes that cannot be called ------------------------------------------------------------------

POLL_SECONDS: Final = 25
"""A poll's wait: below the 30 to 60 seconds after which firewalls forget a silent connection."""

POLL_GAP_SECONDS: Final = 5.0
"""Between two polls a member counts as present for so long: a round trip and a lost packet."""

POLL_BACKOFF_SECONDS_FIRST: Final = 0.25
POLL_BACKOFF_SECONDS_MAX: Final = 30.0
"""After failures; shorter than other waits, because the poll is such a node's only ear."""

CALL_WAIT_SECONDS: Final = 10.0
"""For a control call to a member that polls: as long as a link waits for an answer."""

CALL_WAIT_SECONDS_BULK: Final = 60.0
"""The same for a range of statements."""


class Share(StrEnum):
    """What kind of place a request takes while it is under way."""

    CONTROL = "control"
    CRISIS = "crisis"
    URGENT = "urgent"
    BULK = "bulk"
    POLL = "poll"


SHARE_OF_LANE: Final = MappingProxyType(
    {Lane.CRISIS: Share.CRISIS, Lane.LIVE: Share.URGENT, Lane.BULK: Share.BULK}
)
"""What a range of such a log takes; no statement waits behind a lower lane."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What all peers together, and each alone, may take of the peer listener.

    Attributes:
        backlog: connections the kernel queues while none is accepted.
        handshakes_max: TLS handshakes under way; the asker is a stranger until it ends.
        handshakes_per_address_max: of these, from one address (some members share one NAT).
        handshake_seconds: 2 round trips and a signature; 5 s survives two lost packets.
        connections_max: established connections, well below the usual 1,024 open files.
        connections_per_member_max: five pools of seven connections in all, for a node, the one
            that is taking its place, and one that was cut off and does not know it yet.
        keepalive_seconds: idle time, and time to send a request's head, before closing.
        body_seconds: for a whole request body to arrive.
        answer_seconds: for a whole answer to be taken; 4 MiB at 35 KiB/s.
        lingering_seconds: how long a refused body is thrown away so the answer can be read.
        control_in_flight_max: requests of one member at once, statements apart.
        poll_in_flight_max: long polls of one member; a newer one ends the one before.
        range_in_flight_max: ranges of logs of one lane being served to one member.
        crisis_in_flight_total_max: ranges of crisis logs being served to all members, in places
            that nothing else takes. Twice as many as for others: seldom more than a few kB each,
            and 32 members must read slowly to fill them.
        urgent_in_flight_total_max: the same of live logs.
        bulk_in_flight_total_max: the same of bulk logs; 64 answers of 4 MiB are 256 MiB.
        work_per_second: of one member, in the long run, in units of ``rates.py``. One announcement
            of a lane waits for the answer to the one before, so at 5 milliseconds away an honest
            peer makes 200 requests a second at most.
        work_burst: how much may come at once before that rate counts: ten seconds of it, as after
            a partition, when every head is told and compared.
        crisis_work_per_second: the same for announcements and ranges of crisis logs alone, twice as
            much, because statements ride along. In a crisis heads come from its issuer and from
            every neighbour, but each of these has its own.
        crisis_work_burst: see there.
        retry_after_seconds: what a member over its limit is told to wait.
        shutdown_seconds: for requests under way when the node stops.
    """

    backlog: int = 128
    handshakes_max: int = 256
    handshakes_per_address_max: int = 64
    handshake_seconds: float = 5.0
    connections_max: int = 512
    connections_per_member_max: int = 24
    keepalive_seconds: float = 105.0
    body_seconds: float = 10.0
    answer_seconds: float = 120.0
    lingering_seconds: float = 1.0
    control_in_flight_max: int = 8
    poll_in_flight_max: int = 2
    range_in_flight_max: int = 4
    crisis_in_flight_total_max: int = 128
    urgent_in_flight_total_max: int = 64
    bulk_in_flight_total_max: int = 64
    work_per_second: float = 300.0
    work_burst: float = 3_000.0
    crisis_work_per_second: float = 600.0
    crisis_work_burst: float = 6_000.0
    retry_after_seconds: int = 1
    shutdown_seconds: float = 5.0

    def in_flight(self, share: Share) -> tuple[int, int | None]:
        """How many such requests may be under way: one member's, and all members' together."""
        return {
            Share.CONTROL: (self.control_in_flight_max, None),
            Share.CRISIS: (self.range_in_flight_max, self.crisis_in_flight_total_max),
            Share.URGENT: (self.range_in_flight_max, self.urgent_in_flight_total_max),
            Share.BULK: (self.range_in_flight_max, self.bulk_in_flight_total_max),
            Share.POLL: (self.poll_in_flight_max, None),
        }[share]


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """How long this node waits for one peer, and how many connections it holds to it.

    Every wait is set: a connection without ``connect_seconds`` would hang in the TLS handshake for
    asyncio's minute when the peer's process is stopped but its kernel still accepts.

    Attributes:
        connect_seconds: name, TCP and TLS together.
        read_seconds: between two pieces of an answer, and until its first.
        control_seconds: a whole control request; and before it, for a connection to be free.
        bulk_seconds: the same for a range of statements; 4 MiB at 70 KiB/s.
        control_connections: connections for requests that must never queue behind statements.
        crisis_connections: connections for ranges of crisis logs, and for crisis announcements
            while the control connections are busy: otherwise one of these carries them, which
            is open already.
        urgent_connections: connections for ranges of live logs.
        bulk_connections: connections for ranges of bulk logs.
        poll_connections: connections for long polls; a node that can be called makes none.
        keepalive_seconds: idle time before closing; less than the listener's, so that the asker
            closes first and seldom writes into a connection that is being closed.
    """

    connect_seconds: float = 3.0
    read_seconds: float = 5.0
    control_seconds: float = 10.0
    bulk_seconds: float = 60.0
    control_connections: int = 2
    crisis_connections: int = 1
    urgent_connections: int = 1
    bulk_connections: int = 2
    poll_connections: int = 1
    keepalive_seconds: float = 90.0

    def connections(self, share: Share) -> int:
        """How many connections requests of that kind may take."""
        return {
            Share.CONTROL: self.control_connections,
            Share.CRISIS: self.crisis_connections,
            Share.URGENT: self.urgent_connections,
            Share.BULK: self.bulk_connections,
            Share.POLL: self.poll_connections,
        }[share]

    def seconds(self, *, is_long: bool) -> float:
        """How long a whole request may take; a poll's own wait comes on top."""
        return self.bulk_seconds if is_long else self.control_seconds


@dataclass(frozen=True, slots=True)
class PublicLimits:
    """What strangers may take of the public listener. A proxy before it shares one allowance.

    Attributes:
        backlog: connections the kernel queues while none is accepted.
        handshakes_max: TLS handshakes under way, beside the established connections.
        handshakes_per_address_max: of these, from one address: sixteen it takes to fill them.
        connections_max: established connections.
        connections_per_address_max: of these, from one address; loopback is a proxy, and exempt.
        handshake_seconds: for TLS; two lost packets fit.
        keepalive_seconds: idle time, and time to send a request's head, before closing; who
            never asks anything is cut within half as much again.
        body_seconds: for a request to the witness to arrive.
        answer_seconds: for an answer to be taken; a roster of 4 MiB at 35 KiB/s.
        lingering_seconds: how long a refused body is thrown away so the answer can be read.
        in_flight_max: requests being answered at once: each reads the database. One whose body is
            still coming, or whose answer is being taken, is none of them.
        requests_per_second: of one address, in the long run; loopback is exempt. A client that
            reads a whole log takes 51,200 entries a second at this rate.
        requests_burst: how many may come at once before that rate counts.
        addresses_max: addresses remembered for it; beyond it the oldest is forgotten.
        retry_after_seconds: what who is over a limit is told to wait.
        shutdown_seconds: for requests under way when the node stops.
    """

    backlog: int = 128
    handshakes_max: int = 256
    handshakes_per_address_max: int = 16
    connections_max: int = 256
    connections_per_address_max: int = 32
    handshake_seconds: float = 5.0
    keepalive_seconds: float = 30.0
    body_seconds: float = 10.0
    answer_seconds: float = 120.0
    lingering_seconds: float = 1.0
    in_flight_max: int = 32
    requests_per_second: float = 200.0
    requests_burst: int = 1_000
    addresses_max: int = 10_000
    retry_after_seconds: int = 1
    shutdown_seconds: float = 2.0
