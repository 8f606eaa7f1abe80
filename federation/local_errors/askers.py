"""What a node does not have, and what its askers have no right to."""

from __future__ import annotations

from federation.errors import FederationError


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


class AskedTooMuch(TooBusy):
    """A member asked this node for more work than one member may; ask again after a moment."""

    code = "asked-too-much"
