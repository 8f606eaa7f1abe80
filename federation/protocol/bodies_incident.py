"""The body of an incident statement: a crisis opened, changed its level, or closed.

Source: docs/spec/bodies.md, "incident"; the levels are those of GIFCT's incident response.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.errors import BodyMalformed
from federation.protocol.encoding import Decoded
from federation.protocol.encoding_writing import Value
from federation.protocol.limits_content import ITEM_CHARACTERS_MAX, REASON_CHARACTERS_MAX

_WORD: Final = re.compile(r"[a-z][a-z0-9-]*\Z")
_TITLE: Final = re.compile(r"[ -~]+\Z")
_FIELDS: Final = frozenset({"at", "closed", "level", "title"})


class IncidentLevel(StrEnum):
    """How grave an incident is; a reader takes words of later releases too."""

    INCIDENT = "incident"
    CONTENT_INCIDENT = "content-incident"
    PROTOCOL = "content-incident-protocol"


@dataclass(frozen=True, slots=True)
class Incident:
    """A crisis opened; or the one that the header refers to changed its level, or closed.

    Attributes:
        level: how grave it is: an :class:`IncidentLevel`, or a later word.
        at_ms: since when, by the member's account, Unix milliseconds.
        title: what it is called, printable ASCII, where it opens; None where it changes or closes.
        is_closed: whether it is over.
    """

    level: str
    at_ms: int
    title: str | None = None
    is_closed: bool = False

    @property
    def references_count(self) -> int:
        """How many statements its header refers to: none if it opens, else the one that did."""
        return 0 if self.title is not None else 1


def read_incident(fields: Mapping[str, Decoded]) -> Incident:
    """Read the fields of an incident's body.

    Raises:
        BodyMalformed: it breaks the grammar.
    """
    if not fields.keys() <= _FIELDS:
        raise BodyMalformed("an unknown field in an incident")
    at_ms, level, title = fields.get("at"), fields.get("level"), fields.get("title")
    if not isinstance(at_ms, int) or isinstance(at_ms, bool):
        raise BodyMalformed("an incident has a time in Unix milliseconds")
    if not isinstance(level, str) or len(level) > REASON_CHARACTERS_MAX or not _WORD.match(level):
        raise BodyMalformed("a level is a lower-case word")
    if fields.get("closed", True) is not True:
        raise BodyMalformed("closed is true or absent")
    is_closed = "closed" in fields
    if title is None:
        return Incident(level, at_ms, None, is_closed)
    if not isinstance(title, str) or len(title) > ITEM_CHARACTERS_MAX or not _TITLE.match(title):
        raise BodyMalformed(f"a title is 1 to {ITEM_CHARACTERS_MAX} printable ASCII characters")
    if is_closed:
        raise BodyMalformed("an incident that opens is not closed")
    return Incident(level, at_ms, title)


def incident_fields(body: Incident) -> dict[str, Value]:
    """The fields of an incident's body."""
    fields: dict[str, Value] = {"at": body.at_ms, "level": body.level}
    if body.title is not None:
        fields["title"] = body.title
    if body.is_closed:
        fields["closed"] = True
    return fields
