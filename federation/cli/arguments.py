"""Arguments that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ConfigPath: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="FEDERATION_CONFIG",
        help="The node's config file, as `federation init` made it.",
    ),
]

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Answer with one JSON object on stdout.")
]

Signals: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--signal",
        metavar="TYPE:VALUE",
        help="pdq:HEX, pdq:HEX@QUALITY, sha256:HEX, md5:HEX, tlsh:HEX or vpdq:HEX, in lower case, "
        "or url:LINK; may be repeated.",
    ),
]

Exact: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Take files as they are, by SHA-256 and MD5 only: for what cannot be read.",
    ),
]

RosterFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--roster",
        metavar="DIR",
        help="The folder that holds 1.root.json, 2.root.json and so on.",
    ),
]

ExpiresDays: TypeAlias = Annotated[
    int,
    typer.Option(
        "--expires-days", metavar="N", help="How long the version may admit and govern: 1 to 366."
    ),
]
