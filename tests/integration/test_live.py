"""Live streams over the local API: raised while they are on, told to others, and bounded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from federation.daemon.decider import Decided
from federation.daemon.live import LiveFrame
from federation.daemon.node import Node
from federation.daemon.searching import Thresholds
from federation.matching.policy_terms import Stage
from federation.media.drawing import draw_picture, resave
from federation.media.pictures import pdq_of_picture
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import Frame, encode_frames
from federation.web.app import LocalServer
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.feeds import enable_feed
from tests.integration.test_publish_crash import open_node

A = "a.example"
KNOWN, OTHER = make_signal(1), make_signal(2)


class Stream:
    """A node's live API, as an ingest calls it."""

    def __init__(self, node: Node, session: aiohttp.ClientSession) -> None:
        self.node, self._session = node, session

    async def ask(
        self, method: str, path: str, body: Any = None, data: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        raw = json.dumps(body).encode() if body is not None else data
        address = f"http://{self.node.config.api.listen}"
        async with self._session.request(method, address + path, data=raw) as answer:
            return answer.status, await answer.json()

    async def show(self, name: str, *frames: dict[str, Any]) -> dict[str, Any]:
        status, answer = await self.ask("POST", f"/v1/live/{name}", {"frames": list(frames)})
        assert 200 == status, answer
        return answer

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What the feed tells of streams."""
        await self.node.platform.teller.until_idle()
        entries = await self.node.outlets.feed.read(0)
        return [(e.kind, json.loads(e.content)) for e in entries if e.kind == "live-match"]


def frame(signal: Signal, at_ms: int | None = None, quality: int = 90) -> dict[str, Any]:
    told = {"pdq": signal.value.hex(), "quality": quality}
    return told if at_ms is None else {**told, "at_ms": at_ms}


@pytest.fixture
def founded(found: Found) -> Founded:
    made = found([A])
    enable_feed(made.config_path(A))
    config = made.config_path(A)
    text = config.read_text().replace("streams_max = 10000", "streams_max = 2")
    config.write_text(text.replace("window_frames = 60", "window_frames = 4"))
    return made


@pytest.fixture
async def stream(founded: Founded) -> AsyncIterator[Stream]:
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        server = LocalServer(node)
        await server.start()
        stack.push_async_callback(server.close)
        server.api.is_ready = True
        token = node.config.path(node.config.api.token_file).read_text().strip()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        )
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[KNOWN])])
        yield Stream(node, session)


async def test_a_match_is_raised_while_the_stream_is_on_and_is_over_when_it_no_longer_shows(
    stream: Stream,
) -> None:
    one = await stream.show("s", frame(OTHER, 1_000), frame(KNOWN, 2_000))
    assert ("allow", None, 50) == (one["action"], one["began_at_ms"], one["share_percent"])
    two = await stream.show("s", frame(KNOWN, 3_000))
    assert ("allow" != two["action"], 2_000, 2, 3) == (
        True,
        two["began_at_ms"],
        two["matched"],
        two["window"],
    )
    assert two["rule"]
    assert (1, ["s"]) == await raised(stream)
    over = await stream.show("s", *[frame(OTHER, at) for at in range(4_000, 8_000, 1_000)])
    assert ("allow", 0) == (over["action"], over["matched"])
    told = [(each["state"], each["stream"], each["began_at_ms"]) for _, each in await stream.told()]
    assert [("began", "s", 2_000), ("ended", "s", 2_000)] == told


async def raised(stream: Stream) -> tuple[int, list[str]]:
    _, answer = await stream.ask("GET", "/v1/live")
    return answer["streams"], [each["stream"] for each in answer["raised"]]


async def test_a_frame_of_a_known_video_is_a_match(stream: Stream) -> None:
    frames = [Frame(make_signal(number).value, 90, number * 1_000) for number in range(10, 20)]
    video = Signal(SignalType.VPDQ, encode_frames(frames))
    await stream.node.publisher.confirm(Lane.LIVE, [Confirm("v", (video,), ("tvec1",))])
    answer = await stream.show("s", frame(make_signal(12)), frame(make_signal(13)))
    assert "allow" != answer["action"]


async def test_a_stream_ends_by_a_call_and_by_silence(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stream.show("s", frame(KNOWN), frame(KNOWN))
    status, answer = await stream.ask("DELETE", "/v1/live/s")
    assert (200, 2) == (status, answer["frames"])
    assert (404, "live-stream-unknown") == await refused(stream, "DELETE", "/v1/live/s")
    await stream.show("t", frame(KNOWN), frame(KNOWN))
    live = stream.node.platform.live
    now_ms = live._clock_ms()
    monkeypatch.setattr(live, "_clock_ms", lambda: now_ms + 61_000)

    async def is_over() -> bool:
        return len(live) == 0

    await until(is_over)
    states = [each["state"] for _, each in await stream.told()]
    assert ["began", "ended", "began", "ended"] == states


async def test_what_comes_while_its_stream_is_ended_begins_nothing_that_never_ends(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = stream.node.platform.live
    decide = live._decider.decide_frames

    async def after_the_end(pdqs: Sequence[bytes], wanted: Thresholds) -> list[Decided]:
        decided = await decide(pdqs, wanted)
        live.end("s")
        return decided

    monkeypatch.setattr(live._decider, "decide_frames", after_the_end)
    await live.take("s", [LiveFrame(KNOWN.value, 90)] * 3)
    assert 0 == len(live)
    assert [] == await stream.told()


async def test_one_stream_too_many_is_refused_and_the_others_go_on(stream: Stream) -> None:
    await stream.show("s", frame(OTHER))
    await stream.show("t", frame(OTHER))
    body = {"frames": [frame(OTHER)]}
    assert (429, "too-busy") == await refused(stream, "POST", "/v1/live/u", body)
    assert 2 == (await stream.show("s", frame(OTHER)))["frames"]


async def test_a_stream_that_never_ends_takes_no_more_than_its_window(stream: Stream) -> None:
    for _ in range(8):
        answer = await stream.show("s", *[frame(KNOWN)] * 256)
    assert (4, 4, 2_048) == (answer["window"], answer["matched"], answer["frames"])
    assert 1 == len(await stream.told())


async def test_a_poor_frame_is_passed_over(stream: Stream) -> None:
    answer = await stream.show("s", frame(KNOWN, quality=49), frame(KNOWN, quality=0))
    assert (0, "allow") == (answer["frames"], answer["action"])


async def test_a_picture_is_a_frame_and_anything_else_is_refused(stream: Stream) -> None:
    picture = draw_picture(3)
    found = pdq_of_picture(picture)
    signal = Signal(SignalType.PDQ, found.pdq, found.quality)
    await stream.node.publisher.confirm(Lane.LIVE, [Confirm("p", (signal,), ("tvec1",))])
    for at_ms in (5_000, 6_000):
        path = f"/v1/live/s/frame?at_ms={at_ms}"
        status, answer = await stream.ask("POST", path, data=resave(picture))
        assert 200 == status, answer
    assert ("allow" != answer["action"], 5_000) == (True, answer["began_at_ms"])
    status, answer = await stream.ask("POST", "/v1/live/s/frame", data=b"no picture at all")
    assert 400 <= status < 500


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/live/s", {"frames": []}, "request-malformed"),
        ("/v1/live/s", {"frames": [{"pdq": "00"}]}, "signal-malformed"),
        ("/v1/live/s", {"frames": [{"pdq": "AB" * 32}]}, "signal-malformed"),
        ("/v1/live/s", {"frames": [{"pdq": "ab" * 32}] * 257}, "request-malformed"),
        ("/v1/live/s", {"frames": [{"pdq": "ab" * 32, "at_ms": -1}]}, "request-malformed"),
        (f"/v1/live/{'s' * 129}", {"frames": [{"pdq": "ab" * 32}]}, "request-malformed"),
        ("/v1/live/s%20t", {"frames": [{"pdq": "ab" * 32}]}, "request-malformed"),
    ],
)
async def test_bad_frames_are_a_coded_problem_and_begin_no_stream(
    stream: Stream, path: str, body: Any, code: str
) -> None:
    assert (400, code) == await refused(stream, "POST", path, body)
    assert (0, []) == await raised(stream)


async def refused(stream: Stream, method: str, path: str, body: Any = None) -> tuple[int, str]:
    status, answer = await stream.ask(method, path, body)
    return status, answer["code"]


NEAR_FILM = """version = 1
otherwise = "allow"
[[rules]]
name = "near"
action = "deny_live"
stages = ["live"]
distance_max = {pdq = 9}
human = false
"""


def shifted(pdq: bytes, bits: int) -> Signal:
    value = int.from_bytes(pdq, "big") ^ ((1 << bits) - 1)
    return Signal(SignalType.PDQ, value.to_bytes(len(pdq), "big"))


async def put_in_force(stream: Stream, text: str) -> None:
    enforcer = stream.node.enforcer
    enforcer.enforcement = replace(enforcer.enforcement, policy=enforcer.compile(text), text=text)


async def test_a_frame_of_a_known_film_counts_as_far_as_the_policy_lets_a_picture_count(
    stream: Stream,
) -> None:
    film = [Frame(make_signal(20 + at).value, 90, 1_000 * at) for at in range(3)]
    signal = Signal(SignalType.VPDQ, encode_frames(film))
    await stream.node.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[signal])])
    await put_in_force(stream, NEAR_FILM)
    far, near = shifted(film[1].pdq, 10), shifted(film[1].pdq, 9)
    assert "allow" == (await stream.show("far", frame(far), frame(far)))["action"]
    told = await stream.show("near", frame(near), frame(near))
    assert ("deny_live", "near") == (told["action"], told["rule"])
    (_, raised_for), *_ = await stream.told()
    assert 9 == raised_for["distance"]


async def test_what_a_stream_shows_is_counted_once_and_a_policy_is_tried_on_it(
    stream: Stream,
) -> None:
    """An hour of one film is one upload to the flood guard, not thousands."""
    await stream.show("s", frame(KNOWN), frame(OTHER), frame(KNOWN), frame(KNOWN))
    (sighting,) = stream.node.sightings.recent
    assert (Stage.LIVE, [(SignalType.PDQ, KNOWN.value)]) == (
        sighting.stage,
        [mark for mark, _ in sighting.nears],
    )
    await stream.show("another", frame(KNOWN))
    assert 2 == len(stream.node.sightings.recent)
    status, answer = await stream.ask("POST", "/v1/policy/test", {"text": NEAR_FILM})
    assert 200 == status
    assert [{"before": "block", "after": "deny_live", "count": 2}] == answer["recent"]["moves"]
    # What is stored: uploaded it would be allowed, shown live it would be denied.
    moves = {(each["before"], each["after"]) for each in answer["stored"]["moves"]}
    assert {("block", "allow"), ("block", "deny_live")} == moves
