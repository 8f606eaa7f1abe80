"""``POST /v1/import``: a list of any length, as JSON lines, published while it arrives.

Each line is a confirm as in ``POST /v1/statements``. The answer is JSON lines too, one for every
2,048 lines of the list, written when they are durable. What is held at a time is one such part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from federation.daemon.importing import IMPORT_BATCH, SLICE, name_listed
from federation.daemon.node import Node
from federation.errors import FederationError, RequestMalformed, TooLarge
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane
from federation.protocol.origins_local import parse_lane
from federation.web import schemas
from federation.web.confirming import confirm_of
from federation.web.import_schemas import LINE_BYTES_MAX, ImportAnswer, RefusedLine
from federation.web.routes import Call, words_of

MEDIA_TYPE: Final = "application/x-ndjson"


@dataclass(slots=True)
class _Part:
    """Up to ``IMPORT_BATCH`` lines, read."""

    first: int
    lines: int = 0
    numbers: list[int] = field(default_factory=list)
    confirms: list[Confirm] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)

    def read(self, line: bytes | None) -> None:
        """Take the next line in; None for one that was too long to keep."""
        number = self.first + self.lines
        self.lines += 1
        try:
            if line is None:
                raise TooLarge(f"a line has at most {LINE_BYTES_MAX} bytes")
            if not line.strip():
                return
            self.confirms.append(_read_line(line))
            self.numbers.append(number)
        except FederationError as error:
            self.refuse(number, error)

    def refuse(self, number: int, error: FederationError) -> None:
        """That line cannot be published."""
        self.refused.append(RefusedLine(line=number, code=error.code, reason=error.message))


class ImportApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Its calls."""
        return [
            Call("POST", "/v1/import", "publish a list as JSON lines, each a confirm (?lane=bulk); "
                 "what this member has said before is left alone", None, self.take,
                 media_type=MEDIA_TYPE, takes_file=True),
        ]  # fmt: skip

    async def take(self, request: web.Request, _body: None) -> web.StreamResponse:
        """Publish what arrives, part by part."""
        lane = parse_lane(request.query.get("lane", Lane.BULK.value))
        response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPE})
        part = _Part(1)
        async for line in _lines(request):
            part.read(line)
            if part.lines % SLICE == 0:
                await self._node.importer.turns.wait(lane)
            if part.lines == IMPORT_BATCH:
                if not await self._publish(request, response, lane, part):
                    return response
                part = _Part(part.first + part.lines)
        if part.lines or not response.prepared:
            await self._publish(request, response, lane, part)
        return response

    async def _publish(
        self, request: web.Request, response: web.StreamResponse, lane: Lane, part: _Part
    ) -> bool:
        """Publish a part and say what became of it; False where the import ends with it.

        Raises:
            FederationError: nothing at all could be published, and nothing was answered yet.
        """
        published = known = 0
        differing: list[int] = []
        stopped: FederationError | None = None
        try:
            done = await self._node.importer.take(lane, part.confirms)
            published, known = done.published, done.known
            differing = [part.numbers[place] for place in done.differing]
            for place, error in done.refused.items():
                part.refuse(part.numbers[place], error)
        except FederationError as error:
            if not response.prepared:
                raise
            stopped = error
        answer = ImportAnswer(
            lines=part.lines,
            published=published,
            known=known,
            refused=sorted(part.refused, key=lambda each: each.line),
            differing=differing,
            error=None if stopped is None else stopped.code,
        )
        if not response.prepared:
            await response.prepare(request)
        await response.write(answer.model_dump_json().encode() + b"\n")
        return stopped is None


async def _lines(request: web.Request) -> AsyncIterator[bytes | None]:
    """The lines of a body, however it arrives; None for one that is too long."""
    kept = bytearray()
    is_skipping = False
    async for chunk in request.content.iter_any():
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            if is_skipping or len(kept) + len(piece) > LINE_BYTES_MAX:
                yield None
            else:
                yield bytes(kept + piece)
            kept.clear()
            is_skipping = False
        kept += rest
        if len(kept) > LINE_BYTES_MAX:
            kept.clear()
            is_skipping = True
    if kept or is_skipping:
        yield None if is_skipping else bytes(kept)


def _read_line(line: bytes) -> Confirm:
    """A confirm from its line.

    Raises:
        RequestMalformed: not a confirm; the text says where, never what.
        SignalMalformed, LabelUnknown: a signal or label that is none.
    """
    try:
        asked = schemas.ConfirmRequest.model_validate_json(line)
    except ValidationError as error:
        raise RequestMalformed(words_of(error)) from None
    return confirm_of(asked, name_listed)
