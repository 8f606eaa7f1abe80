"""What the local API says about evidence and about recovering."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class EvidenceSeen(_Model):
    """A piece of evidence."""

    id: str = Field(description="SHA-256 of the file, hex")
    log: str = Field(description="the log whose key signed two histories")
    member: str
    sentence: str = Field(description="what was shown")
    seen_at_ms: int


class BranchSeen(_Model):
    """One history of a forked log."""

    log: str
    branch: int
    held: int
    size: int
    is_whole: bool


class EvidenceAnswer(_Model):
    """Everything that convicts somebody here."""

    evidence: list[EvidenceSeen]
    branches: list[BranchSeen]


class PeerHeadAnswer(_Model):
    """What a peer holds of an own log."""

    member: str
    relation: Literal["same", "behind", "ahead", "forked", "silent"]
    size: int | None
    root: str | None
    reason: str


class ShownAnswer(_Model):
    """A statement that peers hold and this node does not."""

    index: int
    id: str
    kind: str
    claimed_at_ms: int
    references: list[str]


class OwnLogAnswer(_Model):
    """One own log, as database, guard and peers have it."""

    log: str
    lane: str
    held: int
    signed: int | None
    signed_at_seconds: int | None
    peers: list[PeerHeadAnswer]
    suffix: list[ShownAnswer]


class StopAnswer(_Model):
    """Why nothing is signed."""

    log: str
    code: str
    text: str
    peer: str
    at_seconds: int


class RecoverAnswer(_Model):
    """All that is known about this node's own histories."""

    may_sign: bool
    stops: list[StopAnswer]
    logs: list[OwnLogAnswer]


class RecoverRequest(_Model):
    """What a person decided."""

    action: Literal["adopt", "go-on"]
    log: str | None = Field(None, max_length=255, description="the own log to adopt the suffix of")


class RecoveredAnswer(_Model):
    """What was done."""

    adopted: int
    may_sign: bool
