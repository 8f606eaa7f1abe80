"""Federations of real node processes on one machine, for benchmarks.

Everything goes through the installed programs, as in ``federation demo``, except what would only
cost time: a long log is written into a node's database before the node starts, by the same store,
under the same keys, judged by the same verifier.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from hashlib import shake_128
from pathlib import Path
from typing import Final

from federation.cli.demo_companies import (
    GOVERNOR_FILE,
    Company,
    make_companies,
    prepare,
)
from federation.cli.demo_processes import run_federation, stop_nodes
from federation.config import load_config
from federation.daemon.keyring import load_keyring
from federation.daemon.membership import read_root_of_trust
from federation.daemon.node import DATABASE_FILE
from federation.protocol.bodies import Confirm
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import sign_checkpoint
from federation.protocol.headers import Header
from federation.protocol.keys import check_ed25519
from federation.protocol.limits import SALT_BYTES
from federation.protocol.merkle import leaf_hash
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import Signal, SignalType
from federation.protocol.statements import Statement, opened_statement
from federation.protocol.statements_writing import encode_body, encode_header
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Verifier
from federation.store.stores import open_stores

STEP_STATEMENTS: Final = 4_096
"""Under one checkpoint; an import makes one for each batch of its own."""

PDQ_BYTES: Final = 32


@asynccontextmanager
async def federation_of(folder: Path, count: int) -> AsyncIterator[list[Company]]:
    """Companies A, B, C and so on, founded together, no node started; all are stopped at the end.

    Raises:
        StepFailed: a command did not succeed.
    """
    companies = make_companies(folder, count)
    try:
        governor = await prepare(folder, companies)
        proposal = folder / "1.root.proposal.json"
        requests = [company.request for company in companies]
        options = ("--governor", governor, "--threshold", "1", "--out", proposal)
        await run_federation("roster", "propose", "found", *requests, *options)
        await run_federation("roster", "sign", proposal, "--key", folder / GOVERNOR_FILE)
        configs = [part for each in companies for part in ("--config", each.config)]
        await run_federation("roster", "publish", proposal, "--to", folder, *configs)
        yield companies
    finally:
        for company in companies:
            await company.close()
        await asyncio.to_thread(
            stop_nodes, [each.process for each in companies if each.process is not None]
        )


def numbered_values(count: int, seed: bytes | None = None) -> list[bytes]:
    """So many random PDQ values; with a seed the same ones every time."""
    if seed is None:
        return [secrets.token_bytes(PDQ_BYTES) for _ in range(count)]

    joined = shake_128(seed).digest(count * PDQ_BYTES)
    return [joined[at : at + PDQ_BYTES] for at in range(0, len(joined), PDQ_BYTES)]


def make_statements(log: LogId, values: Sequence[bytes]) -> Iterator[Statement]:
    """A confirm of one PDQ signal each, as ``make_statement`` would encode them.

    They differ in nothing but salt, item and value, all of one length: encoded once, and cut.
    """
    mark, item = b"\xa5" * PDQ_BYTES, "item-0000000000"
    signal = Signal(SignalType.PDQ, mark, 90)
    body = encode_body(Confirm(item, (signal,), ("tvec1",)))
    before, after = body.split(mark)
    begin, end = before.split(item.encode())
    now_ms = time.time_ns() // 1_000_000
    header = encode_header(Header(log.federation_id, log.member, "confirm", (), now_ms))
    for number, value in enumerate(values):
        said = begin + f"item-{number:010}".encode() + end + value + after
        yield opened_statement(header, secrets.token_bytes(SALT_BYTES), said)


async def fill_log(issuer: Company, holders: Sequence[Company], values: Sequence[bytes]) -> None:
    """Write a bulk log of the issuer's into databases of nodes that do not run.

    Args:
        issuer: whose keys sign.
        holders: into whose databases; the issuer's own is not among them unless named.
        values: a PDQ signal for each statement.
    """
    config = load_config(issuer.config)
    roster = read_root_of_trust(config.path(config.root_file)).newest
    verifier = Verifier(roster, check_ed25519)
    key = load_keyring(config).logs[Lane.BULK]
    log = LogId(issuer.member, roster.federation_id, Lane.BULK)
    folders = [_folder_of(holder) for holder in holders]
    opened = [
        await open_stores(
            folder / DATABASE_FILE, member=holder.member, federation_id=roster.federation_id
        )
        for folder, holder in zip(folders, holders, strict=True)
    ]
    view = LogView(log)
    making = make_statements(log, values)
    for start in range(0, len(values), STEP_STATEMENTS):
        count = min(STEP_STATEMENTS, len(values) - start)
        said = [next(making) for _ in range(count)]
        held = view.held.extend([leaf_hash(each.id.entry) for each in said])
        head = verifier.open_head(
            sign_checkpoint(Checkpoint(log.origin, held.size, held.root()), key)
        )
        step = view.advance(head, said, (), verifier)
        view = step.view
        for stores in opened:
            await stores.logs.append(step)
    for stores in opened:
        await stores.close()


def _folder_of(company: Company) -> Path:
    config = load_config(company.config)
    folder = config.path(config.data_directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def disk_bytes(company: Company, pattern: str = f"{DATABASE_FILE}*") -> int:
    """Bytes on disk of a node's database, its write-ahead log included."""
    return sum(path.stat().st_size for path in _folder_of(company).glob(pattern))


def resident_mb(process: subprocess.Popen[bytes], field: str = "VmHWM") -> float:
    """Memory of a process in MB: the most it ever had, or what it has (``VmRSS``). Linux only."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1_000
    raise RuntimeError(f"no {field} in /proc")


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """CPU time that a process has used, in user and kernel mode. Linux only."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def received_bytes(process: subprocess.Popen[bytes]) -> int:
    """What has come in over the TCP connections that a process holds (Linux, iproute2's ``ss``)."""
    asked = await asyncio.create_subprocess_exec(
        "ss", "-tinpHO", "state", "established", stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asked.communicate()
    return sum(
        int(part.removeprefix("bytes_received:"))
        for line in told.decode().splitlines()
        if f"pid={process.pid}," in line
        for part in line.split()
        if part.startswith("bytes_received:")
    )
