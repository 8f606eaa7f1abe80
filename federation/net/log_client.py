"""Reading a public log of anybody over HTTP (C2SP tlog-tiles, the client's side).

Bytes in, bounded in size and time; what they are worth is judged elsewhere. Certificates are judged
by the machine's own trust store: a log proves itself by its key, and TLS only keeps secret who
reads.
"""

from __future__ import annotations

from typing import Final

import aiohttp

from federation.local_errors.askers import NotFound, TooBusy
from federation.local_errors.peers import (
    PeerAnswerTooLarge,
    PeerRefused,
    PeerTimeout,
    PeerUnreachable,
)
from federation.net.sessions import SessionOwner

FETCH_SECONDS: Final = 30.0
"""For one file; a bundle of the largest entries, 16 MiB, at 600 KiB/s."""

CONNECTIONS_MAX: Final = 8
"""Files at once: hosts of static files allow at least that."""

_OK: Final = 200
_ABSENT: Final = frozenset({403, 404, 410})
"""What static hosts answer for a file that is not there."""

_BUSY: Final = frozenset({429, 503})


class LogClient(SessionOwner):
    """Files of one public log; use it as an async context, or close it.

    Args:
        url: the log's prefix, without a final slash.
        seconds: for one file.
    """

    def __init__(self, url: str, seconds: float = FETCH_SECONDS) -> None:
        self._url, self._seconds = url, seconds

    async def fetch(self, path: str, bytes_max: int) -> bytes:
        """One file.

        Args:
            path: below the prefix.
            bytes_max: how long it may be.

        Raises:
            NotFound: the host has no such file.
            TooBusy: the host asks to be left alone for a moment.
            PeerRefused: another status; redirects are not followed.
            PeerTimeout, PeerUnreachable: no whole answer came.
            PeerAnswerTooLarge: it is longer than it may be.
        """
        try:
            async with self._open().get(f"{self._url}/{path}", allow_redirects=False) as response:
                if response.status in _ABSENT:
                    raise NotFound(f"{self._url} has no {path}")
                if response.status in _BUSY:
                    raise TooBusy(f"{self._url} asks to be left alone for a moment")
                if response.status != _OK:
                    raise PeerRefused(
                        f"{self._url} answered {response.status} for {path}",
                        status=response.status,
                    )
                raw = bytearray()
                async for piece in response.content.iter_any():
                    raw += piece
                    if len(raw) > bytes_max:
                        raise PeerAnswerTooLarge(f"{path} is over {bytes_max} bytes")
                return bytes(raw)
        except TimeoutError:
            raise PeerTimeout(f"{self._url} took too long for {path}") from None
        except (aiohttp.ClientError, OSError):
            raise PeerUnreachable(f"no connection to {self._url}, or it broke") from None

    def _make_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "federation-log-fetch"},
        )
