"""``federation-verify bundle``: was this stated, by whom, since when, and is it in force?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from federation.cli.auditor_files import read_file, read_known_roots
from federation.cli.auditor_telling import Told
from federation.errors import RequestMalformed
from federation.protocol.keys import check_ed25519
from federation.protocol.limits import BUNDLE_BYTES_MAX, ROSTER_BYTES_MAX
from federation.protocol.policy import Quorum, parse_quorum
from federation.provenance.bundle_judge import claims_of, judge_bundle


def command(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], list[Told]]:
    """Declare the command's arguments; gives what runs it."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the bundle; - reads stdin")
    add("--root", type=Path, required=True, help="the federation's 1.root.json, as you trust it")
    words = "how many others must have cosigned; none takes the log's word; +mldsa44 asks for more"
    add("--quorum", type=_quorum, required=True, metavar="K|none", help=words)
    words = "ask whether it is IN FORCE too: how many other members must attest it"
    add("--in-force", type=_quorum, metavar="K", help=words)
    words = "2.root.json and up, for bundles that only name their roster"
    add("--known-root", type=Path, nargs="+", action="extend", default=[], metavar="N", help=words)
    return _run


def _run(given: argparse.Namespace) -> list[Told]:
    if given.in_force and (not given.in_force.count or given.in_force.second_lines):
        raise RequestMalformed("--in-force asks for a number of members and nothing else")
    report = judge_bundle(
        read_file(given.file, BUNDLE_BYTES_MAX),
        read_file(given.root, ROSTER_BYTES_MAX),
        given.quorum,
        check_ed25519,
        list(read_known_roots(given.known_root)),
        in_force=given.in_force and given.in_force.count,
    )
    in_force = given.in_force and str(given.in_force)
    claims = claims_of(report, is_force_asked=in_force is not None)
    fields = {"claims": claims, "quorum": str(given.quorum), "in_force": in_force}
    return [Told(str(given.file), report, fields)]


def _quorum(text: str) -> Quorum:
    try:
        return parse_quorum(text)
    except RequestMalformed as error:
        raise argparse.ArgumentTypeError(f"{error.message} ({error.hint})") from None
