"""Asking a witness to cosign a head (C2SP tlog-witness, the client's side).

One request, bounded in size and time. What it means, and whether to ask again, is decided by the
caller; what came back is bytes of a stranger until a key has been held against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import aiohttp

from federation.local_errors.peers import PeerAnswerTooLarge, PeerTimeout, PeerUnreachable
from federation.net.sessions import SessionOwner
from federation.protocol.limits import NOTE_BYTES_MAX

WITNESS_SECONDS: Final = 1.0
"""For a whole request: a head that waits for a slow witness is late for all (Tessera's default)."""

CONNECTIONS_PER_HOST_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class WitnessReply:
    """What a witness answered.

    Attributes:
        status: the HTTP status.
        media_type: of the body, in lower case and without parameters.
        body: at most ``NOTE_BYTES_MAX``.
    """

    status: int
    media_type: str
    body: bytes


class WitnessClient(SessionOwner):
    """Connections to witnesses; use it as an async context, or close it.

    Args:
        seconds: for one whole request.
    """

    def __init__(self, seconds: float = WITNESS_SECONDS) -> None:
        self._seconds = seconds

    async def add_checkpoint(self, prefix: str, body: bytes) -> WitnessReply:
        """Send a request to the witness at a URL.

        Args:
            prefix: its submission prefix, without a final slash.
            body: the request.

        Raises:
            PeerTimeout: no whole answer within ``seconds``.
            PeerUnreachable: no connection, or it broke.
            PeerAnswerTooLarge: more than any answer has.
        """
        try:
            async with self._open().post(
                f"{prefix}/add-checkpoint", data=body, allow_redirects=False
            ) as response:
                raw = bytearray()
                async for piece in response.content.iter_any():
                    raw += piece
                    if len(raw) > NOTE_BYTES_MAX:
                        raise PeerAnswerTooLarge("a witness's answer is longer than a note")
                return WitnessReply(response.status, response.content_type.lower(), bytes(raw))
        except TimeoutError:
            raise PeerTimeout(f"the witness did not answer within {self._seconds:g} s") from None
        except (aiohttp.ClientError, OSError):
            raise PeerUnreachable("no connection to the witness, or it broke") from None

    def _make_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit_per_host=CONNECTIONS_PER_HOST_MAX)
        timeout = aiohttp.ClientTimeout(total=self._seconds)
        # No proxy or credentials from the environment, no cookies between witnesses.
        return aiohttp.ClientSession(
            connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
