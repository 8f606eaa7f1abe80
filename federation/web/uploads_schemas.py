"""The calls about remembered uploads, as models that validate and describe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX

REFERENCES_MAX = 10_000
"""Named in one request: each is looked for in milliseconds."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class UploadsAnswer(_Model):
    """What is remembered of recent uploads."""

    signals: Annotated[int, Field(description="remembered now")]
    signals_max: int
    oldest_at_ms: Annotated[int | None, Field(description="Unix milliseconds")]


class ForgetRequest(_Model):
    """Uploads to let go of."""

    references: Annotated[
        list[Annotated[str, Field(max_length=36)]], Field(max_length=REFERENCES_MAX)
    ] = []
    before_ms: Annotated[
        int | None, Field(ge=0, le=INTEGER_MAX, description="all that were asked about earlier")
    ] = None


class ForgetAnswer(_Model):
    """What was overwritten."""

    signals: int
