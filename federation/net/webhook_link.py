"""Delivering events to the platform's own receivers: signed, bounded, and only where it may go.

A receiver's address is looked at when its name is resolved and not before: whoever controls the
name could otherwise point it at this machine's own services after it was checked. Private addresses
are refused unless the operator allowed them for that webhook. Redirects are never followed, and an
answer's body is not read.

Source: Standard Webhooks 1.0 (headers and signature, by its own library); CloudEvents 1.0.2 HTTP
binding (structured mode).
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook
from yarl import URL

from federation.local_errors.peers import PeerTimeout, PeerUnreachable, WebhookAddressRefused
from federation.net.sessions import SessionOwner

DELIVERY_SECONDS: Final = 10.0
"""For one whole delivery: Standard Webhooks asks receivers to answer within 15 to 30 seconds, and a
receiver that only puts the event into a queue needs milliseconds."""

RETRY_AFTER_SECONDS_MAX: Final = 3_600.0
"""The longest pause that a receiver may ask for."""

MEDIA_TYPE: Final = "application/cloudevents+json; charset=utf-8"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a receiver answered.

    Attributes:
        status: the HTTP status; 200 to 299 say that it took the event.
        retry_after_seconds: how long it asked to be left alone, or None.
    """

    status: int
    retry_after_seconds: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took the event."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's success class


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may be there, and nothing of this machine or network."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    looked_at = mapped or address
    return looked_at.is_global and not looked_at.is_multicast


class _PublicResolver(AbstractResolver):
    """Resolves names, and refuses a name with any address that is not public.

    Args:
        under: who really resolves.
    """

    def __init__(self, under: AbstractResolver) -> None:
        self._under = under

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name; the connection goes to one of them and to no other."""
        found = await self._under.resolve(host, port, family)
        for each in found:
            _check_public(each["host"])
        return found

    async def close(self) -> None:
        """Close what really resolves."""
        await self._under.close()


def _check_public(host: str) -> None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if ":" in host or host.replace(".", "").isdecimal():
            # 2130706433 and 127.1 are addresses to the system, and connections to them are made
            # without asking a resolver.
            raise WebhookAddressRefused("the webhook's address is not in its usual form") from None
        return  # a name: the resolver sees its addresses
    if not is_public(address):
        raise WebhookAddressRefused("the webhook's address is private, or this machine's own")


class WebhookLink(SessionOwner):
    """Connections to one receiver; close it.

    Args:
        url: where events go.
        secret: what signs them, 24 to 64 bytes.
        allow_private: whether addresses inside the company's network are allowed.
        seconds: for one whole delivery.
    """

    def __init__(
        self,
        url: str,
        secret: bytes,
        *,
        allow_private: bool = False,
        seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self._url, self._allow_private, self._seconds = URL(url), allow_private, seconds
        self._webhook = Webhook(secret)

    async def deliver(self, event_id: str, body: bytes, at: datetime) -> Delivered:
        """Send one event.

        Args:
            event_id: the same at every try; the receiver tells repetitions by it.
            body: a CloudEvent in JSON.
            at: now; part of what is signed, so that an old delivery cannot be sent again.

        Raises:
            WebhookAddressRefused: the receiver is where it may not be.
            PeerTimeout: no whole answer in time.
            PeerUnreachable: no connection, or it broke.
        """
        if not self._allow_private:
            _check_public(self._url.host or "")
        headers = {
            "Content-Type": MEDIA_TYPE,
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._webhook.sign(event_id, at, body.decode("utf-8")),
        }
        try:
            async with self._open().post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                # The body is the receiver's affair: leaving the block drops what was not read.
                return Delivered(response.status, _retry_after(response, at))
        except TimeoutError:
            raise PeerTimeout(f"the receiver did not answer within {self._seconds:g} s") from None
        except (aiohttp.ClientError, OSError):
            raise PeerUnreachable("no connection to the receiver, or it broke") from None

    def _make_session(self) -> aiohttp.ClientSession:
        resolver: AbstractResolver = aiohttp.DefaultResolver()
        if not self._allow_private:
            resolver = _PublicResolver(resolver)
        connector = aiohttp.TCPConnector(limit=1, resolver=resolver, use_dns_cache=False)
        # No proxy or credentials from the environment, no cookies.
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )


def _retry_after(response: aiohttp.ClientResponse, now: datetime) -> float | None:
    """``Retry-After`` in seconds or as a date (RFC 9110 section 10.2.3); None where it has none."""
    given = response.headers.get("Retry-After", "").strip()
    if given.isascii() and given.isdecimal():
        return min(float(given), RETRY_AFTER_SECONDS_MAX)
    try:
        until = parsedate_to_datetime(given)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), RETRY_AFTER_SECONDS_MAX)
