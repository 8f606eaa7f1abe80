"""``federation-verify log``: every entry, every tile and the root, computed again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from federation.cli.auditor_telling import Told
from federation.cli.auditor_tree import audit_folder, log_folders, vkeys_of
from federation.errors import RequestMalformed


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    words = "a log's folder (checkpoint, tile/…), or one with the folders of several"
    parser.add_argument("folder", type=Path, metavar="DIR", help=words)
    words = "the log's verifier key, or a file with it; by default the file DIR.vkey beside it"
    parser.add_argument("--vkey", metavar="VKEY", help=words)
    return _run


def _run(given: argparse.Namespace) -> list[Told]:
    folders = log_folders(given.folder)
    if given.vkey is not None and folders != [given.folder]:
        raise RequestMalformed("--vkey is the key of one log, and this folder holds several")
    return [_audited(folder, given.vkey) for folder in folders]


def _audited(folder: Path, given: str | None) -> Told:
    vkey, second = vkeys_of(folder, given)
    report, log = audit_folder(folder, vkey, second)
    size = None if log is None else log.checkpoint.size
    root = None if log is None else log.checkpoint.root_hash.hex()
    return Told(vkey.name, report, {"log": vkey.name, "size": size, "root": root})
