"""Models of the local API's answers about the roster; unknown fields are refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PinReceipt(_Model):
    """Who had signed for the head at a pin, and when."""

    member: str
    at_seconds: int


class PinAnswer(_Model):
    """Where one open log could end, and what would no longer count."""

    log: str
    lane: str
    epoch: int
    size: int
    root: Annotated[str, Field(description="root hash at that size, hex")]
    held: Annotated[int, Field(description="statements held here")]
    receipts: list[PinReceipt]
    falls: Annotated[dict[str, int], Field(description="kind -> statements beyond the pin")]
    undone: Annotated[list[str], Field(description="taken back beyond the pin: they count again")]
    erased: Annotated[list[str], Field(description="erased beyond the pin: their bodies are gone")]


class PinsAnswer(_Model):
    """A pin for each open log of a member."""

    member: str
    pins: list[PinAnswer]


class PinsQuery(_Model):
    """Which pins."""

    before: Annotated[
        int | None,
        Field(
            description="POSIX seconds: only what others had signed for before",
            ge=0,
            le=INTEGER_MAX,
        ),
    ] = None


class RosterSide(_Model):
    """One of several rosters of one version."""

    version: int
    decision: Annotated[str, Field(description="decision digest, hex")]
    is_held: Annotated[bool, Field(description="whether this node follows it")]
    root: Annotated[str, Field(description="the file, verbatim")]


class RosterForksAnswer(_Model):
    """Rosters of which there are several of one version."""

    sides: list[RosterSide]


class RosterPinRequest(_Model):
    """Which of them stands."""

    version: Annotated[int, Field(ge=1, le=INTEGER_MAX)]
    decision: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="decision digest, hex")]
