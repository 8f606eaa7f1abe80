"""The terminal's side of the local API: one node, reached by its config file.

Answers are bounded in time and length, and validated by the models that made them. A problem comes
back as the error it was at the node, with the same code and hint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import aiohttp

from federation import errors
from federation.config import NodeConfig, load_config, split_listen
from federation.daemon.keyring import read_key_file
from federation.local_errors.config import KeyFileInvalid
from federation.local_errors.peers import NodeUnreachable, PeerAnswerTooLarge, PeerError
from federation.web.schemas import HealthAnswer, Problem

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Four of the largest bundles, or some 300,000 matched statements."""

CONNECT_SECONDS: Final = 5.0
"""Loopback answers within milliseconds, unless the machine is in trouble."""

ANSWER_SECONDS: Final = 120.0
"""A full publish batch on a slow disk takes seconds; whoever waits longer wants to be told."""


class _Answered(Protocol):
    """A model of ``web/schemas``, as an answer is read into it."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self: ...


class _Asked(Protocol):
    """A model of ``web/schemas``, as a request is written from it."""

    def model_dump_json(self) -> str: ...


AnswerModel = TypeVar("AnswerModel", bound=_Answered)


class NodeClient:
    """Calls one node's local API; use it as an async context.

    Args:
        config: the node's settings.

    Raises:
        ConfigMissing, KeyFileInvalid: the token file is missing, or no token file.
    """

    def __init__(self, config: NodeConfig) -> None:
        host, port = split_listen(config.api.listen)
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        token = read_key_file(config.path(config.api.token_file))
        try:
            self._headers = {"Authorization": f"Bearer {token.decode('ascii').strip()}"}
        except UnicodeDecodeError:
            raise KeyFileInvalid("the API token is one line of ASCII") from None
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def of(cls, config_path: Path) -> Self:
        """The client for the node of a config file.

        Raises:
            ConfigError: the config or its token file is missing or malformed.
        """
        return cls(load_config(config_path))

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, model: type[AnswerModel]) -> AnswerModel:
        """Ask for a model.

        Raises:
            FederationError: what the node answered, or NodeUnreachable.
        """
        return self._read(await self.fetch(path), model)

    async def post(self, path: str, body: _Asked | bytes, model: type[AnswerModel]) -> AnswerModel:
        """Send a model or bytes, and get a model back.

        Raises:
            FederationError: what the node answered, or NodeUnreachable.
        """
        raw = body if isinstance(body, bytes) else body.model_dump_json().encode("utf-8")
        return self._read(await self._answer("POST", path, raw), model)

    async def send(self, path: str, body: bytes) -> bytes:
        """Send bytes, and get bytes back, verbatim.

        Raises:
            FederationError: what the node answered, or NodeUnreachable.
        """
        return await self._answer("POST", path, body)

    async def fetch(self, path: str) -> bytes:
        """Ask for bytes, verbatim.

        Raises:
            FederationError: what the node answered, or NodeUnreachable.
        """
        return await self._answer("GET", path, None)

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """Ask for an answer that does not end by itself, line by line, each without its newline.

        Raises:
            FederationError: what the node answered, or NodeUnreachable.
        """
        if self._session is None:
            raise RuntimeError("use the client as an async context")
        unhurried = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)
        try:
            async with self._session.get(self.address + path, timeout=unhurried) as response:
                if response.status != HTTPStatus.OK:
                    raise _error_of(Problem.model_validate_json(await response.read()))
                async for line in response.content:
                    yield line.rstrip(b"\n")
        except aiohttp.ClientConnectorError:
            raise NodeUnreachable(f"no node answers at {self.address}") from None
        except (aiohttp.ClientError, ValueError):
            raise NodeUnreachable(f"the connection to {self.address} broke") from None

    async def is_ready(self) -> bool:
        """Whether the node serves; False while it is starting.

        Raises:
            NodeUnreachable: nothing answers, or something else does.
        """
        status, raw = await self._exchange("GET", "/readyz", None)
        answer = self._read(raw, HealthAnswer)
        return status == HTTPStatus.OK and answer.status == "ok"

    async def _answer(self, method: str, path: str, body: bytes | None) -> bytes:
        status, raw = await self._exchange(method, path, body)
        if status == HTTPStatus.OK:
            return raw
        try:
            problem = Problem.model_validate_json(raw)
        except ValueError:
            raise NodeUnreachable(
                f"what answers at {self.address} failed without a word (HTTP status {status})",
                hint="look into the node's log, and at api.listen in node.toml",
            ) from None
        raise _error_of(problem)

    async def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("use the client as an async context")
        try:
            request = self._session.request(
                method, self.address + path, data=body, allow_redirects=False
            )
            async with request as response:
                raw = bytearray()
                async for chunk in response.content.iter_any():
                    raw += chunk
                    if len(raw) > ANSWER_BYTES_MAX:
                        raise PeerAnswerTooLarge(
                            f"the node's answer is over {ANSWER_BYTES_MAX} bytes"
                        )
                return response.status, bytes(raw)
        except aiohttp.ClientConnectorError:
            raise NodeUnreachable(f"no node answers at {self.address}") from None
        except TimeoutError:
            raise NodeUnreachable(
                f"the node at {self.address} took too long; what was asked may have been done"
            ) from None
        except aiohttp.ClientError:
            raise NodeUnreachable(
                f"the connection to {self.address} broke; what was asked may have been done"
            ) from None

    def _read(self, raw: bytes, model: type[AnswerModel]) -> AnswerModel:
        try:
            return model.model_validate_json(raw)
        except ValueError:
            raise NodeUnreachable(
                f"what answers at {self.address} is no node of this release",
                hint="look at api.listen in node.toml, and whether node and terminal are of one "
                "release",
            ) from None


def _leaves(branch: type[errors.FederationError]) -> Iterator[type[errors.FederationError]]:
    yield branch
    for leaf in branch.__subclasses__():
        if leaf.__module__ != __name__:  # not those made below
            yield from _leaves(leaf)


def _error_of(problem: Problem) -> errors.FederationError:
    """The error that a problem document tells of, as the node raised it but for its evidence."""
    kinds = _leaves(errors.FederationError)
    kind = next((kind for kind in kinds if kind.code == problem.code), None)
    if kind is None:  # a later release's
        is_ours = problem.status < HTTPStatus.INTERNAL_SERVER_ERROR
        kind = errors.ProtocolError if is_ours else PeerError
    # Some leaves take more than words to make; here words are all there is.
    words = {"code": problem.code, "__init__": errors.FederationError.__init__}
    told: type[errors.FederationError] = type(kind.__name__, (kind,), words)
    return told(problem.detail, hint=problem.hint)
