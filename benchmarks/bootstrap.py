"""How fast a new node gets, judges and indexes a long log from peers.

Three real node processes of three companies on loopback: two hold a bulk log of one of them,
written into their databases before they start; the third is empty. Measured is its whole life from
the start of the process until it holds every statement and answers ``block`` for the last one. CPU
seconds are told on stderr: on a machine that is busy otherwise, they are the figure to look at. Run
it as ``python -m benchmarks.bootstrap --json``; the last line of stdout is one JSON object.

- ``per_s``: statements a second, the start of the process included.
- ``rss_mb``: the most memory the new node ever had, with its index.
- ``disk_bytes_per_statement``: its database and write-ahead log after a graceful stop.
- ``index_bytes_per_statement``: the files of the index beside it, which are made again where they
  are lost.
- ``wire_bytes_per_statement``: what came in over its connections, as the kernel counts (TLS and
  HTTP included).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.companies import (
    cpu_seconds,
    disk_bytes,
    federation_of,
    fill_log,
    numbered_values,
    received_bytes,
    resident_mb,
)
from federation.cli.demo_companies import Company
from federation.cli.demo_processes import StepFailed, stop_nodes, within
from federation.protocol.signals import Signal, SignalType
from federation.web.schemas import StatusAnswer

STATEMENTS: Final = 1_000_000
SECONDS_MAX: Final = 600.0
POLL_SECONDS: Final = 0.25


async def held_by(company: Company) -> int:
    """How many statements of all logs its node holds; 0 while it does not answer."""
    try:
        answer = await company.node.get("/v1/status", StatusAnswer)
    except Exception:  # noqa: BLE001 - it is not up yet; within() bounds the wait
        return 0
    return sum(log.held for log in answer.logs)


async def measure(folder: Path, statements: int) -> dict[str, float]:
    """One run, in an empty folder."""
    async with federation_of(folder, 3) as (issuer, mirror, joiner):
        values = numbered_values(statements)
        _say(f"writing {statements:,} statements into two databases")
        await fill_log(issuer, [issuer, mirror], values)
        for company in (issuer, mirror):
            company.start()
        for company in (issuer, mirror):
            await company.wait_ready()
        last = [Signal(SignalType.PDQ, values[-1])]
        serving = [each.process for each in (issuer, mirror) if each.process is not None]
        served = sum(map(cpu_seconds, serving))
        begun = time.perf_counter()
        joiner.start()
        await joiner.wait_ready()
        ready = time.perf_counter() - begun
        async with within(SECONDS_MAX, "the new node did not get everything", joiner.log):
            while (held := await held_by(joiner)) < statements:
                joiner.check_alive()
                _say(f"{held:>12,} of {statements:,}", end="\r")
                await asyncio.sleep(POLL_SECONDS)
        await joiner.wait_answer(last, refuses=True, seconds=SECONDS_MAX)
        seconds = time.perf_counter() - begun
        process = joiner.process
        if process is None:
            raise StepFailed("the new node is gone", joiner.log)
        memory, received = resident_mb(process), await received_bytes(process)
        used, served = cpu_seconds(process), sum(map(cpu_seconds, serving)) - served
        _say(f"CPU seconds: {used:.1f} of the new node, {served:.1f} of both that served it")
        await asyncio.to_thread(stop_nodes, [process])
        _say(f"served after {ready:.1f} s, complete after {seconds:.1f} s")
        return {
            "statements": statements,
            "per_s": round(statements / seconds, 1),
            "rss_mb": round(memory, 1),
            "disk_bytes_per_statement": round(disk_bytes(joiner) / statements, 1),
            "index_bytes_per_statement": round(disk_bytes(joiner, "index/*") / statements, 1),
            "wire_bytes_per_statement": round(received / statements, 1),
        }


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(f"{text}{end}")
    sys.stderr.flush()


def main() -> None:
    """Measure once and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the statements, 0 to 1")
    arguments = parser.parse_args()
    statements = max(8_192, int(STATEMENTS * arguments.scale))
    with tempfile.TemporaryDirectory() as folder:
        told = asyncio.run(measure(Path(folder), statements))
    for name, value in told.items():
        _say(f"{name:>26}: {value:>14,}")
    if arguments.json:
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
