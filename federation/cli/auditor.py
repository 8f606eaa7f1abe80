"""``federation-verify``: judges a bundle offline, for somebody who trusts nobody.

Everything of ours that this program runs is small enough to be read whole, and none of it can reach
a network. What it believes are the bytes of ``1.root.json`` and the quorum that were given to it;
the rest is shown step by step, as numbered in docs/spec/bundles.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Final, Never, TextIO

from federation import __version__
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.errors import FederationError, RequestMalformed, RosterNotAtHand
from federation.protocol.keys import check_ed25519
from federation.protocol.limits import BUNDLE_BYTES_MAX, ROSTER_BYTES_MAX, ROSTER_VERSIONS_MAX
from federation.protocol.policy import Quorum, parse_quorum
from federation.protocol.roster_root import decode_root
from federation.provenance.bundle_judge import judge_bundle
from federation.provenance.report import Outcome, Report

PROGRAM: Final = "federation-verify"
STDIN: Final = Path("-")
EXITS: Final = "Exit codes: 0 verified, 1 not verified, 2 misuse, 3 could not tell."

_MARKS: Final = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_REACHED: "–"}  # noqa: RUF001
_ASCII_MARKS: Final = {Outcome.PASSED: "+", Outcome.FAILED: "x", Outcome.NOT_REACHED: "-"}
_COLOURS: Final = {Outcome.PASSED: "32", Outcome.FAILED: "1;31", Outcome.NOT_REACHED: "2"}  # SGR


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, and lets no exception of ours out.

    Args:
        arguments: what follows the program's name; by default the process's own.
    """
    # Known before anything is parsed, so that a misuse is told in the form that was asked for.
    as_json = "--json" in (sys.argv if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        given = _parser().parse_args(arguments)
        report = judge_bundle(
            _read(given.file, BUNDLE_BYTES_MAX),
            _read(given.root, ROSTER_BYTES_MAX),
            given.quorum,
            check_ed25519,
            list(_read_known_roots(given.known_root)),
        )
        print(_as_json(report, given.quorum) if as_json else _as_text(report), flush=True)
        return _exit_code_of(report)
    except FederationError as error:
        return _tell(error, ExitCode.MISUSE, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the answer went away. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.UNKNOWN
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug must not end in the exit code for "no"
        traceback.print_exc()
        bug = FederationError(f"a bug in this program: {type(error).__name__}")
        return _tell(bug, ExitCode.UNKNOWN, as_json=as_json)


# --- arguments and files --------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise RequestMalformed(message, hint=f"see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    program = _Parser(
        PROGRAM, description="Judge what federation members said. Needs no network.", epilog=EXITS
    )
    program.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = program.add_subparsers(required=True, metavar="COMMAND")
    bundle = commands.add_parser(
        "bundle",
        help="judge a provenance bundle",
        description="Judge a provenance bundle: was this stated, by whom, and since when?",
        epilog=EXITS,
    )
    bundle.add_argument("file", type=Path, metavar="FILE", help="the bundle; - reads stdin")
    bundle.add_argument(
        "--root", type=Path, required=True, help="the federation's 1.root.json, as you trust it"
    )
    bundle.add_argument(
        "--quorum",
        type=_quorum,
        required=True,
        metavar="K|none",
        help="how many other members must have cosigned; none takes the log's own word",
    )
    bundle.add_argument(
        "--known-root",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="2.root.json and up, for bundles that only name their roster",
    )
    bundle.add_argument("--json", action="store_true", help="answer with one JSON object")
    return program


def _quorum(text: str) -> Quorum:
    try:
        return parse_quorum(text)
    except RequestMalformed as error:
        raise argparse.ArgumentTypeError(f"{error.message} ({error.hint})") from None


def _read(path: Path, bytes_max: int) -> bytes:
    """At most one byte over the limit, which is enough for the judge to refuse it."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(bytes_max + 1)
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise RequestMalformed(f"cannot read {path}: {error.strerror}") from None


def _read_known_roots(paths: Sequence[Path]) -> Iterator[bytes]:
    """Root files 2, 3 and so on up to the first gap, in whatever order they were given."""
    if len(paths) > ROSTER_VERSIONS_MAX:
        raise RequestMalformed(f"a roster chain has at most {ROSTER_VERSIONS_MAX} versions")
    roots: dict[int, bytes] = {}
    for path in paths:
        root = _read(path, ROSTER_BYTES_MAX)
        try:
            version = decode_root(root).signed.version
        except FederationError as error:
            raise RequestMalformed(f"{path} is no roster: {error.message}") from None
        if roots.setdefault(version, root) != root:
            raise RequestMalformed(f"{path} is another version {version} than a file before it")
    for version in count(2):
        if version not in roots:
            return
        yield roots[version]


# --- telling --------------------------------------------------------------------------------------


def _exit_code_of(report: Report) -> ExitCode:
    failed = report.failed_step
    if failed is None:
        return ExitCode.YES
    return ExitCode.UNKNOWN if failed.code == RosterNotAtHand.code else ExitCode.NO


def _conclusion(report: Report) -> str:
    failed = report.failed_step
    if failed is None:
        return report.conclusion
    if failed.code == RosterNotAtHand.code:
        return f"COULD NOT TELL: step {failed.number} needs a file that was not given."
    return f"NOT VERIFIED: step {failed.number} failed; nothing after it was asked. Believe none."


def _as_json(report: Report, quorum: Quorum) -> str:
    answer = {
        "verified": report.is_verified,
        "quorum": str(quorum),
        "conclusion": _conclusion(report),
        "steps": [asdict(step) for step in report.steps],
    }
    return json.dumps(answer)


def _as_text(report: Report) -> str:
    marks = _MARKS if _can_write(sys.stdout, "".join(_MARKS.values())) else _ASCII_MARKS
    lines = []
    for step in report.steps:
        lines.append(
            _paint(f"{step.number:2} {marks[step.outcome]}", step.outcome) + f" {step.title}"
        )
        if step.outcome is not Outcome.NOT_REACHED:
            code = f" ({step.code})" if step.code else ""
            lines.append(f"     {_plain(step.detail)}{code}")
        if step.hint:
            lines.append(f"     hint: {_plain(step.hint)}")
    outcome = Outcome.PASSED if report.is_verified else Outcome.FAILED
    return "\n".join((*lines, "", _paint(_plain(_conclusion(report)), outcome)))


def _tell(error: FederationError, code: ExitCode, *, as_json: bool) -> ExitCode:
    if as_json:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        with suppress(OSError):
            print(json.dumps({"error": told}), flush=True)
    hint = f"\nhint: {error.hint}" if error.hint else ""
    print(f"{PROGRAM}: error: {_plain(error.message)}{hint}", file=sys.stderr)
    return code


def _plain(text: str) -> str:
    """Without characters that steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _paint(text: str, outcome: Outcome) -> str:
    """The text in the outcome's colour, where somebody sees it on a terminal and wants colours."""
    wants = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{_COLOURS[outcome]}m{text}\x1b[0m" if wants and sys.stdout.isatty() else text


if __name__ == "__main__":
    sys.exit(main())
