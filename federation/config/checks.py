"""What a single setting may be: each check gives the setting back, or says what it should be."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from federation.errors import MemberNameMalformed, ProtocolError
from federation.protocol.keys import KeyType
from federation.protocol.keys_foreign import parse_vkey
from federation.protocol.origins import check_member_name

LISTEN_PARTS: Final = "HOST:PORT, for example 127.0.0.1:7001 or [::1]:7001"


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of a ``listen`` setting.

    Raises:
        ValueError: not ``HOST:PORT``.
    """
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004
        raise ValueError(f"an address is {LISTEN_PARTS}")
    return host, int(port)


def check_listen(listen: str) -> str:
    """Accept ``HOST:PORT``.

    Raises:
        ValueError: anything else.
    """
    split_listen(listen)
    return listen


def check_loopback(
    listen: str,
    why: str = "the local API listens on loopback only; put your own TLS proxy before it",
) -> str:
    """Accept an address that only this machine reaches.

    Raises:
        ValueError: anything else.
    """
    host, _ = split_listen(listen)
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(why)
    return listen


def check_listen_or_off(listen: str) -> str:
    """Accept ``HOST:PORT``, or nothing.

    Raises:
        ValueError: anything else.
    """
    return check_listen(listen) if listen else listen


def check_witness_vkey(text: str) -> str:
    """Accept a cosigner's verifier key.

    Raises:
        ValueError: anything else.
    """
    try:
        vkey = parse_vkey(text)
    except ProtocolError as error:
        raise ValueError(error.message) from None
    if vkey.type is KeyType.ED25519:
        raise ValueError("a witness's key has type 04 or 06; 01 is a log's")
    return text


def check_witness_url(text: str) -> str:
    """Accept where a witness is.

    Raises:
        ValueError: anything else.
    """
    parts = urlsplit(text)
    is_local = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError("a witness's URL is https://host[:port][/path]")
    if parts.query or parts.fragment or text.endswith("/"):
        raise ValueError("a witness's URL has no query, fragment or final slash")
    return text


def check_webhook_url(text: str) -> str:
    """Accept where a webhook's receiver is.

    Raises:
        ValueError: anything else.
    """
    parts = urlsplit(text)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ValueError("a webhook's URL is https://host[:port][/path]")
    if parts.username or parts.fragment:
        raise ValueError("a webhook's URL has no user and no fragment")
    return text


def check_member(name: str) -> str:
    """Accept a member's name.

    Raises:
        ValueError: anything else.
    """
    try:
        check_member_name(name)
    except MemberNameMalformed as error:
        raise ValueError(error.message) from None
    return name


def check_member_or_none(name: str) -> str:
    """Accept a member's name, or nothing.

    Raises:
        ValueError: anything else.
    """
    return check_member(name) if name else name
