"""Where a webhook may go: nowhere inside, however its address is spelled."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest

from federation.local_errors.peers import WebhookAddressRefused
from federation.net.webhook_link import WebhookLink, is_public

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
    ],
)
async def test_an_address_inside_is_refused_before_anything_is_sent(url: str) -> None:
    async with WebhookLink(url, bytes(range(32))) as link:
        with pytest.raises(WebhookAddressRefused):
            await link.deliver("id", b"{}", NOW)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1"])
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
