"""Plays a scenario on real processes: the installed program, real TLS, real SQLite, real signals.

Each node is a process of its own behind a proxy that can spoil each way (``fault_proxy.py``); kills
are SIGKILL, pauses SIGSTOP, a full disk is a small file system that is filled. What each node holds
is read from its database, and what can be read there and since when is asked over its API, all the
time. See ``scenario.py``; the other backend is ``tests/simulation/backend.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from federation.config import load_config
from federation.daemon.initialise import CONFIG_FILE, initialise
from federation.protocol.keys_signing import SigningKey
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_proposals import finish, propose_founding, sign_proposal
from tests.ports import free_ports
from tests.scenarios.checks import violations
from tests.scenarios.fault_proxy import Network
from tests.scenarios.held import held_by
from tests.scenarios.history import COUNTED, Entry, History
from tests.scenarios.scenario import EVERYBODY, Scenario, Step

REPOSITORY: Final = Path(__file__).parents[2]
PROGRAM: Final = Path(sys.executable).with_name("federation")
START_SECONDS_MAX: Final = 120.0
MEETING_SECONDS_MAX: Final = 60.0
ANSWER_SECONDS_MAX: Final = 10.0
"""For what is published: a node whose disk is full or that is stopped gives no answer."""

ASK_SECONDS: Final = 0.02
"""Between two looks whether a statement can be read."""

SETTLE_SECONDS_MAX: Final = 90.0
SETTLE_LOOK_SECONDS: Final = 0.5

DISK_BYTES: Final = 24 * 1024 * 1024
"""A small file system: a node's database takes a tenth of it."""

KEPT_APART: Final = ("tls", "lock", "guard")
"""What a backup of a data directory leaves out: see docs/internals/store.md."""


REFUSALS: Final = frozenset({429, 503})
"""Statuses with which a node says that it cannot now, for its disk or for too much at once."""

NEVER_SAID: Final = (b"Traceback", b"alarm internal-error")
"""In a node's log, whatever happens to it."""


class CannotPlay(RuntimeError):
    """This machine cannot be made to do what the scenario asks for; the text says what."""


@dataclass
class _Node:
    member: str
    folder: Path
    port: int
    address: str
    token: str
    hostile: str | None
    process: asyncio.subprocess.Process | None = None
    is_paused: bool = False
    said: int = 0
    log: list[bytes] = field(default_factory=list)

    @property
    def disk(self) -> Path:
        return self.folder / "data"

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.returncode is None

    @property
    def command(self) -> tuple[str | Path, ...]:
        config = self.folder / CONFIG_FILE
        if self.hostile is None:
            return PROGRAM, "serve", "--config", config, "--json"
        return sys.executable, "-m", "tests.scenarios.hostile_process", self.hostile, config


class ProcessStage:
    """One scenario being played; see :func:`playing`."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.history = History()
        self.chain: RosterChain
        self._folder = folder
        self._network = Network(scenario.seed)
        self._nodes: dict[str, _Node] = {}
        self._said: dict[str, list[str]] = {}
        self._answered = defaultdict[str, asyncio.Event](asyncio.Event)
        self._rng = Random(f"processes {scenario.seed}")
        self._tasks: set[asyncio.Task[None]] = set()
        self._starts: list[asyncio.Task[None]] = []
        self._errors: list[BaseException] = []
        self._mounts: list[Path] = []
        self._begun = 0.0

    # --- before and after -----------------------------------------------------------------------

    async def open(self) -> None:
        """Found the federation, start every node, and wait until all have met.

        Raises:
            CannotPlay: the scenario asks for what real processes cannot be made to do.
        """
        if self.scenario.simulated_only:
            raise CannotPlay(f"only simulated: {', '.join(sorted(self.scenario.simulated_only))}")
        await self._found()
        await asyncio.gather(*(self._serve(node) for node in self._nodes.values()))
        async with asyncio.timeout(MEETING_SECONDS_MAX):
            while not all([await self._has_met(node) for node in self._honest]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """End every process; give disks back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for node in self._nodes.values():
            await self._end(node)
        await self._network.close()
        for mount in self._mounts:
            await _run("umount", "--lazy", str(mount))

    async def _found(self) -> None:
        ports = free_ports(3 * len(self.scenario.nodes))
        requests = []
        for at, member in enumerate(self.scenario.nodes):
            outside, inside, api = ports[3 * at : 3 * at + 3]
            folder = self._folder / member
            if any(step.op == "disk" for step in self.scenario.steps):
                await self._mount(folder / "data")
            requests.append(
                initialise(
                    folder,
                    member,
                    f"https://127.0.0.1:{outside}",
                    api_listen=f"127.0.0.1:{api}",
                )
            )
            config = folder / CONFIG_FILE
            seconds = float(self.scenario.settings.get("anti_entropy_seconds", 30.0))
            text = config.read_text()
            text = text.replace("anti_entropy_seconds = 30.0", f"anti_entropy_seconds = {seconds}")
            # Others look for it at the proxy; it listens behind.
            config.write_text(text.replace(f':{outside}"', f':{inside}"'))
            settings = load_config(config)
            token = settings.path(settings.api.token_file).read_text().strip()
            address, hostile = f"http://127.0.0.1:{api}", self.scenario.hostile.get(member)
            self._nodes[member] = _Node(member, folder, inside, address, token, hostile)
            await self._network.stand_before(member, outside, inside)
        governor = SigningKey.from_seed(bytes(range(32)))
        now_ms = time.time_ns() // 1_000_000
        proposal = propose_founding(requests, [governor.public], 1, now_ms=now_ms)
        self.chain = finish(sign_proposal(proposal.proposal_bytes, governor), None)
        for node in self._nodes.values():
            (node.folder / "1.root.json").write_bytes(self.chain.versions[0])

    async def _mount(self, data: Path) -> None:
        if os.geteuid() != 0:
            raise CannotPlay(
                "a full disk is played on a small file system, and mounting takes root"
            )
        data.mkdir(parents=True)  # noqa: ASYNC240 - before anything runs
        await _run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(data))
        self._mounts.append(data)

    async def _serve(self, node: _Node) -> None:
        log = (node.folder / "serve.log").open("ab")
        with log:
            node.process = await asyncio.create_subprocess_exec(
                *node.command,
                cwd=REPOSITORY,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._network.started(node.member, node.process.pid)
        assert node.process.stdout is not None
        async with asyncio.timeout(START_SECONDS_MAX):
            await node.process.stdout.readline()
        if node.hostile is not None:
            self._begin(self._note_misdeeds(node, node.process.stdout))

    async def _note_misdeeds(self, node: _Node, said: asyncio.StreamReader) -> None:
        while line := await said.readline():
            self._note("misdeed", node.member, what=json.loads(line)["misdeed"])

    async def _end(self, node: _Node) -> None:
        if node.process is not None and node.process.returncode is None:
            with suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGKILL)
            await node.process.wait()
        node.process, node.is_paused = None, False

    async def _has_met(self, node: _Node) -> bool:
        peers = (await self._ask(node, "GET", "/v1/peers"))["peers"]
        hostile = self.scenario.hostile
        return all(peer["link"] == "up" for peer in peers if peer["member"] not in hostile)

    @property
    def _honest(self) -> list[_Node]:
        return [node for node in self._nodes.values() if node.hostile is None]

    # --- playing --------------------------------------------------------------------------------

    async def play(self) -> History:
        """All of it, then what every node holds."""
        self._begun = time.monotonic()
        for step in self.scenario.steps:
            await asyncio.sleep(max(0.0, step.at - self._now()))
            # A publish at a node that is stopped must not hold up what happens next.
            self._begin(getattr(self, f"_{step.op}")(step))
        await asyncio.sleep(max(0.0, self.scenario.seconds - self._now()))
        await asyncio.gather(*self._starts)
        if self._errors:
            raise self._errors[0]
        # A busy machine takes longer: what must hold in the end gets its time, but not for ever.
        until = self._now() + SETTLE_SECONDS_MAX
        while await self._look_at_all() and self._now() < until:  # noqa: ASYNC110 - at others
            await asyncio.sleep(SETTLE_LOOK_SECONDS)
        for node in self._nodes.values():
            self._note_failures(node)
        return self.history

    def _note_failures(self, node: _Node) -> None:
        """Who is killed by the scenario is forgotten as a process; anybody else should be there."""
        if node.process is not None and node.process.returncode is not None:
            why = f"ended by itself with {node.process.returncode}"
            self._note("failed", node.member, ok=False, why=why)
        for line in (node.folder / "serve.log").read_bytes().splitlines():
            if any(words in line for words in NEVER_SAID):
                self._note("failed", node.member, ok=False, why=line.decode(errors="replace"))

    async def _look_at_all(self) -> list[str]:
        """What every node holds; returns what does not hold yet."""
        for node in self._honest:
            if node.is_up and not node.is_paused:
                await self._note_held(node)
        return violations(self.scenario, self.history)

    def _now(self) -> float:
        return time.monotonic() - self._begun

    def _begin(self, step: Any) -> None:
        task = asyncio.ensure_future(step)
        if getattr(step, "__name__", "") == "_start":
            self._starts.append(task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def _note(self, op: str, node: str = "", *, ok: bool = True, **result: Any) -> None:
        self.history.add(Entry(self._now(), op, node, ok, result))

    def _at(self, step: Step) -> Iterator[_Node]:
        who = step["node"]
        yield from self._nodes.values() if who == EVERYBODY else [self._nodes[who]]

    async def _at_each(self, step: Step, act: Callable[[_Node], Awaitable[None]]) -> None:
        for node in list(self._at(step)):
            await act(node)
            self._note(step.op, node.member)

    # --- saying ---------------------------------------------------------------------------------

    async def _publish(self, step: Step) -> None:
        for node in self._at(step):
            confirms = []
            for _ in range(step["count"]):
                pdq = self._rng.randbytes(32).hex()
                signals = [{"type": "pdq", "value": pdq, "quality": 90}]
                confirms.append({"signals": signals, "labels": ["tvec1"]})
            await self._say(node, step, {"confirm": confirms}, "confirmed")

    async def _withdraw(self, step: Step) -> None:
        await self._say_about(step, "withdraw", "withdrawn", "mistake")

    async def _erase(self, step: Step) -> None:
        await self._say_about(step, "erase", "erased", "unlawful")

    async def _say_about(self, step: Step, kind: str, told: str, reason: str) -> None:
        for node in self._at(step):
            # On a busy machine what it is about may take longer to say than the steps lie apart.
            await self._answered[step["of"]].wait()
            targets = self._said.get(step["of"], [])
            about = [{"statement": each, "reason": reason} for each in targets]
            await self._say(node, step, {kind: about}, told)

    async def _say(self, node: _Node, step: Step, body: dict[str, Any], told: str) -> None:
        log = LogId(node.member, self.chain.federation_id, Lane(step["lane"])).origin
        result: dict[str, Any] = {"key": step["key"], "log": log, "ids": []}
        # On a busy machine a start takes longer than until something is to be said there.
        await asyncio.gather(*self._starts)
        try:
            answer = await self._ask(
                node, "POST", "/v1/statements", {**body, "lane": str(step["lane"])}
            )
            self._said[step["key"]] = [each["id"] for each in answer[told]]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, aiohttp.ClientResponseError) and error.status not in REFUSALS:
                raise  # it should not have been asked, or it does not know why it failed
            self._note(step.op, node.member, ok=False, **result)
            return
        finally:
            self._answered[step["key"]].set()
        ids = self._said[step["key"]]
        self._note(step.op, node.member, **{**result, "ids": ids})
        for other in self._honest:
            if other is not node:
                self._begin(self._watch(other, step["key"], ids))

    async def _watch(self, node: _Node, key: str, ids: list[str]) -> None:
        """Note when all that was said under a key can be read at a node."""
        lacking = list(ids)
        while lacking:
            try:
                while lacking:
                    await self._ask(node, "GET", f"/v1/statements/{lacking[-1]}")
                    lacking.pop()
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(ASK_SECONDS)
        self._note("seen", node.member, key=key)

    async def _ask(self, node: _Node, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {node.token}"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS_MAX)
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
            session.request(method, node.address + path, json=body) as answer,
        ):
            answer.raise_for_status()
            return json.loads(await answer.read())

    async def _lie(self, step: Step) -> None:
        for node in self._at(step):
            if node.process is not None and node.process.stdin is not None:
                node.process.stdin.write(f"lie {step['count']}\n".encode())
                await node.process.stdin.drain()
            self._note(step.op, node.member, key=step["key"])

    # --- processes and disks --------------------------------------------------------------------

    async def _kill(self, step: Step) -> None:
        await self._at_each(step, self._end)

    async def _start(self, step: Step) -> None:
        await self._at_each(step, self._serve)

    async def _pause(self, step: Step) -> None:
        async def pause(node: _Node) -> None:
            _signal(node, signal.SIGSTOP)
            node.is_paused = True

        await self._at_each(step, pause)

    async def _resume(self, step: Step) -> None:
        async def resume(node: _Node) -> None:
            _signal(node, signal.SIGCONT)
            node.is_paused = False

        await self._at_each(step, resume)

    async def _wipe(self, step: Step) -> None:
        async def wipe(node: _Node) -> None:
            await self._end(node)
            _empty(node.disk)

        await self._at_each(step, wipe)

    async def _backup(self, step: Step) -> None:
        async def backup(node: _Node) -> None:
            # Stopped for a moment, so that the copy is of one moment: a snapshot of the disk.
            _signal(node, signal.SIGSTOP)
            shutil.copytree(
                node.disk,
                self._folder / f"{node.member}-{step['name']}",
                ignore=shutil.ignore_patterns(*(f"{name}*" for name in KEPT_APART)),
            )
            _signal(node, signal.SIGCONT)

        await self._at_each(step, backup)

    async def _restore(self, step: Step) -> None:
        async def restore(node: _Node) -> None:
            await self._end(node)
            _empty(node.disk, apart_from=KEPT_APART)
            kept = self._folder / f"{node.member}-{step['name']}"
            shutil.copytree(kept, node.disk, dirs_exist_ok=True)

        await self._at_each(step, restore)

    async def _disk(self, step: Step) -> None:
        async def change(node: _Node) -> None:
            ballast = node.disk / "ballast"
            if not step.fields.get("full"):
                ballast.unlink(missing_ok=True)
                return
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        await self._at_each(step, change)

    async def _observe(self, step: Step) -> None:
        for node in self._at(step):
            if node.hostile is not None:
                continue
            if node.is_up and not node.is_paused:
                await self._note_held(node, step.op)
            else:
                self._note(step.op, node.member, ok=False)

    _glance = _observe

    async def _note_held(self, node: _Node, op: str = "observe") -> None:
        held = await asyncio.to_thread(held_by, node.disk, node.member)
        peers = (await self._ask(node, "GET", "/v1/peers"))["peers"]
        faults = {peer["member"]: peer["faults"] for peer in peers}
        counts = {peer["member"]: _counted(peer) for peer in peers}
        self._note(op, node.member, **held, faults=faults, counts=counts)

    # --- the network ----------------------------------------------------------------------------

    async def _link(self, step: Step) -> None:
        members, fields = self.scenario.nodes, step.fields
        loop = asyncio.get_running_loop()
        for source in members if step["source"] == EVERYBODY else (step["source"],):
            for target in members if step["target"] == EVERYBODY else (step["target"],):
                if source == target:
                    continue
                way = self._network.way(source, target)
                way.up = fields.get("up", way.up)
                way.latency = tuple(fields.get("latency", way.latency))
                way.rate = fields.get("rate", way.rate)
                if "clog" in fields:
                    way.clogged_until = loop.time() + fields["clog"]
                if fields.get("reset"):
                    self._network.reset(source, target)
        self._note("link")

    async def _calm(self, _step: Step) -> None:
        self._network.calm()
        self._note("calm")


@asynccontextmanager
async def playing(scenario: Scenario, folder: Path) -> AsyncIterator[ProcessStage]:
    """A stage on which everybody has met; everything on it ends with the block.

    Raises:
        CannotPlay: the scenario asks for what cannot be done here.
    """
    stage = ProcessStage(scenario, folder)
    try:
        await stage.open()
        yield stage
    finally:
        await stage.close()


def _counted(peer: dict[str, Any]) -> dict[str, int]:
    """What is shown of a peer, where it is anything at all."""
    unsigned = sum(log["unsigned"] for log in peer["logs"])
    return {word: n for word in COUNTED if (n := {**peer, "unsigned": unsigned}[word])}


def _signal(node: _Node, number: signal.Signals) -> None:
    if node.process is not None:
        with suppress(ProcessLookupError):
            node.process.send_signal(number)


def _empty(folder: Path, apart_from: tuple[str, ...] = ()) -> None:
    for each in folder.iterdir():
        if each.name.startswith(apart_from) and apart_from:
            continue
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise CannotPlay(f"{command[0]}: {said.decode(errors='replace').strip()}")
