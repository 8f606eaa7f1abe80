# ruff: noqa: PLC0415 - a command loads its rooms when it is called, so that --help is quick
"""The commands that propose a change to a member: ``federation roster propose …``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from federation.cli.answers import Answer
from federation.cli.arguments import RosterFolder
from federation.cli.option_groups import Terms, grouped

if TYPE_CHECKING:
    from federation.cli.amending import Sources

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


@dataclass(frozen=True)
class Asked:
    """Who is asked for what a proposal builds on.

    Attributes:
        config: a running node.
        roster: the folder of the roster chain.
    """

    config: Node = None
    roster: RosterFolder = None

    def sources(self, pins: list[str] | None = None) -> Sources:
        """The same, with the pins that were given by hand."""
        from federation.cli import amending

        return amending.Sources(self.roster, self.config, pins or [])


def add_to(app: typer.Typer) -> None:
    """Add the commands to ``roster propose``."""
    for command in (
        remove, suspend, distrust, lift, restore, keys, settle, url, role, successor, withdraw,
        erase,
    ):  # fmt: skip
        app.command()(command)


@grouped
def remove(
    member: MemberName,
    successor: Annotated[
        str | None,
        typer.Option("--successor", metavar="MEMBER", help="May take back its statements."),
    ] = None,
    pins: Pins = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a member departs; what it said up to the pins stands."""
    from federation.cli import amending

    sources = asked.sources(pins)
    return amending.remove(
        member, successor, sources, expires_days=terms.expires_days, out=terms.out
    )


@grouped
def suspend(
    member: MemberName,
    pins: Pins = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a member's word ends where its logs stand now, until it is lifted."""
    from federation.cli import amending

    sources = asked.sources(pins)
    return amending.suspend(member, None, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def distrust(
    member: MemberName,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="2026-11-25T21:30:00Z or POSIX seconds: of the theft."
        ),
    ],
    pins: Pins = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a member's word ends where others had signed for it before a time.

    For a stolen key: the node computes the pins from its receipts and shows what falls.
    """
    from federation.cli import amending

    sources = asked.sources(pins)
    return amending.suspend(member, since, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def lift(
    member: MemberName,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a suspension ends: all that the member said counts again."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.lift(member, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def restore(
    request: RequestFile,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a suspended member is back under new keys, each lane in a new epoch."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.restore(request, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def keys(
    request: RequestFile,
    pins: Pins = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose a member's next keys; for keys that were not stolen."""
    from federation.cli import amending

    sources = asked.sources(pins)
    return amending.rekey(request, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def settle(
    member: MemberName,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that a member's former TLS identity is taken out, after a renewal."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.settle(member, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def url(
    member: MemberName,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="Best first; none for a node that only calls others."),
    ] = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose where a member's node is reached."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.readdress(
        member, urls or [], sources, expires_days=terms.expires_days, out=terms.out
    )


@grouped
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
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose a member's roles: member, observer, auditor, witness."""
    from federation.cli import amending

    sources = asked.sources(pins)
    return amending.reassign(
        member, roles, request, sources, expires_days=terms.expires_days, out=terms.out
    )


@grouped
def successor(
    member: MemberName,
    name: Annotated[
        str | None, typer.Argument(metavar="SUCCESSOR", help="Another member; none to name nobody.")
    ] = None,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose who may take back what a departed member said."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.succeed(member, name, sources, expires_days=terms.expires_days, out=terms.out)


@grouped
def withdraw(
    ids: Statements,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that governance takes statements back."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.rule(
        ids, erases=False, sources=sources, expires_days=terms.expires_days, out=terms.out
    )


@grouped
def erase(
    ids: Statements,
    *,
    asked: Asked,
    terms: Terms,
) -> Answer:
    """Propose that salt and body of statements must go, everywhere."""
    from federation.cli import amending

    sources = asked.sources()
    return amending.rule(
        ids, erases=True, sources=sources, expires_days=terms.expires_days, out=terms.out
    )
