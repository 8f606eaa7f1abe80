"""Where the commands of ``federation-verify`` stand that judge more than one bundle."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from federation.cli.auditor_files import read_file, read_known_roots
from federation.cli.auditor_telling import Command, Told
from federation.protocol.keys import SignatureCheck, check_ed25519
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.provenance.report import Report


def room_of(name: str) -> Command:
    """The command of that name: its room, and no other, is entered."""
    match name:
        case "log":
            from federation.cli.auditor_log import command
        case "compare":
            from federation.cli.auditor_compare import command
        case "roster":
            from federation.cli.auditor_roster import command
        case "evidence":
            from federation.cli.auditor_evidence import command
        case "conviction":
            from federation.cli.auditor_conviction import command
        case _:
            from federation.cli.auditor_monitor import command
    return command


def convicting(
    parser: argparse.ArgumentParser,
    judge: Callable[[bytes, bytes, SignatureCheck, Sequence[bytes]], Report],
    bytes_max: int,
    words: str,
    known_words: str,
) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the arguments of a command that judges a file which convicts somebody.

    Args:
        parser: the command's.
        judge: what judges the file, by the root of trust, the Ed25519 check and later roots.
        bytes_max: of the file.
        words: what the file is.
        known_words: which later roots are needed.

    Returns:
        What runs it.
    """
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help=f"{words}; - reads stdin")
    add("--root", type=Path, required=True, help="the federation's 1.root.json, as you trust it")
    words = known_words
    add("--known-root", type=Path, nargs="+", action="extend", default=[], metavar="N", help=words)

    def run(given: argparse.Namespace) -> list[Told]:
        report = judge(
            read_file(given.file, bytes_max),
            read_file(given.root, ROSTER_BYTES_MAX),
            check_ed25519,
            list(read_known_roots(given.known_root)),
        )
        return [Told(str(given.file), report, {})]

    return run
