"""``federation demo``: several companies on this machine, and what they do for each other.

Nothing in it is a stand-in: each company is the installed program in a process of its own, they
speak mutual TLS over loopback, keep what they hold in SQLite, and the auditor at the end is the
installed ``federation-verify``. What is measured runs from sending a request to the first answer
that has changed, as a client of the local APIs sees it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Final, TypeVar

from federation.cli.answers import console, plain
from federation.cli.demo_companies import (
    SLOW_POLL_SECONDS,
    Company,
    admit,
    found,
    make_companies,
    prepare,
)
from federation.cli.demo_pictures import COPY_QUALITY, COPY_SCALE, Pictures, make_pictures
from federation.cli.demo_processes import Ended, StepFailed, run_command, stop_nodes, within
from federation.cli.demo_telling import (
    MS_PER_SECOND,
    Findings,
    Stage,
    format_ms,
    grid_of,
    table_of,
    verdict_of,
)
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.config import ConfigInvalid
from federation.protocol.limits_content import PDQ_DISTANCE_MAX
from federation.protocol.signals import Signal

LABEL: Final = "tvec1"

CHANGE_SECONDS: Final = 60.0
"""For a change to reach every company: it takes a tenth of a second, and twice the anti-entropy
period of 30 s where every push was lost."""

CATCH_UP_SECONDS: Final = 180.0
"""The same for a company whose node has yet to start."""

RECEIPTS_SECONDS: Final = 90.0
"""Receipts come back with an answer or an announcement."""

TERMINATED: Final = 128 + signal.SIGTERM
"""As shells have it."""

TAMPERED_LETTER: Final = 40
"""Of the body in base64, past its field names and within a signal."""

T = TypeVar("T")


def run(nodes: int, as_json: bool, keep: Path | None, image: Path | None) -> int:
    """Run the demo; returns the program's exit code.

    Args:
        nodes: how many companies, from 2.
        as_json: one JSON object as the last line of stdout, and the table on stderr.
        keep: where to leave nodes, bundle and root of trust; a temporary folder otherwise.
        image: the user's own picture.

    Raises:
        FederationError: the folder is in use, or the picture cannot be taken.
    """
    folder = _folder(keep)
    is_kept = keep is not None
    try:
        demo = Demo(folder, nodes, image)
        code = asyncio.run(_interruptible(demo))
        if code is not None:
            return code
        is_kept = is_kept or demo.failure is not None
        _conclude(demo, as_json=as_json, is_kept=is_kept)
        return ExitCode.YES if demo.findings.is_ok else ExitCode.NO
    finally:
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="federation-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise RequestMalformed(
                f"{keep} is not empty", hint="choose a new folder: keys are never overwritten"
            )
    except OSError as error:
        raise ConfigInvalid(f"cannot write {keep}: {error.strerror}") from None
    return keep.resolve()


async def _interruptible(demo: Demo) -> int | None:
    """Play the demo; the exit code of the signal that ended it, or None."""
    loop, playing = asyncio.get_running_loop(), asyncio.ensure_future(demo.play())
    ended_by: list[int] = []

    def end(code: int) -> None:
        ended_by.append(code)
        playing.cancel()

    loop.add_signal_handler(signal.SIGINT, end, INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, end, TERMINATED)
    try:
        await playing
    except asyncio.CancelledError:
        return ended_by[0]
    finally:
        demo.stop()
    return None


class Demo:
    """One run, step by step.

    Args:
        folder: empty; everything is kept in it.
        nodes: how many companies.
        image: the user's own picture.

    Attributes:
        folder: as given.
        findings: what was seen.
        failure: why a step failed, if one did.
        killed: the company whose node is killed and started again.
    """

    def __init__(self, folder: Path, nodes: int, image: Path | None) -> None:
        self.findings = Findings(nodes)
        self.failure: StepFailed | None = None
        self._stage = Stage()
        self.folder, self._image = folder, image
        self._companies = make_companies(folder, nodes)
        self._first, *self._others = self._companies
        self.killed = self._others[0]

    async def play(self) -> None:
        """All steps, up to the first that fails.

        Raises:
            FederationError: the user's picture cannot be taken.
        """
        with self._stage.step("pictures drawn, changed and hashed"):
            pictures = await asyncio.to_thread(make_pictures, self.folder / "pictures", self._image)
        try:
            await self._gather()
            statement = await self._spread(pictures)
            await self._pass_another(pictures)
            await self._take_back(statement, pictures)
            statement = await self._catch_up(pictures)
            await self._collect_receipts(statement)
            await self._prove(statement)
        except* (StepFailed, FederationError) as failures:
            self.failure = _first_of(failures)
        finally:
            self.stop()
            for company in self._companies:
                await company.close()

    def stop(self) -> None:
        """Stop every node that runs; blocks until all have ended."""
        running = [company.process for company in self._companies if company.process is not None]
        if running:
            with self._stage.step("every node stopped") as said:
                said += [f"process {pid} had to be killed" for pid in stop_nodes(running)]
        for company in self._companies:
            company.process = None

    async def _gather(self) -> None:
        *founders, last = self._companies
        names = " and ".join(", ".join(each.name for each in founders).rsplit(", ", 1))
        with self._stage.step(f"federation founded by {names}; one governor decides"):
            governor = await prepare(self.folder, self._companies)
            await found(self.folder, governor, founders, last)
        with self._stage.step("their nodes started"):
            await _start(founders)
        with self._stage.step(f"{last.name} admitted by roster version 2; all connected") as said:
            await admit(self.folder, last, founders)
            await _start([last])
            async with asyncio.TaskGroup() as group:
                for company in self._companies:
                    group.create_task(company.wait_linked(self._companies))
            said += [
                f"{each.name}  {each.member}  https://{each.address}" for each in self._companies
            ]

    async def _spread(self, pictures: Pictures) -> str:
        for company in self._companies:
            if await company.refuses(pictures.copy):
                raise StepFailed(f"company {company.name} blocks what nobody has confirmed")
        with self._stage.step(
            f"{self._first.name} confirms a picture; the others block its copy "
            f"({COPY_SCALE:.0%} size, JPEG quality {COPY_QUALITY})"
        ) as said:
            statement = await self._time(
                pictures.copy,
                self.findings.block_ms,
                self._first.confirm(pictures.confirmed, LABEL),
                refuses=True,
            )
            said.extend(_told(self.findings.block_ms))
        distances = [await company.distance(pictures.copy) for company in self._others]
        self.findings.distance = max(distances)
        return statement

    async def _pass_another(self, pictures: Pictures) -> None:
        with self._stage.step("another picture passes everywhere"):
            blocked = [each for each in self._companies if await each.refuses(pictures.other)]
            self.findings.is_false_match = bool(blocked)
            if blocked:
                names = ", ".join(company.name for company in blocked)
                raise StepFailed(f"a picture that nobody confirmed is blocked at {names}")

    async def _take_back(self, statement: str, pictures: Pictures) -> None:
        with self._stage.step(f"{self._first.name} withdraws; the copy passes again") as said:
            await self._time(
                pictures.copy,
                self.findings.withdraw_ms,
                self._first.withdraw(statement),
                refuses=False,
            )
            await self._first.wait_answer(pictures.copy, refuses=False, seconds=CHANGE_SECONDS)
            said.extend(_told(self.findings.withdraw_ms))

    async def _catch_up(self, pictures: Pictures) -> str:
        killed = self.killed
        with self._stage.step(
            f"{killed.name} killed with SIGKILL, a picture confirmed at {self._first.name}, "
            f"{killed.name} started again: it catches up"
        ) as said:
            killed.kill()
            statement = await self._first.confirm(pictures.later, LABEL)
            started = time.perf_counter()
            killed.start()
            await killed.wait_answer(pictures.later_copy, refuses=True, seconds=CATCH_UP_SECONDS)
            self.findings.catch_up_ms = _ms_since(started)
            said.append(f"{killed.name} {format_ms(self.findings.catch_up_ms)}, its start included")
        for company in self._companies:
            await company.wait_answer(pictures.later_copy, refuses=True, seconds=CHANGE_SECONDS)
        return statement

    async def _collect_receipts(self, statement: str) -> None:
        others = len(self._others)
        with self._stage.step("receipts: the others signed that they hold it durably") as said:
            why = f"{self._first.name} did not get the receipts of all {others} others"
            async with within(RECEIPTS_SECONDS, why, self._first.log):
                while (held := len(await self._first.holders(statement))) < others:
                    self.findings.receipts = held
                    await asyncio.sleep(SLOW_POLL_SECONDS)
            self.findings.receipts = held
            said.append(f"{held} of {others} other members")

    async def _prove(self, statement: str) -> None:
        quorum = len(self._others)
        path, root = self.folder / "bundle", self.folder / "1.root.json"
        with self._stage.step("a bundle proves it offline: federation-verify") as said:
            bundle = await self._first.bundle(statement)
            path.write_bytes(bundle)
            self.findings.bundle = path
            judged = await judge(path, root, quorum)
            self.findings.is_verified = judged.code == ExitCode.YES
            said.extend(_verdict(judged))
            if not self.findings.is_verified:
                raise StepFailed(f"federation-verify ended with {judged.code}")
        with self._stage.step("the same bundle with one byte changed is refused") as said:
            tampered = self.folder / "bundle.tampered"
            tampered.write_bytes(flip_one_byte(bundle))
            judged = await judge(tampered, root, quorum)
            self.findings.is_tampered_rejected = judged.code == ExitCode.NO
            said.extend(_verdict(judged))
            if not self.findings.is_tampered_rejected:
                raise StepFailed(f"federation-verify ended with {judged.code}")

    async def _time(
        self,
        signals: Sequence[Signal],
        times_ms: dict[str, float],
        change: Coroutine[None, None, T],
        *,
        refuses: bool,
    ) -> T:
        """Make a change at the first company, and time when each other one answers by it."""
        started = time.perf_counter()

        async def notice(company: Company) -> None:
            await company.wait_answer(signals, refuses=refuses, seconds=CHANGE_SECONDS)
            times_ms[company.name] = _ms_since(started)

        async with asyncio.TaskGroup() as group:
            changing = group.create_task(change)
            for company in self._others:
                group.create_task(notice(company))
        in_order = sorted(times_ms.items())
        times_ms.clear()
        times_ms.update(in_order)
        return changing.result()


async def _start(companies: Sequence[Company]) -> None:
    for company in companies:
        company.start()
    async with asyncio.TaskGroup() as group:
        for company in companies:
            group.create_task(company.wait_ready())


def _first_of(failures: BaseExceptionGroup[StepFailed | FederationError]) -> StepFailed:
    """The failure that ended the play, as a step's."""
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, FederationError):
        hint = f" ({failure.hint})" if failure.hint else ""
        return StepFailed(f"{failure.message}{hint}")
    return failure if isinstance(failure, StepFailed) else StepFailed(repr(failure))


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * MS_PER_SECOND, 1)


def _told(times_ms: dict[str, float]) -> list[str]:
    return ["  ".join(f"{name} {format_ms(each)}" for name, each in times_ms.items())]


# --- the auditor ----------------------------------------------------------------------------------


async def judge(bundle: Path, root: Path, quorum: int) -> Ended:
    """Run the installed ``federation-verify`` on a bundle file.

    Raises:
        StepFailed: it took too long.
    """
    asked = ("--root", root, "--quorum", str(quorum), "--json")
    return await run_command("federation-verify", "bundle", bundle, *asked)


def flip_one_byte(bundle: bytes) -> bytes:
    """Change one letter of the statement's body, so that it is still a bundle but says another."""
    at = bundle.index(b'"body":"') + len(b'"body":"') + TAMPERED_LETTER
    letter = b"A" if bundle[at : at + 1] != b"A" else b"B"
    return bundle[:at] + letter + bundle[at + 1 :]


def _verdict(judged: Ended) -> list[str]:
    try:
        answer = json.loads(judged.answer)
        failed = [step for step in answer["steps"] if step["outcome"] == "failed"]
        why = [f"step {step['number']}, {step['title']}: {step['detail']}" for step in failed]
        return [*why, str(answer["conclusion"])]
    except (ValueError, KeyError, TypeError):
        return [line for line in judged.talk.splitlines() if line]


# --- the end --------------------------------------------------------------------------------------


def _conclude(demo: Demo, *, as_json: bool, is_kept: bool) -> None:
    """The table, why a step failed, where everything is, and the JSON object."""
    findings, failure = demo.findings, demo.failure
    out = console(of_talk=as_json)
    out.print()
    out.print(table_of(findings, demo.killed.name))
    out.print(grid_of(findings, PDQ_DISTANCE_MAX))
    out.print()
    out.print(verdict_of(findings))
    talk = console(of_talk=True)
    if failure is not None:
        talk.print(
            f"\nthis step failed: {plain(failure.message)}", style="bold red", soft_wrap=True
        )
        for line in failure.log_lines():
            talk.print(f"    {plain(line)}", style="dim", soft_wrap=True)
        if failure.log is not None:
            talk.print(f"the node's log: {failure.log}", soft_wrap=True)
    if is_kept:
        talk.print(f"\nkept in {demo.folder}; start a node again with:", soft_wrap=True)
        talk.print(f"  federation serve --config {demo.killed.config}", soft_wrap=True)
    if as_json:
        print(json.dumps(findings.fields()), flush=True)
