"""What ``receipts`` shows: who provably holds a statement, and since when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.protocol.headers import parse_statement_id
from federation.web.schemas import StatementAnswer


def receipts(config_path: Path, statement: str) -> Answer:
    """Who holds a statement; a no when nobody has signed for it yet.

    Raises:
        FederationError: no statement id, no such statement, or no node answers.
    """
    statement_id = parse_statement_id(statement)
    told = asyncio.run(_ask(config_path, str(statement_id)))
    fields = {
        "statement": told.id,
        "log": told.log,
        "index": told.index,
        "receipts": [each.model_dump() for each in told.receipts],
    }
    where = f"statement {told.index} of {plain(told.log)}"
    if not told.receipts:
        return Answer(fields, (f"{where}: no receipt yet",), ExitCode.NO)
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    table.add_column("held by", overflow="fold")
    table.add_column("since (its clock, UTC)")
    table.add_column("under a head of", justify="right")
    table.add_column("holds the log up to", justify="right")
    for each in told.receipts:
        table.add_row(
            plain(each.member), _moment(each.at_seconds), f"{each.size:,}", f"{each.newest_size:,}"
        )
    return Answer(fields, (where, table))


async def _ask(config_path: Path, statement: str) -> StatementAnswer:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            return await node.get(f"/v1/statements/{statement}", StatementAnswer)


def _moment(at_seconds: int) -> str:
    """A stranger's clock may say anything, years that no calendar has too."""
    try:
        return f"{datetime.fromtimestamp(at_seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_seconds} s"
