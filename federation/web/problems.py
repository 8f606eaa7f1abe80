"""Errors on the local API: one table from the error tree to HTTP, as RFC 9457 problem details.

The body is ``application/problem+json`` with ``type`` (a URN of the stable code), ``title``,
``status``, ``detail``, ``code`` and, where there is one, ``hint``.
"""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from federation import errors, local_errors

PROBLEM_TYPE: Final = "application/problem+json"

STATUSES: Final[dict[type[errors.FederationError], int]] = {
    local_errors.ConfigError: 500,
    local_errors.PolicyInvalid: 422,
    errors.ProtocolError: 400,
    errors.TooLarge: 413,
    local_errors.PictureTooLarge: 413,
    local_errors.VideoTooLarge: 413,
    local_errors.DocumentTooLarge: 413,
    errors.VerificationError: 422,
    local_errors.PeerError: 502,
    local_errors.StoreError: 503,
    local_errors.NotFound: 404,
    local_errors.ProofNotAvailable: 409,
    local_errors.RangeNotHeld: 409,
    local_errors.CursorUnknown: 410,
    local_errors.FeedOff: 409,
    local_errors.NotAllowed: 403,
    local_errors.TokenWrong: 401,
    local_errors.TooBusy: 429,
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
    if isinstance(error, local_errors.TokenWrong):
        response.headers["WWW-Authenticate"] = 'Bearer realm="federation"'
    if isinstance(error, local_errors.TooBusy):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
