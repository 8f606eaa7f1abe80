"""What one request to a peer costs, by mutual TLS, and what signing and checking alone cost.

A real listener and a real link over loopback in one process; the desk answers by echo. CPU time of
both sides together, so that a busy machine changes little. ``signatures`` is without the TLS on
either side of a balancer, and without the balancer: it is what the node itself does more. Run it as
``python -m benchmarks.peer_hop --json``; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from federation.net import link as link_room
from federation.net.hops import SignedHop
from federation.net.identities import identity_der, make_identity
from federation.net.link import PeerLink
from federation.net.listener import Front, PeerListener
from federation.net.peering import PeerIdentities
from federation.net.proving import SignatureProving

ASKER, HOST = "asker.example", "host.example"
BODY_BYTES = (200, 60_000)
REQUESTS = 400
RUNS = 3


class Echo:
    """A desk that gives back what it got."""

    def __getattr__(self, _name: str) -> object:
        async def answer(_member: str, *given: object) -> bytes:
            return next((each for each in given if isinstance(each, bytes)), b"")

        return answer


def make_identities(folder: Path) -> tuple[PeerIdentities, PeerIdentities]:
    """Two members that pin each other."""
    since = datetime.now(UTC) - timedelta(hours=2)
    made = {name: make_identity(name, not_before=since) for name in (ASKER, HOST)}
    roster = {name: (identity_der(pair.certificate),) for name, pair in made.items()}
    asker, host = (PeerIdentities(name, made[name], folder / name) for name in (ASKER, HOST))
    for each in (asker, host):
        each.replace(roster)
    return asker, host


async def measure(folder: Path, *, is_signed: bool, requests: int) -> dict[str, float]:
    """CPU milliseconds of one request and its answer, both sides, by bytes of its body."""
    asker, host = make_identities(folder)
    front, url = None, ""
    if is_signed:
        front = Front(SignatureProving(host, lambda: (url,), time.time))
    listener = PeerListener(Echo(), host, lambda _member, _call: None, front=front)  # type: ignore[arg-type]
    await listener.start("127.0.0.1", 0)
    scheme = "https+signatures" if is_signed else "https"
    url = f"{scheme}://127.0.0.1:{listener.port}"
    link = PeerLink(HOST, [url], asker)
    if is_signed:
        await asyncio.sleep(1.01 - time.time() % 1)  # what is signed in the first second is refused
    milliseconds = {}
    for size in BODY_BYTES:
        body = bytes(size)
        await link.announce(body)
        began = time.process_time()
        for _ in range(requests):
            await link.announce(body)
        milliseconds[str(size)] = round(1_000 * (time.process_time() - began) / requests, 3)
    await link.close()
    await listener.close()
    return milliseconds


_UNUSED = ssl.create_default_context()


class _PlainHop(SignedHop):
    """Signed, without the balancer and its TLS: what is measured is the signing."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.url = self.url.with_scheme("http")
        self.context = _UNUSED


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="of the requests, 0 to 1")
    given = parser.parse_args()
    requests = max(10, round(REQUESTS * given.scale))
    vars(link_room)["SignedHop"] = _PlainHop
    told: dict[str, dict[str, float]] = {}
    for name, is_signed in (("mutual_tls", False), ("signatures", True)):
        runs = []
        for run in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(
                    asyncio.run(measure(Path(folder), is_signed=is_signed, requests=requests))
                )
            print(f"{name}, run {run + 1}: {runs[-1]} ms of CPU", file=sys.stderr)
        told[name] = {size: statistics.median(run[size] for run in runs) for size in runs[0]}
    print(json.dumps({"cpu_ms": told}))


if __name__ == "__main__":
    main()
