# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about a node's own keys and its request: ``federation join`` and ``keys …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath

CONFIG: Final = Path("node.toml")

Urls: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--url", metavar="URL", help="Where peers reach it, best first; by default as before."
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="The request; by default join-request.json, replaced."
    ),
]

app = typer.Typer(help="This node's own keys.", no_args_is_help=True)


def join(
    config: ConfigPath = CONFIG,
    urls: Urls = None,
    only_calls: Annotated[
        bool, typer.Option("--only-calls", help="It cannot be reached, and calls others.")
    ] = False,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Write this node's request for governance: name, URLs, public keys, and proofs of all keys.

    `federation init` wrote the first one. The next keys stand in it where `keys renew` made some.
    """
    from federation.cli import joining

    return joining.join(config, urls, out, only_calls=only_calls)


@app.command()
def renew(
    purposes: Annotated[
        list[str],
        typer.Argument(
            metavar="PURPOSE", help="crisis, live, bulk, witness, mirror, tls; all of them: all."
        ),
    ],
    config: ConfigPath = CONFIG,
    urls: Urls = None,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Make the next keys beside the present ones, and the request that asks governance for them.

    The running node signs with them from the moment the roster holds them.
    """
    from federation.cli import joining

    return joining.renew(purposes, config, urls, out)


@app.callback()
def _keys() -> None:
    """This node's own keys."""
