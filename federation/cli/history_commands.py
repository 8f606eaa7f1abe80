# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about histories: ``federation evidence …`` and ``federation recover …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")

evidence = typer.Typer(help="Who signed two histories, with proof.", no_args_is_help=True)
recover = typer.Typer(
    help="This node's own history: what is known, and what a person decides.", no_args_is_help=True
)

EvidenceId = Annotated[str, typer.Argument(metavar="ID", help="Of `evidence list`, or its start.")]


@evidence.command("list")
def list_evidence(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show all evidence that this node holds, and the histories it keeps. Exit code 1: none."""
    from federation.cli import recovering

    return recovering.list_evidence(config)


@evidence.command("show")
def show_evidence(
    evidence_id: EvidenceId, config: ConfigPath = CONFIG, _json: AsJson = False
) -> Answer:
    """Show one piece: the two heads, and why they exclude each other."""
    from federation.cli import recovering

    return recovering.show_evidence(config, evidence_id)


@evidence.command("export")
def export_evidence(
    evidence_id: EvidenceId,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Written new; by default to stdout."),
    ] = None,
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Write the evidence file: anybody judges it offline with `federation-verify evidence`."""
    from federation.cli import recovering

    return recovering.export_evidence(config, evidence_id, out)


@recover.command("show")
def show(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show how far each own log goes by the database, the guard and every peer, and the difference.

    Exit code 1: signing has stopped.
    """
    from federation.cli import recovering

    return recovering.recover(config)


@recover.command("adopt")
def adopt(
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="The own log, as `recover show` has it.")
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Take back in what peers hold of an own log beyond the database. Look at it first."""
    from federation.cli import recovering

    return recovering.decide(config, "adopt", log)


@recover.command("go-on")
def go_on(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Sign again, where nothing is missing any more. Only when no second copy of the node runs."""
    from federation.cli import recovering

    return recovering.decide(config, "go-on", None)
