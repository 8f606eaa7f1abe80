# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about incidents: ``federation incident open | level | close | list``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")
LEVELS: Final = "incident, content-incident, content-incident-protocol"

app = typer.Typer(
    help="Say that a crisis began, changed or is over; see those that are known.",
    no_args_is_help=True,
)

Id: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="An incident of this member: st_….")
]


@app.command("open")
def open_(
    title: Annotated[
        str, typer.Argument(metavar="TITLE", help="What it is called; every member sees it.")
    ],
    level: Annotated[
        str, typer.Option("--level", metavar="LEVEL", help=f"How grave it is: {LEVELS}.")
    ] = "incident",
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Open an incident; what is published with --incident ID goes out in the crisis lane then."""
    from federation.cli.incidents import open_incident

    return open_incident(config, title, level)


@app.command()
def level(
    incident: Id,
    word: Annotated[str, typer.Argument(metavar="LEVEL", help=f"{LEVELS}.")],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Say that an incident is more or less grave than before."""
    from federation.cli.incidents import change_incident

    return change_incident(config, incident, word, closes=False)


@app.command()
def close(incident: Id, config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Say that an incident is over; it stays so."""
    from federation.cli.incidents import change_incident

    return change_incident(config, incident, None, closes=True)


@app.command("list")
def list_(
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that are going on.")
    ] = False,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Show every incident known here, those that are open first."""
    from federation.cli.incidents import list_incidents

    return list_incidents(config, only_open=only_open)
