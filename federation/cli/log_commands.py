# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about whole logs: export, fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")

app = typer.Typer(
    no_args_is_help=True, help="Whole logs, as files that any C2SP tile client can audit."
)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made when missing.")],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Write every log that the node holds, for a static host or an auditor.

    For each log a folder NAME with its checkpoint and tiles, and NAME.vkey beside it; NAME is the
    origin with _ for each /. Works beside the running node and without one. Run again, it goes on.
    """
    from federation.cli.logs import export as write

    return write(config, folder)


@app.command()
def fetch(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Of the log: its checkpoint is at URL/checkpoint.")
    ],
    vkey: Annotated[
        str, typer.Option("--vkey", metavar="KEY", help="The log's vkey, or a file that holds it.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where to; made when missing.")
    ],
    second_vkey: Annotated[
        str | None,
        typer.Option(
            "--second-vkey",
            metavar="KEY",
            help="The log's ML-DSA-44 vkey, or its file: then that line must be there too.",
        ),
    ] = None,
    entries_max: Annotated[
        int,
        typer.Option("--entries-max", metavar="N", min=1, help="A log that says more is refused."),
    ] = 100_000_000,
    _json: AsJson = False,
) -> Answer:
    """Get a public log, and verify all of it against its key.

    Needs no node and no config. Run again, it gets what is new and checks that nothing was unsaid.
    Exit code 1: what came is not what the key signed, or it signed two histories.
    """
    from federation.cli.logs import fetch as get

    return get(url, vkey, out, entries_max, second_vkey)
