"""Requests and answers about the feed and the webhooks; see ``schemas``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from federation.protocol.limits import INTEGER_MAX
from federation.store.webhook_store import DEAD_LETTERS_MAX


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FeedQuery(_Model):
    """Where to go on."""

    cursor: Annotated[
        str | None,
        Field(
            max_length=64,
            description="the id of the last event that was taken in; absent: a snapshot first. "
            "The header Last-Event-ID says the same and goes before",
        ),
    ] = None
    then: Annotated[
        Literal["stay", "end"],
        Field(description="once everything is told: stay for what comes, or end the answer"),
    ] = "stay"


class WebhookAnswer(_Model):
    """How one webhook stands."""

    name: str
    delivered: Annotated[int, Field(description="events its receiver took, ever")]
    behind: Annotated[int, Field(description="entries of the feed it is not through with")]
    attempts: Annotated[int, Field(description="failed tries of the event at hand")]
    failing_since_ms: int | None
    retry_at_ms: int | None
    last_error: str | None
    dead_letters: Annotated[int, Field(description="events that were given up")]


class WebhooksAnswer(_Model):
    """Every webhook of the config, by name."""

    webhooks: list[WebhookAnswer]


class DeadLettersQuery(_Model):
    """Whose."""

    name: Annotated[str | None, Field(max_length=64)] = None


class DeadLetterAnswer(_Model):
    """An event that a receiver did not take."""

    name: str
    number: int
    at_ms: int
    reason: str


class DeadLettersAnswer(_Model):
    """What was given up, by webhook, oldest first."""

    dead_letters: list[DeadLetterAnswer]


class ReplayRequest(_Model):
    """Which events to send again."""

    numbers: Annotated[
        list[Annotated[int, Field(ge=0, le=INTEGER_MAX)]], Field(max_length=DEAD_LETTERS_MAX)
    ] = []
    all: bool = False


class ReplayAnswer(_Model):
    """How many events will be sent again."""

    sending: int
