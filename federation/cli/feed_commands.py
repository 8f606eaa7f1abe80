# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about what changed: the feed, and the webhooks behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")

webhooks_app = typer.Typer(no_args_is_help=True, help="Receivers that are told what changed.")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.command()(feed)
    app.add_typer(webhooks_app, name="webhooks")


def feed(
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="ID", help="Go on behind this event; else a snapshot."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--once", help="Stay for what comes, or end when all is told.")
    ] = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> int:
    """Show what changed for this platform, one JSON object a line: id, kind, data.

    Without a cursor a snapshot comes first: everything that is said of any signal now. The last id
    is the cursor to go on from.
    """
    from federation.cli.feeding import follow_feed

    return follow_feed(config, cursor, stays=follow)


@webhooks_app.command("list")
def list_webhooks(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show every webhook: delivered, how far behind, failing since when and why.

    Exit code 1: a receiver is failing, or did not take something.
    """
    from federation.cli.feeding import webhooks

    return webhooks(config)


@webhooks_app.command()
def dead(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of this webhook only.")
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show the events that receivers did not take in all the tries they had.

    Exit code 1: there are some.
    """
    from federation.cli.feeding import dead_letters

    return dead_letters(config, name)


@webhooks_app.command()
def replay(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The webhook.")],
    numbers: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER", help="Only these events; else all.")
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Send again what a receiver did not take."""
    from federation.cli.feeding import replay as send_again

    return send_again(config, name, numbers or [])
