"""The value of a ``url`` signal: the frozen grammar of a normalised URL.

A verifier only checks; it never normalises, because two libraries normalise in two ways. What a
publisher does to a URL before it signs stands in docs/spec/signals.md.

Source: docs/spec/signals.md; RFC 3986 sections 2, 3 and 6.2 for the normal form.
"""

from __future__ import annotations

import re
from typing import Final

from federation.local_errors.content import SignalMalformed
from federation.protocol.limits_content import URL_BYTES_MAX

DEFAULT_PORTS: Final = {b"http": b"80", b"https": b"443"}

# An octet that needs no encoding must not have one: %41 is refused, as is %2f for %2F.
_ENCODED: Final = rb"%(?:[01][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[BCDE]|60|7[BCDF]|[89A-F][0-9A-F])"
_LABEL: Final = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PLAIN: Final = rb"A-Za-z0-9._~!$&'()*+,;=:@\-"

_URL: Final = re.compile(
    rb"(?P<scheme>https?)://"
    rb"(?P<host>" + _LABEL + rb"(?:\." + _LABEL + rb")*|\[[0-9a-f:.]{2,45}\])"
    rb"(?::(?P<port>[1-9][0-9]{0,4}))?"
    rb"(?P<path>/(?:[" + _PLAIN + rb"/]|" + _ENCODED + rb")*)"
    rb"(?:\?(?:[" + _PLAIN + rb"/?]|" + _ENCODED + rb")+)?\Z"
)
HOST_BYTES_MAX: Final = 253
PORT_MAX: Final = 65_535


def check_url(value: bytes) -> None:
    """The grammar of a normalised URL.

    Raises:
        SignalMalformed: it is too long, no http(s) URL, or not in the normal form.
    """
    if len(value) > URL_BYTES_MAX:
        raise SignalMalformed(f"a URL has at most {URL_BYTES_MAX} bytes")
    parts = _URL.match(value)
    if parts is None or len(parts["host"]) > HOST_BYTES_MAX:
        raise SignalMalformed("not a normalised http or https URL")
    port = parts["port"]
    if port is not None and (port == DEFAULT_PORTS[parts["scheme"]] or int(port) > PORT_MAX):
        raise SignalMalformed("a URL's port is below 65536, and left out where it is the default")
    if {b".", b".."} & set(parts["path"].split(b"/")):
        raise SignalMalformed("a normalised URL's path has no dot segments")
