"""What ``serve`` does: run the node and its local API until somebody says stop.

The local API listens first, so that ``/healthz`` tells a supervisor that the process lives while
``/readyz`` says that the node does not serve yet. SIGTERM and SIGINT stop it gracefully; a second
one ends it at once, and what was acknowledged is safe either way.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Final

from federation import __version__
from federation.cli.answers import plain
from federation.config import NodeConfig, load_config
from federation.daemon.node import Node
from federation.errors import FederationError
from federation.web.app import LocalServer

COLLECTOR_THRESHOLD = 10_000
"""Objects made before the cycle collector looks at the young ones: a millisecond or two, in which
nothing else is done."""

SWITCH_SECONDS: Final = 0.001
"""So long a thread keeps Python while another one waits for it; the usual 5 ms are a whole step of
bulk, and what is urgent hands over between loop and database a dozen times."""

log_lines = logging.getLogger(__name__)

STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class _LogLine(logging.Formatter):
    """UTC, and nothing that steers the terminal that shows it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return plain(super().formatMessage(record))


def serve(config_path: Path, *, as_json: bool) -> None:
    """Run a node until SIGTERM or SIGINT.

    Args:
        config_path: of the node.
        as_json: write one JSON object to stdout once it serves.

    Raises:
        ConfigError: config, keys, roster or data directory are missing, malformed or in use.
        StoreError: the database cannot be opened or does not verify.
    """
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(_LogLine())
    logging.basicConfig(level=logging.INFO, handlers=[to_stderr])
    asyncio.run(_run(load_config(config_path), as_json=as_json))


async def _run(config: NodeConfig, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        log_lines.info("stopping; a second signal ends the process at once")
        for number in STOPPING:
            loop.remove_signal_handler(number)
        stop.set()

    for number in STOPPING:
        loop.add_signal_handler(number, stop_once)
    log_lines.info("release %s starts as %s", __version__, config.member)
    # What is loaded by now stays: the collector need not look at it again and again. A statement on
    # its way in is a dozen objects without a cycle: at the usual 700 it would stop a step of 4,096
    # seventy times, which costs as much as judging it.
    gc.freeze()
    gc.set_threshold(COLLECTOR_THRESHOLD, 100, 50)
    sys.setswitchinterval(SWITCH_SECONDS)
    node = await Node.open(config)
    try:
        server = LocalServer(node)
        await server.start()
        try:
            log_lines.info("local API on %s; reading the store", config.api.listen)
            if await _started(node, stop):
                # What is here now stays: the collector need not walk over it while answers wait.
                gc.collect()
                gc.freeze()
                await server.open()
                loop.add_signal_handler(signal.SIGHUP, _reload_policy, node)
                _say_ready(config, as_json=as_json)
                await stop.wait()
                server.api.is_ready = False
        finally:
            await server.close()
    finally:
        await node.close()
    log_lines.info("stopped")


def _reload_policy(node: Node) -> None:
    """Read policy and benign set again; what is refused leaves the old in force."""

    async def reload() -> None:
        try:
            taken = await node.platform.reload()
            log_lines.info("policy %s is in force", taken.sha256[:16])
        except FederationError as error:
            log_lines.error("the policy stays as it was: %s", error.message)

    _RELOADING.add(task := asyncio.get_running_loop().create_task(reload()))
    task.add_done_callback(_RELOADING.discard)


_RELOADING: Final[set[asyncio.Task[None]]] = set()
"""Tasks that nobody waits for are kept alive here."""


async def _started(node: Node, stop: asyncio.Event) -> bool:
    """Start the node, unless it is told to stop before it has started."""
    starting = asyncio.create_task(node.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return True
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return False


def _say_ready(config: NodeConfig, *, as_json: bool) -> None:
    log_lines.info("ready: peers reach %s on %s", config.member, config.peers.listen)
    if as_json:
        ready = {
            "ready": True,
            "member": config.member,
            "api": config.api.listen,
            "peers": config.peers.listen,
        }
        print(json.dumps(ready), flush=True)
