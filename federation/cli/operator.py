# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""``federation``: the operator's program.

Each command only declares its arguments here and in the two files beside it; what it does stands
in its own room. Every command returns an :class:`Answer` (``serve`` and ``demo`` answer by
themselves) or raises one of our errors, and :func:`main` is the one place that tells either.
"""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from federation import __version__
from federation.cli import (
    feed_commands,
    history_commands,
    incident_commands,
    key_commands,
    log_commands,
    policy_commands,
    roster_commands,
    statement_commands,
)
from federation.cli.answers import Answer, CouldNotTellError, tell, tell_error
from federation.cli.arguments import AsJson, ConfigPath
from federation.cli.exit_codes import exit_code_of
from federation.cli.exits import INTERRUPTED, ExitCode
from federation.errors import FederationError, RequestMalformed

PROGRAM: Final = "federation"
CONFIG: Final = Path("node.toml")

EXITS: Final = (
    "Exit codes: 0 yes or done, 1 no, 2 misuse, 3 could not tell. "
    "The answer is on stdout, all talk on stderr."
)

app = typer.Typer(
    name=PROGRAM,
    help="Run and operate a node of a hash federation.",
    epilog=EXITS,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(value: bool) -> None:
    if value:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the release."),
    ] = False,
) -> None:
    """Run and operate a node of a hash federation."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made when missing.")],
    member: Annotated[
        str, typer.Option("--member", metavar="NAME", help="A lower-case DNS name, for ever.")
    ],
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Where peers reach it: https://host[:port]."),
    ] = None,
    only_calls: Annotated[
        bool,
        typer.Option(
            "--only-calls",
            help="Instead of --url: peers cannot reach it, it only calls them; it has no listener.",
        ),
    ] = False,
    observer_of: Annotated[
        str,
        typer.Option(
            "--observer-of",
            metavar="NAME",
            help="It only reads, with no keys but its TLS identity: the member whose further "
            "machine it is, or its own name.",
        ),
    ] = "",
    api: Annotated[
        str | None,
        typer.Option(
            "--api",
            metavar="HOST:PORT",
            help="Address of the local API; by default loopback, the URL's port plus 1000.",
        ),
    ] = None,
    post_quantum: Annotated[
        bool,
        typer.Option("--post-quantum", help="ML-DSA-44 keys as well, for second signature lines."),
    ] = False,
    _json: AsJson = False,
) -> Answer:
    """Make a new node: keys, config, API token, and the request to join a federation.

    Nothing that exists is ever overwritten.
    """
    from federation.cli.founding import initialise_node

    return initialise_node(
        folder,
        member,
        url,
        api,
        post_quantum=post_quantum,
        only_calls=only_calls,
        observer_of=observer_of,
    )


@app.command()
def serve(config: ConfigPath = CONFIG, _json: AsJson = False) -> None:
    """Run the node until SIGTERM or Ctrl-C.

    With --json, one object is written to stdout once it serves. The log goes to stderr.
    """
    from federation.cli.serving import serve as run

    run(config, as_json=_json)


@app.command()
def status(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show how this node stands: roster, logs, and alarms.

    Exit code 1 says that somebody should look: an alarm, an expired roster, or not serving yet.
    """
    from federation.cli.standings import status as ask

    return ask(config)


@app.command()
def peers(
    members: Annotated[
        list[str] | None, typer.Argument(metavar="MEMBER", help="Only these.")
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show every peer and log: link, lag each way, last contact, receipts, last error."""
    from federation.cli.standings import peers as ask

    return ask(config, members or [])


statement_commands.add_to(app)
app.add_typer(incident_commands.app, name="incident")
app.add_typer(roster_commands.app, name="roster")
app.add_typer(log_commands.app, name="log")
app.command("join")(key_commands.join)
app.add_typer(key_commands.app, name="keys")
app.add_typer(history_commands.evidence, name="evidence")
app.add_typer(history_commands.recover, name="recover")
feed_commands.add_to(app)
policy_commands.add_to(app)


@app.command()
def demo(
    nodes: Annotated[
        int, typer.Option("--nodes", metavar="N", min=2, max=16, help="How many companies.")
    ] = 3,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Leave the nodes and the bundle there."),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", metavar="FILE", help="Your own picture instead of a drawn one."),
    ] = None,
    _json: AsJson = False,
) -> int:
    """Run several companies on this machine and show what they do for each other."""
    from federation.cli import demo as companies

    return companies.run(nodes=nodes, as_json=_json, keep=keep, image=image)


@app.command()
def version(_json: AsJson = False) -> Answer:
    """Say the release, and what it runs on."""
    fields = {"version": __version__, "python": platform.python_version()}
    return Answer(fields, (f"{PROGRAM} {__version__} (Python {fields['python']})",))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code, and lets no exception out.

    Args:
        arguments: what follows the program's name; by default the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Known before anything is parsed, so that a misuse is told in the form that was asked for.
    as_json = "--json" in given[: given.index("--")] if "--" in given else "--json" in given
    try:
        return _run(given, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the answer went away. Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.UNKNOWN
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(given: list[str], *, as_json: bool) -> int:
    try:
        answer = typer.main.get_command(app).main(given, PROGRAM, standalone_mode=False)
        if isinstance(answer, Answer):
            tell(answer, as_json=as_json)
    except typer.TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", PROGRAM)
        message = error.format_message()
        if message:  # none where help was shown instead, for want of any argument
            hint = f"see {command} --help"
            tell_error(RequestMalformed(message, hint=hint), as_json=as_json)
        return ExitCode.MISUSE
    except FederationError as error:
        tell_error(error, as_json=as_json)
        return exit_code_of(error)
    except CouldNotTellError as error:
        tell_error(error.error, as_json=as_json)
        return ExitCode.UNKNOWN
    except BrokenPipeError:
        raise
    except SystemExit:
        return ExitCode.UNKNOWN  # typer's own way out of a broken pipe, which would be a "no"
    except Exception as error:  # noqa: BLE001 - a bug must not end in the exit code for "no"
        traceback.print_exc()
        bug = FederationError(
            f"a bug in this program: {type(error).__name__}",
            hint="please report what is above, after a look at what it shows",
        )
        tell_error(bug, as_json=as_json)
        return ExitCode.UNKNOWN
    return answer.exit_code if isinstance(answer, Answer) else int(answer or ExitCode.YES)
