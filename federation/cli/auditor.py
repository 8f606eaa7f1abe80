"""``federation-verify``: judges what members said, offline, for somebody who trusts nobody.

Everything of ours that a command runs is small enough to be read whole, and none of it can reach a
network: each command's room is entered only when it is asked for. What is believed is what was
given on the command line; the rest is shown step by step, as numbered in docs/spec.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Never

from federation import __version__
from federation.cli.auditor_telling import PROGRAM, Command, tell, tell_error
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.errors import FederationError, RequestMalformed

EXITS: Final = "Exit codes: 0 verified, 1 not verified, 2 misuse, 3 could not tell."
COMMANDS: Final = {
    "bundle": "judge a provenance bundle: was this stated, and is it in force?",
    "log": "compute every tile and the root of an exported log again",
    "compare": "compare two copies of one log: the same, a beginning, or a fork",
    "roster": "judge a chain of rosters: who governs, and who is a member",
    "evidence": "judge evidence of a fork: did one key sign two histories?",
    "conviction": "judge a conviction: did a member attest what it knew to be untrue?",
    "monitor": "audit exported logs, and hold them against what was seen before",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, and lets no exception of ours out.

    Args:
        arguments: what follows the program's name; by default the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Known before anything is parsed, so that a misuse is told in the form that was asked for.
    as_json = "--json" in given
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        return _run(given)
    except FederationError as error:
        return tell_error(error, ExitCode.MISUSE, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the answer went away. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.UNKNOWN
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a bug must not end in the exit code for "no"
        traceback.print_exc()
        bug = FederationError(f"a bug in this program: {type(error).__name__}")
        return tell_error(bug, ExitCode.UNKNOWN, as_json=as_json)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise RequestMalformed(message, hint=f"see {self.prog} --help")


def _run(given: list[str]) -> int:
    program = _Parser(
        PROGRAM, description="Judge what federation members said. Needs no network.", epilog=EXITS
    )
    program.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = program.add_subparsers(required=True, metavar="COMMAND")
    run = None
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words, epilog=EXITS)
        if given[:1] == [name]:
            run = _room_of(name)(command)
            command.add_argument("--json", action="store_true", help="answer with one JSON object")
            command.add_argument("--html", type=Path, metavar="FILE", help="write a page as well")
    asked = program.parse_args(given)
    judged = run(asked) if run else []  # without a command, argparse said so already
    if asked.html is not None:
        from federation.cli.auditor_html import write_page

        write_page(asked.html, given[0], judged)
    return tell(judged, as_json=asked.json)


def _room_of(name: str) -> Command:
    if name == "bundle":
        from federation.cli.auditor_bundle import command

        return command
    from federation.cli.auditor_rooms import room_of

    return room_of(name)


if __name__ == "__main__":
    sys.exit(main())
