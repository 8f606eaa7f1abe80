"""``federation-verify conviction``: did a member attest what it knew to be untrue?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from federation.cli.auditor_files import read_file, read_known_roots
from federation.cli.auditor_telling import Told
from federation.protocol.keys import check_ed25519
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.limits_messages import CONVICTION_BYTES_MAX
from federation.provenance.attestation_convicting import judge_conviction


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the conviction; - reads stdin")
    add("--root", type=Path, required=True, help="the federation's 1.root.json, as you trust it")
    words = "2.root.json and up, to the version that the attestation names"
    add("--known-root", type=Path, nargs="+", action="extend", default=[], metavar="N", help=words)
    return _run


def _run(given: argparse.Namespace) -> list[Told]:
    report = judge_conviction(
        read_file(given.file, CONVICTION_BYTES_MAX),
        read_file(given.root, ROSTER_BYTES_MAX),
        check_ed25519,
        list(read_known_roots(given.known_root)),
    )
    return [Told(str(given.file), report, {})]
