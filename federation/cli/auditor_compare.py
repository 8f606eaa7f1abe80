"""``federation-verify compare``: are two copies of one log one history?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from federation.cli.auditor_telling import Told
from federation.cli.auditor_tree import audit_folder, vkeys_of, write_file
from federation.errors import RequestMalformed
from federation.provenance.comparing import compare_logs


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    parser.add_argument("first", type=Path, metavar="A", help="a log's folder")
    parser.add_argument("second", type=Path, metavar="B", help="another copy of it")
    words = "the log's verifier key, or a file with it; by default the file A.vkey beside A"
    parser.add_argument("--vkey", metavar="VKEY", help=words)
    words = "where the evidence of a fork is written; it convicts the log's key by itself"
    parser.add_argument("--evidence", type=Path, metavar="FILE", help=words)
    return _run


def _run(given: argparse.Namespace) -> list[Told]:
    vkey, _ = vkeys_of(given.first, given.vkey)
    for folder in (given.first, given.second):
        if not folder.is_dir():
            raise RequestMalformed(f"{folder} is no folder of a log")
    found = compare_logs(audit_folder(given.first, vkey), audit_folder(given.second, vkey), vkey)
    written = None
    if found.evidence is not None and given.evidence is not None:
        write_file(given.evidence, found.evidence)
        written = str(given.evidence)
    fields: dict[str, object] = {
        "log": vkey.name,
        "comparison": found.comparison,
        "evidence": written,
    }
    return [Told(vkey.name, found.report, fields)]
