"""A load on one HTTP address, from outside the process under load: how many answers, how soon.

Every connection asks again as soon as it is answered. Requests are bytes made beforehand, and an
answer is looked at only as far as its status and length, so that one core of ours makes two or
three cores of a server sweat. Run as a program (``python -m benchmarks.http_load``) it reads its
orders from stdin and answers on stdout, one line of JSON each.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Load:
    """What to do; times in seconds."""

    host: str
    port: int
    token: str
    bodies: list[str]
    connections: int
    lasts: float
    core: int | None = None


@dataclass(frozen=True)
class Answered:
    """What came of it: answers a second, waits in milliseconds, what was not 200,
    and how many answers held a statement."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    hits: int


def request_bytes(load: Load, body: str) -> bytes:
    raw = body.encode()
    return (
        f"POST /v1/match HTTP/1.1\r\nHost: {load.host}:{load.port}\r\n"
        f"Authorization: Bearer {load.token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n"
    ).encode() + raw


class _Asker(asyncio.BufferedProtocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, requests: list[bytes], at: int, waits: list[float]) -> None:
        self._requests, self._at, self._waits = requests, at, waits
        self._got = b""
        self._room = bytearray(1 << 18)
        self._asked_at = 0.0
        self._transport: Any = None
        self.failed = self.hits = 0
        self.is_on = True
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        if not self.is_on:
            self._transport.close()
            return
        self._at += 1
        self._asked_at = time.perf_counter()
        self._transport.write(self._requests[self._at % len(self._requests)])

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self._room

    def buffer_updated(self, count: int) -> None:
        self._got += self._room[:count]
        end = self._got.find(HEAD_END)
        if end < 0:
            return
        at = self._got.find(b"Content-Length: ") + 16
        length = int(self._got[at : self._got.find(b"\r\n", at)])
        if len(self._got) < end + len(HEAD_END) + length:
            return
        self._waits.append(time.perf_counter() - self._asked_at)
        self.failed += not self._got.startswith(b"HTTP/1.1 200")
        self.hits += b'"st_' in self._got
        self._got = b""
        self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        self.failed += self.is_on
        self.ended.set_result(None)


async def put(load: Load) -> Answered:
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    requests = [request_bytes(load, body) for body in load.bodies]
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    askers = []
    began = time.perf_counter()
    for number in range(load.connections):
        at = number * len(requests) // load.connections
        _, asker = await loop.create_connection(
            lambda at=at: _Asker(requests, at, waits),  # type: ignore[misc]
            load.host,
            load.port,
        )
        askers.append(asker)
    await asyncio.sleep(load.lasts)
    for asker in askers:
        asker.is_on = False
    await asyncio.gather(*(asker.ended for asker in askers))
    lasted = time.perf_counter() - began
    cuts = statistics.quantiles(waits, n=100)
    return Answered(
        len(waits) / lasted,
        cuts[49] * 1e3,
        cuts[98] * 1e3,
        sum(asker.failed for asker in askers),
        sum(asker.hits for asker in askers),
    )


def put_from_outside(load: Load) -> Answered:
    """The same in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        input=json.dumps(load.__dict__),
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return Answered(**json.loads(ran.stdout))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(put(Load(**json.load(sys.stdin)))).__dict__))
