"""What the commands ``conviction`` and ``evidence`` have alike: a file that convicts somebody."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from federation.cli.auditor_files import read_file, read_known_roots
from federation.cli.auditor_telling import Told
from federation.protocol.keys import SignatureCheck, check_ed25519
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.provenance.report import Report


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
