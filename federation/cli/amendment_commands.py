# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands that propose a change to a member: ``federation roster propose …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import AsJson, ExpiresDays, RosterFolder

EXPIRES_DAYS: Final = 90

MemberName: TypeAlias = Annotated[str, typer.Argument(metavar="MEMBER", help="Its name.")]
RequestFile: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="REQUEST", help="Its request, from `federation join` or `keys renew`."),
]
Statements: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID", help="st_…")]
Node: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="A running node: asked where logs end, and for the roster where no folder is given.",
    ),
]
Pins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--pin",
        metavar="LANE:SIZE:ROOT",
        help="Where a log ends or a key starts (root hash in hex), in place of what a node says; "
        "LANE:0 for an empty log. May be repeated.",
    ),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="The proposal; by default N.root.proposal.json here."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``roster propose``."""
    for command in (
        remove, suspend, distrust, lift, restore, keys, settle, url, role, successor, withdraw,
        erase,
    ):  # fmt: skip
        app.command()(command)


def remove(
    member: MemberName,
    successor: Annotated[
        str | None,
        typer.Option("--successor", metavar="MEMBER", help="May take back its statements."),
    ] = None,
    pins: Pins = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a member departs; what it said up to the pins stands."""
    from federation.cli import amending

    sources = amending.Sources(roster, config, pins or [])
    return amending.remove(member, successor, sources, expires_days=expires_days, out=out)


def suspend(
    member: MemberName,
    pins: Pins = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a member's word ends where its logs stand now, until it is lifted."""
    from federation.cli import amending

    sources = amending.Sources(roster, config, pins or [])
    return amending.suspend(member, None, sources, expires_days=expires_days, out=out)


def distrust(
    member: MemberName,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="2026-11-25T21:30:00Z or POSIX seconds: of the theft."
        ),
    ],
    pins: Pins = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a member's word ends where others had signed for it before a time.

    For a stolen key: the node computes the pins from its receipts and shows what falls.
    """
    from federation.cli import amending

    sources = amending.Sources(roster, config, pins or [])
    return amending.suspend(member, since, sources, expires_days=expires_days, out=out)


def lift(
    member: MemberName,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a suspension ends: all that the member said counts again."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.lift(member, sources, expires_days=expires_days, out=out)


def restore(
    request: RequestFile,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a suspended member is back under new keys, each lane in a new epoch."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.restore(request, sources, expires_days=expires_days, out=out)


def keys(
    request: RequestFile,
    pins: Pins = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose a member's next keys; for keys that were not stolen."""
    from federation.cli import amending

    sources = amending.Sources(roster, config, pins or [])
    return amending.rekey(request, sources, expires_days=expires_days, out=out)


def settle(
    member: MemberName,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that a member's former TLS identity is taken out, after a renewal."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.settle(member, sources, expires_days=expires_days, out=out)


def url(
    member: MemberName,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Best first; none for a node that only calls others."),
    ] = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose where a member's node is reached."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.readdress(member, urls or [], sources, expires_days=expires_days, out=out)


def role(
    member: MemberName,
    roles: Annotated[
        list[str],
        typer.Option("--role", metavar="ROLE", help="All it will have; may be repeated."),
    ],
    request: Annotated[
        Path | None,
        typer.Option("--request", metavar="FILE", help="Its keys, where it will publish."),
    ] = None,
    pins: Pins = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose a member's roles: member, observer, auditor, witness."""
    from federation.cli import amending

    sources = amending.Sources(roster, config, pins or [])
    return amending.reassign(member, roles, request, sources, expires_days=expires_days, out=out)


def successor(
    member: MemberName,
    name: Annotated[
        str | None, typer.Argument(metavar="SUCCESSOR", help="Another member; none to name nobody.")
    ] = None,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose who may take back what a departed member said."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.succeed(member, name, sources, expires_days=expires_days, out=out)


def withdraw(
    ids: Statements,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that governance takes statements back."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.rule(ids, erases=False, sources=sources, expires_days=expires_days, out=out)


def erase(
    ids: Statements,
    config: Node = None,
    roster: RosterFolder = None,
    expires_days: ExpiresDays = EXPIRES_DAYS,
    out: Out = None,
    _json: AsJson = False,
) -> Answer:
    """Propose that salt and body of statements must go, everywhere."""
    from federation.cli import amending

    sources = amending.Sources(roster, config)
    return amending.rule(ids, erases=True, sources=sources, expires_days=expires_days, out=out)
