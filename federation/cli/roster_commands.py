# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands about governance: ``federation roster …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from federation.cli import amendment_commands
from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ConfigPath, RosterFolder
from federation.cli.option_groups import Terms, grouped

HERE: Final = Path()
CONFIG: Final = Path("node.toml")

app = typer.Typer(
    help="Who is a member and who decides: propose, sign, publish and show roster versions.",
    no_args_is_help=True,
)
propose = typer.Typer(
    help="Write the next roster version as a proposal: a file that governors sign.",
    no_args_is_help=True,
)
app.add_typer(propose, name="propose")
amendment_commands.add_to(propose)

Governors: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--governor",
        metavar="KEY",
        help="Public key of one who decides, as `roster governor` printed it; repeat for each.",
    ),
]
Threshold: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--threshold", metavar="K", min=1, help="How many of them decide; by default a majority."
    ),
]
ChainFolder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--roster",
        metavar="DIR",
        help="The folder that holds 1.root.json, 2.root.json and so on.",
    ),
]


@app.command()
def governor(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The secret key, of mode 0600.")],
    _json: AsJson = False,
) -> Answer:
    """Make a governor's key and print its public half."""
    from federation.cli.governing import make_governor

    return make_governor(file)


@propose.command()
@grouped
def found(
    requests: Annotated[
        list[Path], typer.Argument(metavar="REQUEST", help="The founders' join-request.json.")
    ],
    governors: Governors,
    threshold: Threshold = None,
    *,
    terms: Terms,
) -> Answer:
    """Propose version 1: the founding members, and who decides."""
    from federation.cli import proposing

    return proposing.found(
        requests, governors, threshold, expires_days=terms.expires_days, out=terms.out
    )


@propose.command()
@grouped
def add(
    request: Annotated[
        Path, typer.Argument(metavar="REQUEST", help="The new member's join-request.json.")
    ],
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="member (the default), observer, auditor or witness; may be repeated.",
        ),
    ] = None,
    roster: ChainFolder = HERE,
    *,
    terms: Terms,
) -> Answer:
    """Propose one more member."""
    from federation.cli import proposing

    return proposing.add(
        request, roles or ["member"], roster, expires_days=terms.expires_days, out=terms.out
    )


@propose.command()
@grouped
def refresh(
    roster: ChainFolder = HERE,
    *,
    terms: Terms,
) -> Answer:
    """Propose the same roster with a later expiry."""
    from federation.cli import proposing

    return proposing.refresh(roster, expires_days=terms.expires_days, out=terms.out)


@propose.command()
@grouped
def governors(
    keys: Governors,
    threshold: Threshold = None,
    roster: ChainFolder = HERE,
    *,
    terms: Terms,
) -> Answer:
    """Propose other governors; those of today must sign, and the new ones too."""
    from federation.cli import proposing

    return proposing.govern(keys, threshold, roster, expires_days=terms.expires_days, out=terms.out)


@app.command()
def sign(
    proposal: Annotated[Path, typer.Argument(metavar="PROPOSAL", help="Replaced by the signed.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The governor's secret key.")],
    roster: RosterFolder = None,
    _json: AsJson = False,
) -> Answer:
    """Sign a proposal as one of the governors; see first what it says with `roster show`."""
    from federation.cli import governing

    return governing.sign(proposal, key, roster)


@app.command()
def publish(
    proposal: Annotated[Path, typer.Argument(metavar="PROPOSAL", help="Signed by enough.")],
    to: Annotated[
        list[Path] | None,
        typer.Option("--to", metavar="DIR", help="Write N.root.json there; may be repeated."),
    ] = None,
    configs: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="A node that takes it: running, or not started yet. May be repeated.",
        ),
    ] = None,
    roster: RosterFolder = None,
    _json: AsJson = False,
) -> Answer:
    """Finish a signed proposal and hand it out.

    A node without a root of trust gets its 1.root.json; a running one takes the version by its
    local API and passes it on to its peers. What the version follows is looked for in --roster DIR,
    else in the first --to DIR, else beside the node's root of trust.
    """
    from federation.cli import governing

    return governing.publish(proposal, to or [], configs or [], roster)


@app.command()
def fetch(
    config: ConfigPath = CONFIG,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Gets 1.root.json, 2.root.json and so on.")
    ] = HERE,
    _json: AsJson = False,
) -> Answer:
    """Write the roster chain that a running node follows into a folder, every step of it judged."""
    from federation.cli import governing

    return governing.fetch(config, to)


@app.command()
def forks(config: ConfigPath = CONFIG, _json: AsJson = False) -> Answer:
    """Show two rosters of one version, where governance signed both, and how they differ.

    Exit code 1 says that there are some.
    """
    from federation.cli import forking

    return forking.forks(config)


@app.command()
def pin(
    version: Annotated[int, typer.Argument(metavar="VERSION", help="Of which there are two.")],
    decision: Annotated[
        str, typer.Argument(metavar="DECISION", help="Of the one that stands, 64 hex digits.")
    ],
    config: ConfigPath = CONFIG,
    _json: AsJson = False,
) -> Answer:
    """Say which of two rosters of one version stands at this node."""
    from federation.cli import forking

    return forking.pin(config, version, decision)


@app.command()
def show(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE", help="All versions from the first, or one version or proposal."
        ),
    ] = None,
    roster: RosterFolder = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="A node: the chain beside its root of trust."
        ),
    ] = None,
    _json: AsJson = False,
) -> Answer:
    """Show who governs, who is a member, under which keys and until when.

    Exit code 0 when it is proven from version 1, 1 when it is not (yet). Without arguments, the
    chain in this folder. A proposal together with --roster or --config shows what it changes.
    """
    from federation.cli import roster_showing

    return roster_showing.show(files or [], roster, config)
