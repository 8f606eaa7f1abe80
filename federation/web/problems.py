"""Errors on the local API: one table from the error tree to HTTP, as RFC 9457 problem details.

The body is ``application/problem+json`` with ``type`` (a URN of the stable code), ``title``,
``status``, ``detail``, ``code`` and, where there is one, ``hint``.
"""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from federation import errors
from federation.local_errors.askers import (
    CursorUnknown,
    FeedOff,
    NotAllowed,
    NotFound,
    ProofNotAvailable,
    RangeNotHeld,
    TokenWrong,
    TooBusy,
)
from federation.local_errors.config import ConfigError, PolicyInvalid
from federation.local_errors.content import DocumentTooLarge, PictureTooLarge, VideoTooLarge
from federation.local_errors.disk import StoreError
from federation.local_errors.peers import PeerError

PROBLEM_TYPE: Final = "application/problem+json"

STATUSES: Final[dict[type[errors.FederationError], int]] = {
    ConfigError: 500,
    PolicyInvalid: 422,
    errors.ProtocolError: 400,
    errors.TooLarge: 413,
    PictureTooLarge: 413,
    VideoTooLarge: 413,
    DocumentTooLarge: 413,
    errors.VerificationError: 422,
    PeerError: 502,
    StoreError: 503,
    NotFound: 404,
    ProofNotAvailable: 409,
    RangeNotHeld: 409,
    CursorUnknown: 410,
    FeedOff: 409,
    NotAllowed: 403,
    TokenWrong: 401,
    TooBusy: 429,
}
"""The nearest class above an error decides; a leaf stands here where it differs from its branch."""

RETRY_AFTER_SECONDS: Final = 1
"""What a caller over a limit is told to wait: a lane writes thousands of statements in it."""


def status_of(error: errors.FederationError) -> int:
    """The HTTP status of an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem(error: errors.FederationError) -> web.Response:
    """The answer that tells a caller about an error."""
    status = status_of(error)
    fields: dict[str, object] = {
        "type": f"urn:hash-federation:error:{error.code}",
        "title": error.code.replace("-", " "),
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    if error.hint:
        fields["hint"] = error.hint
    response = web.Response(
        status=status, body=json.dumps(fields).encode("utf-8"), content_type=PROBLEM_TYPE
    )
    if isinstance(error, TokenWrong):
        response.headers["WWW-Authenticate"] = 'Bearer realm="federation"'
    if isinstance(error, TooBusy):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
