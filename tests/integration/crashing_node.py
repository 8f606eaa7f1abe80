"""A node that kills itself with SIGKILL at one step of its n-th publish; run as a process.

``python -m tests.integration.crashing_node NODE.TOML STEP NTH COUNT`` publishes one statement after
another, up to COUNT, and writes a line ``acknowledged <statement id>`` when each is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from federation.config import load_config
from federation.daemon.node import Node
from federation.protocol.origins import Lane
from tests.builders import make_confirm


async def _run(config_path: Path, step: str, nth: int, count: int) -> None:
    seen = 0

    def after_step(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == nth and name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    node = await Node.open(load_config(config_path), after_step=after_step)
    await node.start()
    for number in range(count):
        (statement,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(number)])
        sys.stdout.write(f"acknowledged {statement.id}\n")
        sys.stdout.flush()
    await node.close()


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
