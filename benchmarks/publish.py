"""How fast one node publishes: statements a second, durable and signed, by batch size.

A real node in a temporary folder: real SQLite with ``synchronous=FULL``, real Ed25519 checkpoints,
the matcher's index fed as it goes. No peers: what spreading costs is another benchmark. Run it as
``python -m benchmarks.publish --json``; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

from federation.config import load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.daemon.node import Node
from federation.protocol.bodies import Confirm
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal
from federation.protocol.signals import Signal, SignalType

MEMBER = "bench.example"
BATCHES = {1: 2_000, 256: 51_200}
"""Batch size -> statements in one run: some seconds each."""
RUNS = 3


def make_node(folder: Path) -> Path:
    """A federation of one member; its ``node.toml``."""
    request = initialise(folder, MEMBER, "https://127.0.0.1:1", api_listen="127.0.0.1:0")
    governor = SigningKey.from_seed(secrets.token_bytes(32))
    now_ms = time.time_ns() // 1_000_000
    proposal = propose_founding([request], [governor.public], 1, now_ms=now_ms)
    chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
    (folder / "1.root.json").write_bytes(chain.versions[0])
    config = folder / CONFIG_FILE
    config.write_text(config.read_text().replace('127.0.0.1:1"', '127.0.0.1:0"'))
    return config


def make_confirms(count: int) -> list[Confirm]:
    """Confirms of one random PDQ signal each."""
    return [
        Confirm(
            f"item-{number}",
            (Signal(SignalType.PDQ, secrets.token_bytes(32), 90),),
            ("tvec1",),
        )
        for number in range(count)
    ]


async def measure(batch: int, statements: int) -> float:
    """Statements a second when publishing in batches of that size, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        node = await Node.open(load_config(make_node(Path(folder))))
        await node.start()
        confirms = make_confirms(statements)
        begun = time.perf_counter()
        for start in range(0, statements, batch):
            await node.publisher.confirm(Lane.LIVE, confirms[start : start + batch])
        seconds = time.perf_counter() - begun
        await node.close()
        return statements / seconds


def main() -> None:
    """Measure each batch size several times and tell the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--scale", type=float, default=1.0, help="of the statements, 0 to 1")
    arguments = parser.parse_args()
    per_s: dict[str, float] = {}
    for batch, statements in BATCHES.items():
        count = max(batch, int(statements * arguments.scale) // batch * batch)
        rates = [asyncio.run(measure(batch, count)) for _ in range(RUNS)]
        per_s[str(batch)] = round(statistics.median(rates), 1)
        sys.stderr.write(
            f"batches of {batch:>4}: {per_s[str(batch)]:>10,.0f} statements/s "
            f"(min {min(rates):,.0f}, max {max(rates):,.0f}, {count:,} each run)\n"
        )
    if arguments.json:
        sys.stdout.write(json.dumps({"per_s": per_s}) + "\n")


if __name__ == "__main__":
    main()
