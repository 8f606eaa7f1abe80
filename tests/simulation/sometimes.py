"""States that many schedules together must reach, or they test less than they seem to."""

from __future__ import annotations

from typing import Final

SOMETIMES: Final = frozenset(
    {
        "altered",
        "answered slowly",
        "covered up",
        "crash",
        "crash while writing",
        "branch pulled",
        "erased",
        "evidence forged",
        "flooded",
        "forced: answer late",
        "forced: crash after answering",
        "forced: crash after commit",
        "forced: crash after telling",
        "forced: crash before commit",
        "forced: range cut short",
        "forced: range refused",
        "forced: told late",
        "forced: write slow",
        "fork",
        "fork of two sizes",
        "inlined",
        "joined late",
        "message clogged",
        "message doubled",
        "message lost",
        "pretended",
        "publish refused",
        "pulled",
        "reopened",
        "replayed",
        "restored",
        "rotten",
        "wiped",
        "withheld",
        "write failed",
    }
)
"""Names of ``World.seen``."""
