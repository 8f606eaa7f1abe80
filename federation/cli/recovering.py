"""What ``evidence`` and ``recover`` show and do: who signed two histories, and this node's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.cli.files import write_file
from federation.protocol.evidence import decode_evidence
from federation.web.history_schemas import (
    EvidenceAnswer,
    OwnLogAnswer,
    RecoverAnswer,
    RecoveredAnswer,
    RecoverRequest,
)


def list_evidence(config_path: Path) -> Answer:
    """Everything that convicts somebody; a no where nothing does.

    Raises:
        FederationError: no node answers.
    """
    told = asyncio.run(_evidence(config_path))
    if not told.evidence:
        text = "no evidence: every log that this node holds has one history"
        return Answer(told.model_dump(), (text,), ExitCode.NO)
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in ("id", "member", "what was shown", "since (UTC)"):
        table.add_column(name, overflow="fold")
    for each in told.evidence:
        table.add_row(
            each.id[:16],
            plain(each.member),
            plain(each.sentence),
            _moment(each.seen_at_ms // 1_000),
        )
    branches = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in ("log", "branch", "held", "of"):
        branches.add_column(name, overflow="fold")
    for branch in told.branches:
        branches.add_row(
            plain(branch.log), str(branch.branch), f"{branch.held:,}", f"{branch.size:,}"
        )
    return Answer(told.model_dump(), (table, branches))


def show_evidence(config_path: Path, evidence_id: str) -> Answer:
    """One piece in words.

    Raises:
        FederationError: there is none of that id, or no node answers.
    """
    raw = asyncio.run(_file(config_path, evidence_id))
    evidence = decode_evidence(raw)
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, head in (("first", evidence.first), ("second", evidence.second)):
        checkpoint = head.checkpoint
        table.add_row(f"{name}: size", f"{checkpoint.size:,}")
        table.add_row(f"{name}: root", checkpoint.root_hash.hex())
        table.add_row(f"{name}: key id", head.line.key_id.hex())
    fields = {
        "log": evidence.origin,
        "first": evidence.first.note.decode(),
        "second": evidence.second.note.decode(),
        "prefix_root": evidence.prefix.root_hash.hex() if evidence.prefix else None,
    }
    if evidence.prefix is not None:
        table.add_row("second: says of the first one's size", evidence.prefix.root_hash.hex())
    return Answer(fields, (plain(evidence.origin), table))


def export_evidence(config_path: Path, evidence_id: str, out: Path | None) -> Answer:
    """The file, for anybody.

    Raises:
        FederationError: there is none of that id, the file cannot be written, or no node answers.
    """
    raw = asyncio.run(_file(config_path, evidence_id))
    if out is None:
        return Answer(None, verbatim=raw)
    write_file(out, raw)
    text = f"written to {out}; anybody judges it with federation-verify evidence {out}"
    return Answer({"file": str(out), "bytes": len(raw)}, (text,))


def recover(config_path: Path) -> Answer:
    """How far this node's own logs go, by the database, the guard and every peer.

    Raises:
        FederationError: no node answers.
    """
    told = asyncio.run(_report(config_path))
    parts: list[RenderableType] = [
        f"STOPPED  {stop.code}: {plain(stop.text)}, since {_moment(stop.at_seconds)}"
        for stop in told.stops
    ]
    if told.may_sign:
        parts.append("signing goes on")
    for log in told.logs:
        parts += [plain(log.log), _sources(log)]
        if log.suffix:
            parts += ["what peers hold beyond the database, the first of it:", _suffix(log)]
    exit_code = ExitCode.YES if told.may_sign else ExitCode.NO
    talk = () if told.may_sign else (_advice(told),)
    return Answer(told.model_dump(), tuple(parts), exit_code, talk=talk)


def decide(config_path: Path, action: str, log: str | None) -> Answer:
    """Do what a person decided.

    Raises:
        FederationError: the node refuses, with its reason, or none answers.
    """
    request = RecoverRequest.model_validate({"action": action, "log": log})
    done = asyncio.run(_decide(config_path, request))
    words = f"{done.adopted:,} statements taken back in" if action == "adopt" else "done"
    state = (
        "signing goes on" if done.may_sign else "nothing is signed yet: federation recover go-on"
    )
    return Answer(done.model_dump(), (f"{words}; {state}",))


def _sources(log: OwnLogAnswer) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in ("who", "statements", "against the database"):
        table.add_column(name, overflow="fold")
    table.add_row("the database", f"{log.held:,}", "")
    signed = "nothing" if log.signed is None else f"{log.signed:,}"
    since = "" if log.signed_at_seconds is None else f"signed {_moment(log.signed_at_seconds)}"
    table.add_row("the guard", signed, since)
    for peer in log.peers:
        size = "" if peer.size is None else f"{peer.size:,}"
        reason = f" ({plain(peer.reason)})" if peer.reason else ""
        table.add_row(plain(peer.member), size, peer.relation + reason)
    return table


def _suffix(log: OwnLogAnswer) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in ("index", "kind", "claimed (UTC)", "statement", "about"):
        table.add_column(name, overflow="fold")
    for each in log.suffix:
        table.add_row(
            str(each.index),
            plain(each.kind),
            _moment(each.claimed_at_ms // 1_000),
            each.id,
            ", ".join(each.references),
        )
    return table


def _advice(told: RecoverAnswer) -> str:
    relations = {peer.relation for log in told.logs for peer in log.peers}
    if "forked" in relations or any(stop.code == "fork" for stop in told.stops):
        return (
            "Another history was signed with this node's key. Stop every copy, rotate the key, and "
            "ask governance for a new epoch: federation roster propose."
        )
    if "ahead" in relations:
        return (
            "Peers hold statements that this database lacks. If every one of them is yours (a "
            "restored backup): federation recover adopt LOG, then federation recover go-on. If "
            "not: the key is stolen; ask governance for a new epoch."
        )
    return "Nothing is missing. When no second copy of the node runs: federation recover go-on."


def _moment(at_seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_seconds} s"


async def _evidence(config_path: Path) -> EvidenceAnswer:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            return await node.get("/v1/evidence", EvidenceAnswer)


async def _file(config_path: Path, evidence_id: str) -> bytes:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            return await node.fetch(f"/v1/evidence/{evidence_id}")


async def _report(config_path: Path) -> RecoverAnswer:
    with progress("asking the node, which asks its peers"):
        async with NodeClient.of(config_path) as node:
            return await node.get("/v1/recover", RecoverAnswer)


async def _decide(config_path: Path, request: RecoverRequest) -> RecoveredAnswer:
    with progress("recovering"):
        async with NodeClient.of(config_path) as node:
            return await node.post("/v1/recover", request, RecoveredAnswer)
