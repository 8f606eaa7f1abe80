"""Calls that wait for a node which cannot be called, until it asks for them.

A node behind a firewall connects to others and takes no connections. What others would ask of it
waits with them; it polls, carries each call out as if it had come to its own listener, and brings
the answer. So such a node takes part in everything, and nothing else in the protocol knows of it.

Source: docs/spec/messages.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from federation.errors import EncodingMalformed
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.encoding import Decoded, decode_map
from federation.protocol.encoding_writing import Value, encode
from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_messages import (
    CALL_BODY_BYTES_MAX,
    CALL_TARGET_CHARACTERS_MAX,
    CALLS_BYTES_MAX,
    CALLS_MAX,
)

_TARGET: Final = re.compile(r"/[!-~]*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """One call.

    Attributes:
        number: names it to the node it is from; later calls have higher numbers.
        target: path and query, as they would stand in a request.
        body: what would be posted; None where the request is a GET.

    Raises:
        MessageMalformed: a number or length out of range, or a target that is none.
    """

    number: int
    target: str
    body: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.number <= INTEGER_MAX:
            raise MessageMalformed(f"a call's number is from 1 to {INTEGER_MAX}")
        if len(self.target) > CALL_TARGET_CHARACTERS_MAX or not _TARGET.match(self.target):
            raise MessageMalformed("a call's target is a path and a query, in printable ASCII")
        if self.body is not None and len(self.body) > CALL_BODY_BYTES_MAX:
            raise MessageMalformed(f"a call's body has at most {CALL_BODY_BYTES_MAX} bytes")

    @property
    def method(self) -> str:
        """The method of HTTP that it stands for."""
        return "GET" if self.body is None else "POST"


def encode_calls(calls: tuple[WaitingCall, ...]) -> bytes:
    """Encode the answer of ``GET /v1/heads``; the inverse of :func:`decode_calls`."""
    parts: list[Value] = []
    for call in calls:
        fields: dict[str, Value] = {"number": call.number, "target": call.target}
        if call.body is not None:
            fields["body"] = call.body
        parts.append(fields)
    return encode({"calls": parts})


def decode_calls(encoded: bytes) -> tuple[WaitingCall, ...]:
    """Decode the answer of ``GET /v1/heads``: calls in the order of their numbers.

    Raises:
        TooLarge: over ``CALLS_BYTES_MAX``.
        MessageMalformed: anything else that is not such an answer.
    """
    try:
        fields = decode_map(encoded, bytes_max=CALLS_BYTES_MAX)
    except EncodingMalformed as error:
        raise MessageMalformed(error.message) from None
    parts = fields.get("calls")
    if fields.keys() != {"calls"} or not isinstance(parts, list) or len(parts) > CALLS_MAX:
        raise MessageMalformed(f"a map of the field calls, a list of at most {CALLS_MAX}")
    calls = tuple(_call(part) for part in parts)
    numbers = [call.number for call in calls]
    if numbers != sorted(set(numbers)):
        raise MessageMalformed("calls come in the order of their numbers, each once")
    return calls


def _call(value: Decoded) -> WaitingCall:
    names = {"number", "target"}
    if not isinstance(value, dict) or not names <= value.keys() <= names | {"body"}:
        raise MessageMalformed("a call is a map of the fields body, number, target")
    number, target, body = value["number"], value["target"], value.get("body")
    if not isinstance(number, int) or isinstance(number, bool) or not isinstance(target, str):
        raise MessageMalformed("a call's number is an integer and its target text")
    if body is not None and not isinstance(body, bytes):
        raise MessageMalformed("a call's body is bytes")
    return WaitingCall(number, target, body)
