"""The peer API over HTTP: who asks, and whether it may, is known before what is asked is read.

What can be asked stands in ``routes.py``. Here each request is authenticated, found in that table,
held against the asker's roles in the roster of this moment, given a place, read and answered.
There is no access log; refusals are counted by code and member. What the public may read without a
certificate comes on a listener of its own, not as an exception here.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from aiohttp import web

from federation.errors import FederationError, RequestMalformed
from federation.local_errors.askers import PeerNotAMember, TooBusy
from federation.net.exchange import (
    InFlight,
    ListenerCounters,
    expect_later,
    read_body,
    refusal,
    send_answer,
    whole,
)
from federation.net.limits import ListenerLimits
from federation.net.proving import Proving
from federation.net.rates import MemberRates
from federation.net.routes import PeerDesk, Request, find_route
from federation.protocol.roster_roles import Call

_log = logging.getLogger("federation.net.listener")

Permit: TypeAlias = Callable[[str, Call], None]
"""Raises RoleNotEnough where the roster of this moment does not let that member ask for that."""

_OK: Final = 200
_MEMBER: Final = web.RequestKey("member", str)  # the asker's name, proven


class PeerApi:
    """The peer API as an aiohttp application.

    Args:
        desk: answers.
        proving: says who asks.
        permit: says whether it may.
        counters: counted into.
        limits: how many at once, how long.
        rates: how much one after the other.
    """

    def __init__(
        self,
        desk: PeerDesk,
        proving: Proving,
        permit: Permit,
        counters: ListenerCounters,
        limits: ListenerLimits,
        rates: MemberRates,
    ) -> None:
        self._desk = desk
        self._proving = proving
        self._permit = permit
        self._counters = counters
        self._limits = limits
        self._rates = rates
        self._in_flight = InFlight(limits)

    def application(self) -> web.Application:
        """To be served over the kind of connection that ``proving`` speaks of."""
        # The limits on bodies are in read_body; aiohttp's own are never reached.
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._guard, expect_handler=expect_later)
        return application

    async def _guard(self, request: web.Request) -> web.StreamResponse:
        """Answer, and turn whatever is raised into a refusal."""
        try:
            return await self._respond(request)
        except FederationError as error:
            return self._refuse(request, error)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not close the listener
            self._counters.faults += 1
            # Where, not what: an unforeseen error's text may hold a signal value.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "a peer request met a bug: %s at %s:%s",
                type(error).__name__,
                place.filename,
                place.lineno,
            )
            return self._refuse(request, FederationError("a bug"))

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        asker = self._proving.asker_of(request)
        member = request[_MEMBER] = asker.member
        route, parts = find_route(request.method, asker.path)
        self._permit(member, route.call)
        query = {name: request.query.getall(name) for name in request.query}
        asked = Request(member, parts, query)
        self._rates.begin(self._desk, route, asked)
        with self._in_flight.place(member, route.share_of(self._desk, asked)):
            bytes_max = route.body_bytes_max
            if callable(bytes_max):
                bytes_max = bytes_max(self._desk, asked)
            if bytes_max is not None:
                body = await read_body(request, bytes_max=bytes_max, limits=self._limits)
                asked = replace(asked, body=body)
            elif request.body_exists:
                raise RequestMalformed("a GET of the peer API has no body")
            self._proving.check_body(request, asked.body)
            self._rates.take(self._desk, route, asked)
            answer = await route.answer(self._desk, asked)
            seal: Mapping[str, str] = {}
            if self._proving.is_sealing:
                answer = await whole(answer)
                seal = self._proving.seal(request, _OK, answer)
            return await send_answer(
                request,
                answer,
                member,
                content_type=route.content_type,
                counters=self._counters,
                limits=self._limits,
                seal=seal,
            )

    def _refuse(self, request: web.Request, error: FederationError) -> web.StreamResponse:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("nobody is left to be refused")
        self._counters.requests_refused[error.code] += 1
        if _MEMBER in request:
            self._counters.note_refused(request[_MEMBER], error.code)
        response = refusal(error, retry_after_seconds=self._limits.retry_after_seconds)
        body = bytes(response.body) if isinstance(response.body, bytes) else b""
        response.headers.update(self._proving.seal(request, response.status, body))
        # What is left of a refused body is not worth reading, except that a peer which is only
        # asked to wait should not have to shake hands again for it.
        is_unread = request.body_exists and not request.content.is_eof()
        if isinstance(error, PeerNotAMember) or (is_unread and not isinstance(error, TooBusy)):
            response.force_close()
        return response
