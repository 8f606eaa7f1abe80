# ruff: noqa: PLC0415 - rich is loaded when something is drawn, so that --json and --help are quick
"""How the terminal answers: the answer on stdout, all talk on stderr, one JSON object on request.

Every command returns an :class:`Answer` or raises one of our errors; ``operator.main`` tells it.
Text that came from elsewhere (peers' words, file names) passes :func:`plain` before it is shown, so
that nobody can steer an operator's terminal.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from federation.cli.exits import ExitCode
from federation.errors import FederationError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPED_COLUMNS: Final = 100
"""Width of tables where no terminal says its own."""

TALK_AFTER_SECONDS: Final = 1.0
"""What takes longer shows how far it is; a bar that flashes by is only noise."""


@dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        fields: the JSON object of ``--json``; None for an answer that is bytes already.
        parts: the same for people: text, or what rich can draw.
        exit_code: how the program ends.
        verbatim: bytes that are the answer as they are.
        talk: what to say beside it, afterwards: what to do next, what to mind.
    """

    fields: Mapping[str, object] | None
    parts: tuple[RenderableType, ...] = ()
    exit_code: ExitCode = ExitCode.YES
    verbatim: bytes | None = None
    talk: tuple[str, ...] = ()


class CouldNotTellError(Exception):
    """An error under which a question stays open, though alone it would be a no.

    Attributes:
        error: what went wrong.
    """

    def __init__(self, error: FederationError) -> None:
        super().__init__(error.message)
        self.error = error


def plain(text: str) -> str:
    """The text without characters that steer a terminal or hide in it."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def console(*, of_talk: bool = False) -> Console:
    """Where people are answered, or talked to; markup in texts is text."""
    from rich.console import Console

    stream = sys.stderr if of_talk else sys.stdout
    width = None if stream.isatty() else PIPED_COLUMNS
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def tell(answer: Answer, *, as_json: bool) -> None:
    """Write an answer to stdout, and what is said beside it to stderr."""
    if answer.verbatim is not None:
        sys.stdout.buffer.write(answer.verbatim)
    elif as_json:
        print(json.dumps(answer.fields))
    else:
        from rich.table import Table

        out = console()
        for part in answer.parts:
            # Only tables fit themselves to the terminal: an id in a line has to be copied whole.
            out.print(part, soft_wrap=not isinstance(part, Table))
    sys.stdout.flush()
    for line in answer.talk:
        talk(plain(line))


def tell_error(error: FederationError, *, as_json: bool) -> None:
    """Write an error to stderr and, with ``--json``, to stdout as well."""
    if as_json:
        fields = {"code": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps({"error": fields}), flush=True)
    talk("error: " + plain(error.message), style="bold red")
    if error.hint:
        talk(" hint: " + plain(error.hint))
    talk(" code: " + plain(error.code), style="dim")


def talk(text: str, *, style: str | None = None) -> None:
    """Say something beside the answer."""
    if sys.stderr.isatty():
        console(of_talk=True).print(text, style=style, soft_wrap=True)
    else:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for what takes longer than a second; call what it gives with each advance.

    Args:
        what: is being done, such as "hashing pictures".
        total: steps in all; None where nobody knows.
    """
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    counted = [] if total is None else [MofNCompleteColumn()]
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *counted)
    bar = Progress(*columns, TimeElapsedColumn(), console=console(of_talk=True), transient=True)
    task = bar.add_task(what, total=total)
    late = threading.Timer(TALK_AFTER_SECONDS, bar.start)
    late.daemon = True
    late.start()
    try:
        yield lambda steps: bar.advance(task, steps)
    finally:
        late.cancel()
        late.join()
        bar.stop()
