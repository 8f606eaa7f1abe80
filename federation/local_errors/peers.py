"""Another node was silent, refused, or answered nonsense."""

from __future__ import annotations

from federation.errors import FederationError


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
