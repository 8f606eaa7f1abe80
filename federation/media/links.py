"""A URL as people write it -> the normal form that is signed and asked about.

The steps stand in docs/spec/signals.md. yarl does the work (percent-encoding, IDNA, dot segments):
aiohttp brings it, and it is kept by the same people. What comes out is judged by the frozen grammar
of ``protocol/signals_urls`` like anybody's; a link that does not pass it is refused, never mended.
"""

from __future__ import annotations

from yarl import URL

from federation.local_errors.content import SignalMalformed
from federation.protocol.limits_content import URL_BYTES_MAX
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_urls import check_url


def signal_of_url(text: str) -> Signal:
    """The ``url`` signal of a link.

    Raises:
        SignalMalformed: no http or https URL, one with a user name, or too long.
    """
    return Signal(SignalType.URL, normalise_url(text))


def normalise_url(text: str) -> bytes:
    """The normal form of a link, in ASCII; of a normal form, itself.

    Raises:
        SignalMalformed: no http or https URL, one with a user name, or too long.
    """
    stripped = text.strip()
    # Encoded, a character takes at most nine times its place; longer text is not worth the work.
    if len(stripped) > URL_BYTES_MAX:
        raise SignalMalformed(f"a URL has at most {URL_BYTES_MAX} bytes")
    try:
        url = URL(stripped).with_fragment(None)
        if url.scheme not in {"http", "https"} or not url.raw_host:
            raise SignalMalformed("a link is an http or https URL with a host")
        if url.raw_user is not None or url.raw_password is not None:
            raise SignalMalformed("a URL with a user name is not taken: it may be a credential")
        host = url.raw_host.rstrip(".")
        port = "" if url.is_default_port() or url.explicit_port is None else f":{url.explicit_port}"
        name = f"[{host}]" if ":" in host else host
        query = f"?{url.raw_query_string}" if url.raw_query_string else ""
        value = f"{url.scheme}://{name}{port}{url.raw_path or '/'}{query}".encode("ascii")
    except (ValueError, TypeError, RecursionError):
        raise SignalMalformed("not a URL") from None
    check_url(value)
    return value
