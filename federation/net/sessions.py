"""Clients with an HTTP session of their own: made at the first request, closed with the client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import aiohttp


class SessionOwner(ABC):
    """One session, made when it is first needed; use it as an async context, or close it."""

    _session: aiohttp.ClientSession | None = None

    @abstractmethod
    def _make_session(self) -> aiohttp.ClientSession:
        """A new session, with the limits of its client."""

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._make_session()
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
