"""Where the platform's other systems are told what changed: the feed, and webhooks behind it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from federation.config import NodeConfig
from federation.daemon.feed import Feed, FeedLimits
from federation.daemon.keyring import read_key_file
from federation.daemon.platform import Platform
from federation.daemon.webhooks import Persistence, Webhook, Webhooks
from federation.local_errors.askers import FeedOff
from federation.local_errors.config import KeyFileInvalid
from federation.net.webhook_link import WebhookLink
from federation.store.stores import Stores

SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
"""Standard Webhooks: 192 to 512 bits."""

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a mark of what it is, not a secret
PERSISTENCE: Final = Persistence()
"""How long deliveries are tried."""

_DAY_MS: Final = 86_400_000


class Outlets:
    """The feed and the webhooks of one node; nothing at all where the config asks for neither.

    Args:
        config: the settings.
        stores: where both are kept.
        platform: what changes.
        clock_ms: Unix milliseconds.
        alarm: tells operators (code, words).

    Raises:
        ConfigMissing, KeyFileInvalid: a webhook's secret is missing, malformed or readable by
            others.
    """

    def __init__(
        self,
        config: NodeConfig,
        stores: Stores,
        platform: Platform,
        clock_ms: Callable[[], int],
        alarm: Callable[[str, str], None],
    ) -> None:
        self._feed: Feed | None = None
        self._webhooks: Webhooks | None = None
        if not config.keeps_feed:
            return
        limits = FeedLimits(int(config.feed.history_days * _DAY_MS), config.feed.history_entries)
        self._feed = Feed(stores.feed, platform.reader, stores.signals, clock_ms, limits)
        platform.teller.listen(self._feed)
        webhooks = [
            Webhook(
                each.name,
                WebhookLink(
                    each.url,
                    read_secret(read_key_file(config.path(each.secret_file))),
                    allow_private=each.allow_private,
                ),
                frozenset(each.kinds),
            )
            for each in config.webhooks
        ]
        self._webhooks = Webhooks(
            webhooks,
            self._feed,
            stores.webhooks,
            config.member,
            clock_ms,
            SystemRandom(),
            alarm,
            PERSISTENCE,
        )

    @property
    def feed(self) -> Feed:
        """The feed.

        Raises:
            FeedOff: the config asks for none.
        """
        if self._feed is None:
            raise FeedOff("this node keeps no feed")
        return self._feed

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks.

        Raises:
            FeedOff: the config asks for no feed, and names no webhook.
        """
        if self._webhooks is None:
            raise FeedOff("this node has no webhooks")
        return self._webhooks

    async def start(self) -> None:
        """Begin to bring what there is.

        Raises:
            StoreError: the disk.
        """
        if self._webhooks is not None:
            await self._webhooks.start()

    async def keep_up(self) -> None:
        """Let go of what is too old.

        Raises:
            StoreError: the disk.
        """
        if self._feed is not None:
            await self._feed.upkeep()

    async def close(self) -> None:
        """Stop; whoever was not told is told after the next start."""
        if self._webhooks is not None:
            await self._webhooks.close()


def read_secret(raw: bytes) -> bytes:
    """A webhook's secret from the bytes of its file: base64, ``whsec_`` before it or not.

    Raises:
        KeyFileInvalid: not base64, or not of 24 to 64 bytes.
    """
    try:
        text = raw.decode("ascii").strip().removeprefix(_SECRET_PREFIX)
        secret = base64.b64decode(text, validate=True)
    except (UnicodeDecodeError, binascii.Error):
        secret = b""
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise KeyFileInvalid(
            f"a webhook's secret is base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes",
            hint="make one: openssl rand -base64 32",
        )
    return secret
