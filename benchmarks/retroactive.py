"""How soon an upload is found whose signal comes later: ``python -m benchmarks.retroactive``.

Two companies' nodes, both real. One remembers a million uploads, each a PDQ value and a reference
of 16 bytes. The other publishes a signal that one of them is near to. ``found_ms`` runs from the
request to publish until a consumer of the first node's feed, over HTTP and server-sent events, has
read which upload it was: spreading, proof, commit, index, search, policy and delivery are in it.
It is the slowest of ``ROUNDS``; the median stands beside it.

``ring_bytes`` is what the file takes on disk for each remembered upload. About 30 s at scale 1,
most of it for filling the ring; ``--scale`` remembers fewer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.pdq_sets import make_flips, make_uniform, to_values
from benchmarks.towns import change_config, found, serving
from federation.daemon.node import Node
from federation.daemon.platform import RING_FILE
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane
from federation.protocol.signals import Signal, SignalType
from federation.web.app import LocalServer

PUBLISHER, PLATFORM = "acme.example", "nova.example"
UPLOADS = 1_000_000
ROUNDS = 9
DISTANCE = 20
SECONDS_MAX = 60.0
SEED = 20_260_102


def remember(node: Node, count: int) -> list[bytes]:
    """Fill the ring; the values that signals will be published near to, spread over it."""
    retroactive = node.platform.retroactive
    if retroactive is None:
        raise RuntimeError("the node remembers nothing")
    rng = np.random.default_rng(SEED)
    values = to_values(make_uniform(rng, count))
    now = int(time.time())
    for number, value in enumerate(values):
        retroactive.ring.append(f"{number:016d}", (Signal(SignalType.PDQ, value),), now)
    return [values[number * count // ROUNDS] for number in range(ROUNDS)]


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Kind and content of each event."""
    kind = ""
    async for raw in response.content:
        name, _, value = raw.decode("utf-8").rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def until_found(told: AsyncIterator[tuple[str, dict[str, Any]]]) -> str:
    async for kind, fields in told:
        if kind == "found-earlier":
            return str(fields["reference"])
    raise RuntimeError("the feed ended")


async def measure(folder: Path, count: int) -> dict[str, float]:
    found(folder, (PUBLISHER, PLATFORM))
    changes = {"signals_max = 0": f"signals_max = {count}", "[feed]": "[feed]\nenabled = true"}
    text = (folder / PLATFORM / "node.toml").read_text()
    if "enabled = false" in text:
        changes["[feed]"] = "[feed]"
        changes["enabled = false"] = "enabled = true"
    change_config(folder, PLATFORM, changes)
    async with serving(folder, (PUBLISHER, PLATFORM)) as (publisher, platform):
        server = LocalServer(platform)
        await server.start()
        await server.open()
        say(f"remembering {count:,} uploads")
        chosen = await asyncio.to_thread(remember, platform, count)
        near = np.frombuffer(b"".join(chosen), dtype=np.uint8).reshape(-1, 32)
        rng = np.random.default_rng(SEED + 1)
        signals = to_values(near ^ make_flips(rng, np.full(len(near), DISTANCE)))
        token = platform.config.path(platform.config.api.token_file).read_text().strip()
        taken = []
        headers = {"Authorization": f"Bearer {token}"}
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            address = f"http://{platform.config.api.listen}/v1/feed"
            async with session.get(address) as response:
                told = events(response)
                for number, value in enumerate(signals):
                    confirm = Confirm(
                        f"item-{number}", (Signal(SignalType.PDQ, value, 90),), ("tvec1",)
                    )
                    begun = time.perf_counter()
                    await publisher.publisher.confirm(Lane.LIVE, [confirm])
                    reference = await asyncio.wait_for(until_found(told), SECONDS_MAX)
                    taken.append((time.perf_counter() - begun) * 1000)
                    if int(reference) != number * count // ROUNDS:
                        raise RuntimeError("another upload was found")
        ring = platform.config.path(platform.config.data_directory) / RING_FILE
        ring_bytes = ring.stat().st_blocks * 512 / count
        await server.close()
    return {
        "remembered": count,
        "found_ms": round(max(taken), 1),
        "found_ms_median": round(statistics.median(taken), 1),
        "ring_bytes": round(ring_bytes, 2),
    }


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of a million uploads, 0 to 1")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count = max(1_000, int(UPLOADS * arguments.scale))
        figures = asyncio.run(measure(Path(folder), count))
    for name, figure in figures.items():
        say(f"{name:>16} {figure:>12,}")
    if arguments.json:
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
