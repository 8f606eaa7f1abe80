"""Files as request bodies: streamed to a nameless file, hashed by confined workers, gone.

The content is on disk only while its request lasts, in a file without a name in the node's data
directory, which the system frees whatever happens to this process. Nothing of it is logged.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, BinaryIO, Final, cast

from aiohttp import web

from federation.daemon.node import Node
from federation.errors import RequestMalformed, TooLarge
from federation.local_errors.askers import TooBusy
from federation.local_errors.content import SignalDegenerate, SignalLowQuality
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.media.hasher import FileHasher, FileSignals
from federation.media.limits import PICTURE_BYTES_MAX
from federation.protocol.bodies import Confirm
from federation.protocol.labels import check_labels
from federation.protocol.origins_local import parse_lane
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import check_publishable
from federation.web import file_schemas, match_schemas, schemas
from federation.web.match_schemas import action_on_content
from federation.web.naming import name_content
from federation.web.routes import Call
from federation.web.verdicts import check_reference, result_of, thresholds_of

UPLOAD_BYTES_MAX: Final = 2 * 1024**3
"""An hour of video at the bit rates of uploads."""

UPLOADS_MAX: Final = 8
"""Files received or hashed at one time; with the limit above, 16 GiB of disk at worst."""

PICTURES_MAX: Final = 8
"""Live frames received or hashed at one time, beside those: none waits for somebody's film."""

CHUNK_BYTES: Final = 1024**2


class FileApi:
    """The calls that take files, for one node.

    Args:
        node: the running node.
        hasher: what files are read by; closed with :meth:`close`.
        upload_bytes_max: the longest file taken.
    """

    def __init__(
        self, node: Node, hasher: FileHasher | None = None, upload_bytes_max: int = UPLOAD_BYTES_MAX
    ) -> None:
        self._node = node
        self._hasher = hasher or FileHasher()
        self._upload_bytes_max = upload_bytes_max
        self._under_way = {False: 0, True: 0}

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        s = file_schemas
        return [
            Call("POST", "/v1/match/file", "what is known about one file (the body, as it is)",
                 s.MatchFileAnswer, self.match, query=s.MatchFileQuery, takes_file=True,
                 once_filled=True),
            Call("POST", "/v1/statements/file", "confirm the content of one file (the body)",
                 s.PublishFileAnswer, self.publish, query=s.ConfirmFileQuery, takes_file=True),
        ]  # fmt: skip

    async def close(self) -> None:
        """End all workers; whatever is under way fails as too busy."""
        await asyncio.to_thread(self._hasher.close)

    async def match(
        self, request: web.Request, query: file_schemas.MatchFileQuery
    ) -> file_schemas.MatchFileAnswer:
        """Hash the file and answer for every signal of it."""
        check_reference(query.reference)
        found = await self.signals_of(request)
        video = match_schemas.VideoQuery(
            quality_min=query.quality_min,
            query_percent_min=query.query_percent_min,
            index_percent_min=query.index_percent_min,
        )
        wanted = thresholds_of(
            query.distance_max,
            video,
            query.tlsh_distance_max,
            default=self._node.config.matching.distance_max,
        )
        decided = await self._node.decider.decide(found.signals, wanted, is_one_content=True)
        matches = [each.matches for each in decided]
        self._node.platform.sightings.keep(query.reference, found.signals, matches)
        incident = self._node.incidents.state
        results = [
            file_schemas.FileResult(
                type=signal.type.value,
                result=result_of(each.matches, each.decision, incident),
            )
            for signal, each in zip(found.signals, decided, strict=True)
        ]
        return file_schemas.MatchFileAnswer(
            action=action_on_content([each.result for each in results]),
            kind=found.kind.value,
            unread=_unread(found),
            results=results,
        )

    async def publish(
        self, request: web.Request, query: file_schemas.ConfirmFileQuery
    ) -> file_schemas.PublishFileAnswer:
        """Hash the file and publish one confirm with all its signals.

        Raises:
            FederationError: why it cannot be read, unless ``exact`` was asked for.
        """
        lane, labels = parse_lane(query.lane), check_labels(query.label)
        found = await self.signals_of(request)
        if found.unread is not None and not query.exact:
            raise found.unread
        signals = found.signals
        if query.exact:
            signals = tuple(filter(_is_exact_or_publishable, signals))
        confirm = Confirm(
            item=query.item or name_content(),
            signals=signals,
            labels=labels,
            source=query.source,
            confirmer=query.confirmer,
            educational=query.educational,
            expires_at_ms=query.expires_at_ms,
        )
        (said,) = await self._node.publisher.confirm(lane, [confirm])
        return file_schemas.PublishFileAnswer(
            kind=found.kind.value,
            signal_types=[signal.type.value for signal in signals],
            unread=_unread(found),
            statement=schemas.Published(id=str(said.id), log=said.log.origin, index=said.index),
        )

    async def signals_of(self, request: web.Request, *, only_picture: bool = False) -> FileSignals:
        """The signals of the file that is a request's body.

        Args:
            request: with the file.
            only_picture: any other file is refused, by its length or its first bytes.

        Raises:
            TooLarge, TooBusy, RequestMalformed, StoreError: it cannot be taken.
            FederationError: the workers; why it cannot be read stands in the answer.
        """
        async with self._received(request, only_picture=only_picture) as file:
            hashed = self._hasher.submit(cast("BinaryIO", file), only_picture=only_picture)
            return await asyncio.wrap_future(hashed)

    @asynccontextmanager
    async def _received(
        self, request: web.Request, *, only_picture: bool
    ) -> AsyncIterator[IO[bytes]]:
        """The request's body in a nameless file.

        Raises:
            TooLarge: longer than the limit; refused unread where it says so itself.
            TooBusy: too many files are under way.
            RequestMalformed: no content, or it broke off.
            StoreFull, StoreUnavailable: the disk.
        """
        longest = self._upload_bytes_max
        if only_picture:
            longest = min(longest, PICTURE_BYTES_MAX)
        if (request.content_length or 0) > longest:
            raise TooLarge(f"a file has at most {longest} bytes here")
        if self._under_way[only_picture] >= (PICTURES_MAX if only_picture else UPLOADS_MAX):
            raise TooBusy("too many files are being read", hint="send it again after a moment")
        self._under_way[only_picture] += 1
        try:
            folder = self._node.config.path(self._node.config.data_directory)
            with tempfile.TemporaryFile(dir=folder) as file:
                await self._receive(request, file, longest)
                yield file
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise StoreFull("there is no room on the disk for the file") from None
            raise StoreUnavailable("the file could not be written to the disk") from None
        finally:
            self._under_way[only_picture] -= 1

    async def _receive(self, request: web.Request, file: IO[bytes], longest: int) -> None:
        length = 0
        try:
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                length += len(chunk)
                if length > longest:
                    raise TooLarge(f"a file has at most {longest} bytes here")
                await asyncio.to_thread(file.write, chunk)
        except (ConnectionError, web.HTTPException) as error:
            raise RequestMalformed("the file broke off") from error
        if not length:
            raise RequestMalformed("the request has no body: send the file itself")
        await asyncio.to_thread(file.flush)


def _is_exact_or_publishable(signal: Signal) -> bool:
    """Whether ``exact`` leaves a signal in: it takes out one that has too little detail."""
    if signal.type not in _PERCEPTUAL:
        return True
    try:
        check_publishable(signal)
    except (SignalDegenerate, SignalLowQuality):
        return False
    return True


_PERCEPTUAL: Final = frozenset({SignalType.PDQ, SignalType.VPDQ, SignalType.TLSH})


def _unread(found: FileSignals) -> file_schemas.Unread | None:
    if found.unread is None:
        return None
    return file_schemas.Unread(code=found.unread.code, detail=found.unread.message)
