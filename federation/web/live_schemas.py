"""Requests and answers about live streams; see ``schemas``."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_content import PDQ_BYTES
from federation.protocol.signals_frames import QUALITY_MAX

FRAMES_MAX: Final = 256
"""In one request: four minutes of a stream at a frame a second, sent after an outage."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LiveFrameSignal(_Model):
    """One frame."""

    pdq: Annotated[str, Field(max_length=2 * PDQ_BYTES, description="lower-case hex")]
    quality: Annotated[int | None, Field(ge=0, le=QUALITY_MAX)] = None
    at_ms: Annotated[
        int | None,
        Field(ge=0, le=INTEGER_MAX, description="the stream's own time; else the node's clock"),
    ] = None


class LiveRequest(_Model):
    """Frames in the order of the stream."""

    frames: Annotated[list[LiveFrameSignal], Field(min_length=1, max_length=FRAMES_MAX)]


class LiveFrameQuery(_Model):
    """When the frame was."""

    at_ms: Annotated[
        str | None,
        Field(
            pattern=r"^(0|[1-9][0-9]{0,15})$",
            description="milliseconds of the stream's own time; else the node's clock",
        ),
    ] = None


class LiveAnswer(_Model):
    """How a stream stands."""

    stream: str
    action: Annotated[
        str, Field(description="what to do now: allow while nothing is raised; else the policy's")
    ]
    rule: Annotated[str | None, Field(description="of the policy, that decided")]
    why: str | None
    began_at_ms: Annotated[
        int | None, Field(description="the time of the first frame of the match that is raised")
    ]
    share_percent: Annotated[int, Field(description="how many of the window's frames match")]
    matched: Annotated[int, Field(description="frames in the window that match")]
    window: Annotated[int, Field(description="frames in the window")]
    frames: Annotated[int, Field(description="frames looked at since the stream began")]
    statements: Annotated[list[str], Field(description="the confirms behind what is raised")]


class LiveStreamsAnswer(_Model):
    """What is on."""

    streams: int
    raised: list[LiveAnswer]
