"""What ``withdraw``, ``endorse``, ``dispute`` and ``erase`` do: say something about statements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from federation.cli.answers import Answer, progress
from federation.cli.client import NodeClient
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.web import schemas

STATEMENTS_PER_REQUEST: Final = schemas.PUBLISH_STATEMENTS_MAX
"""As many as the node takes at once."""


class Saying(StrEnum):
    """What can be said about a statement; the words of the local API."""

    WITHDRAW = "withdraw"
    ENDORSE = "endorse"
    DISPUTE = "dispute"
    ERASE = "erase"


_DONE: Final = {
    Saying.WITHDRAW: ("withdrawn", "takes back"),
    Saying.ENDORSE: ("endorsed", "agrees with"),
    Saying.DISPUTE: ("disputed", "disagrees with"),
    Saying.ERASE: ("erased", "orders to erase"),
}


def say_about(config_path: Path, saying: Saying, ids: Sequence[str], reason: str) -> Answer:
    """Say one thing about some statements.

    Args:
        config_path: of the node.
        saying: what.
        ids: about which statements.
        reason: a code.

    Raises:
        FederationError: an argument is wrong, or the node refused.
    """
    targets = [str(parse_statement_id(text)) for text in ids]
    try:
        asked = [schemas.AboutRequest(statement=each, reason=reason) for each in targets]
    except ValueError:
        raise RequestMalformed(
            "a reason is a code of lower-case letters, digits and hyphens",
            hint="for example appeal-upheld, benign, wrong-label, mistake",
        ) from None
    requests = [
        schemas.PublishRequest.model_validate(
            {saying.value: asked[at : at + STATEMENTS_PER_REQUEST]}
        )
        for at in range(0, len(asked), STATEMENTS_PER_REQUEST)
    ]
    said = asyncio.run(_send(config_path, saying, requests, len(asked)))
    done, verb = _DONE[saying]
    parts = tuple(f"{each.id}  {verb} {each.statement}" for each in said)
    noun = "statement" if len(said) == 1 else "statements"
    fields = {done: [each.model_dump() for each in said]}
    return Answer(fields, parts, talk=(f"{done} {len(said)} {noun}",))


async def _send(
    config_path: Path, saying: Saying, requests: Sequence[schemas.PublishRequest], count: int
) -> list[schemas.SaidAbout]:
    said: list[schemas.SaidAbout] = []
    with progress(f"telling the node: {saying}", count) as advance:
        async with NodeClient.of(config_path) as node:
            for request in requests:
                answer = await node.post("/v1/statements", request, schemas.PublishAnswer)
                done: list[schemas.SaidAbout] = getattr(answer, _DONE[saying][0])
                said += done
                advance(len(done))
    return said
