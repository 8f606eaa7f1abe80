"""Requests about proofs; see ``schemas``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import MEMBERS_MAX, NOTE_BYTES_MAX
from federation.web.match_schemas import SignalQuery


class BundleQuery(BaseModel):
    """What a bundle shall carry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roster: Annotated[
        Literal["chain", "hash"],
        Field(description="the roster's versions after the first, or its name alone"),
    ] = "chain"
    in_force: Annotated[
        int,
        Field(
            ge=0,
            le=MEMBERS_MAX,
            description="how many members other than the statement's own must attest that it is "
            "in force; they are asked now, and their word goes into the bundle",
        ),
    ] = 0
    second_lines: Annotated[
        bool, Field(description="ask for post-quantum lines (ML-DSA-44) under the checkpoint too")
    ] = False


class AttestRequest(BaseModel):
    """What is asked about: one statement, or one signal."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    statement: Annotated[str | None, Field(max_length=80, description="st_…")] = None
    signal: SignalQuery | None = None


class ConvictRequest(BaseModel):
    """Whose word is held against what this node knows."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    attestation: Annotated[
        str, Field(max_length=NOTE_BYTES_MAX, description="the note, as it stands in a bundle")
    ]
