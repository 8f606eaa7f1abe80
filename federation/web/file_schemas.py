"""The calls that take a file as their body: what stands in the address, and what is answered.

A query is text, so these models read numbers and flags from text; all else is as in ``schemas``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_content import (
    ITEM_CHARACTERS_MAX,
    LABEL_CHARACTERS_MAX,
    LABELS_MAX,
    PDQ_DISTANCE_MAX,
    TLSH_DISTANCE_DEFAULT,
    TLSH_DISTANCE_MAX,
)
from federation.web.match_schemas import ActionWord, MatchResult
from federation.web.schemas import Published


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MatchFileQuery(_Query):
    """What counts as a match."""

    distance_max: Annotated[
        int | None,
        Field(ge=0, le=PDQ_DISTANCE_MAX, description="of pictures and frames; else the node's"),
    ] = None
    reference: Annotated[
        str | None,
        Field(max_length=36, description="your own name for the upload; see POST /v1/match"),
    ] = None
    quality_min: Annotated[int, Field(ge=0, le=100, description="of a video's frames")] = 50
    query_percent_min: Annotated[
        int, Field(ge=0, le=100, description="share of the sent video's frames")
    ] = 80
    index_percent_min: Annotated[
        int, Field(ge=0, le=100, description="share of the known video's frames")
    ] = 0
    tlsh_distance_max: Annotated[
        int, Field(ge=0, le=TLSH_DISTANCE_MAX, description="largest TLSH distance")
    ] = TLSH_DISTANCE_DEFAULT


class ConfirmFileQuery(_Query):
    """What is said about the file; as in a confirm of ``POST /v1/statements``."""

    lane: Annotated[str, Field(max_length=16, description="crisis, live or bulk")] = "live"
    label: Annotated[
        list[Annotated[str, Field(max_length=LABEL_CHARACTERS_MAX)]],
        Field(max_length=LABELS_MAX, description="once for each label"),
    ] = []
    item: Annotated[str | None, Field(min_length=1, max_length=ITEM_CHARACTERS_MAX)] = None
    source: Literal["user-report", "proactive", "partner", "referral"] = "proactive"
    confirmer: Literal["human", "automated"] = "human"
    educational: bool = False
    expires_at_ms: Annotated[int | None, Field(ge=0, le=INTEGER_MAX)] = None
    exact: Annotated[
        bool,
        Field(
            description="where it cannot be decoded, or shows too little detail, publish its "
            "SHA-256 and MD5 alone"
        ),
    ] = False


class Unread(_Answer):
    """Why a file was looked at by its bytes only."""

    code: Annotated[str, Field(description="stable; docs/reference/errors.md")]
    detail: str


class FileResult(_Answer):
    """What is known about one signal of the file."""

    type: str
    result: MatchResult


class MatchFileAnswer(_Answer):
    """What to do about a file: the strongest of what its signals say."""

    action: ActionWord
    kind: Annotated[str, Field(description="picture, video, pdf, text or other")]
    unread: Annotated[
        Unread | None,
        Field(description="why only exact copies were looked for, where the kind has more"),
    ] = None
    results: list[FileResult]


class PublishFileAnswer(_Answer):
    """The confirm of a file, durable, signed and on its way."""

    kind: str
    signal_types: list[str]
    unread: Unread | None = None
    statement: Published
