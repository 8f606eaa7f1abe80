"""The errors that only a node meets: its operator's, its peers', its disk's and its askers'.

    FederationError
    ├── ConfigError        the operator wrote or placed something wrong
    ├── ProtocolError      bytes or values that are not well-formed
    ├── VerificationError  well-formed, but not proven
    │   └── Fork           a log's key signed two histories; carries the evidence
    ├── PeerError          another node was silent, refused, or answered nonsense
    ├── StoreError         our own disk or database
    ├── NotFound           no such thing here
    └── NotAllowed         the asker has no right to it

Some leaves of ``ProtocolError`` and ``VerificationError`` stand here too: of forms that only nodes
exchange, of what only they judge who hold whole logs, and of what is refused at a node's local
door. The tree and its rules are told in ``errors``; the auditor's program knows nothing of this
room.
"""

from __future__ import annotations

from federation.errors import FederationError, ProtocolError, VerificationError

# --- the operator's ------------------------------------------------------------------------------


class ConfigError(FederationError):
    """What the operator wrote or placed is wrong."""

    code = "config-error"


class ConfigInvalid(ConfigError):
    """A setting has a wrong type or value, or the file has a key nobody knows."""

    code = "config-invalid"


class PolicyInvalid(ConfigError):
    """A policy with an unknown word or a contradiction; the one in force stays in force."""

    code = "policy-invalid"
    default_hint = "see docs/guides/writing_a_policy.md; `federation policy check FILE` tells all"


class ConfigMissing(ConfigError):
    """The config file, or a file it names, does not exist."""

    code = "config-missing"


class AlreadyInitialised(ConfigError):
    """``init`` found a node where it was told to make one; nothing was overwritten."""

    code = "already-initialised"
    default_hint = "choose an empty directory; keys are never overwritten"


class KeyFileInvalid(ConfigError):
    """A key file is malformed, of another kind, or readable by others."""

    code = "key-file-invalid"


class RosterMissing(ConfigError):
    """The node has no root of trust yet."""

    code = "roster-missing"


class DataDirectoryForeign(ConfigError):
    """The data directory belongs to another member or another federation."""

    code = "data-directory-foreign"


class DataDirectoryBusy(ConfigError):
    """Another process of this machine runs on the data directory."""

    code = "data-directory-busy"
    default_hint = "one node per data directory: stop the other process first"


class PortInUse(ConfigError):
    """A listener's address is taken."""

    code = "port-in-use"
    default_hint = "stop the other program, or change the listen setting in node.toml"


# --- not well-formed, between nodes ---------------------------------------------------------------


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


# --- not proven, of whole logs and of a roster in force ------------------------------------------


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


# --- refused at the local door -------------------------------------------------------------------


class SignalMalformed(ProtocolError):
    """A signal of unknown type, or a value that breaks its type's grammar."""

    code = "signal-malformed"


class SignalLowQuality(ProtocolError):
    """A PDQ signal whose picture has too little detail to be told from others."""

    code = "signal-low-quality"
    default_hint = "publish a detailed frame or an exact hash (sha256) instead"


class SignalDegenerate(ProtocolError):
    """A signal that would match things nobody meant: all zero, or the hash of an empty file."""

    code = "signal-degenerate"


class LabelUnknown(ProtocolError):
    """A label outside the vocabulary, refused at the local door only."""

    code = "label-unknown"


class KindUnknown(ProtocolError):
    """A statement kind that this node cannot publish."""

    code = "kind-unknown"


class PictureUnreadable(ProtocolError):
    """A file that is no picture, is truncated, or is of a kind not accepted."""

    code = "picture-unreadable"


class PictureTooLarge(ProtocolError):
    """A picture whose file or pixels are over the limit, or that took too much to decode."""

    code = "picture-too-large"


class VideoUnreadable(ProtocolError):
    """A file that is no video of an accepted kind, or of which not one frame can be decoded."""

    code = "video-unreadable"


class VideoTooLarge(ProtocolError):
    """A video that is too long, has too many pixels, or took too much to decode."""

    code = "video-too-large"


class DocumentUnreadable(ProtocolError):
    """A PDF that is broken or encrypted, or a text that is not Unicode."""

    code = "document-unreadable"


class DocumentTooLarge(ProtocolError):
    """A PDF or text that is too long, or that took too much to read."""

    code = "document-too-large"


# --- another node's ------------------------------------------------------------------------------


class PeerError(FederationError):
    """Another node was silent, refused, or answered nonsense."""

    code = "peer-error"


class PeerUnreachable(PeerError):
    """No connection, or it broke."""

    code = "peer-unreachable"


class PeerTimeout(PeerError):
    """The peer did not answer in time."""

    code = "peer-timeout"


class PeerRefused(PeerError):
    """The peer answered with an error.

    Attributes:
        status: the HTTP status it answered with.
        retry_after_seconds: when it asked to be left alone, for how long.
    """

    code = "peer-refused"

    def __init__(
        self, message: str, *, status: int, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class PeerIdentityWrong(PeerError):
    """The certificate at the other end is not the one the roster pins for that member."""

    code = "peer-identity-wrong"


class PeerAnswerTooLarge(PeerError):
    """The peer's answer is longer than this kind of answer may be; it was not read to its end."""

    code = "peer-answer-too-large"


class WebhookAddressRefused(PeerError):
    """A webhook's receiver is at an address that is private, or this machine's own."""

    code = "webhook-address-refused"
    default_hint = "if it is meant to be inside, set allow_private for this webhook in node.toml"


class NodeUnreachable(PeerError):
    """The command line could not reach its own node's local API."""

    code = "node-unreachable"
    default_hint = "is `federation serve` running with this config?"


# --- ours ----------------------------------------------------------------------------------------


class StoreError(FederationError):
    """Our own disk or database."""

    code = "store-error"


class StoreFull(StoreError):
    """The disk is full; what was acknowledged before is safe."""

    code = "store-full"
    default_hint = "free some space; the node goes on by itself"


class StoreCorrupt(StoreError):
    """What was read is not what was written."""

    code = "store-corrupt"
    default_hint = "move the database away; the node rebuilds others' logs from any honest peer"


class StoreNewer(StoreError):
    """The database was written by a newer release."""

    code = "store-newer"
    default_hint = "run the release that wrote it, or a newer one"


class StoreConflict(StoreError):
    """A compare-and-swap lost: another writer moved the log."""

    code = "store-conflict"


class IndexFileInvalid(StoreError):
    """A file of the index is damaged, another node's or another release's: it is made again."""

    code = "index-file-invalid"
    default_hint = "nothing to do: the node reads its store again, which takes longer"


class NodeStarting(StoreError):
    """The node has not read its store yet and cannot answer for it."""

    code = "node-starting"
    default_hint = "ask again when GET /readyz answers 200"


class StoreUnavailable(StoreError):
    """The database cannot be opened, read or written now: permissions, a lock, a failing disk."""

    code = "store-unavailable"
    default_hint = "check the disk, the data directory's owner, and that no copy of the node runs"


# --- absent, and not permitted -------------------------------------------------------------------


class NotFound(FederationError):
    """No such thing here."""

    code = "not-found"


class MethodNotThere(NotFound):
    """The peer API has that path, but not for that method of HTTP."""

    code = "method-not-there"


class CallNotWaiting(NotFound):
    """A member brought the answer to a call that nobody waits for any more."""

    code = "call-not-waiting"


class StatementNotFound(NotFound):
    """This node holds no statement of that id."""

    code = "statement-not-found"


class RememberingOff(NotFound):
    """This node remembers no uploads."""

    code = "remembering-off"
    default_hint = "set signals_max under [remembering] in node.toml"


class LogNotFound(NotFound):
    """This node holds no log of that name."""

    code = "log-not-found"


class RangeNotHeld(NotFound):
    """This node does not hold the whole range; ask another peer."""

    code = "range-not-held"


class ProofNotAvailable(NotFound):
    """The statement is stored but no signed checkpoint covers it yet."""

    code = "proof-not-available"


class CursorUnknown(NotFound):
    """A feed cursor of another node, of a database that is gone, or of entries long gone."""

    code = "cursor-unknown"
    default_hint = "take the snapshot: ask for the feed without a cursor"


class FeedOff(NotFound):
    """This node keeps no feed."""

    code = "feed-off"
    default_hint = "set enabled = true under [feed] in node.toml"


class LiveStreamUnknown(NotFound):
    """No stream of that name is on: it never began, ended, or was silent for too long."""

    code = "live-stream-unknown"


class WebhookUnknown(NotFound):
    """No webhook of that name is in the config, or it gave up no such event."""

    code = "webhook-unknown"


class NothingToConvict(NotFound):
    """Nothing that this node holds contradicts the attestation."""

    code = "nothing-to-convict"


class AttestationNotGiven(NotFound):
    """This node cannot give its word on that now; another member's may."""

    code = "attestation-not-given"
    default_hint = "ask another member"


class NotAllowed(FederationError):
    """The asker has no right to it."""

    code = "not-allowed"


class TokenWrong(NotAllowed):
    """The bearer token is missing or wrong."""

    code = "token-wrong"
    default_hint = "send Authorization: Bearer with the text of the node's token file"


class PeerNotAMember(NotAllowed):
    """The TLS client is not a member of this federation, or no longer one."""

    code = "peer-not-a-member"


class RequestUnproven(NotAllowed):
    """A message that should be signed is not, or its signature is not by the leaf it shows."""

    code = "request-unproven"
    default_hint = "a balancer must pass body, path and the signature's fields on unchanged"


class ClockSkew(NotAllowed):
    """A signed message is older, or younger, than the clocks of two nodes may differ."""

    code = "clock-skew"
    default_hint = "set the clocks of both machines by NTP; nothing else is wrong"


class RequestReplayed(NotAllowed):
    """A signed request came a second time, or was made before this node started."""

    code = "request-replayed"
    default_hint = "an asker signs each attempt anew"


class RoleNotEnough(NotAllowed):
    """A member of the roster asked for what none of its roles allows, or is not active any more."""

    code = "role-not-enough"
    default_hint = "governance decides roles: federation roster propose role"


class LogEnded(NotAllowed):
    """Governance suspended this node's member, or ended or rekeyed the log it would publish to."""

    code = "log-ended"
    default_hint = "see `federation roster show`; governance lifts a pin or takes new keys"


class NotYourStatement(NotAllowed):
    """Only the member who made a statement takes it back, and only others endorse or dispute it."""

    code = "not-your-statement"


class SigningStopped(NotAllowed):
    """Nothing is signed: a restored backup, a second copy or a thief may have signed meanwhile."""

    code = "signing-stopped"
    default_hint = "look at it before anything else: federation recover"


class IncidentClosed(NotAllowed):
    """An incident that was closed does not change any more, and is not opened again."""

    code = "incident-closed"


class StatementNotOpen(NotAllowed):
    """The statement is of a kind that this cannot be said about, such as erasing a withdraw."""

    code = "statement-not-open"


class TooBusy(NotAllowed):
    """A queue is at its limit; ask again after a moment.

    Attributes:
        retry_after_seconds: how long a moment is, where that is known.
    """

    code = "too-busy"

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds
