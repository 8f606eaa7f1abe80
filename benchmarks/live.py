"""A thousand live streams at a frame a second each: does one core keep up?

A real node process (``federation serve``), pinned to one core, with known signals published through
its API; the load comes from this process on another core, over HTTP with the token, one frame
signal a request, each stream at its own moment of every second. One stream in fifty shows known
content: a copy of a known picture, some bits changed. A frame counts when its answer is back;
``frames_per_s`` is what was answered, and falls below the number of streams when the node falls
behind. Run it as ``python -m benchmarks.live --json``; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.publish import MEMBER, make_node
from federation.config import load_config

STREAMS = 1_000
SECONDS = 30
KNOWN = 20_000
PUBLISHED_AT_A_TIME = 1_000
SHOWN_EVERY = 50
"""One stream in so many shows known content."""
BITS = 6
"""Changed in each frame of a copy: what compressing again changes."""
CONNECTIONS = 128
SERVER_CORE, LOAD_CORE = 0, 1


def port_of(config: Path) -> int:
    """Give the node's API a port of its own in its config, and say which."""
    import socket  # noqa: PLC0415 - for this one number

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    before, api, after = config.read_text().partition("[api]")
    after = after.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"', 1)
    config.write_text(before + api + after)
    return port


async def serve(config: Path) -> asyncio.subprocess.Process:
    """Start the node on its core and wait until it serves."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("federation"),
        "serve",
        "--config",
        str(config),
        "--json",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    assert process.stdout is not None
    assert await process.stdout.readline(), "the node did not start"
    return process


async def publish(session: aiohttp.ClientSession, known: list[bytes]) -> None:
    """Publish what is known, in the bulk lane."""
    for start in range(0, len(known), PUBLISHED_AT_A_TIME):
        confirms = [
            {"signals": [{"type": "pdq", "value": each.hex(), "quality": 90}], "labels": ["tvec1"]}
            for each in known[start : start + PUBLISHED_AT_A_TIME]
        ]
        async with session.post(
            "/v1/statements", json={"confirm": confirms, "lane": "bulk"}
        ) as answer:
            assert answer.ok, await answer.text()


def frame_of(shown: bytes | None) -> str:
    """A frame: of known content with some bits changed, or of nothing known."""
    if shown is None:
        return secrets.token_hex(32)
    changed = bytearray(shown)
    for _ in range(BITS):
        bit = secrets.randbelow(256)
        changed[bit // 8] ^= 1 << bit % 8
    return changed.hex()


async def stream(
    session: aiohttp.ClientSession, number: int, shown: bytes | None, until: float, begun: float
) -> tuple[list[float], str]:
    """One stream: a frame a second at its own moment; the latencies in ms and the last action."""
    latencies: list[float] = []
    action, due = "", begun + number / STREAMS
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        body = {"frames": [{"pdq": frame_of(shown), "quality": 90}]}
        async with session.post(f"/v1/live/stream-{number}", json=body) as answer:
            action = (await answer.json())["action"]
        # From when it was due: a frame that had to wait for the one before is late all the same.
        latencies.append((time.perf_counter() - due) * 1_000)
        due += 1.0
    return latencies, action


async def measure(seconds: float) -> dict[str, float | int]:
    """Run the streams; counts what was answered and how late."""
    with tempfile.TemporaryDirectory() as folder:
        config = make_node(Path(folder))
        address = f"http://127.0.0.1:{port_of(config)}"
        process = await serve(config)
        try:
            os.sched_setaffinity(0, {LOAD_CORE})
            token = (config.parent / load_config(config).api.token_file).read_text().strip()
            async with aiohttp.ClientSession(
                address,
                headers={"Authorization": f"Bearer {token}"},
                connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            ) as session:
                known = [secrets.token_bytes(32) for _ in range(KNOWN)]
                await publish(session, known)
                begun = time.perf_counter() + 0.5
                shows = [
                    known[number] if number % SHOWN_EVERY == 0 else None
                    for number in range(STREAMS)
                ]
                ended = await asyncio.gather(
                    *(
                        stream(session, number, shown, begun + seconds, begun)
                        for number, shown in enumerate(shows)
                    )
                )
                took = time.perf_counter() - begun
        finally:
            process.terminate()
            await process.wait()
    wrong = [
        action
        for (_, action), shown in zip(ended, shows, strict=True)
        if (action != "allow") is not (shown is not None)
    ]
    assert not wrong, f"{len(wrong)} streams ended with the wrong action"
    latencies = sorted(latency for each, _ in ended for latency in each)
    return {
        "streams": STREAMS,
        "frames_per_s": round(len(latencies) / max(took, seconds), 1),
        "p50_ms": round(statistics.median(latencies), 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)], 2),
    }


def main() -> None:
    """Measure once and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the seconds, 0 to 1")
    arguments = parser.parse_args()
    told = asyncio.run(measure(max(4.0, SECONDS * arguments.scale)))
    if arguments.json:
        print(json.dumps(told))
    else:
        print(f"{MEMBER}: {told['streams']} streams, {told['frames_per_s']} frames/s answered,")
        print(f"p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms from when each frame was due")


if __name__ == "__main__":
    main()
