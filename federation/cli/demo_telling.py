# ruff: noqa: PLC0415 - rich is loaded when something is drawn: --help does without it
"""What the demo shows while it runs, and the table at its end.

Steps go to stderr, each with the time it took: a line that spins on a terminal, a plain line
elsewhere. The table is the answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from federation.cli.answers import console, plain

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MS_PER_SECOND: Final = 1_000
SLOW_MS: Final = 10_000
"""From here on a time is told in seconds."""

NOT_REACHED: Final = "not reached"


@dataclass
class Findings:
    """What the demo found; what it did not get to is None, or empty.

    Attributes:
        nodes: companies that took part.
        block_ms: from sending the publish request to the first ``block`` at each other node.
        distance: PDQ distance of the changed copy from the picture that was confirmed.
        withdraw_ms: from sending the withdrawal to the first ``allow`` at each other node.
        catch_up_ms: from starting the killed node again to its first ``block``.
        receipts: other members that signed for the statement.
        bundle: where the bundle was written.
        is_verified: whether ``federation-verify`` took it.
        is_tampered_rejected: whether it refused the copy with one byte changed.
        is_false_match: whether a picture that nobody confirmed was blocked anywhere.
    """

    nodes: int
    block_ms: dict[str, float] = field(default_factory=dict)
    distance: int | None = None
    withdraw_ms: dict[str, float] = field(default_factory=dict)
    catch_up_ms: float | None = None
    receipts: int | None = None
    bundle: Path | None = None
    is_verified: bool | None = None
    is_tampered_rejected: bool | None = None
    is_false_match: bool | None = None

    @property
    def is_ok(self) -> bool:
        """Whether everything that was to be shown was seen."""
        others = self.nodes - 1
        return (
            len(self.block_ms) == len(self.withdraw_ms) == others
            and self.distance is not None
            and self.catch_up_ms is not None
            and self.receipts == others
            and self.is_verified is True
            and self.is_tampered_rejected is True
            and self.is_false_match is False
        )

    def fields(self) -> dict[str, object]:
        """The JSON object of ``federation demo --json``."""
        return {
            "ok": self.is_ok,
            "nodes": self.nodes,
            "block_ms": self.block_ms,
            "distance": self.distance,
            "withdraw_ms": self.withdraw_ms,
            "catch_up_ms": self.catch_up_ms,
            "bundle": {
                "path": None if self.bundle is None else str(self.bundle),
                "verified": self.is_verified,
                "tampered_rejected": self.is_tampered_rejected,
            },
            "receipts": self.receipts,
            "false_match": self.is_false_match,
        }


class Stage:
    """Tells the steps, one after the other."""

    def __init__(self) -> None:
        self._console: Console = console(of_talk=True)

    @contextmanager
    def step(self, what: str) -> Iterator[list[str]]:
        """Tell one step: what is going on, then that it is done, with what was put in the list."""
        started, found = time.perf_counter(), list[str]()
        is_seen = self._console.is_terminal
        try:
            with self._console.status(plain(what)) if is_seen else nullcontext():
                yield found
        except BaseException:
            self._print("✗ ", "red", what, started)
            raise
        self._print("✓ ", "green", what, started)
        for line in found:
            self._console.print(f"    {plain(line)}", style="dim", soft_wrap=True)

    def _print(self, mark: str, colour: str, what: str, started: float) -> None:
        from rich.text import Text

        took = format_ms((time.perf_counter() - started) * MS_PER_SECOND)
        told = Text.assemble((mark, colour), plain(what), (f"  {took}", "dim"))
        self._console.print(told, soft_wrap=True)


def table_of(findings: Findings, caught_up: str) -> Table:
    """The table at the end: a row for each company that was told.

    Args:
        findings: what was found.
        caught_up: which company was killed and came back.
    """
    from rich.table import Table

    table = Table(title=f"What {findings.nodes} companies did for each other", title_justify="left")
    table.add_column("company")
    for heading in ("refused the copy", "let it pass again", "caught up after kill -9"):
        table.add_column(heading, justify="right")
    for name in findings.block_ms | findings.withdraw_ms:
        table.add_row(
            name,
            format_ms(findings.block_ms.get(name)),
            format_ms(findings.withdraw_ms.get(name)),
            "" if name != caught_up else format_ms(findings.catch_up_ms),
        )
    return table


def grid_of(findings: Findings, distance_max: int) -> Table:
    """What was found once, for all companies, a line each."""
    from rich.table import Table

    distance, receipts = findings.distance, findings.receipts
    near = f"{distance} of 256 bits; up to {distance_max} count as the same picture"
    held = f"from {receipts} of {findings.nodes - 1} other members"
    grid = Table.grid(padding=(0, 2))
    grid.add_row("distance of the copy", near if distance is not None else NOT_REACHED)
    grid.add_row("another picture", _word(findings.is_false_match, "BLOCKED", "passed everywhere"))
    grid.add_row("receipts", held if receipts is not None else NOT_REACHED)
    grid.add_row("bundle, offline", _word(findings.is_verified, "verified", "NOT VERIFIED"))
    tampered = _word(findings.is_tampered_rejected, "refused", "NOT REFUSED")
    grid.add_row("one byte of it changed", tampered)
    return grid


def verdict_of(findings: Findings) -> Text:
    """The last line, for whoever reads no other."""
    from rich.text import Text

    if findings.is_ok:
        return Text("All of it held.", "bold green")
    return Text("Not all of it was seen to hold.", "bold red")


def format_ms(milliseconds: float | None) -> str:
    """A duration for people."""
    if milliseconds is None:
        return "–"  # noqa: RUF001 - a dash for what was not reached
    if milliseconds >= SLOW_MS:
        return f"{milliseconds / MS_PER_SECOND:.1f} s"
    return f"{milliseconds:,.0f} ms"


def _word(answer: bool | None, yes: str, no: str) -> str:
    if answer is None:
        return NOT_REACHED
    return yes if answer else no
