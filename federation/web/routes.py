"""The local API's calls, each written down once: path, models, and the function that answers.

The same declaration routes the request, validates it, checks the token, and becomes the OpenAPI
document.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from federation.errors import FederationError, RequestMalformed, TooLarge
from federation.local_errors.askers import TokenWrong
from federation.local_errors.disk import NodeStarting
from federation.web.problems import problem

BODY_BYTES_MAX: Final = 8 * 1024 * 1024
"""A full publish request of 1,024 confirms with several signals each."""

Model = TypeVar("Model", bound=BaseModel)

Answerer: TypeAlias = Callable[[web.Request, Any], Awaitable[BaseModel | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    Attributes:
        method: GET or POST.
        path: with aiohttp's ``{names}``.
        summary: one line for the OpenAPI document.
        answer: the model of a 200 answer; None where it is bytes.
        answerer: called with the request and its validated body (None without one).
        body: the model of the request's body, if it has one.
        media_type: of an answer that has no model.
        is_open: whether it is answered without a token.
        while_starting: whether it is answered before the node has read its store; the others could
            say "nothing known" of what they have not read yet.
        once_filled: whether it is answered from when the index holds what is stored, while the
            peers are still asked what this node missed.
        query: the model of what stands behind ``?``; given to the answerer in the body's place.
        takes_file: whether the body is a file, which the answerer reads itself.
    """

    method: str
    path: str
    summary: str
    answer: type[BaseModel] | None
    answerer: Answerer
    body: type[BaseModel] | None = None
    media_type: str = "application/json"
    is_open: bool = False
    while_starting: bool = False
    once_filled: bool = False
    query: type[BaseModel] | None = None
    takes_file: bool = False


def register(
    application: web.Application,
    calls: Sequence[Call],
    token: str,
    is_ready: Callable[[], bool],
    is_filled: Callable[[], bool],
) -> None:
    """Add the calls to an application, behind the token check and the error table.

    Args:
        application: theirs.
        calls: all of them.
        token: of the API.
        is_ready: whether the node serves.
        is_filled: whether its index holds what is stored, and it asks its peers for the rest.
    """
    for call in calls:
        answers = is_ready
        if call.is_open or call.while_starting:
            answers = _always
        elif call.once_filled:
            answers = is_filled
        application.router.add_route(call.method, call.path, _answering(call, token, answers))


def _always() -> bool:
    return True


def _answering(
    call: Call, token: str, answers: Callable[[], bool]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if not call.is_open:
                check_token(request, token)
            check_plain(request)
            if not answers():
                raise NodeStarting("the node is reading its store, or asking what it missed")
            body: BaseModel | None = None
            if call.body is not None:
                body = await read_body(request, call.body)
            elif call.query is not None:
                body = _read_query(request, call.query)
            answer = await call.answerer(request, body)
        except FederationError as error:
            return problem(error)
        if isinstance(answer, BaseModel):
            return web.Response(body=answer.model_dump_json(), content_type="application/json")
        return answer

    return answer


def check_token(request: web.Request, token: str) -> None:
    """Refuse a request without the API's token.

    Raises:
        TokenWrong: it is missing or another one.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    matches = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if scheme.lower() != "bearer" or not matches:
        raise TokenWrong("the bearer token is missing or wrong")


def check_plain(request: web.Request) -> None:
    """Refuse a compressed body: a few bytes of it could be as long as memory.

    Raises:
        RequestMalformed: it is compressed.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise RequestMalformed("bodies are sent uncompressed")


async def read_body(request: web.Request, model: type[Model]) -> Model:
    """The body, validated; refused before it is read where it says that it is too long.

    Raises:
        TooLarge: over ``BODY_BYTES_MAX``.
        RequestMalformed: what is wrong, without what was sent.
    """
    if request.content_length is not None and request.content_length > BODY_BYTES_MAX:
        raise TooLarge(f"a request's body has at most {BODY_BYTES_MAX} bytes")
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLarge(f"a request's body has at most {BODY_BYTES_MAX} bytes") from None
    except web.RequestPayloadError:
        raise RequestMalformed("the body broke off") from None
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise RequestMalformed(words_of(error)) from None


def _read_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """What stands behind ``?``, validated; a list's parameter may come several times."""
    lists = {name for name, field in model.model_fields.items() if field.default == []}
    given: dict[str, str | list[str]] = {}
    for name in request.query:
        values = request.query.getall(name)
        if len(values) > 1 and name not in lists:
            raise RequestMalformed("a parameter is given twice")
        given[name] = values if name in lists else values[0]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RequestMalformed(words_of(error)) from None


def words_of(error: ValidationError) -> str:
    """Where it is wrong and what was expected; never what was sent."""
    flaws = error.errors(include_url=False, include_input=False, include_context=False)
    parts = []
    for flaw in flaws[:FLAWS_TOLD_MAX]:
        where = ".".join(str(part) for part in flaw["loc"]) or "body"
        parts.append(f"{where}: {flaw['msg']}")
    if len(flaws) > FLAWS_TOLD_MAX:
        parts.append(f"and {len(flaws) - FLAWS_TOLD_MAX} more")
    return "; ".join(parts)


FLAWS_TOLD_MAX: Final = 5
"""Flaws of one request that are told; the first one usually explains the rest."""
