"""The companies of the demo, and how they found their federation.

A company is a folder, a process and a local API, and everything goes through the programs and calls
that any operator uses. All but the last company found the federation; the last one joins by a
second roster version, so that there is a chain to follow.
"""

from __future__ import annotations

import asyncio
import json
import socket
import string
import subprocess
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from federation.cli.client import NodeClient
from federation.cli.demo_processes import (
    StepFailed,
    kill_node,
    run_federation,
    start_node,
    within,
)
from federation.errors import FederationError
from federation.local_errors.disk import NodeStarting
from federation.local_errors.peers import NodeUnreachable
from federation.protocol.signals import Signal
from federation.web.match_schemas import MatchAnswer, MatchRequest, SignalQuery
from federation.web.schemas import (
    AboutRequest,
    ConfirmRequest,
    PeersAnswer,
    PublishAnswer,
    PublishedSignal,
    PublishRequest,
    StatementAnswer,
)

LOOPBACK: Final = "127.0.0.1"
GOVERNOR_FILE: Final = "governor.key"

READY_SECONDS: Final = 180.0
"""A node starts within a second; the first one ever makes machine code for up to a minute."""

LINKED_SECONDS: Final = 90.0
"""Who was called before it listened is called again after some seconds."""

POLL_SECONDS: Final = 0.005
"""So much later than it happened is a change noticed; asking costs each node about a hundredth of
a core then."""

SLOW_POLL_SECONDS: Final = 0.1

T = TypeVar("T")


@dataclass
class Company:
    """One company.

    Attributes:
        name: one letter, as in the table.
        folder: its node's.
        port: of its peer listener.
        api_port: of its local API.
        process: its node, where it runs.
    """

    name: str
    folder: Path
    port: int
    api_port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _client: NodeClient | None = field(default=None, repr=False)

    @property
    def member(self) -> str:
        """Its name in the roster."""
        return f"{self.name.lower()}.example"

    @property
    def address(self) -> str:
        """Where the others reach its node."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def config(self) -> Path:
        """Its node's config file."""
        return self.folder / "node.toml"

    @property
    def request(self) -> Path:
        """Its request to join."""
        return self.folder / "join-request.json"

    @property
    def log(self) -> Path:
        """What its node says."""
        return self.folder / "node.log"

    @property
    def node(self) -> NodeClient:
        """Its local API.

        Raises:
            StepFailed: its node was never started.
        """
        if self._client is None:
            raise StepFailed(f"company {self.name} has no node yet")
        return self._client

    # --- its process ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start its node."""
        self.process = start_node(self.config, self.log)

    def kill(self) -> None:
        """End its node with SIGKILL."""
        if self.process is not None:
            kill_node(self.process)
            self.process = None

    def check_alive(self) -> None:
        """Notice a node that has ended by itself.

        Raises:
            StepFailed: it has.
        """
        if self.process is None or self.process.poll() is not None:
            raise StepFailed(f"the node of company {self.name} is not running", self.log)

    async def wait_ready(self) -> None:
        """Wait until its node serves.

        Raises:
            StepFailed: it ended, or took too long.
        """
        if self._client is None:
            self._client = await NodeClient.of(self.config).__aenter__()
        async with within(READY_SECONDS, f"company {self.name} did not start", self.log):
            while not await self._is_ready():
                self.check_alive()
                await asyncio.sleep(SLOW_POLL_SECONDS)

    async def wait_linked(self, others: Sequence[Company]) -> None:
        """Wait until its node has heard from all these.

        Raises:
            StepFailed: it ended, or took too long.
        """
        wanted = {other.member for other in others if other is not self}
        async with within(LINKED_SECONDS, f"company {self.name} did not reach all", self.log):
            while True:
                self.check_alive()
                answer = await self.node.get("/v1/peers", PeersAnswer)
                if wanted <= {peer.member for peer in answer.peers if peer.link == "up"}:
                    return
                await asyncio.sleep(SLOW_POLL_SECONDS)

    async def _is_ready(self) -> bool:
        try:
            return await self.node.is_ready()
        except NodeUnreachable:
            return False

    async def close(self) -> None:
        """Give up the connections to its local API."""
        if self._client is not None:
            await self._client.__aexit__(None, None, None)

    # --- its local API --------------------------------------------------------------------------

    async def confirm(self, signals: Sequence[Signal], label: str) -> str:
        """Publish that content is violating; returns the statement's id.

        Raises:
            StepFailed: its node refused, or did not answer.
        """
        shown = [
            PublishedSignal(type=each.type, value=each.value.hex(), quality=each.quality)
            for each in signals
        ]
        request = PublishRequest(confirm=[ConfirmRequest(signals=shown, labels=[label])])
        answer = await self._told(self.node.post("/v1/statements", request, PublishAnswer))
        return answer.confirmed[0].id

    async def withdraw(self, statement: str) -> None:
        """Take a statement back.

        Raises:
            StepFailed: its node refused, or did not answer.
        """
        request = PublishRequest(withdraw=[AboutRequest(statement=statement, reason="benign")])
        await self._told(self.node.post("/v1/statements", request, PublishAnswer))

    async def bundle(self, statement: str) -> bytes:
        """The provenance bundle of a statement.

        Raises:
            StepFailed: its node refused, or did not answer.
        """
        return await self._told(self.node.fetch(f"/v1/statements/{statement}/bundle"))

    async def holders(self, statement: str) -> set[str]:
        """Other members whose receipts for a statement it holds.

        Raises:
            StepFailed: its node refused, or did not answer.
        """
        path = f"/v1/statements/{statement}"
        answer = await self._told(self.node.get(path, StatementAnswer))
        return {receipt.member for receipt in answer.receipts} - {self.member}

    async def refuses(self, signals: Sequence[Signal]) -> bool:
        """Whether content with these signals is to be blocked here.

        Raises:
            StepFailed: its node refused, or did not answer.
        """
        return _is_refusal(await self._told(self._match(signals)))

    async def distance(self, signals: Sequence[Signal]) -> int:
        """Of the nearest confirmed picture, in bits of PDQ.

        Raises:
            StepFailed: there is none here, or its node did not answer.
        """
        results = (await self._told(self._match(signals))).results
        near = [each for result in results for each in result.matches if each.type == "pdq"]
        if not near:
            raise StepFailed(f"company {self.name} blocks, but found no PDQ near it", self.log)
        return min(each.distance for each in near)

    async def wait_answer(
        self, signals: Sequence[Signal], *, refuses: bool, seconds: float
    ) -> None:
        """Ask again and again until content is blocked here, or passes.

        Raises:
            StepFailed: its node ended, or it took too long.
        """
        what = f"company {self.name} did not answer {'block' if refuses else 'allow'}"
        async with within(seconds, what, self.log):
            while True:
                if await self._answers(signals, refuses=refuses):
                    return
                self.check_alive()
                await asyncio.sleep(POLL_SECONDS)

    async def _answers(self, signals: Sequence[Signal], *, refuses: bool) -> bool:
        try:
            return _is_refusal(await self._match(signals)) is refuses
        except (NodeUnreachable, NodeStarting):
            return False
        except FederationError as error:
            raise StepFailed(f"company {self.name}: {error.message}", self.log) from None

    async def _match(self, signals: Sequence[Signal]) -> MatchAnswer:
        queries = [SignalQuery(type=each.type, value=each.value.hex()) for each in signals]
        return await self.node.post("/v1/match", MatchRequest(signals=queries), MatchAnswer)

    async def _told(self, asking: Awaitable[T]) -> T:
        """An answer; what went wrong is told with the company's name and log."""
        try:
            return await asking
        except FederationError as error:
            raise StepFailed(f"company {self.name}: {error.message}", self.log) from None


def _is_refusal(answer: MatchAnswer) -> bool:
    return any(result.action == "block" for result in answer.results)


# --- founding -------------------------------------------------------------------------------------


def make_companies(folder: Path, count: int) -> list[Company]:
    """Companies A, B, C and so on, on ports of loopback that are free now."""
    with ExitStack() as held:
        ports = []
        for _ in range(2 * count):
            asking = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            asking.bind((LOOPBACK, 0))
            ports.append(int(asking.getsockname()[1]))
    return [
        Company(name, folder / name, ports[2 * place], ports[2 * place + 1])
        for place, name in enumerate(string.ascii_uppercase[:count])
    ]


async def prepare(folder: Path, companies: Sequence[Company]) -> str:
    """Each company makes keys, config and a request to join; somebody makes a governor's key.

    Returns:
        The governor's public key.

    Raises:
        StepFailed: a command did not succeed.
    """
    async with asyncio.TaskGroup() as group:
        governor = group.create_task(
            run_federation("roster", "governor", folder / GOVERNOR_FILE, "--json")
        )
        for company in companies:
            url, api = f"https://{company.address}", f"{LOOPBACK}:{company.api_port}"
            named = ("--member", company.member, "--url", url, "--api", api)
            group.create_task(run_federation("init", company.folder, *named, "--json"))
    return str(json.loads(governor.result())["public"])


async def found(folder: Path, governor: str, founders: Sequence[Company], joins: Company) -> None:
    """The governor founds the federation; ``1.root.json`` goes into the folder and to everyone.

    Raises:
        StepFailed: a command did not succeed.
    """
    proposal = folder / "1.root.proposal.json"
    requests = [founder.request for founder in founders]
    options = ("--governor", governor, "--threshold", "1", "--out", proposal)
    await run_federation("roster", "propose", "found", *requests, *options)
    await run_federation("roster", "sign", proposal, "--key", folder / GOVERNOR_FILE)
    configs = [part for each in (*founders, joins) for part in ("--config", each.config)]
    await run_federation("roster", "publish", proposal, "--to", folder, *configs)


async def admit(folder: Path, company: Company, members: Sequence[Company]) -> None:
    """The governor admits one more company, and every member's operator hands the version over.

    Handing it to one would do: the others would hear of it within an anti-entropy period.

    Raises:
        StepFailed: a command did not succeed.
    """
    key, proposal = folder / GOVERNOR_FILE, folder / "2.root.proposal.json"
    roster = ("--roster", folder)
    await run_federation("roster", "propose", "add", company.request, *roster, "--out", proposal)
    await run_federation("roster", "sign", proposal, "--key", key, *roster)
    configs = [part for each in members for part in ("--config", each.config)]
    await run_federation("roster", "publish", proposal, *roster, "--to", folder, *configs)
