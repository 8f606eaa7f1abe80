"""Ports for the nodes of tests: below those the system gives out, and another range a test process.

A port that the system chose and gave back can be given to another test's node before this one's
listens; then a test would speak to a stranger. Here each is given once by a process.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 10_000
LAST: Final = 30_000
"""What the system gives to connections begins at 32,768."""


def _candidates() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    span = (LAST - FIRST) // max(workers, worker + 1)
    # Two runs on one machine begin at different places.
    begin = os.getpid() * 37 % span
    return (FIRST + span * worker + (begin + step) % span for step in itertools.count())


_ports: Final = _candidates()


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on, none of which was given before."""
    found: list[int] = []
    while len(found) < count:
        port = next(_ports)
        with socket.socket() as asked:
            try:
                asked.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found
