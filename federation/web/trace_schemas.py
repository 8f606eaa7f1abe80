"""Requests and answers about stories; see ``schemas``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX
from federation.web.match_schemas import SignalQuery


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TraceRequest(_Model):
    """Whose story: one statement's or one signal's; and what stood at a time."""

    statement: Annotated[str | None, Field(max_length=80, description="st_…")] = None
    signal: SignalQuery | None = None
    at_ms: Annotated[
        int | None, Field(ge=0, le=INTEGER_MAX, description="what stood then, Unix milliseconds")
    ] = None


class HolderAnswer(_Model):
    """A member whose mirror vouches for a statement."""

    member: str
    since_seconds: Annotated[int, Field(description="by its clock, POSIX seconds")]


class EventAnswer(_Model):
    """One statement, in the order of the members' own clocks."""

    id: str
    at_ms: Annotated[int, Field(description="as its member's clock says, Unix milliseconds")]
    member: str
    kind: str
    about: list[str]
    words: Annotated[str, Field(description="what it says, without any signal's value")]
    standing: Annotated[str, Field(description="of a confirm, what became of it until now")]
    erased: bool
    held_by: Annotated[list[HolderAnswer], Field(description="other members, earliest first")]


class RosterChangeAnswer(_Model):
    """A roster version that changed something for the members of the story."""

    version: int
    changes: list[str]


class VoiceAnswer(_Model):
    """A confirm that stood at the time asked about."""

    id: str
    member: str
    labels: list[str]
    endorsed_by: list[str]
    disputed_by: list[str]


class MomentAnswer(_Model):
    """What stood at the time asked about."""

    at_ms: int
    was_active: bool
    on_the_word_of: list[VoiceAnswer]
    since: Annotated[list[str], Field(description="ids of the statements made after it, in order")]
    words: Annotated[list[str], Field(description="the same in sentences")]


class TraceAnswer(_Model):
    """A story."""

    events: list[EventAnswer]
    roster: list[RosterChangeAnswer]
    at: Annotated[MomentAnswer, Field(description="at the time asked about, else now")]
