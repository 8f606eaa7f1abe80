"""Files over the local API: what one company confirmed as a file, the next upload of it meets."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from PIL import Image

from federation.media.filming import encode_film, film
from federation.media.hasher import FileHasher
from federation.protocol.signals import SignalType
from federation.protocol.signals_local import format_signal
from federation.web import file_api
from federation.web.app import LocalServer
from tests.builders import make_signal
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node
from tests.unit.media.test_documents import WORDS, pdf

A = "a.example"
FRAMES = list(film(4, 6, width=240, height=136, scene_seconds=1))
FILM = encode_film(FRAMES)


@dataclass
class Api:
    """A running node's local API, over HTTP.

    Attributes:
        session: with the node's token.
        address: without a slash at the end.
        server: the server itself.
    """

    session: aiohttp.ClientSession
    address: str
    server: LocalServer

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a file (bytes, or an iterator of them) or a JSON object."""
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        request = self.session.post(self.address + path, data=raw, headers=headers)
        async with request as response:
            return response.status, json.loads(await response.read())


@pytest.fixture
async def api(found: Found) -> AsyncIterator[Api]:
    founded = found([A])
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        server = LocalServer(node)
        await server.start()
        server.api.is_ready = True
        stack.push_async_callback(server.close)
        token = node.config.path(node.config.api.token_file).read_text().strip()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        )
        yield Api(session, f"http://{node.config.api.listen}", server)


async def test_a_film_that_was_published_blocks_its_copies_and_clips(api: Api) -> None:
    path = "/v1/statements/file?label=tvec1&label=content:livestream&item=case-7"
    status, said = await api.post(path, FILM)
    assert (200, "video", ["vpdq", "sha256", "md5"]) == (status, said["kind"], said["signal_types"])
    copy = encode_film(FRAMES[20:], container="matroska", options={"crf": "35"})
    status, answer = await api.post("/v1/match/file", copy)
    assert (200, "block", "video", None) == (
        status, answer["action"], answer["kind"], answer["unread"])  # fmt: skip
    assert [("vpdq", "block"), ("sha256", "allow"), ("md5", "allow")] == [
        (each["type"], each["result"]["action"]) for each in answer["results"]
    ]
    (match,) = answer["results"][0]["result"]["matches"]
    assert [said["statement"]["id"]] == [each["id"] for each in match["statements"]]
    assert ["content:livestream", "tvec1"] == match["statements"][0]["labels"]
    assert match["query_percent"] >= 80
    assert 100 - match["query_percent"] == match["distance"]
    strict = await api.post("/v1/match/file?index_percent_min=100", copy)
    assert "allow" == strict[1]["action"]
    other = encode_film(film(9, 3, width=240, height=136, scene_seconds=1))
    assert "allow" == (await api.post("/v1/match/file", other))[1]["action"]


async def test_a_pdf_that_was_published_blocks_another_layout_of_it(api: Api) -> None:
    assert 200 == (await api.post("/v1/statements/file", pdf(WORDS)))[0]
    _, answer = await api.post("/v1/match/file", pdf(WORDS, per_line=90, size=7))
    assert ("block", "pdf") == (answer["action"], answer["kind"])
    _, answer = await api.post("/v1/match/file?tlsh_distance_max=0", WORDS[:2_000].encode())
    assert ("allow", "text") == (answer["action"], answer["kind"])


async def test_a_link_is_matched_in_its_normal_form(api: Api) -> None:
    def asked(value: str) -> dict[str, Any]:
        return {"signals": [{"type": "url", "value": value}]}

    confirm = {"signals": [{"type": "url", "value": "HTTPS://Example.org:443/a/../manifesto#1"}]}
    status, said = await api.post("/v1/statements", {"confirm": [confirm]})
    assert 200 == status, said
    for value, action in (
        ("https://example.org/manifesto", "block"),
        ("https://EXAMPLE.org/./manifesto", "block"),
        ("https://example.org/manifesto?page=2", "allow"),
    ):
        _, answer = await api.post("/v1/match", asked(value))
        assert action == answer["results"][0]["action"], value
    status, refused = await api.post("/v1/match", asked("https://user:secret@example.org/"))
    assert (400, "signal-malformed") == (status, refused["code"])
    assert "secret" not in json.dumps(refused)


async def test_every_new_type_can_be_published_and_asked_for_and_taken_back(api: Api) -> None:
    signals = [
        dict(zip(("type", "value"), format_signal(make_signal(5, each)).split(":", 1), strict=True))
        for each in (SignalType.VPDQ, SignalType.URL, SignalType.TLSH)
    ]
    status, said = await api.post("/v1/statements", {"confirm": [{"signals": signals}]})
    assert 200 == status, said
    _, answer = await api.post("/v1/match", {"signals": signals})
    assert ["block"] * 3 == [each["action"] for each in answer["results"]]
    statement = said["confirmed"][0]["id"]
    status, said = await api.post("/v1/statements", {"withdraw": [{"statement": statement}]})
    assert 200 == status, said
    _, answer = await api.post("/v1/match", {"signals": signals})
    assert ["allow"] * 3 == [each["action"] for each in answer["results"]]
    assert 0 == api.server._node.matcher.signals_held()


async def test_a_file_that_cannot_be_read_is_matched_by_its_bytes_and_says_so(api: Api) -> None:
    broken = FILM[:-300]
    status, refused = await api.post("/v1/statements/file", broken)
    assert (400, "video-unreadable") == (status, refused["code"])
    status, said = await api.post("/v1/statements/file?exact=true", broken)
    assert (200, ["sha256", "md5"]) == (status, said["signal_types"])
    _, answer = await api.post("/v1/match/file", broken)
    assert ("block", "video-unreadable") == (answer["action"], answer["unread"]["code"])


async def test_bad_requests_are_coded_and_the_next_one_is_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = api.server.file_api

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(100)

    monkeypatch.setattr(files, "_upload_bytes_max", 1_000)
    for path, body, code in (
        ("/v1/match/file", b"", "request-malformed"),
        ("/v1/match/file?distance_max=32", b"x", "request-malformed"),
        ("/v1/match/file?query_percent_min=80&query_percent_min=0", b"x", "request-malformed"),
        ("/v1/match/file?unknown=1", b"x", "request-malformed"),
        ("/v1/statements/file?lane=fast", b"x", "lane-unknown"),
        ("/v1/statements/file?label=nonsense", b"x", "label-unknown"),
        ("/v1/match/file", bytes(1_001), "too-large"),
        ("/v1/match/file", chunks(), "too-large"),
    ):
        status, refused = await api.post(path, body)
        assert code == refused.get("code"), (path, refused)
        assert 400 <= status < 500
    monkeypatch.setattr(file_api, "UPLOADS_MAX", 0)
    assert 429 == (await api.post("/v1/match/file", b"x"))[0]
    monkeypatch.undo()
    assert "allow" == (await api.post("/v1/match/file", b"some text"))[1]["action"]


async def test_nothing_of_a_file_is_left_behind_and_a_stranger_sends_none(api: Api) -> None:
    node = api.server._node
    folder = node.config.path(node.config.data_directory)
    before = sorted(path.name for path in folder.rglob("*"))
    await api.post("/v1/match/file", FILM)
    assert before == sorted(path.name for path in folder.rglob("*"))
    status, refused = await api.post("/v1/match/file", FILM, Authorization="Bearer wrong")
    assert (401, "token-wrong") == (status, refused["code"])


async def test_a_closed_hasher_is_a_coded_answer(api: Api) -> None:
    hasher: FileHasher = api.server.file_api._hasher
    hasher.close()
    status, refused = await api.post("/v1/match/file", FILM)
    assert (429, "too-busy") == (status, refused["code"])


async def test_every_number_that_is_asked_with_has_bounds(api: Api) -> None:
    """Beyond them the database would meet a number that it cannot hold."""
    async with api.session.get(api.address + "/openapi.json") as answer:
        document = await answer.json()
    unbounded = []

    def walk(schema: Any, where: str) -> None:
        if isinstance(schema, list):
            for each in schema:
                walk(each, where)
        elif isinstance(schema, dict):
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                walk(document["components"]["schemas"][name], f"{where} {name}")
            if schema.get("type") == "integer" and schema.get("maximum", 2**63) >= 2**63:
                unbounded.append(where)
            for name, each in schema.items():
                if isinstance(each, dict | list):
                    walk(each, f"{where}.{name}")

    for path, calls in document["paths"].items():
        for call in calls.values():
            walk(call.get("requestBody"), path)
            walk(call.get("parameters"), path)
    assert [] == unbounded


async def test_the_openapi_document_tells_of_the_file_and_its_parameters(api: Api) -> None:
    async with api.session.get(api.address + "/openapi.json") as response:
        document = json.loads(await response.read())
    call = document["paths"]["/v1/statements/file"]["post"]
    assert ["application/octet-stream"] == list(call["requestBody"]["content"])
    parameters = {each["name"]: each for each in call["parameters"]}
    assert "query" == parameters["lane"]["in"]
    assert "array" == parameters["label"]["schema"]["type"]


async def test_a_picture_with_too_little_detail_is_published_by_its_bytes_where_that_is_asked_for(
    api: Api,
) -> None:
    gradient = io.BytesIO()
    Image.linear_gradient("L").save(gradient, "PNG")
    flat = io.BytesIO()
    Image.new("RGB", (160, 96), "black").save(flat, "PNG")
    for picture in (gradient.getvalue(), flat.getvalue()):
        status, refused = await api.post("/v1/statements/file", picture)
        assert (400, True) == (status, refused["code"].startswith("signal-")), refused
        status, told = await api.post("/v1/statements/file?exact=true", picture)
        assert (200, ["sha256", "md5"]) == (status, told["signal_types"]), told
        assert "block" == (await api.post("/v1/match/file", picture))[1]["action"]


async def test_a_live_frame_that_is_no_picture_is_refused_before_it_is_read_whole(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed = encode_film(film(1, 2, width=160, height=96))
    monkeypatch.setattr(file_api, "UPLOADS_MAX", 0)  # films take all places
    status, refused = await api.post("/v1/live/s/frame", filmed)
    assert (400, "picture-unreadable") == (status, refused["code"]), refused
    monkeypatch.setattr(file_api, "PICTURE_BYTES_MAX", len(filmed) - 1)
    assert "too-large" == (await api.post("/v1/live/s/frame", filmed))[1]["code"]
