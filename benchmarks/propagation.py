"""How long it takes from a publish at one of eight companies until all eight block.

Eight real node processes on one machine, mutual TLS on loopback, SQLite with fsync, one company
each. First the live lane, nothing else going on; then one issuer imports a list in the bulk lane,
through its local API as an operator would, and meanwhile others publish in the crisis lane. Run it
as ``python -m benchmarks.propagation --json``; the last line of stdout is one JSON object. It ends
by itself: what of the list is not everywhere after ``BULK_SECONDS_MAX`` is not waited for, and the
figures say how many statements were.

- ``live_p50_ms``, ``live_p99_ms``: from sending the publish request to the last ``block``. Each
  node, the issuer's own too, is asked by itself, again and again: its answers' own time counts.
- ``crisis_p99_ms_during_bulk``: the same in the crisis lane while the list goes out, of
  ``crisis_samples``. Of fewer than a hundred samples it is the slowest, as ``live_p99_ms`` is.
- ``bulk_node_statements_per_s``: statements of the list a second at the median receiver, while all
  eight share this machine. What a node reaches alone on it is ``benchmarks.bootstrap``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.companies import federation_of, numbered_values
from federation.cli.demo_companies import Company
from federation.cli.demo_processes import StepFailed
from federation.protocol.origins import Lane
from federation.web.match_schemas import MatchAnswer, MatchRequest, SignalQuery
from federation.web.schemas import (
    ConfirmRequest,
    PublishAnswer,
    PublishedSignal,
    PublishRequest,
    StatusAnswer,
)

NODES: Final = 8
SAMPLES: Final = 200
STATEMENTS: Final = 1_000_000
PART_LINES: Final = 2_048
SAMPLE_SECONDS_MAX: Final = 30.0
BULK_SECONDS_MAX: Final = 480.0
CRISIS_PAUSE_SECONDS: Final = 0.5
"""Between two crisis statements: a person does not publish faster."""

POLL_SECONDS: Final = 0.002
"""Between an answer and the next question: what one platform's uploads would put on its node."""


async def publish(company: Company, value: bytes, lane: Lane) -> None:
    """Confirm one PDQ signal."""
    signal = PublishedSignal(type="pdq", value=value.hex(), quality=90)
    request = PublishRequest(
        lane=lane.value, confirm=[ConfirmRequest(signals=[signal], labels=["tvec1"])]
    )
    await company.node.post("/v1/statements", request, PublishAnswer)


async def is_refused_at(company: Company, value: bytes) -> bool:
    """Whether content with that signal is blocked there."""
    asked = MatchRequest(signals=[SignalQuery(type="pdq", value=value.hex())])
    answer = await company.node.post("/v1/match", asked, MatchAnswer)
    return answer.results[0].action == "block"


async def sample(companies: Sequence[Company], issuer: Company, lane: Lane) -> float:
    """Milliseconds from a publish until every company blocks.

    Raises:
        StepFailed: one of them never did.
    """
    (value,) = numbered_values(1)
    begun = time.perf_counter()

    async def until_refused(company: Company) -> None:
        while not await is_refused_at(company, value):
            if time.perf_counter() - begun > SAMPLE_SECONDS_MAX:
                raise StepFailed(f"company {company.name} never blocked", company.log)
            await asyncio.sleep(POLL_SECONDS)

    await publish(issuer, value, lane)
    await asyncio.gather(*map(until_refused, companies))
    return (time.perf_counter() - begun) * 1_000


async def bulk_held_by(company: Company) -> int:
    """How many statements of bulk logs its node holds."""
    answer = await company.node.get("/v1/status", StatusAnswer)
    return sum(log.held for log in answer.logs if log.lane == Lane.BULK)


async def send_list(company: Company, values: Sequence[bytes]) -> None:
    """Import a list through the local API, part by part."""
    for at in range(0, len(values), PART_LINES):
        lines = [
            b'{"signals":[{"type":"pdq","value":"%b","quality":90}],"labels":["tvec1"]}\n'
            % value.hex().encode()
            for value in values[at : at + PART_LINES]
        ]
        await company.node.send("/v1/import", b"".join(lines))


class Receivers:
    """How far the list has got at each node but the issuer's."""

    def __init__(self, companies: Sequence[Company], statements: int) -> None:
        self.companies, self.statements = companies, statements
        self.before: list[int] = []
        self.ended: dict[str, float] = {}
        self.held: dict[str, int] = {}

    async def watch(self, begun: float) -> None:
        """Note when each node holds all of it; returns when all do, or time is up."""
        while len(self.ended) < len(self.companies):
            now = time.perf_counter() - begun
            if now > BULK_SECONDS_MAX:
                return
            for company, before in zip(self.companies, self.before, strict=True):
                if company.name not in self.ended:
                    self.held[company.name] = await bulk_held_by(company) - before
                    if self.held[company.name] >= self.statements:
                        self.ended[company.name] = now
            _say(f"list: {min(self.held.values(), default=0):>10,} everywhere", end="\r")
            await asyncio.sleep(1.0)

    def per_s(self, seconds: float) -> list[float]:
        """Statements a second at each node."""
        return [
            min(self.held.get(company.name, 0), self.statements)
            / self.ended.get(company.name, seconds)
            for company in self.companies
        ]


async def measure(folder: Path, samples: int, statements: int) -> dict[str, float]:
    """One run, in an empty folder."""
    async with federation_of(folder, NODES) as companies:
        for company in companies:
            company.start()
        for company in companies:
            await company.wait_ready()
        for company in companies:
            await company.wait_linked(companies)
        await sample(companies, companies[0], Lane.LIVE)  # connections, caches
        live = [
            await sample(companies, companies[number % NODES], Lane.LIVE)
            for number in range(samples)
        ]
        issuer, others = companies[-1], companies[:-1]
        receivers = Receivers(others, statements)
        receivers.before = [await bulk_held_by(company) for company in others]
        values = numbered_values(statements)
        begun = time.perf_counter()
        sending = asyncio.create_task(send_list(issuer, values))
        watching = asyncio.create_task(receivers.watch(begun))
        crisis: list[float] = []
        while not watching.done():
            crisis.append(await sample(companies, others[len(crisis) % len(others)], Lane.CRISIS))
            await asyncio.sleep(CRISIS_PAUSE_SECONDS)
        seconds = time.perf_counter() - begun
        await watching
        if sending.done():
            sending.result()
        sending.cancel()
        rates = receivers.per_s(seconds)
        everywhere = min(receivers.held.values(), default=0)
        _say(
            f"crisis samples: {len(crisis)}, p50 {statistics.median(crisis):,.0f} ms,"
            f" max {max(crisis):,.0f} ms; the list took {seconds:.0f} s"
        )
        _say(f"all {len(others)} receivers together: {sum(rates):,.0f} statements/s")
        return {
            "nodes": NODES,
            "samples": samples,
            "live_p50_ms": round(statistics.median(live), 1),
            "live_p99_ms": round(percentile(live, 0.99), 1),
            "crisis_samples": len(crisis),
            "crisis_p50_ms_during_bulk": round(statistics.median(crisis), 1),
            "crisis_p99_ms_during_bulk": round(percentile(crisis, 0.99), 1),
            "bulk_statements": min(everywhere, statements),
            "bulk_node_statements_per_s": round(statistics.median(rates), 1),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so great a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(f"{text}{end}")
    sys.stderr.flush()


def main() -> None:
    """Measure once and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of samples and list, 0 to 1")
    arguments = parser.parse_args()
    samples = max(10, int(SAMPLES * arguments.scale))
    statements = max(8_192, int(STATEMENTS * arguments.scale))
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(Path(folder), samples, statements))
    for name, value in told.items():
        _say(f"{name:>28}: {value:>12,}")
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
