"""What nodes hand each other is not well-formed, or is not proven, and a node is told of it."""

from __future__ import annotations

from federation.errors import ProtocolError, VerificationError


class LaneUnknown(ProtocolError):
    """A lane other than crisis, live or bulk."""

    code = "lane-unknown"


class TilePathMalformed(ProtocolError):
    """Not a C2SP tlog-tiles path."""

    code = "tile-path-malformed"


class FileNotAtHand(VerificationError):
    """A file of an exported log that is not there: nothing can be said of it."""

    code = "file-not-at-hand"
    default_hint = "fetch or export the log again, and look whether it was copied whole"


class TileMalformed(ProtocolError):
    """A tile or entry bundle whose bytes do not fit its width."""

    code = "tile-malformed"


class MessageMalformed(ProtocolError):
    """A peer message that breaks its grammar."""

    code = "message-malformed"


class EvidenceMalformed(ProtocolError):
    """A piece of evidence that breaks its grammar."""

    code = "evidence-malformed"


class CommitmentMismatch(VerificationError):
    """Salt and body do not open the commitment."""

    code = "commitment-mismatch"


class RootMismatch(VerificationError):
    """The statements do not hash to the signed root."""

    code = "root-mismatch"


class ConsistencyUnproven(VerificationError):
    """The consistency proof does not connect the two roots."""

    code = "consistency-unproven"


class WitnessBehind(VerificationError):
    """A witness was asked to go on from another head than the one it signed last.

    Attributes:
        size: of the head that it did sign last.
    """

    code = "witness-behind"
    default_hint = "ask again with the size that the answer says"

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class WitnessConflict(VerificationError):
    """A log under evidence, or one whose history is not the one that the witness signed."""

    code = "witness-conflict"
    default_hint = (
        "look at the evidence: the log's key signed two histories, or a backup was restored"
    )


class RosterExpired(VerificationError):
    """The newest roster is past its expiry and may admit nobody."""

    code = "roster-expired"
    default_hint = "governance must sign a new roster version"


class RosterForked(VerificationError):
    """Governance signed two rosters of one version; this node stays on the one it has."""

    code = "roster-forked"
    default_hint = "see `federation roster forks`; `federation roster pin` says which one stands"


class Fork(VerificationError):
    """One key signed two histories of one log.

    Attributes:
        first: the note (bytes, verbatim) seen first.
        second: the note that cannot be true beside it.
    """

    code = "fork"

    def __init__(self, message: str, *, first: bytes, second: bytes) -> None:
        super().__init__(message)
        self.first = first
        self.second = second


class ConvictionMalformed(ProtocolError):
    """A conviction that breaks its grammar."""

    code = "conviction-malformed"


class ConvictionUnproven(VerificationError):
    """An attestation that nothing in the file contradicts: it convicts nobody."""

    code = "conviction-unproven"


class EvidenceUnproven(VerificationError):
    """Two heads that both may be true, or that no one key signed: they convict nobody."""

    code = "evidence-unproven"
    default_hint = "believe nothing bad of the log that it names because of this file"
