"""The models of ``POST /v1/import``: what became of each part of a list."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

LINE_BYTES_MAX: Final = 256 * 1024
"""One line: a confirm of one video of 25 minutes in hex, and as much again."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RefusedLine(_Model):
    """A line that was not published, and why."""

    line: Annotated[int, Field(description="its number in this request, from 1")]
    code: str
    reason: str


class ImportAnswer(_Model):
    """What became of one part of a list; the answer has one such line for every 2,048."""

    lines: Annotated[int, Field(description="how many lines, empty ones among them")]
    published: Annotated[int, Field(description="said now")]
    known: Annotated[int, Field(description="said before by this member, and left alone")]
    refused: list[RefusedLine]
    differing: Annotated[
        list[int],
        Field(
            description="numbers of known lines that were said with other labels, context or expiry"
        ),
    ]
    error: Annotated[
        str | None,
        Field(description="code of what stopped the import; nothing after this part was read"),
    ] = None
